"""The subscription tree: matching (section 4.7), replacing, pruning."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mqttbroker.topics import SubscriptionTree
from mqttbroker.topics.subscriptions import Entries
from tests.topics.oracle import NaiveSubscriptions
from tests.topics.strategies import MANY, filters, topics
from tests.topics.test_names import MATCHES, MATCHES_IDS

FILTERS = ["a", "a/b", "+", "#", "a/+", "a/#", "+/b/#", "a/+/c/+/#", "/", "//#", "a/b/c", "+/+/+", "a/x/+", "a/y/+"]


def is_pruned(tree: SubscriptionTree[str]) -> bool:
    """Whether the tree is as it was when it was new."""
    return not len(tree) and not tree._exact and tree._root.is_bare()


@pytest.mark.parametrize(("topic_filter", "topic", "expected"), MATCHES, ids=MATCHES_IDS)
def test_match_of_one_filter(topic_filter: str, topic: str, expected: bool) -> None:  # [MQTT-4.7.2-1]
    tree: SubscriptionTree[str] = SubscriptionTree()
    tree.add(topic_filter, "holder", "entry")
    assert tree.match(topic) == (["entry"] if expected else [])


@given(st.lists(st.tuples(st.booleans(), filters, st.integers(1, 3)), max_size=60), st.lists(topics, max_size=10))
@MANY
def test_against_the_oracle(changes: list[tuple[bool, str, int]], lookups: list[str]) -> None:
    tree: SubscriptionTree[str] = SubscriptionTree()
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
    assert is_pruned(tree)


@pytest.mark.parametrize("topic_filter", ["a/b", "a/+", "a/#"], ids=["exact", "plus", "hash"])
class TestHolders:
    """One filter with several holders, wherever the tree keeps it."""

    def test_replace(self, topic_filter: str) -> None:
        tree: SubscriptionTree[str] = SubscriptionTree()
        assert tree.add(topic_filter, "one", "first") is None
        assert tree.add(topic_filter, "one", "second") == "first"
        assert tree.match("a/b") == ["second"]
        assert tree.add(topic_filter, "two", "third") is None
        assert tree.add(topic_filter, "two", "fourth") == "third"
        assert tree.add(topic_filter, "one", "fifth") == "second"
        assert sorted(tree.match("a/b")) == ["fifth", "fourth"]
        assert len(tree) == 2

    def test_remove_what_is_not_there(self, topic_filter: str) -> None:
        tree: SubscriptionTree[str] = SubscriptionTree()
        assert tree.remove(topic_filter, "one") is None
        tree.add(topic_filter, "one", "first")
        assert tree.remove(topic_filter, "two") is None
        tree.add(topic_filter, "two", "second")
        assert tree.remove(topic_filter, "three") is None
        assert len(tree) == 2
        assert sorted(tree.match("a/b")) == ["first", "second"]

    @pytest.mark.parametrize("count", [1, 2, 3, 100], ids=["one", "two", "three", "hundred"])
    def test_remove_in_any_order(self, topic_filter: str, count: int) -> None:
        tree: SubscriptionTree[str] = SubscriptionTree()
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
        assert is_pruned(tree)

    def test_one_holder_is_kept_without_a_dictionary(self, topic_filter: str) -> None:
        tree: SubscriptionTree[str] = SubscriptionTree()
        for holder in ["one", "two", "three"]:
            tree.add(topic_filter, holder, holder)
        tree.remove(topic_filter, "one")
        tree.remove(topic_filter, "three")
        entries = tree._exact.get("a/b") or tree._root.branch("a")
        assert isinstance(entries, Entries)
        assert (entries.holder, entries.entry, entries.more) == ("two", "two", None)


class TestPruning:
    """No change leaves anything behind."""

    @pytest.mark.parametrize("topic_filter", FILTERS)
    def test_one_filter(self, topic_filter: str) -> None:
        tree: SubscriptionTree[str] = SubscriptionTree()
        tree.add(topic_filter, "holder", "entry")
        assert not is_pruned(tree)
        assert tree.remove(topic_filter, "holder") == "entry"
        assert is_pruned(tree)

    @pytest.mark.parametrize("seed", range(5), ids=lambda seed: f"seed-{seed}")
    def test_all_filters_in_any_order(self, seed: int) -> None:
        tree: SubscriptionTree[str] = SubscriptionTree()
        for topic_filter in FILTERS:
            tree.add(topic_filter, "holder", topic_filter)
        order = random.Random(seed).sample(FILTERS, len(FILTERS))
        for topic_filter in order:
            assert tree.remove(topic_filter, "holder") == topic_filter
        assert is_pruned(tree)

    @pytest.mark.parametrize("other", ["a/+/b", "a/+/c/d", "a/+/c/#", "+/+/c", "b/+/c", "a/c", "a/+"])
    def test_removing_what_was_never_added(self, other: str) -> None:
        tree: SubscriptionTree[str] = SubscriptionTree()
        tree.add("a/+/c", "holder", "entry")
        assert tree.remove(other, "holder") is None
        assert tree.match("a/b/c") == ["entry"]
        tree.remove("a/+/c", "holder")
        assert is_pruned(tree)


def test_a_holder_is_found_once_for_each_of_its_filters() -> None:
    tree: SubscriptionTree[str] = SubscriptionTree()
    for topic_filter in ["a/b", "a/+", "+/b", "+/+", "a/#", "#", "a/b/#", "c/+", "a/b/c"]:
        tree.add(topic_filter, "holder", topic_filter)
    assert sorted(tree.match("a/b")) == sorted(["a/b", "a/+", "+/b", "+/+", "a/#", "#", "a/b/#"])


def test_many_filters_that_go_the_same_way_for_long() -> None:
    tree: SubscriptionTree[str] = SubscriptionTree()
    start = "a/" * 20_000
    for end in ["+", "#", "b/+", "b/#", "+/b"]:
        tree.add(start + end, "holder", end)
    assert sorted(tree.match(start + "b")) == ["#", "+", "b/#"]
    assert sorted(tree.match(start + "b/b")) == ["#", "+/b", "b/#", "b/+"]
    for end in ["+", "#", "b/+", "b/#", "+/b"]:
        assert tree.remove(start + end, "holder") == end
    assert is_pruned(tree)


def test_many_levels() -> None:
    tree: SubscriptionTree[str] = SubscriptionTree()
    topic_filter = "+/" * 32_767 + "#"
    tree.add(topic_filter, "holder", "entry")
    assert tree.match("/" * 40_000) == ["entry"]
    assert tree.match("a") == []
    tree.remove(topic_filter, "holder")
    assert is_pruned(tree)
