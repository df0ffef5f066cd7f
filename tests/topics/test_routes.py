"""The route cache by itself; `test_routing.py` holds it against the oracle together with the tree."""

from __future__ import annotations

import pytest

from mqttbroker.topics import RouteCache


class Route:
    """The least that can be cached."""

    __slots__ = ("version",)

    def __init__(self, version: int = 0) -> None:
        self.version = version


def cache_of(*names: str, max_topics: int = 100, budget: int = 256) -> tuple[RouteCache[Route], dict[str, Route]]:
    """A cache with a route for each topic, and the routes."""
    cache: RouteCache[Route] = RouteCache(max_topics, budget=budget)
    routes = {topic: Route() for topic in names}
    for topic, route in routes.items():
        cache.put(topic, route)
    return cache, routes


def test_a_new_cache() -> None:
    cache: RouteCache[Route] = RouteCache(10)
    assert cache.version == 1
    assert len(cache) == 0
    assert cache.get("a") is None
    cache.invalidate("a")
    cache.invalidate("#")
    assert cache.version == 1


def test_get_what_was_put() -> None:
    cache, routes = cache_of("a", "b")
    assert cache.get("a") is routes["a"]
    assert cache.get("b") is routes["b"]
    assert cache.get("c") is None
    assert routes["a"].version == cache.version
    assert len(cache) == 2


def test_put_again_makes_the_former_route_stale() -> None:
    cache, routes = cache_of("a")
    newer = Route()
    cache.put("a", newer)
    assert cache.get("a") is newer
    assert routes["a"].version == 0
    cache.put("a", newer)
    assert cache.get("a") is newer
    assert len(cache) == 1


def test_the_oldest_leaves_when_the_cache_is_full() -> None:
    cache, routes = cache_of("a", "b", "c", max_topics=3)
    cache.put("a", routes["a"])
    cache.put("d", Route())
    assert routes["b"].version == 0
    assert cache.get("b") is None
    assert [topic for topic in "abcd" if cache.get(topic)] == ["a", "c", "d"]
    assert len(cache) == 3


def test_a_cache_for_one_topic() -> None:
    cache, routes = cache_of("a", "b", max_topics=1)
    assert cache.get("a") is None
    assert cache.get("b") is routes["b"]


def test_topics_too_long_are_not_cached() -> None:
    cache: RouteCache[Route] = RouteCache(10, max_topic_length=3)
    short, long = Route(), Route(1)
    cache.put("abc", short)
    cache.put("abcd", long)
    assert cache.get("abc") is short
    assert cache.get("abcd") is None
    assert long.version == 0


def test_a_cache_without_room() -> None:
    cache: RouteCache[Route] = RouteCache(0)
    route = Route(1)
    cache.put("a", route)
    assert cache.get("a") is None
    assert route.version == 0
    assert len(cache) == 0


@pytest.mark.parametrize(
    ("topic_filter", "left"),
    [
        ("a", ["a/b", "c", "$s"]),
        ("x", ["a", "a/b", "c", "$s"]),
        ("a/+", ["a", "c", "$s"]),
        ("a/#", ["c", "$s"]),
        ("+", ["a/b", "$s"]),
        ("#", ["$s"]),
        ("$s/#", ["a", "a/b", "c"]),
        ("$share/g/a/#", ["c", "$s"]),
        ("$share/g/c", ["a", "a/b", "$s"]),
    ],
    ids=["exact", "no-such-topic", "plus", "hash", "plus-alone", "hash-alone", "system", "shared-hash", "shared-exact"],
)
def test_invalidate(topic_filter: str, left: list[str]) -> None:
    cache, routes = cache_of("a", "a/b", "c", "$s")
    cache.invalidate(topic_filter)
    assert [topic for topic in routes if cache.get(topic)] == left
    assert [topic for topic, route in routes.items() if route.version == cache.version] == left
    assert [topic for topic in routes if cache.stale(topic)] == left
    assert len(cache) == len(routes)
    assert cache.version == 1


def test_an_empty_place_is_filled_again_or_leaves() -> None:
    cache, routes = cache_of("a", "b")
    cache.invalidate("a")
    newer = Route()
    cache.put("a", newer)
    assert (cache.get("a"), len(cache)) == (newer, 2)
    cache.invalidate("b")
    cache.put("c", Route())  # The fourth put.
    assert len(cache) == 2
    assert cache.get("a") is newer
    assert routes["b"].version == 0


class TestPastTheBudget:
    """The version is raised, and what has become stale leaves bit by bit."""

    def test_everything_becomes_stale(self) -> None:
        cache, routes = cache_of("a", "b", "c", budget=2)
        cache.invalidate("+")
        assert cache.version == 2
        assert all(route.version != cache.version for route in routes.values())
        assert all(cache.get(topic) is None for topic in routes)

    def test_stale_routes_are_replaced_in_place(self) -> None:
        cache, routes = cache_of("a", "b", "c", budget=2)
        cache.invalidate("+")
        newer = Route()
        cache.put("a", newer)
        assert cache.get("a") is newer
        assert routes["a"].version == 0
        cache.invalidate("a")
        assert newer.version == 0

    def test_every_fourth_put_takes_a_stale_route_out(self) -> None:
        cache, routes = cache_of("a", "b", "c", "d", budget=2)
        cache.invalidate("+")
        sizes = []
        for topic in "efghijklmnopqrstuvwxyz":
            cache.put(topic, Route())
            sizes.append(len(cache))
        assert sizes == [5, 6, 7, 7, 8, 9, 10, 10, 11, 12, 13, 13, 14, 15, 16, 16, 17, 18, 19, 20, 21, 22]
        assert all(route.version == 0 for route in routes.values())
        assert all(cache.get(topic) for topic in "efghijklmnopqrstuvwxyz")

    def test_topics_in_turn_are_renewed(self) -> None:
        topics = [str(number) for number in range(100)]
        cache, _ = cache_of(*topics, budget=2)
        cache.expire()
        put = 0
        for topic in topics:
            route = cache.stale(topic)
            if route is None or topic.endswith("7"):  # These have changed.
                cache.put(topic, Route())
                put += 1
            else:
                cache.renew(topic, route)
        assert put < 15

    def test_a_stale_route_may_be_invalidated(self) -> None:
        cache, routes = cache_of("a", "b", "c", budget=2)
        cache.invalidate("+")
        cache.renew("b", routes["b"])
        cache.invalidate("a")
        assert routes["a"].version == 0
        assert cache.stale("a") is None

    def test_a_stale_route_may_be_renewed(self) -> None:
        cache, routes = cache_of("a", "b", "c", budget=2)
        cache.invalidate("+")
        assert cache.stale("a") is routes["a"]
        cache.renew("a", routes["a"])
        assert cache.get("a") is routes["a"]
        assert cache.get("b") is None
        cache.put("d", Route())  # The fourth takes the oldest out, which "a" is no longer.
        assert cache.stale("b") is None
        assert cache.get("a") is routes["a"]


def test_after_expire_a_change_costs_nothing_until_a_route_is_current() -> None:
    cache, routes = cache_of("a", "b", "c", budget=1)
    cache.expire()
    assert cache.version == 2
    for topic_filter in ["a", "+", "#"]:
        cache.invalidate(topic_filter)
    assert cache.version == 2
    assert [cache.stale(topic) for topic in routes] == list(routes.values())
    cache.renew("b", routes["b"])
    cache.invalidate("b")
    assert cache.stale("b") is None
    cache.put("b", Route())
    cache.invalidate("+")
    assert cache.version == 3


def test_clear() -> None:
    cache, routes = cache_of("a", "b")
    cache.clear()
    assert len(cache) == 0
    assert cache.get("a") is None
    assert cache.stale("a") is None
    assert all(route.version != cache.version for route in routes.values())
    cache.put("a", routes["a"])
    cache.invalidate("#")
    assert routes["a"].version == 0
