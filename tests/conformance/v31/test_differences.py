"""MQTT 3.1: protocol name and level, client identifiers, DUP where 3.1.1 has reserved flags, CONNACK and SUBACK.

Everything else is as in 3.1.1, and is tested there.
"""

from __future__ import annotations

import pytest

from mqttbroker.protocol import ConnAck, ProtocolVersion, PubComp, Publish, PubRec, SubAck, UnsubAck, Will
from mqttbroker.testing.plugin import BrokerFactory
from mqttbroker.testing.running import RunningBroker
from tests.conformance.conftest import Connector, Opener
from tests.conformance.v311.conftest import Secrets
from tests.conformance.v311.handmade import (
    connect_packet,
    expect_end,
    expect_rejected,
    field,
    packet,
    publish_packet,
    subscribe_packet,
    u16,
    unsubscribe_packet,
)
from tests.support.raw import RawClient

ACCEPTED = bytes.fromhex("20020000")


def connect_31(*payload: bytes, level: int = 3, flags: int = 0x02) -> bytes:
    """A CONNECT of MQTT 3.1."""
    return connect_packet(*payload, name="MQIsdp", level=level, flags=flags)


async def expect_answer(client: RawClient, data: bytes, answer: bytes) -> None:
    """The broker answers a CONNECT with these bytes, and closes the connection if they are a refusal."""
    client.send_bytes(data)
    await client.expect(ConnAck)
    assert client.last_bytes == answer
    if answer[3]:
        await expect_end(client)


# Protocol name and level


async def test_mqisdp_at_level_3_is_served(open_client: Opener) -> None:
    client = await open_client()
    await expect_answer(client, connect_31(field("c")), ACCEPTED)
    await client.subscribe("a", qos=2)
    await client.publish("a", b"x", qos=2)
    assert (await client.expect_publish()).qos == 2


@pytest.mark.parametrize(
    ("name", "level"),
    [("MQIsdp", 0), ("MQIsdp", 2), ("MQIsdp", 4), ("MQIsdp", 5), ("MQIsdp", 255), ("MQTT", 3)],
    ids=lambda value: str(value),
)
async def test_a_level_that_the_name_does_not_have_is_answered_with_1(
    open_client: Opener, name: str, level: int
) -> None:
    data = connect_packet(field("c"), name=name, level=level)
    await expect_answer(await open_client(), data, bytes.fromhex("20020001"))


@pytest.mark.parametrize("name", ["mqisdp", "MQIsd", "MQIsdpx"])
async def test_a_name_that_is_almost_right_is_not_served(open_client: Opener, name: str) -> None:
    await expect_rejected(await open_client(), connect_packet(field("c"), name=name, level=3))


# Client identifiers


@pytest.mark.parametrize("flags", [0x02, 0x00], ids=["clean", "kept"])
async def test_an_empty_client_identifier_is_answered_with_2(open_client: Opener, flags: int) -> None:
    await expect_answer(await open_client(), connect_31(field(""), flags=flags), bytes.fromhex("20020002"))


@pytest.mark.parametrize("length", [1, 23], ids="{} bytes".format)
async def test_client_identifiers_of_1_to_23_characters_are_served(open_client: Opener, length: int) -> None:
    await expect_answer(await open_client(), connect_31(field("c" * length)), ACCEPTED)


async def test_a_longer_client_identifier_is_served_too(open_client: Opener) -> None:
    """3.1 ends at 23 characters. Clients in use do not, and other brokers let them, so this one does."""
    await expect_answer(await open_client(), connect_31(field("c" * 24)), ACCEPTED)


@pytest.mark.parametrize("broker", [{"max_client_id_length": 23}], indirect=True, ids=["as 3.1 has it"])
async def test_the_limit_of_3_1_can_be_set(open_client: Opener, broker: RunningBroker) -> None:
    await expect_answer(await open_client(), connect_31(field("c" * 23)), ACCEPTED)
    await expect_answer(await open_client(), connect_31(field("c" * 24)), bytes.fromhex("20020002"))


# Payload of CONNECT


@pytest.mark.parametrize(
    ("flags", "payload"),
    [(0x82, ()), (0xC2, ()), (0xC2, (field("ann"),))],
    ids=["no user name", "neither", "no password"],
)
async def test_the_length_of_connect_overrules_its_user_name_and_password_flags(
    open_client: Opener, flags: int, payload: tuple[bytes, ...]
) -> None:
    await expect_answer(await open_client(), connect_31(field("c"), *payload, flags=flags), ACCEPTED)


@pytest.mark.parametrize(
    "data",
    [
        connect_31(field("c"), flags=0x06),
        connect_31(field("c"), flags=0x03),
        connect_31(field("c"), field("w"), field("bye"), flags=0x1E),
        connect_31(),
        connect_31(field("c"), b"\0"),
    ],
    ids=["no will", "reserved flag", "will QoS 3", "no client identifier", "a byte too many"],
)
async def test_what_else_is_malformed_ends_the_connection_unanswered(open_client: Opener, data: bytes) -> None:
    await expect_rejected(await open_client(), data)


# CONNACK


@pytest.mark.parametrize("before", [ProtocolVersion.V31, ProtocolVersion.V311], ids=lambda version: version.name)
async def test_connack_has_no_session_present(connect: Connector, before: ProtocolVersion) -> None:
    client = await connect("c", version=before, clean_start=False)
    await client.subscribe("a", qos=1)
    await client.disconnect()
    publisher = await connect()
    await publisher.publish("a", b"x", qos=1)
    client = await connect("c", clean_start=False)
    assert client.last_bytes == ACCEPTED
    message = await client.expect_publish()  # The session is there all the same.
    assert message.payload == b"x"
    client = await connect("c", version=ProtocolVersion.V311, clean_start=False)
    assert client.last_bytes == bytes.fromhex("20020100")


# DUP in the fixed header


async def test_subscribe_unsubscribe_and_pubrel_may_have_dup(connect: Connector) -> None:
    client, watcher = await connect(), await connect()
    await watcher.subscribe("a", qos=2)
    client.send_bytes(subscribe_packet(1, ("b", 1), first=0x8A))
    await client.expect(SubAck)
    assert client.last_bytes == packet(0x90, u16(1), b"\x01")
    client.send_bytes(unsubscribe_packet(2, "b", first=0xAA))
    await client.expect(UnsubAck)
    assert client.last_bytes == packet(0xB0, u16(2))
    for _ in range(2):
        client.send_bytes(publish_packet("a", b"x", first=0x34, packet_id=3))
        await client.expect(PubRec)
        client.send_bytes(packet(0x6A, u16(3)))
        await client.expect(PubComp)
        assert client.last_bytes == packet(0x70, u16(3))
        assert (await watcher.expect_publish()).payload == b"x"


@pytest.mark.parametrize(
    "right",
    [subscribe_packet(1, ("b", 1)), unsubscribe_packet(2, "b"), packet(0x62, u16(3))],
    ids=["SUBSCRIBE", "UNSUBSCRIBE", "PUBREL"],
)
async def test_other_flags_end_the_connection(connect: Connector, right: bytes) -> None:
    for flags in set(range(16)) - {0x2, 0xA}:
        await expect_rejected(await connect(), bytes((right[0] & 0xF0 | flags,)) + right[1:])


@pytest.mark.parametrize(
    "data",
    [packet(0xC8), packet(0xE8), packet(0x48, u16(1)), packet(0x58, u16(1)), packet(0x78, u16(1))],
    ids=["PINGREQ", "DISCONNECT", "PUBACK", "PUBREC", "PUBCOMP"],
)
async def test_no_other_packet_has_dup(connect: Connector, data: bytes) -> None:
    await expect_rejected(await connect(), data)


# SUBACK


async def test_suback_has_no_code_for_a_refusal(connect: Connector, mqtt_broker_factory: BrokerFactory) -> None:
    """A server that does not allow a subscription has no way to say so: it acknowledges it, and sends nothing."""
    broker = mqtt_broker_factory(authorizer=Secrets(), max_subscriptions=2)
    client = await connect(broker=broker)
    client.send_bytes(subscribe_packet(1, ("secret", 2), ("a", 1), ("b#", 0), ("b", 0), ("one/too/many", 1)))
    await client.expect(SubAck)
    assert client.last_bytes == packet(0x90, u16(1), b"\x02\x01\x00\x00\x01")
    publisher = await connect(broker=broker)
    for topic in ("secret", "b", "one/too/many", "a"):
        await publisher.publish(topic, b"x", qos=1)
    assert [(await client.expect_publish()).topic for _ in range(2)] == ["b", "a"]
    await client.expect_silence()


@pytest.mark.parametrize("broker", [{"max_qos": 1}], indirect=True, ids=["QoS up to 1"])
async def test_suback_has_the_qos_that_was_granted(connect: Connector, broker: RunningBroker) -> None:
    client = await connect()
    client.send_bytes(subscribe_packet(1, ("a", 2), ("b", 1), ("c", 0)))
    await client.expect(SubAck)
    assert client.last_bytes == packet(0x90, u16(1), b"\x01\x01\x00")


# Among versions


@pytest.mark.parametrize("other", [ProtocolVersion.V311, ProtocolVersion.V5], ids=lambda version: version.name)
async def test_messages_cross_between_versions(connect: Connector, other: ProtocolVersion) -> None:
    old, new = await connect(will=Will("will", b"bye", 1)), await connect(version=other)
    await old.subscribe("#", qos=2)
    await new.subscribe("#", qos=2)
    for sender in (old, new):
        for qos in (0, 1, 2):
            await sender.publish("a", b"x", qos=qos)
            for receiver in (old, new):
                message = await receiver.expect_publish()
                assert (message.topic, message.payload, message.qos) == ("a", b"x", qos)
    old.abort()
    assert (await new.expect_publish()).topic == "will"


async def test_an_unacknowledged_message_returns_with_dup(connect: Connector) -> None:
    client, publisher = await connect("c", clean_start=False), await connect()
    await client.subscribe("a", qos=1)
    await publisher.publish("a", b"x", qos=1)
    message = await client.expect(Publish)
    client.abort()
    client = await connect("c", clean_start=False)
    again = await client.expect(Publish)
    assert (again.packet_id, again.dup, message.dup) == (message.packet_id, True, False)
