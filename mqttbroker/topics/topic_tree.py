"""The topic tree: which topic names a filter matches; the subscription tree the other way round.

Purpose. Values are kept by topic name and found by topic filter. It serves the retained messages (a new subscription
asks for all that it matches) and the cached routes (a changed subscription asks which it concerns).

Rules. A value is read by its name from one flat dictionary. The tree of levels leads to names only, and is asked only
for filters with wildcards. A leaf of the tree is a topic name; how leaves become nodes is told in ``_node.py``. Nothing
recurses.

Walking while the tree changes. `TopicTree.match` is lazy and may be paused for as long as one likes, or dropped.
It copies the list of branches of a node when it comes to it, and reads the value of a topic at the moment it gives it
out. Therefore: a topic that was there from the first step to the last is given out exactly once, with the value it has
at that moment; one taken out before its turn is not given out; one that came (or went and came back) meanwhile may or
may not be, but never twice. Nothing is ever raised.

Invariants. A node is there only while a topic ends at it or below it: an emptied tree is as it was when it was new.

Deliberately absent: checks of names and filters, expiry, order. Not safe for threads.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

from mqttbroker.topics._node import Node, prune
from mqttbroker.topics.names import filter_matches, is_wildcard

__all__ = ["TopicTree"]

V = TypeVar("V")


def _step(node: Node[str], level: str, at_root: bool) -> list[Node[str] | str]:
    """A new list of the branches that one level of a filter leads to, ``#`` being taken as ``+``."""
    if level == "+" or level == "#":
        return node.ordinary_branches() if at_root else node.branches()  # [MQTT-4.7.2-1]
    branch = node.branch(level)
    return [] if branch is None else [branch]


class TopicTree(Generic[V]):
    """Values by topic name, found by topic filter. A value is anything but None; names and filters are well formed."""

    __slots__ = ("_root", "_values")

    def __init__(self) -> None:
        self._values: dict[str, V] = {}
        self._root: Node[str] = Node()

    def __len__(self) -> int:
        """The number of topics."""
        return len(self._values)

    def set(self, topic: str, value: V) -> None:
        """Set the value of a topic."""
        if topic not in self._values:
            self._plant(topic)
        self._values[topic] = value

    def _plant(self, topic: str) -> None:
        node = self._root
        burst_levels: list[str] = []
        for depth, level in enumerate(topic.split("/"), 1):
            branch = node.branch(level)
            if branch is None:
                node.attach(level, topic)
                return
            if isinstance(branch, str):
                # The leaf now goes down with the new one, and as no other is met there, it is split only once.
                if not burst_levels:
                    burst_levels = branch.split("/")
                branch = node.burst(level, branch, burst_levels, depth)
            node = branch
        node.value = topic

    def get(self, topic: str) -> V | None:
        """The value of a topic, None when it has none."""
        return self._values.get(topic)

    def pop(self, topic: str) -> V | None:
        """Take out a topic and return its value, None when it has none."""
        value = self._values.pop(topic, None)
        if value is None:
            return None
        path: list[tuple[Node[str], str]] = []
        node = self._root
        for level in topic.split("/"):
            branch = node.branch(level)
            assert branch is not None
            if isinstance(branch, str):
                node.cut(level)
                break
            path.append((node, level))
            node = branch
        else:
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
        # Each frame holds branches yet to be visited and the position of the filter level that led to them.
        frames: list[tuple[Iterator[Node[str] | str], int]] = [(iter(_step(self._root, levels[0], True)), 0)]
        while frames:
            branches, at = frames[-1]
            branch = next(branches, None)
            if branch is None:
                frames.pop()
                continue
            topic: str | None
            if isinstance(branch, str):
                topic = branch if levels[at] == "#" or filter_matches(topic_filter, branch) else None
            else:
                deep = levels[at] == "#"
                if not deep and at < last:
                    at += 1
                    deep = levels[at] == "#"  # The level above '#' belongs to it.
                    topic = branch.value if deep else None
                    frames.append((iter(_step(branch, levels[at], False)), at))
                else:
                    topic = branch.value
                    if deep:
                        frames.append((iter(branch.branches()), at))
            if topic is not None:
                value = values.get(topic)
                if value is not None:
                    yield topic, value

    # Level by level. A prefix is "" for all topics, and else the beginning of topics up to and with a slash.

    def level_names(self, prefix: str) -> list[str]:
        """A new list of the levels that follow a prefix, in no particular order."""
        below = self._below(prefix)
        if below is None:
            return []
        if isinstance(below, str):
            return [below[len(prefix) :].partition("/")[0]]
        return below.level_names()

    def goes_on(self, topic: str) -> bool:
        """Whether there are topics below this one."""
        below = self._below(topic + "/")
        return below is not None and (isinstance(below, str) or below.width() > 0)

    def _below(self, prefix: str) -> Node[str] | str | None:
        """The node that a prefix leads to, or the one topic that begins with it."""
        node = self._root
        for level in prefix.split("/")[:-1]:
            branch = node.branch(level)
            if branch is None:
                return None
            if isinstance(branch, str):
                return branch if branch.startswith(prefix) else None
            node = branch
        return node

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
                # The branches are counted before they are copied, because there may be a million of them.
                if level == "+":
                    budget -= node.width()
                    if budget < 0:
                        return None
                branches = _step(node, level, at_root)
                if level != "+":
                    budget -= len(branches)
                for branch in branches:
                    if not isinstance(branch, str):
                        reached.append(branch)
                    elif filter_matches(topic_filter, branch):
                        found.append(self._values[branch])
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
                for branch in _step(node, "#", at_root):
                    if isinstance(branch, str):
                        found.append(self._values[branch])
                    else:
                        reached.append(branch)
            nodes = reached
            at_root = False
        return found

    def _collect(self, nodes: list[Node[str]], found: list[V]) -> None:
        for node in nodes:
            if node.value is not None:
                found.append(self._values[node.value])
