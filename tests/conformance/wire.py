"""Packets byte by byte, for what no encoder would write, and the ways in which a broker ends a connection."""

from __future__ import annotations

from mqttbroker.protocol import ConnAck, Disconnect, PingReq, ProtocolVersion, ReasonCode, encode
from tests.support.raw import RawClient

__all__ = [
    "MALFORMED",
    "PINGREQ",
    "connect_packet",
    "cut",
    "expect_disconnect",
    "expect_refusal",
    "packet",
    "pair",
    "prefixed",
    "publish_packet",
    "subscribe_packet",
    "varint",
]

MALFORMED = ReasonCode.MALFORMED_PACKET
PINGREQ = encode(PingReq(), ProtocolVersion.V5)


def varint(number: int) -> bytes:
    """A variable byte integer in its shortest form."""
    encoded = bytearray()
    while number > 127:
        encoded.append(number & 127 | 128)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def prefixed(content: bytes | str) -> bytes:
    """A string or binary field: two bytes of length, then the content, which may be anything."""
    content = content.encode() if isinstance(content, str) else content
    return len(content).to_bytes(2, "big") + content


def pair(name: bytes | str, value: bytes | str) -> bytes:
    """A User Property with its identifier."""
    return b"\x26" + prefixed(name) + prefixed(value)


def packet(first: int, body: bytes) -> bytes:
    """A packet with this first byte and body."""
    return bytes((first,)) + varint(len(body)) + body


def connect_packet(
    *payload: bytes,
    flags: int = 0x02,
    name: bytes = b"MQTT",
    level: int = 5,
    keep_alive: int = 0,
    properties: bytes = b"",
    first: int = 0x10,
) -> bytes:
    """A CONNECT whose payload is these fields, prefixes included; by default an empty client identifier."""
    header = prefixed(name) + bytes((level, flags)) + keep_alive.to_bytes(2, "big")
    if level >= 5:
        header += varint(len(properties)) + properties
    return packet(first, header + b"".join(payload or (prefixed(b""),)))


def publish_packet(
    topic: bytes | str,
    payload: bytes = b"",
    *,
    first: int = 0x30,
    packet_id: int | None = None,
    properties: bytes = b"",
) -> bytes:
    """A PUBLISH of MQTT 5.0 with this first byte; ``packet_id`` is written if there is one, whatever the QoS."""
    number = b"" if packet_id is None else packet_id.to_bytes(2, "big")
    return packet(first, prefixed(topic) + number + varint(len(properties)) + properties + payload)


def subscribe_packet(
    topic_filter: bytes | str, options: int = 0, *, first: int = 0x82, packet_id: int = 1, properties: bytes = b""
) -> bytes:
    """A SUBSCRIBE of MQTT 5.0 to one filter."""
    header = packet_id.to_bytes(2, "big") + varint(len(properties)) + properties
    return packet(first, header + prefixed(topic_filter) + bytes((options,)))


async def expect_disconnect(client: RawClient, *reasons: ReasonCode) -> Disconnect:
    """The broker sends DISCONNECT with one of these reason codes and nothing else, and closes the connection."""
    packets = await client.expect_closed()
    assert len(packets) == 1 and isinstance(packets[0], Disconnect), packets
    assert packets[0].reason_code in reasons, packets
    return packets[0]


async def expect_refusal(client: RawClient, *reasons: ReasonCode) -> ConnAck:
    """The broker sends CONNACK with one of these reason codes and nothing else, and closes the connection."""
    packets = await client.expect_closed()
    assert len(packets) == 1 and isinstance(packets[0], ConnAck), packets
    assert packets[0].reason_code in reasons, packets
    assert not packets[0].session_present
    return packets[0]


async def cut(client: RawClient) -> None:
    """Lose the connection without a DISCONNECT, and wait until the broker has noticed."""
    client.send_eof()
    await client.expect_closed()
