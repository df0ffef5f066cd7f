"""A route: everything that was decided about the messages of one topic.

It is computed from the subscription tree once, shared by all publishers, and used until a change of subscriptions,
sessions or rules makes it stale (``RouteCache`` sees to that). Whether a publisher may publish to the topic is the
publisher's own part of the decision: a connection keeps those routes that it may use (``Connection.routes``).

Targets are of three kinds: a session, a shared group, and a sink (a subscriber within the process).
"""

from __future__ import annotations

from typing import Protocol

from mqttbroker.sessions import Session, Subscription
from mqttbroker.storage import Message
from mqttbroker.topics import Entry, SharedGroup

__all__ = ["Group", "Route", "Sink", "SinkSubscription", "Target"]

Group = SharedGroup[Session, Subscription]


class Sink(Protocol):
    """A subscriber that is not a session: the library's, and whatever else takes messages from the broker."""

    def accept(self, message: Message, qos: int) -> None:
        """Take the message; must neither wait nor raise."""


class SinkSubscription(Entry):
    """A sink's place in the subscription tree.

    One that ``observes`` is no receiver: publishers and those who ask for receivers are not told of it.
    """

    __slots__ = ("observes", "qos", "sink")

    def __init__(self, sink: Sink, topic_filter: str, qos: int, observes: bool = False) -> None:
        super().__init__(topic_filter, sink)
        self.sink: Sink = sink
        self.qos: int = qos
        self.observes: bool = observes


class Target:
    """What one session gets of a topic's messages, all its matching subscriptions taken together.

    A session gets one copy, at the highest QoS granted, with the identifiers of all of them
    [MQTT-3.3.4-2] [MQTT-3.3.4-4]. Where ``parted`` is set, messages that the session published itself go to ``own``
    instead, which leaves out subscriptions with No Local, or nowhere if it is None [MQTT-3.8.3-3].

    ``kind`` is 4 or 5 where a QoS 0 message can go out in the one encoding that all such sessions of that version
    share, and 0 where it needs its own.
    """

    __slots__ = ("identifiers", "kind", "own", "parted", "qos", "retain_as_published", "session")

    def __init__(self, session: Session, subscriptions: list[Subscription]) -> None:
        qos = 0
        retain_as_published = False
        unheard = 0
        identifiers: list[int] = []
        for each in subscriptions:
            qos = max(qos, each.qos)
            retain_as_published = retain_as_published or each.retain_as_published
            if each.identifier:
                identifiers.append(each.identifier)
            if each.no_local:
                unheard += 1
        self.session: Session = session
        self.qos: int = qos  # [3.1.1: MQTT-3.3.5-1]
        self.retain_as_published: bool = retain_as_published
        # [MQTT-3.3.4-3] One copy for all, so that [MQTT-3.3.4-5] never applies.
        self.identifiers: tuple[int, ...] = tuple(identifiers)
        self.parted: bool = unheard > 0
        self.own: Target | None = None
        if unheard:
            heard = [each for each in subscriptions if not each.no_local]
            self.own = Target(session, heard) if heard else None
        self.kind: int = session.wire_kind if not unheard and not identifiers else 0


class Route:
    """The targets of one topic.

    ``verbatim4`` is the list of sessions to which the very bytes of a QoS 0 message from an MQTT 3 publisher can go, or
    ``None`` where somebody on the route needs something else; ``verbatim5`` the same for an MQTT 5.0 publisher.
    """

    __slots__ = ("entries", "groups", "sinks", "targets", "topic", "topic_bytes", "verbatim4", "verbatim5", "version")

    def __init__(
        self,
        topic: str,
        targets: list[Target],
        groups: list[Group],
        sinks: list[SinkSubscription],
        entries: list[Subscription | Group | SinkSubscription],
    ) -> None:
        self.version: int = 0
        self.topic: str = topic
        self.topic_bytes: bytes = topic.encode()
        self.targets: list[Target] = targets
        # Most topics have none of these, and the empty tuple takes no memory.
        self.groups: tuple[Group, ...] = tuple(groups)
        self.sinks: tuple[SinkSubscription, ...] = tuple(sinks)
        self.entries: list[Subscription | Group | SinkSubscription] = entries
        """What the subscription tree has answered: as long as it does so, the route is right."""
        self.verbatim4: list[Session] | None = self._verbatim(4)
        self.verbatim5: list[Session] | None = self._verbatim(5)

    def _verbatim(self, kind: int) -> list[Session] | None:
        if self.groups or self.sinks:
            return None
        sessions: list[Session] = []
        for target in self.targets:
            if target.kind != kind:
                return None
            sessions.append(target.session)
        return sessions

    @property
    def stores(self) -> bool:
        """Whether a message above QoS 0 goes into the store for somebody, or may."""
        return any(each.qos and each.session.persistent for each in self.targets) or any(
            subscription.qos and session.persistent
            for group in self.groups
            for session, subscription in group.members.items()
        )

    @property
    def empty(self) -> bool:
        """Whether nobody is subscribed who would receive something."""
        if self.targets or self.groups:
            return False
        return all(each.observes for each in self.sinks)
