"""How often something may be tried, by somebody: buckets that fill again with time."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

__all__ = ["Tries"]

MOST_BUCKETS: Final = 10_000
"""Buckets that are not full; the one that was taken from longest ago is forgotten first."""


class Tries:
    """``most`` at once, and another one every ``seconds``. Times are in seconds on one clock."""

    def __init__(self, most: int, seconds: float) -> None:
        self._most = float(most)
        self._seconds = seconds
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, key: str, now: float) -> float:
        """Seconds until the next try; 0 or less: it may be now."""
        return (1.0 - self._level(key, now)) * self._seconds

    def take(self, key: str, now: float) -> None:
        """Count a try."""
        self._buckets[key] = (self._level(key, now) - 1.0, now)
        self._buckets.move_to_end(key)
        while len(self._buckets) > MOST_BUCKETS:
            self._buckets.popitem(last=False)

    def forgive(self, key: str) -> None:
        """Forget the tries so far."""
        self._buckets.pop(key, None)

    def _level(self, key: str, now: float) -> float:
        level, at = self._buckets.get(key, (self._most, now))
        return min(self._most, level + (now - at) / self._seconds)
