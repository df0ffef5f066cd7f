"""Chapter 7: conformance. A client that knows the standard alone, over TCP, is served with what the standard has."""

from __future__ import annotations

import psutil
import pytest

from mqttbroker.testing.running import RunningBroker
from tests.conformance.conftest import Connector, Opener
from tests.conformance.v311.handmade import (
    connect_packet,
    expect_end,
    field,
    packet,
    publish_packet,
    subscribe_packet,
    u16,
    unsubscribe_packet,
)
from tests.support.raw import RawClient


async def expect_bytes(client: RawClient, *expected: bytes) -> None:
    """The next packets from the broker are these, byte for byte."""
    for each in expected:
        await client.receive()
        assert client.last_bytes == each


@pytest.mark.normative("MQTT-7.0.0-2", "MQTT-7.1.1-1")
async def test_a_whole_conversation_byte_by_byte(open_client: Opener) -> None:
    client = await open_client()
    client.send_bytes(connect_packet(field("c"), field("w"), field("bye"), flags=0x2C, keep_alive=60))
    await expect_bytes(client, bytes.fromhex("20020000"))
    client.send_bytes(subscribe_packet(1, ("a/#", 2), ("b", 1)))
    await expect_bytes(client, bytes.fromhex("900400010201"))
    client.send_bytes(publish_packet("a/b", b"0"))
    await expect_bytes(client, publish_packet("a/b", b"0"))
    client.send_bytes(publish_packet("b", b"1", first=0x32, packet_id=2))
    await expect_bytes(client, publish_packet("b", b"1", first=0x32, packet_id=1), packet(0x40, u16(2)))
    client.send_bytes(packet(0x40, u16(1)))
    client.send_bytes(publish_packet("a", b"2", first=0x34, packet_id=3))
    await expect_bytes(client, publish_packet("a", b"2", first=0x34, packet_id=2), packet(0x50, u16(3)))
    client.send_bytes(packet(0x62, u16(3)) + packet(0x50, u16(2)))
    await expect_bytes(client, packet(0x70, u16(3)), packet(0x62, u16(2)))
    client.send_bytes(packet(0x70, u16(2)) + unsubscribe_packet(4, "b") + packet(0xC0))
    await expect_bytes(client, packet(0xB0, u16(4)), packet(0xD0))
    client.send_bytes(packet(0xE0))
    await expect_end(client)

    client = await open_client()
    client.send_bytes(connect_packet(field("c"), flags=0x00))
    await expect_bytes(client, bytes.fromhex("20020100"))


@pytest.mark.normative("MQTT-7.1.1-1")
async def test_the_transport_loses_nothing_and_keeps_the_order(connect: Connector) -> None:
    client, publisher = await connect(), await connect()
    await client.subscribe("a")
    sizes = [0, 1, 117, 118, 119, 16_373, 16_374, 65_535, 1_000_000]
    messages = [publish_packet("a", bytes(range(256)) * (size // 256) + b"x" * (size % 256)) for size in sizes]
    publisher.send_bytes(b"".join(messages))
    await expect_bytes(client, *messages)
    await client.expect_silence()


@pytest.mark.normative("MQTT-7.0.0-1")
async def test_the_broker_opens_no_connection_to_another_server(connect: Connector, broker: RunningBroker) -> None:
    before = established()
    client = await connect()
    await client.subscribe("#", qos=2)
    broker.advance(86_400)
    await client.publish("a", b"x", qos=2)
    await client.expect_publish()
    # Both ends are in this process: each connection is to the broker's port or from it.
    connections = established() - before
    assert connections
    for ports in connections:
        assert broker.port in ports


def established() -> set[tuple[int, int]]:
    """The ports, here and there, of the connections of this process."""
    connections = psutil.Process().net_connections("tcp")
    return {(each.laddr.port, each.raddr.port) for each in connections if each.status == psutil.CONN_ESTABLISHED}
