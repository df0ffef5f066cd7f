"""Long lists, page by page, while they change.

The names of a list are sorted once for many pages. Where a page ends is told by the last name on it and not by its
place, so that a list may be sorted anew between two pages: what is there from the first page to the last is on exactly
one of them, if its rank does not change. A list too long to be sorted without a pause for everybody else is gone
through in the order in which its entries came.

Cost. A list of a few names is sorted for each page. A longer one is sorted anew when it is older than `PACE` allows, so
that a hundred thousand names cost one sort in ten seconds. `Orders.forget` frees what nobody asks for any more.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Iterator

__all__ = ["LIFE", "Order", "Orders", "Place", "decoded", "encoded"]

FEW = 1_000
"""Names that are sorted for each page."""
SORTED = 200_000
"""Names from which on they are not sorted any more."""
PACE = 10_000
"""Names sorted in a second, on average."""
KEPT = 8
"""Orders kept at the same time."""
LIFE = 60.0
"""Seconds for which an order is kept that nobody asks for."""
FAR = 2.0**53
"""No number in a cursor comes near it."""

Rank = Callable[[str], float]


class Place:
    """Where a page begins: behind the entry with this name, rank and position."""

    __slots__ = ("name", "position", "rank")

    def __init__(self, name: str, rank: float, position: int) -> None:
        self.name: str = name
        self.rank: float = rank
        self.position: int = position


class Order:
    """The names of one list, in order."""

    __slots__ = ("asked", "made", "names", "ordered", "ranks")

    def __init__(self, found: Collection[str], rank: Rank | None, now: float) -> None:
        names = list(found)
        self.made: float = now
        self.asked: float = now
        self.ordered: bool = len(names) <= SORTED
        self.names: list[str] = names
        self.ranks: list[float] | None = None
        """The rank of each name, rising; ``None`` where the names themselves are the order."""
        if not self.ordered:
            return
        names.sort()
        if rank is not None:
            by_name = [rank(name) for name in names]
            places = sorted(range(len(names)), key=by_name.__getitem__)
            self.names = [names[place] for place in places]
            self.ranks = [by_name[place] for place in places]

    def walk(self, after: Place | None, descending: bool) -> Iterator[Place]:
        """The entries behind a place, from the first on where there is none. ``descending`` goes the other way."""
        names = self.names
        if descending and self.ordered:
            start = len(names) if after is None else self._before(after)
            places = range(start - 1, -1, -1)
        else:
            places = range(0 if after is None else self._behind(after), len(names))
        ranks = self.ranks
        for place in places:
            yield Place(names[place], 0.0 if ranks is None else ranks[place], place)

    def _behind(self, after: Place) -> int:
        names = self.names
        if not self.ordered:
            at = after.position
            if at < len(names) and names[at] == after.name:
                return at + 1
            try:
                return names.index(after.name) + 1
            except ValueError:
                return min(max(at, 0), len(names))
        low, high = self._equals(after.rank)
        return bisect_right(names, after.name, low, high)

    def _before(self, after: Place) -> int:
        low, high = self._equals(after.rank)
        return bisect_left(self.names, after.name, low, high)

    def _equals(self, rank: float) -> tuple[int, int]:
        """The entries with this rank, within which the names rise."""
        if self.ranks is None:
            return 0, len(self.names)
        return bisect_left(self.ranks, rank), bisect_right(self.ranks, rank)


class Orders:
    """The orders that were asked for lately."""

    __slots__ = ("_orders",)

    def __init__(self) -> None:
        self._orders: dict[tuple[str, str], Order] = {}

    def __len__(self) -> int:
        return len(self._orders)

    def get(self, what: str, by: str, found: Collection[str], rank: Rank | None, now: float) -> Order:
        """The names in ``found``, as sorted now or a little earlier; ``what`` and ``by`` name the list and its order.

        Names that have gone since then are still in it.
        """
        key = (what, by)
        order = self._orders.pop(key, None)
        if order is None or len(found) <= FEW or now >= order.made + len(order.names) / PACE:
            order = Order(found, rank, now)
        order.asked = now
        if len(order.names) > FEW:
            while len(self._orders) >= KEPT:
                del self._orders[next(iter(self._orders))]
            self._orders[key] = order
        return order

    def forget(self, now: float) -> bool:
        """Let go of what nobody has asked for in a while; true if anything is left."""
        self._orders = {key: order for key, order in self._orders.items() if now < order.asked + LIFE}
        return bool(self._orders)


def encoded(*parts: str | int | float) -> str:
    """A cursor: text that says where to go on, in an alphabet that is safe in a URL."""
    return urlsafe_b64encode(json.dumps(parts, separators=(",", ":")).encode()).decode().rstrip("=")


def decoded(cursor: str, kinds: str) -> list[str | float]:
    """The parts of a cursor: "s" stands for text, "n" for a number. Raises :class:`ValueError`."""
    try:
        parts = json.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (NotBase64, ValueError, RecursionError):
        parts = None
    if not isinstance(parts, list) or "".join(map(_kind, parts)) != kinds:
        raise ValueError("cursor: expected one that came with the page before")
    return parts


def _kind(part: object) -> str:
    if isinstance(part, str):
        return "s"
    if isinstance(part, int | float) and not isinstance(part, bool) and -FAR < part < FAR:
        return "n"
    return "?"
