"""Section 4.3: what sender and receiver do at each QoS. Section 4.4: what is sent again."""

from __future__ import annotations

import pytest

from mqttbroker.protocol import PubAck, PubComp, Publish, PubRec, PubRel
from tests.conformance.conftest import Connector
from tests.conformance.v311.handmade import publish_packet
from tests.support.raw import RawClient


def identifier(message: Publish) -> int:
    """The packet identifier of a message that must have one."""
    assert message.packet_id
    return message.packet_id


# 4.3.2, the server as the sender


@pytest.mark.normative("MQTT-4.3.2-1", "MQTT-4.4.0-1", "MQTT-3.3.1-1")
async def test_at_qos_1_a_message_is_sent_again_until_it_is_acknowledged(connect: Connector) -> None:
    client, publisher = await connect("c", clean_start=False), await connect()
    await client.subscribe("a", qos=1)
    for number in range(6):
        await publisher.publish("a", b"%d" % number, qos=1)
    sent = [await client.expect(Publish) for _ in range(6)]
    assert [message.payload for message in sent] == [b"%d" % number for number in range(6)]
    assert len({message.packet_id for message in sent}) == 6
    assert not any(message.dup for message in sent)
    await client.expect_silence()  # Nothing is sent twice while the connection lasts.
    for index in (0, 3, 5):
        client.send(PubAck(identifier(sent[index])))
    await client.ping()

    for _ in range(2):
        client.abort()
        client = await connect("c", clean_start=False)
        again = [await client.expect(Publish) for _ in range(3)]
        assert [(message.payload, message.packet_id) for message in again] == [
            (sent[index].payload, sent[index].packet_id) for index in (1, 2, 4)
        ]
        assert all(message.dup for message in again)
        await client.expect_silence()
    for message in again:
        client.send(PubAck(identifier(message)))
    await client.disconnect()
    client = await connect("c", clean_start=False)
    await client.expect_silence()


@pytest.mark.normative("MQTT-4.3.2-1")
async def test_an_acknowledgement_of_something_else_ends_nothing(connect: Connector) -> None:
    client, publisher = await connect("c", clean_start=False), await connect()
    await client.subscribe("a", qos=1)
    await publisher.publish("a", b"x", qos=1)
    message = await client.expect(Publish)
    client.send(PubAck(identifier(message) + 1))
    await client.ping()
    client.abort()
    client = await connect("c", clean_start=False)
    assert (await client.expect(Publish)).packet_id == message.packet_id


# 4.3.2, the server as the receiver


@pytest.mark.normative("MQTT-4.3.2-2")
@pytest.mark.parametrize("dup", [False, True], ids=["as new", "with DUP"])
async def test_at_qos_1_an_identifier_is_free_after_puback(connect: Connector, watcher: RawClient, dup: bool) -> None:
    client = await connect()
    for payload in (b"1", b"1", b"2"):
        client.send(Publish("a", payload, 1, dup=dup, packet_id=3))
        assert await client.drain() == [PubAck(3)]
        assert (await watcher.expect_publish()).payload == payload
    await watcher.expect_silence()


# 4.3.3, the server as the sender


@pytest.mark.normative("MQTT-4.3.3-1", "MQTT-4.4.0-1")
async def test_at_qos_2_each_half_is_sent_again_until_it_is_acknowledged(connect: Connector) -> None:
    client, publisher = await connect("c", clean_start=False), await connect()
    await client.subscribe("a", qos=2)
    await publisher.publish("a", b"x", qos=2)
    message = await client.expect(Publish)
    assert (message.qos, message.dup) == (2, False)
    await client.expect_silence()

    for _ in range(2):  # Before PUBREC: PUBLISH again.
        client.abort()
        client = await connect("c", clean_start=False)
        again = await client.expect(Publish)
        assert (again.payload, again.packet_id, again.qos, again.dup) == (b"x", message.packet_id, 2, True)
        await client.expect_silence()
    client.send(PubRec(identifier(message)))
    assert await client.drain() == [PubRel(identifier(message))]

    for _ in range(2):  # Before PUBCOMP: PUBREL again, and PUBLISH never.
        client.abort()
        client = await connect("c", clean_start=False)
        assert await client.drain() == [PubRel(identifier(message))]
    client.send(PubComp(identifier(message)))
    await client.disconnect()
    client = await connect("c", clean_start=False)
    await client.expect_silence()


@pytest.mark.normative("MQTT-4.3.3-1")
async def test_pubrec_is_answered_each_time(connect: Connector) -> None:
    client, publisher = await connect(), await connect()
    await client.subscribe("a", qos=2)
    await publisher.publish("a", b"x", qos=2)
    packet_id = identifier(await client.expect(Publish))
    for _ in range(3):
        client.send(PubRec(packet_id))
        assert await client.drain() == [PubRel(packet_id)]


@pytest.mark.normative("MQTT-4.3.3-1")
async def test_at_qos_2_an_identifier_is_in_use_until_pubcomp(connect: Connector) -> None:
    client, publisher = await connect(), await connect()
    await client.subscribe("a", qos=2)
    used: set[int] = set()
    for number in range(20):
        await publisher.publish("a", b"x", qos=2)
        packet_id = identifier(await client.expect(Publish))
        assert packet_id not in used
        used.add(packet_id)
        if number % 2:
            client.send(PubRec(packet_id))
            await client.expect(PubRel)


@pytest.mark.normative("MQTT-4.3.3-1")
async def test_pubrel_after_a_restored_session_that_the_client_forgot(connect: Connector) -> None:
    client = await connect("c", clean_start=False)
    client.send(PubRec(77))  # An identifier of which the broker knows nothing: the client must be able to go on.
    assert await client.drain() == [PubRel(77)]
    client.send(PubComp(77))
    await client.ping()


# 4.3.3, the server as the receiver


@pytest.mark.normative("MQTT-4.3.3-2")
@pytest.mark.parametrize("dup", [False, True], ids=["as new", "with DUP"])
async def test_at_qos_2_an_identifier_is_free_after_pubcomp(connect: Connector, watcher: RawClient, dup: bool) -> None:
    client = await connect()
    for payload in (b"1", b"2"):
        for copy in range(3):
            client.send(Publish("a", payload, 2, dup=dup or copy > 0, packet_id=3))
            assert await client.drain() == [PubRec(3)]
        assert (await watcher.expect_publish()).payload == payload
        client.send(PubRel(3))
        assert await client.drain() == [PubComp(3)]
        await watcher.expect_silence()


@pytest.mark.normative("MQTT-4.3.3-2", "MQTT-4.1.0-1", "MQTT-4.4.0-1")
@pytest.mark.parametrize("ending", ["loss", "disconnect", "takeover"])
async def test_a_half_done_message_from_the_client_is_part_of_its_session(
    connect: Connector, watcher: RawClient, ending: str
) -> None:
    client = await connect("c", clean_start=False)
    client.send_bytes(publish_packet("a", b"x", first=0x34, packet_id=3))
    assert await client.drain() == [PubRec(3)]
    assert (await watcher.expect_publish()).payload == b"x"
    for _ in range(2):
        if ending == "loss":
            client.abort()
        elif ending == "disconnect":
            await client.disconnect()
        client = await connect("c", clean_start=False)
        client.send_bytes(publish_packet("a", b"x", first=0x3C, packet_id=3))
        assert await client.drain() == [PubRec(3)]
        await watcher.expect_silence()
    client.send(PubRel(3))
    assert await client.drain() == [PubComp(3)]
    client.send_bytes(publish_packet("a", b"new", first=0x34, packet_id=3))
    assert await client.drain() == [PubRec(3)]
    assert (await watcher.expect_publish()).payload == b"new"


@pytest.mark.normative("MQTT-4.3.3-2", "MQTT-4.4.0-1")
async def test_pubrel_is_answered_each_time(connect: Connector, watcher: RawClient) -> None:
    client = await connect("c", clean_start=False)
    await client.publish("a", b"x", qos=2, packet_id=3)
    for _ in range(2):
        client.send(PubRel(3))
        assert await client.drain() == [PubComp(3)]
    client.abort()
    client = await connect("c", clean_start=False)
    client.send(PubRel(3))
    assert await client.drain() == [PubComp(3)]
    await watcher.expect_publish()
    await watcher.expect_silence()


@pytest.mark.normative("MQTT-4.3.3-2")
async def test_identifiers_of_several_clients_have_nothing_to_do_with_each_other(
    connect: Connector, watcher: RawClient
) -> None:
    clients = [await connect() for _ in range(3)]
    for number, client in enumerate(clients):
        client.send(Publish("a", b"%d" % number, 2, packet_id=3))
        assert await client.drain() == [PubRec(3)]
    assert [(await watcher.expect_publish()).payload for _ in range(3)] == [b"0", b"1", b"2"]
    clients[0].send(PubRel(3))
    assert await clients[0].drain() == [PubComp(3)]
    clients[1].send(Publish("a", b"1", 2, dup=True, packet_id=3))
    await clients[1].drain()
    await watcher.expect_silence()


@pytest.mark.normative("MQTT-4.3.3-2", "MQTT-4.3.2-2")
async def test_qos_1_and_qos_2_on_one_identifier(connect: Connector, watcher: RawClient) -> None:
    client = await connect()
    client.send(Publish("a", b"exactly once", 2, packet_id=3))
    assert await client.drain() == [PubRec(3)]
    client.send(PubRel(3))
    assert await client.drain() == [PubComp(3)]
    client.send(Publish("a", b"at least once", 1, packet_id=3))
    assert await client.drain() == [PubAck(3)]
    assert [(await watcher.expect_publish()).payload for _ in range(2)] == [b"exactly once", b"at least once"]


# 4.4


@pytest.mark.normative("MQTT-4.4.0-1", "MQTT-4.6.0-6", "MQTT-3.3.1-1")
async def test_everything_unacknowledged_returns_in_order_with_its_identifier(connect: Connector) -> None:
    client, publisher = await connect("c", clean_start=False), await connect()
    await client.subscribe("a", qos=2)
    for number in range(9):
        await publisher.publish("a", b"%d" % number, qos=1 + number % 2)
    sent = [await client.expect(Publish) for _ in range(9)]
    client.send(PubAck(identifier(sent[0])))
    for index in (1, 5):
        client.send(PubRec(identifier(sent[index])))
        await client.expect(PubRel)
    client.send(PubComp(identifier(sent[1])))
    assert await client.disconnect() == []
    await publisher.publish("a", b"9", qos=1)

    client = await connect("c", clean_start=False)
    again = await client.drain()
    assert [packet.packet_id for packet in again if isinstance(packet, PubRel)] == [sent[5].packet_id]
    messages = [packet for packet in again if isinstance(packet, Publish)]
    assert [(message.payload, message.packet_id, message.qos, message.dup) for message in messages[:-1]] == [
        (sent[index].payload, sent[index].packet_id, sent[index].qos, True) for index in (2, 3, 4, 6, 7, 8)
    ]
    assert (messages[-1].payload, messages[-1].dup) == (b"9", False)
    assert len(again) == 8


@pytest.mark.normative("MQTT-4.4.0-1")
async def test_a_clean_session_is_sent_nothing_again(connect: Connector) -> None:
    client, publisher = await connect("c", clean_start=False), await connect()
    await client.subscribe("a", qos=2)
    for qos in (1, 2):
        await publisher.publish("a", b"x", qos=qos)
        await client.expect(Publish)
    client = await connect("c", clean_start=True)
    await client.expect_silence()


# 4.5


@pytest.mark.normative("MQTT-4.5.0-1")
@pytest.mark.parametrize("qos", [1, 2], ids="QoS {}".format)
async def test_a_message_reaches_everybody_who_subscribed(connect: Connector, qos: int) -> None:
    here = [await connect(), await connect("kept", clean_start=False)]
    away = [await connect(f"away {number}", clean_start=False) for number in range(2)]
    for number, client in enumerate((*here, *away)):
        await client.subscribe(("a/b", "a/+", "#", "a/#")[number], qos=2)
    for client in away:
        await client.disconnect()
    publisher = await connect()
    await publisher.subscribe("a/b", qos=1)
    for _ in range(2):
        await publisher.publish("a/b", b"x", qos=qos)
    away = [await connect(f"away {number}", clean_start=False) for number in range(2)]
    for client in (*here, *away):
        for _ in range(2):
            message = await client.expect_publish()
            assert (message.payload, message.qos) == (b"x", qos)
        await client.expect_silence()
    assert [(await publisher.expect_publish()).qos for _ in range(2)] == [1, 1]


@pytest.mark.normative("MQTT-4.5.0-1")
async def test_a_subscriber_that_acknowledges_nothing_keeps_nobody_from_anything(connect: Connector) -> None:
    silent, client, publisher = await connect(), await connect(), await connect()
    await silent.subscribe("a", qos=1)
    await client.subscribe("a", qos=1)
    for number in range(100):
        await publisher.publish("a", b"%d" % number, qos=1)
        assert (await client.expect_publish()).payload == b"%d" % number
