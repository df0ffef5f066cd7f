"""MQTT 5.0: what rules of different sections ask for together."""

from __future__ import annotations

import pytest

from mqttbroker.protocol import Properties, Publish, Will
from mqttbroker.testing.running import RunningBroker
from tests.conformance.conftest import Connector
from tests.conformance.wire import cut, publish_packet
from tests.support.raw import RawClient

TOPIC = "t" * 20


class Listener:
    """Puts topic names where a client finds aliases, and holds every packet against a Maximum Packet Size."""

    def __init__(self, client: RawClient, maximum: int) -> None:
        self._client = client
        self._maximum = maximum
        self._names: dict[int, str] = {}

    async def next(self) -> Publish:
        """The next message, acknowledged."""
        message = await self._client.expect_publish()
        assert len(self._client.last_bytes) <= self._maximum
        alias = message.properties.topic_alias
        if message.topic:
            if alias is not None:
                self._names[alias] = message.topic
            assert message.topic == TOPIC
        else:
            assert alias is not None and self._names[alias] == TOPIC
        return message


@pytest.mark.normative("MQTT-3.1.2-24", "MQTT-3.1.2-25", "MQTT-3.1.2-26")
@pytest.mark.parametrize("qos", [0, 1, 2], ids="QoS {}".format)
@pytest.mark.parametrize("first", [-1, 0, 1, 2, 3, 4, 200], ids="{} bytes over".format)
async def test_an_alias_is_set_only_by_a_packet_that_was_sent(connect: Connector, qos: int, first: int) -> None:
    """The packet that would set the alias is smaller than the maximum, up to it, or larger: the alias takes 3 bytes."""
    maximum = 100
    number = 1 if qos else None
    with_alias = len(publish_packet(TOPIC, packet_id=number, properties=b"\x23\x00\x01"))
    publisher = await connect()
    for resumed in (False, True):
        properties = Properties(maximum_packet_size=maximum, topic_alias_maximum=3, session_expiry_interval=60)
        client = await connect("c", clean_start=not resumed, properties=properties)
        await client.subscribe(TOPIC, qos=qos)
        listener = Listener(client, maximum)
        large = b"x" * (maximum - with_alias + first)
        for payload in (large, b"2", large, b"4", b"5"):
            await publisher.publish(TOPIC, payload, qos=qos)
        # Without its alias, or under one that is set, the first of them may be 3 or 20 bytes longer.
        expected = [large, b"2", large, b"4", b"5"] if first <= 3 else [b"2", b"4", b"5"]
        if first == 4:
            expected = [b"2", large, b"4", b"5"]
        assert [(await listener.next()).payload for _ in expected] == expected
        await client.expect_silence()
        await client.disconnect()


@pytest.mark.normative("MQTT-3.3.2-7", "MQTT-4.4.0-1")
async def test_what_is_sent_again_does_not_use_the_aliases_of_the_last_connection(connect: Connector) -> None:
    publisher = await connect()
    properties = Properties(topic_alias_maximum=3, session_expiry_interval=60)
    client = await connect("c", properties=properties)
    await client.subscribe(TOPIC, qos=1)
    for payload in (b"1", b"2", b"3"):
        await publisher.publish(TOPIC, payload, qos=1)
    used = [await client.expect(Publish) for _ in range(3)]
    assert [each.topic for each in used] == [TOPIC, "", ""]
    await cut(client)
    client = await connect("c", clean_start=False, properties=properties)
    listener = Listener(client, 1_000)
    again = [await listener.next() for _ in range(3)]
    assert [(each.payload, each.dup) for each in again] == [(b"1", True), (b"2", True), (b"3", True)]
    await cut(client)
    # A connection that takes no aliases gets none.
    for payload in (b"4", b"5"):
        await publisher.publish(TOPIC, payload, qos=1)
    client = await connect("c", clean_start=False)
    found = [await client.expect_publish() for _ in range(2)]
    assert [(each.topic, each.properties.topic_alias) for each in found] == [(TOPIC, None)] * 2


@pytest.mark.normative("MQTT-3.8.3-3", "MQTT-4.8.2-2")
async def test_a_will_reaches_a_share_and_retained_subscribers_once(connect: Connector, broker: RunningBroker) -> None:
    members = [await connect(), await connect()]
    for member in members:
        await member.subscribe(f"$share/g/{TOPIC}", qos=1)
    alone = await connect()
    await alone.subscribe("#", qos=1, retain_as_published=True)
    client = await connect(will=Will(TOPIC, b"gone", 1, True, Properties(message_expiry_interval=10)))
    await cut(client)
    assert (await alone.expect_publish()).retain
    shares = [len([each for each in await member.drain() if isinstance(each, Publish)]) for member in members]
    assert sorted(shares) == [0, 1]
    late = await connect()
    await late.subscribe(TOPIC)
    assert (await late.expect_publish()).properties.message_expiry_interval in (9, 10)
    broker.advance(11)
    await late.subscribe(TOPIC)
    await late.expect_silence()
