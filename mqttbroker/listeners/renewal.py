"""Certificates while a broker runs: files that were replaced are read again, and what runs out is told in time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from mqttbroker.broker import Log
from mqttbroker.listeners.host import Clock
from mqttbroker.security import TlsError

if TYPE_CHECKING:
    from mqttbroker.certs import CertificateInfo
    from mqttbroker.listeners.tls import TlsFiles

__all__ = ["Renewal"]

WATCH: Final = 5.0
"""Seconds between two looks at the files."""
DAY: Final = 86_400.0
EXPIRY_WARNING: Final = 21 * DAY
"""Seconds before a certificate runs out from which on the log says so every day."""


class Renewal:
    """The certificates of all that speaks TLS, by its name."""

    def __init__(self, files: Iterable[tuple[str, TlsFiles]], clock: Clock, log: Log) -> None:
        self._files: list[tuple[str, TlsFiles]] = list(files)
        self._clock = clock
        self._log = log
        self._warned: dict[tuple[str, float], float] = {}
        self._timer: asyncio.TimerHandle | None = None

    @property
    def certificates(self) -> dict[str, list[CertificateInfo]]:
        """Those in force."""
        return {name: list(files.certificates) for name, files in self._files}

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Look at the files from now on, if there are any."""
        if self._files:
            self._turn(loop)

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def reload(self) -> bool:
        """Read all files again; false when some are wrong, of which what was there stays in force."""
        return all([self._reload(name, files) for name, files in self._files])

    def _reload(self, name: str, files: TlsFiles) -> bool:
        try:
            if files.reload():
                self._log("info", "certificates replaced", listener=name)
        except TlsError as error:
            self._log("error", "certificates not replaced", listener=name, reason=str(error))
            return False
        return True

    def _turn(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = loop.call_later(WATCH, self._turn, loop)
        self.look()

    def look(self) -> None:
        """Read what was replaced, and tell of what runs out."""
        for name, files in self._files:
            if files.changed():
                self._reload(name, files)
            self._warn_of_expiry(name, files, self._clock())

    def _warn_of_expiry(self, name: str, files: TlsFiles, now: float) -> None:
        """Once a day, for each certificate that runs out soon, and for lists of revoked ones."""
        ends = [("certificate", str(each.file), each.not_after) for each in files.certificates]
        if files.crl_next_update is not None:
            ends.append(("list of revoked certificates", str(files.settings.crl), files.crl_next_update))
        for what, file, end in ends:
            left = end - now
            if left < EXPIRY_WARNING and now >= self._warned.get((file, end), 0.0) + DAY:
                self._warned[file, end] = now
                event = f"{what} runs out soon" if left > 0 else f"{what} has run out"
                self._log("warning", event, listener=name, file=file, days_left=round(left / DAY, 1))
