"""One client's connection: bytes in, packets handled, bytes out. No sockets, no clock.

A listener calls :meth:`Connection.feed`, :meth:`Connection.lost`, :meth:`Connection.writable`, and empties the
outboxes through ``BrokerCore.flush`` after each call. Everything happens within these calls, in the broker's one
thread; none of them waits.

States, and the packets that each takes, are the table in ``handlers/__init__.py``. A packet that the table does not
have is a Protocol Error. How bytes become packets is ``packet_loop.py``. This module has what a connection knows, how
it answers, and the one place where an error becomes an answer on the wire (:meth:`Connection.fail`).
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from mqttbroker.broker.authority import Identity, Peer, Proceed
from mqttbroker.broker.entrance import Entrance
from mqttbroker.broker.gate import host_of
from mqttbroker.broker.handlers import connect
from mqttbroker.broker.limits import Limits
from mqttbroker.broker.packet_loop import take_packets
from mqttbroker.broker.route import Route
from mqttbroker.broker.state import State
from mqttbroker.protocol import (
    NO_PROPERTIES,
    Connect,
    Disconnect,
    InvalidPacket,
    MQTTError,
    Packet,
    PacketTooLarge,
    PingReq,
    PingResp,
    Properties,
    ProtocolVersion,
    ReasonCode,
    encode,
)
from mqttbroker.sessions import Carrier, Outbox, Session
from mqttbroker.storage import Durable, StoreFull

if TYPE_CHECKING:
    from mqttbroker.broker.core import BrokerCore
    from mqttbroker.broker.tap import Tap

__all__ = ["Connection"]


class Connection:
    """The server's side of one MQTT connection."""

    __slots__ = (
        "aliases",
        "authentication_method",
        "carrier",
        "client_maximum",
        "core",
        "entrance",
        "expiry_asked",
        "explained",
        "five",
        "held",
        "identity",
        "inbound",
        "keep_alive",
        "last_received",
        "limits",
        "maximum_packet_size",
        "messages_received",
        "needed",
        "opened_at",
        "outbox",
        "partial",
        "peer",
        "pending",
        "plain_qos",
        "problem_information",
        "proceed",
        "reading",
        "receive_maximum",
        "received_bytes",
        "refusals",
        "routes",
        "session",
        "stalled_at",
        "stalled_waiting",
        "state",
        "tap",
        "undecided",
        "version",
    )

    def __init__(self, core: BrokerCore, carrier: Carrier, peer: Peer, entrance: Entrance, now: float) -> None:
        self.core: BrokerCore = core
        self.carrier: Carrier = carrier
        self.entrance: Entrance = entrance
        self.limits: Limits = entrance.limits
        self.peer: Peer = peer
        self.identity: Identity = Identity("", None, peer.address, entrance.name)
        self.state: State = State.OPENED
        self.version: ProtocolVersion = ProtocolVersion.V311
        self.five: bool = False
        self.outbox: Outbox = Outbox(carrier, core.dirty)
        self.session: Session = core.no_session
        self.tap: Tap | None = None
        """Reads along, where this connection is traced."""
        self.opened_at: float = now
        self.last_received: float = now
        self.received_bytes: int = 0
        self.messages_received: int = 0
        self.keep_alive: int = 0

        # Framing.
        self.partial: bytearray | None = None
        self.needed: int = 0
        self.maximum_packet_size: int = entrance.limits.max_connect_size
        self.reading: bool = True
        self.explained: bool = False
        """Whether a line of the log has said why this connection ends; there is one such line for each end."""

        # What the client asked for.
        self.client_maximum: int = 0
        """Largest packet that the client takes; 0 for no limit."""
        self.problem_information: bool = True
        self.expiry_asked: int = 0
        """Session Expiry Interval of the CONNECT, whatever was granted."""
        self.authentication_method: str | None = None
        self.pending: Connect | None = None
        """The CONNECT, until it is answered."""
        self.undecided: bool = False
        """Whether the authenticator is at work; what arrives meanwhile waits."""
        self.proceed: Proceed | None = None
        """How to go on when the client answers the authenticator's challenge."""

        # Messages from the client.
        self.routes: dict[bytes, Route] = core.no_routes
        """The routes that this client may publish to; shared and empty until the first is found."""
        self.aliases: dict[int, str] | None = None
        """Topic aliases that the client has set; made when the first is."""
        self.inbound: int = 0
        """QoS 1 and 2 messages taken and not yet finished, held against Receive Maximum."""
        self.receive_maximum: int = entrance.limits.receive_maximum
        self.plain_qos: int = 0 if core.limits.queue_policy == "refuse" else entrance.limits.max_qos
        """Highest QoS of messages that cannot be refused for more than their topic and a store without room."""
        self.held: int = 0
        """Answers that wait for the store."""
        self.refusals: int = 0

        # A client that does not take what it is sent.
        self.stalled_at: float = 0.0
        self.stalled_waiting: int = 0

    # What the listener calls.

    def speaks_for(self, address: str) -> None:
        """The peer is a proxy that is believed, and the client is somewhere else."""
        self.peer = Peer(address)
        self.identity = Identity("", None, address, self.entrance.name)
        if self.core.tracing.on:
            self.core.tracing.opened(self)

    @property
    def accepted(self) -> bool:
        """Whether a CONNECT was accepted, and the connection has not ended since."""
        return self.state == State.CONNECTED

    def feed(self, data: bytes, now: float) -> None:
        """Take bytes from the peer. Any split of the stream has the same effect."""
        if self.state == State.CLOSED:
            return
        self.core.now = self.last_received = now
        size = len(data)
        self.received_bytes += size
        self.core.counters.bytes_received += size
        if self.tap is not None:
            self.tap.received(data, now)
        if not self.undecided:
            self.consume(data, now)
        elif self.partial is None:
            self.partial = bytearray(data)
        else:
            self.partial += data

    def lost(self, now: float, detail: str = "connection lost") -> None:
        """The peer, or the network, has ended the connection without DISCONNECT."""
        if self.state != State.CLOSED:
            self.core.now = now
            self._ended(now, detail, False)

    def writable(self, yes: bool, now: float) -> None:
        """The carrier is full, or has room again."""
        if self.state == State.CLOSED:
            return
        self.core.now = now
        self.outbox.open = yes and self.state == State.CONNECTED and self.pending is None
        if yes:
            self.stalled_at = 0.0
            self.resume_reading(now)
            if self.state == State.CONNECTED:
                self.watch_keep_alive(now)
                self.session.pump(now)
        else:
            self.stalled_at = now
            self.stalled_waiting = self.carrier.waiting()
            self.pause_reading()
            if self.core.events.heard:
                self.core.events.stalled(self)
            self.core.wheel.add(self, now + self.limits.stalled_timeout, self.due)

    def watch_keep_alive(self, now: float) -> None:
        """Look at the keep alive when it may first have run out, instead of at the deadline that was set before."""
        if self.keep_alive:
            self.core.wheel.add(self, now + 1.5 * self.keep_alive, self.due)

    def due(self, now: float) -> float:
        """A deadline has come; returns the next one."""
        if self.state == State.CLOSED:
            return 0.0
        limits = self.limits
        if self.state != State.CONNECTED:
            deadline = self.opened_at + limits.connect_timeout
            if now < deadline:
                return deadline
            self.fail(MQTTError(ReasonCode.UNSPECIFIED_ERROR, "no whole CONNECT in time"), now)
            return 0.0
        if self.stalled_at:
            waiting = self.carrier.waiting()
            if waiting >= self.stalled_waiting and now >= self.stalled_at + limits.stalled_timeout:
                self.core.log("warning", "client takes nothing", **self.who(), waiting_bytes=waiting)
                self.explained = True
                self.carrier.abort()
                self._ended(now, "client takes nothing", False)
                return 0.0
            if waiting < self.stalled_waiting:
                self.stalled_at, self.stalled_waiting = now, waiting
            return self.stalled_at + limits.stalled_timeout
        if not self.keep_alive:
            return 0.0
        # [MQTT-3.1.2-22] [3.1.1: MQTT-3.1.2-24]
        deadline = self.last_received + 1.5 * self.keep_alive
        if now < deadline or not self.reading:
            return max(deadline, now + 1.0)
        self.fail(
            MQTTError(ReasonCode.KEEP_ALIVE_TIMEOUT, f"nothing received for {now - self.last_received:.0f} s"), now
        )
        return 0.0

    # The packet loop.

    def consume(self, data: bytes, now: float) -> None:
        """Handle the packets in the bytes that are here, and remember what is left of them."""
        if self.partial is not None:
            self.partial += data
            if len(self.partial) < self.needed:
                return
            data = bytes(self.partial)
            self.partial = None
            self.needed = 0
        try:
            used = take_packets(self, data, now)
        except MQTTError as error:
            self.fail(error, now)
            return
        except Exception as error:
            self.fail_unexpectedly(error, now)
            return
        if used < len(data) and self.state != State.CLOSED:
            self.partial = bytearray(data[used:] if used else data)

    # Answers.

    def send(self, packet: Packet) -> None:
        """Write a packet, unless it would be too large for the client."""
        with suppress(PacketTooLarge):
            self.outbox.write(self.fitting(packet))

    def fitting(self, packet: Packet) -> bytes:
        """Encode an answer, bare where it would be too large for the client; ``PacketTooLarge`` if it still is."""
        data = encode(packet, self.version)
        if self.client_maximum and len(data) > self.client_maximum:
            # [MQTT-3.2.2-19] [MQTT-3.2.2-20] [MQTT-3.4.2-2] [MQTT-3.4.2-3] [MQTT-3.5.2-2] [MQTT-3.5.2-3]
            # [MQTT-3.9.2-1] [MQTT-3.9.2-2] [MQTT-3.11.2-1] [MQTT-3.11.2-2] [MQTT-3.14.2-3] [MQTT-3.14.2-4]
            # [MQTT-3.15.2-2] [MQTT-3.15.2-3]
            data = encode(_without_explanation(packet), self.version)
            if len(data) > self.client_maximum:
                raise PacketTooLarge(f"{packet.type.name} larger than the client takes")  # [MQTT-3.1.2-24]
        return data

    def reason(self, detail: str) -> Properties:
        """A Reason String, unless the client did without [MQTT-3.1.2-29] or its version has none."""
        if detail and self.five and self.problem_information:
            return Properties(reason_string=detail[:1_024])
        return NO_PROPERTIES

    def answer(self, data: bytes, stored: bool, then: Durable | None = None) -> None:
        """Write an acknowledgement when what it acknowledges is on disk, and in the order of the calls [MQTT-4.6.0-2].

        Whatever the quota of messages [MQTT-4.9.0-3].

        ``stored`` says that something was given to the store. ``then`` is called after the write.
        """
        if not self.held and (not stored or self.core.store.settled):
            self.outbox.write(data)
            if then is not None:
                then(None)
        else:
            self._answer_when_durable(data, then)

    def _answer_when_durable(self, data: bytes, then: Durable | None) -> None:
        # Until its PUBACK is written, a QoS 1 message counts towards Receive Maximum (section 4.9).
        counted = 1 if data[0] == PUBACK else 0
        self.held += 1
        self.inbound += counted

        def durable(error: Exception | None) -> None:
            self.held -= 1
            self.inbound -= counted
            if self.state == State.CLOSED:
                return
            if error is None:
                self.outbox.write(data)
                if then is not None:
                    then(None)
            elif isinstance(error, StoreFull) and counted and self.five:
                self.outbox.write(b"\x40\x03" + data[2:4] + NO_ROOM)  # The publisher still has the message.
            else:
                reason = ReasonCode.QUOTA_EXCEEDED if isinstance(error, StoreFull) else ReasonCode.UNSPECIFIED_ERROR
                self.fail(MQTTError(reason, "could not be stored"), self.core.now)
                return
            if not self.reading and not self.held:
                self.resume_reading(self.core.now)

        store = self.core.store
        store.when_durable(durable)
        if self.held > self.receive_maximum or store.congested:
            self.pause_reading()

    # Reading.

    def pause_reading(self) -> None:
        """Take no more bytes from the peer for the time being."""
        if self.reading:
            self.reading = False
            self.carrier.pause_reading()

    def resume_reading(self, now: float) -> None:
        """Take bytes again, unless there is another reason not to."""
        if self.reading or self.stalled_at or self.undecided or self.held > self.receive_maximum:
            return
        self.reading = True
        self.last_received = now
        self.carrier.resume_reading()

    # The end.

    def fail(self, error: MQTTError, now: float) -> None:
        """The one place where an error becomes an answer: CONNACK or DISCONNECT, then close (section 4.13)."""
        # [3.1.1: MQTT-4.8.0-1] [3.1.1: MQTT-4.8.0-2]
        if self.state == State.CLOSED:
            return
        self.core.note_failure(self, error)
        self.explained = True
        # [MQTT-4.13.1-1]
        if self.state == State.CONNECTED and self.pending is None:
            self.disconnect(error.reason, error.detail, now)
            return
        # [MQTT-3.1.4-1] [MQTT-3.2.2-7]
        connect.refuse(self, error)
        self.close(now, error.detail, False)

    def fail_unexpectedly(self, error: Exception, now: float) -> None:
        """A fault of our own: the log gets all of it, the client only that it happened."""
        self.core.log("error", "unexpected error", **self.who(), error=repr(error), exception=error)
        self.explained = True
        self.fail(MQTTError(ReasonCode.UNSPECIFIED_ERROR, ""), now)

    def disconnect(self, reason: ReasonCode, detail: str, now: float) -> None:
        """End the connection from the server's side."""
        if self.state == State.CLOSED:
            return
        # Before CONNACK nothing else may be sent [MQTT-3.2.0-1] [MQTT-3.14.0-1].
        if self.state == State.CONNECTED and self.pending is None and self.five:
            try:
                # [MQTT-3.14.2-2] No Session Expiry Interval from a server.
                self.send(Disconnect(reason, self.reason(detail)))
            except InvalidPacket:
                self.core.log("error", "cannot be a reason for DISCONNECT", reason=reason.name)
        self.close(now, detail, False)

    def close(self, now: float, detail: str, clean: bool) -> None:
        """Close when what was written has left; ``clean`` keeps the will from being published."""
        # [MQTT-3.14.4-1] [MQTT-3.14.4-2] [MQTT-4.13.2-1]
        self.outbox.open = False
        counters = self.core.counters
        counters.packets_sent += len(self.outbox.chunks)
        counters.bytes_sent += self.outbox.flush()
        self.carrier.close()
        self._ended(now, detail, clean)

    def _ended(self, now: float, detail: str, clean: bool) -> None:
        was = self.state
        self.state = State.CLOSED
        self.outbox.open = False
        self.outbox.chunks.clear()
        self.partial = None
        self.routes = self.core.no_routes
        self.aliases = None  # [MQTT-3.3.2-7]
        self.pending = None
        self.proceed = None
        self.core.connection_ended(self, was == State.CONNECTED, detail, clean, now)

    # Words.

    @property
    def origin(self) -> str:
        """Where the client is, without its port."""
        return host_of(self.peer.address)

    def who(self) -> dict[str, object]:
        """Whom a log line is about."""
        identity = self.identity
        return {"client": identity.client_id, "user": identity.username, "address": identity.address}

    def whereabouts(self) -> dict[str, object]:
        """Whom an event is about, beside its client identifier."""
        identity = self.identity
        details: dict[str, object] = {
            "user": identity.username,
            "address": identity.address,
            "listener": identity.listener,
        }
        if self.entrance.mount_point:
            details["mount_point"] = self.entrance.mount_point
        return details

    def tell_refused(self, action: str, rule: str, topic: str | None = None) -> None:
        """Tell whoever listens of a refusal. Ask first whether anybody does."""
        details = self.whereabouts()
        details["action"] = action
        if topic is not None:
            details["topic"] = topic
        details["rule"] = rule
        self.core.events.refused(self.identity.client_id, self.core.now, details)

    def refused(self, action: str, topic: str, rule: str) -> None:
        """One log line for a refused action; a client that goes on and on is not logged for ever."""
        self.refusals += 1
        if self.core.events.heard:
            self.tell_refused(action, rule, topic)
        if self.refusals < REFUSALS_LOGGED:
            # A topic filter is refused for its length too.
            shown = topic if len(topic) <= TOPIC_LOGGED else f"{topic[:TOPIC_LOGGED]}... ({len(topic)} characters)"
            self.core.log("warning", "refused", **self.who(), action=action, topic=shown, rule=rule)
        elif self.refusals == REFUSALS_LOGGED:
            self.core.log("warning", "refused many times; not logged further for this connection", **self.who())


PUBACK = 0x40
NO_ROOM = b"\x97"
REFUSALS_LOGGED = 50
TOPIC_LOGGED = 256


def _without_explanation(packet: Packet) -> Packet:
    if isinstance(packet, PingReq | PingResp):
        return packet
    return replace(packet, properties=replace(packet.properties, reason_string=None, user_properties=()))
