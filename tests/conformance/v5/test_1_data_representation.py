"""MQTT 5.0 chapter 1: strings and variable byte integers."""

from __future__ import annotations

import pytest

from mqttbroker.protocol import Properties, Publish, ReasonCode
from tests.conformance.conftest import Connector, Opener
from tests.conformance.wire import (
    MALFORMED,
    connect_packet,
    expect_disconnect,
    expect_refusal,
    packet,
    pair,
    prefixed,
    publish_packet,
    subscribe_packet,
    varint,
)

ILL_FORMED = {
    "lone continuation byte": b"a\x80b",
    "cut off": b"a\xc3",
    "overlong": b"\xc1\xa1",
    "overlong nul": b"\xc0\x80",
    "first surrogate": b"\xed\xa0\x80",
    "last surrogate": b"\xed\xbf\xbf",
    "surrogate pair": b"\xed\xa0\xbd\xed\xb8\x80",
    "above U+10FFFF": b"\xf4\x90\x80\x80",
    "Latin-1": b"caf\xe9",
}
NUL = {"only": b"\x00", "first": b"\x00a", "last": b"a\x00"}


def carriers(string: bytes) -> dict[str, bytes]:
    """The string in every kind of packet that has one."""
    return {
        "topic name": publish_packet(string),
        "topic filter": subscribe_packet(string),
        "filter to leave": packet(0xA2, b"\x00\x01\x00" + prefixed(string)),
        "content type": publish_packet("a", properties=b"\x03" + prefixed(string)),
        "response topic": publish_packet("a", properties=b"\x08" + prefixed(string)),
        "pair name": publish_packet("a", properties=pair(string, "v")),
        "pair value": publish_packet("a", properties=pair("n", string)),
    }


@pytest.mark.normative("MQTT-1.5.4-1")
@pytest.mark.parametrize("kind", [kind for kind in carriers(b"") if not kind.startswith("pair")])
@pytest.mark.parametrize("string", ILL_FORMED.values(), ids=ILL_FORMED)
async def test_ill_formed_utf_8_closes_the_connection(connect: Connector, string: bytes, kind: str) -> None:
    client = await connect()
    client.send_bytes(carriers(string)[kind])
    await expect_disconnect(client, MALFORMED)


@pytest.mark.normative("MQTT-1.5.4-1", "MQTT-1.5.4-2")
@pytest.mark.parametrize("string", [*ILL_FORMED.values(), *NUL.values()], ids=[*ILL_FORMED, *NUL])
async def test_a_connect_with_a_bad_string_is_refused(open_client: Opener, string: bytes) -> None:
    client = await open_client()
    client.send_bytes(connect_packet(prefixed(string)))
    await expect_refusal(client, MALFORMED)


@pytest.mark.normative("MQTT-1.5.4-2")
@pytest.mark.parametrize("kind", carriers(b""))
@pytest.mark.parametrize("string", NUL.values(), ids=NUL)
async def test_the_null_character_closes_the_connection(connect: Connector, string: bytes, kind: str) -> None:
    client = await connect()
    client.send_bytes(carriers(string)[kind])
    await expect_disconnect(client, MALFORMED)


@pytest.mark.normative("MQTT-1.5.4-3")
@pytest.mark.parametrize("qos", [0, 1, 2], ids="QoS {}".format)
@pytest.mark.parametrize("topic", ["\ufeffbom", "b\ufeffom", "bom\ufeff"], ids=["first", "within", "last"])
async def test_a_byte_order_mark_is_part_of_the_topic(connect: Connector, topic: str, qos: int) -> None:
    marked, plain = await connect(), await connect()
    await marked.subscribe(topic, qos=qos)
    await plain.subscribe("bom", qos=qos)
    await marked.publish("bom", b"without", qos=qos)
    await marked.expect_silence()
    await plain.expect_publish()
    await plain.publish(topic, b"with", qos=qos)
    await plain.expect_silence()
    received = await marked.expect_publish()
    assert (received.topic, received.payload) == (topic, b"with")
    assert prefixed(topic) in marked.last_bytes


@pytest.mark.normative("MQTT-1.5.7-1")
@pytest.mark.parametrize("part", ["name", "value"])
@pytest.mark.parametrize("string", [*ILL_FORMED.values(), *NUL.values()], ids=[*ILL_FORMED, *NUL])
async def test_a_bad_string_in_a_user_property_closes_the_connection(
    connect: Connector, string: bytes, part: str
) -> None:
    bad = pair(string, "v") if part == "name" else pair("n", string)
    for first, body in (
        (0x30, prefixed("a") + varint(len(bad)) + bad),
        (0x82, b"\x00\x01" + varint(len(bad)) + bad + prefixed("a") + b"\x00"),
        (0xA2, b"\x00\x01" + varint(len(bad)) + bad + prefixed("a")),
        (0xE0, b"\x00" + varint(len(bad)) + bad),
    ):
        client = await connect()
        client.send_bytes(packet(first, body))
        await expect_disconnect(client, MALFORMED)


@pytest.mark.normative("MQTT-1.5.5-1")
@pytest.mark.parametrize(
    "data",
    [
        b"\xc0\x80\x00",
        b"\xc0\x80\x80\x00",
        b"\xc0\x80\x80\x80\x00",
        b"\x30\x84\x00" + prefixed("a") + b"\x00",
        b"\x30\x84\x80\x80\x00" + prefixed("a") + b"\x00",
        packet(0x30, prefixed("a") + b"\x80\x00"),
        packet(0x32, prefixed("a") + b"\x00\x01\x80\x80\x00"),
        packet(0x82, b"\x00\x01\x80\x00" + prefixed("a") + b"\x00"),
        subscribe_packet("a", properties=b"\x0b\x81\x00"),
        publish_packet("a", properties=b"\xa6\x00" + pair("n", "v")[1:]),
    ],
    ids=[
        "PINGREQ, two bytes",
        "PINGREQ, three bytes",
        "PINGREQ, four bytes",
        "PUBLISH, two bytes",
        "PUBLISH, four bytes",
        "property length of PUBLISH",
        "property length of PUBLISH, QoS 1",
        "property length of SUBSCRIBE",
        "Subscription Identifier",
        "property identifier",
    ],
)
async def test_a_longer_encoding_than_needed_closes_the_connection(connect: Connector, data: bytes) -> None:
    client = await connect()
    # A route that is known is what the short paths of a broker are for; they must look as closely.
    await client.publish("a", b"known")
    client.send_bytes(data)
    await expect_disconnect(client, MALFORMED)


@pytest.mark.normative("MQTT-1.5.5-1")
async def test_a_remaining_length_of_five_bytes_closes_the_connection(connect: Connector) -> None:
    client = await connect()
    client.send_bytes(b"\x30\xff\xff\xff\xff\x01")
    await expect_disconnect(client, MALFORMED, ReasonCode.PACKET_TOO_LARGE)


@pytest.mark.normative("MQTT-1.5.5-1")
@pytest.mark.parametrize("qos", [0, 1], ids="QoS {}".format)
async def test_lengths_that_the_broker_sends_are_of_the_shortest_form(connect: Connector, qos: int) -> None:
    client = await connect()
    await client.subscribe("a", qos=qos, properties=Properties(subscription_identifiers=(128,)))
    overhead = len(prefixed("a")) + (2 if qos else 0)
    for size in (0, 100, 127, 128, 129, 16_383, 16_384, 16_390, 2_097_151, 2_097_152):
        properties = Properties(user_properties=(("n", "v" * min(size, 200)),))
        await client.publish("a", b"x" * size, qos=qos, properties=properties)
        received = await client.expect_publish()
        assert len(received.payload) == size
        # The decoder reads strictly, so what it has taken is of the shortest form; this looks at the bytes again.
        after = client.last_bytes[1:]
        length = next(n for n in range(1, 5) if after[n - 1] < 0x80)
        assert after[:length] == varint(len(after) - length)
        listed = pair("n", "v" * min(size, 200)) + b"\x0b\x80\x01"
        body = after[length:]
        assert body[overhead:] == varint(len(listed)) + listed + b"x" * size


@pytest.mark.normative("MQTT-1.5.5-1")
async def test_the_lengths_of_acknowledgements_are_of_the_shortest_form(connect: Connector) -> None:
    client = await connect()
    await client.subscribe(*(f"a/{number}" for number in range(150)))
    raw = client.last_bytes
    assert raw[:3] == b"\x90" + varint(153)
    assert len(raw) == 3 + 153
    await client.unsubscribe(*(f"a/{number}" for number in range(150)))
    assert client.last_bytes[:3] == b"\xb0" + varint(153)
    client.send(Publish("a", b"x", 1, packet_id=7))
    await client.receive()
    assert client.last_bytes[:2] == b"\x40\x03"
