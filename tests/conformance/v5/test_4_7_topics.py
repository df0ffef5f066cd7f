"""MQTT 5.0 section 4.7: topic names and topic filters."""

from __future__ import annotations

import pytest

from mqttbroker.protocol import Publish, ReasonCode
from mqttbroker.testing.plugin import BrokerFactory
from mqttbroker.testing.running import RunningBroker
from tests.conformance.conftest import Connector
from tests.conformance.wire import (
    MALFORMED,
    PINGREQ,
    expect_disconnect,
    packet,
    prefixed,
    publish_packet,
    subscribe_packet,
)

INVALID = ReasonCode.TOPIC_FILTER_INVALID

BAD_FILTERS = [
    "a#", "#a", "##", "#/", "#/a", "a/#/b", "a/#/", "a/#b", "a/b#", "+#", "#+", "/#/", "a/##",
    "a+", "+a", "++", "a/+b", "a/b+", "a+/b", "a/++/b", "+/a+", "a/+#", "+b/#",
]  # fmt: skip
GOOD_FILTERS = [
    "#",
    "+",
    "/",
    "//",
    "/#",
    "/+",
    "+/",
    "+/+",
    "+/#",
    "a/#",
    "a/+",
    "a/+/b",
    "+/a/#",
    " ",
    "a//b",
    "/+/",
    "$a/#",
]

MATCHES: dict[str, tuple[list[str], list[str]]] = {
    "sport/tennis/player1/#": (
        ["sport/tennis/player1", "sport/tennis/player1/ranking", "sport/tennis/player1/score/wimbledon"],
        ["sport/tennis", "sport/tennis/player10", "sport/tennis/player2/x", "Sport/tennis/player1"],
    ),
    "sport/#": (["sport", "sport/", "sport/a/b/c/d"], ["sports", "spor", "/sport"]),
    "#": (["a", "/", "//", "a/b/c", " "], []),
    "sport/tennis/+": (["sport/tennis/player1", "sport/tennis/"], ["sport/tennis", "sport/tennis/player1/ranking"]),
    "sport/+": (["sport/", "sport/a"], ["sport", "sport/a/", "sports/a"]),
    "+/+": (["/finance", "a/b", "/"], ["finance", "a/b/c", "//"]),
    "/+": (["/finance", "/"], ["finance", "a/finance", "//"]),
    "+": (["finance", "a b"], ["/finance", "a/", "/"]),
    "+/tennis/#": (["a/tennis", "a/tennis/b/c", "/tennis"], ["tennis", "a/b/tennis"]),
    "sport/+/player1": (["sport/tennis/player1", "sport//player1"], ["sport/player1", "sport/a/b/player1"]),
    "/": (["/"], ["a", "//", "a/", "/a"]),
    "a/": (["a/"], ["a", "a//", "/a/"]),
    "a//b": (["a//b"], ["a/b", "a///b", "a/x/b"]),
    "a/+/+/#": (["a/b/c", "a///d/e", "a//"], ["a/b", "a/"]),
}


@pytest.mark.normative("MQTT-4.7.1-1", "MQTT-4.7.1-2")
async def test_wildcards_stand_alone_and_the_number_sign_last(connect: Connector) -> None:
    client = await connect()
    for shared in ("", "$share/g/"):
        for each in BAD_FILTERS:
            assert (await client.subscribe(shared + each)).reason_codes == (INVALID,), each
            assert (await client.unsubscribe(shared + each)).reason_codes == (INVALID,), each
        for each in GOOD_FILTERS:
            assert (await client.subscribe(shared + each)).reason_codes == (0,), each
    await client.expect_silence()


@pytest.mark.normative("MQTT-4.7.1-1", "MQTT-4.7.1-2", "MQTT-4.7.3-4")
@pytest.mark.parametrize("topic_filter", MATCHES)
@pytest.mark.parametrize("share", ["", "$share/g/"], ids=["own", "shared"])
async def test_what_a_filter_matches(connect: Connector, topic_filter: str, share: str) -> None:
    publisher, client = await connect(), await connect()
    matching, others = MATCHES[topic_filter]
    for topic in (*matching, *others):
        await publisher.publish(topic, b"kept", retain=True)
    await client.subscribe(share + topic_filter)
    retained = [each.topic for each in await client.drain() if isinstance(each, Publish)]
    assert sorted(retained) == ([] if share else sorted(matching))
    for _ in range(2):  # The second time the topics are known.
        for topic in (*matching, *others):
            await publisher.publish(topic, b"x")
        assert [each.topic for each in await client.drain() if isinstance(each, Publish)] == matching


@pytest.mark.normative("MQTT-4.7.0-1")
@pytest.mark.parametrize("topic", ["#", "+", "a/#", "a/+", "a+", "a#b", "+/a"])
async def test_a_topic_name_has_no_wildcards(connect: Connector, topic: str) -> None:
    watcher = await connect()
    await watcher.subscribe("#")
    for first, number in ((0x30, None), (0x31, None), (0x32, 1), (0x34, 1)):
        client = await connect()
        client.send_bytes(publish_packet(topic, b"x", first=first, packet_id=number) + PINGREQ)
        await expect_disconnect(client, ReasonCode.TOPIC_NAME_INVALID)
    # With an alias it is the same.
    client = await connect()
    client.send_bytes(publish_packet(topic, b"x", properties=b"\x23\x00\x01"))
    await expect_disconnect(client, ReasonCode.TOPIC_NAME_INVALID)
    await watcher.expect_silence()


@pytest.mark.normative("MQTT-4.7.2-1")
@pytest.mark.parametrize("retained", [False, True], ids=["live", "retained"])
async def test_wildcards_in_front_do_not_match_a_dollar_sign(
    connect: Connector, broker: RunningBroker, retained: bool
) -> None:
    topics = ["$SYS/uptime", "$SYS", "$other/a", "$/a", "$"]
    deaf = ["#", "+", "+/uptime", "+/#", "+/+", "+/a", "$share/g/#", "$share/g/+/#", "/#"]
    hearing = {
        "$SYS/#": topics[:2],
        "$SYS/+": topics[:1],
        "$SYS/uptime": topics[:1],
        "$other/#": topics[2:3],
        "$/+": topics[3:4],
        "$": topics[4:],
    }
    publisher, client, listener = await connect(), await connect(), await connect()
    if not retained:
        await client.subscribe(*deaf)
        await listener.subscribe(*hearing)
    for topic in topics:
        broker.publish(topic, b"x", retain=retained)  # A client could not.
    if retained:
        await client.subscribe(*deaf)
        await listener.subscribe(*hearing)
    await client.expect_silence()
    found = sorted({each.topic for each in await listener.drain() if isinstance(each, Publish)})
    assert found == sorted(topics)
    # A dollar sign further back means nothing.
    await publisher.publish("a/$SYS", b"x")
    assert any(isinstance(each, Publish) and each.topic == "a/$SYS" for each in await client.drain())


@pytest.mark.normative("MQTT-4.7.3-1")
async def test_an_empty_name_or_filter_is_refused(connect: Connector) -> None:
    for data in (publish_packet(""), publish_packet("", first=0x32, packet_id=1), publish_packet("", b"x", first=0x31)):
        client = await connect()
        client.send_bytes(data + PINGREQ)
        await expect_disconnect(client, ReasonCode.PROTOCOL_ERROR)
    client = await connect()
    assert (await client.subscribe("", "a")).reason_codes == (INVALID, 0)
    assert (await client.unsubscribe("", "a")).reason_codes == (INVALID, 0)
    # An empty name is allowed where an alias stands for it.
    await client.subscribe("a")
    client.send_bytes(
        publish_packet("a", b"1", properties=b"\x23\x00\x01") + publish_packet("", b"2", properties=b"\x23\x00\x01")
    )
    assert [((await client.expect_publish()).topic, client.last_bytes[-1:]) for _ in range(2)] == [
        ("a", b"1"),
        ("a", b"2"),
    ]


@pytest.mark.normative("MQTT-4.7.3-2")
async def test_a_null_character_is_malformed(connect: Connector) -> None:
    for text in (b"\x00", b"a\x00", b"\x00a", b"a/\x00/b"):
        for data in (
            publish_packet(text),
            subscribe_packet(text),
            packet(0xA2, b"\x00\x01\x00" + prefixed(text)),
            publish_packet("a", properties=b"\x08" + prefixed(text)),
        ):
            client = await connect()
            client.send_bytes(data + PINGREQ)
            await expect_disconnect(client, MALFORMED)


@pytest.mark.normative("MQTT-4.7.3-3")
async def test_the_longest_name_and_filter(connect: Connector, mqtt_broker_factory: BrokerFactory) -> None:
    broker = mqtt_broker_factory(max_topic_length=65_535, max_topic_levels=65_535)
    publisher, client = await connect(broker=broker), await connect(broker=broker)
    for topic in ("x" * 65_535, "/" * 65_534, "\u00e9" * 32_767 + "x", "a/" * 32_767 + "b"):
        await client.subscribe(topic, qos=1)
        await publisher.publish(topic, b"x", qos=1, retain=True)
        assert (await client.expect_publish()).topic == topic
        assert (await client.subscribe("#", qos=1)).reason_codes == (1,)
        retained = await client.expect_publish()
        assert (retained.topic, retained.retain) == (topic, True)
        await client.unsubscribe(topic, "#")
        await client.expect_silence()
        await publisher.publish(topic, b"", retain=True)


@pytest.mark.normative("MQTT-4.7.3-3")
async def test_names_and_filters_longer_than_the_broker_takes(connect: Connector) -> None:
    client = await connect()
    for topic in ("x" * 65_535, "/" * 65_534, "x" * 4_097, "/" * 128):
        assert (await client.subscribe(topic, "a")).reason_codes == (INVALID, 0)
        other = await connect()
        other.send_bytes(publish_packet(topic))
        await expect_disconnect(other, ReasonCode.TOPIC_NAME_INVALID)
    for topic in ("x" * 4_096, "/" * 127):
        assert (await client.subscribe(topic)).reason_codes == (0,)
        await client.publish(topic)
        assert (await client.expect_publish()).topic == topic


@pytest.mark.normative("MQTT-4.7.3-4")
async def test_topics_are_compared_character_by_character(connect: Connector) -> None:
    names = [
        "\u00e9", "e\u0301", "\u212b", "\u00c5", "A\u030a", "a", "A", "\uff41", " a", "a ", "a\u200b", "\ufeffa",
        "\ufb01", "fi", "\u00df", "ss", "\U0001f600", "\ud7ff", "\ufffd", "\ufffe", "\u0001",
        "a%2Fb", "a\\b", "a.b", "*", "?", "[a]",
    ]  # fmt: skip
    client = await connect()
    for number, name in enumerate(names):
        await client.subscribe(name)
        await client.publish(name, b"%d" % number, retain=True)
        message = await client.expect_publish()
        assert (message.topic, message.payload) == (name, b"%d" % number)
        await client.expect_silence()
    late = await connect()
    await late.subscribe("+")
    retained = {each.topic: each.payload for each in await late.drain() if isinstance(each, Publish)}
    assert retained == {name: b"%d" % number for number, name in enumerate(names)}
    for name in names:
        assert (await client.unsubscribe(name)).reason_codes == (0,)
