"""The subscription tree: which subscriptions match a topic.

Purpose. Entries are kept by (topic filter, holder) and found by topic name. A filter without wildcards is found in one
flat dictionary, whatever the number of its levels; only filters with wildcards are in a tree of levels, with named
slots for ``+`` and ``#``. The cost of `SubscriptionTree.match` follows the paths of the tree that the topic leads
down, never the number of subscriptions.

A leaf of the tree is the entry of a filter, or `Several` of them; how leaves become nodes is told in ``_node.py``. The
entry knows its filter and its holder, so that for one subscription there is no object but this and its place.

Rules. ``#`` also matches the level above it. A topic that opens with ``$`` is not matched by a filter that opens with a
wildcard. Nothing recurses, so depth costs memory only.

Invariants. A node is there only while something ends at it or below it: when the last subscription goes, the tree is as
it was when it was new. `Several` are two at least.

Deliberately absent: checks of the filters (see `mqttbroker.topics.names`), shared subscriptions (a
`mqttbroker.topics.shared.SharedGroup` is a holder like any other, added under its filter without the share prefix),
overlap (a holder with three matching filters is found three times), and caching
(`mqttbroker.topics.routes`). Not safe for threads; every call is atomic between awaits.
"""

from __future__ import annotations

from typing import Generic, TypeVar

from mqttbroker.topics._node import Node, prune
from mqttbroker.topics.names import is_wildcard

__all__ = ["Entry", "SubscriptionTree"]


class Entry:
    """What the tree keeps: something with a topic filter, without ``$share/<group>/``, and a holder.

    A holder is any hashable object, best one that is hashed by identity, and has one entry for a filter. Neither is
    changed while the entry is in a tree, but that equal filters become one string.
    """

    __slots__ = ("holder", "topic_filter")

    def __init__(self, topic_filter: str, holder: object) -> None:
        self.topic_filter: str = topic_filter
        self.holder: object = holder


S = TypeVar("S", bound=Entry)


class Several(Generic[S]):
    """The entries of one topic filter by their holders, two or more.

    A million filters have one subscriber each, and there the entry itself is the leaf.
    """

    __slots__ = ("entries", "topic_filter")

    def __init__(self, first: S, second: S) -> None:
        self.topic_filter: str = first.topic_filter
        self.entries: dict[object, S] = {first.holder: first, second.holder: second}


def _joined(leaf: S | Several[S], entry: S) -> tuple[S | Several[S], S | None]:
    """Add an entry to those of its filter, or replace its holder's: what is the leaf now, and what was replaced."""
    entry.topic_filter = leaf.topic_filter  # One string for all who subscribe to it.
    if isinstance(leaf, Several):
        replaced = leaf.entries.get(entry.holder)
        leaf.entries[entry.holder] = entry
        return leaf, replaced
    if leaf.holder == entry.holder:
        return entry, leaf
    return Several(leaf, entry), None


def _parted(leaf: S | Several[S], holder: object) -> tuple[S | Several[S] | None, S | None]:
    """Take out the holder's entry: what is the leaf now, and what was taken out."""
    if isinstance(leaf, Several):
        removed = leaf.entries.pop(holder, None)
        if len(leaf.entries) > 1:
            return leaf, removed
        (left,) = leaf.entries.values()
        return left, removed
    if leaf.holder == holder:
        return None, leaf
    return leaf, None


def _collect(leaf: S | Several[S], found: list[S]) -> None:
    """Append all entries of a leaf to a list."""
    if isinstance(leaf, Several):
        found.extend(leaf.entries.values())
    else:
        found.append(leaf)


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
    """Entries by (topic filter, holder), found by topic name. Filters and topics must be well formed."""

    __slots__ = ("_exact", "_root", "_size")

    def __init__(self) -> None:
        self._exact: dict[str, S | Several[S]] = {}
        self._root: Node[S | Several[S]] = Node()
        self._size = 0

    def __len__(self) -> int:
        """The number of entries."""
        return self._size

    def add(self, entry: S) -> S | None:
        """Add an entry; return the one with the same filter and holder that it replaced."""
        topic_filter = entry.topic_filter
        replaced: S | None = None
        if is_wildcard(topic_filter):
            replaced = self._add_wildcard(entry)
        else:
            leaf = self._exact.get(topic_filter)
            if leaf is None:
                self._exact[topic_filter] = entry
            else:
                self._exact[topic_filter], replaced = _joined(leaf, entry)
        if replaced is None:
            self._size += 1
        return replaced

    def _add_wildcard(self, entry: S) -> S | None:
        topic_filter = entry.topic_filter
        node = self._root
        replaced: S | None = None
        burst_levels: list[str] = []
        for depth, level in enumerate(topic_filter.split("/"), 1):
            if level == "#":
                if node.hash is None:
                    node.hash = entry
                else:
                    node.hash, replaced = _joined(node.hash, entry)
                return replaced
            branch = node.branch(level)
            if branch is None:
                node.attach(level, entry)
                return None
            if not isinstance(branch, Node):
                if branch.topic_filter == topic_filter:
                    leaf, replaced = _joined(branch, entry)
                    node.attach(level, leaf)
                    return replaced
                # The leaf now goes down with the new one, and as no other is met there, it is split only once.
                if not burst_levels:
                    burst_levels = branch.topic_filter.split("/")
                branch = node.burst(level, branch, burst_levels, depth)
            node = branch
        if node.value is None:
            node.value = entry
        else:
            node.value, replaced = _joined(node.value, entry)
        return replaced

    def remove(self, topic_filter: str, holder: object) -> S | None:
        """Remove the holder's entry for a filter and return it; None when there was none."""
        removed: S | None = None
        if is_wildcard(topic_filter):
            removed = self._remove_wildcard(topic_filter, holder)
        else:
            leaf = self._exact.get(topic_filter)
            if leaf is not None:
                left, removed = _parted(leaf, holder)
                if left is None:
                    del self._exact[topic_filter]
                elif left is not leaf:
                    self._exact[topic_filter] = left
        if removed is not None:
            self._size -= 1
        return removed

    def _remove_wildcard(self, topic_filter: str, holder: object) -> S | None:
        path: list[tuple[Node[S | Several[S]], str]] = []
        node = self._root
        for level in topic_filter.split("/"):
            if level == "#":
                if node.hash is None:
                    return None
                node.hash, removed = _parted(node.hash, holder)
                break
            branch = node.branch(level)
            if branch is None:
                return None
            if not isinstance(branch, Node):
                if branch.topic_filter != topic_filter:
                    return None
                left, removed = _parted(branch, holder)
                if left is None:
                    node.cut(level)
                elif left is not branch:
                    node.attach(level, left)
                break
            path.append((node, level))
            node = branch
        else:
            if node.value is None:
                return None
            node.value, removed = _parted(node.value, holder)
        prune(path, node)
        return removed

    def match(self, topic: str) -> list[S]:
        """A new list of the entries of every filter that matches the topic name, in no particular order."""
        found: list[S] = []
        leaf = self._exact.get(topic)
        if leaf is not None:
            _collect(leaf, found)
        if not self._root.is_bare():
            self._match_wildcards(topic, found)
        return found

    def _match_wildcards(self, topic: str, found: list[S]) -> None:
        nodes = [self._root]
        # A topic that opens with '$' leaves the root by its literal level alone. [MQTT-4.7.2-1]
        barred = topic.startswith("$")
        levels = topic.split("/")
        for depth, level in enumerate(levels, 1):
            reached: list[Node[S | Several[S]]] = []
            for node in nodes:
                if not barred:
                    if node.hash is not None:
                        _collect(node.hash, found)
                    branch = node.plus
                    if branch is not None:
                        if isinstance(branch, Node):
                            reached.append(branch)
                        elif _rest_matches(branch.topic_filter, levels, depth):
                            _collect(branch, found)
                if node.children is not None:
                    branch = node.children.get(level)
                else:
                    branch = node.only if node.only_level == level else None
                if branch is not None:
                    if isinstance(branch, Node):
                        reached.append(branch)
                    elif _rest_matches(branch.topic_filter, levels, depth):
                        _collect(branch, found)
            if not reached:
                return
            nodes = reached
            barred = False
        for node in nodes:
            if node.value is not None:
                _collect(node.value, found)
            if node.hash is not None:
                _collect(node.hash, found)  # '#' includes the level above it.
