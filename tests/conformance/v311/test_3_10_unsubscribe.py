"""Section 3.10: UNSUBSCRIBE, and section 3.11: UNSUBACK."""

from __future__ import annotations

import pytest

from mqttbroker.protocol import Publish, PubRec, PubRel, UnsubAck
from tests.conformance.conftest import Connector
from tests.conformance.v311.handmade import expect_rejected, field, packet, u16, unsubscribe_packet


@pytest.mark.normative("MQTT-3.10.1-1")
@pytest.mark.parametrize("flags", sorted(set(range(16)) - {2}), ids="flags {:#x}".format)
async def test_unsubscribe_with_wrong_flags_ends_the_connection_and_removes_nothing(
    connect: Connector, flags: int
) -> None:
    client = await connect("c", clean_start=False)
    await client.subscribe("a", qos=1)
    await expect_rejected(client, unsubscribe_packet(1, "a", first=0xA0 | flags))
    client = await connect("c", clean_start=False)
    await client.publish("a", b"x", qos=1)
    await client.expect_publish()


BROKEN = {
    "no filter": packet(0xA2, u16(1)),
    "no packet identifier": packet(0xA2),
    "half a packet identifier": packet(0xA2, b"\0"),
    "filter longer than the packet": packet(0xA2, u16(1), b"\0\x05ab"),
    "half a length": packet(0xA2, u16(1), field("a"), b"\0"),
}


@pytest.mark.normative("MQTT-3.10.3-2", "MQTT-3.10.3-1", "MQTT-4.8.0-1")
@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN)
async def test_an_unsubscribe_without_a_whole_filter_ends_the_connection(connect: Connector, data: bytes) -> None:
    client = await connect("c", clean_start=False)
    await client.subscribe("a", qos=1)
    await expect_rejected(client, data)
    client = await connect("c", clean_start=False)
    await client.publish("a", b"x", qos=1)
    await client.expect_publish()


@pytest.mark.normative("MQTT-3.10.4-1", "MQTT-3.10.4-2")
@pytest.mark.parametrize(
    ("held", "others"),
    [
        ("a/b", ["a/+", "+/b", "a/#", "#", "A/b", "a/B", "a", "a/b/", "/a/b", "a/b/#", "a//b", "a/b ", "b"]),
        ("a/+", ["a/b", "+/+", "a/#", "+/a", "a/+/", "a", "#"]),
        ("a/#", ["a", "a/b", "a/+", "#", "a/#/", "a/+/#"]),
        ("é", ["e\u0301", "e", "É"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_only_a_subscription_on_exactly_this_filter_is_removed(
    connect: Connector, held: str, others: list[str]
) -> None:
    client, publisher = await connect(), await connect()
    topic = held.replace("+", "b").replace("#", "b")
    await client.subscribe(held, qos=1)
    for other in others:
        await client.unsubscribe(other)
        await publisher.publish(topic, other.encode(), qos=1)
        assert (await client.expect_publish()).payload == other.encode()
    await client.unsubscribe(held)
    await publisher.publish(topic, b"x", qos=1)
    await client.expect_silence()


@pytest.mark.normative("MQTT-3.10.4-2")
@pytest.mark.parametrize("qos", [0, 1, 2], ids="QoS {}".format)
async def test_after_unsuback_nothing_new_comes(connect: Connector, qos: int) -> None:
    client, publisher, other = await connect("c", clean_start=False), await connect(), await connect()
    await client.subscribe("a", qos=2)
    await other.subscribe("a", qos=2)
    await publisher.publish("a", b"before", qos=qos)
    assert (await client.expect_publish()).payload == b"before"
    await client.unsubscribe("a")
    await publisher.publish("a", b"after", qos=qos)
    await client.expect_silence()
    await client.disconnect()
    await publisher.publish("a", b"after", qos=qos)
    client = await connect("c", clean_start=False)
    await client.expect_silence()
    assert [(await other.expect_publish()).payload for _ in range(3)] == [b"before", b"after", b"after"]


@pytest.mark.normative("MQTT-3.10.4-2")
async def test_of_overlapping_subscriptions_the_others_stay(connect: Connector) -> None:
    client, publisher = await connect(), await connect()
    await client.subscribe("a/#", qos=0)
    await client.subscribe("a/b", qos=2)
    await client.unsubscribe("a/b")
    await publisher.publish("a/b", b"x", qos=2)
    assert (await client.expect_publish()).qos == 0
    await client.expect_silence()


@pytest.mark.normative("MQTT-3.10.4-3")
async def test_deliveries_that_had_begun_are_completed(connect: Connector) -> None:
    client, publisher = await connect("c", clean_start=False), await connect()
    await client.subscribe("a", qos=2)
    for qos in (1, 2, 2):
        await publisher.publish("a", b"%d" % qos, qos=qos)
    once, second, third = [await client.expect(Publish) for _ in range(3)]
    assert second.packet_id
    assert third.packet_id
    await client.unsubscribe("a")
    client.send(PubRec(second.packet_id))
    await client.expect(PubRel)
    assert client.last_bytes == packet(0x62, u16(second.packet_id))

    client.abort()
    client = await connect("c", clean_start=False)
    first_again = await client.expect(Publish)
    assert (first_again.packet_id, first_again.qos, first_again.dup) == (once.packet_id, 1, True)
    assert (await client.expect(PubRel)).packet_id == second.packet_id
    third_again = await client.expect(Publish)
    assert (third_again.packet_id, third_again.qos, third_again.dup) == (third.packet_id, 2, True)
    await client.expect_silence()
    await publisher.publish("a", b"new", qos=2)
    await client.expect_silence()


@pytest.mark.normative("MQTT-3.10.4-4", "MQTT-3.10.4-5")
@pytest.mark.parametrize("packet_id", [1, 255, 256, 65_535], ids="identifier {}".format)
async def test_unsuback_answers_every_unsubscribe_with_its_identifier(connect: Connector, packet_id: int) -> None:
    client = await connect()
    await client.subscribe("held", "+", qos=1)
    for topic_filter in ("held", "held", "+", "never held", "a/#"):
        client.send_bytes(unsubscribe_packet(packet_id, topic_filter))
        await client.expect(UnsubAck)
        assert client.last_bytes == packet(0xB0, u16(packet_id))
    await client.expect_silence()


@pytest.mark.normative("MQTT-3.10.4-6", "MQTT-3.10.3-1", "MQTT-3.10.4-2")
async def test_several_filters_are_several_removals_with_one_unsuback(connect: Connector) -> None:
    client, publisher = await connect(), await connect()
    await client.subscribe("a", "b/+", "c/#", "d", qos=1)
    client.send_bytes(unsubscribe_packet(7, "a", "never held", "b/+", "c/#", "a"))
    await client.expect(UnsubAck)
    assert client.last_bytes == packet(0xB0, u16(7))
    for topic in ("a", "b/1", "c", "c/1/2", "d"):
        await publisher.publish(topic, b"x", qos=1)
    assert (await client.expect_publish()).topic == "d"
    await client.expect_silence()


@pytest.mark.normative("MQTT-3.10.4-2", "MQTT-4.1.0-1")
async def test_a_removed_subscription_does_not_come_back_with_the_session(connect: Connector) -> None:
    client, publisher = await connect("c", clean_start=False), await connect()
    await client.subscribe("a", "b", qos=1)
    await client.unsubscribe("a")
    client.abort()
    client = await connect("c", clean_start=False)
    for topic in ("a", "b"):
        await publisher.publish(topic, b"x", qos=1)
    assert (await client.expect_publish()).topic == "b"
    await client.expect_silence()
