"""Messages to and from each client, in every version of the protocol."""

from __future__ import annotations

import pytest

from mqttbroker.protocol import PubAck, Publish
from tests.interop.adapter import Adapter, Feature, Message
from tests.interop.matrix import clients
from tests.support.raw import RawClient

PAYLOAD = bytes(range(256))
TOPIC = "interop/Zähler/1"

all_qos = pytest.mark.parametrize("qos", [0, 1, 2], ids=lambda qos: f"qos{qos}")
acknowledged_qos = pytest.mark.parametrize("qos", [1, 2], ids=lambda qos: f"qos{qos}")


class TestMessages:
    """Section 4.3: delivery at each QoS."""

    @clients()
    @all_qos
    async def test_client_receives(self, client: Adapter, peer: RawClient, qos: int) -> None:
        await client.connect()
        assert await client.subscribe("interop/+/1", qos) == qos
        await peer.publish(TOPIC, PAYLOAD, qos=qos)
        assert await client.next_message() == Message(TOPIC, PAYLOAD, qos)

    @clients()
    @all_qos
    async def test_client_publishes(self, client: Adapter, peer: RawClient, qos: int) -> None:
        await peer.subscribe("interop/#", qos=2)
        await client.connect()
        await client.publish(Message(TOPIC, PAYLOAD, qos))
        received = await peer.expect_publish()
        assert (received.topic, received.payload, received.qos) == (TOPIC, PAYLOAD, qos)
        assert not received.retain and not received.dup
        await peer.expect_silence()

    @clients(Feature.PUBLISH_WHILE_CONNECTED)
    @all_qos
    async def test_client_receives_its_own(self, client: Adapter, qos: int) -> None:
        await client.connect()
        await client.subscribe(TOPIC, qos)
        for payload in (b"1", b"2"):
            await client.publish(Message(TOPIC, payload, qos))
        assert [(await client.next_message()).payload for _ in range(2)] == [b"1", b"2"]

    @clients()
    async def test_granted_qos_bounds_delivery(self, client: Adapter, peer: RawClient) -> None:
        await client.connect()
        await client.subscribe(TOPIC, 1)
        await peer.publish(TOPIC, b"x", qos=2)
        assert (await client.next_message()).qos == 1

    @clients()
    async def test_large_message_both_ways(self, client: Adapter, peer: RawClient) -> None:
        payload = PAYLOAD * 4_000
        await client.connect()
        await client.subscribe("down", 1)
        await peer.subscribe("up", qos=1)
        await peer.publish("down", payload, qos=1)
        assert (await client.next_message()).payload == payload
        await client.publish(Message("up", payload, 1))
        assert (await peer.expect_publish()).payload == payload

    @clients()
    @acknowledged_qos
    async def test_burst_arrives_in_order(self, client: Adapter, peer: RawClient, qos: int) -> None:
        await client.connect()
        await client.subscribe(TOPIC, qos)
        payloads = [str(number).encode() for number in range(300)]
        for payload in payloads:
            peer.send(Publish(TOPIC, payload, 1, packet_id=peer.next_packet_id()))
        for _ in payloads:
            await peer.expect(PubAck)
        assert [(await client.next_message()).payload for _ in payloads] == payloads


class TestRetained:
    """Section 3.3.1.3."""

    @clients()
    @all_qos
    async def test_client_receives_what_was_retained(self, client: Adapter, peer: RawClient, qos: int) -> None:
        await peer.publish(TOPIC, b"kept", qos=qos, retain=True)
        await client.connect()
        await client.subscribe("interop/#", 2)
        assert await client.next_message() == Message(TOPIC, b"kept", qos, retain=True)
        await peer.publish(TOPIC, b"live", qos=qos, retain=True)
        assert await client.next_message() == Message(TOPIC, b"live", qos, retain=False)

    @clients()
    async def test_client_retains_and_clears(self, client: Adapter, peer: RawClient) -> None:
        await client.connect()
        await client.publish(Message(TOPIC, b"kept", 1, retain=True))
        await peer.subscribe(TOPIC)
        received = await peer.expect_publish()
        assert (received.payload, received.retain) == (b"kept", True)
        await client.publish(Message(TOPIC, b"", 1, retain=True))
        received = await peer.expect_publish()
        assert (received.payload, received.retain) == (b"", False)
        await peer.subscribe(TOPIC)
        await peer.expect_silence()
