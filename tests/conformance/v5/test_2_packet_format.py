"""MQTT 5.0 chapter 2: header flags, packet identifiers, the property length."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from mqttbroker.protocol import (
    ConnAck,
    Disconnect,
    Packet,
    PingReq,
    PingResp,
    PubAck,
    PubComp,
    Publish,
    PubRec,
    PubRel,
    ReasonCode,
    SubAck,
    Subscribe,
    SubscriptionRequest,
    UnsubAck,
    Unsubscribe,
)
from tests.conformance.conftest import Connector, Opener
from tests.conformance.wire import (
    MALFORMED,
    connect_packet,
    expect_disconnect,
    packet,
    prefixed,
    publish_packet,
    subscribe_packet,
)
from tests.support.raw import RawClient

BODIES = {
    "PUBACK": (0x40, b"\x00\x01"),
    "PUBREC": (0x50, b"\x00\x01"),
    "PUBREL": (0x62, b"\x00\x01"),
    "PUBCOMP": (0x70, b"\x00\x01"),
    "SUBSCRIBE": (0x82, subscribe_packet("a")[2:]),
    "UNSUBSCRIBE": (0xA2, b"\x00\x01\x00" + prefixed("a")),
    "PINGREQ": (0xC0, b""),
    "DISCONNECT": (0xE0, b""),
    "AUTH": (0xF0, b""),
}
WRONG = [
    pytest.param(first & 0xF0 | flags, body, id=f"{name} {flags:04b}")
    for name, (first, body) in BODIES.items()
    for flags in range(16)
    if flags != first & 0x0F
]


@pytest.mark.normative("MQTT-2.1.3-1")
@pytest.mark.parametrize(("first", "body"), WRONG)
async def test_reserved_flags_close_the_connection(connect: Connector, first: int, body: bytes) -> None:
    client = await connect()
    client.send_bytes(packet(first, body))
    await expect_disconnect(client, MALFORMED)


@pytest.mark.normative("MQTT-2.1.3-1")
@pytest.mark.parametrize("flags", range(1, 16), ids="{:04b}".format)
async def test_a_connect_with_reserved_flags_is_not_accepted(open_client: Opener, flags: int) -> None:
    client = await open_client()
    client.send_bytes(connect_packet(prefixed("c"), first=0x10 | flags))
    # What the version is may be unknown when the first byte alone is refused, so there may be no answer.
    for answer in await client.expect_closed():
        assert isinstance(answer, ConnAck)
        assert answer.reason_code in (MALFORMED, ReasonCode.PROTOCOL_ERROR)


@dataclass
class Sent:
    """Everything that a broker sends in one life of a client, one packet of each type, as bytes by its type."""

    raw: dict[type[Packet], bytes] = field(default_factory=dict)

    async def note(self, client: RawClient, count: int = 1) -> Packet:
        """Take packets and keep their bytes; the last is returned."""
        for _ in range(count):
            received = await client.receive()
            self.raw[type(received)] = client.last_bytes
        return received


async def everything(connect: Connector) -> Sent:
    """Make a broker send each packet type but AUTH."""
    sent = Sent()
    client = await connect()
    sent.raw[ConnAck] = client.last_bytes
    client.send(Subscribe(1, (SubscriptionRequest("a", 2),)))
    await sent.note(client)
    client.send(Publish("b", b"1", 1, packet_id=1))
    await sent.note(client)
    client.send(Publish("a", b"2", 2, packet_id=2))
    await sent.note(client, 2)
    client.send(PubRec(1))
    await sent.note(client)
    client.send(PubComp(1))
    client.send(PubRel(2))
    await sent.note(client)
    client.send(Unsubscribe(3, ("a",)))
    await sent.note(client)
    client.send(PingReq())
    await sent.note(client)
    await connect(client.client_id)
    await sent.note(client)
    return sent


@pytest.mark.normative("MQTT-2.1.3-1")
async def test_flags_of_what_the_broker_sends(connect: Connector) -> None:
    sent = await everything(connect)
    assert {kind: raw[0] for kind, raw in sent.raw.items()} == {
        ConnAck: 0x20,
        Publish: 0x34,
        PubAck: 0x40,
        PubRec: 0x50,
        PubRel: 0x62,
        PubComp: 0x70,
        SubAck: 0x90,
        UnsubAck: 0xB0,
        PingResp: 0xD0,
        Disconnect: 0xE0,
    }


@pytest.mark.normative("MQTT-2.2.2-1")
async def test_an_empty_property_list_has_length_zero(connect: Connector) -> None:
    sent = await everything(connect)
    assert sent.raw[Publish] == publish_packet("a", b"2", first=0x34, packet_id=1)
    assert sent.raw[SubAck] == packet(0x90, b"\x00\x01\x00\x02")
    assert sent.raw[UnsubAck] == packet(0xB0, b"\x00\x03\x00\x00")
    # Section 3.4.2.2.1 and its like: without a reason code there is no property length, and with 0x00 need not be.
    for kind, first, number in (PubRec, 0x50, b"\x00\x02"), (PubRel, 0x62, b"\x00\x01"), (PubComp, 0x70, b"\x00\x02"):
        assert sent.raw[kind] in (packet(first, number), packet(first, number + b"\x00\x00"))
    assert sent.raw[PubAck] in (packet(0x40, b"\x00\x01\x10"), packet(0x40, b"\x00\x01\x10\x00"))


@pytest.mark.normative("MQTT-2.2.2-1")
async def test_a_refusal_without_properties_has_length_zero(open_client: Opener) -> None:
    client = await open_client()
    quiet = b"\x17\x00"  # Request Problem Information 0.
    client.send_bytes(connect_packet(prefixed("c" * 2_000), properties=quiet))
    await client.expect(ConnAck)
    assert client.last_bytes == packet(0x20, b"\x00\x85\x00")
    assert await client.expect_closed() == []


@pytest.mark.normative("MQTT-2.2.1-2")
async def test_a_qos_0_delivery_has_no_packet_identifier(connect: Connector) -> None:
    publisher, subscriber = await connect(), await connect()
    await subscriber.subscribe("a", qos=2)
    for qos in (0, 1, 2):
        await publisher.subscribe(f"granted/{qos}", qos=0)
    await publisher.publish("a", b"known")
    await publisher.publish("a", b"plain")
    await publisher.publish("a", b"kept", retain=True)
    for payload in (b"known", b"plain", b"kept"):
        await subscriber.expect_publish()
        assert subscriber.last_bytes == publish_packet("a", payload)
    for qos in (0, 1, 2):
        # A message of any QoS to a subscription of QoS 0.
        await subscriber.publish(f"granted/{qos}", b"p", qos=qos)
        await publisher.expect_publish()
        assert publisher.last_bytes == publish_packet(f"granted/{qos}", b"p")
    late = await connect()
    await late.subscribe("a", qos=2)
    await late.expect_publish()
    assert late.last_bytes == publish_packet("a", b"kept", first=0x31)


@pytest.mark.normative("MQTT-2.2.1-3")
@pytest.mark.parametrize(
    "data",
    [
        publish_packet("a", first=0x32, packet_id=0),
        publish_packet("a", first=0x34, packet_id=0),
        subscribe_packet("a", packet_id=0),
        packet(0xA2, b"\x00\x00\x00" + prefixed("a")),
    ],
    ids=["PUBLISH QoS 1", "PUBLISH QoS 2", "SUBSCRIBE", "UNSUBSCRIBE"],
)
async def test_packet_identifier_zero_closes_the_connection(connect: Connector, data: bytes) -> None:
    client = await connect()
    await client.publish("a", b"known", qos=1)
    client.send_bytes(data)
    await expect_disconnect(client, ReasonCode.PROTOCOL_ERROR)


@pytest.mark.normative("MQTT-2.2.1-4")
@pytest.mark.parametrize("qos", [1, 2], ids="QoS {}".format)
async def test_identifiers_of_unacknowledged_deliveries_differ(connect: Connector, qos: int) -> None:
    publisher, subscriber = await connect(), await connect()
    await subscriber.subscribe("a", qos=qos)
    await subscriber.publish("a", b"first", qos=qos)
    kept = await subscriber.expect(Publish)
    used = {kept.packet_id}
    for number in range(20):
        await publisher.publish("a", b"%d" % number, qos=qos)
        delivery = await subscriber.expect(Publish)
        assert delivery.packet_id
        assert delivery.packet_id not in used
        if number % 2:
            await subscriber.ack(delivery)
        else:
            used.add(delivery.packet_id)
    await subscriber.expect_silence()


@pytest.mark.normative("MQTT-2.2.1-4")
async def test_identifiers_wrap_around_those_in_flight(connect: Connector) -> None:
    publisher, subscriber = await connect(), await connect()
    await subscriber.subscribe("a", qos=1)
    await publisher.publish("a", b"held", qos=1)
    held = await subscriber.expect(Publish)
    last = held.packet_id
    round_trips = 1_000
    one = publish_packet("a", b"x", first=0x32, packet_id=1)
    for _ in range(66):  # 66 000 deliveries, more than there are identifiers.
        publisher.send_bytes(one * round_trips)
        acknowledgements = bytearray()
        for _ in range(round_trips):
            delivery = await subscriber.expect(Publish)
            assert delivery.packet_id not in (None, 0, held.packet_id)
            last = delivery.packet_id
            acknowledgements += b"\x40\x02" + (last or 0).to_bytes(2, "big")
        subscriber.send_bytes(bytes(acknowledgements))
        await subscriber.expect_silence()
        await publisher.drain()
    assert last is not None and held.packet_id is not None and last < 1_000


@pytest.mark.normative("MQTT-2.2.1-5", "MQTT-2.2.1-6")
@pytest.mark.parametrize("number", [1, 255, 256, 0x7FFF, 0xFFFF])
async def test_answers_repeat_the_packet_identifier(connect: Connector, number: int) -> None:
    client = await connect()
    for _ in range(2):  # The second time the topic is known.
        client.send(Publish("a", b"x", 1, packet_id=number))
        assert (await client.expect(PubAck)).packet_id == number
    client.send(Publish("a", b"x", 2, packet_id=number))
    assert (await client.expect(PubRec)).packet_id == number
    client.send(PubRel(number))
    assert (await client.expect(PubComp)).packet_id == number
    client.send(Subscribe(number, (SubscriptionRequest("a", 2),)))
    assert (await client.expect(SubAck)).packet_id == number
    client.send(Unsubscribe(number, ("a",)))
    assert (await client.expect(UnsubAck)).packet_id == number
    await client.expect_silence()


@pytest.mark.normative("MQTT-2.2.1-5")
async def test_the_release_of_a_delivery_repeats_its_identifier(connect: Connector) -> None:
    publisher, subscriber = await connect(), await connect()
    await subscriber.subscribe("a", qos=2)
    for _ in range(3):
        await publisher.publish("a", b"x", qos=2)
    numbers = [(await subscriber.expect(Publish)).packet_id for _ in range(3)]
    for number in reversed(numbers):
        assert number is not None
        subscriber.send(PubRec(number))
        assert (await subscriber.expect(PubRel)).packet_id == number
