"""MQTT 5.0 section 3.3.1: DUP, QoS and RETAIN."""

from __future__ import annotations

import pytest

from mqttbroker.protocol import Properties, Publish, ReasonCode
from tests.conformance.conftest import Connector
from tests.conformance.wire import MALFORMED, PINGREQ, cut, expect_disconnect, publish_packet

KEPT = Properties(session_expiry_interval=3_600)


@pytest.mark.normative("MQTT-3.3.1-1")
@pytest.mark.parametrize("qos", [1, 2], ids="QoS {}".format)
@pytest.mark.parametrize("times", [1, 2], ids=["once", "twice"])
async def test_an_unacknowledged_message_is_sent_again_with_dup(connect: Connector, qos: int, times: int) -> None:
    publisher = await connect()
    client = await connect("c", properties=KEPT)
    await client.subscribe("a", qos=qos)
    await publisher.publish("a", b"x", qos=qos)
    first = await client.expect(Publish)
    assert not first.dup
    for _ in range(times):
        await cut(client)
        client = await connect("c", clean_start=False, properties=KEPT)
        again = await client.expect(Publish)
        assert again.dup
        assert (again.packet_id, again.qos, again.topic, again.payload) == (first.packet_id, qos, "a", b"x")
    await client.ack(again)
    await cut(client)
    # What was never sent is no retransmission, and what was acknowledged is not sent again.
    await publisher.publish("a", b"y", qos=qos)
    client = await connect("c", clean_start=False, properties=KEPT)
    fresh = await client.expect_publish()
    assert (fresh.payload, fresh.dup) == (b"y", False)
    await client.expect_silence()


@pytest.mark.normative("MQTT-3.3.1-2")
@pytest.mark.parametrize("known", [False, True], ids=["first message", "known topic"])
@pytest.mark.parametrize("retain", [0, 1], ids=["not retained", "retained"])
async def test_dup_with_qos_0_is_malformed(connect: Connector, known: bool, retain: int) -> None:
    client, watcher = await connect(), await connect()
    await watcher.subscribe("a")
    if known:
        await client.publish("a", b"known")
        await watcher.expect_publish()
    client.send_bytes(publish_packet("a", b"x", first=0x38 | retain) + PINGREQ)
    await expect_disconnect(client, MALFORMED)
    await watcher.expect_silence()


@pytest.mark.normative("MQTT-3.3.1-2", "MQTT-3.3.1-3")
@pytest.mark.parametrize("qos", [1, 2], ids="QoS {}".format)
@pytest.mark.parametrize("granted", [0, 1, 2], ids="granted {}".format)
async def test_dup_is_not_passed_on(connect: Connector, qos: int, granted: int) -> None:
    publisher, subscriber = await connect(), await connect()
    await subscriber.subscribe("a", qos=granted)
    for dup in (True, False, True):
        await publisher.publish("a", b"x", qos=qos, dup=dup)
        delivery = await subscriber.expect_publish()
        assert not delivery.dup
        assert delivery.qos == min(qos, granted)
        assert not subscriber.last_bytes[0] & 0x08
    await publisher.publish("a", b"kept", qos=qos, dup=True, retain=True)
    await subscriber.expect_publish()
    late = await connect()
    await late.subscribe("a", qos=granted)
    assert not (await late.expect_publish()).dup


@pytest.mark.normative("MQTT-3.3.1-2")
async def test_a_qos_0_delivery_is_never_a_duplicate(connect: Connector) -> None:
    client = await connect("c", properties=KEPT)
    await client.subscribe("a", qos=0)
    for qos in (0, 1, 2):
        await client.publish("a", b"x", qos=qos)
        assert not (await client.expect_publish()).dup
    await cut(client)
    client = await connect("c", clean_start=False)
    await client.expect_silence()


@pytest.mark.normative("MQTT-3.3.1-4")
@pytest.mark.parametrize("known", [False, True], ids=["first message", "known topic"])
@pytest.mark.parametrize("flags", [0x06, 0x07, 0x0E, 0x0F], ids="{:04b}".format)
async def test_qos_3_is_malformed(connect: Connector, known: bool, flags: int) -> None:
    client, watcher = await connect(), await connect()
    await watcher.subscribe("a", qos=2)
    if known:
        await client.publish("a", b"known", qos=1)
        await watcher.expect_publish()
    client.send_bytes(publish_packet("a", b"x", first=0x30 | flags, packet_id=1) + PINGREQ)
    await expect_disconnect(client, MALFORMED)
    await watcher.expect_silence()


@pytest.mark.normative("MQTT-3.3.1-5")
@pytest.mark.parametrize("qos", [0, 1, 2], ids="QoS {}".format)
async def test_the_newest_retained_message_is_kept(connect: Connector, qos: int) -> None:
    publisher = await connect()
    for payload in (b"first", b"second", b"third"):
        await publisher.publish("a", payload, qos=qos, retain=True)
    await publisher.publish("b", b"other", qos=qos, retain=True)
    await publisher.disconnect()
    for _ in range(2):
        late = await connect()
        await late.subscribe("a", qos=2)
        kept = await late.expect_publish()
        assert (kept.topic, kept.payload, kept.qos, kept.retain) == ("a", b"third", qos, True)
        await late.expect_silence()


@pytest.mark.normative("MQTT-3.3.1-5")
async def test_a_retained_message_is_kept_with_its_properties(connect: Connector) -> None:
    publisher = await connect()
    first = Properties(content_type="old", user_properties=(("old", "1"),), correlation_data=b"old")
    second = Properties(response_topic="r", user_properties=(("n", "1"), ("n", "2")), payload_format_indicator=1)
    await publisher.publish("a", b"1", retain=True, properties=first)
    await publisher.publish("a", b"2", retain=True, properties=second)
    late = await connect()
    await late.subscribe("a")
    assert (await late.expect_publish()).properties == second


@pytest.mark.normative("MQTT-3.3.1-6", "MQTT-3.3.1-7")
@pytest.mark.parametrize("qos", [0, 1, 2], ids="QoS {}".format)
async def test_an_empty_retained_message_removes_the_one_that_was_kept(connect: Connector, qos: int) -> None:
    publisher, watcher = await connect(), await connect()
    await watcher.subscribe("#", qos=2, retain_as_published=True)
    await publisher.publish("a", b"kept", qos=qos, retain=True)
    await publisher.publish("a/b", b"stays", qos=qos, retain=True)
    await publisher.publish("a", b"", qos=qos, retain=True)
    live = [await watcher.expect_publish() for _ in range(3)]
    assert [(each.topic, each.payload, each.retain) for each in live] == [
        ("a", b"kept", True),
        ("a/b", b"stays", True),
        ("a", b"", True),
    ]
    late = await connect()
    await late.subscribe("#", qos=2)
    assert (await late.expect_publish()).topic == "a/b"
    await late.expect_silence()


@pytest.mark.normative("MQTT-3.3.1-7")
async def test_an_empty_message_is_never_kept(connect: Connector) -> None:
    publisher = await connect()
    await publisher.publish("a", b"", retain=True)
    await publisher.publish("b", b"", qos=1, retain=True, properties=Properties(content_type="empty"))
    late = await connect()
    await late.subscribe("#")
    await late.expect_silence()


@pytest.mark.normative("MQTT-3.3.1-8")
@pytest.mark.parametrize("payload", [b"plain", b""], ids=["with payload", "empty"])
@pytest.mark.parametrize("qos", [0, 1, 2], ids="QoS {}".format)
async def test_a_message_without_retain_leaves_the_kept_one_alone(connect: Connector, qos: int, payload: bytes) -> None:
    publisher = await connect()
    await publisher.publish("a", b"kept", qos=1, retain=True)
    for _ in range(2):
        await publisher.publish("a", payload, qos=qos)
        await publisher.publish("b", payload, qos=qos)
    late = await connect()
    await late.subscribe("#", qos=2)
    kept = await late.expect_publish()
    assert (kept.topic, kept.payload) == ("a", b"kept")
    await late.expect_silence()


@pytest.mark.normative("MQTT-3.3.1-9", "MQTT-3.3.1-10", "MQTT-3.3.1-11")
@pytest.mark.parametrize(("handling", "counts"), [(0, [1, 1, 1, 1]), (1, [1, 0, 0, 1]), (2, [0, 0, 0, 0])], ids=str)
@pytest.mark.parametrize("topic_filter", ["a", "+", "a/#"])
async def test_retain_handling(connect: Connector, topic_filter: str, handling: int, counts: list[int]) -> None:
    publisher = await connect()
    await publisher.publish("a", b"kept", retain=True)
    client = await connect("c", properties=KEPT)
    received: list[int] = []
    for step in ("new", "again", "resumed", "left"):
        if step == "resumed":
            await client.disconnect()
            client = await connect("c", clean_start=False, properties=KEPT)
        elif step == "left":
            await client.unsubscribe(topic_filter)
        # Other options make no new subscription of an old one.
        await client.subscribe(topic_filter, qos=1 if step == "again" else 0, retain_handling=handling)
        kept = await client.drain()
        assert all(isinstance(each, Publish) and each.retain and each.payload == b"kept" for each in kept)
        received.append(len(kept))
    assert received == counts


@pytest.mark.normative("MQTT-3.3.1-9")
async def test_all_matching_retained_messages_are_sent(connect: Connector) -> None:
    publisher = await connect()
    topics = [f"a/{number}" for number in range(1_000)]
    publisher.send_bytes(b"".join(publish_packet(topic, b"x", first=0x31) for topic in topics))
    await publisher.publish("b", b"not", retain=True)
    client = await connect()
    for topic_filter in ("a/#", "a/+", "a/#"):
        await client.subscribe(topic_filter)
        assert sorted([(await client.expect_publish()).topic for _ in topics]) == sorted(topics)
    await client.expect_silence()


@pytest.mark.normative("MQTT-3.3.1-12", "MQTT-3.3.1-13")
@pytest.mark.parametrize("as_published", [False, True], ids=["RAP 0", "RAP 1"])
@pytest.mark.parametrize("qos", [0, 1, 2], ids="QoS {}".format)
@pytest.mark.parametrize("online", [True, False], ids=["online", "offline"])
async def test_retain_as_published(connect: Connector, as_published: bool, qos: int, online: bool) -> None:
    publisher = await connect()
    client = await connect("c", properties=KEPT)
    await client.subscribe("a", qos=2, retain_as_published=as_published)
    # A neighbour on the same route with the other option does not change anything.
    neighbour = await connect()
    await neighbour.subscribe("a", qos=2, retain_as_published=not as_published)
    if not online:
        await client.disconnect()
    for retain in (False, True, False, True):
        await publisher.publish("a", b"x", qos=qos, retain=retain)
    if not online:
        client = await connect("c", clean_start=False)
    expected = [False, as_published, False, as_published]
    if online or qos:
        assert [(await client.expect_publish()).retain for _ in range(4)] == expected
    await client.expect_silence()
    assert [(await neighbour.expect_publish()).retain for _ in range(4)] == [
        retain and not as_published for retain in (False, True, False, True)
    ]


@pytest.mark.normative("MQTT-3.3.1-9")
@pytest.mark.parametrize("as_published", [False, True], ids=["RAP 0", "RAP 1"])
async def test_a_retained_message_for_a_new_subscription_has_retain(connect: Connector, as_published: bool) -> None:
    publisher = await connect()
    await publisher.publish("a", b"kept", retain=True)
    client = await connect()
    await client.subscribe("a", retain_as_published=as_published)
    assert (await client.expect_publish()).retain


@pytest.mark.normative("MQTT-3.3.1-5")
@pytest.mark.parametrize("broker", [{"max_retained_messages": 1}], indirect=True, ids=["room for one"])
async def test_a_retained_message_without_room_is_refused_and_changes_nothing(connect: Connector) -> None:
    publisher = await connect()
    await publisher.publish("a", b"kept", qos=1, retain=True)
    for qos in (1, 2):
        answer = await publisher.publish("b", b"x", qos=qos, retain=True)
        assert answer is not None
        assert answer.reason_code == ReasonCode.QUOTA_EXCEEDED
    await publisher.publish("a", b"newer", qos=1, retain=True)
    late = await connect()
    await late.subscribe("#")
    assert (await late.expect_publish()).payload == b"newer"
    await late.expect_silence()
