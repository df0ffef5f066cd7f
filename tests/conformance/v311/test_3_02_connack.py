"""Section 3.2: CONNACK."""

from __future__ import annotations

import pytest

from mqttbroker.protocol import LEGAL, ConnAck, PacketType, Publish, ReasonCode
from mqttbroker.testing.running import RunningBroker
from tests.conformance.conftest import Connector, Opener
from tests.conformance.v311.handmade import connect_packet, expect_end, field


@pytest.mark.normative("MQTT-3.2.0-1")
@pytest.mark.parametrize("qos", [1, 2], ids="QoS {}".format)
async def test_connack_comes_before_what_was_queued(connect: Connector, qos: int) -> None:
    client = await connect("c", clean_start=False)
    await client.subscribe("a", qos=qos)
    publisher = await connect()
    await publisher.publish("a", b"in flight", qos=qos)
    await client.expect(Publish)
    client.abort()
    for number in range(50):
        await publisher.publish("a", b"%d" % number, qos=qos)
    client = await connect("c", clean_start=False)  # Its first packet must be the CONNACK.
    payloads = [packet.payload for packet in await client.drain() if isinstance(packet, Publish)]
    assert payloads == [b"in flight", *(b"%d" % number for number in range(50))]


@pytest.mark.normative("MQTT-3.2.0-1")
async def test_connack_comes_before_messages_that_arrive_during_a_takeover(
    connect: Connector, open_client: Opener
) -> None:
    await (await connect("c", clean_start=False)).subscribe("a", qos=1)
    publisher = await connect()
    for number in range(20):
        client = await open_client()
        publisher.send(Publish("a", b"%d" % number, qos=1, packet_id=number + 1))
        await client.connect("c", clean_start=False)  # Its first packet must be the CONNACK.
        publisher.send(Publish("a", b"%d" % number, qos=1, packet_id=number + 1001))


FRESH = bytes.fromhex("20020000")
PRESENT = bytes.fromhex("20020100")


@pytest.mark.normative("MQTT-3.2.2-1", "MQTT-3.2.2-2", "MQTT-3.2.2-3")
async def test_session_present(connect: Connector) -> None:
    expected = [
        (False, FRESH),
        (False, PRESENT),
        (False, PRESENT),
        (True, FRESH),
        (True, FRESH),
        (False, FRESH),
        (False, PRESENT),
        (True, FRESH),
        (False, FRESH),
    ]
    for clean, connack in expected:
        client = await connect("c", clean_start=clean)
        assert client.last_bytes == connack
        await client.disconnect()


@pytest.mark.normative("MQTT-3.2.2-1", "MQTT-3.2.2-2", "MQTT-3.2.2-3")
async def test_session_present_where_a_connection_is_taken_over(connect: Connector) -> None:
    for clean, connack in [(False, FRESH), (False, PRESENT), (True, FRESH), (False, FRESH), (False, PRESENT)]:
        assert (await connect("c", clean_start=clean)).last_bytes == connack


@pytest.mark.normative("MQTT-3.2.2-4", "MQTT-3.2.2-5")
@pytest.mark.parametrize(
    ("data", "code"),
    [
        (connect_packet(field("c"), level=99, flags=0x00), 1),
        (connect_packet(field("c" * 65_535), flags=0x00), 2),
        (connect_packet(field("c"), field("SERVER_UNAVAILABLE"), flags=0x80), 3),
        (connect_packet(field("c"), field("bob"), field("secret"), flags=0xC0), 4),
        (connect_packet(field("c"), field("ann"), field("wrong"), flags=0xC0), 4),
        (connect_packet(field("c"), field("NOT_AUTHORIZED"), flags=0x80), 5),
        (connect_packet(field("c"), field("ann"), field("secret"), flags=0xC0), 5),
    ],
    ids=["level", "identifier", "unavailable", "user name", "password", "not authorised", "another user's session"],
)
async def test_a_refusal_has_its_return_code_and_no_session_present(
    connect: Connector, open_client: Opener, guarded: RunningBroker, data: bytes, code: int
) -> None:
    kept = await connect("c", clean_start=False, broker=guarded)
    await kept.subscribe("a", qos=1)
    await kept.disconnect()
    client = await open_client(broker=guarded)
    client.send_bytes(data)
    await client.expect(ConnAck)
    assert client.last_bytes == bytes((0x20, 2, 0, code))
    await expect_end(client)
    # The refusal has not touched the session.
    kept = await connect("c", clean_start=False, broker=guarded)
    assert kept.last_bytes == PRESENT


@pytest.mark.normative("MQTT-3.2.2-6", "MQTT-3.2.2-4", "MQTT-3.2.2-5")
@pytest.mark.parametrize("reason", sorted(LEGAL[PacketType.CONNACK] - {ReasonCode.SUCCESS}), ids=lambda code: code.name)
async def test_every_refusal_is_one_of_the_five_or_silence(
    connect: Connector, open_client: Opener, guarded: RunningBroker, reason: ReasonCode
) -> None:
    await (await connect("c", clean_start=False, broker=guarded)).disconnect()
    client = await open_client(broker=guarded)
    client.send_bytes(connect_packet(field("c"), field(reason.name), flags=0x80))
    answers = await client.expect_closed()  # The client finds fault with a return code above 5.
    assert len(answers) <= 1
    for answer in answers:
        assert isinstance(answer, ConnAck)
        assert answer.reason_code
        assert not answer.session_present
