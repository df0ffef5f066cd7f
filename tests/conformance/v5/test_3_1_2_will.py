"""MQTT 5.0 sections 3.1.2.5 to 3.1.2.7 and 3.1.3.2: when a will is published, and what is published."""

from __future__ import annotations

import pytest

from mqttbroker.protocol import Properties, Publish, ReasonCode, Will
from mqttbroker.testing.running import RunningBroker
from tests.conformance.conftest import Connector, Opener
from tests.conformance.wire import PINGREQ, connect_packet, cut, expect_disconnect, expect_refusal, prefixed, varint

KEPT = Properties(session_expiry_interval=3_600)


def will(delay: int | None = None, payload: bytes = b"gone", qos: int = 1, retain: bool = False) -> Will:
    """A will on the topic ``will``."""
    return Will("will", payload, qos, retain, Properties(will_delay_interval=delay))


@pytest.mark.normative("MQTT-3.1.2-7", "MQTT-3.1.2-8")
@pytest.mark.parametrize("how", ["cut", "DISCONNECT 0x04", "DISCONNECT 0x80", "error", "keep alive", "taken over"])
@pytest.mark.parametrize("qos", [0, 1, 2], ids="QoS {}".format)
async def test_a_will_is_published_however_the_connection_ends(
    connect: Connector, broker: RunningBroker, how: str, qos: int
) -> None:
    watcher = await connect()
    await watcher.subscribe("will", qos=2)
    client = await connect("c", keep_alive=10, will=will(qos=qos))
    await watcher.expect_silence()
    match how:
        case "cut":
            await cut(client)
        case "DISCONNECT 0x04":
            assert await client.disconnect(ReasonCode.DISCONNECT_WITH_WILL_MESSAGE) == []
        case "DISCONNECT 0x80":
            assert await client.disconnect(ReasonCode.UNSPECIFIED_ERROR) == []
        case "error":
            client.send_bytes(b"\x00\x00")
            await expect_disconnect(client, ReasonCode.MALFORMED_PACKET)
        case "keep alive":
            broker.advance(17)
            await expect_disconnect(client, ReasonCode.KEEP_ALIVE_TIMEOUT)
        case _:
            await connect("c")
    published = await watcher.expect_publish()
    assert (published.topic, published.payload, published.qos, published.retain) == ("will", b"gone", qos, False)
    await watcher.expect_silence()


@pytest.mark.normative("MQTT-3.1.2-8", "MQTT-3.1.2-10")
@pytest.mark.parametrize("delay", [None, 5], ids=["at once", "delayed"])
async def test_a_normal_disconnect_takes_the_will_back(
    connect: Connector, broker: RunningBroker, delay: int | None
) -> None:
    watcher = await connect()
    await watcher.subscribe("will")
    client = await connect("c", will=will(delay), properties=KEPT)
    await client.disconnect()
    await watcher.expect_silence()
    # Neither the delay nor the next connection nor the end of the session brings it back.
    broker.advance(10)
    await cut(await connect("c", clean_start=False, properties=Properties(session_expiry_interval=5)))
    broker.advance(10)
    await watcher.expect_silence()


@pytest.mark.normative("MQTT-3.1.2-8")
@pytest.mark.parametrize("expiry", [3_600, 0xFFFF_FFFF], ids=["an hour", "for ever"])
async def test_a_delayed_will_waits_for_its_delay(connect: Connector, broker: RunningBroker, expiry: int) -> None:
    watcher = await connect()
    await watcher.subscribe("will")
    await cut(await connect("c", will=will(100), properties=Properties(session_expiry_interval=expiry)))
    broker.advance(98)
    await watcher.expect_silence()
    broker.advance(3)
    assert (await watcher.expect_publish()).payload == b"gone"
    broker.advance(10_000)
    await watcher.expect_silence()


@pytest.mark.normative("MQTT-3.1.2-8")
@pytest.mark.parametrize("expiry", [0, 20], ids=["with the connection", "later"])
async def test_a_delayed_will_goes_out_when_the_session_ends(
    connect: Connector, broker: RunningBroker, expiry: int
) -> None:
    watcher = await connect()
    await watcher.subscribe("will")
    await cut(await connect("c", will=will(100), properties=Properties(session_expiry_interval=expiry)))
    if expiry:
        broker.advance(18)
        await watcher.expect_silence()
        broker.advance(3)
    assert (await watcher.expect_publish()).payload == b"gone"
    broker.advance(200)
    await watcher.expect_silence()


@pytest.mark.normative("MQTT-3.1.2-8")
async def test_a_clean_start_ends_the_session_and_publishes_its_delayed_will(connect: Connector) -> None:
    watcher = await connect()
    await watcher.subscribe("will")
    await cut(await connect("c", will=will(100), properties=KEPT))
    await watcher.expect_silence()
    await connect("c", clean_start=True)
    assert (await watcher.expect_publish()).payload == b"gone"


@pytest.mark.normative("MQTT-3.1.3-9", "MQTT-3.1.2-8")
@pytest.mark.parametrize("how", ["cut", "taken over"])
async def test_a_reconnect_within_the_delay_suppresses_the_will(
    connect: Connector, broker: RunningBroker, how: str
) -> None:
    watcher = await connect()
    await watcher.subscribe("will")
    client = await connect("c", will=will(100), properties=KEPT)
    if how == "cut":
        await cut(client)
        broker.advance(90)
    client = await connect("c", clean_start=False, properties=KEPT)
    assert connect.acks[client].session_present
    broker.advance(200)
    await watcher.expect_silence()
    # The new connection brought no will, so there is none any more.
    await cut(client)
    broker.advance(5_000)
    await watcher.expect_silence()


@pytest.mark.normative("MQTT-3.1.2-10")
async def test_a_will_is_published_once(connect: Connector, broker: RunningBroker) -> None:
    watcher = await connect()
    await watcher.subscribe("will")
    await cut(await connect("c", will=will(payload=b"first"), properties=KEPT))
    assert (await watcher.expect_publish()).payload == b"first"
    await cut(await connect("c", clean_start=False, properties=KEPT))
    await connect("c", clean_start=True)
    broker.advance(10_000)
    await watcher.expect_silence()


@pytest.mark.normative("MQTT-3.1.2-7")
async def test_the_will_of_the_latest_connection_counts(connect: Connector, broker: RunningBroker) -> None:
    watcher = await connect()
    await watcher.subscribe("will")
    old = await connect("c", will=will(100, b"old"), properties=KEPT)
    await cut(old)
    client = await connect("c", clean_start=False, will=will(payload=b"new"), properties=KEPT)
    # The delay of the old will says nothing about the new one.
    broker.advance(200)
    await watcher.expect_silence()
    await cut(client)
    assert (await watcher.expect_publish()).payload == b"new"
    await watcher.expect_silence()


@pytest.mark.normative("MQTT-3.1.2-14", "MQTT-3.1.2-15")
@pytest.mark.parametrize("retain", [False, True], ids=["not retained", "retained"])
async def test_will_retain_decides_whether_the_will_is_kept(connect: Connector, retain: bool) -> None:
    watcher = await connect()
    await watcher.subscribe("will", retain_as_published=True)
    await watcher.publish("will", b"before", retain=True)
    await watcher.expect_publish()
    await cut(await connect(will=will(retain=retain)))
    live = await watcher.expect_publish()
    assert (live.payload, live.retain) == (b"gone", retain)
    late = await connect()
    await late.subscribe("will")
    kept = await late.expect_publish()
    assert (kept.payload, kept.retain) == (b"gone" if retain else b"before", True)
    await late.expect_silence()


@pytest.mark.normative("MQTT-3.1.2-14")
async def test_a_will_that_is_not_retained_is_not_for_late_subscribers(connect: Connector) -> None:
    await cut(await connect(will=will(retain=False)))
    late = await connect()
    await late.subscribe("#")
    await late.expect_silence()


@pytest.mark.normative("MQTT-3.1.3-10", "MQTT-3.1.2-7")
async def test_a_will_is_published_with_its_properties(connect: Connector, broker: RunningBroker) -> None:
    pairs = (("z", "1"), ("a", "2"), ("z", "1"), ("m", ""), ("", "\u2764"), ("a", "0"))
    watcher = await connect()
    await watcher.subscribe("will", qos=1)
    message = Properties(
        will_delay_interval=50,
        payload_format_indicator=1,
        message_expiry_interval=300,
        content_type="text/plain",
        response_topic="answer/here",
        correlation_data=b"\x00\xff",
        user_properties=pairs,
    )
    await cut(await connect(will=Will("will", b"gone", 1, False, message), properties=KEPT))
    broker.advance(52)
    published = await watcher.expect(Publish)
    assert published.properties == Properties(
        payload_format_indicator=1,
        message_expiry_interval=300,  # It begins when the will is published.
        content_type="text/plain",
        response_topic="answer/here",
        correlation_data=b"\x00\xff",
        user_properties=pairs,
    )


@pytest.mark.normative("MQTT-3.1.3-11", "MQTT-3.1.4-1")
@pytest.mark.parametrize("topic", [b"a\xff", b"\xed\xa0\x80", b"a\x00b"], ids=["ill-formed", "surrogate", "nul"])
async def test_a_will_topic_that_is_no_string_is_refused(open_client: Opener, topic: bytes) -> None:
    client = await open_client()
    client.send_bytes(connect_packet(prefixed("c"), b"\x00", prefixed(topic), prefixed("x"), flags=0x06) + PINGREQ)
    await expect_refusal(client, ReasonCode.MALFORMED_PACKET)


@pytest.mark.normative("MQTT-3.1.3-11", "MQTT-3.3.2-2")
@pytest.mark.parametrize("topic", ["", "a/#", "+", "a/+/b"])
async def test_a_will_topic_that_is_no_topic_name_is_refused(open_client: Opener, topic: str) -> None:
    client = await open_client()
    client.send_bytes(connect_packet(prefixed("c"), b"\x00", prefixed(topic), prefixed("x"), flags=0x06))
    await expect_refusal(client, ReasonCode.TOPIC_NAME_INVALID)


@pytest.mark.normative("MQTT-3.3.2-14")
@pytest.mark.parametrize("topic", ["a/#", "+"])
async def test_a_will_with_wildcards_in_its_response_topic_is_refused(open_client: Opener, topic: str) -> None:
    client = await open_client()
    properties = b"\x08" + prefixed(topic)
    fields = prefixed("c"), varint(len(properties)) + properties, prefixed("will"), prefixed("x")
    client.send_bytes(connect_packet(*fields, flags=0x06))
    await expect_refusal(client, ReasonCode.PROTOCOL_ERROR)
