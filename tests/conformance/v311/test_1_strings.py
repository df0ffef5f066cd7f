"""Section 1.5.3: UTF-8 encoded strings."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mqttbroker.protocol import ProtocolVersion, Publish
from tests.conformance.conftest import Connector, Opener
from tests.conformance.v311.handmade import (
    ILL_FORMED,
    connect_packet,
    expect_end,
    expect_rejected,
    field,
    publish_packet,
    subscribe_packet,
    unsubscribe_packet,
)
from tests.support.raw import RawClient

IN_CONNECT: dict[str, Callable[[bytes], bytes]] = {
    "client identifier": lambda text: connect_packet(field(text)),
    "will topic": lambda text: connect_packet(field("c"), field(text), field("bye"), flags=0x06),
    "user name": lambda text: connect_packet(field("c"), field(text), flags=0x82),
}
LATER: dict[str, Callable[[bytes], bytes]] = {
    "topic name": lambda text: publish_packet(text, b"x"),
    "topic name at QoS 1": lambda text: publish_packet(text, b"x", first=0x32, packet_id=1),
    "topic name at QoS 2": lambda text: publish_packet(text, b"x", first=0x34, packet_id=1),
    "topic filter": lambda text: subscribe_packet(1, (text, 0)),
    "second topic filter": lambda text: subscribe_packet(1, ("a", 0), (text, 0)),
    "topic filter of UNSUBSCRIBE": lambda text: unsubscribe_packet(1, text),
}


@pytest.mark.normative("MQTT-1.5.3-1", "MQTT-3.1.3-4", "MQTT-3.1.3-10", "MQTT-3.1.3-11")
@pytest.mark.parametrize("bad", ILL_FORMED.values(), ids=ILL_FORMED)
@pytest.mark.parametrize("build", IN_CONNECT.values(), ids=IN_CONNECT)
async def test_ill_formed_utf8_in_connect_ends_the_connection(
    open_client: Opener, watcher: RawClient, build: Callable[[bytes], bytes], bad: bytes
) -> None:
    await expect_rejected(await open_client(), build(bad))
    await watcher.expect_silence()


@pytest.mark.normative("MQTT-1.5.3-1", "MQTT-3.3.2-1", "MQTT-3.8.3-1", "MQTT-3.10.3-1")
@pytest.mark.parametrize("bad", ILL_FORMED.values(), ids=ILL_FORMED)
@pytest.mark.parametrize("build", LATER.values(), ids=LATER)
async def test_ill_formed_utf8_in_a_topic_ends_the_connection(
    connect: Connector, watcher: RawClient, build: Callable[[bytes], bytes], bad: bytes
) -> None:
    await expect_rejected(await connect(), build(bad))
    await watcher.expect_silence()


@pytest.mark.normative("MQTT-1.5.3-2", "MQTT-4.7.3-2")
@pytest.mark.parametrize("text", [b"\0", b"a\0", b"a/\0/b"], ids=["alone", "at the end", "as a level"])
@pytest.mark.parametrize("build", LATER.values(), ids=LATER)
async def test_the_null_character_in_a_topic_ends_the_connection(
    connect: Connector, watcher: RawClient, build: Callable[[bytes], bytes], text: bytes
) -> None:
    await expect_rejected(await connect(), build(text))
    await watcher.expect_silence()


@pytest.mark.normative("MQTT-1.5.3-2", "MQTT-4.7.3-2")
@pytest.mark.parametrize("build", IN_CONNECT.values(), ids=IN_CONNECT)
async def test_the_null_character_in_connect_ends_the_connection(
    open_client: Opener, build: Callable[[bytes], bytes]
) -> None:
    await expect_rejected(await open_client(), build(b"a\0b"))


BOM = b"\xef\xbb\xbf"


@pytest.mark.normative("MQTT-1.5.3-3")
@pytest.mark.parametrize("topic", [BOM + b"a", b"a" + BOM, b"a/" + BOM + b"/b"], ids=["first", "last", "a level"])
async def test_a_byte_order_mark_in_a_topic_is_a_character(connect: Connector, topic: bytes) -> None:
    marked, plain = await connect(), await connect()
    marked.send_bytes(subscribe_packet(1, (topic, 0)))
    await marked.ping()
    await marked.drain()
    plain.send_bytes(subscribe_packet(1, (topic.replace(BOM, b""), 0)))
    await plain.ping()
    await plain.drain()

    message = publish_packet(topic, b"x")
    publisher = await connect()
    for _ in range(2):  # The second one meets a route that is known.
        publisher.send_bytes(message)
        await publisher.ping()
        await marked.expect(Publish)
        assert marked.last_bytes == message
    await plain.expect_silence()


@pytest.mark.normative("MQTT-1.5.3-3")
async def test_a_byte_order_mark_in_a_client_identifier_is_a_character(open_client: Opener) -> None:
    with_mark, without = await open_client(), await open_client()
    assert (await with_mark.connect("\ufeffc", version=ProtocolVersion.V311)).reason_code == 0
    assert (await without.connect("c", version=ProtocolVersion.V311)).reason_code == 0
    await with_mark.ping()  # Nobody has taken its place.


@pytest.mark.normative("MQTT-1.5.3-1", "MQTT-1.5.3-2")
async def test_every_other_character_passes_unchanged(connect: Connector) -> None:
    topic = "\x01\x1f\x7f\x80\xa0ß€\u202e\ud7ff\ue000\ufffd\ufffe\uffff\U00010000\U0010ffff"
    client = await connect()
    await client.subscribe(topic, qos=1)
    await client.publish(topic, b"x", qos=1)
    assert (await client.expect_publish()).topic == topic
    await client.disconnect()
    await expect_end(client)
