"""Strings that are not UTF-8: whatever they are the name of, nobody else may ever see them."""

from __future__ import annotations

import pytest

from mqttbroker.protocol import ProtocolVersion
from tests.conformance.v311.handmade import ILL_FORMED
from tests.conformance.wire import connect_packet, packet, prefixed
from tests.support.raw import RawClient
from tests.threats.attack import MALFORMED, SECRET, V5, V311, Attack, ended

BAD: dict[str, bytes] = {**ILL_FORMED, "U+0000": b"a\x00b", "U+0000 alone": b"\x00"}

AFTER_CONNECT = {
    "topic name": lambda bad, none: packet(0x30, bad + none + SECRET),
    "topic name at QoS 1": lambda bad, none: packet(0x32, bad + b"\x00\x01" + none + SECRET),
    "retained topic name": lambda bad, none: packet(0x35, bad + b"\x00\x01" + none + SECRET),
    "topic filter": lambda bad, none: packet(0x82, b"\x00\x01" + none + bad + b"\x00"),
    "second topic filter": lambda bad, none: packet(
        0x82, b"\x00\x01" + none + prefixed(b"a") + b"\x00" + bad + b"\x00"
    ),
    "filter of UNSUBSCRIBE": lambda bad, none: packet(0xA2, b"\x00\x01" + none + bad),
}
"""By what the bad string is: it is given with its length, and with the empty property list where the version has it."""

IN_CONNECT = {
    "client identifier": lambda bad, none, level: connect_packet(bad, level=level),
    "user name": lambda bad, none, level: connect_packet(prefixed(b"c"), bad, flags=0x82, level=level),
    "will topic": lambda bad, none, level: connect_packet(
        prefixed(b"c"), none + bad + prefixed(SECRET), flags=0x06, level=level
    ),
}

_RELATED = {"content type": 0x03, "response topic": 0x08}


def _listed(content: bytes) -> bytes:
    return bytes((len(content),)) + content


def _message(identifier: int, bad: bytes) -> list[bytes]:
    """A message with this string property, published and as a will."""
    listed = _listed(bytes((identifier,)) + bad)
    will = listed + prefixed(b"a") + prefixed(SECRET)
    return [packet(0x30, prefixed(b"a") + listed + SECRET), connect_packet(prefixed(b"c"), will, flags=0x06)]


def _with_user_property(bad: bytes) -> list[bytes]:
    """Every packet that a client sends, with a User Property whose name or value is this string."""
    found: list[bytes] = []
    for content in (b"\x26" + bad + prefixed(b"v"), b"\x26" + prefixed(b"n") + bad):
        listed = _listed(content)
        found += [
            connect_packet(prefixed(b"c"), properties=content),
            connect_packet(prefixed(b"c"), listed + prefixed(b"a") + prefixed(SECRET), flags=0x06),
            packet(0x30, prefixed(b"a") + listed + SECRET),
            packet(0x82, b"\x00\x01" + listed + prefixed(b"a") + b"\x00"),
            packet(0xA2, b"\x00\x01" + listed + prefixed(b"a")),
            packet(0xE0, b"\x04" + listed),
            *(packet(first, b"\x00\x01\x00" + listed) for first in (0x40, 0x50, 0x62, 0x70)),
        ]
    return found


def _with_reason_string(bad: bytes) -> list[bytes]:
    listed = _listed(b"\x1f" + bad)
    return [packet(0xE0, b"\x04" + listed)] + [
        packet(first, b"\x00\x01\x00" + listed) for first in (0x40, 0x50, 0x62, 0x70)
    ]


async def _refused(attack: Attack, version: ProtocolVersion, data: bytes) -> None:
    if data[0] == 0x10:
        async with attack.open(version) as client:
            client.send_bytes(data)
            await ended(client, MALFORMED)
            attack.failure(client, MALFORMED)
    else:
        async with attack.connected(version) as client:
            await attack.rejected(client, data, MALFORMED)


@pytest.mark.parametrize("version", [V311, V5], ids=["v311", "v5"])
@pytest.mark.parametrize("place", [*AFTER_CONNECT, *IN_CONNECT])
async def test_cve_2017_7653_mosquitto_string_that_is_not_utf_8(
    attack: Attack, overhearing: RawClient, version: ProtocolVersion, place: str
) -> None:
    """Mosquitto up to 1.4.15 forwarded topics that are not UTF-8, and strict subscribers ended their connections."""
    none = b"\x00" if version == V5 else b""
    for bad in map(prefixed, BAD.values()):
        later = place in AFTER_CONNECT
        data = AFTER_CONNECT[place](bad, none) if later else IN_CONNECT[place](bad, none, version)
        await _refused(attack, version, data)
    await overhearing.expect_silence()
    await overhearing.unsubscribe("#")
    await overhearing.subscribe("#")
    await overhearing.expect_silence()


async def test_cve_2017_7653_mosquitto_string_property_that_is_not_utf_8(
    attack: Attack, overhearing: RawClient
) -> None:
    """As above, in every property that is a string."""
    for bad in map(prefixed, BAD.values()):
        for data in (
            *_message(_RELATED["content type"], bad),
            *_message(_RELATED["response topic"], bad),
            *_with_user_property(bad),
            *_with_reason_string(bad),
            connect_packet(prefixed(b"c"), properties=b"\x15" + bad),
            packet(0xF0, b"\x19" + _listed(b"\x15" + bad)),
        ):
            await _refused(attack, V5, data)
    await overhearing.expect_silence()


@pytest.mark.parametrize("version", [V311, V5], ids=["v311", "v5"])
@pytest.mark.parametrize("name", ["MQTT\0", "mqtt", "MQTT ", "M\ufeffQTT"], ids=["NUL", "small", "space", "BOM"])
async def test_cve_2017_7653_mosquitto_protocol_name(attack: Attack, version: ProtocolVersion, name: str) -> None:
    """As above, in the first string that there is: the connection ends, with no answer or one that all can read."""
    async with attack.open(version) as client:
        client.send_bytes(connect_packet(prefixed(b"c"), name=name.encode(), level=version))
        assert await client.expect_closed() == []
        attack.failure(client)
