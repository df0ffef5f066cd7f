"""One level of a tree over topic levels; the subscription tree and the topic tree are both built of it.

Most nodes of a real tree have no child or one (``devices/<id>/temperature``), and a dictionary costs more than twice
what a node does. So a single child sits in the slot ``only``, and a dictionary exists from two children on. A node
knows nothing of its parent: whoever takes something out keeps the path on the way down.

Invariant: ``children`` is None or holds at least two nodes, and then ``only`` is None.
"""

from __future__ import annotations

from typing import Generic, TypeVar

__all__ = ["Node", "prune"]

T = TypeVar("T")


class Node(Generic[T]):
    """A level with what ends here (``value``) and what goes on: named slots for the wildcards, children for the rest.

    The value of ``hash`` has no node of its own, because nothing may follow a ``#``.
    """

    __slots__ = ("children", "hash", "level", "only", "plus", "value")

    def __init__(self, level: str) -> None:
        self.level = level
        self.value: T | None = None
        self.hash: T | None = None
        self.plus: Node[T] | None = None
        self.only: Node[T] | None = None
        self.children: dict[str, Node[T]] | None = None

    def child(self, level: str) -> Node[T] | None:
        """The child for a literal level."""
        if self.children is not None:
            return self.children.get(level)
        only = self.only
        return only if only is not None and only.level == level else None

    def grow(self, level: str) -> Node[T]:
        """The child for a literal level, made when it is not there."""
        child = self.child(level)
        if child is not None:
            return child
        child = Node(level)
        if self.children is not None:
            self.children[level] = child
        elif self.only is not None:
            self.children = {self.only.level: self.only, level: child}
            self.only = None
        else:
            self.only = child
        return child

    def cut(self, level: str) -> None:
        """Take out the child for a level, which must be there; ``+`` empties the slot ``plus``."""
        if level == "+":
            self.plus = None
        elif self.children is None:
            self.only = None
        else:
            del self.children[level]
            if len(self.children) == 1:
                (self.only,) = self.children.values()
                self.children = None

    def width(self) -> int:
        """How many children there are for literal levels."""
        if self.children is not None:
            return len(self.children)
        return 0 if self.only is None else 1

    def branches(self) -> list[Node[T]]:
        """A new list of the children for literal levels."""
        if self.children is not None:
            return list(self.children.values())
        return [] if self.only is None else [self.only]

    def is_bare(self) -> bool:
        """Whether nothing ends here and nothing goes on, so that the node is to be pruned."""
        return (
            self.value is None
            and self.only is None
            and self.children is None
            and self.plus is None
            and self.hash is None
        )


def prune(path: list[Node[T]], node: Node[T]) -> None:
    """Cut ``node`` and then its ancestors, nearest last in ``path``, as far up as they are bare."""
    while path and node.is_bare():
        parent = path.pop()
        parent.cut(node.level)
        node = parent
