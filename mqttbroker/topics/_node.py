"""One branching point of a tree over topic levels; the subscription tree and the topic tree are both built of it.

Nodes are made late. A branch that leads to one leaf only is that leaf itself, which knows its whole filter or topic;
a node takes its place when a second leaf goes the same way (`Node.burst`). So a million filters ``devices/<id>/+``
are a million leaves in one dictionary, and not two million nodes more. Whoever comes to a leaf must therefore compare
what is left of it. A leaf never moves up again: a node lasts until nothing is below it.

A dictionary costs more than twice what a node does, so a single branch sits in the slot ``only``, and a dictionary
exists from two branches on. A node knows neither its level nor its parent: whoever takes something out keeps the path
on the way down.

Invariant: ``children`` is None or holds at least two branches, and then ``only`` is None.
"""

from __future__ import annotations

from typing import Generic, TypeVar

__all__ = ["Node", "prune"]

L = TypeVar("L")


class Node(Generic[L]):
    """What ends here (``value``) and what goes on: named slots for the wildcards, branches for literal levels.

    A branch, also that for ``+``, is a node or a leaf. What ends with ``#`` is always a leaf.
    """

    __slots__ = ("children", "hash", "only", "only_level", "plus", "value")

    def __init__(self) -> None:
        self.value: L | None = None
        self.hash: L | None = None
        self.plus: Node[L] | L | None = None
        self.only: Node[L] | L | None = None
        self.only_level = ""
        self.children: dict[str, Node[L] | L] | None = None

    def branch(self, level: str) -> Node[L] | L | None:
        """The branch for a level, which may be ``+``."""
        if level == "+":
            return self.plus
        if self.children is not None:
            return self.children.get(level)
        return self.only if self.only_level == level else None

    def attach(self, level: str, branch: Node[L] | L) -> None:
        """Set or replace the branch for a level, which may be ``+``."""
        if level == "+":
            self.plus = branch
        elif self.children is not None:
            self.children[level] = branch
        elif self.only is None or self.only_level == level:
            self.only_level = level
            self.only = branch
        else:
            self.children = {self.only_level: self.only, level: branch}
            self.only = None

    def cut(self, level: str) -> None:
        """Take out the branch for a level, which must be there and may be ``+``."""
        if level == "+":
            self.plus = None
        elif self.children is None:
            self.only = None
        else:
            del self.children[level]
            if len(self.children) == 1:
                ((self.only_level, self.only),) = self.children.items()
                self.children = None

    def burst(self, level: str, leaf: L, levels: list[str], depth: int) -> Node[L]:
        """Put a node in the place of the leaf that is the branch for a level, and the leaf below it; return the node.

        ``levels`` are those of the leaf, and ``depth`` is the number of them that lead to the new node.
        """
        node: Node[L] = Node()
        if depth == len(levels):
            node.value = leaf
        elif levels[depth] == "#":
            node.hash = leaf
        else:
            node.attach(levels[depth], leaf)
        self.attach(level, node)
        return node

    def width(self) -> int:
        """How many branches there are for literal levels."""
        if self.children is not None:
            return len(self.children)
        return 0 if self.only is None else 1

    def branches(self) -> list[Node[L] | L]:
        """A new list of the branches for literal levels."""
        if self.children is not None:
            return list(self.children.values())
        return [] if self.only is None else [self.only]

    def level_names(self) -> list[str]:
        """A new list of the literal levels that have a branch."""
        if self.children is not None:
            return list(self.children)
        return [] if self.only is None else [self.only_level]

    def ordinary_branches(self) -> list[Node[L] | L]:
        """A new list of the branches for literal levels that do not open with ``$``."""
        if self.children is not None:
            return [branch for level, branch in self.children.items() if not level.startswith("$")]
        return [] if self.only is None or self.only_level.startswith("$") else [self.only]

    def is_bare(self) -> bool:
        """Whether nothing ends here and nothing goes on, so that the node is to be pruned."""
        return (
            self.value is None
            and self.only is None
            and self.children is None
            and self.plus is None
            and self.hash is None
        )


def prune(path: list[tuple[Node[L], str]], node: Node[L]) -> None:
    """Cut ``node`` and then its ancestors as far up as they are bare.

    ``path`` has each ancestor with the level that leads on from it, the root first.
    """
    while path and node.is_bare():
        node, level = path.pop()
        node.cut(level)
