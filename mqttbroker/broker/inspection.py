"""Looking at a running broker: clients, sessions, subscriptions, queues and retained messages, page by page.

Every call is answered at once and from memory, but for stored queues, whose slices are read. What one call may cost is
bounded: a page looks at so many entries and no more, so that a hundred thousand clients are listed between messages.
Nothing here changes anything, but that a retained message that has expired is forgotten when it is met; what does is in
``steering.py``.

Clients are named by their identifier and the mount point of their listener. A cursor is what a page has as its
``next``; one that is not of this list raises :class:`ValueError`. Things that are not there are ``None``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from heapq import nsmallest
from typing import TYPE_CHECKING

from mqttbroker.broker.ordering import LIFE, Order, Orders, Place, decoded, encoded
from mqttbroker.broker.route import SinkSubscription
from mqttbroker.broker.showing import (
    client_detail,
    client_summary,
    dropped,
    oldest_at,
    outcome,
    queued,
    queued_summary,
    retained_detail,
    session_summary,
    subscription_summary,
)
from mqttbroker.broker.views import (
    CLIENT_ORDERS,
    SESSION_ORDERS,
    ClientDetail,
    ClientSummary,
    Page,
    QueuedSummary,
    Receiver,
    Receivers,
    RetainedDetail,
    SessionSummary,
    SubscriptionSummary,
    TopicLevel,
    Totals,
)
from mqttbroker.sessions import SLICE, Session, Subscription, mounted_client_id
from mqttbroker.topics import check_topic_name, split_share

if TYPE_CHECKING:
    from mqttbroker.broker.connection import Connection
    from mqttbroker.broker.core import BrokerCore

__all__ = ["Inspection"]

FOREVER = 1e12
"""Stands for a time that never comes, behind all others."""
READ = 100
"""Sessions of a page whose oldest message is read, where that must be."""
SCANNED = 4_000
"""Entries that one page of a search looks at."""
PAGE = 1_000
"""Items of the largest page."""


class Inspection:
    """Read-only views of one broker's core. Make one, and keep it: it remembers how lists were sorted."""

    def __init__(self, core: BrokerCore) -> None:
        self._core = core
        self._orders: Orders = Orders()

    def totals(self) -> Totals:
        """How much of everything there is."""
        core = self._core
        return Totals(
            connections=len(core.connections),
            clients=len(core.registry.online),
            sessions=len(core.registry.sessions),
            subscriptions=len(core.router),
            retained=len(core.retained),
            retained_bytes=core.retained.size,
            owed_bytes=core.session_limits.owed_bytes,
            cached_topics=len(core.router.routes),
        )

    # Long lists take their time to be sorted. Whoever cannot wait for that at once calls these before, each until it
    # says that nothing is left to do, with others having their turn in between.

    def sort_clients(self, sort: str = "client_id") -> bool:
        """Do a part of the sorting that a page of :meth:`clients` needs; whether there is more to do."""
        online = self._core.registry.online
        return self._sort("clients", sort, online, _client_rank(online, sort))

    def sort_sessions(self, sort: str = "client_id") -> bool:
        """The same for :meth:`sessions`; in the order ``client_id`` it is what :meth:`subscriptions` needs, too."""
        sessions = self._core.registry.sessions
        return self._sort("sessions", sort, sessions, _session_rank(sessions, sort))

    def sort_retained_levels(self, prefix: str = "") -> bool:
        """The same for :meth:`retained_levels`."""
        return self._sort("retained", prefix, self._core.retained.level_names(prefix), None)

    # Clients and sessions.

    def clients(
        self,
        after: str | None = None,
        limit: int = 100,
        search: str = "",
        sort: str = "client_id",
        descending: bool = False,
    ) -> Page[ClientSummary]:
        """Clients that are connected.

        ``search`` is part of a client identifier, user name or address, in any case of letters. ``sort`` is one of
        `CLIENT_ORDERS`. Raises :class:`ValueError` for another, and for a cursor that is none.
        """
        online = self._core.registry.online
        rank = _client_rank(online, sort)
        order = self._order("clients", sort, online, rank)
        wanted = search.casefold()
        items: list[ClientSummary] = []

        def take(name: str) -> bool:
            connection = online.get(name)
            if connection is None:
                return False
            identity = connection.identity
            if wanted and not _found(wanted, identity.client_id, identity.username, identity.address):
                return False
            items.append(client_summary(connection))
            return True

        cursor = _walk(order, after, limit, descending, take)
        return Page(items, cursor, len(online), order.ordered)

    def client(self, client_id: str, mount_point: str = "") -> ClientDetail | None:
        """All that is known of one client, connected or away."""
        name = mounted_client_id(mount_point, client_id)
        session = self._core.registry.sessions.get(name)
        return None if session is None else client_detail(session, self._core.registry.online.get(name))

    def sessions(
        self,
        after: str | None = None,
        limit: int = 100,
        search: str = "",
        sort: str = "client_id",
        descending: bool = False,
        connected: bool | None = None,
    ) -> Page[SessionSummary]:
        """Sessions; ``connected`` leaves out those with a client, or those without. Otherwise as :meth:`clients`, with
        `SESSION_ORDERS`; addresses are not searched.
        """
        sessions = self._core.registry.sessions
        order = self._order("sessions", sort, sessions, _session_rank(sessions, sort))
        wanted = search.casefold()
        items: list[SessionSummary] = []

        def take(name: str) -> bool:
            session = sessions.get(name)
            if session is None or (connected is not None and session.online is not connected):
                return False
            if wanted and not _found(wanted, session.name, session.username, ""):
                return False
            items.append(session_summary(session, self._core.registry.online.get(name), len(items) < READ))
            return True

        cursor = _walk(order, after, limit, descending, take)
        return Page(items, cursor, len(sessions), order.ordered)

    def queue(
        self, client_id: str, mount_point: str = "", after: str | None = None, limit: int = 100, preview: int = 1_024
    ) -> Page[QueuedSummary] | None:
        """What a session is owed, in order, with up to ``preview`` bytes of each payload; ``None`` where there is no
        such session.
        """
        session = self._core.registry.sessions.get(mounted_client_id(mount_point, client_id))
        if session is None:
            return None
        limit = _bounded(limit)
        sequence = 0 if after is None else int(decoded(after, "n")[0])
        if session.persistent:
            owed = self._core.store.read_queue(session.client_id, max(sequence, 0), limit + 1, SLICE)
        else:
            owed = nsmallest(
                limit + 1,
                (each for each in (*session.inflight.values(), *(session.queue or ())) if each.sequence > sequence),
                key=lambda queued: queued.sequence,
            )
        items = [queued_summary(each, preview, session.waiting) for each in owed[:limit]]
        more = len(owed) > limit or (session.persistent and sum(each.message.size for each in owed) >= SLICE)
        cursor = encoded(items[-1].sequence) if more else None
        return Page(items, cursor, session.load)

    # Subscriptions.

    def subscriptions(
        self,
        after: str | None = None,
        limit: int = 100,
        search: str = "",
        client_id: str | None = None,
        mount_point: str = "",
    ) -> Page[SubscriptionSummary]:
        """Subscriptions, by client and filter, of all clients or of one; ``search`` is part of a filter."""
        limit = _bounded(limit)
        sessions = self._core.registry.sessions
        total = self._core.router.held
        place: Place | None = None
        topic_filter = ""
        if after is not None:
            last_client, last_filter, position = decoded(after, "ssn")
            place, topic_filter = Place(str(last_client), 0.0, int(position)), str(last_filter)
        if client_id is None:
            order = self._order("sessions", "client_id", sessions, None)
        else:
            name = mounted_client_id(mount_point, client_id)
            order = Order([name], None, self._core.now)
            total = len(sessions[name].subscriptions) if name in sessions else 0
        items: list[SubscriptionSummary] = []
        left = SCANNED
        for at in _from(order, place):
            if left <= 0:
                return Page(items, encoded(at.name, "", at.position), total, order.ordered)
            session = sessions.get(at.name)
            if session is None:
                left -= 1
                continue
            begin = Place(topic_filter, 0.0, 0) if place is not None and at.name == place.name else None
            for each in self._filters(session).walk(begin, False):
                if len(items) >= limit or left <= 0:
                    return Page(items, encoded(at.name, topic_filter, at.position), total, order.ordered)
                left -= 1
                topic_filter = each.name
                subscription = session.subscriptions.get(topic_filter)
                if subscription is not None and search in topic_filter:
                    items.append(subscription_summary(subscription))
            left -= 1
            topic_filter = ""
        return Page(items, None, total, order.ordered)

    def _filters(self, session: Session) -> Order:
        """The filters of one session, in order."""
        return self._order("subscriptions", session.client_id, session.subscriptions, None)

    def who_would_receive(self, topic: str, qos: int = 1, after: str | None = None, limit: int = 100) -> Receivers:
        """Who would get a message of this topic and QoS, and who would not although there is a subscription.

        Raises :class:`InvalidTopicName`. Rules are asked about the receivers of this page only.
        """
        check_topic_name(topic)
        limit = _bounded(limit)
        known: dict[tuple[str, str], tuple[Session, list[Subscription]]] = {}
        local = 0
        for entry in self._core.router.matching(topic):
            if isinstance(entry, Subscription):
                key = (entry.session.client_id, "")
                if key in known:
                    known[key][1].append(entry)
                else:
                    known[key] = (entry.session, [entry])
            elif isinstance(entry, SinkSubscription):
                if not entry.observes:
                    local += 1
            else:
                for member, subscription in entry.members.items():
                    known[member.client_id, subscription.topic_filter] = (member, [subscription])
        if after is None:
            rest: Iterable[tuple[str, str]] = known
        else:
            name, share = decoded(after, "ss")
            behind = (str(name), str(share))
            rest = (key for key in known if key > behind)
        keys = nsmallest(limit + 1, rest)
        receivers = [self._receiver(topic, qos, *known[key]) for key in keys[:limit]]
        cursor = encoded(*keys[limit - 1]) if len(keys) > limit else None
        return Receivers(topic, receivers, cursor, len(known), local)

    def _receiver(self, topic: str, qos: int, session: Session, subscriptions: list[Subscription]) -> Receiver:
        granted = max(each.qos for each in subscriptions)
        decision = self._core.router.decide(session, topic)
        return Receiver(
            client_id=session.name,
            mount_point=session.mount_point,
            username=session.username,
            connected=session.online,
            share=split_share(subscriptions[0].topic_filter)[0],
            filters=[each.topic_filter for each in subscriptions],
            qos=granted,
            outcome=outcome(session, min(qos, granted)) if decision.allowed else "denied",
            rule=decision.rule,
        )

    # Retained messages.

    def retained_levels(
        self, prefix: str = "", after: str | None = None, limit: int = 100, preview: int = 64
    ) -> Page[TopicLevel]:
        """What there is of retained messages one level below a prefix: "" for the first level of all topics, and
        ``a/b/`` for what is below ``a/b``. Of each payload there are up to ``preview`` bytes.
        """
        retained = self._core.retained
        names = retained.level_names(prefix)
        order = self._order("retained", prefix, names, None)
        items: list[TopicLevel] = []

        def take(name: str) -> bool:
            topic = prefix + name
            here, more = retained.level(topic)
            if here is None and not more:
                return False
            size, payload = (0, b"") if here is None else (here.size, here.payload[:preview])
            items.append(TopicLevel(name, topic, here is not None, size, more, payload))
            return True

        return Page(items, _walk(order, after, limit, False, take), len(names), order.ordered)

    def retained(self, topic: str) -> RetainedDetail | None:
        """The message that is retained under a topic."""
        message = self._core.retained.get(topic, self._core.now)
        return None if message is None else retained_detail(message)

    def retained_topics(self, topic_filter: str, preview: int = 64) -> Iterator[tuple[str, int, bytes]]:
        """The topics with a retained message that a valid filter matches, in no order, with the size of the message and
        the beginning of its payload.

        Go through them in turns where there may be many: they may change on the way.
        """
        for message in self._core.retained.match(topic_filter, self._core.now):
            yield message.topic, message.size, message.payload[:preview]

    # Order.

    def _order(self, what: str, by: str, found: Collection[str], rank: Callable[[str], float] | None) -> Order:
        order = self._orders.get(what, by, found, rank, self._core.now)
        if len(self._orders):
            self._core.wheel.add(("orders", id(self)), self._core.now + LIFE, self._forget)
        return order

    def _sort(self, what: str, by: str, found: Collection[str], rank: Callable[[str], float] | None) -> bool:
        sorting = self._orders.sorting(what, by, found, rank, self._core.now)
        if sorting is None:
            return False
        self._core.wheel.add(("orders", id(self)), self._core.now + LIFE, self._forget)
        if sorting.advance():
            return True
        self._orders.done(what, by, sorting, self._core.now)
        return False

    def _forget(self, now: float) -> float:
        return now + LIFE if self._orders.forget(now) else 0.0


def _bounded(limit: int) -> int:
    if not 1 <= limit <= PAGE:
        raise ValueError(f"limit: expected 1 to {PAGE}, got {limit}")
    return limit


def _walk(order: Order, after: str | None, limit: int, descending: bool, take: Callable[[str], bool]) -> str | None:
    """Offer names to ``take`` until it has taken ``limit`` of them; the cursor of the next page."""
    limit = _bounded(limit)
    place: Place | None = None
    if after is not None:
        name, rank, position = decoded(after, "snn")
        place = Place(str(name), float(rank), int(position))
    taken = 0
    for looked_at, at in enumerate(order.walk(place, descending)):
        if taken == limit or looked_at == SCANNED:
            assert place is not None
            return encoded(place.name, place.rank, place.position)
        place = at
        if take(at.name):
            taken += 1
    return None


def _from(order: Order, place: Place | None) -> Iterator[Place]:
    """The entries from a place on, itself included."""
    if place is not None:
        yield place
    yield from order.walk(place, False)


def _found(wanted: str, client_id: str, username: str | None, address: str) -> bool:
    return (
        wanted in client_id.casefold() or wanted in address or (username is not None and wanted in username.casefold())
    )


def _client_rank(online: Mapping[str, Connection], sort: str) -> Callable[[str], float] | None:
    if sort == "client_id":
        return None
    of_connection = CONNECTION_FIGURES.get(sort)
    if of_connection is not None:
        return lambda name: of_connection(online[name])
    figure = _figure(sort, CLIENT_ORDERS)
    return lambda name: figure(online[name].session)


def _session_rank(sessions: Mapping[str, Session], sort: str) -> Callable[[str], float] | None:
    if sort == "client_id":
        return None
    figure = _figure(sort, SESSION_ORDERS)
    return lambda name: figure(sessions[name])


def _figure(sort: str, orders: tuple[str, ...]) -> Callable[[Session], float]:
    figure = FIGURES.get(sort) if sort in orders else None
    if figure is None:
        raise ValueError(f"sort: expected one of {', '.join(orders)}, got {sort!r}")
    return figure


CONNECTION_FIGURES: dict[str, Callable[[Connection], float]] = {
    "connected_at": lambda connection: connection.opened_at,
    "last_received": lambda connection: connection.last_received,
    "waiting_bytes": lambda connection: float(connection.carrier.waiting()),
    "messages_received": lambda connection: float(connection.messages_received),
    "received_bytes": lambda connection: float(connection.received_bytes),
    "sent_bytes": lambda connection: float(connection.outbox.sent_bytes),
}
FIGURES: dict[str, Callable[[Session], float]] = {
    "expires_at": lambda session: session.expires_at or FOREVER,
    "subscriptions": lambda session: float(len(session.subscriptions)),
    "inflight": lambda session: float(len(session.inflight)),
    "queued": lambda session: float(queued(session)),
    "oldest_at": lambda session: oldest_at(session, False) if queued(session) else FOREVER,
    "owed_bytes": lambda session: float(session.owed_bytes),
    "dropped": lambda session: float(dropped(session)),
}
