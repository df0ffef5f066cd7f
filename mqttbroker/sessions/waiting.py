"""Since when messages wait for a client.

A message does not say when it came, and the store does not either: each would pay for it. A session notes when its
queue began to fill and when the last message joined it. What came in between is estimated by its place, which is exact
for the first and the last. Nothing is known of what waited before the broker was started.
"""

from __future__ import annotations

__all__ = ["Waiting"]


class Waiting:
    """What one queue notes, from when nothing waited. Times are in seconds since the epoch, 0.0 where not known."""

    __slots__ = ("first", "first_at", "last", "last_at", "whole")

    def __init__(self, sequence: int, now: float, whole: bool = True) -> None:
        self.first: int = sequence
        self.first_at: float = now
        self.last: int = sequence
        self.last_at: float = now
        self.whole: bool = whole
        """Whether nothing waits that came before ``first``."""

    def joined(self, sequence: int, now: float) -> None:
        """Another message waits."""
        self.last = sequence
        self.last_at = now

    def came_at(self, sequence: int) -> float:
        """About when a message came."""
        if sequence < self.first or sequence > self.last:
            return 0.0
        if self.last == self.first:
            return self.first_at
        return self.first_at + (self.last_at - self.first_at) * (sequence - self.first) / (self.last - self.first)
