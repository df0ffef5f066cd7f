"""What the asyncio clients do beyond the common suite."""

from __future__ import annotations

import asyncio

from mqttbroker.protocol import ProtocolVersion
from tests.interop.adapter import TIMEOUT, Adapter, Endpoint, Message
from tests.interop.adapters.aiomqtt import AiomqttAdapter
from tests.interop.adapters.amqtt import AmqttAdapter
from tests.interop.adapters.gmqtt import GmqttAdapter
from tests.interop.matrix import clients
from tests.support.raw import RawClient


@clients(of=(AmqttAdapter,))
async def test_amqtt_pings(client: Adapter) -> None:
    assert isinstance(client, AmqttAdapter)
    await client.connect()
    async with asyncio.timeout(TIMEOUT):
        await client.library.ping()


@clients(of=(AmqttAdapter,))
async def test_amqtt_several_filters_in_one_packet(client: Adapter, peer: RawClient) -> None:
    assert isinstance(client, AmqttAdapter)
    await client.connect()
    async with asyncio.timeout(TIMEOUT):
        assert await client.library.subscribe([("a", 0), ("b", 1), ("c/#", 2)]) == [0, 1, 2]
    for topic in ("a", "b", "c/d"):
        await peer.publish(topic, topic.encode(), qos=2)
    received = [await client.next_message() for _ in range(3)]
    assert [(message.topic, message.qos) for message in received] == [("a", 0), ("b", 1), ("c/d", 2)]


@clients(of=(GmqttAdapter,), versions=(ProtocolVersion.V5,))
async def test_gmqtt_several_filters_with_one_identifier(client: Adapter, peer: RawClient) -> None:
    assert isinstance(client, GmqttAdapter)
    await client.connect()
    await client.subscribe("a", 1, identifier=3)
    await client.subscribe("b", 1, identifier=3)
    for topic in ("a", "b"):
        await peer.publish(topic, qos=1)
    received = [await client.next_message() for _ in range(2)]
    assert [message.subscription_identifiers for message in received] == [(3,), (3,)]


async def test_aiomqtt_clients_side_by_side(endpoint: Endpoint, peer: RawClient) -> None:
    """Twenty clients in one loop, each of which must get each message."""
    members = [AiomqttAdapter(endpoint, ProtocolVersion.V5, f"member-{number}") for number in range(20)]
    try:
        for member in members:
            await member.connect()
            await member.subscribe("all", 1)
        for payload in (b"1", b"2", b"3"):
            await peer.publish("all", payload, qos=1)
        for member in members:
            received = [await member.next_message() for _ in range(3)]
            assert received == [Message("all", payload, 1) for payload in (b"1", b"2", b"3")]
    finally:
        for member in members:
            await member.close()
