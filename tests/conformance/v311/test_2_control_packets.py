"""Chapter 2: flags of the fixed header, and packet identifiers."""

from __future__ import annotations

import pytest

from mqttbroker.protocol import PubAck, PubComp, Publish, PubRec, PubRel, SubAck, UnsubAck
from tests.conformance.conftest import Connector, Opener
from tests.conformance.v311.handmade import (
    connect_packet,
    expect_rejected,
    field,
    packet,
    publish_packet,
    subscribe_packet,
    u16,
    unsubscribe_packet,
)
from tests.support.raw import RawClient


@pytest.mark.normative("MQTT-2.2.2-1")
async def test_the_server_sends_every_packet_with_the_flags_of_its_type(connect: Connector) -> None:
    client = await connect()
    first = {"CONNACK": client.last_bytes[0]}
    await client.subscribe("a", qos=2)
    first["SUBACK"] = client.last_bytes[0]
    await client.ping()
    first["PINGRESP"] = client.last_bytes[0]
    client.send(Publish("a", b"x", qos=1, packet_id=7))
    client.send(Publish("b", b"x", qos=2, packet_id=8))
    for name, kind in (("PUBLISH", Publish), ("PUBACK", PubAck), ("PUBREC", PubRec)):
        await client.expect(kind)
        first[name] = client.last_bytes[0]
    client.send(PubRel(8))
    await client.expect(PubComp)
    first["PUBCOMP"] = client.last_bytes[0]
    await client.publish("a", b"x", qos=2)
    message = await client.expect(Publish)
    first["PUBLISH at QoS 2"] = client.last_bytes[0]
    assert message.packet_id is not None
    client.send(PubRec(message.packet_id))
    await client.expect(PubRel)
    first["PUBREL"] = client.last_bytes[0]
    await client.unsubscribe("a")
    first["UNSUBACK"] = client.last_bytes[0]
    assert first == {
        "CONNACK": 0x20,
        "SUBACK": 0x90,
        "PINGRESP": 0xD0,
        "PUBLISH": 0x32,
        "PUBACK": 0x40,
        "PUBREC": 0x50,
        "PUBCOMP": 0x70,
        "PUBLISH at QoS 2": 0x34,
        "PUBREL": 0x62,
        "UNSUBACK": 0xB0,
    }


HARMLESS: dict[str, bytes] = {
    "PUBACK": packet(0x40, u16(1)),
    "PUBREC": packet(0x50, u16(1)),
    "PUBREL": packet(0x62, u16(1)),
    "PUBCOMP": packet(0x70, u16(1)),
    "SUBSCRIBE": subscribe_packet(1, ("a", 0)),
    "UNSUBSCRIBE": unsubscribe_packet(1, "a"),
    "PINGREQ": packet(0xC0),
    "DISCONNECT": packet(0xE0),
}
"""Packets to which the broker has no objection."""


@pytest.mark.normative("MQTT-2.2.2-2", "MQTT-3.6.1-1", "MQTT-3.8.1-1", "MQTT-3.10.1-1", "MQTT-3.14.1-1")
@pytest.mark.parametrize("right", HARMLESS.values(), ids=HARMLESS)
async def test_wrong_flags_end_the_connection_unanswered(connect: Connector, right: bytes) -> None:
    for flags in range(16):
        wrong = bytes((right[0] & 0xF0 | flags,)) + right[1:]
        if wrong != right:
            await expect_rejected(await connect(), wrong)
    client = await connect()
    client.send_bytes(right)
    if right[0] != 0xE0:
        await client.ping()


@pytest.mark.normative("MQTT-2.2.2-2")
async def test_wrong_flags_of_connect_end_the_connection_unanswered(open_client: Opener) -> None:
    right = connect_packet(field("c"))
    for flags in range(1, 16):
        await expect_rejected(await open_client(), bytes((0x10 | flags,)) + right[1:])


WITHOUT_IDENTIFIER: dict[str, bytes] = {
    "PUBLISH at QoS 1": publish_packet("a", b"x", first=0x32, packet_id=0),
    "PUBLISH at QoS 2": publish_packet("a", b"x", first=0x34, packet_id=0),
    "SUBSCRIBE": subscribe_packet(0, ("a", 0)),
    "UNSUBSCRIBE": unsubscribe_packet(0, "a"),
}


@pytest.mark.normative("MQTT-2.3.1-1")
@pytest.mark.parametrize("data", WITHOUT_IDENTIFIER.values(), ids=WITHOUT_IDENTIFIER)
async def test_packet_identifier_0_ends_the_connection(connect: Connector, watcher: RawClient, data: bytes) -> None:
    await expect_rejected(await connect(), data)
    # Once more from a client whose messages to this topic take the shortest way.
    client = await connect()
    for _ in range(2):
        await client.publish("a", b"x", qos=1)
        await watcher.expect_publish()
    await expect_rejected(client, data)
    await watcher.expect_silence()


@pytest.mark.normative("MQTT-2.3.1-1", "MQTT-2.3.1-4")
async def test_deliveries_get_unused_identifiers_that_return_with_them(connect: Connector) -> None:
    client = await connect("subscriber", clean_start=False)
    await client.subscribe("a", qos=2)
    publisher = await connect()
    for number in range(20):
        await publisher.publish("a", b"%d" % number, qos=1 + number % 2)
    first = [await client.expect(Publish) for _ in range(20)]
    identifiers = [message.packet_id for message in first]
    assert len(set(identifiers)) == 20
    assert all(identifiers)

    client.abort()
    client = await connect("subscriber", clean_start=False)
    again = [await client.expect(Publish) for _ in range(20)]
    assert [(message.payload, message.packet_id) for message in again] == [
        (message.payload, message.packet_id) for message in first
    ]
    for number in range(20):
        await publisher.publish("a", b"%d" % number, qos=1 + number % 2)
    fresh = {(await client.expect(Publish)).packet_id for _ in range(20)}
    assert len(fresh) == 20
    assert fresh.isdisjoint(identifiers)


@pytest.mark.normative("MQTT-2.3.1-4", "MQTT-4.3.2-1")
@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_an_identifier_in_use_is_left_out_when_all_others_have_been_used(connect: Connector) -> None:
    client, publisher = await connect(), await connect()
    await client.subscribe("a", qos=1)
    await publisher.publish("a", b"held", qos=1)
    held = await client.expect(Publish)
    done = 0
    while done < 65_536:
        batch = b"".join(publish_packet("a", b"x", first=0x32, packet_id=number) for number in range(1, 513))
        publisher.send_bytes(batch)
        acknowledgements = []
        for _ in range(512):
            message = await client.expect(Publish)
            assert message.packet_id
            assert message.packet_id != held.packet_id
            acknowledgements.append(packet(0x40, u16(message.packet_id)))
        client.send_bytes(b"".join(acknowledgements))
        await publisher.drain()
        done += 512


@pytest.mark.normative("MQTT-2.3.1-5")
async def test_a_message_at_qos_0_has_no_packet_identifier(connect: Connector) -> None:
    client, publisher = await connect(), await connect()
    await client.subscribe("t/0", qos=0)
    await client.subscribe("t/2", qos=2)
    for _ in range(2):
        await publisher.publish("t/0", b"\x00\x01payload", qos=2)
        await client.expect(Publish)
        assert client.last_bytes == publish_packet("t/0", b"\x00\x01payload")
        await publisher.publish("t/2", b"\x00\x01payload", qos=0)
        await client.expect(Publish)
        assert client.last_bytes == publish_packet("t/2", b"\x00\x01payload")


@pytest.mark.normative("MQTT-2.3.1-5")
async def test_bytes_after_the_topic_of_a_qos_0_message_are_payload(connect: Connector, watcher: RawClient) -> None:
    publisher = await connect()
    for payload in (b"", b"\x00", b"\x00\x00", b"\x00\x00x"):
        publisher.send_bytes(publish_packet("a", payload))
        assert (await watcher.expect(Publish)).payload == payload


@pytest.mark.normative("MQTT-2.3.1-6")
@pytest.mark.parametrize("packet_id", [1, 255, 256, 65_535], ids=str)
async def test_acknowledgements_have_the_identifier_of_the_message(connect: Connector, packet_id: int) -> None:
    client = await connect()
    for _ in range(2):
        client.send_bytes(publish_packet("a", b"x", first=0x32, packet_id=packet_id))
        await client.expect(PubAck)
        assert client.last_bytes == packet(0x40, u16(packet_id))
    client.send_bytes(publish_packet("a", b"x", first=0x34, packet_id=packet_id))
    await client.expect(PubRec)
    assert client.last_bytes == packet(0x50, u16(packet_id))
    client.send_bytes(packet(0x62, u16(packet_id)))
    await client.expect(PubComp)
    assert client.last_bytes == packet(0x70, u16(packet_id))


@pytest.mark.normative("MQTT-2.3.1-6")
async def test_pubrel_has_the_identifier_of_the_message_it_releases(connect: Connector) -> None:
    client, publisher = await connect(), await connect()
    await client.subscribe("a", qos=2)
    for number in range(3):
        await publisher.publish("a", b"%d" % number, qos=2)
    identifiers = [(await client.expect(Publish)).packet_id for _ in range(3)]
    for packet_id in (identifiers[1], identifiers[2], identifiers[0]):
        assert packet_id is not None
        client.send(PubRec(packet_id))
        await client.expect(PubRel)
        assert client.last_bytes == packet(0x62, u16(packet_id))


@pytest.mark.normative("MQTT-2.3.1-7", "MQTT-3.8.4-2", "MQTT-3.10.4-4")
async def test_answers_have_the_identifiers_of_the_requests(connect: Connector) -> None:
    client = await connect()
    client.send_bytes(
        subscribe_packet(65_535, ("a", 0))
        + unsubscribe_packet(258, "a")
        + subscribe_packet(1, ("b", 1))
        + unsubscribe_packet(32_768, "b")
    )
    answers = await client.drain()
    assert [(type(answer), answer.packet_id) for answer in answers if isinstance(answer, SubAck | UnsubAck)] == [
        (SubAck, 65_535),
        (UnsubAck, 258),
        (SubAck, 1),
        (UnsubAck, 32_768),
    ]
    assert len(answers) == 4
