"""MQTT 5.0 section 3.8: SUBSCRIBE. What a filter matches is section 4.7, shared subscriptions are section 4.8."""

from __future__ import annotations

import asyncio

import pytest

from mqttbroker.protocol import Properties, Publish, ReasonCode, SubAck, Subscribe, SubscriptionRequest
from tests.conformance.conftest import Connector
from tests.conformance.v5.doubles import BAD_STRINGS, KEPT
from tests.conformance.wire import MALFORMED, PINGREQ, expect_disconnect, packet, prefixed, subscribe_packet
from tests.support.raw import RawClient

GOOD = prefixed("good") + b"\x00"


def identified(number: int) -> Properties:
    """A Subscription Identifier."""
    return Properties(subscription_identifiers=(number,))


async def resumed_without_subscription(connect: Connector, client_id: str, topic: str) -> None:
    """Show that a session has no subscription on the topic."""
    client = await connect(client_id, clean_start=False)
    assert connect.acks[client].session_present
    await client.publish(topic, b"x", qos=1)
    await client.expect_silence()


@pytest.mark.normative("MQTT-3.8.1-1")
async def test_other_flags_are_malformed(connect: Connector) -> None:
    for flags in set(range(16)) - {2}:
        client = await connect("c", properties=KEPT)
        client.send_bytes(subscribe_packet("good", first=0x80 | flags) + PINGREQ)
        await expect_disconnect(client, MALFORMED)
        await resumed_without_subscription(connect, "c", "good")


@pytest.mark.normative("MQTT-3.8.3-1")
@pytest.mark.parametrize("text", BAD_STRINGS.values(), ids=BAD_STRINGS)
async def test_a_filter_that_is_not_utf_8_is_malformed(connect: Connector, text: bytes) -> None:
    bad = prefixed(text) + b"\x00"
    for payload in (bad, GOOD + bad, bad + GOOD):
        client = await connect("c", properties=KEPT)
        client.send_bytes(packet(0x82, b"\x00\x01\x00" + payload) + PINGREQ)
        await expect_disconnect(client, MALFORMED)
        await resumed_without_subscription(connect, "c", "good")


@pytest.mark.normative("MQTT-3.8.3-2")
@pytest.mark.parametrize("properties", [b"\x00", b"\x02\x0b\x01"], ids=["bare", "with an identifier"])
async def test_a_subscribe_to_nothing_is_a_protocol_error(connect: Connector, properties: bytes) -> None:
    client = await connect()
    client.send_bytes(packet(0x82, b"\x00\x01" + properties) + PINGREQ)
    await expect_disconnect(client, ReasonCode.PROTOCOL_ERROR)


@pytest.mark.normative("MQTT-3.8.3-3")
@pytest.mark.parametrize("topic_filter", ["a/b", "a/+", "#"])
@pytest.mark.parametrize("qos", [0, 1, 2], ids="QoS {}".format)
async def test_no_local_keeps_a_message_from_its_publisher(connect: Connector, topic_filter: str, qos: int) -> None:
    client, other = await connect(), await connect()
    await client.subscribe(topic_filter, qos=2, no_local=True)
    await other.subscribe(topic_filter, qos=2, no_local=True)
    for payload in (b"1", b"2"):  # The second time the topic is known.
        await client.publish("a/b", payload, qos=qos)
        await client.expect_silence()
        assert (await other.expect_publish()).payload == payload
        await other.publish("a/b", payload, qos=qos)
        assert (await client.expect_publish()).payload == payload
        await other.expect_silence()


@pytest.mark.normative("MQTT-3.8.3-3")
async def test_no_local_goes_by_the_client_identifier_not_by_the_connection(connect: Connector) -> None:
    client = await connect("c", properties=KEPT)
    await client.subscribe("a", qos=1, no_local=True)
    await client.disconnect()
    client = await connect("c", clean_start=False, properties=KEPT)
    await client.publish("a", b"mine", qos=1)
    await client.expect_silence()
    other = await connect("d")
    await client.disconnect()
    await other.publish("a", b"theirs", qos=1)
    client = await connect("c", clean_start=False)
    assert (await client.expect_publish()).payload == b"theirs"
    await client.expect_silence()


@pytest.mark.normative("MQTT-3.8.3-3")
async def test_no_local_holds_for_that_subscription_alone(connect: Connector) -> None:
    client = await connect()
    await client.subscribe("a/#", qos=2, no_local=True, properties=identified(1))
    await client.subscribe("a/+", qos=1, properties=identified(2))
    await client.publish("a/b", b"x", qos=2)
    message = await client.expect_publish()
    # Only the other subscription counts: its QoS and its identifier.
    assert (message.qos, message.properties.subscription_identifiers) == (1, (2,))
    await client.expect_silence()
    await client.unsubscribe("a/+")
    await client.publish("a/b", b"x", qos=2)
    await client.expect_silence()


@pytest.mark.normative("MQTT-3.8.3-3")
async def test_no_local_holds_for_retained_messages(connect: Connector) -> None:
    client, other = await connect("c"), await connect("d")
    await client.publish("a/mine", b"x", qos=1, retain=True)
    await other.publish("a/theirs", b"x", qos=1, retain=True)
    await client.subscribe("a/+", qos=1, no_local=True)
    assert [each.topic for each in await client.drain() if isinstance(each, Publish)] == ["a/theirs"]
    await client.subscribe("a/+", qos=1)
    topics = {each.topic for each in await client.drain() if isinstance(each, Publish)}
    assert topics == {"a/mine", "a/theirs"}


@pytest.mark.normative("MQTT-3.8.3-4")
async def test_no_local_on_a_shared_subscription_is_a_protocol_error(connect: Connector) -> None:
    shared = prefixed("$share/g/good") + b"\x04"
    for payload in (shared, GOOD + shared, shared + GOOD):
        client = await connect("c", properties=KEPT)
        client.send_bytes(packet(0x82, b"\x00\x01\x00" + payload) + PINGREQ)
        await expect_disconnect(client, ReasonCode.PROTOCOL_ERROR)
        await resumed_without_subscription(connect, "c", "good")


@pytest.mark.normative("MQTT-3.8.3-5")
async def test_reserved_subscription_options_are_malformed(connect: Connector) -> None:
    for reserved in (0x40, 0x80, 0xC0):
        for options in (0x00, 0x02, 0x2E):
            for before in (b"", GOOD):
                client = await connect()
                bad = prefixed("bad") + bytes((reserved | options,))
                client.send_bytes(packet(0x82, b"\x00\x01\x00" + before + bad) + PINGREQ)
                await expect_disconnect(client, MALFORMED)


@pytest.mark.normative("MQTT-3.8.3-5", "MQTT-3.8.4-1", "MQTT-3.8.4-2", "MQTT-3.8.4-7")
async def test_every_other_options_byte_is_answered_by_its_rule(connect: Connector) -> None:
    client = await connect()
    for options in range(64):
        qos, retain_handling = options & 3, options >> 4
        client.send_bytes(subscribe_packet("a", options, packet_id=options + 1))
        if qos < 3 and retain_handling < 3:
            assert await client.expect(SubAck) == SubAck(options + 1, (ReasonCode(qos),))
        else:
            # Section 3.8.3.1: QoS 3 and Retain Handling 3 are Protocol Errors.
            await expect_disconnect(client, ReasonCode.PROTOCOL_ERROR)
            client = await connect()


@pytest.mark.normative("MQTT-3.8.4-3")
@pytest.mark.parametrize("topic_filter", ["a/b", "a/#"])
async def test_an_identical_filter_replaces_the_subscription(connect: Connector, topic_filter: str) -> None:
    client, other = await connect(), await connect()

    async def seen(publisher: RawClient) -> list[tuple[int, bool, tuple[int, ...]]]:
        await publisher.publish("a/b", b"x", qos=2, retain=True)
        await client.ping()
        found = [each for each in await client.drain() if isinstance(each, Publish)]
        for each in found:
            await client.ack(each)
        return [(each.qos, each.retain, each.properties.subscription_identifiers) for each in found]

    await client.subscribe(topic_filter, qos=0)
    assert await seen(other) == [(0, False, ())]
    await client.subscribe(topic_filter, qos=2, retain_as_published=True, retain_handling=2, properties=identified(5))
    assert await seen(other) == [(2, True, (5,))]
    await client.subscribe(topic_filter, qos=1, retain_handling=2, properties=identified(6))
    assert await seen(other) == [(1, False, (6,))]
    assert await seen(client) == [(1, False, (6,))]
    await client.subscribe(topic_filter, qos=1, no_local=True, retain_handling=2)
    assert await seen(client) == []
    assert await seen(other) == [(1, False, ())]
    await client.subscribe(topic_filter, qos=2, retain_handling=2)
    assert await seen(client) == [(2, False, ())]
    # One subscription is there, so one UNSUBSCRIBE is enough.
    await client.unsubscribe(topic_filter)
    assert await seen(client) == await seen(other) == []


@pytest.mark.normative("MQTT-3.8.4-3")
async def test_a_filter_that_matches_the_same_topics_is_not_identical(connect: Connector) -> None:
    client = await connect()
    for number, topic_filter in enumerate(("a/b", "a/+", "+/b", "a/b/#", "$share/g/a/b"), 1):
        await client.subscribe(topic_filter, properties=identified(number))
    await client.publish("a/b", b"x")
    found = [each.properties.subscription_identifiers for each in await client.drain() if isinstance(each, Publish)]
    # Section 3.3.4: one copy with all identifiers or one for each; the shared one is a delivery of its own.
    assert sorted(number for each in found for number in each) == [1, 2, 3, 4, 5]
    assert (5,) in found


@pytest.mark.normative("MQTT-3.8.4-4")
@pytest.mark.parametrize("qos", [0, 1, 2], ids="QoS {}".format)
async def test_nothing_is_lost_while_a_subscription_is_replaced(connect: Connector, qos: int) -> None:
    publisher, client = await connect(), await connect(properties=Properties(receive_maximum=500))
    await client.subscribe("a", qos=qos)

    async def publish() -> None:
        for number in range(100):
            await publisher.publish("a", b"%d" % number, qos=qos)

    async def replace() -> None:
        for _ in range(60):
            await client.subscribe("a", qos=qos)

    await asyncio.gather(publish(), replace())
    found = [each.payload for each in await client.drain() if isinstance(each, Publish)]
    assert found == [b"%d" % number for number in range(100)]


@pytest.mark.normative("MQTT-3.8.4-4")
async def test_a_queue_survives_the_replacement_of_its_subscription(connect: Connector) -> None:
    publisher = await connect()
    client = await connect("c", properties=KEPT)
    await client.subscribe("a", qos=1)
    await client.disconnect()
    await publisher.publish("a", b"queued", qos=1)
    client = await connect("c", clean_start=False, properties=Properties(receive_maximum=1))
    assert (await client.expect(Publish)).payload == b"queued"
    await publisher.publish("a", b"waiting", qos=1)
    await client.subscribe("a", qos=0)
    client.send_bytes(b"\x40\x02\x00\x01")
    # What was owed at QoS 1 is still owed at QoS 1.
    waiting = await client.expect_publish()
    assert (waiting.payload, waiting.qos) == (b"waiting", 1)


@pytest.mark.normative("MQTT-3.8.4-4")
@pytest.mark.parametrize("topic_filter", ["a/b", "a/#"])
@pytest.mark.parametrize(
    ("retain_handling", "when_new", "when_there"), [(0, 1, 1), (1, 1, 0), (2, 0, 0)], ids="handling {}".format
)
async def test_retained_messages_by_retain_handling(
    connect: Connector, topic_filter: str, retain_handling: int, when_new: int, when_there: int
) -> None:
    publisher = await connect()
    await publisher.publish("a/b", b"kept", retain=True)
    client = await connect("c", properties=KEPT)

    async def subscribe(qos: int) -> int:
        await client.subscribe(topic_filter, qos=qos, retain_handling=retain_handling)
        found = [each for each in await client.drain() if isinstance(each, Publish)]
        assert all(each.retain and each.payload == b"kept" for each in found)
        return len(found)

    assert [await subscribe(0) for _ in range(3)] == [when_new, when_there, when_there]
    assert await subscribe(2) == when_there  # Other options make no new subscription.
    await client.unsubscribe(topic_filter)
    assert await subscribe(0) == when_new
    await client.disconnect()
    client = await connect("c", clean_start=False, properties=KEPT)
    await client.expect_silence()  # A resumed session is no SUBSCRIBE.
    assert await subscribe(0) == when_there
    client = await connect("c", clean_start=True)
    assert await subscribe(0) == when_new


@pytest.mark.normative("MQTT-3.8.4-5", "MQTT-3.8.4-6")
async def test_several_filters_are_as_several_subscribes(connect: Connector) -> None:
    publisher, client = await connect(), await connect()
    await publisher.publish("c", b"kept", retain=True)
    requests = (
        SubscriptionRequest("a", 2),
        SubscriptionRequest("b/+", 0, no_local=True),
        SubscriptionRequest("bad#", 1),
        SubscriptionRequest("c", 1, retain_handling=2),
        SubscriptionRequest("d", 1, retain_as_published=True),
    )
    client.send(Subscribe(3, requests, identified(9)))
    ack = await client.expect(SubAck)
    assert (ack.packet_id, ack.reason_codes) == (3, (2, 0, ReasonCode.TOPIC_FILTER_INVALID, 1, 1))
    await client.expect_silence()
    for topic in ("a", "b/x", "c", "d"):
        await publisher.publish(topic, b"x", qos=2, retain=topic == "d")
        message = await client.expect_publish()
        granted = {"a": 2, "b/x": 0, "c": 1, "d": 1}[topic]
        assert (message.topic, message.qos, message.retain) == (topic, granted, topic == "d")
        assert message.properties.subscription_identifiers == (9,)
    await client.publish("b/x", b"x")
    await client.expect_silence()


@pytest.mark.normative("MQTT-3.8.4-3", "MQTT-3.8.4-5")
@pytest.mark.parametrize("handling", [0, 1, 2], ids="handling {}".format)
async def test_one_filter_twice_in_a_packet_replaces_itself(connect: Connector, handling: int) -> None:
    publisher, client = await connect(), await connect()
    await publisher.publish("a", b"kept", qos=1, retain=True)
    first, second = SubscriptionRequest("a", 1), SubscriptionRequest("a", 2, retain_handling=handling)
    client.send(Subscribe(1, (first, second)))
    assert (await client.expect(SubAck)).reason_codes == (1, 2)
    retained = [each for each in await client.drain() if isinstance(each, Publish)]
    # The first makes the subscription, and is owed the retained message whatever the second asks for.
    assert len(retained) == (2 if handling == 0 else 1)
    for each in retained:
        await client.ack(each)
    await publisher.publish("a", b"x", qos=2)
    assert (await client.expect_publish()).qos == 2
    await client.expect_silence()


@pytest.mark.normative("MQTT-3.8.4-1", "MQTT-3.8.4-2", "MQTT-3.8.4-6", "MQTT-3.8.4-7")
async def test_one_code_for_each_filter(connect: Connector) -> None:
    client = await connect()
    for count in (1, 2, 127, 128, 1_000):
        filters = [f"a/{number}" if number % 3 else f"a/{number}#" for number in range(count)]
        ack = await client.subscribe(*filters, qos=1)
        expected = [1 if number % 3 else ReasonCode.TOPIC_FILTER_INVALID for number in range(count)]
        assert list(ack.reason_codes) == expected
    await client.expect_silence()


@pytest.mark.normative("MQTT-3.8.4-1", "MQTT-3.8.4-2")
async def test_subscribes_in_a_row_are_answered_each(connect: Connector) -> None:
    client = await connect()
    client.send_bytes(b"".join(subscribe_packet("a", packet_id=number) for number in (3, 65_535, 1, 3)))
    assert [(await client.expect(SubAck)).packet_id for _ in range(4)] == [3, 65_535, 1, 3]
    await client.expect_silence()


@pytest.mark.normative("MQTT-3.8.4-8")
@pytest.mark.parametrize("how", ["live", "queued", "retained"])
async def test_the_lower_qos_counts(connect: Connector, how: str) -> None:
    publisher = await connect()
    client = await connect("c", properties=KEPT)
    for granted in (0, 1, 2):
        await client.subscribe(f"{granted}/+", qos=granted)
    if how != "live":
        await client.disconnect()
    for granted in (0, 1, 2):
        for published in (0, 1, 2):
            topic = f"{granted}/{published}"
            await publisher.publish(topic, b"x", qos=published, retain=how == "retained")
    if how == "retained":
        client = await connect("c", clean_start=True)
        for granted in (0, 1, 2):
            await client.subscribe(f"{granted}/+", qos=granted)
    elif how == "queued":
        client = await connect("c", clean_start=False)
    found = {each.topic: each.qos for each in await client.drain() if isinstance(each, Publish)}
    # At QoS 0 nothing need be kept for a client that is away.
    expected = {f"{a}/{b}": min(a, b) for a in (0, 1, 2) for b in (0, 1, 2) if how != "queued" or min(a, b)}
    assert {topic: qos for topic, qos in found.items() if how != "queued" or qos} == expected
