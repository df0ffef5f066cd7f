"""Who gets a message: subscriptions, shared groups, sinks, and the routes that are worked out from them.

:meth:`Router.route` is asked once per topic and publisher; :meth:`Router.send` is the general path of every
message, and the definition of what the short path in ``packet_loop.py`` does for the simple case.
"""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

from mqttbroker.broker.authority import Authorizer, Decision, Identity
from mqttbroker.broker.limits import Limits
from mqttbroker.broker.route import Group, Route, Sink, SinkSubscription, Target
from mqttbroker.sessions import NOWHERE, Drop, Session, Subscription
from mqttbroker.sessions.wire import Wire
from mqttbroker.storage import Message, QueuedMessage
from mqttbroker.topics import RouteCache, SharedGroup, Strategy, SubscriptionTree, split_share

__all__ = ["Router", "identity_of"]

MANY = 64
"""Changes at a time from which on it takes longer to find the routes that they concern than to renew all."""


class Router:
    """The subscriptions of one broker."""

    def __init__(self, limits: Limits, authorizer: Authorizer, rng: Random) -> None:
        self._limits = limits
        self._authorizer = authorizer
        self._rng = rng
        self._tree: SubscriptionTree[Subscription | Group | SinkSubscription] = SubscriptionTree()
        self._groups: dict[str, Group] = {}
        self._sinks: int = 0
        self.routes: RouteCache[Route] = RouteCache(limits.max_cached_topics)

    def __len__(self) -> int:
        return len(self._tree)

    @property
    def groups(self) -> int:
        """Shared subscriptions, each counted once however many members it has."""
        return len(self._groups)

    @property
    def members(self) -> int:
        """Members of all shared subscriptions."""
        return sum(map(len, self._groups.values()))

    @property
    def held(self) -> int:
        """Subscriptions of sessions, each member of a shared one counted by itself."""
        return len(self._tree) - len(self._groups) + self.members - self._sinks

    # Subscriptions.

    def subscribe(self, subscription: Subscription) -> bool:
        """Add a session's subscription, or replace that on the same filter [MQTT-3.8.4-3]; true when it was new."""
        whole = subscription.topic_filter
        share, topic_filter = split_share(whole)
        session = subscription.session
        if share:
            group = self._groups.get(whole)
            if group is None:
                group = SharedGroup(share, topic_filter, Strategy(self._limits.shared_strategy), self._rng)
                self._groups[whole] = group
                self._tree.add(group)
                self.routes.invalidate(topic_filter)
            group.add(session, subscription)
        else:
            self._tree.add(subscription)
            self.routes.invalidate(topic_filter)
        subscriptions = session.subscriptions
        new = whole not in subscriptions
        if not new:
            del subscriptions[whole]
        # Without a share, the key is the string that the tree has made common to all who subscribe to it.
        subscriptions[subscription.topic_filter] = subscription
        return new

    def unsubscribe(self, session: Session, topic_filter: str) -> bool:
        """Remove a session's subscription; false when there was none."""
        if session.subscriptions.pop(topic_filter, None) is None:
            return False
        self._remove(session, topic_filter)
        return True

    def unsubscribe_all(self, session: Session) -> None:
        """Remove every subscription of a session."""
        self._expect_changes(len(session.subscriptions))
        for topic_filter in session.subscriptions:
            self._remove(session, topic_filter)
        session.subscriptions = {}

    def _remove(self, session: Session, whole: str) -> None:
        # [MQTT-3.10.4-2] From now on; what the session is owed already stays in its queue [MQTT-3.10.4-3].
        share, topic_filter = split_share(whole)
        if not share:
            self._tree.remove(topic_filter, session)
            self.routes.invalidate(topic_filter)
            return
        group = self._groups[whole]
        group.remove(session)
        if not len(group):
            del self._groups[whole]
            self._tree.remove(topic_filter, group.holder)
            self.routes.invalidate(topic_filter)

    def session_changed(self, session: Session) -> None:
        """The session is written to in another way than before: its routes must be worked out anew.

        New subscriptions take the place of the old ones, since routes are told apart by what they were made of.
        """
        self._expect_changes(len(session.subscriptions))
        for subscription in list(session.subscriptions.values()):
            self.subscribe(subscription.copy())

    def _expect_changes(self, count: int) -> None:
        if count >= MANY:
            self.routes.expire()  # Once for all of them.

    def add_sink(self, sink: Sink, topic_filter: str, qos: int, observes: bool = False) -> None:
        """Subscribe a sink; one that observes does not count as a receiver."""
        self._tree.add(SinkSubscription(sink, topic_filter, qos, observes))
        self._sinks += 1
        self.routes.invalidate(topic_filter)

    def remove_sink(self, sink: Sink, topic_filter: str) -> None:
        """Remove a sink's subscription."""
        if self._tree.remove(topic_filter, sink) is not None:
            self._sinks -= 1
        self.routes.invalidate(topic_filter)

    # Routes.

    def route(self, topic: str) -> Route:
        """The route of a valid topic name, from the cache or worked out now."""
        cached = self.routes.get(topic)
        if cached is not None:
            return cached
        entries = self._tree.match(topic)  # [MQTT-3.3.2-3]
        former = self.routes.stale(topic)
        if former is not None and former.entries == entries:
            self.routes.renew(topic, former)
            return former
        route = self._work_out(topic, entries)
        self.routes.put(topic, route)
        return route

    def again(self, route: Route) -> Route | None:
        """The current route of the topic of a stale one; ``None`` if the rules may be others than they were then."""
        return self.route(route.topic) if self.routes.stale(route.topic) is route else None

    def _work_out(self, topic: str, entries: list[Subscription | Group | SinkSubscription]) -> Route:
        sessions: dict[Session, list[Subscription]] = {}
        groups: list[Group] = []
        sinks: list[SinkSubscription] = []
        for entry in entries:
            if isinstance(entry, Subscription):
                session = entry.session
                known = sessions.get(session)
                if known is None:
                    sessions[session] = [entry]
                else:
                    known.append(entry)
            elif isinstance(entry, SinkSubscription):
                sinks.append(entry)
            else:
                groups.append(entry)
        targets = [Target(session, found) for session, found in sessions.items() if self.may_receive(session, topic)]
        return Route(topic, targets, groups, sinks, entries)

    def may_receive(self, session: Session, topic: str) -> bool:
        """Whether the session's user may be sent messages of this topic, and it is below the mount point.

        A filter like ``tenant/#`` also matches ``tenant``, which is not below ``tenant/``.
        """
        return self.may_be_sent(identity_of(session), session.mount_point, topic)

    def may_be_sent(self, identity: Identity, mount_point: str, topic: str) -> bool:
        """As `may_receive`, for whoever asks about many topics for one session."""
        if not topic.startswith(mount_point):
            return False
        return self._authorizer.decide(identity, "receive", topic).allowed

    # For who looks at the broker from outside.

    def matching(self, topic: str) -> list[Subscription | Group | SinkSubscription]:
        """What is subscribed to a valid topic name, whether or not it may be sent that; no route is made for it."""
        return self._tree.match(topic)

    def decide(self, session: Session, topic: str) -> Decision:
        """As `may_receive`, with the rule."""
        if not topic.startswith(session.mount_point):
            return _ELSEWHERE
        return self._authorizer.decide(identity_of(session), "receive", topic)

    # Messages.

    def refused(self, message: Message, route: Route) -> bool:
        """Whether a subscriber's queue has no room for the message and the policy is to tell the publisher."""
        if self._limits.queue_policy != "refuse":
            return False
        size = message.size
        return any(target.qos and not target.session.has_room(size) for target in route.targets) or any(
            all(not session.has_room(size) for session in group.members) for group in route.groups
        )

    def send(self, message: Message, route: Route, now: float) -> bool:
        """Give a message to everybody on its route; true if anything of it went into the store."""
        stored = False
        packet4 = packet5 = b""
        written4 = written5 = 0
        shared_encoding = message.qos == 0 and not message.retain
        for target in route.targets:  # [MQTT-4.5.0-1]
            session = target.session
            if target.parted and session.client_id == message.origin:
                if target.own is None:
                    continue  # [MQTT-3.8.3-3]
                target = target.own
            if shared_encoding and target.kind:
                outbox = session.outbox
                if not outbox.open:
                    if outbox is not NOWHERE:
                        session.count_drop(Drop.CONGESTED)
                elif target.kind == 4:
                    packet4 = packet4 or _PLAIN4.publish(message, 0, False, False, 0, (), now) or b""
                    outbox.write(packet4)
                    written4 += 1
                else:
                    packet5 = packet5 or _PLAIN5.publish(message, 0, False, False, 0, (), now) or b""
                    outbox.write(packet5)
                    written5 += 1
                continue
            qos = message.qos if message.qos < target.qos else target.qos  # [MQTT-3.8.4-8] [3.1.1: MQTT-3.8.4-6]
            # [MQTT-3.3.1-12] [MQTT-3.3.1-13] [3.1.1: MQTT-3.3.1-9]
            session.deliver(message, qos, message.retain and target.retain_as_published, target.identifiers, now)
            stored = stored or (qos > 0 and session.persistent)
        if written4 or written5:
            totals = route.targets[0].session.limits
            totals.messages_sent += written4 + written5
            totals.message_bytes_sent += written4 * len(packet4) + written5 * len(packet5)
        for group in route.groups:
            taker = self.send_to_group(message, group, None, now)
            stored = stored or (taker is not None and taker.persistent and message.qos > 0)
        for sink in route.sinks:
            sink.sink.accept(message, min(message.qos, sink.qos))
        return stored

    def send_to_group(self, message: Message, group: Group, exclude: Session | None, now: float) -> Session | None:
        """Give a message to one member of a shared group; the member, or ``None`` where there is nobody to take it.

        A member whose user may not read the topic is passed over. What a member was given is its own until its session
        ends, also while it is away [MQTT-4.8.2-4].
        """
        barred: set[Session] = set()
        while (picked := group.pick(message.origin, message.topic, exclude, barred)) is not None:
            session, subscription = picked
            if not self.may_receive(session, message.topic):
                barred.add(session)
                continue
            identifiers = (subscription.identifier,) if subscription.identifier else ()
            retain = message.retain and subscription.retain_as_published
            qos = min(message.qos, subscription.qos)  # [MQTT-4.8.2-3]
            session.deliver(message, qos, retain, identifiers, now, share=subscription.topic_filter)
            return session
        return None

    def hand_over(self, owed: Iterable[QueuedMessage], former: Session, now: float) -> None:
        """A session ends: give its shared messages to other members, and count the rest as dropped."""
        for queued in owed:
            group = self._groups.get(queued.share) if queued.share else None
            # [MQTT-4.8.2-5] A QoS 2 message that was sent is not sent to anybody else.
            sent = queued.qos == 2 and queued.packet_id != 0
            if group is None or sent or self.send_to_group(queued.message, group, former, now) is None:
                former.count_drop(Drop.SESSION_ENDED)


def identity_of(session: Session) -> Identity:
    """Whom the rules that hold for a session are about, with or without a connection."""
    return Identity(session.name, session.username, "", session.listener)


_ELSEWHERE = Decision(False, "not below the mount point")
_PLAIN4 = Wire(False)
_PLAIN5 = Wire(True)
