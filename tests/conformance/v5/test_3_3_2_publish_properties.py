"""MQTT 5.0 section 3.3.2: topic name, topic alias and the other properties of PUBLISH."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from mqttbroker.protocol import Properties, Publish, ReasonCode
from mqttbroker.testing.running import RunningBroker
from mqttbroker.topics import filter_matches
from tests.conformance.conftest import Connector
from tests.conformance.wire import MALFORMED, PINGREQ, expect_disconnect, pair, prefixed, publish_packet

KEPT = Properties(session_expiry_interval=3_600)
EVERYTHING = Properties(
    payload_format_indicator=1,
    content_type="text/\u2764",
    response_topic="an/answer",
    correlation_data=bytes(range(256)),
    user_properties=(("b", "2"), ("a", "1"), ("b", "2"), ("", ""), ("a", "0"), ("\ufeff", "\u2764")),
)


def alias(number: int) -> bytes:
    """A Topic Alias property."""
    return b"\x23" + number.to_bytes(2, "big")


@pytest.mark.normative("MQTT-3.3.2-1")
@pytest.mark.parametrize(
    "body",
    [b"", b"\x00", b"\x00\x05a", b"\x00\x01\xff\x00", b"\x00\x03\xed\xa0\x80\x00", b"\x00\x03a\x00b\x00"],
    ids=["nothing", "half a length", "cut off", "ill-formed", "surrogate", "nul"],
)
@pytest.mark.parametrize("first", [0x30, 0x32], ids=["QoS 0", "QoS 1"])
async def test_a_topic_name_that_is_no_string_is_malformed(connect: Connector, first: int, body: bytes) -> None:
    client = await connect()
    await client.publish("a", b"known")
    client.send_bytes(bytes((first, len(body))) + body + PINGREQ)
    await expect_disconnect(client, MALFORMED)


@pytest.mark.normative("MQTT-3.3.2-2")
@pytest.mark.parametrize("topic", ["#", "+", "a/#", "a/+/b", "a+", "a#", "#/a", "\u2764/+"])
@pytest.mark.parametrize("qos", [0, 1, 2], ids="QoS {}".format)
async def test_wildcards_in_a_topic_name_are_refused(connect: Connector, topic: str, qos: int) -> None:
    client, watcher = await connect(), await connect()
    await watcher.subscribe("#", qos=2)
    client.send_bytes(publish_packet(topic, b"x", first=0x30 | qos << 1, packet_id=1 if qos else None) + PINGREQ)
    await expect_disconnect(client, ReasonCode.TOPIC_NAME_INVALID)
    await watcher.expect_silence()


@pytest.mark.normative("MQTT-3.3.2-3")
@pytest.mark.parametrize("maximum", [0, 3], ids=["no aliases", "with aliases"])
@pytest.mark.parametrize("qos", [0, 1, 2], ids="QoS {}".format)
async def test_deliveries_are_of_topics_subscribed_to(connect: Connector, qos: int, maximum: int) -> None:
    publisher = await connect()
    topics = ["/".join(levels) for size in (1, 2, 3) for levels in itertools.product(("a", "b", ""), repeat=size)][1:]
    topics = [topic for topic in topics if topic]
    filters = ("a", "+/b", "b/#", "/+", "a/+/a")
    client = await connect(properties=Properties(topic_alias_maximum=maximum))
    await client.subscribe(*filters, qos=qos)
    for topic in topics:
        await publisher.publish(topic, topic.encode(), qos=qos)
    expected = [topic for topic in topics if any(filter_matches(each, topic) for each in filters)]
    known: dict[int | None, str] = {}
    received: list[str] = []
    for _ in expected:
        delivery = await client.expect_publish()
        if delivery.topic:
            known[delivery.properties.topic_alias] = delivery.topic
        topic = delivery.topic or known[delivery.properties.topic_alias]
        assert topic.encode() == delivery.payload
        received.append(topic)
    assert received == expected
    await client.expect_silence()


@pytest.mark.normative(
    "MQTT-3.3.2-4", "MQTT-3.3.2-15", "MQTT-3.3.2-16", "MQTT-3.3.2-17", "MQTT-3.3.2-18", "MQTT-3.3.2-20"
)
@pytest.mark.parametrize("how", ["live", "retained", "queued", "shared", "alias"])
@pytest.mark.parametrize("qos", [0, 1, 2], ids="QoS {}".format)
async def test_properties_are_forwarded_unaltered(connect: Connector, qos: int, how: str) -> None:
    publisher, second = await connect(), await connect()
    client = await connect("c", properties=KEPT)
    topic_filter = "$share/group/a" if how == "shared" else "a"
    if how != "retained":
        await client.subscribe(topic_filter, qos=2)
        await second.subscribe("#", qos=2)
    if how == "queued":
        await client.disconnect()
    await publisher.publish("a", b"known", qos=0)
    if how == "alias":
        publisher.send_bytes(publish_packet("a", b"known", properties=alias(1)))
        await publisher.publish("", b"x", qos=qos, properties=replace(EVERYTHING, topic_alias=1))
    else:
        await publisher.publish("a", b"x", qos=qos, retain=how == "retained", properties=EVERYTHING)
    if how == "queued":
        client = await connect("c", clean_start=False)
        if not qos:
            await client.expect_silence()
            return
    if how == "retained":
        await client.subscribe("a", qos=2)
        await second.subscribe("#", qos=2)
    for subscriber in client, second:
        received = [each for each in await subscriber.drain() if isinstance(each, Publish)]
        assert (received[-1].topic, received[-1].payload) == ("a", b"x")
        assert received[-1].properties == EVERYTHING


@pytest.mark.normative("MQTT-3.3.2-4")
@pytest.mark.parametrize("indicator", [None, 0, 1], ids=["absent", "0", "1"])
async def test_the_payload_format_indicator_is_forwarded(connect: Connector, indicator: int | None) -> None:
    client = await connect()
    await client.subscribe("a")
    await client.publish("a", b"text", properties=Properties(payload_format_indicator=indicator))
    assert (await client.expect_publish()).properties.payload_format_indicator == indicator


@pytest.mark.normative("MQTT-3.3.2-5")
@pytest.mark.parametrize("qos", [1, 2], ids="QoS {}".format)
async def test_an_expired_message_is_not_delivered(connect: Connector, broker: RunningBroker, qos: int) -> None:
    publisher = await connect()
    client = await connect("c", properties=KEPT)
    await client.subscribe("a", qos=2)
    await client.disconnect()
    for interval in (10, 100, None, 50):
        properties = Properties(message_expiry_interval=interval)
        await publisher.publish("a", str(interval).encode(), qos=qos, properties=properties)
    broker.advance(60)
    client = await connect("c", clean_start=False)
    assert [(await client.expect_publish()).payload for _ in range(2)] == [b"100", b"None"]
    await client.expect_silence()


@pytest.mark.normative("MQTT-3.3.2-5")
async def test_expiry_goes_on_while_the_receive_maximum_holds_a_message_back(
    connect: Connector, broker: RunningBroker
) -> None:
    client = await connect(properties=Properties(receive_maximum=1))
    await client.subscribe("a", qos=1)
    await client.publish("a", b"first", qos=1)
    first = await client.expect(Publish)
    await client.publish("a", b"second", qos=1, properties=Properties(message_expiry_interval=10))
    await client.publish("a", b"third", qos=1)
    broker.advance(20)
    await client.ack(first)
    assert (await client.expect_publish()).payload == b"third"
    await client.expect_silence()


@pytest.mark.normative("MQTT-3.3.2-5", "MQTT-3.3.2-6")
async def test_a_retained_message_expires(connect: Connector, broker: RunningBroker) -> None:
    publisher = await connect()
    await publisher.publish("a", b"x", retain=True, properties=Properties(message_expiry_interval=100))
    broker.advance(40)
    early = await connect()
    await early.subscribe("a")
    assert (await early.expect_publish()).properties.message_expiry_interval in (59, 60)
    broker.advance(61)
    for topic_filter in ("a", "#"):
        await early.subscribe(topic_filter)
    await early.expect_silence()


@pytest.mark.normative("MQTT-3.3.2-6")
@pytest.mark.parametrize("waited", [0, 30], ids=["at once", "later"])
@pytest.mark.parametrize("qos", [0, 1, 2], ids="QoS {}".format)
async def test_the_expiry_interval_is_less_the_time_waited(
    connect: Connector, broker: RunningBroker, qos: int, waited: int
) -> None:
    publisher = await connect()
    client = await connect("c", properties=KEPT)
    await client.subscribe("a", qos=2)
    if waited:
        await client.disconnect()
    await publisher.publish("a", b"x", qos=qos, properties=Properties(message_expiry_interval=100))
    if waited:
        broker.advance(waited)
        client = await connect("c", clean_start=False)
    if waited and not qos:
        await client.expect_silence()
        return
    remaining = (await client.expect_publish()).properties.message_expiry_interval
    assert remaining in (100 - waited, 99 - waited)


@pytest.mark.normative("MQTT-3.3.2-7")
async def test_aliases_of_the_client_end_with_the_connection(connect: Connector) -> None:
    client = await connect("c", properties=KEPT)
    await client.publish("a", b"x", properties=Properties(topic_alias=1))
    await client.publish("", b"x", properties=Properties(topic_alias=1))
    await client.disconnect()
    client = await connect("c", clean_start=False, properties=KEPT)
    assert connect.acks[client].session_present
    client.send_bytes(publish_packet("", b"x", properties=alias(1)))
    await expect_disconnect(client, ReasonCode.PROTOCOL_ERROR)


@pytest.mark.normative("MQTT-3.3.2-7")
async def test_aliases_are_each_connection_s_own(connect: Connector) -> None:
    watcher, one, two = await connect(), await connect(), await connect()
    await watcher.subscribe("#")
    await one.publish("from/one", b"x", properties=Properties(topic_alias=1))
    await two.publish("from/two", b"x", properties=Properties(topic_alias=1))
    await one.publish("", b"x", properties=Properties(topic_alias=1))
    await two.publish("", b"x", properties=Properties(topic_alias=1))
    topics = [(await watcher.expect_publish()).topic for _ in range(4)]
    assert topics == ["from/one", "from/two", "from/one", "from/two"]


@pytest.mark.normative("MQTT-3.3.2-7")
async def test_aliases_of_the_broker_end_with_the_connection(connect: Connector) -> None:
    publisher = await connect()
    properties = Properties(session_expiry_interval=3_600, topic_alias_maximum=5)
    client = await connect("c", properties=properties)
    await client.subscribe("a", qos=1)
    for _ in range(2):
        await publisher.publish("a", b"x", qos=1)
        await client.expect_publish()
    assert client.last_bytes[2:4] == b"\x00\x00", "the alias is in use"
    await client.disconnect()
    await publisher.publish("a", b"y", qos=1)
    client = await connect("c", clean_start=False, properties=properties)
    assert (await client.expect_publish()).topic == "a"


@pytest.mark.normative("MQTT-3.3.2-8")
@pytest.mark.parametrize("topic", ["", "a"], ids=["no topic", "with topic"])
@pytest.mark.parametrize("qos", [0, 1], ids="QoS {}".format)
async def test_alias_0_is_invalid(connect: Connector, topic: str, qos: int) -> None:
    client = await connect()
    await client.publish("a", b"known", qos=qos)
    first, number = (0x32, 1) if qos else (0x30, None)
    client.send_bytes(publish_packet(topic, b"x", first=first, packet_id=number, properties=alias(0)) + PINGREQ)
    await expect_disconnect(client, ReasonCode.TOPIC_ALIAS_INVALID)


@pytest.mark.normative("MQTT-3.3.2-8", "MQTT-3.3.2-11")
@pytest.mark.parametrize("qos", [0, 1, 2], ids="QoS {}".format)
async def test_the_broker_s_aliases_are_from_1_to_the_client_s_maximum(connect: Connector, qos: int) -> None:
    publisher = await connect()
    client = await connect(properties=Properties(topic_alias_maximum=3))
    await client.subscribe("#", qos=qos)
    used: set[int | None] = set()
    for number in range(20):
        await publisher.publish(f"t/{number % 7}", b"x", qos=qos)
        used.add((await client.expect_publish()).properties.topic_alias)
    assert used - {None} <= {1, 2, 3}
    assert used - {None}


@pytest.mark.normative("MQTT-3.3.2-9")
@pytest.mark.parametrize("number", [257, 0xFFFF])
async def test_an_alias_above_the_broker_s_maximum_is_invalid(connect: Connector, number: int) -> None:
    client = await connect()
    assert connect.acks[client].properties.topic_alias_maximum == 256
    client.send_bytes(publish_packet("a", b"x", properties=alias(number)))
    await expect_disconnect(client, ReasonCode.TOPIC_ALIAS_INVALID)


@pytest.mark.normative("MQTT-3.3.2-9", "MQTT-3.2.2-18")
@pytest.mark.parametrize("broker", [{"topic_alias_maximum": 0}], indirect=True, ids=["none"])
async def test_no_alias_is_valid_where_none_is_announced(connect: Connector) -> None:
    client = await connect()
    assert connect.acks[client].properties.topic_alias_maximum is None
    client.send_bytes(publish_packet("a", b"x", properties=alias(1)))
    await expect_disconnect(client, ReasonCode.TOPIC_ALIAS_INVALID)


@pytest.mark.normative("MQTT-3.3.2-12")
@pytest.mark.parametrize(
    "broker", [{}, {"topic_alias_maximum": 3}, {"topic_alias_maximum": 65_535}], indirect=True, ids=str
)
async def test_every_alias_up_to_the_announced_maximum_works(connect: Connector) -> None:
    watcher, client = await connect(), await connect()
    await watcher.subscribe("#", qos=1)
    maximum = connect.acks[client].properties.topic_alias_maximum
    assert maximum
    numbers = range(1, maximum + 1) if maximum < 1_000 else (1, 2, 255, 256, 257, 32_767, 32_768, maximum)
    for number in numbers:
        client.send_bytes(publish_packet(f"t/{number}", b"set", properties=alias(number)))
    await client.ping()
    for number in numbers:
        client.send_bytes(publish_packet("", b"used", first=0x32, packet_id=number, properties=alias(number)))
    await client.drain()
    topics = [(await watcher.expect_publish()).topic for _ in range(2 * len(numbers))]
    assert topics == [f"t/{number}" for number in numbers] * 2
    # An alias may be given another topic.
    await client.publish("other", b"set", properties=Properties(topic_alias=maximum))
    await client.publish("", b"used", properties=Properties(topic_alias=maximum))
    assert [(await watcher.expect_publish()).topic for _ in range(2)] == ["other", "other"]


@pytest.mark.normative("MQTT-3.3.2-13", "MQTT-3.3.2-19")
@pytest.mark.parametrize("identifier", [b"\x08", b"\x03"], ids=["Response Topic", "Content Type"])
@pytest.mark.parametrize("string", [b"\xff", b"\xed\xa0\x80", b"a\x00"], ids=["ill-formed", "surrogate", "nul"])
async def test_a_property_that_is_no_string_is_malformed(connect: Connector, identifier: bytes, string: bytes) -> None:
    client = await connect()
    client.send_bytes(publish_packet("a", b"x", properties=identifier + prefixed(string)) + PINGREQ)
    await expect_disconnect(client, MALFORMED)


@pytest.mark.normative("MQTT-3.3.2-14")
@pytest.mark.parametrize("topic", ["#", "+", "a/#", "a/+/b", "a+"])
async def test_wildcards_in_a_response_topic_are_a_protocol_error(connect: Connector, topic: str) -> None:
    client, watcher = await connect(), await connect()
    await watcher.subscribe("#")
    client.send_bytes(publish_packet("a", b"x", properties=b"\x08" + prefixed(topic)) + PINGREQ)
    await expect_disconnect(client, ReasonCode.PROTOCOL_ERROR)
    await watcher.expect_silence()


@pytest.mark.normative("MQTT-3.3.2-17", "MQTT-3.3.2-18")
async def test_many_user_properties_keep_their_order(connect: Connector) -> None:
    client = await connect()
    await client.subscribe("a")
    pairs = tuple((f"n{number % 7}", f"{number}") for number in range(256, 0, -1))
    await client.publish("a", b"x", properties=Properties(user_properties=pairs))
    assert (await client.expect_publish()).properties.user_properties == pairs
    # Also those that stand apart from one another, between other properties.
    apart = pair("z", "1") + b"\x01\x01" + pair("a", "2") + b"\x03" + prefixed("t") + pair("z", "1")
    client.send_bytes(publish_packet("a", b"x", properties=apart))
    received = await client.expect_publish()
    assert received.properties.user_properties == (("z", "1"), ("a", "2"), ("z", "1"))
