"""A long session's bytes in every cut: what the broker answers depends on the bytes alone.

The client acknowledges deliveries before it has seen them, which the broker cannot tell; so the whole session is one
string of bytes, with one right answer.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from itertools import pairwise

import pytest

from mqttbroker.protocol import ProtocolVersion
from mqttbroker.testing.running import RunningBroker
from tests.conformance.wire import PINGREQ, packet, prefixed
from tests.support.raw import RawClient

BOTH = pytest.mark.parametrize("version", [ProtocolVersion.V5, ProtocolVersion.V311], ids=lambda version: version.name)


def session(version: ProtocolVersion) -> bytes:
    """The bytes of a client that uses all it can, from CONNECT to DISCONNECT."""
    five = version == ProtocolVersion.V5
    none = b"\x00" if five else b""

    def publish(first: int, topic: str, number: int = 0, payload: bytes = b"x", properties: bytes = none) -> bytes:
        return packet(first, prefixed(topic) + (number.to_bytes(2, "big") if number else b"") + properties + payload)

    def short(first: int, number: int) -> bytes:
        return packet(first, number.to_bytes(2, "big"))

    connect = prefixed("MQTT") + bytes((version, 2, 0, 0)) + none + prefixed("chunks")
    subscriptions = prefixed("a/+") + b"\x02" + prefixed("b") + b"\x01"
    parts = [
        packet(0x10, connect),
        packet(0x82, b"\x00\x01" + none + subscriptions),
        publish(0x30, "b"),
        publish(0x30, "b", payload=b"y" * 150) * 2,  # A run, with a remaining length of two bytes.
        publish(0x32, "b", 7) * 2,
        short(0x40, 1) + short(0x40, 2),
        publish(0x34, "a/1", 8),
        publish(0x3C, "a/1", 8),
        short(0x50, 3) + short(0x62, 8) + short(0x70, 3),
        PINGREQ,
        publish(0x33, "nobody", 9),
        publish(0x30, "b") + publish(0x32, "b", 10) + publish(0x30, "b") + short(0x40, 4),
    ]
    if five:
        parts += [
            publish(0x30, "b", properties=b"\x03\x23\x00\x05"),
            publish(0x30, "", properties=b"\x03\x23\x00\x05"),
            packet(0x62, b"\x00\x63\x92\x00"),
            packet(0x82, b"\x00\x02\x02\x0b\x05" + prefixed("a/#") + b"\x0e"),
        ]
    parts += [packet(0xA2, b"\x00\x03" + none + prefixed("b")), publish(0x30, "b"), PINGREQ, packet(0xE0, b"")]
    return b"".join(parts)


async def answers(broker: RunningBroker, chunks: Iterable[bytes]) -> bytes:
    """All that the broker sends to a client whose bytes arrive in these pieces, each read by itself."""
    async with RawClient(broker.host, broker.port) as client:
        for chunk in chunks:
            client.send_bytes(chunk)
            # Two turns of the broker's loop: in the first it may be about to read, after the second it has.
            broker.call(lambda _: None)
            broker.call(lambda _: None)
        received = b""
        while piece := await client.receive_some():
            received += piece
        return received


@BOTH
async def test_every_cut_into_two(broker: RunningBroker, version: ProtocolVersion) -> None:
    stream = session(version)
    expected = await answers(broker, [stream])
    assert expected.count(b"\xd0\x00") >= 2 and len(expected) > 400
    for at in range(1, len(stream)):
        assert await answers(broker, [stream[:at], stream[at:]]) == expected, at


@BOTH
async def test_byte_by_byte(broker: RunningBroker, version: ProtocolVersion) -> None:
    stream = session(version)
    expected = await answers(broker, [stream])
    assert await answers(broker, [stream[at : at + 1] for at in range(len(stream))]) == expected


@BOTH
@pytest.mark.parametrize("seed", range(3), ids="seed {}".format)
async def test_cuts_at_random(broker: RunningBroker, version: ProtocolVersion, seed: int) -> None:
    stream = session(version)
    expected = await answers(broker, [stream])
    rng = random.Random(seed)
    for _ in range(20):
        cuts = [0, *sorted(rng.sample(range(1, len(stream)), rng.randrange(2, 40))), len(stream)]
        chunks = [stream[start:stop] for start, stop in pairwise(cuts)]
        assert await answers(broker, chunks) == expected, cuts
