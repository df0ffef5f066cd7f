"""The last lines of the log, for those who look at the broker from afar.

:class:`LogLines` stands in front of the broker's log, passes on every line, and remembers those that are logged. It
holds so many lines, each of bounded length; what comes from strangers is written as the log writes it.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from secrets import token_hex
from typing import Final

from mqttbroker.broker import Log
from mqttbroker.logs import escape

__all__ = ["LEVELS", "Line", "LogLines"]

REMEMBERED: Final = 1_000
LONGEST_TEXT: Final = 256
"""Characters of the event, and of each value."""
MOST_DETAILS: Final = 20

LEVELS: Final = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}

Detail = str | int | float | bool | None

_standard: Final = logging.getLogger("mqttbroker")


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the log."""

    number: int
    """Counts up by one with each line."""
    at: float
    """Seconds since the epoch."""
    level: str
    event: str
    details: dict[str, Detail]

    def has(self, text: str) -> bool:
        """Whether ``text``, which is case-folded, is a part of it."""
        return text in self.event.casefold() or any(
            text in f"{key}={value}".casefold() for key, value in self.details.items()
        )


class LogLines:
    """The log of one broker: a ``Log`` that remembers. Lines may come from any thread."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._lines: deque[Line] = deque(maxlen=REMEMBERED)
        self._numbers: Iterator[int] = count(1)
        self.run: str = token_hex(4)
        """Tells the numbers of these lines from those of any others."""

    def __call__(self, level: str, event: str, /, **details: object) -> None:
        """Log a line."""
        if _standard.isEnabledFor(LEVELS[level]):
            shown = {_text(key): _shown(value) for key, value in list(details.items())[:MOST_DETAILS]}
            self._lines.append(Line(next(self._numbers), time.time(), level, _text(event), shown))
        self._log(level, event, **details)

    @property
    def lines(self) -> list[Line]:
        """Those that are remembered, the oldest first."""
        return list(self._lines)


def _shown(value: object) -> Detail:
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int) and -(2**53) < value < 2**53:
        return value
    if isinstance(value, bytes):
        return _text(value[:LONGEST_TEXT].decode("utf-8", "backslashreplace"))
    if isinstance(value, BaseException):
        return _text(f"{type(value).__name__}: {value}")
    return _text(str(value))


def _text(text: str) -> str:
    return escape(text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}... ({len(text)} characters)")
