"""The raw client against another broker: what the rest of the tests take for granted about it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from mqttbroker.protocol import (
    ConnAck,
    Connect,
    PingReq,
    PingResp,
    Properties,
    ProtocolVersion,
    PubAck,
    Publish,
    PubRec,
    ReasonCode,
    SubAck,
    Will,
)
from tests.support.mosquitto import running_mosquitto
from tests.support.raw import ConnectionClosed, RawClient


@pytest_asyncio.fixture
async def port(tmp_path: Path) -> AsyncIterator[int]:
    async with running_mosquitto(tmp_path) as port:
        yield port


versions = pytest.mark.parametrize("version", list(ProtocolVersion), ids=lambda version: version.name)


@versions
async def test_connects_and_disconnects(port: int, version: ProtocolVersion) -> None:
    async with RawClient("127.0.0.1", port) as client:
        answer = await client.connect("c", version=version)
        assert answer.reason_code is ReasonCode.SUCCESS
        assert client.last_bytes[0] == 0x20
        assert await client.disconnect() == []


@versions
@pytest.mark.parametrize("qos", [0, 1, 2], ids=lambda qos: f"qos{qos}")
async def test_goes_through_both_sides_of_an_exchange(port: int, version: ProtocolVersion, qos: int) -> None:
    async with RawClient("127.0.0.1", port, version=version) as client:
        await client.connect()
        granted = await client.subscribe("a/#", "b", qos=qos)
        assert [int(code) for code in granted.reason_codes] == [qos, qos]
        answer = await client.publish("a/1", b"x", qos=qos)
        assert type(answer) is (type(None), PubAck, PubRec)[qos]
        publish = await client.expect_publish()
        assert (publish.topic, publish.payload, publish.qos) == ("a/1", b"x", qos)
        assert client.last_bytes.endswith(b"x")
        unsubscribed = await client.unsubscribe("a/#")
        assert unsubscribed.packet_id > granted.packet_id
        await client.publish("a/1", b"y", qos=qos)
        await client.expect_silence()


async def test_takes_the_assigned_client_identifier(port: int) -> None:
    async with RawClient("127.0.0.1", port) as client:
        await client.connect("")
        assert client.client_id


async def test_reset_sends_the_will(port: int) -> None:
    async with RawClient("127.0.0.1", port) as watcher, RawClient("127.0.0.1", port) as client:
        await watcher.connect()
        await watcher.subscribe("will")
        await client.connect(will=Will("will", b"gone"))
        client.abort()
        assert (await watcher.expect(Publish)).payload == b"gone"


async def test_a_wrong_packet_is_shown(port: int) -> None:
    async with RawClient("127.0.0.1", port) as client:
        await client.connect()
        client.send(PingReq())
        with pytest.raises(AssertionError, match="expected SubAck, got PingResp"):
            await client.expect(SubAck)


async def test_silence_is_broken(port: int) -> None:
    async with RawClient("127.0.0.1", port) as client:
        await client.connect()
        await client.subscribe("a")
        await client.publish("a", b"noise")
        with pytest.raises(AssertionError, match="noise"):
            await client.expect_silence()


async def test_a_wait_ends_in_time(port: int) -> None:
    async with RawClient("127.0.0.1", port) as client:
        await client.connect()
        with pytest.raises(TimeoutError, match=r"no PingResp within 0\.01 s"):
            await client.expect(PingResp, timeout=0.01)


async def test_illegal_bytes_close_the_connection(port: int) -> None:
    async with RawClient("127.0.0.1", port) as client:
        client.send_bytes(b"\x00\x00")
        assert await client.expect_closed() == []
        with pytest.raises(ConnectionClosed, match="waiting for ConnAck; not taken before: nothing"):
            await client.expect(ConnAck)


async def test_what_came_before_the_end_is_returned(port: int) -> None:
    async with RawClient("127.0.0.1", port) as client:
        client.send(Connect("c"))
        client.send(PingReq())
        client.send_bytes(b"\xf0\x7f")
        client.send_eof()
        packets = await client.expect_closed()
        assert [type(packet) for packet in packets][:2] == [ConnAck, PingResp]


async def test_packets_in_pieces_and_large_ones(port: int) -> None:
    async with RawClient("127.0.0.1", port) as client:
        await client.connect(properties=Properties(maximum_packet_size=4_000_000))
        await client.subscribe("large", qos=1)
        payload = bytes(range(256)) * 8_000
        await client.publish("large", payload, qos=1)
        assert (await client.expect_publish()).payload == payload


async def test_bytes_as_they_are(port: int) -> None:
    async with RawClient("127.0.0.1", port) as client:
        await client.connect()
        client.send_bytes(b"\xc0\x00" * 3)
        assert await client.receive_bytes(4) == b"\xd0\x00" * 2
        assert await client.receive_some() == b"\xd0\x00"
        client.send(PingReq())
        await client.receive()
        assert await client.disconnect() == []
        assert await client.receive_some() == b""
        with pytest.raises(ConnectionClosed):
            await client.receive_bytes(1)


async def test_every_packet_is_watched(port: int) -> None:
    seen: list[bytes] = []
    async with RawClient("127.0.0.1", port) as client:
        client.watch = lambda packet, raw: seen.append(raw)
        await client.connect()
        await client.ping()
        assert [raw[0] for raw in seen] == [0x20, 0xD0]


async def test_packet_identifiers_wrap_around() -> None:
    client = RawClient("127.0.0.1", 0)
    assert [client.next_packet_id() for _ in range(3)] == [1, 2, 3]
    for _ in range(65_532):
        client.next_packet_id()
    assert client.next_packet_id() == 1
