"""Who has changed what: every request that is no GET, to the log and to a file of JSON lines.

An entry has who asked, from where, what was asked for, the state before and after as far as the endpoint gives it, and
what came of it. Secrets are left out; what is long is cut, what does not print is escaped. The file is mode 0600; when
it has grown to ``MOST_BYTES`` it becomes ``NAME.1``, and a new one is begun.
"""

from __future__ import annotations

import os
from collections import deque
from pathlib import Path
from typing import Any, Final

import msgspec

from mqttbroker.admin.endpoint import Call, Endpoint, Output
from mqttbroker.admin.offload import Offload
from mqttbroker.admin.problems import Problem
from mqttbroker.broker import Log

__all__ = ["AuditLog", "Entry"]

MOST_BYTES: Final = 10_000_000
LONGEST: Final = 2_048
"""Bytes of one value in an entry."""
REMEMBERED: Final = 1_000
"""Entries that can be asked for without reading the file."""


class Entry(Output):
    """One change, or the try of one."""

    time: float
    """Seconds since the epoch."""
    who: str
    """The account, or what the token is for; empty for somebody who is not logged in."""
    role: str
    by: str
    """``session`` or ``token``."""
    address: str
    action: str
    """The name of the operation, as in the description of the API."""
    method: str
    path: dict[str, str]
    """The parameters of the path."""
    request: Any
    """Query and body."""
    before: Any
    after: Any
    status: int
    """What was answered; 2xx: it was done."""


class AuditLog:
    """The audit log of one server. Without a path it is in the log, and in memory."""

    def __init__(self, path: Path | None, log: Log, offload: Offload) -> None:
        self._path = path
        self._log = log
        self._offload = offload
        self._recent: deque[Entry] = deque(maxlen=REMEMBERED)

    @property
    def recent(self) -> list[Entry]:
        """The last entries since the start, the newest first."""
        return list(reversed(self._recent))

    async def record(self, endpoint: Endpoint, call: Call[Any, Any], status: int) -> None:
        """Write an entry for a call that was answered with ``status``. A file that cannot be written is logged."""
        who = call.who
        entry = Entry(
            time=call.context.broker.now(),
            who=who.name if who is not None else "",
            role=who.role if who is not None else "",
            by=who.by if who is not None else "",
            address=call.address,
            action=endpoint.name,
            method=endpoint.method,
            path=call.path,
            request=_request(endpoint, call),
            before=_bounded(call.before),
            after=_bounded(call.after),
            status=status,
        )
        self._recent.append(entry)
        line = _printable(msgspec.json.encode(entry))
        details = {"who": entry.who, "address": entry.address, "path": " ".join(entry.path.values())}
        shown = {name: value for name, value in details.items() if value}
        level = "info" if status < 400 else "warning"
        self._log(level, "admin change", action=entry.action, status=status, **shown)
        if self._path is not None:
            path = self._path
            try:
                await self._offload(lambda: _append(path, line))
            except (OSError, Problem) as error:
                self._log("error", "audit log cannot be written", file=str(path), reason=str(error))


def _request(endpoint: Endpoint, call: Call[Any, Any]) -> dict[str, object]:
    given: dict[str, object] = {}
    for name, value in (("query", call.query), ("body", call.body)):
        if value is not None:
            plain = msgspec.to_builtins(value)
            if isinstance(plain, dict):
                plain = {key: each for key, each in plain.items() if key not in endpoint.secrets}
            given[name] = _bounded(plain)
    return given


def _bounded(value: object) -> object:
    """A value as it is, or the beginning of its JSON where that is long."""
    encoded = msgspec.json.encode(value)
    if len(encoded) <= LONGEST:
        return msgspec.Raw(encoded)
    return {"cut": encoded[:LONGEST].decode("utf-8", "replace"), "bytes": len(encoded)}


def _printable(line: bytes) -> bytes:
    """The same JSON, with every character as an escape that does not print: people look at the file in terminals."""
    text = line.decode()
    if text.isprintable():
        return line
    return "".join(each if each.isprintable() else _escape(each) for each in text).encode()


def _escape(character: str) -> str:
    units = character.encode("utf-16-be")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


def _append(path: Path, line: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
    with open(os.open(path, flags, 0o600), "ab") as file:
        file.write(line + b"\n")
        full = file.tell() >= MOST_BYTES
    if full:
        os.replace(path, path.with_name(f"{path.name}.1"))
