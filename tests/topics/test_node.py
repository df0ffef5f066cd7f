"""One branching point of a tree: branches inline, in a dictionary, and inline again; leaves that become nodes."""

from __future__ import annotations

import pytest

from mqttbroker.topics._node import Node, prune


def test_branches() -> None:
    node: Node[str] = Node()
    assert node.is_bare()
    assert (node.width(), node.branches(), node.branch("a"), node.branch("")) == (0, [], None, None)

    node.attach("a", "first")
    assert (node.branch("a"), node.branch("b")) == ("first", None)
    assert (node.width(), node.branches(), node.children) == (1, ["first"], None)
    node.attach("a", "other")
    assert (node.branch("a"), node.children) == ("other", None)

    node.attach("b", "second")
    node.attach("c", "third")
    node.attach("b", "another")
    assert [node.branch(level) for level in "abcd"] == ["other", "another", "third", None]
    assert (node.width(), node.branches(), node.only) == (3, ["other", "another", "third"], None)

    node.cut("b")
    node.cut("a")
    assert [node.branch(level) for level in "abc"] == [None, None, "third"]
    assert (node.width(), node.branches(), node.children) == (1, ["third"], None)

    assert not node.is_bare()
    node.cut("c")
    assert node.is_bare()
    assert node.branch("c") is None


def test_plus_has_a_slot_of_its_own() -> None:
    node: Node[str] = Node()
    node.attach("+", "leaf")
    assert node.branch("+") == "leaf"
    assert (node.width(), node.branches()) == (0, [])
    assert not node.is_bare()
    node.cut("+")
    assert node.is_bare()


def test_a_level_may_be_empty() -> None:
    node: Node[str] = Node()
    node.attach("", "leaf")
    assert node.branch("") == "leaf"
    node.cut("")
    assert node.is_bare()


def test_branches_is_a_copy() -> None:
    node: Node[str] = Node()
    node.attach("a", "first")
    node.attach("b", "second")
    branches = node.branches()
    node.attach("c", "third")
    node.cut("a")
    assert branches == ["first", "second"]


def test_ordinary_branches() -> None:
    node: Node[str] = Node()
    assert node.ordinary_branches() == []
    node.attach("$a", "first")
    assert node.ordinary_branches() == []
    node.attach("b", "second")
    assert node.ordinary_branches() == ["second"]
    node.cut("$a")
    assert node.ordinary_branches() == ["second"]


@pytest.mark.parametrize("level", ["a", "+"], ids=["literal", "plus"])
@pytest.mark.parametrize("rest", ["", "b", "+", "#"], ids=["ends-here", "literal", "plus", "hash"])
def test_burst(level: str, rest: str) -> None:
    root: Node[str] = Node()
    levels = [level, *rest]
    root.attach(level, "leaf")
    node = root.burst(level, "leaf", levels, 1)
    assert root.branch(level) is node
    expected = {"": node.value, "#": node.hash}
    assert (expected[rest] if rest in expected else node.branch(rest)) == "leaf"


def test_prune_stops_at_the_first_node_in_use() -> None:
    root: Node[str] = Node()
    used: Node[str] = Node()
    plus: Node[str] = Node()
    leaf: Node[str] = Node()
    root.attach("a", used)
    used.value = "value"
    used.attach("+", plus)
    plus.attach("b", leaf)
    prune([(root, "a"), (used, "+"), (plus, "b")], leaf)
    assert plus.is_bare()
    assert used.branch("+") is None
    assert root.branch("a") is used

    used.value = None
    used.hash = "value"
    prune([(root, "a")], used)
    assert root.branch("a") is used

    used.hash = None
    prune([(root, "a")], used)
    assert root.is_bare()
