"""MQTT 5.0 sections 4.1 and 4.2: how long session state lasts, and the network connection."""

from __future__ import annotations

import pytest

from mqttbroker.protocol import Properties, PubComp, Publish, PubRec, PubRel, ReasonCode
from mqttbroker.testing.running import RunningBroker
from tests.conformance.conftest import Connector, Opener
from tests.conformance.wire import connect_packet, cut, prefixed, publish_packet, subscribe_packet


@pytest.mark.normative("MQTT-4.1.0-1")
@pytest.mark.parametrize("interval", [None, 1, 3_600], ids=["no interval", "1 s", "1 h"])
async def test_session_state_lasts_while_the_connection_is_open(
    connect: Connector, broker: RunningBroker, interval: int | None
) -> None:
    publisher = await connect()
    client = await connect("c", properties=Properties(session_expiry_interval=interval))
    await client.subscribe("a/+", qos=2)
    client.send(Publish("b", b"x", 2, packet_id=9))
    await client.expect(PubRec)
    await publisher.publish("a/1", b"x", qos=2)
    delivery = await client.expect(Publish)
    assert delivery.packet_id is not None
    for _ in range(3):
        broker.advance(1_000_000)
        # Subscriptions, messages on their way out, messages on their way in: all are still there.
        await publisher.publish("a/2", b"x", qos=1)
        assert (await client.expect_publish()).topic == "a/2"
    client.send(PubRec(delivery.packet_id))
    assert await client.expect(PubRel) == PubRel(delivery.packet_id)
    client.send(PubRel(9))
    assert await client.expect(PubComp) == PubComp(9)


@pytest.mark.normative("MQTT-4.1.0-1")
async def test_a_session_that_would_have_expired_is_kept_by_its_connection(
    connect: Connector, broker: RunningBroker
) -> None:
    client = await connect("c", properties=Properties(session_expiry_interval=100))
    await client.subscribe("a", qos=1)
    for _ in range(3):
        await cut(client)
        broker.advance(90)  # Not yet: and the next connection stops the clock.
        client = await connect("c", clean_start=False, properties=Properties(session_expiry_interval=100))
        assert connect.acks[client].session_present
        broker.advance(500)
    await client.publish("a", b"x", qos=1)
    await client.expect_publish()


@pytest.mark.normative("MQTT-4.1.0-2")
@pytest.mark.parametrize("interval", [0, 1, 100, 1_000_000])
@pytest.mark.parametrize("how", ["DISCONNECT", "cut"])
async def test_session_state_is_discarded_when_its_interval_has_passed(
    connect: Connector, broker: RunningBroker, interval: int, how: str
) -> None:
    publisher = await connect()
    client = await connect("c", properties=Properties(session_expiry_interval=interval))
    await client.subscribe("a", qos=2)
    client.send(Publish("b", b"x", 2, packet_id=9))
    await client.expect(PubRec)
    await publisher.publish("a", b"in flight", qos=2)
    await client.expect(Publish)
    await (client.disconnect() if how == "DISCONNECT" else cut(client))
    if interval:
        await publisher.publish("a", b"queued", qos=1)
        broker.advance(interval + 1.1)
    client = await connect("c", clean_start=False)
    assert not connect.acks[client].session_present
    await publisher.publish("a", b"new", qos=1)
    await client.expect_silence()
    client.send(PubRel(9))
    assert await client.expect(PubComp) == PubComp(9, ReasonCode.PACKET_IDENTIFIER_NOT_FOUND)


@pytest.mark.normative("MQTT-4.2.0-1")
async def test_tcp_carries_bytes_whole_and_in_order(open_client: Opener) -> None:
    client = await open_client()
    sent = [bytes((number % 256,)) * (number * 97 % 5_000) for number in range(400)]
    stream = (
        connect_packet(prefixed("c")) + subscribe_packet("a") + b"".join(publish_packet("a", each) for each in sent)
    )
    for start in range(0, len(stream), 65_521):
        client.send_bytes(stream[start : start + 65_521])
    received = [await client.receive() for _ in range(2 + len(sent))]
    assert [each.payload for each in received if isinstance(each, Publish)] == sent
    await client.expect_silence()
