"""Section 3.8: SUBSCRIBE, and section 3.9: SUBACK."""

from __future__ import annotations

import pytest

from mqttbroker.protocol import Publish, SubAck
from mqttbroker.testing.plugin import BrokerFactory
from mqttbroker.testing.running import RunningBroker
from tests.conformance.conftest import Connector
from tests.conformance.v311.conftest import Secrets
from tests.conformance.v311.handmade import expect_rejected, field, packet, publish_packet, subscribe_packet, u16
from tests.support.raw import RawClient


async def codes(client: RawClient, *requests: tuple[str | bytes, int], packet_id: int = 10) -> list[int]:
    """The return codes of a SUBACK as they stand in its bytes."""
    client.send_bytes(subscribe_packet(packet_id, *requests))
    await client.expect(SubAck)
    assert client.last_bytes[0] == 0x90
    assert client.last_bytes[2:4] == u16(packet_id)
    assert client.last_bytes[1] == len(client.last_bytes) - 2
    return list(client.last_bytes[4:])


# 3.8.3


@pytest.mark.normative("MQTT-3.8.3-2", "MQTT-3.8.4-5")
@pytest.mark.parametrize("broker", [{"wildcard_subscriptions": False}], indirect=True, ids=["no wildcards"])
async def test_a_server_without_wildcards_refuses_every_filter_with_one(
    connect: Connector, broker: RunningBroker
) -> None:
    client = await connect()
    requests: list[tuple[str | bytes, int]] = [("+", 0), ("a", 1), ("#", 2), ("a/+", 0), ("a/#", 1), ("+/a", 2)]
    assert await codes(client, *requests) == [0x80, 1, 0x80, 0x80, 0x80, 0x80]
    publisher = await connect()
    for topic in ("a", "a/a", "b"):
        await publisher.publish(topic, b"x", qos=1)
    assert (await client.expect_publish()).topic == "a"
    await client.expect_silence()


@pytest.mark.normative("MQTT-3.8.3-2", "MQTT-4.7.1-2", "MQTT-4.7.1-3")
async def test_filters_with_wildcards_work(connect: Connector) -> None:
    client, publisher = await connect(), await connect()
    assert await codes(client, ("a/+", 1), ("b/#", 2)) == [1, 2]
    for topic in ("a/1", "b/1/2", "c"):
        await publisher.publish(topic, b"x", qos=2)
    assert [(await client.expect_publish()).topic for _ in range(2)] == ["a/1", "b/1/2"]
    await client.expect_silence()


@pytest.mark.normative("MQTT-3.8.3-3")
async def test_a_subscribe_without_a_filter_ends_the_connection(connect: Connector) -> None:
    await expect_rejected(await connect(), packet(0x82, u16(1)))


@pytest.mark.normative("MQTT-3.8.3-4")
@pytest.mark.parametrize("position", ["first", "last"])
@pytest.mark.parametrize("qos", [3, 4, 5, 8, 0x10, 0x20, 0x40, 0x80, 0x81, 0xFF], ids="{:#04x}".format)
async def test_a_reserved_bit_or_qos_3_ends_the_connection_and_subscribes_nothing(
    connect: Connector, qos: int, position: str
) -> None:
    client = await connect("c", clean_start=False)
    good, bad = ("good", 1), ("bad", qos)
    await expect_rejected(client, subscribe_packet(1, *((bad, good) if position == "first" else (good, bad))))
    client, publisher = await connect("c", clean_start=False), await connect()
    await publisher.publish("good", b"x", qos=1)
    await publisher.publish("bad", b"x", qos=1)
    await client.expect_silence()


BROKEN = {
    "no packet identifier": packet(0x82),
    "half a packet identifier": packet(0x82, b"\0"),
    "filter without QoS": packet(0x82, u16(1), field("a")),
    "second filter without QoS": packet(0x82, u16(1), field("a"), b"\0", field("b")),
    "filter longer than the packet": packet(0x82, u16(1), b"\0\x05ab\0"),
    "a byte too many": packet(0x82, u16(1), field("a"), b"\0\0"),
}


@pytest.mark.normative("MQTT-3.8.3-3", "MQTT-4.8.0-1")
@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN)
async def test_a_broken_subscribe_ends_the_connection(connect: Connector, data: bytes) -> None:
    await expect_rejected(await connect(), data)


@pytest.mark.normative("MQTT-3.8.1-1")
@pytest.mark.parametrize("flags", sorted(set(range(16)) - {2}), ids="flags {:#x}".format)
async def test_subscribe_with_wrong_flags_ends_the_connection_and_subscribes_nothing(
    connect: Connector, flags: int
) -> None:
    client = await connect("c", clean_start=False)
    await expect_rejected(client, subscribe_packet(1, ("a", 1), first=0x80 | flags))
    client = await connect("c", clean_start=False)
    await client.publish("a", b"x", qos=1)
    await client.expect_silence()


# 3.8.4


@pytest.mark.normative("MQTT-3.8.4-1", "MQTT-3.8.4-2")
@pytest.mark.parametrize("packet_id", [1, 255, 256, 65_535], ids="identifier {}".format)
async def test_suback_answers_subscribe_with_its_identifier(connect: Connector, packet_id: int) -> None:
    client = await connect()
    for qos in (0, 1, 2, 0):
        assert await codes(client, ("a", qos), packet_id=packet_id) == [qos]
    await client.expect_silence()


@pytest.mark.normative("MQTT-3.8.4-3")
@pytest.mark.parametrize("topic_filter", ["a", "+", "a/#"])
@pytest.mark.parametrize(
    ("before", "after"),
    [(0, 2), (2, 0), (1, 2), (2, 1), (1, 1)],
    ids=["0 by 2", "2 by 0", "1 by 2", "2 by 1", "1 by 1"],
)
async def test_a_second_subscription_on_a_filter_replaces_the_first(
    connect: Connector, topic_filter: str, before: int, after: int
) -> None:
    client, publisher = await connect(), await connect()
    await publisher.publish("a", b"retained", qos=2, retain=True)
    await client.subscribe(topic_filter, qos=before)
    assert (await client.expect_publish()).qos == before
    await publisher.publish("a", b"live", qos=2)
    assert (await client.expect_publish()).qos == before

    await client.subscribe(topic_filter, qos=after)
    again = await client.expect_publish()
    assert (again.payload, again.qos, again.retain) == (b"retained", after, True)
    await publisher.publish("a", b"live", qos=2)
    message = await client.expect_publish()
    assert (message.payload, message.qos) == (b"live", after)
    await client.expect_silence()

    await client.unsubscribe(topic_filter)
    await publisher.publish("a", b"live", qos=2)
    await client.expect_silence()


@pytest.mark.normative("MQTT-3.8.4-3")
async def test_replacing_a_subscription_does_not_interrupt_the_flow(connect: Connector) -> None:
    client, publisher = await connect(), await connect()
    await client.subscribe("a", qos=1)
    for number in range(100):
        publisher.send(Publish("a", b"%d" % number, qos=1, packet_id=number + 1))
        if number % 10 == 0:
            client.send_bytes(subscribe_packet(number + 1, ("a", 1 + number // 10 % 2)))
    await publisher.drain()
    payloads = [packet.payload for packet in await client.drain() if isinstance(packet, Publish)]
    assert payloads == [b"%d" % number for number in range(100)]


@pytest.mark.normative("MQTT-3.8.4-3", "MQTT-4.1.0-1")
async def test_a_replaced_subscription_is_the_one_that_a_session_keeps(connect: Connector) -> None:
    client, publisher = await connect("c", clean_start=False), await connect()
    await client.subscribe("a", qos=2)
    await client.subscribe("a", qos=1)
    await client.disconnect()
    await publisher.publish("a", b"x", qos=2)
    client = await connect("c", clean_start=False)
    assert (await client.expect_publish()).qos == 1
    await client.expect_silence()


@pytest.mark.normative("MQTT-3.8.4-4", "MQTT-3.8.4-5")
async def test_several_filters_are_several_subscriptions_with_one_suback(connect: Connector) -> None:
    client, publisher = await connect(), await connect()
    for topic in ("a", "b", "c"):
        await publisher.publish(topic, b"retained", qos=2, retain=True)
    client.send_bytes(subscribe_packet(5, ("a", 0), ("b", 1), ("c", 2)))
    await client.expect(SubAck)
    assert client.last_bytes == packet(0x90, u16(5), b"\0\x01\x02")
    retained = [await client.expect_publish() for _ in range(3)]
    assert sorted((message.topic, message.qos) for message in retained) == [("a", 0), ("b", 1), ("c", 2)]
    for topic in ("a", "b", "c"):
        await publisher.publish(topic, b"live", qos=2)
    live = [await client.expect_publish() for _ in range(3)]
    assert [(message.topic, message.qos) for message in live] == [("a", 0), ("b", 1), ("c", 2)]
    await client.expect_silence()


@pytest.mark.normative("MQTT-3.8.4-4", "MQTT-3.8.4-3", "MQTT-3.9.3-1")
async def test_a_filter_twice_in_one_subscribe_counts_as_it_stands_last(connect: Connector) -> None:
    client, publisher = await connect(), await connect()
    assert await codes(client, ("a", 2), ("b", 0), ("a", 1)) == [2, 0, 1]
    await publisher.publish("a", b"x", qos=2)
    assert (await client.expect_publish()).qos == 1
    await client.expect_silence()


@pytest.mark.normative("MQTT-3.8.4-6", "MQTT-3.8.4-5")
@pytest.mark.parametrize("published", [0, 1, 2], ids="published {}".format)
@pytest.mark.parametrize("granted", [0, 1, 2], ids="granted {}".format)
async def test_a_delivery_has_the_lower_qos(connect: Connector, published: int, granted: int) -> None:
    client, publisher = await connect(), await connect()
    assert await codes(client, ("a", granted)) == [granted]
    for payload in (b"1", b"2", b"3"):
        await publisher.publish("a", payload, qos=published)
        message = await client.expect_publish()
        assert (message.payload, message.qos) == (payload, min(published, granted))
    await client.expect_silence()


@pytest.mark.normative("MQTT-3.8.4-6")
async def test_each_subscriber_has_its_own_qos(connect: Connector) -> None:
    clients = [await connect() for _ in range(4)]
    for client, granted in zip(clients, (0, 1, 2, 0), strict=True):
        await client.subscribe("a", qos=granted)
    publisher = await connect()
    for qos in (0, 1, 2, 0):
        await publisher.publish("a", b"x", qos=qos)
        received = [(await client.expect_publish()).qos for client in clients]
        assert received == [0, min(1, qos), qos, 0]
    for client in clients:
        await client.expect_silence()


@pytest.mark.normative("MQTT-3.8.4-5", "MQTT-3.8.4-6")
@pytest.mark.parametrize("broker", [{"max_qos": 1}], indirect=True, ids=["QoS up to 1"])
async def test_a_server_may_grant_less_and_then_delivers_that(connect: Connector, broker: RunningBroker) -> None:
    client = await connect()
    assert await codes(client, ("a", 2), ("b", 1), ("c", 0)) == [1, 1, 0]
    await client.publish("a", b"x", qos=1)
    assert (await client.expect_publish()).qos == 1


# 3.9.3


@pytest.mark.normative("MQTT-3.9.3-1", "MQTT-3.8.4-5")
async def test_return_codes_are_in_the_order_of_the_filters(connect: Connector) -> None:
    client = await connect()
    assert await codes(client, ("z", 2), ("m", 0), ("a", 1), ("a#", 1), ("k", 2)) == [2, 0, 1, 0x80, 2]


REFUSED: dict[str, list[tuple[str | bytes, int]]] = {
    "grammar": [("a#", 0), ("#/a", 1), ("a+", 2), ("+a/b", 0)],
    "not allowed": [("secret", 0), ("secret/#", 2)],
    "too many levels": [("/" * 200, 1)],
    "too long": [("a" * 65_535, 1)],
    "share names": [("$share/", 0), ("$share/g", 1), ("$share//a", 2), ("$share/+/a", 0)],
}


@pytest.mark.normative("MQTT-3.9.3-2", "MQTT-3.8.4-5", "MQTT-4.7.1-2", "MQTT-4.7.1-3")
@pytest.mark.parametrize("requests", REFUSED.values(), ids=REFUSED)
async def test_whatever_is_refused_is_refused_with_80(
    connect: Connector, secretive: RunningBroker, requests: list[tuple[str | bytes, int]]
) -> None:
    client = await connect(broker=secretive)
    expected = [0x80] * len(requests)
    assert await codes(client, *requests) == expected
    assert await codes(client, ("a", 1), *requests, ("b", 2)) == [1, *expected, 2]
    await client.publish("b", b"x", qos=2)
    assert (await client.expect_publish()).topic == "b"


@pytest.mark.normative("MQTT-3.9.3-2", "MQTT-4.8.0-2")
async def test_a_subscription_too_many_is_refused_with_80(
    connect: Connector, mqtt_broker_factory: BrokerFactory
) -> None:
    broker = mqtt_broker_factory(max_subscriptions=2, authorizer=Secrets())
    client = await connect(broker=broker)
    assert await codes(client, ("a", 0), ("b", 1), ("c", 2), ("a", 2), ("secret", 1)) == [0, 1, 0x80, 2, 0x80]
    client.send_bytes(publish_packet("c", b"x") + publish_packet("a", b"x"))
    assert (await client.expect(Publish)).topic == "a"
    await client.expect_silence()
