"""Section 3.1: the form of CONNECT, client identifiers, and what the broker answers."""

from __future__ import annotations

import string

import pytest
from _pytest.mark import ParameterSet

from mqttbroker.protocol import ConnAck
from mqttbroker.testing.running import RunningBroker
from tests.conformance.conftest import Connector, Opener
from tests.conformance.v311.conftest import Doorkeeper
from tests.conformance.v311.handmade import (
    connect_packet,
    expect_end,
    expect_rejected,
    field,
    packet,
    publish_packet,
    subscribe_packet,
)
from tests.support.raw import RawClient

ACCEPTED = bytes.fromhex("20020000")
UNACCEPTABLE_VERSION = bytes.fromhex("20020001")
IDENTIFIER_REJECTED = bytes.fromhex("20020002")

WILL = (field("will/topic"), field("will message"))
NAMED = (field("ann"), field("secret"))


def parameter(name: str, *statements: str, data: bytes) -> ParameterSet:
    return pytest.param(data, marks=pytest.mark.normative(*statements), id=name)


async def expect_refused(client: RawClient, data: bytes, answer: bytes) -> None:
    """The broker answers a CONNECT with these bytes, and closes the connection."""
    client.send_bytes(data)
    await client.expect(ConnAck)
    assert client.last_bytes == answer
    await expect_end(client)


# 3.1.0


@pytest.mark.normative("MQTT-3.1.0-2")
@pytest.mark.parametrize("client_id", ["same", "other"])
async def test_a_second_connect_ends_the_connection(connect: Connector, watcher: RawClient, client_id: str) -> None:
    client = await connect("same")
    await client.subscribe("a", qos=1)
    await expect_rejected(client, connect_packet(field(client_id)) + publish_packet("a", b"x"))
    await watcher.expect_silence()


# 3.1.2


@pytest.mark.normative("MQTT-3.1.2-1")
@pytest.mark.parametrize("name", ["MQTX", "mqtt", "MQTT ", "MQT", "", "HTTP/1.1"], ids=lambda name: name or "empty")
async def test_another_protocol_is_not_served(open_client: Opener, watcher: RawClient, name: str) -> None:
    client = await open_client()
    await expect_rejected(client, connect_packet(field("c"), name=name) + publish_packet("a", b"x"))
    await watcher.expect_silence()


@pytest.mark.normative("MQTT-3.1.2-2", "MQTT-3.2.2-5")
@pytest.mark.parametrize("level", [0, 1, 2, 3, 6, 99, 0x84, 255], ids="level {}".format)
async def test_an_unknown_protocol_level_is_answered_with_1(open_client: Opener, level: int) -> None:
    await expect_refused(await open_client(), connect_packet(field("c"), level=level), UNACCEPTABLE_VERSION)


@pytest.mark.normative("MQTT-3.1.2-2")
async def test_what_follows_an_unknown_protocol_level_does_not_matter(open_client: Opener) -> None:
    data = packet(0x10, field("MQTT"), b"\x63", b"\xff" * 40)
    await expect_refused(await open_client(), data, UNACCEPTABLE_VERSION)


MALFORMED = [
    parameter("reserved flag", "MQTT-3.1.2-3", data=connect_packet(field("c"), flags=0x03)),
    parameter("will flag without fields", "MQTT-3.1.2-9", data=connect_packet(field("c"), flags=0x06)),
    parameter("will flag without message", "MQTT-3.1.2-9", data=connect_packet(field("c"), field("w"), flags=0x06)),
    parameter("will without flag", "MQTT-3.1.2-11", data=connect_packet(field("c"), *WILL)),
    parameter("will QoS 1 without flag", "MQTT-3.1.2-11", "MQTT-3.1.2-13", data=connect_packet(field("c"), flags=0x0A)),
    parameter("will QoS 2 without flag", "MQTT-3.1.2-11", "MQTT-3.1.2-13", data=connect_packet(field("c"), flags=0x12)),
    parameter("will QoS and fields without flag", "MQTT-3.1.2-13", data=connect_packet(field("c"), *WILL, flags=0x0A)),
    parameter("will QoS 3", "MQTT-3.1.2-14", data=connect_packet(field("c"), *WILL, flags=0x1E)),
    parameter("will QoS 3 without flag", "MQTT-3.1.2-13", data=connect_packet(field("c"), flags=0x1A)),
    parameter(
        "will retain without flag", "MQTT-3.1.2-11", "MQTT-3.1.2-15", data=connect_packet(field("c"), flags=0x22)
    ),
    parameter("user name without flag", "MQTT-3.1.2-18", data=connect_packet(field("c"), field("ann"))),
    parameter("user name missing", "MQTT-3.1.2-19", data=connect_packet(field("c"), flags=0x82)),
    parameter("password without flag", "MQTT-3.1.2-20", data=connect_packet(field("c"), *NAMED, flags=0x82)),
    parameter("password missing", "MQTT-3.1.2-21", data=connect_packet(field("c"), field("ann"), flags=0xC2)),
    parameter("password alone", "MQTT-3.1.2-22", data=connect_packet(field("c"), field("secret"), flags=0x42)),
    parameter("password flag alone, both", "MQTT-3.1.2-22", data=connect_packet(field("c"), *NAMED, flags=0x42)),
    parameter("no payload", "MQTT-3.1.3-3", "MQTT-3.1.4-1", data=connect_packet()),
    parameter("one byte too many", "MQTT-3.1.4-1", data=connect_packet(field("c"), b"\0")),
    parameter("client identifier longer than packet", "MQTT-3.1.4-1", data=connect_packet(b"\0\x05c")),
    parameter("empty", "MQTT-3.1.4-1", data=packet(0x10)),
]


@pytest.mark.parametrize("data", MALFORMED)
async def test_a_malformed_connect_ends_the_connection_unanswered(
    open_client: Opener, watcher: RawClient, data: bytes
) -> None:
    await expect_rejected(await open_client(), data)
    await watcher.expect_silence()


@pytest.mark.normative("MQTT-4.7.1-1", "MQTT-4.7.3-1", "MQTT-3.2.2-5")
@pytest.mark.parametrize("topic", ["", "#", "+", "a/#", "a/+/b", "a+"], ids=lambda topic: topic or "empty")
async def test_a_will_topic_that_no_message_can_have_is_refused(
    open_client: Opener, watcher: RawClient, topic: str
) -> None:
    client = await open_client()
    client.send_bytes(connect_packet(field("c"), field(topic), field("bye"), flags=0x06))
    # The standard lets a server choose whether it says so or closes in silence.
    answers = await client.expect_closed()
    assert all(isinstance(answer, ConnAck) and answer.reason_code for answer in answers)
    assert len(answers) <= 1
    await watcher.expect_silence()


@pytest.mark.normative("MQTT-3.1.4-1", "MQTT-3.1.3-1")
async def test_a_connect_that_stops_anywhere_ends_the_connection_unanswered(
    open_client: Opener, watcher: RawClient
) -> None:
    whole = field("MQTT") + b"\x04\xee" + b"\0\x3c" + b"".join((field("c"), *WILL, *NAMED))
    for size in range(len(whole)):
        await expect_rejected(await open_client(), packet(0x10, whole[:size]))
    client = await open_client()
    client.send_bytes(packet(0x10, whole))
    await client.expect(ConnAck)
    await watcher.expect_silence()


@pytest.mark.normative("MQTT-3.1.4-1", "MQTT-3.1.4-4")
async def test_a_connect_may_arrive_byte_by_byte(open_client: Opener) -> None:
    client = await open_client()
    for byte in connect_packet(field("c"), *WILL, *NAMED, flags=0xEE):
        client.send_bytes(bytes((byte,)))
        await client.flush()
    await client.expect(ConnAck)
    assert client.last_bytes == ACCEPTED


# 3.1.3


@pytest.mark.normative("MQTT-3.1.3-1", "MQTT-3.1.2-19", "MQTT-3.1.2-21")
async def test_every_field_of_the_payload_is_taken_for_what_it_is(
    open_client: Opener, connect: Connector, guarded: RunningBroker, doorkeeper: Doorkeeper
) -> None:
    watcher = await connect(broker=guarded)
    await watcher.subscribe("#", qos=2)
    client = await open_client(broker=guarded)
    client.send_bytes(connect_packet(field("id"), *WILL, *NAMED, flags=0xD6))
    await client.expect(ConnAck)
    assert client.last_bytes == ACCEPTED
    seen = doorkeeper.seen[-1]
    assert (seen.client_id, seen.username, seen.password) == ("id", "ann", b"secret")
    client.abort()
    will = await watcher.expect_publish()
    assert (will.topic, will.payload, will.qos) == ("will/topic", b"will message", 2)


@pytest.mark.normative("MQTT-3.1.3-1", "MQTT-3.1.2-18", "MQTT-3.1.2-20")
@pytest.mark.parametrize(
    ("flags", "fields", "expected"),
    [
        (0x02, (), (None, None)),
        (0x82, (field("ann"),), ("ann", None)),
        (0xC2, (field("ann"), field("secret")), ("ann", b"secret")),
        (0xC2, (field("ann"), field(b"\0\xff")), ("ann", b"\0\xff")),
        (0xC2, (field(""), field("")), ("", b"")),
        (0xC6, (*WILL, field("ann"), field("secret")), ("ann", b"secret")),
    ],
    ids=["neither", "user name alone", "both", "password of any bytes", "both empty", "behind a will"],
)
async def test_user_name_and_password_are_there_as_the_flags_say(
    open_client: Opener,
    guarded: RunningBroker,
    doorkeeper: Doorkeeper,
    flags: int,
    fields: tuple[bytes, ...],
    expected: tuple[str | None, bytes | None],
) -> None:
    client = await open_client(broker=guarded)
    client.send_bytes(connect_packet(field("c"), *fields, flags=flags))
    await client.expect(ConnAck)
    seen = doorkeeper.seen[-1]
    assert (seen.username, seen.password) == expected


ALPHABET = string.digits + string.ascii_lowercase + string.ascii_uppercase


@pytest.mark.normative("MQTT-3.1.3-5")
@pytest.mark.parametrize("broker", [{}, {"max_client_id_length": 23}], indirect=True, ids=["default", "short"])
async def test_client_identifiers_that_every_server_accepts(open_client: Opener, broker: RunningBroker) -> None:
    identifiers = [*ALPHABET, *(ALPHABET[start : start + 23] for start in (0, 23, 39)), "Z" * 23]
    for client_id in identifiers:
        for flags in (0x02, 0x00):
            client = await open_client()
            client.send_bytes(connect_packet(field(client_id), flags=flags))
            await client.expect(ConnAck)
            assert client.last_bytes == ACCEPTED
            await client.close()


@pytest.mark.normative("MQTT-3.1.3-6")
async def test_clients_without_an_identifier_get_one_each(open_client: Opener) -> None:
    clients = [await open_client() for _ in range(3)]
    for client in clients:
        client.send_bytes(connect_packet(field("")))
        await client.expect(ConnAck)
        assert client.last_bytes == ACCEPTED
    for number, client in enumerate(clients):
        await client.subscribe(f"to/{number}", qos=1)
    for number, client in enumerate(clients):
        await clients[number - 1].publish(f"to/{number}", b"%d" % number, qos=1)
        assert (await client.expect_publish()).payload == b"%d" % number
    for client in clients:
        await client.expect_silence()


@pytest.mark.normative("MQTT-3.1.3-8", "MQTT-3.2.2-5")
@pytest.mark.parametrize(
    "data",
    [
        connect_packet(field(""), flags=0x00),
        connect_packet(field(""), *WILL, flags=0x04),
        connect_packet(field(""), *NAMED, flags=0xC0),
    ],
    ids=["alone", "with a will", "with a user name"],
)
async def test_a_session_to_be_kept_needs_a_client_identifier(
    open_client: Opener, watcher: RawClient, data: bytes
) -> None:
    await expect_refused(await open_client(), data, IDENTIFIER_REJECTED)
    await watcher.expect_silence()


@pytest.mark.normative("MQTT-3.1.3-9", "MQTT-3.2.2-5")
@pytest.mark.parametrize("broker", [{"max_client_id_length": 23}], indirect=True, ids=["at most 23 bytes"])
@pytest.mark.parametrize("client_id", ["a" * 24, "é" * 12, "a" * 65_535], ids=["24", "24 of UTF-8", "65535"])
async def test_a_client_identifier_that_is_too_long_is_answered_with_2(
    open_client: Opener, broker: RunningBroker, client_id: str
) -> None:
    await expect_refused(await open_client(), connect_packet(field(client_id)), IDENTIFIER_REJECTED)


# 3.1.4


@pytest.mark.normative("MQTT-3.1.4-2")
@pytest.mark.parametrize("first_clean", [True, False], ids=["first is clean", "first is kept"])
@pytest.mark.parametrize("second_clean", [True, False], ids=["second is clean", "second is kept"])
async def test_a_client_identifier_is_taken_over(connect: Connector, first_clean: bool, second_clean: bool) -> None:
    first = await connect("same", clean_start=first_clean)
    await first.subscribe("a")
    bystander = await connect("Same")
    second = await connect("same", clean_start=second_clean)
    await expect_end(first)
    await second.subscribe("b", qos=1)
    await bystander.publish("b", b"x", qos=1)
    await second.expect_publish()
    await bystander.expect_silence()


@pytest.mark.normative("MQTT-3.1.4-4")
async def test_a_good_connect_is_answered_with_0(open_client: Opener) -> None:
    client = await open_client()
    client.send_bytes(connect_packet(field("c")))
    await client.expect(ConnAck)
    assert client.last_bytes == ACCEPTED
    await client.ping()


PIPELINED = (
    publish_packet("a", b"stored", first=0x31)
    + publish_packet("a", b"stored", first=0x33, packet_id=1)
    + publish_packet("a", b"stored", first=0x35, packet_id=2)
    + subscribe_packet(3, ("#", 0))
    + packet(0xC0)
)


@pytest.mark.normative("MQTT-3.1.4-5")
@pytest.mark.parametrize(
    ("data", "answer"),
    [
        (connect_packet(field("c"), flags=0x03), b""),
        (connect_packet(field("c"), level=99), UNACCEPTABLE_VERSION),
        (connect_packet(field(""), flags=0x00), IDENTIFIER_REJECTED),
        (connect_packet(field("c"), field("bob"), field("?"), flags=0xC2), bytes.fromhex("20020004")),
        (connect_packet(field("c"), field("NOT_AUTHORIZED"), field("?"), flags=0xC2), bytes.fromhex("20020005")),
    ],
    ids=["malformed", "unknown level", "no identifier", "wrong password", "not authorised"],
)
async def test_nothing_behind_a_rejected_connect_is_processed(
    open_client: Opener, connect: Connector, guarded: RunningBroker, data: bytes, answer: bytes
) -> None:
    watcher = await connect(broker=guarded)
    await watcher.subscribe("#", qos=2)
    client = await open_client(broker=guarded)
    client.send_bytes(data + PIPELINED)
    if answer:
        await client.expect(ConnAck)
        assert client.last_bytes == answer
    await expect_end(client)
    await watcher.expect_silence()
    late = await connect(broker=guarded)
    await late.subscribe("#", qos=2)
    await late.expect_silence()


@pytest.mark.normative("MQTT-3.1.4-4")
async def test_packets_behind_an_accepted_connect_are_processed(connect: Connector, open_client: Opener) -> None:
    client = await open_client()
    client.send_bytes(connect_packet(field("c")) + subscribe_packet(1, ("a", 0)) + publish_packet("a", b"x"))
    await client.expect(ConnAck)
    kinds = [type(packet).__name__ for packet in await client.drain()]
    assert kinds == ["SubAck", "Publish"]
