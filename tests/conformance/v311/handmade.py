"""Packets written byte by byte, right ones and wrong ones, and the end of a connection.

No encoder of the project has a part in them: what it refuses to write can be sent, and what it would get wrong shows.
"""

from __future__ import annotations

from tests.support.raw import ConnectionClosed, RawClient

__all__ = [
    "ILL_FORMED",
    "connect_packet",
    "expect_end",
    "expect_rejected",
    "field",
    "packet",
    "publish_packet",
    "subscribe_packet",
    "u16",
    "unsubscribe_packet",
]

ILL_FORMED: dict[str, bytes] = {
    "a byte that is never used": b"a\xffb",
    "a continuation byte alone": b"\x80",
    "a character cut short": b"a\xe2\x82",
    "an overlong form": b"\xc1\x81",
    "the overlong form of U+0000": b"\xc0\x80",
    "the first surrogate": b"\xed\xa0\x80",
    "the last surrogate": b"\xed\xbf\xbf",
    "a surrogate pair": b"\xed\xa0\xbd\xed\xb8\x80",
    "a number above U+10FFFF": b"\xf4\x90\x80\x80",
}
"""Bytes that are not UTF-8, by what is wrong with them."""


def u16(number: int) -> bytes:
    """A two byte integer."""
    return number.to_bytes(2, "big")


def field(value: str | bytes) -> bytes:
    """A string or binary field: two bytes of length, and the bytes."""
    raw = value.encode() if isinstance(value, str) else value
    return u16(len(raw)) + raw


def packet(first: int, *parts: bytes) -> bytes:
    """A packet with this first byte, its remaining length, and these parts behind it."""
    body = b"".join(parts)
    rest, length = len(body), bytearray()
    while rest > 127:
        length.append(rest & 127 | 128)
        rest >>= 7
    length.append(rest)
    return bytes((first,)) + bytes(length) + body


def connect_packet(
    *payload: bytes, name: str | bytes = "MQTT", level: int = 4, flags: int = 0x02, keep_alive: int = 0
) -> bytes:
    """A CONNECT with these payload fields; they are as the flags say only if the caller sees to it."""
    return packet(0x10, field(name), bytes((level, flags)), u16(keep_alive), *payload)


def publish_packet(
    topic: str | bytes, payload: bytes = b"", *, first: int = 0x30, packet_id: int | None = None
) -> bytes:
    """A PUBLISH with this first byte; the packet identifier is there if it is given."""
    return packet(first, field(topic), b"" if packet_id is None else u16(packet_id), payload)


def subscribe_packet(packet_id: int, *requests: tuple[str | bytes, int], first: int = 0x82) -> bytes:
    """A SUBSCRIBE with these topic filters and the bytes that follow each of them."""
    return packet(first, u16(packet_id), *(field(topic_filter) + bytes((qos,)) for topic_filter, qos in requests))


def unsubscribe_packet(packet_id: int, *topic_filters: str | bytes, first: int = 0xA2) -> bytes:
    """An UNSUBSCRIBE with these topic filters."""
    return packet(first, u16(packet_id), *map(field, topic_filters))


async def expect_end(client: RawClient) -> None:
    """The broker closes the connection and sends nothing before, not even part of a packet."""
    try:
        unexpected = await client.receive()
    except ConnectionClosed as ended:
        assert not ended.partial, ended
    else:
        raise AssertionError(f"expected the end of the connection, got {unexpected!r}")


async def expect_rejected(client: RawClient, data: bytes) -> None:
    """The broker answers these bytes by closing the connection, and by nothing else."""
    client.send_bytes(data)
    await expect_end(client)
