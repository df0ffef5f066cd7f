"""The topic tree: finding topics by filter, within a budget, and while topics come and go."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mqttbroker.topics import TopicTree
from tests.topics.oracle import matches
from tests.topics.strategies import MANY, filters, topics
from tests.topics.test_names import MATCHES, MATCHES_IDS


def is_pruned(tree: TopicTree[int]) -> bool:
    """Whether the tree is as it was when it was new."""
    return not len(tree) and not tree._values and tree._root.is_bare()


def tree_of(*names: str) -> TopicTree[int]:
    """A tree of topics whose values are 0, 1, 2 ..."""
    tree: TopicTree[int] = TopicTree()
    for number, topic in enumerate(names):
        tree.set(topic, number)
    return tree


@pytest.mark.parametrize(("topic_filter", "topic", "expected"), MATCHES, ids=MATCHES_IDS)
def test_match_of_one_topic(topic_filter: str, topic: str, expected: bool) -> None:  # [MQTT-4.7.2-1]
    tree = tree_of(topic)
    assert list(tree.match(topic_filter)) == ([(topic, 0)] if expected else [])
    assert tree.match_budget(topic_filter, 100) == ([0] if expected else [])


@given(st.lists(st.tuples(st.booleans(), topics), max_size=40), st.lists(filters, max_size=10))
@MANY
def test_against_the_oracle(changes: list[tuple[bool, str]], lookups: list[str]) -> None:
    tree: TopicTree[int] = TopicTree()
    values: dict[str, int] = {}
    for number, (sets, topic) in enumerate(changes):
        if sets:
            tree.set(topic, number)
            values[topic] = number
        else:
            assert tree.pop(topic) == values.pop(topic, None)
        assert len(tree) == len(values)
        assert tree.get(topic) == values.get(topic)
    for topic_filter in lookups:
        expected = sorted((topic, value) for topic, value in values.items() if matches(topic_filter, topic))
        assert sorted(tree.match(topic_filter)) == expected
        within = tree.match_budget(topic_filter, 1_000)
        assert within is not None
        assert sorted(within) == sorted(value for _, value in expected)
    for topic in list(values):
        assert tree.pop(topic) == values[topic]
    assert is_pruned(tree)


class TestBudget:
    """Every node on the way counts, and no more of them than the budget are ever visited."""

    TREE = tree_of("a", "a/b", "a/c", "a/c/d", "e", "$s/t")

    @pytest.mark.parametrize("topic_filter", ["a/+", "a/#", "+/+", "+/#"])
    def test_below_the_first_level_a_dollar_sign_is_nothing_special(self, topic_filter: str) -> None:
        tree = tree_of("a/$s", "a/b")
        assert sorted(tree.match_budget(topic_filter, 100) or []) == [0, 1]
        assert sorted(tree.match(topic_filter)) == [("a/$s", 0), ("a/b", 1)]

    @pytest.mark.parametrize(
        ("topic_filter", "nodes"),
        [
            ("a", 1),
            ("a/b", 2),
            ("x", 0),
            ("a/x", 1),
            ("+", 3),
            ("+/b", 4),
            ("+/+", 5),
            ("a/+", 3),
            ("a/#", 4),
            ("a/c/#", 3),
            ("#", 6),
            ("+/#", 6),
            ("$s/#", 1),
        ],
        ids=lambda value: value if isinstance(value, str) else f"{value}-nodes",
    )
    def test_exactly_enough(self, topic_filter: str, nodes: int) -> None:
        expected = sorted(value for _, value in self.TREE.match(topic_filter))
        found = self.TREE.match_budget(topic_filter, nodes)
        assert found is not None
        assert sorted(found) == expected
        assert self.TREE.match_budget(topic_filter, nodes - 1) is None

    @given(st.lists(topics, max_size=30), filters, st.integers(0, 30))
    @MANY
    def test_all_or_nothing(self, names: list[str], topic_filter: str, budget: int) -> None:
        tree = tree_of(*names)
        found = tree.match_budget(topic_filter, budget)
        if found is None:
            # More than the budget are also visited when nothing is in the way of it.
            assert tree.match_budget(topic_filter, 1_000) is not None
        else:
            assert sorted(found) == sorted(value for _, value in tree.match(topic_filter))


class TestChangesWhileWalking:
    """What the module promises to whoever walks in slices."""

    def test_nothing_is_done_before_the_first_step(self) -> None:
        tree = tree_of("a/b")
        walk = tree.match("a/+")
        tree.pop("a/b")
        tree.set("a/c", 7)
        assert list(walk) == [("a/c", 7)]

    def test_a_topic_taken_out_before_its_turn_is_not_given_out(self) -> None:
        tree = tree_of("a", "b", "c")
        walk = tree.match("+")
        first = next(walk)[0]
        gone, left = sorted({"a", "b", "c"} - {first})
        tree.pop(gone)
        assert [topic for topic, _ in walk] == [left]

    def test_the_value_is_that_of_the_moment(self) -> None:
        tree = tree_of("a", "b")
        walk = tree.match("#")
        first, _ = next(walk)
        other = "b" if first == "a" else "a"
        tree.set(other, 100)
        assert list(walk) == [(other, 100)]

    def test_dropped_half_way(self) -> None:
        tree = tree_of("a", "b", "c")
        walk = tree.match("#")
        next(walk)
        del walk
        for topic in ["a", "b", "c"]:
            assert tree.pop(topic) is not None
        assert is_pruned(tree)

    @given(
        st.lists(topics, max_size=20),
        filters,
        st.lists(st.lists(st.tuples(st.booleans(), topics), max_size=4), max_size=20),
    )
    @MANY
    def test_any_changes(self, names: list[str], topic_filter: str, slices: list[list[tuple[bool, str]]]) -> None:
        tree = tree_of(*names)
        steady = {topic for topic in names if matches(topic_filter, topic)}
        seen: list[str] = []
        pauses = iter(slices)
        for topic, value in tree.match(topic_filter):
            assert matches(topic_filter, topic)
            assert tree.get(topic) == value
            seen.append(topic)
            for number, (sets, other) in enumerate(next(pauses, [])):
                if sets:
                    tree.set(other, 1_000 + number)
                else:
                    tree.pop(other)
                    steady -= {other} - set(seen)
        assert len(seen) == len(set(seen))
        assert steady <= set(seen)


@pytest.mark.parametrize("seed", range(5), ids=lambda seed: f"seed-{seed}")
def test_pruned_in_any_order(seed: int) -> None:
    names = ["a", "a/b", "a/b/c", "a/d", "/", "//", "", "e/f/g/h", "a/b/", "$SYS/a", "$SYS"]
    tree = tree_of(*names)
    for topic in random.Random(seed).sample(names, len(names)):
        assert tree.pop(topic) == names.index(topic)
        assert tree.pop(topic) is None
    assert is_pruned(tree)


def test_set_again_replaces() -> None:
    tree = tree_of("a/b")
    tree.set("a/b", 5)
    assert len(tree) == 1
    assert tree.get("a/b") == 5
    assert list(tree.match("a/#")) == [("a/b", 5)]


def test_many_levels() -> None:
    one, other = "/" * 65_534, "/" * 65_533 + "a"
    tree = tree_of(one, "a", other)
    assert sorted(tree.match("/#")) == [(one, 0), (other, 2)]
    assert sorted(tree.match("#")) == [(one, 0), (other, 2), ("a", 1)]
    assert tree.match_budget("#", 100) is None
    assert [tree.pop(topic) for topic in [one, "a", other]] == [0, 1, 2]
    assert is_pruned(tree)
