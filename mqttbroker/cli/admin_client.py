"""The HTTP API of a running broker, for commands: where it is, by which token, and what is said where that fails.

Without a token that is given, commands use the one that a broker leaves in its data directory for as long as it runs.
It is sent to no other machine unless the directory was named.
"""

from __future__ import annotations

import http.client
import ipaddress
import json
import os
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import quote, urlencode, urlsplit

import typer

from mqttbroker.config import LOCAL_TOKEN_FILE

__all__ = [
    "Access",
    "AdminClient",
    "AdminError",
    "CafileOption",
    "DataDirOption",
    "TokenFileOption",
    "UrlOption",
    "access",
]

DEFAULT_URL: Final = "http://127.0.0.1:8080"
DEFAULT_DATA_DIR: Final = Path("data")
TOKEN_VARIABLE: Final = "MQTTBROKER_TOKEN"
TIMEOUT: Final = 15.0
"""Seconds without an answer after which a request is given up."""
LONGEST_ANSWER: Final = 64 * 1_048_576
LONGEST_LINE: Final = 16 * 1_048_576

UrlOption = Annotated[
    str | None, typer.Option("--url", help=f"Address of the admin server. [{DEFAULT_URL}]", show_default=False)
]
TokenFileOption = Annotated[
    Path | None,
    typer.Option("--token-file", help=f"File with a token (or set {TOKEN_VARIABLE}).", show_default=False),
]
DataDirOption = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        help="Data directory of a broker on this machine, whose own token is used. [data]",
        show_default=False,
    ),
]
CafileOption = Annotated[
    Path | None,
    typer.Option(
        "--cafile",
        help="With https, trust the authorities in this PEM file, in the place of those of the system.",
        show_default=False,
    ),
]


class AdminError(Exception):
    """It cannot be done; the text is one line for the person at the terminal. ``status`` is 0 without an answer."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status: int = status


@dataclass(frozen=True, slots=True)
class Access:
    """Where the API is, and the token to show there."""

    url: str
    token: str
    origin: str
    """Where the token is from."""


def access(url: str | None, token_file: Path | None, data_dir: Path | None) -> Access:
    """Find out where to ask, and by which token. Raises :class:`AdminError`."""
    if token_file is not None:
        return Access(url or DEFAULT_URL, _first_line(token_file), str(token_file))
    token = os.environ.get(TOKEN_VARIABLE, "").strip()
    if token and data_dir is None:
        return Access(url or DEFAULT_URL, token, TOKEN_VARIABLE)
    file = (data_dir or DEFAULT_DATA_DIR) / LOCAL_TOKEN_FILE
    elsewhere = url is not None and data_dir is None and not _is_here(url)
    if elsewhere or (data_dir is None and not _is_there(file)):
        raise AdminError(
            f"no token: give --token-file, set {TOKEN_VARIABLE}, or name the data directory of the broker on this "
            "machine with --data-dir"
        )
    lines = _lines(file)
    return Access(url or (lines[1] if len(lines) > 1 else DEFAULT_URL), lines[0], str(file))


def _is_there(file: Path) -> bool:
    try:
        return file.exists()
    except OSError:
        return True  # It may not be looked at, which reading it says.


def _first_line(file: Path) -> str:
    return _lines(file)[0]


def _lines(file: Path) -> list[str]:
    try:
        lines = file.read_text().split()
    except FileNotFoundError:
        reason = "is not there"
        if file.name == LOCAL_TOKEN_FILE:
            reason += "; a broker with an admin server and a data directory makes it while it runs"
        raise AdminError(f"{file}: {reason}") from None
    except PermissionError:
        raise AdminError(f"{file}: belongs to somebody else, such as the account that runs the broker") from None
    except (OSError, UnicodeDecodeError) as error:
        raise AdminError(f"{file}: cannot be read: {error}") from None
    if not lines:
        raise AdminError(f"{file}: there is no token in it")
    return lines


def _is_here(url: str) -> bool:
    """Whether an address is one of this machine."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class AdminClient:
    """Asks the API of one broker. Everything raises :class:`AdminError`."""

    def __init__(self, access: Access, cafile: Path | None = None) -> None:
        self.access: Access = access
        self._cafile = cafile
        parts = urlsplit(access.url if "//" in access.url else f"http://{access.url}")
        try:
            self._host, self._port = parts.hostname, parts.port
        except ValueError:
            self._host = None
        if parts.scheme not in ("http", "https") or not self._host:
            raise AdminError(f"--url: expected an address such as {DEFAULT_URL}, got {access.url}")
        if not access.token.isascii() or not access.token.isprintable():
            raise AdminError(f"{access.origin}: this is no token")
        self._secure = parts.scheme == "https"
        self._path = parts.path.rstrip("/")

    def get(self, path: str, **query: object) -> Any:
        """What is below ``/api/v1/``, as JSON."""
        with self._answer(path, query, TIMEOUT) as response:
            try:
                body = response.read(LONGEST_ANSWER)
                return json.loads(body)
            except (OSError, http.client.HTTPException) as error:
                raise self._unreachable(error) from None
            except ValueError:
                raise self._foreign() from None

    def lines(self, path: str, silence: float, **query: object) -> Iterator[dict[str, Any]]:
        """JSON, line by line, as it comes; ``silence`` is for how many seconds there may be none."""
        with self._answer(path, query, silence) as response:
            while True:
                try:
                    line = response.readline(LONGEST_LINE)
                except (OSError, http.client.HTTPException) as error:
                    raise self._unreachable(error) from None
                if not line:
                    return
                try:
                    found = json.loads(line)
                except ValueError:
                    raise AdminError("the broker has ended in the middle of a line") from None
                yield found

    def _answer(self, path: str, query: dict[str, object], timeout: float) -> http.client.HTTPResponse:
        assert self._host is not None
        given = {name: str(value) for name, value in query.items() if value is not None}
        address = f"{self._path}/api/v1/{quote(path)}" + (f"?{urlencode(given)}" if given else "")
        connection: http.client.HTTPConnection
        if self._secure:
            context = self._trust()
            connection = http.client.HTTPSConnection(self._host, self._port, timeout=TIMEOUT, context=context)
        else:
            connection = http.client.HTTPConnection(self._host, self._port, timeout=TIMEOUT)
        headers = {"Authorization": f"Bearer {self.access.token}", "Accept": "*/*", "Connection": "close"}
        try:
            connection.connect()
            connection.request("GET", address, headers=headers)
            connection.sock.settimeout(timeout)
            response = connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise self._unreachable(error) from None
        if response.status != HTTPStatus.OK:
            with response:
                raise self._problem(response)
        return response

    def _trust(self) -> ssl.SSLContext:
        try:
            return ssl.create_default_context(cafile=self._cafile)
        except OSError as error:  # ssl.SSLError is one.
            raise AdminError(f"{self._cafile}: cannot be used: {error.strerror or error}") from None

    def _problem(self, response: http.client.HTTPResponse) -> AdminError:
        if response.status == HTTPStatus.UNAUTHORIZED:
            hint = (
                "; is it another broker that answers there?"
                if self.access.origin.endswith(LOCAL_TOKEN_FILE)
                else "; it may have been taken back, or have run out"
            )
            return AdminError(f"{self.access.url} does not know the token of {self.access.origin}{hint}", 401)
        try:
            document = json.loads(response.read(1_048_576))
            detail = str(document["detail"])
        except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
            return self._foreign()
        return AdminError(detail, response.status)

    def _foreign(self) -> AdminError:
        return AdminError(f"{self.access.url} is no admin server of mqttbroker, or of another version", 1)

    def _unreachable(self, error: Exception) -> AdminError:
        if isinstance(error, ConnectionRefusedError):
            return AdminError(
                f"nobody answers at {self.access.url}: either no broker runs, or its admin server is off "
                "(--admin-port 8080, or [admin] enabled = true), or --url is another"
            )
        if isinstance(error, TimeoutError):
            return AdminError(f"{self.access.url} does not answer in time")
        if isinstance(error, ssl.SSLCertVerificationError):
            return AdminError(f"the certificate of {self.access.url} is not good: {error.verify_message}")
        if isinstance(error, http.client.HTTPException | ssl.SSLError):
            return self._foreign()
        text = getattr(error, "strerror", None) or str(error)
        return AdminError(f"{self.access.url} cannot be reached: {text}")
