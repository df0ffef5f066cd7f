"""Long lists, page by page, while they change.

The names of a list are sorted once for many pages. Where a page ends is told by the last name on it and not by its
place, so that a list may be sorted anew between two pages: what is there from the first page to the last is on exactly
one of them, if its rank does not change. A list too long to be sorted without a pause for everybody else is gone
through in the order in which its entries came.

Cost. A list of a few names is sorted for each page. A longer one is sorted anew when it is older than `PACE` allows, so
that a hundred thousand names cost one sort in ten seconds. `Orders.sorting` does that sort in slices of `SLICE` names,
between which others have their turn; whoever does not ask for it has the sort at once. `Orders.forget` frees what
nobody asks for any more.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Iterator

__all__ = ["LIFE", "Order", "Orders", "Place", "Sorting", "decoded", "encoded"]

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
SLICE = 2_000
"""Names that one slice of a sort looks at, about."""
SAMPLES = 8
"""Names looked at for each part into which a list is divided; the more, the more alike they are in size."""
FAR = 2.0**53
"""No number in a cursor comes near it."""

Rank = Callable[[str], float]
"""What a list is ordered by, of a name; ``KeyError`` where it is not in the list any more."""
Key = tuple[float, str]


class Place:
    """Where a page begins: behind the entry with this name, rank and position."""

    __slots__ = ("name", "position", "rank")

    def __init__(self, name: str, rank: float, position: int) -> None:
        self.name: str = name
        self.rank: float = rank
        self.position: int = position


class Order:
    """The names of one list, in order; with ``built`` false not yet, and only :meth:`slices` may be called."""

    __slots__ = ("asked", "made", "names", "ordered", "ranks")

    def __init__(self, found: Collection[str], rank: Rank | None, now: float, built: bool = True) -> None:
        names = list(found)
        self.made: float = now
        self.asked: float = now
        self.ordered: bool = len(names) <= SORTED
        self.names: list[str] = names
        self.ranks: list[float] | None = None
        """The rank of each name, rising; ``None`` where the names themselves are the order."""
        if not built or not self.ordered:
            return
        if rank is None:
            names.sort()
        else:
            for _ in self.slices(rank, max(len(names), 1)):
                pass

    def slices(self, rank: Rank | None, size: int) -> Iterator[None]:
        """Sort, with a pause for others after every ``size`` names, more or less.

        The names are divided by some of them that are sorted before; then each part is sorted for itself. Names that
        have no rank any more are left out.
        """
        names, self.names = self.names, []
        if rank is not None:
            self.ranks = []
        if len(names) <= size:
            self._append(_keys(names, rank))
            return
        parts = len(names) // size + 1
        sample = _keys(names[:: max(len(names) // (parts * SAMPLES), 1)], rank)
        sample.sort()
        borders = sample[SAMPLES::SAMPLES]
        divided: list[list[Key]] = [[] for _ in range(len(borders) + 1)]
        for begin in range(0, len(names), size):
            yield
            for key in _keys(names[begin : begin + size], rank):
                divided[bisect_right(borders, key)].append(key)
        names.clear()
        divided.reverse()
        while divided:
            yield
            self._append(divided.pop())

    def _append(self, keys: list[Key]) -> None:
        keys.sort()
        self.names += [name for _, name in keys]
        if self.ranks is not None:
            self.ranks += [value for value, _ in keys]

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


class Sorting:
    """An order that is being made."""

    __slots__ = ("_slices", "order")

    def __init__(self, found: Collection[str], rank: Rank | None, now: float) -> None:
        self.order: Order = Order(found, rank, now, built=False)
        self._slices: Iterator[None] | None = self.order.slices(rank, SLICE) if self.order.ordered else None

    def advance(self) -> bool:
        """Do one slice of the work; false where none is left."""
        if self._slices is None:
            return False
        for _ in self._slices:
            return True
        self._slices = None
        return False


class Orders:
    """The orders that were asked for lately."""

    __slots__ = ("_orders", "_sorting")

    def __init__(self) -> None:
        self._orders: dict[tuple[str, str], Order] = {}
        self._sorting: dict[tuple[str, str], Sorting] = {}

    def __len__(self) -> int:
        return len(self._orders) + len(self._sorting)

    def get(self, what: str, by: str, found: Collection[str], rank: Rank | None, now: float) -> Order:
        """The names in ``found``, as sorted now or a little earlier; ``what`` and ``by`` name the list and its order.

        Names that have gone since then are still in it.
        """
        key = (what, by)
        order = self._orders.pop(key, None)
        if order is None or len(found) <= FEW or _is_old(order, now):
            order = Order(found, rank, now)
        self._keep(key, order, now)
        return order

    def sorting(self, what: str, by: str, found: Collection[str], rank: Rank | None, now: float) -> Sorting | None:
        """The slices of work to be done before :meth:`get` has an answer at once; ``None`` where there is none.

        All who ask for the same order meanwhile get the same work, so that it is done once.
        """
        key = (what, by)
        order = self._orders.get(key)
        if len(found) <= FEW or (order is not None and not _is_old(order, now)):
            return None
        sorting = self._sorting.get(key)
        if sorting is None:
            if len(self._sorting) >= KEPT:
                return None  # Others must be done before, or there is no end to the memory that this takes.
            sorting = self._sorting[key] = Sorting(found, rank, now)
        sorting.order.asked = now
        return sorting

    def done(self, what: str, by: str, sorting: Sorting, now: float) -> None:
        """The work is done."""
        key = (what, by)
        if self._sorting.get(key) is sorting:
            del self._sorting[key]
            sorting.order.made = now
            self._keep(key, sorting.order, now)

    def _keep(self, key: tuple[str, str], order: Order, now: float) -> None:
        order.asked = now
        if len(order.names) > FEW:
            self._orders.pop(key, None)
            while len(self._orders) >= KEPT:
                del self._orders[next(iter(self._orders))]
            self._orders[key] = order

    def forget(self, now: float) -> bool:
        """Let go of what nobody has asked for in a while; true if anything is left."""
        self._orders = {key: order for key, order in self._orders.items() if now < order.asked + LIFE}
        self._sorting = {key: each for key, each in self._sorting.items() if now < each.order.asked + LIFE}
        return bool(len(self))


def _is_old(order: Order, now: float) -> bool:
    return now >= order.made + len(order.names) / PACE


def _keys(names: list[str], rank: Rank | None) -> list[Key]:
    """Names with what they are ordered by."""
    if rank is None:
        return [(0.0, name) for name in names]
    keys: list[Key] = []
    for name in names:
        try:
            keys.append((rank(name), name))
        except KeyError:
            continue  # It has gone while the list was sorted.
    return keys


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
