"""Section 3.1.2.4 (Clean Session), 3.1.2.10 (Keep Alive), and what section 4.1 says of session state."""

from __future__ import annotations

import pytest

from mqttbroker.protocol import Publish, Will
from mqttbroker.testing.running import RunningBroker
from tests.conformance.conftest import Connector
from tests.conformance.v311.handmade import expect_end, packet, publish_packet, subscribe_packet, unsubscribe_packet
from tests.support.raw import RawClient

YEAR = 365 * 86_400.0


@pytest.mark.normative("MQTT-3.1.2-4", "MQTT-3.1.4-3", "MQTT-4.1.0-1")
@pytest.mark.parametrize("ending", ["disconnect", "loss", "takeover"])
async def test_a_kept_session_goes_on_where_it_was(connect: Connector, ending: str) -> None:
    client = await connect("kept", clean_start=False)
    assert not connect.acks[client].session_present
    await client.subscribe("a", qos=1)
    if ending == "disconnect":
        await client.disconnect()
    elif ending == "loss":
        client.abort()
    client = await connect("kept", clean_start=False)
    assert connect.acks[client].session_present
    publisher = await connect()
    await publisher.publish("a", b"x", qos=2)
    message = await client.expect_publish()
    assert (message.payload, message.qos) == (b"x", 1)


@pytest.mark.normative("MQTT-3.1.2-4", "MQTT-4.1.0-1")
async def test_a_kept_session_is_kept_however_long(connect: Connector, broker: RunningBroker) -> None:
    client = await connect("kept", clean_start=False)
    await client.subscribe("a", qos=1)
    await client.disconnect()
    broker.advance(10 * YEAR)
    publisher = await connect()
    await publisher.publish("a", b"x", qos=1)
    broker.advance(10 * YEAR)
    client = await connect("kept", clean_start=False)
    assert connect.acks[client].session_present
    assert (await client.expect_publish()).payload == b"x"


@pytest.mark.normative("MQTT-3.1.2-5")
async def test_messages_at_qos_1_and_2_wait_for_a_client_that_is_away(connect: Connector) -> None:
    client = await connect("kept", clean_start=False)
    await client.subscribe("a/#", qos=2)
    await client.subscribe("b", qos=1)
    await client.disconnect()
    publisher = await connect()
    await publisher.publish("a/1", b"one", qos=1)
    await publisher.publish("a/2", b"two", qos=2)
    await publisher.publish("b", b"three", qos=2)
    await publisher.publish("c", b"not for it", qos=2)
    client = await connect("kept", clean_start=False)
    received = [await client.expect_publish() for _ in range(3)]
    assert [(each.topic, each.payload, each.qos) for each in received] == [
        ("a/1", b"one", 1),
        ("a/2", b"two", 2),
        ("b", b"three", 1),
    ]
    await client.expect_silence()
    await client.disconnect()
    client = await connect("kept", clean_start=False)
    await client.expect_silence()


@pytest.mark.normative("MQTT-3.1.2-6", "MQTT-3.1.4-3")
@pytest.mark.parametrize("ending", ["disconnect", "loss", "takeover"])
async def test_a_clean_session_forgets_what_was_before_and_is_forgotten(connect: Connector, ending: str) -> None:
    publisher = await connect()
    client = await connect("c", clean_start=False)
    await client.subscribe("before", qos=2)
    await client.disconnect()
    await publisher.publish("before", b"queued", qos=2)

    client = await connect("c", clean_start=True)
    assert not connect.acks[client].session_present
    await publisher.publish("before", b"new", qos=2)
    await client.expect_silence()
    await client.subscribe("meanwhile", qos=2)
    await publisher.publish("meanwhile", b"never acknowledged", qos=1)
    await client.expect(Publish)
    if ending == "disconnect":
        await client.disconnect()
    elif ending == "loss":
        client.abort()

    client = await connect("c", clean_start=False)
    assert not connect.acks[client].session_present
    await publisher.publish("before", b"new", qos=2)
    await publisher.publish("meanwhile", b"new", qos=2)
    await client.expect_silence()


@pytest.mark.normative("MQTT-3.1.2-6")
async def test_a_clean_session_forgets_half_done_messages_from_the_client(
    connect: Connector, watcher: RawClient
) -> None:
    client = await connect("c", clean_start=False)
    client.send_bytes(publish_packet("a", b"first", first=0x34, packet_id=7))
    assert (await watcher.expect_publish()).payload == b"first"
    client.abort()
    client = await connect("c", clean_start=True)
    client.send_bytes(publish_packet("a", b"second", first=0x34, packet_id=7))
    assert (await watcher.expect_publish()).payload == b"second"


@pytest.mark.normative("MQTT-3.1.2-7")
@pytest.mark.parametrize("clean", [True, False], ids=["clean", "kept"])
async def test_retained_messages_outlive_the_session_of_their_publisher(connect: Connector, clean: bool) -> None:
    publisher = await connect("p", clean_start=clean)
    await publisher.publish("a", b"x", qos=1, retain=True)
    await publisher.disconnect()
    publisher = await connect("p", clean_start=True)
    await publisher.disconnect()
    client = await connect()
    await client.subscribe("a", qos=1)
    assert (await client.expect_publish()).payload == b"x"


@pytest.mark.normative("MQTT-3.1.3-2")
async def test_a_session_belongs_to_its_client_identifier(connect: Connector) -> None:
    client = await connect("c", clean_start=False)
    await client.subscribe("a", qos=1)
    await client.disconnect()
    publisher = await connect()
    await publisher.publish("a", b"x", qos=1)
    for other in ("C", "c ", "cc", "c/", "c\u0301"):
        stranger = await connect(other, clean_start=False)
        assert not connect.acks[stranger].session_present
        await stranger.expect_silence()
    client = await connect("c", clean_start=False)
    assert connect.acks[client].session_present
    assert (await client.expect_publish()).payload == b"x"


@pytest.mark.normative("MQTT-4.1.0-2")
@pytest.mark.parametrize("clean", [True, False], ids=["clean", "kept"])
async def test_a_session_lasts_as_long_as_its_connection(
    connect: Connector, broker: RunningBroker, clean: bool
) -> None:
    client = await connect("c", clean_start=clean)
    await client.subscribe("a", qos=2)
    await client.subscribe("b", qos=0)
    for _ in range(3):
        broker.advance(YEAR)
        publisher = await connect()
        await publisher.publish("a", b"x", qos=2)
        await publisher.publish("b", b"y")
        assert (await client.expect_publish()).payload == b"x"
        assert (await client.expect_publish()).payload == b"y"
        await client.expect_silence()


@pytest.mark.normative("MQTT-4.1.0-1", "MQTT-2.3.1-4")
async def test_identifiers_in_flight_survive_several_losses(connect: Connector) -> None:
    client = await connect("c", clean_start=False)
    await client.subscribe("a", qos=2)
    publisher = await connect()
    await publisher.publish("a", b"x", qos=2)
    packet_id = (await client.expect(Publish)).packet_id
    for _ in range(3):
        client.abort()
        client = await connect("c", clean_start=False)
        message = await client.expect(Publish)
        assert (message.packet_id, message.payload, message.dup) == (packet_id, b"x", True)
        await client.expect_silence()


# 3.1.2.10

ANY_PACKET = {
    "PINGREQ": packet(0xC0),
    "PUBLISH": publish_packet("b", b"x"),
    "SUBSCRIBE": subscribe_packet(1, ("b", 0)),
    "UNSUBSCRIBE": unsubscribe_packet(1, "b"),
    "PUBACK": packet(0x40, b"\0\x01"),
}


@pytest.mark.normative("MQTT-3.1.2-24", "MQTT-3.1.2-8")
@pytest.mark.parametrize("keep_alive", [2, 60, 65_535], ids="{} s".format)
async def test_a_silent_client_is_gone_after_one_and_a_half_keep_alives(
    connect: Connector, broker: RunningBroker, watcher: RawClient, keep_alive: int
) -> None:
    client = await connect(keep_alive=keep_alive, will=Will("will", b"bye"))
    broker.advance(keep_alive)
    await watcher.expect_silence()
    broker.advance(keep_alive * 0.5 + 1.0)
    will = await watcher.expect_publish()
    assert (will.topic, will.payload) == ("will", b"bye")
    await expect_end(client)


@pytest.mark.normative("MQTT-3.1.2-24")
@pytest.mark.parametrize("data", ANY_PACKET.values(), ids=ANY_PACKET)
async def test_any_packet_counts_for_keep_alive(
    connect: Connector, broker: RunningBroker, watcher: RawClient, data: bytes
) -> None:
    client = await connect(keep_alive=60, will=Will("will", b"bye"))
    await client.publish("b", b"x")  # From now on the topic is known.
    for _ in range(4):
        broker.advance(60)
        client.send_bytes(data)
        await client.flush()
        # The broker has certainly read it when it has read what a later connection sent.
        await (await connect()).ping()
    assert all(packet.topic == "b" for packet in await watcher.drain() if isinstance(packet, Publish))
    broker.advance(91)
    will = [packet for packet in await watcher.drain() if isinstance(packet, Publish) and packet.topic == "will"]
    assert len(will) == 1


@pytest.mark.normative("MQTT-3.1.2-24")
async def test_what_the_broker_sends_does_not_count_for_keep_alive(connect: Connector, broker: RunningBroker) -> None:
    client, publisher = await connect(keep_alive=60), await connect()
    await client.subscribe("a")
    for _ in range(4):
        broker.advance(25)
        await publisher.publish("a", b"x")
    assert [type(packet) for packet in await client.expect_closed()] == [Publish] * 3


@pytest.mark.normative("MQTT-3.1.2-24")
async def test_keep_alive_0_means_no_limit(connect: Connector, broker: RunningBroker) -> None:
    client = await connect(keep_alive=0)
    broker.advance(YEAR)
    broker.advance(YEAR)
    await client.ping()
