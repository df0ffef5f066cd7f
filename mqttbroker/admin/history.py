"""What a broker's figures were: every second of the last quarter of an hour, and every minute of the last day.

A history is arrays of numbers of one size, made once. What is not known at a time is NaN. The coarse ring has the means
of the fine one, of times (``PEAKS``) the greatest; a minute is there when it is over.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from math import isnan, nan
from typing import Final

__all__ = ["FINE", "SERIES", "History", "Stretch"]

SERIES: Final = (
    "connections",
    "sessions",
    "queued",
    "memory",
    "store_size",
    "received",
    "sent",
    "received_bytes",
    "sent_bytes",
    "dropped",
    "loop_lag",
    "commit_latency",
)
"""What is kept of each time; ``docs/api.md`` tells what they are."""
PEAKS: Final = frozenset({"loop_lag", "commit_latency"})
FINE: Final = (1.0, 900)
"""Seconds between two samples, and how many there are."""
COARSE: Final = (60.0, 1_440)


@dataclass(frozen=True, slots=True)
class Stretch:
    """Samples in their order."""

    step: float
    """Seconds between two of them, about."""
    at: array[float]
    """Seconds since the epoch."""
    series: Mapping[str, array[float]]


class _Ring:
    """The last so many samples."""

    def __init__(self, step: float, length: int) -> None:
        self.step = step
        self._length = length
        self._at: array[float] = array("d", [nan]) * length
        self._columns: dict[str, array[float]] = {name: array("f", [nan]) * length for name in SERIES}
        self._next = 0
        self._held = 0

    def add(self, at: float, values: Mapping[str, float]) -> None:
        place = self._next
        # As it is shown, so that whoever asks for what came after it does not get it again.
        self._at[place] = round(at, 3)
        for name, column in self._columns.items():
            column[place] = values.get(name, nan)
        self._next = (place + 1) % self._length
        self._held = min(self._held + 1, self._length)

    def since(self, time: float) -> Stretch:
        """Those that are younger than that."""
        begin = self._next - self._held
        while begin < self._next and self._at[begin] <= time:
            begin += 1
        return Stretch(
            self.step,
            self._slice(self._at, begin),
            {name: self._slice(each, begin) for name, each in self._columns.items()},
        )

    def _slice(self, column: array[float], begin: int) -> array[float]:
        if begin < 0:
            return column[begin:] + column[: self._next]
        return column[begin : self._next]


class History:
    """The figures of one broker over time. Takes about 120 KB, whatever happens."""

    def __init__(self) -> None:
        self._fine = _Ring(*FINE)
        self._coarse = _Ring(*COARSE)
        self._minute: float | None = None
        self._sums: dict[str, tuple[float, int]] = {}

    def add(self, at: float, values: Mapping[str, float]) -> None:
        """Keep the figures of this second; those that are missing, or NaN, are not known."""
        self._fine.add(at, values)
        if self._minute is None:
            self._minute = at
        elif at >= self._minute + COARSE[0]:
            self._coarse.add(at, self._means())
            self._minute, self._sums = at, {}
        for name, value in values.items():
            if not isnan(value):
                total, count = self._sums.get(name, (0.0, 0))
                self._sums[name] = (max(total, value), 1) if name in PEAKS else (total + value, count + 1)

    def _means(self) -> dict[str, float]:
        return {name: total / count for name, (total, count) in self._sums.items()}

    def last(self, seconds: float, now: float, after: float = 0.0) -> Stretch:
        """The last so many seconds, as fine as they are kept; of those only what came after a time."""
        ring = self._fine if seconds <= FINE[0] * FINE[1] else self._coarse
        return ring.since(max(now - seconds, after))
