"""A tap on one connection that is traced: it reads along, byte by byte, in both directions.

It stands between the outbox and the carrier, and sees what comes in before the connection does. So it shows what was on
the wire, whichever path through the broker it took; and connections without a tap have nothing of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mqttbroker.broker.trace import Target, Trace
from mqttbroker.broker.traced import Direction, TracedEnd, TracedPacket, without_secrets
from mqttbroker.protocol import (
    ConnAck,
    Connect,
    MQTTError,
    Packet,
    PacketSplitter,
    PacketType,
    ProtocolVersion,
    PubAck,
    PubComp,
    Publish,
    PubRec,
    PubRel,
    RawPacket,
    SubAck,
    Subscribe,
    UnsubAck,
    Unsubscribe,
    decode,
)
from mqttbroker.sessions import Carrier, mounted_client_id, mounted_filter
from mqttbroker.topics import InvalidTopicFilter, filter_matches, filters_overlap, split_share

if TYPE_CHECKING:
    from mqttbroker.broker.connection import Connection
    from mqttbroker.broker.tracing import Tracing

__all__ = ["Tap"]

KEPT: Final = 131_072
"""Bytes of one packet that are looked at: enough for every topic, and for all properties but monstrous ones."""
OWN_BYTES: Final = 64
"""What a packet without a body is counted as."""


class Tap:
    """The tap on one connection, for all traces that it concerns. Implements ``Carrier``."""

    __slots__ = (
        "_aliases_in",
        "_aliases_out",
        "_asked",
        "_carrier",
        "_in",
        "_out",
        "_received",
        "_tracing",
        "_version",
        "client_id",
        "connection",
        "known",
        "traces",
    )

    def __init__(self, tracing: Tracing, connection: Connection) -> None:
        self.connection: Connection = connection
        self.traces: list[Trace] = []
        self.client_id: str = connection.identity.client_id
        self.known: str = ""
        """The identifier by which the broker knows the session; empty before the CONNECT."""
        if connection.accepted:
            self.known = connection.session.client_id
        elif self.client_id:
            self.known = mounted_client_id(connection.entrance.mount_point, self.client_id)
        self._tracing: Tracing = tracing
        self._version: ProtocolVersion = connection.version
        """Of the CONNECT, which the connection may not have handled yet when more comes behind it."""
        self._carrier: Carrier = connection.carrier
        self._in: PacketSplitter = PacketSplitter(KEPT)
        self._out: PacketSplitter = PacketSplitter(KEPT)
        self._aliases_in: dict[int, str] = dict(connection.aliases or {})
        self._aliases_out: dict[int, str] = {
            number: topic.decode() for topic, number in connection.session.wire.aliases.items()
        }
        self._received: dict[int, str] = {}
        """Topics of QoS 1 and 2 messages from the client that are not finished, by packet identifier."""
        self._asked: dict[int, tuple[str, ...]] = {}
        """Filters of SUBSCRIBE and UNSUBSCRIBE that are not answered, by packet identifier."""

    def may_concern(self, target: Target) -> bool:
        """Whether this may be the client that a trace is about, or it is about none."""
        return target.client is None or not self.known or target.client == self.known

    def begin(self) -> None:
        """Read along from now on; what is here already of an unfinished packet is its beginning."""
        connection = self.connection
        connection.tap = self
        connection.outbox.carrier = self
        if connection.partial is not None:
            self.received(bytes(connection.partial), connection.core.now)

    def end(self) -> None:
        """Leave the connection to itself."""
        self.connection.tap = None
        self.connection.outbox.carrier = self._carrier

    # What passes.

    def received(self, data: bytes, now: float) -> None:
        """Bytes have come from the client, and are handled next."""
        self._look(self._in, "in", data, now)

    def send(self, data: bytes) -> None:
        """Bytes leave for the client."""
        self._look(self._out, "out", data, self.connection.core.now)
        self._carrier.send(data)

    def close(self) -> None:
        self._carrier.close()

    def abort(self) -> None:
        self._carrier.abort()

    def waiting(self) -> int:
        return self._carrier.waiting()

    def pause_reading(self) -> None:
        self._carrier.pause_reading()

    def resume_reading(self) -> None:
        self._carrier.resume_reading()

    def ended(self, reason: str, now: float) -> None:
        """The connection has ended."""
        mount_point = self.connection.entrance.mount_point
        # Whoever is refused is told no more than the CONNACK says.
        reason = reason or "ended by the broker"
        found = TracedEnd(now, self._name(), mount_point, self.connection.peer.address, reason)
        for trace in list(self.traces):
            if self._concerns(trace) and trace.target.topic_filter is None:
                self._tracing.note(trace, found, OWN_BYTES, now, counts=False)
        self.traces.clear()
        self.end()

    def _look(self, splitter: PacketSplitter, direction: Direction, data: bytes, now: float) -> None:
        broken = splitter.error is not None
        try:
            for raw in splitter.feed(data):
                self._packet(raw, direction, now)
            if splitter.error is not None and not broken:
                self._tell(direction, RawPacket(0, len(data), b"", 0), "unreadable", None, (), str(splitter.error), now)
        except Exception as error:
            self._tracing.failed(error)

    def _packet(self, raw: RawPacket, direction: Direction, now: float) -> None:
        kind = raw.first >> 4
        name = PacketType(kind).name if kind else "reserved"
        version = self._version if direction == "in" else self.connection.version
        if kind == PacketType.PUBLISH and self._passes_by(raw, version):
            return
        packet: Packet | None = None
        error = ""
        if raw.missing and kind != PacketType.PUBLISH:
            error = "too large to be shown"
        else:
            try:
                packet = decode(raw.first, raw.body, version)
            except MQTTError as wrong:
                error = "too large to be shown" if raw.missing else str(wrong)
        if isinstance(packet, Connect) and direction == "in":
            self._connect(packet)
        elif isinstance(packet, ConnAck) and packet.properties.assigned_client_identifier is not None:
            self.client_id = packet.properties.assigned_client_identifier
        topic, filters = ("", ()) if packet is None else self._about(packet, direction)
        self._tell(direction, raw, name, packet, filters, error, now, topic)

    def _passes_by(self, raw: RawPacket, version: ProtocolVersion) -> bool:
        """Whether no trace wants a PUBLISH, which is found out without decoding it where it has no properties."""
        body = raw.body
        stop = 2 + (body[0] << 8) + body[1] if len(body) > 1 else 0
        if stop < 3 or stop >= len(body):
            return False
        at = stop + (2 if raw.first & 0x06 else 0)
        if version == ProtocolVersion.V5 and (at >= len(body) or body[at]):
            return False
        topic = self.connection.entrance.mount_point + body[2:stop].decode("utf-8", "replace")
        for trace in self.traces:
            topic_filter = trace.target.topic_filter
            if topic_filter is None or filter_matches(topic_filter, topic):
                return False
        return True

    def _connect(self, packet: Connect) -> None:
        """Now it is known whose connection this is."""
        self._version = packet.version
        if not self.known:
            self.client_id = packet.client_id
            if packet.client_id:
                self.known = mounted_client_id(self.connection.entrance.mount_point, packet.client_id)
            self._tracing.identified(self)

    # What a packet is about.

    def _about(self, packet: Packet, direction: Direction) -> tuple[str, tuple[str, ...]]:
        """The topic of a packet, or the topic filters."""
        mount_point = self.connection.entrance.mount_point
        if isinstance(packet, Publish):
            topic = self._topic_of(packet, self._aliases_in if direction == "in" else self._aliases_out)
            if topic:
                topic = mount_point + topic
            if packet.packet_id is not None and direction == "in":
                self._received[packet.packet_id] = topic
            return topic, ()
        if isinstance(packet, PubAck | PubRec | PubRel | PubComp):
            return self._topic_of_answer(packet, direction), ()
        if isinstance(packet, Connect):
            return ("" if packet.will is None else mount_point + packet.will.topic), ()
        if isinstance(packet, Subscribe):
            filters = tuple(self._plain(each.topic_filter) for each in packet.subscriptions)
            self._asked[packet.packet_id] = filters
            return "", filters
        if isinstance(packet, Unsubscribe):
            filters = tuple(self._plain(each) for each in packet.topic_filters)
            self._asked[packet.packet_id] = filters
            return "", filters
        if isinstance(packet, SubAck | UnsubAck):
            return "", self._asked.pop(packet.packet_id, ())
        return "", ()

    def _topic_of(self, packet: Publish, aliases: dict[int, str]) -> str:
        alias = packet.properties.topic_alias
        if alias is None:
            return packet.topic
        if packet.topic:
            aliases[alias] = packet.topic
        return aliases.get(alias, "")

    def _topic_of_answer(self, packet: PubAck | PubRec | PubRel | PubComp, direction: Direction) -> str:
        """The topic of the message that an answer belongs to.

        PUBREL goes the way of the message, the others come back. What the session sends it knows itself, until the
        last answer has been handled.
        """
        by_client = (direction == "in") == isinstance(packet, PubRel)
        if not by_client:
            queued = self.connection.session.inflight.get(packet.packet_id)
            return "" if queued is None else queued.message.topic
        if isinstance(packet, PubAck | PubComp) or packet.reason_code >= 0x80:
            return self._received.pop(packet.packet_id, "")
        return self._received.get(packet.packet_id, "")

    def _plain(self, topic_filter: str) -> str:
        """A filter as the broker knows it, without the group of a shared subscription."""
        try:
            return split_share(mounted_filter(self.connection.entrance.mount_point, topic_filter))[1]
        except InvalidTopicFilter:
            return topic_filter

    # Who is told.

    def _tell(
        self,
        direction: Direction,
        raw: RawPacket,
        name: str,
        packet: Packet | None,
        filters: tuple[str, ...],
        error: str,
        now: float,
        topic: str = "",
    ) -> None:
        wanting = [each for each in self.traces if self._wants(each, topic, filters)]
        preview = -1
        for trace in wanting:
            if trace.full:
                self._tracing.note(trace, None, 0, now)
            else:
                preview = max(preview, trace.preview)
        if preview < 0:
            return
        payload_size = len(packet.payload) + raw.missing if isinstance(packet, Publish) else 0
        will_size = len(packet.will.payload) if isinstance(packet, Connect) and packet.will is not None else 0
        size = OWN_BYTES + len(raw.body)
        if isinstance(packet, Publish) and len(packet.payload) > preview:
            size -= len(packet.payload) - preview
        found = TracedPacket(
            now,
            direction,
            self._name(),
            self.connection.entrance.mount_point,
            self.connection.peer.address,
            self._version if direction == "in" else self.connection.version,
            name,
            raw.first & 0x0F,
            raw.size,
            None if packet is None else without_secrets(packet, preview),
            payload_size,
            will_size,
            topic,
            error,
        )
        for trace in wanting:
            if not trace.full:
                self._tracing.note(trace, found, size, now)

    def _wants(self, trace: Trace, topic: str, filters: tuple[str, ...]) -> bool:
        topic_filter = trace.target.topic_filter
        if topic_filter is None:
            return self._concerns(trace)
        if topic:
            return filter_matches(topic_filter, topic)
        return any(filters_overlap(topic_filter, each) for each in filters)

    def _concerns(self, trace: Trace) -> bool:
        """Whether a trace is about this connection."""
        client = trace.target.client
        return client is None or client == self.known

    def _name(self) -> str:
        return self.client_id or self.connection.identity.client_id
