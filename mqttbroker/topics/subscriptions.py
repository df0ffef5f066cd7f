"""The subscription tree: which subscriptions match a topic.

Purpose. Entries are kept by (topic filter, holder) and found by topic name. A filter without wildcards is found in one
flat dictionary, whatever the number of its levels; only filters with wildcards are in a tree of levels, with named
slots for ``+`` and ``#``. The cost of `SubscriptionTree.match` follows the paths of the tree that the topic leads
down, never the number of subscriptions.

A leaf of the tree is `Entries`; how leaves become nodes is told in ``_node.py``.

Rules. ``#`` also matches the level above it. A topic that opens with ``$`` is not matched by a filter that opens with a
wildcard. Nothing recurses, so depth costs memory only.

Invariants. A node is there only while something ends at it or below it: when the last subscription goes, the tree is as
it was when it was new. `Entries` is never empty.

Deliberately absent: checks of the filters (see `mqttbroker.topics.names`), shared subscriptions (a
`mqttbroker.topics.shared.SharedGroup` is a holder like any other, added under its filter without the share prefix),
overlap (a holder with three matching filters is found three times), and caching
(`mqttbroker.topics.routes`). Not safe for threads; every call is atomic between awaits.
"""

from __future__ import annotations

from typing import Generic, TypeVar

from mqttbroker.topics._node import Node, prune
from mqttbroker.topics.names import is_wildcard

__all__ = ["SubscriptionTree"]

S = TypeVar("S")


class Entries(Generic[S]):
    """The entries of one topic filter: the first one inline, and a dictionary by holder for the others.

    A million filters have one subscriber each, and a dictionary would cost four times as much as this object.
    Holders are told apart the way a dictionary does it.
    """

    __slots__ = ("entry", "holder", "more", "topic_filter")

    def __init__(self, topic_filter: str, holder: object, entry: S) -> None:
        self.topic_filter = topic_filter
        self.holder = holder
        self.entry = entry
        self.more: dict[object, S] | None = None

    def put(self, holder: object, entry: S) -> S | None:
        """Add or replace the holder's entry; return what it replaced."""
        if self.holder == holder:
            replaced = self.entry
            self.entry = entry
            return replaced
        if self.more is None:
            self.more = {holder: entry}
            return None
        former = self.more.get(holder)
        self.more[holder] = entry
        return former

    def collect(self, found: list[S]) -> None:
        """Append all entries to a list."""
        found.append(self.entry)
        if self.more is not None:
            found.extend(self.more.values())

    def take(self, holder: object) -> S | None:
        """Take out the holder's entry and return it; there must be more than one entry."""
        more = self.more
        assert more is not None
        if self.holder == holder:
            taken: S | None = self.entry
            self.holder, self.entry = more.popitem()
        else:
            taken = more.pop(holder, None)
        if not more:
            self.more = None
        return taken


def _rest_matches(topic_filter: str, levels: list[str], start: int) -> bool:
    """Whether a filter matches the levels of a topic, when it is known to match those before ``start``."""
    wanted = topic_filter.split("/")
    depth = len(levels)
    for at in range(start, len(wanted)):
        level = wanted[at]
        if level == "#":
            return True
        if at == depth or (level != "+" and level != levels[at]):
            return False
    return len(wanted) == depth


class SubscriptionTree(Generic[S]):
    """Subscriptions by (topic filter, holder), found by topic name.

    A holder is any hashable object, best one that is hashed by identity; an entry is anything but None. Filters and
    topics must be well formed, and filters are without ``$share/<group>/``.
    """

    __slots__ = ("_exact", "_root", "_size")

    def __init__(self) -> None:
        self._exact: dict[str, Entries[S]] = {}
        self._root: Node[Entries[S]] = Node()
        self._size = 0

    def __len__(self) -> int:
        """The number of (filter, holder) pairs."""
        return self._size

    def add(self, topic_filter: str, holder: object, entry: S) -> S | None:
        """Add the holder's entry for a filter; return the entry that it replaced."""
        replaced: S | None = None
        if not is_wildcard(topic_filter):
            entries = self._exact.get(topic_filter)
            if entries is None:
                self._exact[topic_filter] = Entries(topic_filter, holder, entry)
            else:
                replaced = entries.put(holder, entry)
        else:
            replaced = self._add_wildcard(topic_filter, holder, entry)
        if replaced is None:
            self._size += 1
        return replaced

    def _add_wildcard(self, topic_filter: str, holder: object, entry: S) -> S | None:
        node = self._root
        burst_levels: list[str] = []
        for depth, level in enumerate(topic_filter.split("/"), 1):
            if level == "#":
                if node.hash is not None:
                    return node.hash.put(holder, entry)
                node.hash = Entries(topic_filter, holder, entry)
                return None
            branch = node.branch(level)
            if branch is None:
                node.attach(level, Entries(topic_filter, holder, entry))
                return None
            if isinstance(branch, Entries):
                if branch.topic_filter == topic_filter:
                    return branch.put(holder, entry)
                # The leaf now goes down with the new one, and as no other is met there, it is split only once.
                if not burst_levels:
                    burst_levels = branch.topic_filter.split("/")
                branch = node.burst(level, branch, burst_levels, depth)
            node = branch
        if node.value is not None:
            return node.value.put(holder, entry)
        node.value = Entries(topic_filter, holder, entry)
        return None

    def remove(self, topic_filter: str, holder: object) -> S | None:
        """Remove the holder's entry for a filter and return it; None when there was none."""
        if not is_wildcard(topic_filter):
            entries = self._exact.get(topic_filter)
            if entries is None:
                return None
            if entries.more is not None:
                removed = entries.take(holder)
            elif entries.holder == holder:
                removed = entries.entry
                del self._exact[topic_filter]
            else:
                return None
        else:
            removed = self._remove_wildcard(topic_filter, holder)
        if removed is not None:
            self._size -= 1
        return removed

    def _remove_wildcard(self, topic_filter: str, holder: object) -> S | None:
        path: list[tuple[Node[Entries[S]], str]] = []
        node = self._root
        entries: Entries[S] | None = None
        level = ""
        for level in topic_filter.split("/"):
            if level == "#":
                entries = node.hash
                break
            branch = node.branch(level)
            if branch is None:
                return None
            if isinstance(branch, Entries):
                if branch.topic_filter != topic_filter:
                    return None
                entries = branch
                break
            path.append((node, level))
            node = branch
        else:
            entries = node.value
        if entries is None:
            return None
        if entries.more is not None:
            return entries.take(holder)
        if entries.holder != holder:
            return None
        if entries is node.value:
            node.value = None
        elif entries is node.hash:
            node.hash = None
        else:
            node.cut(level)
        prune(path, node)
        return entries.entry

    def match(self, topic: str) -> list[S]:
        """A new list of the entries of every filter that matches the topic name, in no particular order."""
        found: list[S] = []
        entries = self._exact.get(topic)
        if entries is not None:
            entries.collect(found)
        if not self._root.is_bare():
            self._match_wildcards(topic, found)
        return found

    def _match_wildcards(self, topic: str, found: list[S]) -> None:
        nodes = [self._root]
        # A topic that opens with '$' leaves the root by its literal level alone. [MQTT-4.7.2-1]
        barred = topic.startswith("$")
        levels = topic.split("/")
        for depth, level in enumerate(levels, 1):
            reached: list[Node[Entries[S]]] = []
            for node in nodes:
                if not barred:
                    if node.hash is not None:
                        node.hash.collect(found)
                    branch = node.plus
                    if branch is not None:
                        if not isinstance(branch, Entries):
                            reached.append(branch)
                        elif _rest_matches(branch.topic_filter, levels, depth):
                            branch.collect(found)
                if node.children is not None:
                    branch = node.children.get(level)
                else:
                    branch = node.only if node.only_level == level else None
                if branch is not None:
                    if not isinstance(branch, Entries):
                        reached.append(branch)
                    elif _rest_matches(branch.topic_filter, levels, depth):
                        branch.collect(found)
            if not reached:
                return
            nodes = reached
            barred = False
        for node in nodes:
            if node.value is not None:
                node.value.collect(found)
            if node.hash is not None:
                node.hash.collect(found)  # '#' includes the level above it.
