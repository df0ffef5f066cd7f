"""Section 4.6: the order of messages."""

from __future__ import annotations

import pytest

from mqttbroker.protocol import ConnAck, PubAck, PubComp, Publish, PubRec, PubRel
from mqttbroker.testing.running import RunningBroker
from tests.conformance.conftest import Connector, Opener
from tests.conformance.v311.handmade import connect_packet, field, packet, publish_packet, u16
from tests.support.raw import RawClient

COUNT = 300
WINDOWS = pytest.mark.parametrize(
    "broker",
    [{}, {"max_inflight": 1}, {"max_inflight": 7, "queue_window": 5}],
    indirect=True,
    ids=["wide window", "window of 1", "window of 7"],
)


def numbered(qos_of: tuple[int, ...], topic: str = "a") -> bytes:
    """COUNT messages with their numbers as payloads, and QoS levels in turn."""
    return b"".join(
        publish_packet(
            topic,
            b"%d" % number,
            first=0x30 | (qos := qos_of[number % len(qos_of)]) << 1,
            packet_id=number + 1 if qos else None,
        )
        for number in range(COUNT)
    )


async def take(client: RawClient, count: int) -> list[Publish]:
    """So many messages, each of them acknowledged."""
    messages: list[Publish] = []
    while len(messages) < count:
        match await client.receive():
            case Publish(qos=0) as message:
                messages.append(message)
            case Publish(qos=1, packet_id=int(packet_id)) as message:
                messages.append(message)
                client.send(PubAck(packet_id))
            case Publish(packet_id=int(packet_id)) as message:
                messages.append(message)
                client.send(PubRec(packet_id))
            case PubRel() as release:
                client.send(PubComp(release.packet_id))
            case other:
                raise AssertionError(f"unexpected {other!r}")
    return messages


@WINDOWS
@pytest.mark.normative("MQTT-4.6.0-5", "MQTT-4.6.0-6")
@pytest.mark.parametrize("topic", ["a", "/", "any/other/topic", "ü"])
async def test_messages_of_one_topic_and_qos_stay_in_order(
    connect: Connector, broker: RunningBroker, topic: str
) -> None:
    client, publisher = await connect(), await connect()
    await client.subscribe("#", qos=2)
    publisher.send_bytes(numbered((0, 1, 2, 1, 2), topic))
    messages = await take(client, COUNT)
    for qos, count in ((0, COUNT // 5), (1, 2 * COUNT // 5), (2, 2 * COUNT // 5)):
        numbers = [int(message.payload) for message in messages if message.qos == qos]
        assert numbers == sorted(numbers)
        assert len(numbers) == count


@WINDOWS
@pytest.mark.normative("MQTT-4.6.0-6", "MQTT-3.1.2-5")
@pytest.mark.parametrize("qos", [1, 2], ids="QoS {}".format)
async def test_messages_that_waited_stay_in_order_and_before_new_ones(
    connect: Connector, broker: RunningBroker, qos: int
) -> None:
    client, publisher = await connect("c", clean_start=False), await connect()
    await client.subscribe("a", qos=2)
    client.abort()
    publisher.send_bytes(numbered((qos,)))
    await publisher.drain()
    client = await connect("c", clean_start=False)
    publisher.send_bytes(publish_packet("a", b"%d" % COUNT, first=0x30 | qos << 1, packet_id=COUNT + 1))
    messages = await take(client, COUNT + 1)
    assert [int(message.payload) for message in messages] == list(range(COUNT + 1))


@WINDOWS
@pytest.mark.normative("MQTT-4.6.0-6", "MQTT-4.4.0-1")
@pytest.mark.parametrize("qos", [1, 2], ids="QoS {}".format)
async def test_messages_sent_again_stay_in_order_and_before_those_that_were_not(
    connect: Connector, broker: RunningBroker, qos: int
) -> None:
    client, publisher = await connect("c", clean_start=False), await connect()
    await client.subscribe("a", qos=2)
    publisher.send_bytes(numbered((qos,)))
    await publisher.drain()
    sent = [packet for packet in await client.drain() if isinstance(packet, Publish)]
    assert sent
    client.abort()
    client = await connect("c", clean_start=False)
    messages = await take(client, COUNT)
    assert [int(message.payload) for message in messages] == list(range(COUNT))
    assert [message.packet_id for message in messages if message.dup] == [message.packet_id for message in sent]


@pytest.mark.normative("MQTT-4.6.0-6")
async def test_acknowledgements_are_in_the_order_of_the_messages(connect: Connector) -> None:
    client = await connect()
    order = [5, 3, 9, 1, 65_535, 2]
    for qos, kind in ((1, PubAck), (2, PubRec)):
        client.send_bytes(
            b"".join(publish_packet("a", b"x", first=0x30 | qos << 1, packet_id=packet_id) for packet_id in order)
        )
        assert await client.drain() == [kind(packet_id) for packet_id in order]
    order.reverse()
    client.send_bytes(b"".join(packet(0x62, u16(packet_id)) for packet_id in order))
    assert await client.drain() == [PubComp(packet_id) for packet_id in order]


@pytest.mark.normative("MQTT-4.6.0-6")
async def test_pubrels_are_in_the_order_of_the_pubrecs(connect: Connector) -> None:
    client, publisher = await connect("c", clean_start=False), await connect()
    await client.subscribe("a", qos=2)
    for number in range(6):
        await publisher.publish("a", b"%d" % number, qos=2)
    identifiers = [packet.packet_id or 0 for packet in await client.drain() if isinstance(packet, Publish)]
    order = [identifiers[index] for index in (3, 0, 5, 1, 4, 2)]
    client.send_bytes(b"".join(packet(0x50, u16(packet_id)) for packet_id in order))
    assert await client.drain() == [PubRel(packet_id) for packet_id in order]


@pytest.mark.normative("MQTT-4.6.0-6")
async def test_pubrels_sent_again_are_in_the_order_of_the_pubrecs(connect: Connector) -> None:
    client, publisher = await connect("c", clean_start=False), await connect()
    await client.subscribe("a", qos=2)
    for number in range(4):
        await publisher.publish("a", b"%d" % number, qos=2)
    identifiers = [packet.packet_id or 0 for packet in await client.drain() if isinstance(packet, Publish)]
    client.send_bytes(b"".join(packet(0x50, u16(packet_id)) for packet_id in identifiers))
    assert await client.drain() == [PubRel(packet_id) for packet_id in identifiers]
    for _ in range(2):
        client.abort()
        client = await connect("c", clean_start=False)
        assert await client.drain() == [PubRel(packet_id) for packet_id in identifiers]


@pytest.mark.normative("MQTT-4.6.0-6")
async def test_retained_then_live_messages_of_a_topic_stay_in_order(connect: Connector) -> None:
    client, publisher = await connect(), await connect()
    await publisher.publish("a", b"0", qos=1, retain=True)
    client.send_bytes(packet(0x82, u16(1), b"\0\x01a\x01"))
    await client.ping()
    publisher.send_bytes(numbered((1,)))
    await publisher.drain()
    messages = [packet for packet in await client.drain() if isinstance(packet, Publish)]
    assert [int(message.payload) for message in messages] == [0, *range(COUNT)]


@pytest.mark.normative("MQTT-4.6.0-6", "MQTT-3.1.2-5")
@pytest.mark.parametrize(
    "broker", [{"max_outbound_buffer": 4_096, "max_inflight": 65_535}], indirect=True, ids=["small turns"]
)
async def test_messages_that_arrive_while_a_long_queue_is_sent_come_behind_it(
    connect: Connector, open_client: Opener, broker: RunningBroker
) -> None:
    old, new = await connect("c", clean_start=False), await connect()
    await old.subscribe("a", qos=1)
    await old.disconnect()
    for number in range(600):
        new.send(Publish("a", b"%d " % number + bytes(400), qos=1, packet_id=number + 1))
    await new.drain()
    client = await open_client()
    client.send_bytes(connect_packet(field("c"), flags=0x00))
    for number in range(600, 700):
        await new.publish("a", b"%d" % number, qos=1)  # Each takes a turn of the broker.
    await client.expect(ConnAck)
    messages = await take(client, 700)
    assert [int(message.payload.split(b" ")[0]) for message in messages] == list(range(700))
