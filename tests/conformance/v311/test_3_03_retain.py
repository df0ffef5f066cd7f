"""Section 3.3.1.3: RETAIN."""

from __future__ import annotations

import pytest

from mqttbroker.protocol import Publish
from tests.conformance.conftest import Connector
from tests.conformance.v311.handmade import publish_packet
from tests.support.raw import RawClient


async def stored(connect: Connector, topic_filter: str) -> dict[str, bytes]:
    """What a new subscriber is sent at once."""
    client = await connect()
    await client.subscribe(topic_filter, qos=2)
    messages = [packet for packet in await client.drain() if isinstance(packet, Publish)]
    assert all(message.retain for message in messages)
    assert len({message.topic for message in messages}) == len(messages)
    await client.disconnect()
    return {message.topic: message.payload for message in messages}


@pytest.mark.normative("MQTT-3.3.1-5", "MQTT-3.3.1-8", "MQTT-3.3.1-6")
@pytest.mark.parametrize("granted", [0, 1, 2], ids="granted {}".format)
@pytest.mark.parametrize("qos", [0, 1, 2], ids="QoS {}".format)
async def test_a_retained_message_is_sent_to_later_subscribers_with_its_qos(
    connect: Connector, qos: int, granted: int
) -> None:
    publisher = await connect()
    await publisher.publish("a", b"x", qos=qos, retain=True)
    await publisher.disconnect()
    for _ in range(2):
        client = await connect()
        await client.subscribe("a", qos=granted)
        message = await client.expect_publish()
        assert (message.topic, message.payload, message.retain) == ("a", b"x", True)
        assert message.qos == min(qos, granted)
        assert not message.dup
        await client.expect_silence()


@pytest.mark.normative("MQTT-3.3.1-6")
@pytest.mark.parametrize(
    ("topic_filter", "expected"),
    [
        ("a/+", {"a/1", "a/2"}),
        ("a/#", {"a", "a/1", "a/2", "a/2/x", "a/"} - {"a/"}),
        ("#", {"a", "a/1", "a/2", "a/2/x", "b", "/"}),
        ("+", {"a", "b"}),
        ("+/+", {"a/1", "a/2", "/"}),
        ("+/2/#", {"a/2", "a/2/x"}),
        ("a/1", {"a/1"}),
        ("c/#", set()),
    ],
)
async def test_a_subscriber_gets_the_last_message_of_every_matching_topic(
    connect: Connector, topic_filter: str, expected: set[str]
) -> None:
    publisher = await connect()
    for payload in (b"old", b"last"):
        for topic in ("a", "a/1", "a/2", "a/2/x", "b", "/"):
            await publisher.publish(topic, payload, qos=1, retain=True)
    assert await stored(connect, topic_filter) == dict.fromkeys(expected, b"last")


@pytest.mark.normative("MQTT-3.3.1-5", "MQTT-3.3.1-7")
@pytest.mark.parametrize("later", [0, 1, 2], ids="then QoS {}".format)
@pytest.mark.parametrize("earlier", [0, 1, 2], ids="QoS {}".format)
async def test_a_retained_message_replaces_the_earlier_one(connect: Connector, earlier: int, later: int) -> None:
    publisher = await connect()
    await publisher.publish("a", b"old", qos=earlier, retain=True)
    await publisher.publish("a", b"new", qos=later, retain=True)
    client = await connect()
    await client.subscribe("a", qos=2)
    message = await client.expect_publish()
    assert (message.payload, message.qos) == (b"new", later)
    await client.expect_silence()


@pytest.mark.normative("MQTT-3.3.1-8", "MQTT-4.3.1-1")
async def test_the_first_byte_of_a_retained_message_at_qos_0(connect: Connector) -> None:
    publisher, client = await connect(), await connect()
    await publisher.publish("a", b"x", retain=True)
    await client.subscribe("a")
    await client.expect(Publish)
    assert client.last_bytes == publish_packet("a", b"x", first=0x31)


@pytest.mark.normative("MQTT-3.3.1-9")
@pytest.mark.parametrize("granted", [0, 1, 2], ids="granted {}".format)
@pytest.mark.parametrize("qos", [0, 1, 2], ids="QoS {}".format)
async def test_an_established_subscription_sees_no_retain(connect: Connector, qos: int, granted: int) -> None:
    client, publisher = await connect(), await connect()
    await client.subscribe("a", qos=granted)
    for payload in (b"1", b"2"):
        await publisher.publish("a", payload, qos=qos, retain=True)
        message = await client.expect_publish()
        assert (message.payload, message.retain) == (payload, False)
    # The same for one that was made in an earlier connection, and for a message that waited.
    kept = await connect("kept", clean_start=False)
    await kept.subscribe("b", qos=1)
    await kept.disconnect()
    await publisher.publish("b", b"x", qos=1, retain=True)
    kept = await connect("kept", clean_start=False)
    message = await kept.expect_publish()
    assert (message.payload, message.retain) == (b"x", False)
    await kept.expect_silence()


@pytest.mark.normative("MQTT-3.3.1-10", "MQTT-3.3.1-11", "MQTT-3.3.1-9")
@pytest.mark.parametrize("qos", [0, 1, 2], ids="QoS {}".format)
async def test_an_empty_retained_message_is_delivered_and_removes_the_stored_one(
    connect: Connector, watcher: RawClient, qos: int
) -> None:
    publisher = await connect()
    for topic in ("a", "a/b"):
        await publisher.publish(topic, b"x", qos=1, retain=True)
        await watcher.expect_publish()
    await publisher.publish("a", b"", qos=qos, retain=True)
    message = await watcher.expect_publish()
    assert (message.topic, message.payload, message.qos, message.retain) == ("a", b"", qos, False)
    await watcher.expect_silence()
    assert await stored(connect, "#") == {"a/b": b"x"}


@pytest.mark.normative("MQTT-3.3.1-11")
async def test_an_empty_message_is_never_stored(connect: Connector, watcher: RawClient) -> None:
    publisher = await connect()
    for qos in (0, 1, 2):
        await publisher.publish("a", b"", qos=qos, retain=True)
        assert (await watcher.expect_publish()).payload == b""
    assert await stored(connect, "#") == {}
    await publisher.publish("a", b"x", retain=True)
    assert await stored(connect, "#") == {"a": b"x"}


@pytest.mark.normative("MQTT-3.3.1-12")
@pytest.mark.parametrize("payload", [b"other", b""], ids=["with payload", "empty"])
@pytest.mark.parametrize("qos", [0, 1, 2], ids="QoS {}".format)
async def test_a_message_that_is_not_retained_leaves_the_stored_one_alone(
    connect: Connector, qos: int, payload: bytes
) -> None:
    publisher = await connect()
    await publisher.publish("a", b"stored", qos=1, retain=True)
    for _ in range(2):
        await publisher.publish("a", payload, qos=qos)
        await publisher.publish("b", payload, qos=qos)
    assert await stored(connect, "#") == {"a": b"stored"}
