"""MQTT 5.0 section 3.3.4: acknowledgement, overlapping subscriptions, Receive Maximum."""

from __future__ import annotations

import pytest

from mqttbroker.protocol import (
    Properties,
    PubAck,
    PubComp,
    Publish,
    PubRec,
    PubRel,
    ReasonCode,
)
from tests.conformance.conftest import Connector
from tests.conformance.wire import PINGREQ, cut, expect_disconnect, publish_packet

KEPT = Properties(session_expiry_interval=3_600)


def numbered(identifier: int) -> Properties:
    """A Subscription Identifier."""
    return Properties(subscription_identifiers=(identifier,))


@pytest.mark.normative("MQTT-3.3.4-1")
@pytest.mark.parametrize("subscribed", [False, True], ids=["no subscriber", "subscriber"])
@pytest.mark.parametrize("retain", [False, True], ids=["not retained", "retained"])
async def test_each_qos_has_its_acknowledgement(connect: Connector, subscribed: bool, retain: bool) -> None:
    client, watcher = await connect(), await connect()
    if subscribed:
        await watcher.subscribe("a", qos=2)
    reason = ReasonCode.SUCCESS if subscribed else ReasonCode.NO_MATCHING_SUBSCRIBERS
    for number in (1, 2):  # The second time the topic is known.
        client.send(Publish("a", b"0", 0, retain))
        await client.expect_silence()
        client.send(Publish("a", b"1", 1, retain, packet_id=number))
        assert await client.expect(PubAck) == PubAck(number, reason)
        client.send(Publish("a", b"2", 2, retain, packet_id=number))
        assert await client.expect(PubRec) == PubRec(number, reason)
        client.send(PubRel(number))
        assert await client.expect(PubComp) == PubComp(number)
        await client.expect_silence()


@pytest.mark.normative("MQTT-3.3.4-2", "MQTT-3.3.4-3", "MQTT-3.3.4-4", "MQTT-3.3.4-5")
@pytest.mark.parametrize("qos", [0, 1, 2], ids="QoS {}".format)
@pytest.mark.parametrize("order", [("a/b", "a/+", "#"), ("#", "a/b", "a/+")], ids=" ".join)
async def test_overlapping_subscriptions_get_one_copy(connect: Connector, order: tuple[str, ...], qos: int) -> None:
    granted = {"a/b": 1, "a/+": 2, "#": 0}
    publisher, client = await connect(), await connect()
    for topic_filter in order:
        await client.subscribe(topic_filter, qos=granted[topic_filter])
    for highest, topic in ((2, "a/b"), (2, "a/c"), (0, "b")):
        await publisher.publish(topic, b"x", qos=qos)
        # One copy, so the rule for separate copies (MQTT-3.3.4-5) never applies.
        assert (await client.expect_publish()).qos == min(qos, highest)
        await client.expect_silence()


@pytest.mark.normative("MQTT-3.3.4-3", "MQTT-3.3.4-4", "MQTT-3.3.4-5")
@pytest.mark.parametrize("how", ["live", "queued", "duplicate"])
@pytest.mark.parametrize("qos", [0, 1, 2], ids="QoS {}".format)
async def test_one_copy_has_the_identifiers_of_all(connect: Connector, qos: int, how: str) -> None:
    publisher = await connect()
    client = await connect("c", properties=KEPT)
    await client.subscribe("a/b", qos=2, properties=numbered(1))
    await client.subscribe("a/+", qos=2, properties=numbered(268_435_455))
    await client.subscribe("+/b", qos=2, properties=numbered(300))
    await client.subscribe("#", qos=2)
    await client.subscribe("other", qos=2, properties=numbered(7))
    if how == "queued":
        await client.disconnect()
    await publisher.publish("a/b", b"x", qos=qos)
    if how == "duplicate" and qos:
        await client.expect(Publish)
        await cut(client)
    if how != "live" and (qos or how == "queued"):
        client = await connect("c", clean_start=False, properties=KEPT)
        if not qos:
            await client.expect_silence()
            return
    delivery = await client.expect_publish()
    assert sorted(delivery.properties.subscription_identifiers) == [1, 300, 268_435_455]
    await client.expect_silence()


@pytest.mark.normative("MQTT-3.3.4-3", "MQTT-3.3.4-5")
async def test_a_delivery_has_only_the_identifiers_that_match(connect: Connector) -> None:
    publisher, client = await connect(), await connect()
    await client.subscribe("a", properties=numbered(1))
    await client.subscribe("b", properties=numbered(2))
    await client.subscribe("c")
    await client.subscribe("d", properties=numbered(4))
    await client.subscribe("+", properties=numbered(6))
    await client.unsubscribe("+")
    await client.subscribe("a", properties=numbered(5))
    expected = {"a": (5,), "b": (2,), "c": (), "d": (4,)}
    for topic, identifiers in expected.items():
        await publisher.publish(topic, b"x")
        assert (await client.expect_publish()).properties.subscription_identifiers == identifiers
    # A subscription without an identifier replaces one that had it.
    await client.subscribe("a")
    await publisher.publish("a", b"x")
    assert (await client.expect_publish()).properties.subscription_identifiers == ()


@pytest.mark.normative("MQTT-3.3.4-3")
async def test_a_retained_message_has_the_identifier_of_its_subscription(connect: Connector) -> None:
    publisher, client = await connect(), await connect()
    await publisher.publish("a", b"kept", retain=True)
    for topic_filter, identifier in (("a", 1), ("#", 2)):
        await client.subscribe(topic_filter, properties=numbered(identifier))
        assert identifier in (await client.expect_publish()).properties.subscription_identifiers
    await client.expect_silence()


@pytest.mark.normative("MQTT-3.3.4-6")
@pytest.mark.parametrize("qos", [0, 1], ids="QoS {}".format)
async def test_a_subscription_identifier_from_a_client_is_a_protocol_error(connect: Connector, qos: int) -> None:
    client, watcher = await connect(), await connect()
    await watcher.subscribe("#")
    first, number = (0x32, 1) if qos else (0x30, None)
    client.send_bytes(publish_packet("a", b"x", first=first, packet_id=number, properties=b"\x0b\x01") + PINGREQ)
    await expect_disconnect(client, ReasonCode.PROTOCOL_ERROR)
    await watcher.expect_silence()


@pytest.mark.normative("MQTT-3.3.4-7")
@pytest.mark.parametrize("broker", [{"receive_maximum": 3}], indirect=True, ids=["3"])
async def test_more_messages_than_the_broker_s_receive_maximum_end_the_connection(connect: Connector) -> None:
    client = await connect()
    assert connect.acks[client].properties.receive_maximum == 3
    for number in range(1, 4):
        client.send(Publish("a", b"x", 2, packet_id=number))
        await client.expect(PubRec)
    # A released message makes room, and QoS 0 needs none.
    client.send(PubRel(1))
    await client.expect(PubComp)
    client.send(Publish("a", b"x", 0))
    client.send(Publish("a", b"x", 2, packet_id=4))
    await client.expect(PubRec)
    await client.expect_silence()
    client.send(Publish("a", b"x", 2, packet_id=5))
    await expect_disconnect(client, ReasonCode.RECEIVE_MAXIMUM_EXCEEDED)


@pytest.mark.normative("MQTT-3.3.4-9", "MQTT-3.3.4-10")
@pytest.mark.parametrize("maximum", [1, 2, 5])
@pytest.mark.parametrize("qos", [1, 2], ids="QoS {}".format)
async def test_no_more_deliveries_than_the_client_s_receive_maximum(connect: Connector, qos: int, maximum: int) -> None:
    publisher = await connect()
    client = await connect(properties=Properties(receive_maximum=maximum))
    await client.subscribe("a", qos=2)
    await client.subscribe("zero", qos=0)
    for number in range(12):
        await publisher.publish("a", b"%d" % number, qos=qos)
    outstanding = [each for each in await client.drain() if isinstance(each, Publish)]
    assert [each.payload for each in outstanding] == [b"%d" % number for number in range(maximum)]
    # Nothing else is held up: PINGRESP (in drain), SUBACK, UNSUBACK, acknowledgements, and messages of QoS 0.
    await client.subscribe("b", qos=1)
    await client.unsubscribe("b")
    await client.publish("elsewhere", b"x", qos=1)
    await client.publish("elsewhere", b"x", qos=2)
    await publisher.publish("zero", b"0")
    assert (await client.expect_publish()).payload == b"0"
    await client.expect_silence()
    received = len(outstanding)
    while outstanding:
        delivery = outstanding.pop(0)
        assert delivery.packet_id is not None
        if qos == 2:
            # PUBREC is not the end of it.
            client.send(PubRec(delivery.packet_id))
            await client.expect(PubRel)
            await client.expect_silence()
            client.send(PubComp(delivery.packet_id))
        else:
            client.send(PubAck(delivery.packet_id))
        following = await client.drain()
        assert len(following) == (1 if received < 12 else 0)
        for each in following:
            assert isinstance(each, Publish)
            assert each.payload == b"%d" % received
            outstanding.append(each)
            received += 1
    assert received == 12


@pytest.mark.normative("MQTT-3.3.4-9")
async def test_a_refused_message_makes_room_in_the_receive_maximum(connect: Connector) -> None:
    publisher = await connect()
    client = await connect(properties=Properties(receive_maximum=1))
    await client.subscribe("a", qos=2)
    for qos in (2, 1, 2):
        await publisher.publish("a", b"%d" % qos, qos=qos)
    for qos, answer in ((2, PubRec), (1, PubAck), (2, PubRec)):
        delivery = await client.expect(Publish)
        assert (delivery.qos, delivery.payload) == (qos, b"%d" % qos)
        await client.expect_silence()
        assert delivery.packet_id is not None
        client.send(answer(delivery.packet_id, ReasonCode.UNSPECIFIED_ERROR))
    await client.expect_silence()


@pytest.mark.normative("MQTT-3.3.4-9")
@pytest.mark.parametrize("qos", [1, 2], ids="QoS {}".format)
async def test_retransmissions_count_for_the_receive_maximum(connect: Connector, qos: int) -> None:
    publisher = await connect()
    client = await connect("c", properties=KEPT)
    await client.subscribe("a", qos=2)
    for number in range(5):
        await publisher.publish("a", b"%d" % number, qos=qos)
    assert len(await client.drain()) == 5
    await cut(client)
    properties = Properties(session_expiry_interval=3_600, receive_maximum=2)
    client = await connect("c", clean_start=False, properties=properties)
    for number in range(0, 5, 2):
        expected = [b"%d" % each for each in range(number, min(number + 2, 5))]
        deliveries = [each for each in await client.drain() if isinstance(each, Publish)]
        assert [each.payload for each in deliveries] == expected
        assert all(each.dup for each in deliveries)
        for each in deliveries:
            await client.ack(each)
    await client.expect_silence()


@pytest.mark.normative("MQTT-3.3.4-9")
async def test_retained_messages_wait_for_the_receive_maximum(connect: Connector) -> None:
    publisher = await connect()
    for number in range(5):
        await publisher.publish(f"a/{number}", b"x", qos=1, retain=True)
    client = await connect(properties=Properties(receive_maximum=2))
    await client.subscribe("a/#", qos=1)
    topics: set[str] = set()
    for count in (2, 2, 1):
        deliveries = [each for each in await client.drain() if isinstance(each, Publish)]
        assert len(deliveries) == count
        for each in deliveries:
            topics.add(each.topic)
            await client.ack(each)
    assert len(topics) == 5
    await client.expect_silence()
