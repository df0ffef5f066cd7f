"""The cache of routes: what was decided for a topic, kept until a subscription changes that decision.

Purpose. A route (who gets what is published to this topic) is computed once by the subscription tree and then found
by one dictionary look-up. A route may also be held by its user, a connection that publishes to the topic again and
again, for longer than it is in the cache; the user compares ``route.version`` with ``cache.version`` and needs nothing
else.

Invariant. A route whose version equals that of the cache is in the cache under its topic. So whatever `invalidate`
reaches inside the cache, it reaches everywhere: a route that leaves the cache for any reason gets version 0, which the
cache never has.

Cost. A change to an exact filter is one look-up. A change to a wildcard filter walks the cached topics it matches, up
to a budget of nodes, and empties their places; past that, the version of the cache is raised, which costs the same
however many topics there are. It makes every route stale at once, but not wrong: the user matches the topic anew when
it is next used, which is quick, and where nothing has changed for this topic the route is made current again by
`renew`. Only where something has is a new one worked out. A topic keeps its place meanwhile, since to plant it in the
tree of topics takes longer than that.

Contract. The tree must be asked and `put` called with no await between; `invalidate` must be called with no await
after the change to the tree. Deliberately absent: computing routes, and time: a route does not age.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, Protocol, TypeVar

from mqttbroker.topics.names import is_wildcard, split_share
from mqttbroker.topics.topic_tree import TopicTree

__all__ = ["CachedRoute", "RouteCache"]


class CachedRoute(Protocol):
    """A route, of which the cache knows only the version. It belongs to one topic."""

    version: int


R = TypeVar("R", bound=CachedRoute)


_MAX_LEVELS = 32
# Stale routes gather at the old end, and must not hold on to sessions for ever: so many puts take one out. With topics
# that are published to in turn it is just the next one that goes, and needs a put: if each put took one out, none of
# the stale routes would ever be renewed.
_PUTS_FOR_ONE = 4


class RouteCache(Generic[R]):
    """Routes by topic name, at most ``max_topics`` of them (0 caches nothing), the oldest leaving first.

    ``max_topic_length`` counts characters; routes of longer topics, and of those with more than 32 levels, each of
    which takes a node, are not cached. ``budget`` is the number of tree nodes that one call of `invalidate` may
    visit.
    """

    __slots__ = ("_all_stale", "_budget", "_max_topic_length", "_max_topics", "_puts", "_routes", "_topics", "version")

    def __init__(self, max_topics: int, max_topic_length: int = 1024, budget: int = 64) -> None:
        self._max_topics = max_topics
        self._max_topic_length = max_topic_length
        self._budget = budget
        # In the order of `put` and `renew`; None is an empty place.
        # A plain dictionary is slow to find its oldest key after many have left at that end.
        self._routes: OrderedDict[str, R | None] = OrderedDict()
        # The same topics once more, to be found by filter.
        self._topics: TopicTree[str] = TopicTree()
        self._puts = 0
        self._all_stale = True
        self.version = 1
        """Routes with another version are stale."""

    def __len__(self) -> int:
        """The number of places, those of stale routes and the empty ones included."""
        return len(self._routes)

    def get(self, topic: str) -> R | None:
        """The route of a topic, None when there is none or it is stale."""
        route = self._routes.get(topic)
        if route is None or route.version != self.version:
            return None
        return route

    def stale(self, topic: str) -> R | None:
        """The route in the place of a topic, current or not.

        Between a route's `put` and the time when it is no longer found here, there was no `clear`.
        """
        return self._routes.get(topic)

    def renew(self, topic: str, route: R) -> None:
        """Mark a route that `stale` has found as current: what a new one would say is the same."""
        self._routes.move_to_end(topic)
        route.version = self.version
        self._all_stale = False

    def put(self, topic: str, route: R) -> None:
        """Keep the route of a topic and mark it as current; one that is not to be cached gets version 0 instead."""
        if len(topic) > self._max_topic_length or topic.count("/") >= _MAX_LEVELS or self._max_topics <= 0:
            route.version = 0
            return
        if topic in self._routes:
            self._empty(topic)
            self._routes.move_to_end(topic)
        else:
            while len(self._routes) >= self._max_topics:
                self._drop(next(iter(self._routes)))
            self._topics.set(topic, topic)
        route.version = self.version
        self._routes[topic] = route
        self._all_stale = False
        self._puts += 1
        if self._puts % _PUTS_FOR_ONE == 0:
            oldest = next(iter(self._routes))
            former = self._routes[oldest]
            if former is None or former.version != self.version:
                self._drop(oldest)

    def invalidate(self, topic_filter: str) -> None:
        """Make stale the routes of all topics that a filter matches: a subscription on it came, changed or went.

        The share prefix of a shared subscription's filter is disregarded.
        """
        if self._all_stale:
            return
        plain = split_share(topic_filter)[1]
        if not is_wildcard(plain):
            if plain in self._routes:
                self._empty(plain)
            return
        topics = self._topics.match_budget(plain, self._budget)
        if topics is None:
            self.expire()
            return
        for topic in topics:
            self._empty(topic)

    def expire(self) -> None:
        """Make every route stale, but keep it to be renewed. Until the next `put` or `renew`, `invalidate` is free."""
        self.version += 1
        self._all_stale = True

    def clear(self) -> None:
        """Make every route stale and forget them all."""
        self.expire()
        self._routes = OrderedDict()
        self._topics = TopicTree()

    def _empty(self, topic: str) -> None:
        route = self._routes[topic]
        if route is not None:
            route.version = 0
            self._routes[topic] = None

    def _drop(self, topic: str) -> None:
        self._empty(topic)
        del self._routes[topic]
        self._topics.pop(topic)
