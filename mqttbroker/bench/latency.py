"""Times of many events, in little memory: counted in classes that are less than one percent wide."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

__all__ = ["PERCENTILES", "Latencies"]

PERCENTILES: Final = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}

_BITS: Final = 7
"""Binary digits of a time that are kept."""


class Latencies:
    """How often there was which time. Times are whole nanoseconds, and less than none counts as none."""

    def __init__(self) -> None:
        self.counts: dict[int, int] = {}
        self.most = 0
        """The longest time, exactly."""

    def add(self, nanoseconds: int) -> None:
        """Count one."""
        if nanoseconds > self.most:
            self.most = nanoseconds
        elif nanoseconds < 0:
            nanoseconds = 0
        cut = nanoseconds.bit_length() - _BITS
        if cut > 0:
            nanoseconds = nanoseconds >> cut << cut
        self.counts[nanoseconds] = self.counts.get(nanoseconds, 0) + 1

    def clear(self) -> None:
        """Forget everything."""
        self.counts.clear()
        self.most = 0

    def merge(self, others: Iterable[Latencies]) -> None:
        """Count what others have counted."""
        for other in others:
            self.most = max(self.most, other.most)
            for nanoseconds, count in other.counts.items():
                self.counts[nanoseconds] = self.counts.get(nanoseconds, 0) + count

    def percentiles(self) -> dict[str, float] | None:
        """The times in seconds that so many were not above, and the longest; ``None`` where there were none."""
        total = sum(self.counts.values())
        if not total:
            return None
        found: dict[str, float] = {}
        wanted = list(PERCENTILES.items())
        seen = 0
        for nanoseconds in sorted(self.counts):
            seen += self.counts[nanoseconds]
            while wanted and seen >= wanted[0][1] * total:
                found[wanted.pop(0)[0]] = nanoseconds / 1e9
        found["max"] = self.most / 1e9
        return found
