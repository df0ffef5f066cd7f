"""The token of this machine: a file in the data directory, by which commands use the admin server without a login.

Whoever can read it could read and replace the accounts beside it too: it is the file of the account that runs the
broker, mode 0600. It is made anew with each start, in memory otherwise, and removed at the end; a copy of it, in a
backup say, is worth nothing after that. The second line is the address of the server, so that the token is shown to
nobody else who happens to listen where one would expect it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from mqttbroker.broker import Log
from mqttbroker.config import LOCAL_TOKEN_FILE
from mqttbroker.files import replace_file

__all__ = ["LocalTokenFile"]

MODE: Final = 0o600
LOOPBACK: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}
"""Where a server that listens everywhere is found from this machine."""


class LocalTokenFile:
    """The file of one server. One that cannot be written or removed is logged, and no more."""

    def __init__(self, data_dir: Path, log: Log) -> None:
        self.path: Path = data_dir / LOCAL_TOKEN_FILE
        self._log = log
        self._content: bytes = b""

    def write(self, secret: str, host: str, port: int, scheme: str = "http") -> None:
        """Put a token there; ``host`` and ``port`` are where the server listens."""
        host = LOOPBACK.get(host, host)
        self._content = f"{secret}\n{scheme}://{f'[{host}]' if ':' in host else host}:{port}\n".encode()
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.path.unlink(missing_ok=True)  # So that it belongs to this account, whoever has made the one before.
            replace_file(self.path, self._content, MODE)
        except OSError as error:
            self._log(
                "warning",
                "no token for commands on this machine",
                file=str(self.path),
                reason=error.strerror or str(error),
            )

    def remove(self) -> None:
        """Take it away, unless it is of another server by now."""
        try:
            if self._content and self.path.read_bytes() == self._content:
                self.path.unlink()
        except FileNotFoundError:
            pass
        except OSError as error:
            self._log("warning", "token cannot be removed", file=str(self.path), reason=error.strerror or str(error))
