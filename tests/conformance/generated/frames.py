"""The packets that a client may send, with a property list of the test's choice."""

from __future__ import annotations

from collections.abc import Callable

from tests.conformance.v5.doubles import METHOD
from tests.conformance.wire import connect_packet, packet, prefixed, varint

__all__ = ["FRAMES", "HELLO", "METHODICAL", "listed", "with_expiry"]

HELLO = connect_packet()
METHODICAL = connect_packet(properties=b"\x15" + prefixed(METHOD) + b"\x16" + prefixed("quick"))
"""A CONNECT with an Authentication Method, which is accepted at once."""
HEADER = prefixed("MQTT") + b"\x05"


def with_expiry() -> bytes:
    """A CONNECT with a Session Expiry Interval, as a DISCONNECT that changes it needs."""
    return connect_packet(properties=b"\x11\x00\x00\x00\x05")


def listed(properties: bytes) -> bytes:
    """A property list with its length."""
    return varint(len(properties)) + properties


def _acknowledgement(first: int) -> Callable[[bytes], bytes]:
    return lambda properties: packet(first, b"\x00\x09\x00" + properties)


FRAMES: dict[str, Callable[[bytes], bytes]] = {
    "CONNECT": lambda properties: packet(0x10, HEADER + b"\x02\x00\x00" + properties + prefixed("")),
    "Will": lambda properties: packet(
        0x10, HEADER + b"\x06\x00\x00\x00" + prefixed("") + properties + prefixed("w") + prefixed("x")
    ),
    "PUBLISH": lambda properties: packet(0x30, prefixed("a") + properties),
    "PUBLISH QoS 1": lambda properties: packet(0x32, prefixed("a") + b"\x00\x09" + properties),
    "PUBLISH QoS 2": lambda properties: packet(0x34, prefixed("a") + b"\x00\x09" + properties),
    "PUBACK": _acknowledgement(0x40),
    "PUBREC": _acknowledgement(0x50),
    "PUBREL": _acknowledgement(0x62),
    "PUBCOMP": _acknowledgement(0x70),
    "SUBSCRIBE": lambda properties: packet(0x82, b"\x00\x09" + properties + prefixed("a") + b"\x00"),
    "UNSUBSCRIBE": lambda properties: packet(0xA2, b"\x00\x09" + properties + prefixed("a")),
    "DISCONNECT": lambda properties: packet(0xE0, b"\x00" + properties),
    "AUTH": lambda properties: packet(0xF0, b"\x19" + properties),
}
"""From a property list with its length to a whole packet. The first word of a key is the name in the table."""
