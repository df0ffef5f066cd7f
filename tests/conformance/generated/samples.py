"""Whole packets of a client, with every field that they can have, and the places where they may end.

What ends elsewhere is cut in the middle of something, whatever its remaining length says.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.conformance.generated.frames import listed
from tests.conformance.v5.doubles import METHOD
from tests.conformance.wire import packet, pair, prefixed

__all__ = ["METHODICAL", "V5", "V311", "Sample"]

END = None
"""The packet may end here."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A packet's first byte and body, and the lengths of the body at which it is a packet."""

    first: int
    body: bytes
    ends: frozenset[int]

    @property
    def whole(self) -> bytes:
        """The packet."""
        return packet(self.first, self.body)


def _sample(first: int, *fields: bytes | None) -> Sample:
    body = b""
    ends: set[int] = set()
    for each in fields:
        if each is END:
            ends.add(len(body))
        else:
            body += each
    return Sample(first, body, frozenset(ends | {len(body)}))


def _payload(data: bytes) -> tuple[bytes | None, ...]:
    """A payload may end anywhere."""
    fields: list[bytes | None] = [END]
    for byte in data:
        fields += [bytes((byte,)), END]
    return tuple(fields)


WHY = listed(b"\x1f" + prefixed("why") + pair("k", "v"))
MESSAGE = (
    b"\x01\x01\x02\x00\x00\x00\x63\x03" + prefixed("text") + b"\x08" + prefixed("r/t") + b"\x09" + prefixed(b"\x00\xff")
)
METHODICAL = b"\x15" + prefixed(METHOD) + b"\x16" + prefixed("quick")
ACKNOWLEDGEMENT = (b"\x01\x02", END, b"\x00", END, WHY)

V5: dict[str, Sample] = {
    "CONNECT": _sample(
        0x10,
        prefixed("MQTT") + b"\x05\xf6\x00\x3c",
        listed(
            b"\x11\x00\x00\x00\x05\x21\x00\x0a\x27\x00\x00\x10\x00\x22\x00\x05\x19\x01\x17\x01"
            + METHODICAL
            + pair("k", "v")
        ),
        prefixed("client"),
        listed(b"\x18\x00\x00\x00\x05" + MESSAGE + pair("w", "x")),
        prefixed("will/topic") + prefixed(b"will payload") + prefixed("user") + prefixed(b"password"),
    ),
    "CONNECT, the least": _sample(0x10, prefixed("MQTT") + b"\x05\x02\x00\x00\x00" + prefixed("")),
    "PUBLISH QoS 0": _sample(
        0x31, prefixed("a/b"), listed(MESSAGE + b"\x23\x00\x05" + pair("k", "v")), *_payload(b"xyz")
    ),
    "PUBLISH QoS 1": _sample(0x32, prefixed("a/b") + b"\x01\x02\x00", *_payload(b"\x00\x01")),
    "PUBLISH QoS 2": _sample(0x3D, prefixed("a/b") + b"\x01\x02", listed(MESSAGE), *_payload(b"x")),
    "PUBACK": _sample(0x40, *ACKNOWLEDGEMENT),
    "PUBREC": _sample(0x50, *ACKNOWLEDGEMENT),
    "PUBREL": _sample(0x62, *ACKNOWLEDGEMENT),
    "PUBCOMP": _sample(0x70, *ACKNOWLEDGEMENT),
    "SUBSCRIBE": _sample(
        0x82,
        b"\x01\x02" + listed(b"\x0b\x81\x01" + pair("k", "v")),
        prefixed("a/+") + b"\x2e",
        END,
        prefixed("$share/g/#") + b"\x01",
        END,
        prefixed("b") + b"\x00",
    ),
    "UNSUBSCRIBE": _sample(
        0xA2, b"\x01\x02" + listed(pair("k", "v")), prefixed("a/+"), END, prefixed("$share/g/#"), END, prefixed("b")
    ),
    "PINGREQ": _sample(0xC0),
    "DISCONNECT": _sample(
        0xE0, END, b"\x04", END, listed(b"\x11\x00\x00\x00\x07\x1f" + prefixed("why") + pair("k", "v"))
    ),
    "AUTH": _sample(0xF0, b"\x19", listed(METHODICAL + b"\x1f" + prefixed("why") + pair("k", "v"))),
}

V311: dict[str, Sample] = {
    "CONNECT": _sample(
        0x10,
        prefixed("MQTT")
        + b"\x04\xf6\x00\x3c"
        + prefixed("client")
        + prefixed("will/topic")
        + prefixed(b"will payload"),
        prefixed("user") + prefixed(b"password"),
    ),
    "PUBLISH QoS 0": _sample(0x31, prefixed("a/b"), *_payload(b"xyz")),
    "PUBLISH QoS 1": _sample(0x32, prefixed("a/b") + b"\x01\x02", *_payload(b"\x00\x01")),
    "PUBLISH QoS 2": _sample(0x3D, prefixed("a/b") + b"\x01\x02", *_payload(b"x")),
    "PUBACK": _sample(0x40, b"\x01\x02"),
    "PUBREC": _sample(0x50, b"\x01\x02"),
    "PUBREL": _sample(0x62, b"\x01\x02"),
    "PUBCOMP": _sample(0x70, b"\x01\x02"),
    "SUBSCRIBE": _sample(0x82, b"\x01\x02", prefixed("a/+") + b"\x02", END, prefixed("b") + b"\x00"),
    "UNSUBSCRIBE": _sample(0xA2, b"\x01\x02", prefixed("a/+"), END, prefixed("b")),
    "PINGREQ": _sample(0xC0),
    "DISCONNECT": _sample(0xE0),
}
