"""One level of a tree: children inline, in a dictionary, and inline again."""

from __future__ import annotations

from mqttbroker.topics._node import Node, prune


def levels(node: Node[str]) -> list[str]:
    """The levels of the children, sorted."""
    return sorted(branch.level for branch in node.branches())


def test_children() -> None:
    node: Node[str] = Node("")
    assert node.is_bare()
    assert (node.width(), node.branches(), node.child("a")) == (0, [], None)

    first = node.grow("a")
    assert node.grow("a") is first
    assert node.child("a") is first
    assert node.child("b") is None
    assert (node.width(), levels(node), node.children) == (1, ["a"], None)

    node.grow("b")
    third = node.grow("c")
    assert node.child("a") is first
    assert node.child("c") is third
    assert node.child("d") is None
    assert (node.width(), levels(node), node.only) == (3, ["a", "b", "c"], None)

    node.cut("b")
    node.cut("c")
    assert node.child("a") is first
    assert node.child("c") is None
    assert (node.width(), levels(node), node.children) == (1, ["a"], None)

    assert not node.is_bare()
    node.cut("a")
    assert node.is_bare()


def test_a_level_may_be_empty() -> None:
    node: Node[str] = Node("a")
    child = node.grow("")
    assert node.child("") is child
    node.cut("")
    assert node.is_bare()


def test_branches_is_a_copy() -> None:
    node: Node[str] = Node("")
    node.grow("a")
    node.grow("b")
    branches = node.branches()
    node.grow("c")
    node.cut("a")
    assert [branch.level for branch in branches] == ["a", "b"]


def test_prune_stops_at_the_first_node_in_use() -> None:
    root: Node[str] = Node("")
    used = root.grow("a")
    used.value = "value"
    plus: Node[str] = Node("+")
    used.plus = plus
    prune([root, used, plus], plus.grow("b"))
    assert root.child("a") is used
    assert used.branches() == []
    assert not used.is_bare()

    used.value = None
    used.hash = "value"
    prune([root], used)
    assert root.child("a") is used

    used.hash = None
    prune([root], used)
    assert root.is_bare()
