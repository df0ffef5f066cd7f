"""The broker without its sockets: sessions, subscriptions, retained messages, wills, and the connections that use them.

A server drives it from one thread. Every entrance (:meth:`BrokerCore.accept` and what its connections are fed,
:meth:`tick`, :meth:`publish_message`, a verdict, a commit) does its work at once, and leaves encoded packets in
outboxes; the server then calls :meth:`flush`. Time comes in as seconds since the epoch, from a clock that never goes
back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable
from random import Random

from mqttbroker.broker.authority import Authorizer, Decision, FailsClosed, Identity, Peer
from mqttbroker.broker.connection import Connection
from mqttbroker.broker.counters import Counters
from mqttbroker.broker.entrance import Entrance
from mqttbroker.broker.events import Events
from mqttbroker.broker.gate import Gate
from mqttbroker.broker.limits import Limits
from mqttbroker.broker.quiet import Log, QuietLog
from mqttbroker.broker.registry import Registry
from mqttbroker.broker.replay import Replay
from mqttbroker.broker.retained import RetainedMessages
from mqttbroker.broker.route import Route, Sink
from mqttbroker.broker.router import Router, identity_of
from mqttbroker.broker.state import State
from mqttbroker.broker.sweep import ExpirySweep
from mqttbroker.broker.timing import TimingWheel
from mqttbroker.broker.tracing import Tracing
from mqttbroker.protocol import MQTTError, ReasonCode
from mqttbroker.sessions import Carrier, Outbox, Session, SessionLimits, Subscription, mounted_client_id
from mqttbroker.storage import Message, Store, WillRecord
from mqttbroker.topics import check_topic_name

__all__ = ["BrokerCore"]


class BrokerCore:
    """One broker. Several may live in one process; they share nothing."""

    def __init__(
        self,
        limits: Limits,
        store: Store,
        authorizer: Authorizer,
        log: Log,
        now: float,
        rng: Random | None = None,
    ) -> None:
        self.limits: Limits = limits
        self.store: Store = store
        self.authorizer: Authorizer = FailsClosed(authorizer, self._authorizer_failed)
        self.log: Log = log
        self.quiet_log: QuietLog = QuietLog(log)
        """For what a stranger can cause as often as he likes."""
        self.now: float = now
        self.rng: Random = rng or Random()
        self.counters: Counters = Counters()
        self.wheel: TimingWheel = TimingWheel(self._deadline_failed)
        self.router: Router = Router(limits, self.authorizer, self.rng)
        self.retained: RetainedMessages = RetainedMessages(limits, store)

        self.dirty: list[Outbox] = []
        """Outboxes with something in them."""
        self.wake: Callable[[], None] = _nobody_to_wake
        """Asks whoever runs the core to call :meth:`flush` soon, for what happens outside of its calls."""
        self.no_routes: dict[bytes, Route] = {}
        """Always empty: the routes of connections that have none of their own."""
        self.session_limits: SessionLimits = SessionLimits(
            store,
            limits.max_queued_messages,
            limits.max_queued_bytes,
            max(limits.queue_window, limits.max_inflight),  # What is in flight is read back as a whole.
            limits.max_outbound_buffer,
            limits.queue_policy == "drop_oldest",
            limits.max_total_queued_bytes,
        )
        self.events: Events = Events(self.session_limits, log)
        self.gate: Gate = Gate(limits.max_connections, self.counters, self.quiet_log, self.events)
        self.no_session: Session = Session("", None, self.session_limits, persistent=False)
        """The session of connections that have none yet."""
        self.replays: deque[Replay] = deque()
        self.registry: Registry = Registry(self, self.session_limits)
        self.sweep: ExpirySweep = ExpirySweep(self.registry.sessions)
        self.connections: set[Connection] = set()
        self.tracing: Tracing = Tracing(self)
        self.registry.load(now)

    # Connections.

    def accept(
        self, carrier: Carrier, peer: Peer, entrance: Entrance, now: float, opened_at: float = 0.0
    ) -> Connection:
        """A peer has connected, whom the gate has let in.

        ``opened_at`` is when it did, where a hand-shake of the transport has taken some of the time for its CONNECT.
        """
        self.now = now
        connection = Connection(self, carrier, peer, entrance, opened_at or now)
        self.connections.add(connection)
        if self.tracing.on:
            self.tracing.opened(connection)
        self.wheel.add(connection, connection.opened_at + entrance.limits.connect_timeout, connection.due)
        return connection

    def connection_ended(
        self, connection: Connection, was_connected: bool, detail: str, clean: bool, now: float
    ) -> None:
        """Called by a connection, once, as it ends."""
        self.connections.discard(connection)
        self.wheel.cancel(connection)
        if connection.tap is not None:
            connection.tap.ended(detail, now)
        if not connection.explained:
            if was_connected:
                self.log("info", "disconnected", **connection.who(), reason=detail)
            else:
                self.log("debug", "closed before CONNECT was accepted", **connection.who(), reason=detail)
        if was_connected:
            if self.events.heard:
                details = {**connection.whereabouts(), "reason": detail or "unexpected error"}
                self.events.emit("disconnected", connection.identity.client_id, now, details)
            self.registry.disconnected(connection, clean, now)

    def note_failure(self, connection: Connection, error: MQTTError) -> None:
        """Log and count what made a connection fail."""
        if error.reason in (ReasonCode.MALFORMED_PACKET, ReasonCode.PROTOCOL_ERROR):
            self.counters.packets_malformed += 1
        if connection.explained:
            return
        if self.events.heard and connection.state == State.AUTHENTICATING:
            connection.tell_refused("connect", error.detail or error.reason.name.lower())
        self.quiet_log(
            self.now,
            connection.origin,
            "warning",
            "connection failed",
            **connection.who(),
            listener=connection.entrance.name,
            reason=error.reason.name.lower(),
            code=f"0x{error.reason:02x}",
            detail=error.detail,
        )

    def is_connected(self, connection: Connection) -> bool:
        """Whether the connection is the one that its session has."""
        return self.registry.online.get(connection.session.client_id) is connection

    def new_client_id(self, mount_point: str) -> str:
        """A client identifier that nobody has below the mount point [MQTT-3.1.3-6]."""
        while True:
            client_id = f"auto-{self.rng.getrandbits(80):020x}"
            if mounted_client_id(mount_point, client_id) not in self.registry.sessions:
                return client_id

    # Messages.

    def may_publish(self, identity: Identity, topic: str, mount_point: str = "") -> Decision:
        """Whether a client that lives below the mount point may publish to the topic, which begins with that."""
        if topic.startswith("$", len(mount_point)):
            return SERVERS_OWN  # [MQTT-4.7.2-1]
        return self.authorizer.decide(identity, "publish", topic)

    def rules_changed(self) -> None:
        """The authoriser decides otherwise than before: ask it again about everything that was decided."""
        self.router.routes.clear()

    def publish(self, message: Message, route: Route, now: float) -> bool:
        """Keep the message if it is to be retained, and send it; true if anything went into the store."""
        if message.retain:  # [MQTT-3.3.1-8] [3.1.1: MQTT-3.3.1-12]
            self.retained.keep(message)
        return self.router.send(message, route, now) or message.retain

    def publish_message(self, message: Message, now: float) -> None:
        """Publish from within the process. Raises ``InvalidTopicName``."""
        self.now = now
        check_topic_name(message.topic)
        self.publish(message, self.router.route(message.topic), now)

    def show(self, topic: str, payload: bytes, now: float) -> None:
        """Publish one of the broker's own messages, at QoS 0, which new subscribers get like a retained one.

        The topic begins with ``$``. The message is not stored, not limited, and waits for nobody who is away.
        """
        self.now = now
        message = Message(topic, topic.encode(), payload, 0, True)
        self.retained.show(message)
        self.router.send(message, self.router.route(topic), now)

    def publish_will(self, session: Session, will: WillRecord, now: float) -> None:
        """Publish a will, unless its client may no longer publish there or there is no room to retain it."""
        message = will.message
        decision = self.may_publish(identity_of(session), message.topic, session.mount_point)
        if not decision.allowed or (message.retain and not self.retained.fits(message)):
            rule = decision.rule if not decision.allowed else "too many retained messages"
            self.log("warning", "refused", client=session.name, action="publish will", topic=message.topic, rule=rule)
            if self.events.heard:
                details: dict[str, object] = {"user": session.username, "listener": session.listener}
                details |= {"action": "publish will", "topic": message.topic, "rule": rule}
                self.events.refused(session.name, now, details)
            return
        self.counters.wills_published += 1
        # [MQTT-3.1.2-14] [MQTT-3.1.2-15] [3.1.1: MQTT-3.1.2-16] [3.1.1: MQTT-3.1.2-17]
        fresh = Message(
            message.topic,
            message.topic_bytes,
            message.payload,
            message.qos,
            message.retain,
            message.properties,
            0.0 if will.lifetime is None else now + will.lifetime,
            message.origin,
        )
        self.publish(fresh, self.router.route(message.topic), now)

    def replay_retained(self, connection: Connection, subscription: Subscription) -> None:
        """Send retained messages for a subscription: at once where they are few, in turns where they are many."""
        replay = Replay(self, connection, subscription)
        if replay.advance(self.now):
            self.replays.append(replay)

    def subscribe_sink(self, sink: Sink, topic_filter: str, qos: int, now: float) -> None:
        """Subscribe within the process; retained messages are given at once."""
        self.now = now
        self.router.add_sink(sink, topic_filter, qos)
        for message in self.retained.match(topic_filter, now):
            sink.accept(message, min(message.qos, qos))

    # Time and turns.

    def tick(self, now: float) -> None:
        """Do what is due; to be called about once a second."""
        self.now = now
        self.store.retry()
        self.gate.tick(now)
        self.quiet_log.tick(now)
        self.session_limits.go_on()
        self.wheel.advance(now)
        self.sweep.advance(now)
        if self.events.heard:
            self.events.tick(now)
        if self.tracing.on:
            self.tracing.tick(now)

    def _authorizer_failed(self, error: Exception) -> None:
        self.log("error", "authoriser failed, which refuses", error=repr(error), exception=error)

    def _deadline_failed(self, key: Hashable, error: Exception) -> None:
        what = f"{key[0]} of {key[1]}" if isinstance(key, tuple) else "connection"
        self.log("error", "deadline failed", deadline=what, error=repr(error), exception=error)

    def flush(self) -> bool:
        """Empty the outboxes; true when there is more work that waits for its turn."""
        dirty = self.dirty
        packets = size = 0
        for outbox in dirty:
            packets += len(outbox.chunks)
            size += outbox.flush()
        dirty.clear()
        self.counters.packets_sent += packets
        self.counters.bytes_sent += size
        if not self.session_limits.unfinished and not self.replays:
            return False
        unfinished = self.session_limits.unfinished
        self.session_limits.unfinished = {}
        for session in unfinished:
            session.pump(self.now)
        for _ in range(len(self.replays)):
            replay = self.replays.popleft()
            if replay.advance(self.now):
                self.replays.append(replay)
        return bool(dirty or self.session_limits.unfinished or any(not each.blocked for each in self.replays))

    def shut_down(self, now: float) -> None:
        """Tell every client that the broker stops, and close its connection."""
        self.now = now
        for connection in list(self.connections):
            connection.disconnect(ReasonCode.SERVER_SHUTTING_DOWN, "the broker stops", now)


def _nobody_to_wake() -> None:
    """Where nobody has said who runs the core, the next call empties the outboxes."""


SERVERS_OWN = Decision(False, "names that start with $ are the server's own")
