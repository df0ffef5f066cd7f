"""MQTT 5.0 section 4.9: Receive Maximum, in both directions."""

from __future__ import annotations

import pytest

from mqttbroker.protocol import (
    PingResp,
    Properties,
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
from mqttbroker.testing.plugin import BrokerFactory
from tests.conformance.conftest import Connector
from tests.conformance.wire import PINGREQ, expect_disconnect, publish_packet
from tests.support.raw import RawClient


def limited(maximum: int) -> Properties:
    """A session that is kept, and a Receive Maximum."""
    return Properties(receive_maximum=maximum, session_expiry_interval=3_600)


async def arrivals(client: RawClient) -> list[Publish]:
    """The messages that the broker has sent so far."""
    await client.ping()
    return [each for each in await client.drain() if isinstance(each, Publish)]


@pytest.mark.normative("MQTT-4.9.0-1", "MQTT-4.9.0-2")
@pytest.mark.parametrize("maximum", [1, 2, 7, 50])
@pytest.mark.parametrize("qos", [1, 2, 0], ids=["QoS 1", "QoS 2", "both"])
async def test_no_more_than_receive_maximum_are_in_flight(connect: Connector, maximum: int, qos: int) -> None:
    publisher, client = await connect(), await connect(properties=limited(maximum))
    await client.subscribe("a", qos=2)
    total = 2 * maximum + 5
    for number in range(total):
        await publisher.publish("a", b"%d" % number, qos=qos or number % 2 + 1)
        await publisher.publish("a", b"free", qos=0)  # QoS 0 is not held back.
    first = await arrivals(client)
    assert len([each for each in first if each.qos == 0]) == total
    waiting = [each for each in first if each.qos]
    assert [each.payload for each in waiting] == [b"%d" % number for number in range(maximum)]
    seen = len(waiting)
    while waiting:
        # Each acknowledgement lets one message pass, and no more.
        delivery = waiting.pop(0)
        assert delivery.packet_id is not None
        if delivery.qos == 1:
            client.send(PubAck(delivery.packet_id))
        else:
            client.send(PubRec(delivery.packet_id))
            assert await client.drain() == [PubRel(delivery.packet_id)]  # PUBREC of success lets nothing pass.
            client.send(PubComp(delivery.packet_id))
        new = await arrivals(client)
        assert len(new) == (1 if seen < total else 0)
        seen += len(new)
        waiting += new
    assert seen == total


@pytest.mark.normative("MQTT-4.9.0-1", "MQTT-4.9.0-2")
async def test_a_refusal_lets_one_message_pass(connect: Connector) -> None:
    publisher, client = await connect(), await connect(properties=limited(1))
    await client.subscribe("a", qos=2)
    for number in range(6):
        await publisher.publish("a", b"x", qos=number % 2 + 1)
    for number in range(6):
        [delivery] = await arrivals(client)
        kind = PubRec if number % 2 else PubAck
        assert delivery.packet_id is not None
        client.send(kind(delivery.packet_id, ReasonCode.NOT_AUTHORIZED))
    assert await arrivals(client) == []


@pytest.mark.normative("MQTT-4.9.0-1", "MQTT-4.9.0-2")
async def test_acknowledgements_of_nothing_let_nothing_pass(connect: Connector) -> None:
    publisher, client = await connect(), await connect(properties=limited(2))
    await client.subscribe("a", qos=2)
    await publisher.publish("a", b"0", qos=1)
    [delivery] = await arrivals(client)
    number = delivery.packet_id or 0
    for _ in range(3):
        client.send(PubAck(number))  # Twice too many.
        client.send(PubComp(number + 1))
        client.send(PubRec(number + 2, ReasonCode.UNSPECIFIED_ERROR))
        client.send(PubAck(60_000))
    for _ in range(6):
        await publisher.publish("a", b"x", qos=2)
    assert len(await arrivals(client)) == 2


@pytest.mark.normative("MQTT-4.9.0-1", "MQTT-4.9.0-2", "MQTT-4.4.0-1")
@pytest.mark.parametrize(("before", "after"), [(5, 2), (2, 5), (5, 5), (3, 1)])
@pytest.mark.parametrize("qos", [1, 2], ids="QoS {}".format)
async def test_the_quota_begins_anew_with_each_connection(
    connect: Connector, before: int, after: int, qos: int
) -> None:
    publisher, client = await connect(), await connect("c", properties=limited(before))
    await client.subscribe("a", qos=2)
    for number in range(12):
        await publisher.publish("a", b"%d" % number, qos=qos)
    assert len(await arrivals(client)) == before
    await client.disconnect()
    client = await connect("c", clean_start=False, properties=limited(after))
    waiting = await arrivals(client)
    # What was in flight counts like anything else.
    assert [each.payload for each in waiting] == [b"%d" % number for number in range(after)]
    assert [each.dup for each in waiting] == [number < before for number in range(after)]
    seen = len(waiting)
    while waiting:
        delivery = waiting.pop(0)
        await client.ack(delivery)
        new = await arrivals(client)
        assert len(new) == (1 if seen < 12 else 0)
        seen += len(new)
        waiting += new
    assert seen == 12


@pytest.mark.normative("MQTT-4.9.0-2")
async def test_acknowledgements_of_what_waits_to_be_sent_again_let_nothing_pass(connect: Connector) -> None:
    publisher, client = await connect(), await connect("c", properties=limited(3))
    await client.subscribe("a", qos=1)
    for number in range(6):
        await publisher.publish("a", b"%d" % number, qos=1)
    sent = await arrivals(client)
    await client.disconnect()
    client = await connect("c", clean_start=False, properties=limited(1))
    assert [each.payload for each in await arrivals(client)] == [b"0"]
    # Late answers to the last connection: the messages are done with, and the one that was sent on this is not.
    for each in sent[1:]:
        client.send(PubAck(each.packet_id or 0))
    assert await arrivals(client) == []
    for number in (3, 4, 5):
        client.send(PubAck(sent[0].packet_id or 0))
        [next_one] = await arrivals(client)
        assert next_one.payload == b"%d" % number
        sent[0] = next_one


@pytest.mark.normative("MQTT-4.9.0-2", "MQTT-4.4.0-1")
async def test_releases_do_not_raise_the_quota_on_resume(connect: Connector) -> None:
    publisher, client = await connect(), await connect("c", properties=limited(4))
    await client.subscribe("a", qos=2)
    for number in range(8):
        await publisher.publish("a", b"%d" % number, qos=2)
    first = await arrivals(client)
    for each in first[::2]:
        client.send(PubRec(each.packet_id or 0))
        await client.expect(PubRel)
    client = await connect("c", clean_start=False, properties=limited(2))
    in_flight: set[int] = set()
    finished: list[bytes] = []
    for _ in range(40):
        for packet in await client.drain():
            if isinstance(packet, Publish):
                in_flight.add(packet.packet_id or 0)
                assert len(in_flight) <= 2
                finished.append(packet.payload)
                client.send(PubRec(packet.packet_id or 0))
            elif isinstance(packet, PubRel):
                client.send(PubComp(packet.packet_id))
                in_flight.discard(packet.packet_id)
        if len(finished) == 6:
            break
    assert finished == [b"1", b"3", b"4", b"5", b"6", b"7"]


@pytest.mark.normative("MQTT-4.9.0-3")
@pytest.mark.parametrize("qos", [1, 2], ids="QoS {}".format)
async def test_at_zero_quota_all_else_goes_on(connect: Connector, qos: int) -> None:
    publisher, client = await connect(), await connect(properties=limited(1))
    await client.subscribe("a", qos=2)
    for _ in range(3):
        await publisher.publish("a", b"x", qos=qos)
    assert len(await arrivals(client)) == 1
    client.send_bytes(PINGREQ)
    await client.expect(PingResp)
    client.send(Subscribe(1, (SubscriptionRequest("b", 0),)))
    await client.expect(SubAck)
    client.send(Publish("b", b"own", 1, packet_id=2))
    assert {type(await client.receive()) for _ in range(2)} == {Publish, PubAck}
    client.send(Publish("c", b"own", 2, packet_id=3))
    await client.expect(PubRec)
    client.send(PubRel(3))
    await client.expect(PubComp)
    client.send(PubRel(4))
    await client.expect(PubComp)
    client.send(PubRec(999))
    await client.expect(PubRel)
    client.send(Unsubscribe(5, ("b",)))
    await client.expect(UnsubAck)
    await client.expect_silence()


@pytest.mark.normative("MQTT-4.9.0-1")
@pytest.mark.parametrize("maximum", [1, 3])
async def test_the_broker_announces_how_much_it_takes_and_takes_it(
    connect: Connector, mqtt_broker_factory: BrokerFactory, maximum: int
) -> None:
    broker = mqtt_broker_factory(receive_maximum=maximum)
    client = await connect(broker=broker)
    assert connect.acks[client].properties.receive_maximum == maximum
    for turn in range(3):
        for number in range(1, maximum + 1):
            client.send(Publish("a", b"x", 2, packet_id=number))
            await client.expect(PubRec)
            client.send(Publish("a", b"x", 2, dup=True, packet_id=number))  # No message more.
            await client.expect(PubRec)
        if turn == 2:
            break
        for number in range(1, maximum + 1):
            client.send(PubRel(number))
            await client.expect(PubComp)
        # QoS 1 is acknowledged at once, and a refusal frees its unit too.
        client.send_bytes(publish_packet("a", first=0x32, packet_id=9) * 20)
        assert [type(await client.receive()) for _ in range(20)] == [PubAck] * 20
        for _ in range(maximum + 2):
            await client.publish("$SYS/mine", qos=2)
    client.send_bytes(publish_packet("a", first=0x34, packet_id=maximum + 1) + PINGREQ)
    await expect_disconnect(client, ReasonCode.RECEIVE_MAXIMUM_EXCEEDED)
