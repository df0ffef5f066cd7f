"""Subscription tree and route cache together: any changes and lookups, with and without the cache, equal the oracle."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from mqttbroker.topics import RouteCache
from tests.topics.marks import MarkTree
from tests.topics.oracle import NaiveSubscriptions
from tests.topics.strategies import filters, topics

holders = st.integers(1, 4)


class Route:
    """The matching entries of one topic."""

    __slots__ = ("entries", "version")

    def __init__(self, entries: list[str]) -> None:
        self.entries = sorted(entries)
        self.version = 0


class Routing(RuleBasedStateMachine):
    """The body that all set-ups share. Publishers hold on to the route of their last topic, as a connection does."""

    max_topics = 1_000
    """Negative for no cache at all."""
    max_topic_length = 1_024
    budget = 256

    def __init__(self) -> None:
        super().__init__()
        self.cache: RouteCache[Route] | None = None
        if self.max_topics >= 0:
            self.cache = RouteCache(self.max_topics, self.max_topic_length, self.budget)
        self.tree = MarkTree()
        self.naive = NaiveSubscriptions()
        self.held: list[tuple[str, Route]] = []
        self.number = 0

    def changed(self, topic_filter: str) -> None:
        """A subscription on this filter came, changed or went."""
        if self.cache is not None:
            self.cache.invalidate(topic_filter)

    def route(self, topic: str) -> Route:
        """The route of a topic, as the broker finds it."""
        if self.cache is None:
            return Route(self.tree.match(topic))
        route = self.cache.get(topic)
        if route is None:
            entries = sorted(self.tree.match(topic))
            former = self.cache.stale(topic)
            if former is not None and former.entries == entries:
                self.cache.renew(topic, former)
                route = former
            else:
                route = Route(entries)
                self.cache.put(topic, route)
        self.held.append((topic, route))
        return route

    @rule(topic_filter=filters, holder=holders)
    def subscribe(self, topic_filter: str, holder: int) -> None:
        self.number += 1
        entry = f"{topic_filter} {holder} {self.number}"
        assert self.tree.add(topic_filter, holder, entry) == self.naive.add(topic_filter, holder, entry)
        self.changed(topic_filter)

    @rule(topic_filter=filters, holder=holders)
    def unsubscribe_from_anything(self, topic_filter: str, holder: int) -> None:
        assert self.tree.remove(topic_filter, holder) == self.naive.remove(topic_filter, holder)
        self.changed(topic_filter)

    @rule(data=st.data())
    def unsubscribe(self, data: st.DataObject) -> None:
        if self.naive.entries:
            topic_filter, holder = data.draw(st.sampled_from(list(self.naive.entries)))
            assert self.tree.remove(topic_filter, holder) == self.naive.remove(topic_filter, holder)
            self.changed(topic_filter)

    @rule(names=st.lists(topics, min_size=1, max_size=5))
    def publish(self, names: list[str]) -> None:
        for topic in names:
            assert self.route(topic).entries == self.naive.match(topic)

    @rule()
    def expire_all_routes(self) -> None:
        if self.cache is not None:
            self.cache.expire()

    @rule()
    def forget_all_routes(self) -> None:
        if self.cache is not None:
            self.cache.clear()

    @invariant()
    def held_routes_are_right_or_known_to_be_stale(self) -> None:
        if self.cache is None:
            return
        for topic, route in self.held:
            if route.version == self.cache.version:
                assert route.entries == self.naive.match(topic)
                assert self.cache.get(topic) is route
        self.held = [(topic, route) for topic, route in self.held if route.version]

    @invariant()
    def sizes_agree(self) -> None:
        assert len(self.tree) == len(self.naive.entries)
        if self.cache is not None:
            assert len(self.cache) <= self.max_topics
            assert len(self.cache) == len(self.cache._topics)

    def teardown(self) -> None:
        for topic_filter, holder in list(self.naive.entries):
            self.tree.remove(topic_filter, holder)
        assert self.tree.pruned


class WithoutCache(Routing):
    max_topics = -1


class RoomyCache(Routing):
    """Nothing is evicted, and the budget always suffices."""


class TinyBudget(Routing):
    budget = 3


class NoBudget(Routing):
    """Any change to a wildcard filter raises the version."""

    budget = 0


class TwoTopics(Routing):
    max_topics = 2


class ThreeTopicsAndTinyBudget(Routing):
    max_topics = 3
    budget = 2


class ShortTopics(Routing):
    max_topic_length = 3
    budget = 4


class NoTopics(Routing):
    max_topics = 0


SET_UPS = [WithoutCache, RoomyCache, TinyBudget, NoBudget, TwoTopics, ThreeTopicsAndTinyBudget, ShortTopics, NoTopics]


@pytest.mark.parametrize("machine", SET_UPS, ids=[set_up.__name__ for set_up in SET_UPS])
def test_routing(machine: type[Routing]) -> None:
    run_state_machine_as_test(
        machine, settings=settings(max_examples=settings().max_examples // 2, stateful_step_count=30)
    )
