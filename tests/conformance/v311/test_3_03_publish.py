"""Section 3.3: PUBLISH, but for retained messages."""

from __future__ import annotations

import pytest

from mqttbroker.protocol import PubAck, PubComp, Publish, PubRec, PubRel
from mqttbroker.testing.running import RunningBroker
from tests.conformance.conftest import Connector
from tests.conformance.v311.handmade import expect_rejected, publish_packet
from tests.support.raw import ConnectionClosed, RawClient


@pytest.mark.normative("MQTT-3.3.1-1", "MQTT-3.3.1-3")
@pytest.mark.parametrize("dup", [False, True], ids=["published first", "published again"])
@pytest.mark.parametrize("qos", [1, 2], ids="QoS {}".format)
async def test_dup_says_whether_this_packet_was_sent_before(connect: Connector, qos: int, dup: bool) -> None:
    client = await connect("c", clean_start=False)
    await client.subscribe("a", qos=qos)
    publisher = await connect()
    for _ in range(2):  # The second message meets a route that is known.
        await publisher.publish("a", b"x", qos=qos, dup=dup)
        assert not (await client.expect(Publish)).dup
        assert client.last_bytes[0] == 0x30 | qos << 1
    for _ in range(2):
        client.abort()
        client = await connect("c", clean_start=False)
        for _ in range(2):
            assert (await client.expect(Publish)).dup
            assert client.last_bytes[0] == 0x38 | qos << 1
    await publisher.publish("a", b"new", qos=qos, dup=dup)
    assert not (await client.expect(Publish)).dup


@pytest.mark.normative("MQTT-3.3.1-3", "MQTT-3.3.1-2")
@pytest.mark.parametrize("retain", [False, True], ids=["live", "retained"])
@pytest.mark.parametrize("granted", [0, 1, 2], ids="granted {}".format)
async def test_dup_of_the_publisher_is_not_passed_on(connect: Connector, granted: int, retain: bool) -> None:
    client, publisher = await connect(), await connect()
    if not retain:
        await client.subscribe("a", qos=granted)
    await publisher.publish("a", b"x", qos=2, dup=True, retain=retain)
    if retain:
        await client.subscribe("a", qos=granted)
    await client.expect(Publish)
    assert client.last_bytes[0] == 0x30 | granted << 1 | retain


@pytest.mark.normative("MQTT-3.3.1-2", "MQTT-4.3.1-1")
async def test_messages_at_qos_0_never_have_dup(connect: Connector) -> None:
    client, publisher = await connect("c", clean_start=False), await connect()
    await client.subscribe("a/#", qos=0)
    for qos in (0, 1, 2):
        await publisher.publish("a/b", b"x", qos=qos)
        await publisher.publish("a/b", b"x", qos=qos, retain=True)
        for _ in range(2):
            await client.expect(Publish)
            assert client.last_bytes[0] == 0x30
    client.abort()
    client = await connect("c", clean_start=False)
    await client.expect_silence()
    await client.subscribe("a/b", qos=0)
    await client.expect(Publish)
    assert client.last_bytes[0] == 0x31


@pytest.mark.normative("MQTT-3.3.1-4")
@pytest.mark.parametrize("first", [0x36, 0x37, 0x3E, 0x3F], ids=lambda first: f"{first:#x}")
async def test_qos_3_ends_the_connection(connect: Connector, watcher: RawClient, first: int) -> None:
    publisher = await connect()
    for _ in range(2):
        await publisher.publish("a", b"x")
        await watcher.expect_publish()
    await expect_rejected(publisher, publish_packet("a", b"x", first=first, packet_id=1))
    await watcher.expect_silence()


@pytest.mark.normative("MQTT-3.3.2-2", "MQTT-4.7.1-1")
@pytest.mark.parametrize("topic", ["#", "+", "a/#", "a/+", "+/a", "a/+/b", "a#", "a+b"])
@pytest.mark.parametrize("qos", [0, 1, 2], ids="QoS {}".format)
async def test_a_wildcard_in_a_topic_name_ends_the_connection(
    connect: Connector, watcher: RawClient, qos: int, topic: str
) -> None:
    first = 0x31 | qos << 1
    await expect_rejected(await connect(), publish_packet(topic, b"x", first=first, packet_id=1 if qos else None))
    await watcher.expect_silence()
    late = await connect()
    await late.subscribe("#")
    await late.expect_silence()


@pytest.mark.normative("MQTT-3.3.2-1", "MQTT-3.3.2-3")
async def test_a_client_gets_what_its_filters_match_and_nothing_else(connect: Connector) -> None:
    client, publisher = await connect(), await connect()
    await client.subscribe("sport/+/score", "news/#", "exact", "/", qos=2)
    topics = {
        "sport/tennis/score": True,
        "sport//score": True,
        "sport/score": False,
        "sport/tennis/score/final": False,
        "sport/tennis/scores": False,
        "news": True,
        "news/": True,
        "news/a/b/c": True,
        "newsletter": False,
        "exact": True,
        "exact/": False,
        "/exact": False,
        "/": True,
        "//": False,
    }
    for qos in (0, 1, 2):
        for topic in topics:
            await publisher.publish(topic, topic.encode(), qos=qos)
    received = [packet for packet in await client.drain() if isinstance(packet, Publish)]
    assert [message.topic for message in received] == [topic for topic, heard in topics.items() if heard] * 3
    assert all(message.topic.encode() == message.payload for message in received)


@pytest.mark.normative("MQTT-3.3.4-1", "MQTT-4.3.2-2", "MQTT-4.3.3-2")
@pytest.mark.parametrize("retain", [False, True], ids=["not retained", "retained"])
@pytest.mark.parametrize("heard", [False, True], ids=["nobody listens", "somebody listens"])
async def test_a_message_is_answered_as_its_qos_demands(connect: Connector, heard: bool, retain: bool) -> None:
    if heard:
        await (await connect()).subscribe("a", qos=2)
    client = await connect()
    for _ in range(2):  # The second time the route is known.
        client.send(Publish("a", b"x", qos=0, retain=retain))
        await client.expect_silence()
        client.send(Publish("a", b"x", qos=1, retain=retain, packet_id=5))
        assert await client.drain() == [PubAck(5)]
        client.send(Publish("a", b"x", qos=2, retain=retain, packet_id=6))
        assert await client.drain() == [PubRec(6)]
        client.send(PubRel(6))
        assert await client.drain() == [PubComp(6)]


@pytest.mark.normative("MQTT-3.3.5-1")
@pytest.mark.parametrize(
    "requests",
    [
        [("a/#", 0), ("a/b", 2)],
        [("a/b", 2), ("a/#", 0)],
        [("a/b", 0), ("a/+", 2), ("#", 1)],
        [("+/b", 1), ("a/b", 0), ("a/#", 2)],
    ],
    ids=lambda requests: ", ".join(f"{topic_filter} at {qos}" for topic_filter, qos in requests),
)
async def test_overlapping_subscriptions_deliver_at_the_highest_qos(
    connect: Connector, requests: list[tuple[str, int]]
) -> None:
    client, publisher = await connect(), await connect()
    for topic_filter, qos in requests:
        await client.subscribe(topic_filter, qos=qos)
    for _ in range(2):
        for qos in (0, 1, 2):
            await publisher.publish("a/b", b"x", qos=qos)
            received = [packet.qos for packet in await client.drain() if isinstance(packet, Publish)]
            # The standard allows a copy for each subscription; this broker sends one for all.
            assert received == [qos]


@pytest.mark.normative("MQTT-3.3.5-2")
@pytest.mark.parametrize("retain", [False, True], ids=["not retained", "retained"])
@pytest.mark.parametrize("qos", [0, 1, 2], ids="QoS {}".format)
async def test_a_message_that_is_not_allowed_is_acknowledged_or_ends_the_connection(
    connect: Connector, secretive: RunningBroker, qos: int, retain: bool
) -> None:
    client = await connect(broker=secretive)
    watcher = await connect(broker=secretive)
    await watcher.subscribe("#", qos=2)
    for _ in range(2):
        try:
            await client.publish("secret/a", b"x", qos=qos, retain=retain)  # All of the exchange, when acknowledged.
        except ConnectionClosed:
            client = await connect(broker=secretive)
        await watcher.expect_silence()
    late = await connect(broker=secretive)
    await late.subscribe("#", qos=2)
    await late.expect_silence()
    await client.publish("open", b"x", qos=qos)
    assert (await watcher.expect_publish()).topic == "open"
