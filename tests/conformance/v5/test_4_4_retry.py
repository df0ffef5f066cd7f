"""MQTT 5.0 sections 4.4 to 4.6: what is sent again and when, who gets a message, and in which order."""

from __future__ import annotations

from collections import defaultdict

import pytest

from mqttbroker.protocol import Packet, Properties, PubAck, PubComp, Publish, PubRec, PubRel, ReasonCode
from mqttbroker.testing.running import RunningBroker
from tests.conformance.codes import FROM_CLIENT
from tests.conformance.conftest import Connector
from tests.conformance.v5.doubles import KEPT
from tests.conformance.wire import cut
from tests.support.raw import RawClient


def number_of(publish: Publish) -> int:
    """Its packet identifier."""
    assert publish.packet_id is not None
    return publish.packet_id


async def deliver(publisher: RawClient, client: RawClient, qos: int, payload: bytes = b"x") -> int:
    """Let a message be delivered and not acknowledged; its packet identifier."""
    await publisher.publish("a", payload, qos=qos)
    delivery = await client.expect(Publish)
    assert (delivery.payload, delivery.qos, delivery.dup) == (payload, qos, False)
    return number_of(delivery)


STAGES = {
    "QoS 1: PUBLISH": (1, Publish),
    "QoS 1: PUBACK": (1, None),
    "QoS 2: PUBLISH": (2, Publish),
    "QoS 2: PUBREC": (2, PubRel),
    "QoS 2: PUBREC twice": (2, PubRel),
    "QoS 2: PUBCOMP": (2, None),
}


@pytest.mark.normative("MQTT-4.3.2-3", "MQTT-4.3.3-3", "MQTT-4.3.3-5", "MQTT-4.3.3-6", "MQTT-4.4.0-1", "MQTT-4.1.0-1")
@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("how", ["cut", "DISCONNECT", "taken over"])
async def test_what_is_not_acknowledged_is_sent_again_on_the_next_connection(
    connect: Connector, broker: RunningBroker, stage: str, how: str
) -> None:
    qos, expected = STAGES[stage]
    publisher, client = await connect(), await connect("c", properties=KEPT)
    await client.subscribe("a", qos=2)
    number = await deliver(publisher, client, qos)
    if "PUBACK" in stage:
        client.send(PubAck(number))
    elif "PUBREC" in stage or "PUBCOMP" in stage:
        for _ in range(2 if "twice" in stage else 1):
            client.send(PubRec(number))
            await client.expect(PubRel)
        if "PUBCOMP" in stage:
            client.send(PubComp(number))
    for _ in range(3):
        # Nothing is sent again at any other time, however long the client waits.
        broker.advance(1_000)
        await client.expect_silence()
        if how == "cut":
            await cut(client)
        elif how == "DISCONNECT":
            await client.disconnect()
        client = await connect("c", clean_start=False, properties=KEPT)
        again = await client.drain()
        if expected is None:
            assert again == []
        elif expected is PubRel:
            assert again == [PubRel(number)]
        else:
            assert again == [Publish("a", b"x", qos, dup=True, packet_id=number)]
    # The exchange goes on where it was.
    if expected is Publish and qos == 1:
        client.send(PubAck(number))
    elif expected is Publish:
        client.send(PubRec(number))
        assert await client.expect(PubRel) == PubRel(number)
    if qos == 2 and expected is not None:
        client.send(PubComp(number))
    await client.expect_silence()
    client = await connect("c", clean_start=False)
    await client.expect_silence()


@pytest.mark.normative("MQTT-4.4.0-1")
@pytest.mark.parametrize("how", ["clean start", "expired"])
async def test_nothing_is_sent_again_without_the_session(connect: Connector, broker: RunningBroker, how: str) -> None:
    publisher, client = await connect(), await connect("c", properties=KEPT)
    await client.subscribe("a", qos=2)
    for qos in (1, 2, 2):
        number = await deliver(publisher, client, qos)
    client.send(PubRec(number))
    await client.expect(PubRel)
    await cut(client)
    if how == "expired":
        broker.advance(3_602)
    client = await connect("c", clean_start=how == "clean start")
    assert not connect.acks[client].session_present
    await client.expect_silence()


@pytest.mark.normative("MQTT-4.4.0-2")
@pytest.mark.parametrize("qos", [1, 2], ids=["PUBACK", "PUBREC"])
async def test_a_refused_message_is_not_sent_again(connect: Connector, qos: int) -> None:
    publisher, client = await connect(), await connect("c", properties=KEPT)
    await client.subscribe("a", qos=2)
    for code in sorted(FROM_CLIENT["PUBACK" if qos == 1 else "PUBREC"] - {0}):
        number = await deliver(publisher, client, qos)
        answer = PubAck if qos == 1 else PubRec
        client.send(answer(number, ReasonCode(code), Properties(reason_string="no")))
        await client.expect_silence()
    for _ in range(2):
        client = await connect("c", clean_start=False, properties=KEPT)
        await client.expect_silence()


@pytest.mark.normative("MQTT-4.4.0-1", "MQTT-4.6.0-5")
async def test_messages_of_all_stages_are_sent_again_in_their_order(connect: Connector) -> None:
    publisher, client = await connect(), await connect("c", properties=KEPT)
    await client.subscribe("a", qos=2)
    expected: list[Packet] = []
    for turn in range(12):
        qos, payload = turn % 2 + 1, b"%d" % turn
        number = await deliver(publisher, client, qos, payload)
        if turn % 4 == 3:
            client.send(PubRec(number))
            expected.append(await client.expect(PubRel))
        elif turn % 5 == 4:
            await client.ack(Publish("a", payload, qos, packet_id=number))
        else:
            expected.append(Publish("a", payload, qos, dup=True, packet_id=number))
    for _ in range(2):
        client = await connect("c", clean_start=False, properties=KEPT)
        again = await client.drain()
        publishes = [each for each in again if isinstance(each, Publish)]
        assert publishes == [each for each in expected if isinstance(each, Publish)]
        assert [each for each in again if isinstance(each, PubRel)] == [e for e in expected if isinstance(e, PubRel)]


@pytest.mark.normative("MQTT-4.5.0-1")
@pytest.mark.parametrize("qos", [0, 1, 2], ids="QoS {}".format)
async def test_every_matching_session_gets_the_message(connect: Connector, qos: int) -> None:
    publisher = await connect("p", properties=KEPT)
    topic = "a/b/c"
    matching = ["a/b/c", "a/b/+", "a/#", "#", "+/+/+", "+/b/#", "a/b/c/#"]
    members: dict[str, RawClient] = {}
    for where, topic_filter in [(where, each) for where in ("here", "away") for each in (*matching, "a/b", "a/b/+/d")]:
        members[f"{where} {topic_filter}"] = client = await connect(f"{where} {topic_filter}", properties=KEPT)
        await client.subscribe(topic_filter, qos=2)
        if where == "away":
            await (client.disconnect() if topic_filter != "#" else cut(client))
    await publisher.subscribe(topic, qos=2)
    for payload in (b"1", b"2"):
        publisher.send(Publish(topic, payload, qos, packet_id=7 if qos else None))
        own = await publisher.expect(Publish)
        assert own.payload == payload
        await publisher.ack(own)
        if qos == 2:
            await publisher.expect(PubRec)
            publisher.send(PubRel(7))
            await publisher.expect(PubComp)
        elif qos == 1:
            assert (await publisher.expect(PubAck)).reason_code == ReasonCode.SUCCESS
    await publisher.expect_silence()
    for name, client in members.items():
        where, topic_filter = name.split(" ", 1)
        if where == "away":
            client = await connect(name, clean_start=False)
            assert connect.acks[client].session_present
        expected = [b"1", b"2"] if topic_filter in matching and (where == "here" or qos) else []
        found = [each for each in await client.drain() if isinstance(each, Publish)]
        if where == "away" and not qos:
            continue  # At QoS 0 a server may keep messages, and need not.
        assert [each.payload for each in found] == expected, name
        assert all(each.qos == qos for each in found)


@pytest.mark.normative("MQTT-4.6.0-5", "MQTT-4.6.0-6")
@pytest.mark.parametrize("window", [1, 3, 65_535], ids="receive maximum {}".format)
async def test_messages_arrive_in_the_order_of_their_publication(connect: Connector, window: int) -> None:
    publisher = await connect()
    client = await connect("c", properties=Properties(receive_maximum=window, session_expiry_interval=100))
    await client.subscribe("a/+", qos=2)
    sent: dict[tuple[str, int], list[int]] = defaultdict(list)
    for number in range(300):
        topic, qos = f"a/{number % 2}", number * 7 % 3
        sent[topic, qos].append(number)
        publisher.send(Publish(topic, b"%d" % number, qos, packet_id=number + 1 if qos else None))
    await publisher.flush()
    seen: dict[tuple[str, int], list[int]] = defaultdict(list)
    while seen != sent:
        message = await client.expect_publish()
        seen[message.topic, message.qos].append(int(message.payload))
        so_far = seen[message.topic, message.qos]
        assert so_far == sent[message.topic, message.qos][: len(so_far)]
    await client.expect_silence()


@pytest.mark.normative("MQTT-4.6.0-5", "MQTT-4.4.0-1")
@pytest.mark.parametrize("qos", [1, 2], ids="QoS {}".format)
@pytest.mark.parametrize("window", [2, 5, 40], ids="receive maximum {}".format)
async def test_order_under_retransmission(connect: Connector, qos: int, window: int) -> None:
    publisher = await connect()
    properties = Properties(receive_maximum=window, session_expiry_interval=100)
    client = await connect("c", properties=properties)
    await client.subscribe("a", qos=qos)
    total, published = 60, 30
    for number in range(published):
        await publisher.publish("a", b"%d" % number, qos=qos)
    finished: set[int] = set()
    on_this_connection: list[Publish] = []
    for turn in range(400):
        if turn % 4 == 3:
            await cut(client)
            client = await connect("c", clean_start=False, properties=properties)
            on_this_connection = []
        elif published < total:
            await publisher.publish("a", b"%d" % published, qos=qos)
            published += 1
        arrived = [each for each in await client.drain() if isinstance(each, Publish)]
        on_this_connection += arrived
        # What is sent again comes first, new messages go on behind it, all of it in the order of their publication.
        numbers = [int(each.payload) for each in on_this_connection]
        assert numbers == sorted(set(numbers))
        dups = [each.dup for each in on_this_connection]
        assert dups == sorted(dups, reverse=True)
        assert not finished & {int(each.payload) for each in arrived}
        # Of the messages in flight some in the middle are acknowledged, others are lost with the connection.
        for each in reversed(arrived):
            if (int(each.payload) + turn) % 3:
                await client.ack(each)
                finished.add(int(each.payload))
        if len(finished) == total:
            break
    assert finished == set(range(total))
    await client.expect_silence()
