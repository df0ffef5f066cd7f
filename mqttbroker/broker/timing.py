"""One coarse timing wheel for every deadline of the broker.

A deadline is not moved each time a packet arrives: whoever is called looks whether it is really due, and says when to
call again. So a packet costs nothing here, and a connection costs one entry.

Times are rounded up to whole ticks of one second; nothing is ever called early. One that fails is reported, and keeps
no other from being called.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from heapq import heappop, heappush
from math import ceil

__all__ = ["Due", "TimingWheel"]

Due = Callable[[float], float]
"""Called with the time when its deadline has come; returns its next deadline, or 0.0 for none."""


class TimingWheel:
    """Deadlines in buckets of one second; one deadline for each key.

    ``failed`` is called with the key and the exception when what is due raises one; its deadline is then forgotten.
    """

    __slots__ = ("_buckets", "_failed", "_ticks", "_where")

    def __init__(self, failed: Callable[[Hashable, Exception], None]) -> None:
        self._failed: Callable[[Hashable, Exception], None] = failed
        self._buckets: dict[int, dict[Hashable, Due]] = {}
        self._ticks: list[int] = []
        self._where: dict[Hashable, int] = {}

    def add(self, key: Hashable, deadline: float, due: Due) -> None:
        """Call ``due`` at the first :meth:`advance` that is not before ``deadline``; replaces the key's earlier
        deadline.
        """
        self.cancel(key)
        tick = ceil(deadline)
        bucket = self._buckets.get(tick)
        if bucket is None:
            bucket = self._buckets[tick] = {}
            heappush(self._ticks, tick)
        bucket[key] = due
        self._where[key] = tick

    def cancel(self, key: Hashable) -> None:
        """Forget the key's deadline. No error where it has none."""
        tick = self._where.pop(key, None)
        if tick is not None:
            self._buckets[tick].pop(key, None)

    def advance(self, now: float) -> None:
        """Call everything that is due."""
        while self._ticks and self._ticks[0] <= now:
            tick = heappop(self._ticks)
            bucket = self._buckets[tick]
            while bucket:
                key, due = bucket.popitem()
                del self._where[key]
                try:
                    again = due(now)
                except Exception as error:
                    self._failed(key, error)
                    continue
                if again:
                    self.add(key, max(again, tick + 1), due)
            del self._buckets[tick]

    def __len__(self) -> int:
        return len(self._where)
