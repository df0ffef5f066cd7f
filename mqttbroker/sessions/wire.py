"""How a PUBLISH is written for one connection: version, Maximum Packet Size, topic aliases, mount point.

Absent on purpose: every decision about whether a message is sent at all.
"""

from __future__ import annotations

from math import ceil

from mqttbroker.protocol import encode_publish
from mqttbroker.protocol.wire import encode_varint
from mqttbroker.storage.messages import Message

__all__ = ["Wire"]

ROUNDING = 0.001
"""Seconds by which a sum of times may be off, so that a message that has not waited at all keeps its interval."""


class Wire:
    """What a CONNECT said about the packets that its sender can take. Topic aliases end with the connection."""

    __slots__ = ("alias_maximum", "aliases", "five", "kind", "maximum_packet_size", "mounted")

    def __init__(self, five: bool, maximum_packet_size: int = 0, alias_maximum: int = 0, mount_point: str = "") -> None:
        self.five: bool = five
        self.maximum_packet_size: int = maximum_packet_size
        """Largest packet that may be sent, in bytes; 0 for no limit."""
        self.alias_maximum: int = alias_maximum
        self.aliases: dict[bytes, int] = {}
        self.mounted: int = len(mount_point.encode())
        """Bytes at the beginning of every topic that the client does not see."""
        self.kind: int = 5 if five else 4
        """5 or 4 where unchanged bytes of a PUBLISH can go to this connection, 0 where each is written anew."""
        if mount_point or maximum_packet_size or alias_maximum:
            self.kind = 0

    def publish(
        self,
        message: Message,
        qos: int,
        retain: bool,
        dup: bool,
        packet_id: int,
        identifiers: tuple[int, ...],
        now: float,
    ) -> bytes | None:
        """Encode the message; ``None`` when it is larger than the connection takes [MQTT-3.1.2-24]."""
        if message.kind and message.kind == self.kind and qos == message.qos and not (retain or dup or identifiers):
            # As it came, but for the packet identifier; and without properties, for which MQTT 5.0 has a zero.
            middle = packet_id.to_bytes(2, "big")
            return message.head + (middle + b"\0" if self.five else middle) + message.payload
        topic = message.topic_bytes
        if self.mounted:
            topic = topic[self.mounted :]
        if not self.five:
            return encode_publish(False, topic, message.payload, b"", qos, retain, dup, packet_id)
        properties = message.properties
        if message.expires_at:
            # [MQTT-3.3.2-6] What is forwarded is what was received, less the time that the message has waited.
            left = max(ceil(message.expires_at - now - ROUNDING), 0)
            properties = b"\x02" + left.to_bytes(4, "big") + properties
        for identifier in identifiers:
            properties += b"\x0b" + encode_varint(identifier)
        if self.alias_maximum:  # [MQTT-3.1.2-27]
            return self._aliased(topic, message.payload, properties, qos, retain, dup, packet_id)
        return self._fitting(encode_publish(True, topic, message.payload, properties, qos, retain, dup, packet_id))

    def _aliased(
        self, topic: bytes, payload: bytes, properties: bytes, qos: int, retain: bool, dup: bool, packet_id: int
    ) -> bytes | None:
        alias = self.aliases.get(topic, 0)
        fresh = not alias and len(self.aliases) < self.alias_maximum  # [MQTT-3.3.2-11]
        if alias or fresh:
            # [MQTT-3.3.2-8] [MQTT-3.1.2-26] 1 to the maximum that the client gave, first come first served.
            number = alias or len(self.aliases) + 1
            packet = self._fitting(
                encode_publish(
                    True,
                    b"" if alias else topic,
                    payload,
                    properties + b"\x23" + number.to_bytes(2, "big"),
                    qos,
                    retain,
                    dup,
                    packet_id,
                )
            )
            if packet is not None:
                if fresh:
                    self.aliases[topic] = number
                return packet
        return self._fitting(encode_publish(True, topic, payload, properties, qos, retain, dup, packet_id))

    def _fitting(self, packet: bytes) -> bytes | None:
        if self.maximum_packet_size and len(packet) > self.maximum_packet_size:
            return None
        return packet
