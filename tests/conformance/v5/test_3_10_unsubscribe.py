"""MQTT 5.0 sections 3.10 and 3.11: UNSUBSCRIBE and UNSUBACK."""

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
    UnsubAck,
)
from tests.conformance.conftest import Connector
from tests.conformance.v5.doubles import BAD_STRINGS, KEPT, unsubscribe_packet
from tests.conformance.wire import MALFORMED, PINGREQ, expect_disconnect, packet, publish_packet, subscribe_packet

SUCCESS = ReasonCode.SUCCESS
NONE = ReasonCode.NO_SUBSCRIPTION_EXISTED
INVALID = ReasonCode.TOPIC_FILTER_INVALID


async def still_subscribed(connect: Connector, client_id: str, topic: str) -> None:
    """Show that a session has its subscription on the topic."""
    client = await connect(client_id, clean_start=False, properties=KEPT)
    await client.publish(topic, b"x")
    assert (await client.expect_publish()).topic == topic
    await client.expect_silence()
    await client.disconnect()


@pytest.mark.normative("MQTT-3.10.1-1")
async def test_other_flags_are_malformed(connect: Connector) -> None:
    client = await connect("c", properties=KEPT)
    await client.subscribe("a")
    for flags in set(range(16)) - {2}:
        client = await connect("c", clean_start=False, properties=KEPT)
        client.send_bytes(unsubscribe_packet("a", first=0xA0 | flags) + PINGREQ)
        await expect_disconnect(client, MALFORMED)
    await still_subscribed(connect, "c", "a")


@pytest.mark.normative("MQTT-3.10.3-1")
@pytest.mark.parametrize("text", BAD_STRINGS.values(), ids=BAD_STRINGS)
async def test_a_filter_that_is_not_utf_8_is_malformed(connect: Connector, text: bytes) -> None:
    client = await connect("c", properties=KEPT)
    await client.subscribe("a")
    for filters in ((text,), (b"a", text), (text, b"a")):
        client = await connect("c", clean_start=False, properties=KEPT)
        client.send_bytes(unsubscribe_packet(*filters) + PINGREQ)
        await expect_disconnect(client, MALFORMED)
    await still_subscribed(connect, "c", "a")


@pytest.mark.normative("MQTT-3.10.3-2")
@pytest.mark.parametrize("properties", [b"\x00", b"\x07\x26\x00\x01k\x00\x01v"], ids=["bare", "with a property"])
async def test_an_unsubscribe_from_nothing_is_a_protocol_error(connect: Connector, properties: bytes) -> None:
    client = await connect()
    client.send_bytes(packet(0xA2, b"\x00\x01" + properties) + PINGREQ)
    await expect_disconnect(client, ReasonCode.PROTOCOL_ERROR)


@pytest.mark.normative("MQTT-3.10.4-1", "MQTT-3.10.4-2")
async def test_only_the_equal_filter_is_deleted(connect: Connector) -> None:
    client = await connect()
    filters = [
        "a/b",
        "a/+",
        "a/#",
        "+/b",
        "#",
        "a/b/",
        "A/b",
        "a/b ",
        "$share/g/a/b",
        "$share/h/a/b",
        "\u00e9",
        "e\u0301",
    ]
    for number, topic_filter in enumerate(filters, 1):
        await client.subscribe(topic_filter, qos=1, properties=Properties(subscription_identifiers=(number,)))

    async def heard() -> list[int]:
        for topic in ("a/b", "a/b/", "A/b", "a/b ", "\u00e9", "e\u0301"):
            await client.publish(topic, b"x")
        found = [each for each in await client.drain() if isinstance(each, Publish)]
        return sorted({number for each in found for number in each.properties.subscription_identifiers})

    assert (await client.unsubscribe("a/c", "+/+", "a", "b", "a/b/#", "share/g/a/b")).reason_codes == (NONE,) * 6
    left = list(range(1, len(filters) + 1))
    assert await heard() == left
    for number, topic_filter in enumerate(filters, 1):
        assert (await client.unsubscribe(topic_filter)).reason_codes == (SUCCESS,)
        left.remove(number)
        assert await heard() == left, topic_filter
        assert (await client.unsubscribe(topic_filter)).reason_codes == (NONE,)


@pytest.mark.normative("MQTT-3.10.4-2")
@pytest.mark.parametrize("qos", [0, 1, 2], ids="QoS {}".format)
@pytest.mark.parametrize("topic_filter", ["a", "+", "$share/g/a"])
async def test_nothing_new_comes_after_an_unsubscribe(connect: Connector, topic_filter: str, qos: int) -> None:
    client, publisher, other = await connect("c", properties=KEPT), await connect(), await connect()
    await other.subscribe("a")
    await client.subscribe(topic_filter, qos=qos)
    await publisher.publish("a", b"before", qos=qos)
    assert (await client.expect_publish()).payload == b"before"
    await client.unsubscribe(topic_filter)
    await publisher.publish("a", b"after", qos=qos)
    await publisher.publish("a", b"kept", qos=qos, retain=True)
    await client.expect_silence()
    await client.disconnect()
    await publisher.publish("a", b"away", qos=qos)
    client = await connect("c", clean_start=False)
    assert connect.acks[client].session_present
    await client.expect_silence()
    assert [(await other.expect_publish()).payload for _ in range(4)] == [b"before", b"after", b"kept", b"away"]


@pytest.mark.normative("MQTT-3.10.4-2")
async def test_retained_messages_on_their_way_end_with_the_subscription(connect: Connector) -> None:
    publisher, client = await connect(), await connect()
    publisher.send_bytes(b"".join(publish_packet(f"a/{number}", b"x", first=0x31) for number in range(2_000)))
    await publisher.ping()
    client.send_bytes(subscribe_packet("a/#") + unsubscribe_packet("a/#", packet_id=2))
    while not isinstance(await client.receive(), UnsubAck):
        pass
    await client.expect_silence()


@pytest.mark.normative("MQTT-3.10.4-3")
async def test_a_started_delivery_is_completed(connect: Connector) -> None:
    publisher, client = await connect(), await connect("c", properties=KEPT)
    await client.subscribe("a/+", qos=2)
    for qos in (1, 2):
        await publisher.publish(f"a/{qos}", b"x", qos=qos)
    once, twice = await client.expect(Publish), await client.expect(Publish)
    assert once.packet_id is not None and twice.packet_id is not None
    await client.unsubscribe("a/+")
    client.send(PubRec(twice.packet_id))
    assert (await client.expect(PubRel)).packet_id == twice.packet_id
    await client.disconnect()
    # The deliveries go on after the connection was lost, too.
    client = await connect("c", clean_start=False, properties=KEPT)
    again = await client.expect(Publish)
    assert (again.topic, again.packet_id, again.dup) == ("a/1", once.packet_id, True)
    assert (await client.expect(PubRel)).packet_id == twice.packet_id
    client.send(PubAck(once.packet_id))
    client.send(PubComp(twice.packet_id))
    await client.expect_silence()
    await client.disconnect()
    client = await connect("c", clean_start=False)
    await client.expect_silence()


@pytest.mark.normative("MQTT-3.10.4-4", "MQTT-3.10.4-5", "MQTT-3.11.3-2")
async def test_every_unsubscribe_is_answered(connect: Connector) -> None:
    client = await connect()
    await client.subscribe("a")
    client.send_bytes(b"".join(unsubscribe_packet("a", packet_id=number) for number in (7, 65_535, 7)))
    answers = [await client.expect(UnsubAck) for _ in range(3)]
    assert answers == [UnsubAck(7, (SUCCESS,)), UnsubAck(65_535, (NONE,)), UnsubAck(7, (NONE,))]
    await client.expect_silence()


@pytest.mark.normative("MQTT-3.10.4-6", "MQTT-3.11.3-1", "MQTT-3.11.3-2")
async def test_several_filters_get_one_answer_in_their_order(connect: Connector) -> None:
    client = await connect()
    await client.subscribe("a", "b/#", "c", "$share/g/d")
    ack = await client.unsubscribe("a", "x", "b/#", "b#", "a", "$share/g/d", "$share//d", "")
    assert list(ack.reason_codes) == [SUCCESS, NONE, SUCCESS, INVALID, NONE, SUCCESS, INVALID, INVALID]
    for topic in ("a", "b", "b/1", "d"):
        await client.publish(topic, b"x")
    await client.publish("c", b"x")
    assert (await client.expect_publish()).topic == "c"
    await client.expect_silence()


@pytest.mark.normative("MQTT-3.11.2-1", "MQTT-3.11.2-2")
async def test_an_unsuback_fits(connect: Connector) -> None:
    for maximum in (20, 21, 22):
        client = await connect(properties=Properties(maximum_packet_size=maximum))
        # Two bytes of header, two of the identifier, one for the length of no properties: 15 codes are 20 bytes.
        filters = ["b#", "none"] * 7 + ["a"]
        await client.subscribe("a")
        ack = await client.unsubscribe(*filters, properties=Properties(user_properties=(("k", "v" * 99),)))
        assert list(ack.reason_codes) == [INVALID, NONE] * 7 + [SUCCESS]
        assert ack.properties == Properties()
        assert len(client.last_bytes) == 20
        await client.expect_silence()


@pytest.mark.normative("MQTT-3.1.2-24", "MQTT-3.11.2-1", "MQTT-3.11.2-2")
async def test_an_unsuback_that_cannot_fit_is_not_sent(connect: Connector) -> None:
    client = await connect(properties=Properties(maximum_packet_size=20))
    client.send_bytes(unsubscribe_packet(*["a"] * 16) + PINGREQ)
    await expect_disconnect(client, ReasonCode.PACKET_TOO_LARGE)
