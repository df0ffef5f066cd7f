"""The subscription tree: which subscriptions match a topic.

Purpose. Entries are kept by (topic filter, holder) and found by topic name. A filter without wildcards is found in one
flat dictionary, whatever the number of its levels; only filters with wildcards are in a tree of levels, with named
slots for ``+`` and ``#``. The cost of `SubscriptionTree.match` follows the paths of the tree that the topic leads
down, never the number of subscriptions.

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
    """The entries of one filter: the first one inline, and a dictionary by holder for the others.

    A million filters have one subscriber each, and a dictionary would cost four times as much as this object.
    Holders are told apart the way a dictionary does it.
    """

    __slots__ = ("entry", "holder", "more")

    def __init__(self, holder: object, entry: S) -> None:
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


class SubscriptionTree(Generic[S]):
    """Subscriptions by (topic filter, holder), found by topic name.

    A holder is any hashable object, best one that is hashed by identity; an entry is anything but None. Filters and
    topics must be well formed, and filters are without ``$share/<group>/``.
    """

    __slots__ = ("_exact", "_root", "_size")

    def __init__(self) -> None:
        self._exact: dict[str, Entries[S]] = {}
        self._root: Node[Entries[S]] = Node("")
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
                self._exact[topic_filter] = Entries(holder, entry)
            else:
                replaced = entries.put(holder, entry)
        else:
            replaced = self._add_wildcard(topic_filter, holder, entry)
        if replaced is None:
            self._size += 1
        return replaced

    def _add_wildcard(self, topic_filter: str, holder: object, entry: S) -> S | None:
        node = self._root
        for level in topic_filter.split("/"):
            if level == "#":
                if node.hash is not None:
                    return node.hash.put(holder, entry)
                node.hash = Entries(holder, entry)
                return None
            if level == "+":
                if node.plus is None:
                    node.plus = Node("+")
                node = node.plus
            else:
                node = node.grow(level)
        if node.value is not None:
            return node.value.put(holder, entry)
        node.value = Entries(holder, entry)
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
        path: list[Node[Entries[S]]] = []
        node = self._root
        deep = False
        for level in topic_filter.split("/"):
            if level == "#":
                deep = True
                break
            child = node.plus if level == "+" else node.child(level)
            if child is None:
                return None
            path.append(node)
            node = child
        entries = node.hash if deep else node.value
        if entries is None:
            return None
        if entries.more is not None:
            return entries.take(holder)
        if entries.holder != holder:
            return None
        if deep:
            node.hash = None
        else:
            node.value = None
        prune(path, node)
        return entries.entry

    def match(self, topic: str) -> list[S]:
        """A new list of the entries of every filter that matches the topic name, in no particular order."""
        found: list[S] = []
        entries = self._exact.get(topic)
        if entries is not None:
            found.append(entries.entry)
            if entries.more is not None:
                found.extend(entries.more.values())
        if not self._root.is_bare():
            self._match_wildcards(topic, found)
        return found

    def _match_wildcards(self, topic: str, found: list[S]) -> None:
        hits: list[Entries[S]] = []
        nodes = [self._root]
        # A topic that opens with '$' leaves the root by its literal level alone. [MQTT-4.7.2-1]
        barred = topic.startswith("$")
        for level in topic.split("/"):
            reached: list[Node[Entries[S]]] = []
            for node in nodes:
                if not barred:
                    if node.hash is not None:
                        hits.append(node.hash)
                    if node.plus is not None:
                        reached.append(node.plus)
                if node.children is not None:
                    child = node.children.get(level)
                    if child is not None:
                        reached.append(child)
                elif node.only is not None and node.only.level == level:
                    reached.append(node.only)
            nodes = reached
            if not nodes:
                break
            barred = False
        for node in nodes:
            if node.value is not None:
                hits.append(node.value)
            if node.hash is not None:
                hits.append(node.hash)
        for entries in hits:
            found.append(entries.entry)
            if entries.more is not None:
                found.extend(entries.more.values())
