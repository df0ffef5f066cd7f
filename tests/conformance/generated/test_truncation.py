"""Packets cut at every byte, packets that never end, and every first byte."""

from __future__ import annotations

import asyncio

import pytest

from mqttbroker.protocol import ProtocolVersion
from mqttbroker.testing.plugin import BrokerFactory
from mqttbroker.testing.running import RunningBroker
from tests.conformance.generated.outcome import ACCEPTED, ENDED, Case, differences
from tests.conformance.generated.samples import METHODICAL, V5, V311, Sample
from tests.conformance.v5.doubles import Riddler
from tests.conformance.wire import connect_packet, packet, prefixed
from tests.support.raw import RawClient

REFUSED = frozenset({0x81, 0x82})
VERSION_KNOWN = 7
"""Bytes of a CONNECT's body after which the broker knows in which form an answer must be."""
SAMPLES = {ProtocolVersion.V5: V5, ProtocolVersion.V311: V311}
HELLO = {
    # The same method and Session Expiry Interval for everybody, so that AUTH and DISCONNECT are legal.
    ProtocolVersion.V5: connect_packet(properties=METHODICAL + b"\x11\x00\x00\x00\x05"),
    ProtocolVersion.V311: connect_packet(level=4),
}
BOTH = pytest.mark.parametrize("version", SAMPLES, ids=lambda version: version.name)


@pytest.fixture
def broker(mqtt_broker_factory: BrokerFactory) -> RunningBroker:
    """A broker for which the samples are legal."""
    return mqtt_broker_factory(authenticator=Riddler())


def expected_of(version: ProtocolVersion, name: str, sample: Sample, size: int) -> frozenset[int]:
    """What comes of the first bytes of a sample's body."""
    if size in sample.ends:
        return frozenset({ENDED if name == "DISCONNECT" else ACCEPTED})
    if version != ProtocolVersion.V5 or (name.startswith("CONNECT") and size < VERSION_KNOWN):
        return frozenset({ENDED})
    return REFUSED


@BOTH
async def test_packets_cut_at_every_byte_with_a_right_length(broker: RunningBroker, version: ProtocolVersion) -> None:
    cases: dict[str, Case] = {}
    for name, sample in SAMPLES[version].items():
        hello = None if name.startswith("CONNECT") else HELLO[version]
        for size in range(len(sample.body) + 1):
            data = packet(sample.first, sample.body[:size])
            cases[f"{name} to {size}"] = Case(hello, data, expected_of(version, name, sample, size), version)
    assert not await differences(broker, cases)


@BOTH
async def test_packets_with_a_byte_too_many(broker: RunningBroker, version: ProtocolVersion) -> None:
    refused = REFUSED if version == ProtocolVersion.V5 else frozenset({ENDED})
    cases: dict[str, Case] = {}
    for name, sample in SAMPLES[version].items():
        if not name.startswith("PUBLISH"):  # There it is payload.
            hello = None if name.startswith("CONNECT") else HELLO[version]
            for byte in (0x00, 0x01, 0x26, 0xFF):
                data = packet(sample.first, sample.body + bytes((byte,)))
                cases[f"{name} and {byte}"] = Case(hello, data, refused, version)
    assert not await differences(broker, cases)


@BOTH
async def test_a_packet_that_never_ends_has_no_effect(broker: RunningBroker, version: ProtocolVersion) -> None:
    async def check(hello: bytes, part: bytes) -> None:
        async with RawClient(broker.host, broker.port, version=version) as client:
            client.send_bytes(hello + part)
            client.send_eof()
            assert len(await client.expect_closed()) == (1 if hello else 0), part

    async with RawClient(broker.host, broker.port, version=version) as watcher:
        await watcher.connect()
        await watcher.subscribe("#")
        for name, sample in SAMPLES[version].items():
            hello = b"" if name.startswith("CONNECT") else HELLO[version]
            await asyncio.gather(*(check(hello, sample.whole[:size]) for size in range(1, len(sample.whole))))
        await watcher.expect_silence()
    assert not [line for line in broker.logged if line[0] == "error"]


@BOTH
async def test_every_first_byte(broker: RunningBroker, version: ProtocolVersion) -> None:
    body = prefixed("MQTT") + bytes((version, 2, 0, 0)) + b"\x00" * (3 if version == ProtocolVersion.V5 else 2)
    cases: dict[str, Case] = {}
    for first in range(256):
        cases[f"0x{first:02x} and nothing"] = Case(None, bytes((first, 0)), frozenset({ENDED}), version)
        right = ACCEPTED if first == 0x10 else ENDED
        cases[f"0x{first:02x} and a CONNECT"] = Case(None, packet(first, body), frozenset({right}), version)
    assert not await differences(broker, cases)


async def test_a_wrong_first_byte_is_enough(broker: RunningBroker) -> None:
    async def check(first: int) -> None:
        async with RawClient(broker.host, broker.port) as client:
            client.send_bytes(bytes((first,)))
            assert await client.expect_closed() == []

    await asyncio.gather(*(check(first) for first in range(256) if first != 0x10))


@BOTH
async def test_every_byte_as_the_first_of_a_later_packet(broker: RunningBroker, version: ProtocolVersion) -> None:
    refused = REFUSED if version == ProtocolVersion.V5 else frozenset({ENDED})
    legal = {0xC0: frozenset({ACCEPTED}), 0xE0: frozenset({ENDED})}
    cases = {
        f"0x{first:02x}": Case(HELLO[version], bytes((first, 0)), legal.get(first, refused), version)
        for first in range(256)
    }
    assert not await differences(broker, cases)
