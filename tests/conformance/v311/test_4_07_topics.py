"""Section 4.7: topic names and topic filters."""

from __future__ import annotations

import unicodedata

import pytest

from mqttbroker.protocol import Publish, SubAck
from mqttbroker.testing.running import RunningBroker
from tests.conformance.conftest import Connector
from tests.conformance.v311.handmade import (
    expect_end,
    expect_rejected,
    publish_packet,
    subscribe_packet,
    unsubscribe_packet,
)
from tests.support.raw import ConnectionClosed, RawClient

TOPICS = ["a", "a/", "/a", "/", "//", "a/b", "a/b/c", "a//c", "b/b", "/a/b", "a/-b"]
MATCHES = {
    "#": TOPICS,
    "a/#": ["a", "a/", "a/b", "a/b/c", "a//c", "a/-b"],
    "/#": ["/a", "/", "//", "/a/b"],
    "a/b/#": ["a/b", "a/b/c"],
    "+": ["a"],
    "+/a": ["/a"],
    "/+": ["/a", "/"],
    "+/+": ["a/", "/a", "/", "a/b", "b/b", "a/-b"],
    "a/+": ["a/", "a/b", "a/-b"],
    "a/+/c": ["a/b/c", "a//c"],
    "+/b": ["a/b", "b/b"],
    "+/b/#": ["a/b", "a/b/c", "b/b"],
    "+/+/+": ["//", "a/b/c", "a//c", "/a/b"],
    "a/b": ["a/b"],
    "a/": ["a/"],
    "A/b": [],
}


@pytest.mark.normative("MQTT-4.7.1-2", "MQTT-4.7.1-3", "MQTT-3.3.2-3")
@pytest.mark.parametrize("topic_filter", MATCHES)
async def test_a_filter_matches_these_topics_and_no_others(connect: Connector, topic_filter: str) -> None:
    publisher = await connect()
    for topic in TOPICS:
        await publisher.publish(topic, b"retained", retain=True)
    client = await connect()
    await client.subscribe(topic_filter)
    retained = [packet.topic for packet in await client.drain() if isinstance(packet, Publish)]
    assert sorted(retained) == sorted(MATCHES[topic_filter])
    for _ in range(2):
        for topic in TOPICS:
            await publisher.publish(topic, b"live")
    live = [packet.topic for packet in await client.drain() if isinstance(packet, Publish)]
    assert live == MATCHES[topic_filter] * 2


@pytest.mark.normative("MQTT-4.7.1-2", "MQTT-4.7.1-3")
@pytest.mark.parametrize(
    "topic_filter", ["a#", "#a", "a/b#", "a/#b", "#/a", "a/#/b", "##", "#/#", "a+", "+a", "a/b+/c", "a/+b", "++", "+#"]
)
async def test_a_wildcard_in_the_wrong_place_is_refused(connect: Connector, topic_filter: str) -> None:
    client = await connect("c", clean_start=False)
    client.send_bytes(subscribe_packet(1, (topic_filter, 1)))
    try:
        await client.expect(SubAck)
        assert client.last_bytes[4:] == b"\x80"
    except ConnectionClosed:
        client = await connect("c", clean_start=False)
    publisher = await connect()
    for topic in ("a", "b", "a/b", "a/b/c", "ab", "a/bb"):
        await publisher.publish(topic, b"x", qos=1)
    await client.expect_silence()


@pytest.mark.normative("MQTT-4.7.2-1")
@pytest.mark.parametrize("qos", [0, 1, 2], ids="QoS {}".format)
@pytest.mark.parametrize("retain", [False, True], ids=["live", "retained"])
async def test_wildcards_at_the_beginning_do_not_match_a_dollar(
    connect: Connector, broker: RunningBroker, qos: int, retain: bool
) -> None:
    deaf = ["#", "+", "+/x", "+/#", "+/x/y", "+/+", "+/+/#"]
    hearing = {
        "$SYS/#": ["$SYS", "$SYS/x", "$SYS/x/y"],
        "$SYS/+": ["$SYS/x"],
        "$SYS/x": ["$SYS/x"],
        "$SYS/+/y": ["$SYS/x/y"],
        "$SYS": ["$SYS"],
        "$t/#": ["$t/x"],
        "$/x": ["$/x"],
    }
    clients = {topic_filter: await connect() for topic_filter in (*deaf, *hearing)}
    if not retain:
        for topic_filter, client in clients.items():
            await client.subscribe(topic_filter, qos=2)
    for _ in range(2):
        for topic in ("$SYS", "$SYS/x", "$SYS/x/y", "$t/x", "$/x"):
            broker.publish(topic, b"x", qos=qos, retain=retain)
    if retain:
        for topic_filter, client in clients.items():
            await client.subscribe(topic_filter, qos=2)
    for topic_filter in deaf:
        await clients[topic_filter].expect_silence()
    for topic_filter, topics in hearing.items():
        received = [packet.topic for packet in await clients[topic_filter].drain() if isinstance(packet, Publish)]
        assert sorted(received) == sorted(topics * (1 if retain else 2))


@pytest.mark.normative("MQTT-4.7.2-1")
async def test_a_dollar_further_on_is_an_ordinary_character(connect: Connector, watcher: RawClient) -> None:
    client, publisher = await connect(), await connect()
    await client.subscribe("+/+", qos=1)
    for topic in ("a/$SYS", "/$t", "a$/b"):
        await publisher.publish(topic, b"x", qos=1)
        assert (await client.expect_publish()).topic == topic
        assert (await watcher.expect_publish()).topic == topic


@pytest.mark.normative("MQTT-4.7.3-1")
@pytest.mark.parametrize(
    "data",
    [
        publish_packet("", b"x"),
        publish_packet("", b"x", first=0x32, packet_id=1),
        publish_packet("", b"x", first=0x35, packet_id=1),
        subscribe_packet(1, ("", 0)),
        subscribe_packet(1, ("a", 0), ("", 0)),
        unsubscribe_packet(1, ""),
        unsubscribe_packet(1, "a", ""),
    ],
    ids=[
        "PUBLISH",
        "PUBLISH at QoS 1",
        "PUBLISH at QoS 2, retained",
        "SUBSCRIBE",
        "SUBSCRIBE, second filter",
        "UNSUBSCRIBE",
        "UNSUBSCRIBE, second filter",
    ],
)
async def test_an_empty_topic_ends_the_connection(connect: Connector, watcher: RawClient, data: bytes) -> None:
    await expect_rejected(await connect(), data)
    await watcher.expect_silence()


LONGEST = ["a" * 65_535, "/" * 65_534 + "a", "€" * 21_845, "a/" * 32_767 + "a"]


@pytest.mark.normative("MQTT-4.7.3-3")
@pytest.mark.parametrize(
    "broker",
    [{}, {"max_topic_length": 65_535, "max_topic_levels": 65_535}],
    indirect=True,
    ids=["default limits", "no limits"],
)
@pytest.mark.parametrize("topic", LONGEST, ids=["one level", "empty levels", "three bytes each", "many levels"])
async def test_the_longest_topic_is_served_or_refused(connect: Connector, broker: RunningBroker, topic: str) -> None:
    unlimited = broker.config.limits.max_topic_length == 65_535 and broker.config.limits.max_topic_levels == 65_535
    client, publisher = await connect(), await connect()
    client.send_bytes(subscribe_packet(1, (topic, 1)))
    await client.expect(SubAck)
    assert client.last_bytes[4:] == (b"\x01" if unlimited else b"\x80")
    for qos in (1, 0):
        publisher.send_bytes(publish_packet(topic, b"x", first=0x31 | qos << 1, packet_id=1 if qos else None))
        if unlimited:
            await publisher.drain()
            assert (await client.expect_publish()).topic == topic
        else:
            await expect_end(publisher)
            publisher = await connect()
    if unlimited:
        late = await connect()
        await late.subscribe(topic)
        assert (await late.expect_publish()).topic == topic
    await client.unsubscribe(topic)
    await publisher.publish("a", b"x", qos=1)
    await client.expect_silence()


NFC = unicodedata.normalize("NFC", "café")
NFD = unicodedata.normalize("NFD", "café")
LOOKALIKES = [
    NFC,
    NFD,
    NFC.upper(),
    NFC + "/",
    "/" + NFC,
    NFC + " ",
    " " + NFC,
    NFC + "\u200b",
    "caf\u0435",
    "\uff41",
    "a",
    "A",
    "ﬁ",
    "fi",
    "\u212b",
    "\u00c5",
    "A\u030a",
    "a/../b",
    "b",
    "a/./b",
    "a//b",
    "a/b",
    "%61",
    "a\\b",
    "a*",
    "a?",
    "\ufffd",
    "\U000e0061",
]


@pytest.mark.normative("MQTT-4.7.3-4")
async def test_topics_that_only_look_alike_are_different(connect: Connector) -> None:
    clients = [await connect() for _ in LOOKALIKES]
    for client, topic in zip(clients, LOOKALIKES, strict=True):
        await client.subscribe(topic)
    publisher = await connect()
    for _ in range(2):
        for topic in LOOKALIKES:
            await publisher.publish(topic, topic.encode(), retain=True)
    for client, topic in zip(clients, LOOKALIKES, strict=True):
        for _ in range(2):
            await client.expect(Publish)
            assert client.last_bytes == publish_packet(topic, topic.encode())
        await client.expect_silence()
    late = await connect()
    await late.subscribe("#")
    retained = {packet.topic: packet.payload for packet in await late.drain() if isinstance(packet, Publish)}
    assert retained == {topic: topic.encode() for topic in LOOKALIKES}
