"""What a trace has found: packets as they were on the wire, without what nobody may see."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from mqttbroker.protocol import Auth, ConnAck, Connect, Packet, ProtocolVersion, Publish

__all__ = ["HIDDEN", "Direction", "Found", "TracedEnd", "TracedLoss", "TracedPacket", "without_secrets"]

Direction = Literal["in", "out"]
"""From the client, or to it."""
HIDDEN = b"hidden"
"""What stands for a password or for authentication data."""


@dataclass(frozen=True, slots=True)
class TracedPacket:
    """One packet of a connection."""

    at: float
    direction: Direction
    client_id: str
    """As the client gave it; empty before its CONNECT, and where that has none."""
    mount_point: str
    address: str
    version: ProtocolVersion
    name: str
    """Its type, in the standard's words."""
    flags: int
    """The lower half of its first byte."""
    size: int
    """Bytes of the whole packet."""
    packet: Packet | None
    """``None`` where it could not be read."""
    payload_size: int
    """Of a PUBLISH, whose payload is cut."""
    will_size: int
    """Of the will's payload in a CONNECT, which is cut as well."""
    topic: str
    """The topic that it is about, as the broker knows it: also where an alias or a packet identifier stands for it."""
    error: str
    """Why it could not be read."""


@dataclass(frozen=True, slots=True)
class TracedEnd:
    """The end of a connection."""

    at: float
    client_id: str
    mount_point: str
    address: str
    reason: str


@dataclass(frozen=True, slots=True)
class TracedLoss:
    """A gap: the reader was too slow."""

    at: float
    count: int


Found = TracedPacket | TracedEnd | TracedLoss


def without_secrets(packet: Packet, preview: int) -> Packet:
    """The packet without passwords and authentication data, and with no more than the beginning of payloads."""
    if isinstance(packet, Publish):
        return packet if len(packet.payload) <= preview else replace(packet, payload=packet.payload[:preview])
    if isinstance(packet, Connect):
        password = None if packet.password is None else HIDDEN
        will = packet.will
        if will is not None and len(will.payload) > preview:
            will = replace(will, payload=will.payload[:preview])
        packet = replace(packet, password=password, will=will)
    if isinstance(packet, Connect | ConnAck | Auth) and packet.properties.authentication_data is not None:
        packet = replace(packet, properties=replace(packet.properties, authentication_data=HIDDEN))
    return packet
