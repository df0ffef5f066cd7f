"""What every client must receive, worked out with plain dictionaries and lists.

:class:`Reference` is told what clients do and what time it is, and appends to :attr:`Line.expected` what each of them
must be sent, in order. It shares nothing with the broker but the packet classes: topics are matched by
``tests/topics/oracle.py``, every subscription of every session is looked at for every message, and whatever is owed is
one list from front to back.

Left out: limits of queues (``tests/sessions/test_session_model.py`` has them), shared subscriptions, permissions, full
sockets, topic aliases. Times are whole seconds.

Where the standard leaves a choice, the model makes the broker's: one copy of a message for overlapping subscriptions;
a message that was sent before it expired is sent again, with an interval of 0.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from mqttbroker.protocol import Disconnect, Packet, PubRel, ReasonCode, SubscriptionRequest
from tests.topics.oracle import matches

__all__ = ["FOREVER", "Arrival", "Bequest", "Line", "Owed", "ReferenceBroker", "Session", "Text"]

FOREVER = 0xFFFF_FFFF


@dataclass(frozen=True)
class Arrival:
    """A PUBLISH as a client gets it, without its packet identifier. ``expiry`` is the Message Expiry Interval."""

    topic: str
    payload: bytes
    qos: int
    retain: bool
    dup: bool
    identifiers: tuple[int, ...]
    expiry: int | None


@dataclass(frozen=True)
class Text:
    """An Application Message."""

    topic: str
    payload: bytes
    qos: int
    retain: bool
    expires_at: float | None
    origin: str

    def expired(self, now: float) -> bool:
        return self.expires_at is not None and now >= self.expires_at


@dataclass(frozen=True)
class Bequest:
    """A will."""

    topic: str
    payload: bytes
    qos: int
    retain: bool
    delay: int
    lifetime: int | None


@dataclass
class Owed:
    """A QoS 1 or 2 message that a session is owed, in the order of delivery. ``packet_id`` is 0 until it was sent."""

    text: Text
    qos: int
    retain: bool
    identifiers: tuple[int, ...]
    packet_id: int = 0
    released: bool = False
    here: bool = False
    """Sent, or sent again, on this connection."""


@dataclass
class Line:
    """One connection: what its client can take, and what it must be sent."""

    five: bool
    receive_maximum: int
    expected: list[Arrival | Packet] = field(default_factory=list)
    unnumbered: list[Owed] = field(default_factory=list)
    """Sent for the first time; their packet identifiers become known when they arrive."""


@dataclass
class Session:
    """Section 4.1, item by item."""

    name: str
    persistent: bool
    expiry: int = 0
    expires_at: float | None = None
    subscriptions: dict[str, tuple[SubscriptionRequest, int]] = field(default_factory=dict)
    """Options and Subscription Identifier by topic filter."""
    owed: list[Owed] = field(default_factory=list)
    incoming: set[int] = field(default_factory=set)
    will: Bequest | None = None
    will_due: float | None = None
    line: Line | None = None

    @property
    def quota(self) -> int:
        assert self.line is not None
        return self.line.receive_maximum - sum(each.here for each in self.owed)

    @property
    def last_words(self) -> float | None:
        """When a will is going to be published without anybody doing anything."""
        moments = [] if self.will_due is None else [self.will_due, *([self.expires_at] if self.expires_at else [])]
        return min(moments, default=None)


class ReferenceBroker:
    """The broker as the standard describes it."""

    def __init__(self, now: float, max_expiry: int) -> None:
        self.now: float = now
        self.max_expiry: int = max_expiry
        self.sessions: dict[str, Session] = {}
        self.retained: dict[str, Text] = {}

    # Messages.

    def publish(self, text: Text) -> bool:
        """Retain and deliver the message; whether anybody is subscribed."""
        if text.retain:
            self.retained.pop(text.topic, None)
            if text.payload:
                self.retained[text.topic] = text
        found = False
        for session in list(self.sessions.values()):
            matching = [
                subscription
                for topic_filter, subscription in session.subscriptions.items()
                if matches(topic_filter, text.topic)
            ]
            found = found or bool(matching)
            heard = [each for each in matching if not (each[0].no_local and text.origin == session.name)]
            if heard:
                qos = min(text.qos, max(request.qos for request, _ in heard))
                retain = text.retain and any(request.retain_as_published for request, _ in heard)
                identifiers = tuple(sorted(identifier for _, identifier in heard if identifier))
                self.deliver(session, text, qos, retain, identifiers)
        return found

    def deliver(self, session: Session, text: Text, qos: int, retain: bool, identifiers: tuple[int, ...]) -> None:
        """Send at once, or queue, or forget."""
        line = session.line
        if qos == 0:
            if line is not None:
                line.expected.append(self.arrival(line, text, 0, retain, False, identifiers))
            return
        owed = Owed(text, qos, retain, identifiers)
        session.owed.append(owed)
        if line is not None and session.quota > 0 and all(each.here for each in session.owed[:-1]):
            self.send(session, line, owed)

    def send(self, session: Session, line: Line, owed: Owed) -> None:
        dup = bool(owed.packet_id)
        line.expected.append(self.arrival(line, owed.text, owed.qos, owed.retain, dup, owed.identifiers))
        line.unnumbered.append(owed)
        owed.here = True

    def arrival(
        self, line: Line, text: Text, qos: int, retain: bool, dup: bool, identifiers: tuple[int, ...]
    ) -> Arrival:
        left = None
        if line.five and text.expires_at is not None:
            left = max(int(text.expires_at - self.now), 0)
        return Arrival(text.topic, text.payload, qos, retain, dup, identifiers if line.five else (), left)

    def pump(self, session: Session) -> None:
        """Send what may be sent, from front to back."""
        line = session.line
        if line is None:
            return
        for owed in list(session.owed):
            if owed.here:
                continue
            if owed.released:
                line.expected.append(PubRel(owed.packet_id))
                owed.here = True
            elif session.quota <= 0:
                return
            elif not owed.packet_id and owed.text.expired(self.now):
                session.owed.remove(owed)
            else:
                self.send(session, line, owed)

    def acknowledged(self, name: str, packet_id: int) -> None:
        """The hand-shake of a message is over."""
        session = self.sessions[name]
        session.owed = [each for each in session.owed if each.packet_id != packet_id]
        self.pump(session)

    # Subscriptions.

    def subscribe(
        self, name: str, requests: Iterable[SubscriptionRequest], identifier: int, retain_handling: bool
    ) -> list[str]:
        """Make the subscriptions; the filters for which retained messages follow. Without ``retain_handling`` (MQTT
        3.1.1) they always do.
        """
        session = self.sessions[name]
        replayed = []
        for request in requests:
            new = request.topic_filter not in session.subscriptions
            session.subscriptions[request.topic_filter] = (request, identifier)
            handling = request.retain_handling if retain_handling else 0
            if handling == 0 or (handling == 1 and new):
                replayed.append(request.topic_filter)
        return replayed

    def retained_for(self, topic_filter: str) -> set[str]:
        """Topics of the retained messages that match."""
        return {
            topic
            for topic, text in self.retained.items()
            if matches(topic_filter, topic) and not text.expired(self.now)
        }

    def replay(self, name: str, topic_filter: str, order: list[str]) -> None:
        """Send retained messages, in an order that the standard leaves open."""
        assert set(order) == self.retained_for(topic_filter)
        session = self.sessions[name]
        request, identifier = session.subscriptions[topic_filter]
        for topic in order:
            text = self.retained[topic]
            if not (request.no_local and text.origin == name):
                identifiers = (identifier,) if identifier else ()
                self.deliver(session, text, min(text.qos, request.qos), True, identifiers)

    # Connections and sessions.

    def connect(
        self, name: str, line: Line, clean: bool, expiry: int, will: Bequest | None
    ) -> tuple[bool, Line | None]:
        """A client has connected: whether its session is present, and the connection that it took over."""
        session = self.sessions.get(name)
        former = session.line if session is not None else None
        if session is not None and former is not None:
            if former.five:
                former.expected.append(Disconnect(ReasonCode.SESSION_TAKEN_OVER))
            self.disconnected(session, keep_will=True)
        session = self.sessions.get(name)
        if session is not None and clean:
            self.end(session)
            session = None
        present = session is not None
        expiry = min(expiry, self.max_expiry)
        if session is None:
            session = self.sessions[name] = Session(name, persistent=expiry > 0)
        session.expiry = expiry
        session.expires_at = session.will_due = None
        session.will = will
        session.line = line
        self.pump(session)
        return present, former

    def disconnected(self, session: Session, keep_will: bool) -> None:
        """A connection has ended; a normal DISCONNECT takes the will back."""
        session.line = None
        for owed in session.owed:
            owed.here = False
        if not keep_will:
            session.will = None
        if not session.expiry:
            self.end(session)
            return
        if session.will is not None:
            session.will_due = self.now + session.will.delay
            if not session.will.delay:
                self.publish_will(session)
        session.expires_at = self.now + session.expiry if session.expiry != FOREVER else None

    def end(self, session: Session) -> None:
        """The session is over."""
        del self.sessions[session.name]
        self.publish_will(session)

    def publish_will(self, session: Session) -> None:
        will = session.will
        session.will = session.will_due = None
        if will is not None:
            expires_at = None if will.lifetime is None else self.now + will.lifetime
            self.publish(Text(will.topic, will.payload, will.qos, will.retain, expires_at, session.name))

    # Time.

    def tick(self, now: float) -> None:
        """Do what is due, the earliest first."""
        self.now = now
        while True:
            due = [
                (moment, session)
                for session in self.sessions.values()
                for moment in (session.will_due, session.expires_at)
                if moment is not None and moment <= now
            ]
            if not due:
                return
            moment, session = min(due, key=lambda each: each[0])
            if moment == session.expires_at:
                self.end(session)
            else:
                self.publish_will(session)

    def restart(self, now: float) -> None:
        """The broker stopped without a word, and is there again at ``now``."""
        self.now = now
        self.sessions = {name: session for name, session in self.sessions.items() if session.persistent}
        online = [session for session in self.sessions.values() if session.line is not None]
        for session in online:
            session.line = None
            for owed in session.owed:
                owed.here = False
        for session in list(self.sessions.values()):
            if session in online:
                self.disconnected(session, keep_will=True)
            elif session.expires_at is not None and session.expires_at <= now:
                self.end(session)
