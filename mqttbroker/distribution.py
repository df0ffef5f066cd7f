"""How a quantity is spread: how often it was at most each of some bounds."""

from __future__ import annotations

from bisect import bisect_left

__all__ = ["Distribution"]


class Distribution:
    """How often a number of seconds was at most each of some bounds. One thread adds; others may look meanwhile."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds: tuple[float, ...] = bounds
        self.counts: list[int] = [0] * (len(bounds) + 1)
        """By bound, each without those below it; the last is of those above all bounds."""
        self.total: float = 0.0

    def add(self, seconds: float) -> None:
        """Count one more."""
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.total += seconds

    @property
    def count(self) -> int:
        """How many there were."""
        return sum(self.counts)

    def above(self, bound: float) -> int:
        """How many were above one of the bounds."""
        return sum(self.counts[self.bounds.index(bound) + 1 :])
