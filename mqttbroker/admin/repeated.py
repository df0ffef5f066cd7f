"""What happens again and again: how often of late, about whom, and from where.

Each thing has a score: one for each time that it happens, which decays to a third in :data:`LASTING` seconds. It is
*repeated* from a score on, and until the score is far below that. Nothing grows without bound: of many things those
that happened longest ago are forgotten, and so are addresses.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from math import exp
from typing import Final

__all__ = ["Repeated", "Repetition"]

LASTING: Final = 60.0
"""Seconds."""
RELIEF: Final = 0.2
"""Part of the score from which on something is repeated, below which it is so no more."""
FORGOTTEN: Final = 0.1
"""Score below which what was not repeated is forgotten."""
MOST: Final = 1_000
"""Things that are remembered at one time."""
ADDRESSES: Final = 8


class Repetition:
    """One thing that happens."""

    __slots__ = ("addresses", "count", "detail", "repeated", "score", "seen")

    def __init__(self, now: float) -> None:
        self.score: float = 0.0
        self.seen: float = now
        self.count: int = 0
        """How often it has happened, since it was forgotten last."""
        self.repeated: bool = False
        self.addresses: dict[str, None] = {}
        """From where, the last few."""
        self.detail: str = ""
        """What is known of the last time."""


class Repeated:
    """Things of one kind, by name. ``enough`` is the score from which on one is repeated."""

    def __init__(self, enough: float) -> None:
        self._enough = enough
        self._things: OrderedDict[str, Repetition] = OrderedDict()

    def add(self, name: str, now: float, count: int = 1, addresses: tuple[str, ...] = (), detail: str = "") -> None:
        """It has happened, so many times."""
        thing = self._things.get(name)
        if thing is None:
            thing = self._things[name] = Repetition(now)
            if len(self._things) > MOST:
                self._things.popitem(last=False)
        else:
            self._things.move_to_end(name)
        # No more than twice what is enough, or an hour of it would be told of for long after it has ended.
        thing.score = min(_decayed(thing, now) + count, 2.0 * self._enough)
        thing.seen = now
        thing.count += count
        thing.detail = detail
        for each in addresses:
            thing.addresses.pop(each, None)
            thing.addresses[each] = None
        while len(thing.addresses) > ADDRESSES:
            del thing.addresses[next(iter(thing.addresses))]
        if thing.score >= self._enough - 0.5:  # So that enough within some seconds are enough.
            thing.repeated = True

    def repeated(self, now: float) -> Iterator[tuple[str, Repetition]]:
        """What happens again and again at this time. Forgets what has ended."""
        for name, thing in list(self._things.items()):
            if _decayed(thing, now) < (self._enough * RELIEF if thing.repeated else FORGOTTEN):
                del self._things[name]
            elif thing.repeated:
                yield name, thing


def _decayed(thing: Repetition, now: float) -> float:
    return thing.score * exp(min(0.0, thing.seen - now) / LASTING)
