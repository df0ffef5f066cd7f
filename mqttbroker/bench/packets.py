"""The packets of a load, made before it begins.

All PUBLISH packets of a load have the same size, and in each the packet identifier and the time are at the same place.
"""

from __future__ import annotations

from struct import Struct
from typing import Final

from mqttbroker.bench.frames import frame_head, masked
from mqttbroker.bench.scenario import Scenario
from mqttbroker.protocol import ProtocolVersion, Publish, encode

__all__ = ["PUBACK", "PUBCOMP", "PUBREC", "PUBREL", "STAMP", "Template", "acknowledgement", "version_of"]

PUBACK: Final = 0x40
PUBREC: Final = 0x50
PUBREL: Final = 0x62
PUBCOMP: Final = 0x70

STAMP: Final = Struct(">q")
"""The first bytes of a payload at a fixed rate: nanoseconds of the monotonic clock, when the message was due."""
_PACKET_ID: Final = Struct(">H")


def version_of(scenario: Scenario) -> ProtocolVersion:
    """The version that the clients of a load speak."""
    return ProtocolVersion.V5 if scenario.version5 else ProtocolVersion.V311


def acknowledgement(first: int, framed: bool) -> bytes:
    """An acknowledgement with the packet identifier 0, in a frame if so. Its last two bytes are the identifier, which
    no mask changes.
    """
    packet = bytes((first, 2, 0, 0))
    return frame_head(4) + masked(packet) if framed else packet


class Template:
    """The PUBLISH packets of one publisher."""

    def __init__(self, topic: str, scenario: Scenario, framed: bool) -> None:
        payload = b"x" * scenario.payload
        packet_id = 1 if scenario.qos else None
        packet = encode(Publish(topic, payload, scenario.qos, packet_id=packet_id), version_of(scenario))
        self.size = len(packet)
        """Bytes of a packet, as subscribers get it."""
        self.stamp_at = self.size - scenario.payload
        """Where the payload begins."""
        self.id_at = packet.index(topic.encode(), 2) + len(topic) if scenario.qos else 0
        """Where the packet identifier is; 0 where there is none."""
        self._framed = framed
        self._head = bytearray(packet[: self.stamp_at + STAMP.size])
        self._frame = frame_head(self.size) if framed else b""
        body = packet[len(self._head) :]
        self._body = masked(body, len(self._head)) if framed else body

    def make(self, packet_id: int, stamp: int | None = None) -> tuple[bytes, bytes]:
        """A packet in two pieces; the second is the same for all."""
        head = self._head
        if self.id_at:
            _PACKET_ID.pack_into(head, self.id_at, packet_id)
        if stamp is not None:
            STAMP.pack_into(head, self.stamp_at, stamp)
        return (self._frame + masked(bytes(head)) if self._framed else bytes(head)), self._body

    def ring(self, count: int) -> bytes:
        """So many packets with identifiers from 1 on."""
        return b"".join(part for number in range(1, count + 1) for part in self.make(number))

    @property
    def framed_size(self) -> int:
        """Bytes of a packet, as it is sent."""
        return len(self._frame) + self.size
