"""The topic tree: which topic names a filter matches; the subscription tree the other way round.

Purpose. Values are kept by topic name and found by topic filter. It serves the retained messages (a new subscription
asks for all that it matches) and the cached routes (a changed subscription asks which it concerns).

Rules. A value is read by its name from one flat dictionary. The tree of levels leads to names only, and is asked only
for filters with wildcards. Nothing recurses.

Walking while the tree changes. `TopicTree.match` is lazy and may be paused for as long as one likes, or dropped.
It copies the list of children of a node when it comes to it, and reads the value of a topic at the moment it gives it
out. Therefore: a topic that was there from the first step to the last is given out exactly once, with the value it has
at that moment; one taken out before its turn is not given out; one that came (or went and came back) meanwhile may or
may not be, but never twice. Nothing is ever raised.

Invariants. A node is there only while a topic ends at it or below it: an emptied tree is as it was when it was new. A
node names its topic exactly while that topic has a value, also when a walk still holds the node after it was cut.

Deliberately absent: checks of names and filters, expiry, order. Not safe for threads.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

from mqttbroker.topics._node import Node, prune
from mqttbroker.topics.names import is_wildcard

__all__ = ["TopicTree"]

V = TypeVar("V")


def _step(node: Node[str], level: str, at_root: bool) -> list[Node[str]]:
    """A new list of the children that one level of a filter leads to, ``#`` being taken as ``+``."""
    if level != "+" and level != "#":
        child = node.child(level)
        return [] if child is None else [child]
    branches = node.branches()
    if at_root:
        return [branch for branch in branches if not branch.level.startswith("$")]  # [MQTT-4.7.2-1]
    return branches


class TopicTree(Generic[V]):
    """Values by topic name, found by topic filter. A value is anything but None; names and filters are well formed."""

    __slots__ = ("_root", "_values")

    def __init__(self) -> None:
        self._values: dict[str, V] = {}
        # The value of a node is the name of the topic that ends there.
        self._root: Node[str] = Node("")

    def __len__(self) -> int:
        """The number of topics."""
        return len(self._values)

    def set(self, topic: str, value: V) -> None:
        """Set the value of a topic."""
        if topic not in self._values:
            node = self._root
            for level in topic.split("/"):
                node = node.grow(level)
            node.value = topic
        self._values[topic] = value

    def get(self, topic: str) -> V | None:
        """The value of a topic, None when it has none."""
        return self._values.get(topic)

    def pop(self, topic: str) -> V | None:
        """Take out a topic and return its value, None when it has none."""
        value = self._values.pop(topic, None)
        if value is None:
            return None
        path: list[Node[str]] = []
        node = self._root
        for level in topic.split("/"):
            path.append(node)
            child = node.child(level)
            assert child is not None
            node = child
        node.value = None
        prune(path, node)
        return value

    def match(self, topic_filter: str) -> Iterator[tuple[str, V]]:
        """Go lazily through the topics that a filter matches, as (topic, value), in no particular order.

        The module's docstring says what is seen of changes made meanwhile. One step takes time for the levels of the
        filter, for topics passed over on the way, and for copying the list of children of a node under a wildcard.
        """
        values = self._values
        if not is_wildcard(topic_filter):
            value = values.get(topic_filter)
            if value is not None:
                yield topic_filter, value
            return
        levels = topic_filter.split("/")
        last = len(levels) - 1
        # Each frame holds nodes yet to be visited and the position of the filter level that led to them.
        frames: list[tuple[Iterator[Node[str]], int]] = [(iter(_step(self._root, levels[0], True)), 0)]
        while frames:
            nodes, at = frames[-1]
            node = next(nodes, None)
            if node is None:
                frames.pop()
                continue
            deep = levels[at] == "#"
            if not deep and at < last:
                at += 1
                deep = levels[at] == "#"  # The level above '#' belongs to it.
                ends = deep
                frames.append((iter(_step(node, levels[at], False)), at))
            else:
                ends = True
                if deep:
                    frames.append((iter(node.branches()), at))
            topic = node.value
            if ends and topic is not None:
                yield topic, values[topic]

    def match_budget(self, topic_filter: str, budget: int) -> list[V] | None:
        """The values of the topics that a filter matches, or None when more than ``budget`` nodes would be visited.

        Visited is every node on the way, whether or not a topic ends there. Takes time for ``budget`` nodes at most.
        """
        nodes = [self._root]
        found: list[V] = []
        at_root = True
        for level in topic_filter.split("/"):
            if level == "#":
                return self._match_deep(nodes, at_root, budget, found)
            reached: list[Node[str]] = []
            for node in nodes:
                if level == "+":
                    # The children are counted before they are copied, because there may be a million of them.
                    budget -= node.width()
                    if budget < 0:
                        return None
                    reached.extend(_step(node, level, at_root))
                else:
                    child = node.child(level)
                    if child is not None:
                        budget -= 1
                        reached.append(child)
            if budget < 0:
                return None
            nodes = reached
            at_root = False
        self._collect(nodes, found)
        return found

    def _match_deep(self, nodes: list[Node[str]], at_root: bool, budget: int, found: list[V]) -> list[V] | None:
        """Collect the values at these nodes and below them, within what is left of the budget."""
        while nodes:
            self._collect(nodes, found)
            reached: list[Node[str]] = []
            for node in nodes:
                budget -= node.width()
                if budget < 0:
                    return None
                reached.extend(_step(node, "#", at_root))
            nodes = reached
            at_root = False
        return found

    def _collect(self, nodes: list[Node[str]], found: list[V]) -> None:
        for node in nodes:
            if node.value is not None:
                found.append(self._values[node.value])
