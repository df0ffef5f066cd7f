"""A log that strangers cannot flood: of what repeats, the first few lines are written and the rest are counted.

For events that anybody who reaches a port can cause at will: refused connections, failed hand-shakes, wrong passwords.
"""

from __future__ import annotations

from typing import Protocol

__all__ = ["Log", "QuietLog"]

WINDOW = 10.0
"""Seconds after which lines that were counted are summed up in one."""
LINES = 100
THINGS = 1_000
"""Things that are kept apart; what is more than that counts as one."""


class Log(Protocol):
    """Takes one line of the log: its level, what happened, and about whom or what."""

    def __call__(self, level: str, event: str, /, **details: object) -> None: ...


class _Tally:
    """What was said about one thing in its window."""

    __slots__ = ("begun", "lines", "suppressed")

    def __init__(self, begun: float) -> None:
        self.begun: float = begun
        self.lines: int = 0
        self.suppressed: int = 0


class QuietLog:
    """Passes on to another log what does not repeat too often."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self.lines: int = LINES
        """Lines about the same thing in one window."""
        self._tallies: dict[tuple[str, str], _Tally] = {}

    def __call__(self, now: float, about: str, level: str, event: str, /, **details: object) -> None:
        """Log an event; ``about`` is what its repetitions have in common, such as an address."""
        key = (event, about)
        tally = self._tallies.get(key)
        if tally is None:
            if len(self._tallies) >= THINGS:
                key = (event, "others")
            tally = self._tallies.setdefault(key, _Tally(now))
        if tally.lines < self.lines:
            tally.lines += 1
            self._log(level, event, **details)
        else:
            tally.suppressed += 1

    def tick(self, now: float) -> None:
        """Sum up what was not logged; to be called about once a second."""
        for key, tally in list(self._tallies.items()):
            if now < tally.begun + WINDOW:
                continue
            del self._tallies[key]
            if tally.suppressed:
                event, about = key
                self._log("warning", f"{event}, repeatedly", about=about, not_logged=tally.suppressed)
