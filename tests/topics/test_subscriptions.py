"""The subscription tree: matching (section 4.7), replacing, pruning."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mqttbroker.topics.subscriptions import Entry, Several
from tests.topics.marks import MarkTree
from tests.topics.oracle import NaiveSubscriptions
from tests.topics.strategies import MANY, filters, topics
from tests.topics.test_names import MATCHES, MATCHES_IDS

FILTERS = ["a", "a/b", "+", "#", "a/+", "a/#", "+/b/#", "a/+/c/+/#", "/", "//#", "a/b/c", "+/+/+", "a/x/+", "a/y/+"]


@pytest.mark.parametrize(("topic_filter", "topic", "expected"), MATCHES, ids=MATCHES_IDS)
def test_match_of_one_filter(topic_filter: str, topic: str, expected: bool) -> None:  # [MQTT-4.7.2-1]
    tree = MarkTree()
    tree.add(topic_filter, "holder", "entry")
    assert tree.match(topic) == (["entry"] if expected else [])


@given(st.lists(st.tuples(st.booleans(), filters, st.integers(1, 3)), max_size=60), st.lists(topics, max_size=10))
@MANY
def test_against_the_oracle(changes: list[tuple[bool, str, int]], lookups: list[str]) -> None:
    tree = MarkTree()
    naive = NaiveSubscriptions()
    for number, (adds, topic_filter, holder) in enumerate(changes):
        if adds:
            entry = f"{topic_filter} {holder} {number}"
            assert tree.add(topic_filter, holder, entry) == naive.add(topic_filter, holder, entry)
        else:
            assert tree.remove(topic_filter, holder) == naive.remove(topic_filter, holder)
        assert len(tree) == len(naive.entries)
    for topic in lookups:
        assert sorted(tree.match(topic)) == naive.match(topic)
    for topic_filter, held_by in list(naive.entries):
        assert tree.remove(topic_filter, held_by) == naive.remove(topic_filter, held_by)
    assert tree.pruned


@pytest.mark.parametrize("topic_filter", ["a/b", "a/+", "a/#"], ids=["exact", "plus", "hash"])
class TestHolders:
    """One filter with several holders, wherever the tree keeps it."""

    def test_replace(self, topic_filter: str) -> None:
        tree = MarkTree()
        assert tree.add(topic_filter, "one", "first") is None
        assert tree.add(topic_filter, "one", "second") == "first"
        assert tree.match("a/b") == ["second"]
        assert tree.add(topic_filter, "two", "third") is None
        assert tree.add(topic_filter, "two", "fourth") == "third"
        assert tree.add(topic_filter, "one", "fifth") == "second"
        assert sorted(tree.match("a/b")) == ["fifth", "fourth"]
        assert len(tree) == 2

    def test_remove_what_is_not_there(self, topic_filter: str) -> None:
        tree = MarkTree()
        assert tree.remove(topic_filter, "one") is None
        tree.add(topic_filter, "one", "first")
        assert tree.remove(topic_filter, "two") is None
        tree.add(topic_filter, "two", "second")
        assert tree.remove(topic_filter, "three") is None
        assert len(tree) == 2
        assert sorted(tree.match("a/b")) == ["first", "second"]

    @pytest.mark.parametrize("count", [1, 2, 3, 100], ids=["one", "two", "three", "hundred"])
    def test_remove_in_any_order(self, topic_filter: str, count: int) -> None:
        tree = MarkTree()
        holders = [object() for _ in range(count)]
        for number, holder in enumerate(holders):
            tree.add(topic_filter, holder, str(number))
        order = list(range(count))
        random.Random(count).shuffle(order)
        while order:
            number = order.pop()
            assert tree.remove(topic_filter, holders[number]) == str(number)
            assert sorted(tree.match("a/b")) == sorted(map(str, order))
            assert len(tree) == len(order)
        assert tree.pruned

    def test_one_entry_is_kept_without_anything_around_it(self, topic_filter: str) -> None:
        tree = MarkTree()
        for holder in ["one", "two", "three"]:
            tree.add(topic_filter, holder, holder)

        def leaf() -> object:
            return tree.tree._exact.get("a/b") or tree.tree._root.branch("a")

        several = leaf()
        assert isinstance(several, Several)
        tree.remove(topic_filter, "one")
        assert leaf() is several
        tree.remove(topic_filter, "three")
        left = leaf()
        assert isinstance(left, Entry)
        assert (left.holder, tree.texts[left]) == ("two", "two")

    def test_equal_filters_become_one_string(self, topic_filter: str) -> None:
        tree = MarkTree()
        for holder in ["one", "two", "three", "one"]:
            tree.add("".join(list(topic_filter)), holder, holder)  # Each time a new string.
        first, *others = tree.tree.match("a/b")
        assert len(others) == 2
        assert all(other.topic_filter is first.topic_filter for other in others)


class TestPruning:
    """No change leaves anything behind."""

    @pytest.mark.parametrize("topic_filter", FILTERS)
    def test_one_filter(self, topic_filter: str) -> None:
        tree = MarkTree()
        tree.add(topic_filter, "holder", "entry")
        assert not tree.pruned
        assert tree.remove(topic_filter, "holder") == "entry"
        assert tree.pruned

    @pytest.mark.parametrize("seed", range(5), ids=lambda seed: f"seed-{seed}")
    def test_all_filters_in_any_order(self, seed: int) -> None:
        tree = MarkTree()
        for topic_filter in FILTERS:
            tree.add(topic_filter, "holder", topic_filter)
        order = random.Random(seed).sample(FILTERS, len(FILTERS))
        for topic_filter in order:
            assert tree.remove(topic_filter, "holder") == topic_filter
        assert tree.pruned

    @pytest.mark.parametrize("other", ["a/+/b", "a/+/c/d", "a/+/c/#", "+/+/c", "b/+/c", "a/c", "a/+"])
    def test_removing_what_was_never_added(self, other: str) -> None:
        tree = MarkTree()
        tree.add("a/+/c", "holder", "entry")
        assert tree.remove(other, "holder") is None
        assert tree.match("a/b/c") == ["entry"]
        tree.remove("a/+/c", "holder")
        assert tree.pruned


def test_a_holder_is_found_once_for_each_of_its_filters() -> None:
    tree = MarkTree()
    for topic_filter in ["a/b", "a/+", "+/b", "+/+", "a/#", "#", "a/b/#", "c/+", "a/b/c"]:
        tree.add(topic_filter, "holder", topic_filter)
    assert sorted(tree.match("a/b")) == sorted(["a/b", "a/+", "+/b", "+/+", "a/#", "#", "a/b/#"])


def test_many_filters_that_go_the_same_way_for_long() -> None:
    tree = MarkTree()
    start = "a/" * 20_000
    for end in ["+", "#", "b/+", "b/#", "+/b"]:
        tree.add(start + end, "holder", end)
    assert sorted(tree.match(start + "b")) == ["#", "+", "b/#"]
    assert sorted(tree.match(start + "b/b")) == ["#", "+/b", "b/#", "b/+"]
    for end in ["+", "#", "b/+", "b/#", "+/b"]:
        assert tree.remove(start + end, "holder") == end
    assert tree.pruned


def test_many_levels() -> None:
    tree = MarkTree()
    topic_filter = "+/" * 32_767 + "#"
    tree.add(topic_filter, "holder", "entry")
    assert tree.match("/" * 40_000) == ["entry"]
    assert tree.match("a") == []
    tree.remove(topic_filter, "holder")
    assert tree.pruned
