"""MQTT 5.0 section 4.3: the delivery protocols of QoS 0, 1 and 2, in both directions.

What is sent again after a lost connection is section 4.4.
"""

from __future__ import annotations

import pytest

from mqttbroker.protocol import Properties, PubAck, PubComp, Publish, PubRec, PubRel, ReasonCode
from mqttbroker.testing.plugin import BrokerFactory
from mqttbroker.testing.running import RunningBroker
from tests.conformance.codes import FROM_CLIENT
from tests.conformance.conftest import Connector
from tests.conformance.v5.doubles import KEPT, Secrets
from tests.conformance.wire import packet, publish_packet
from tests.support.raw import RawClient

WINDOW = 500
SHAPE = publish_packet("a", b"x", first=0x32, packet_id=1)


def number_of(publish: Publish) -> int:
    """Its packet identifier."""
    assert publish.packet_id is not None
    return publish.packet_id


@pytest.mark.normative("MQTT-4.3.1-1", "MQTT-4.3.2-2", "MQTT-4.3.3-2")
@pytest.mark.parametrize("granted", [0, 1, 2], ids="granted {}".format)
@pytest.mark.parametrize("retain", [False, True], ids=["not retained", "retained"])
async def test_a_message_is_first_sent_with_its_qos_and_without_dup(
    connect: Connector, granted: int, retain: bool
) -> None:
    publisher, client = await connect(), await connect()
    await client.subscribe("a", qos=granted)
    for _ in range(2):
        for published in (0, 1, 2):
            # The publisher's own DUP is not passed on.
            await publisher.publish("a", b"x", qos=published, dup=published > 0, retain=retain)
            await client.expect(Publish)
            qos = min(granted, published)
            assert client.last_bytes[0] == 0x30 | qos << 1
            assert len(client.last_bytes) == 2 + 3 + (2 if qos else 0) + 1 + 1


@pytest.mark.normative("MQTT-4.3.2-1", "MQTT-4.3.3-1")
async def test_identifiers_in_use_are_not_given_again(connect: Connector) -> None:
    publisher, client = await connect(), await connect()
    await client.subscribe("a", qos=2)
    for qos in (1, 2, 2):
        await publisher.publish("a", b"held", qos=qos)
    once, twice, released = [number_of(await client.expect(Publish)) for _ in range(3)]
    client.send(PubRec(released))
    await client.expect(PubRel)
    assert len({once, twice, released}) == 3
    # Half way, the other one of QoS 2 is acknowledged with PUBREC, too: its identifier is in use until PUBCOMP.
    given: set[int] = set()
    for turn in range(65_536 // WINDOW + 2):
        publisher.send_bytes(SHAPE * WINDOW)
        deliveries = await client.receive_bytes(WINDOW * len(SHAPE))
        assert deliveries[::9] == b"\x32" * WINDOW and deliveries[8::9] == b"x" * WINDOW
        numbers = [deliveries[at] << 8 | deliveries[at + 1] for at in range(5, len(deliveries), len(SHAPE))]
        assert len(set(numbers)) == WINDOW
        given.update(numbers)
        client.send_bytes(b"".join(b"\x40\x02" + number.to_bytes(2, "big") for number in numbers))
        if turn == 60:
            client.send(PubRec(twice))
            await client.expect(PubRel)
        await publisher.receive_bytes(WINDOW * 4)
    assert given == set(range(1, 65_536)) - {once, twice, released}


@pytest.mark.normative("MQTT-4.3.2-4", "MQTT-4.3.2-5")
async def test_a_publish_of_qos_1_is_a_new_message_each_time(connect: Connector) -> None:
    publisher, watcher = await connect(), await connect()
    await watcher.subscribe("a", qos=1)
    for number in (1, 256, 65_535):
        for dup in (False, True, True, False):
            publisher.send(Publish("a", b"x", 1, dup=dup, packet_id=number))
            assert await publisher.expect(PubAck) == PubAck(number)
            await watcher.expect_publish()
    # Sent again before the PUBACK was seen: it was acknowledged, so these are two as well.
    publisher.send_bytes(publish_packet("a", first=0x32, packet_id=5) + publish_packet("a", first=0x3A, packet_id=5))
    assert [(await publisher.expect(PubAck)).packet_id for _ in range(2)] == [5, 5]
    for _ in range(2):
        await watcher.expect_publish()
    await publisher.expect_silence()
    await watcher.expect_silence()


@pytest.mark.normative("MQTT-4.3.3-4", "MQTT-4.3.3-5")
async def test_pubrec_is_answered_by_pubrel_until_pubcomp(connect: Connector) -> None:
    publisher, client = await connect(), await connect()
    await client.subscribe("a", qos=2)
    for form in (b"", b"\x00", b"\x00\x00"):
        await publisher.publish("a", b"x", qos=2)
        number = number_of(await client.expect(Publish))
        for _ in range(2):
            client.send_bytes(packet(0x50, number.to_bytes(2, "big") + form))
            assert await client.expect(PubRel) == PubRel(number)
        client.send_bytes(packet(0x70, number.to_bytes(2, "big") + form))
        await client.expect_silence()
        # It is forgotten now.
        client.send(PubRec(number))
        assert await client.expect(PubRel) == PubRel(number, ReasonCode.PACKET_IDENTIFIER_NOT_FOUND)


@pytest.mark.normative("MQTT-4.3.3-4", "MQTT-4.4.0-2")
async def test_pubrec_of_an_error_ends_the_delivery(connect: Connector) -> None:
    publisher, client = await connect(), await connect("c", properties=KEPT)
    await client.subscribe("a", qos=2)
    errors = sorted(code for code in FROM_CLIENT["PUBREC"] if code >= 0x80)
    assert len(errors) == 7
    for code in errors:
        await publisher.publish("a", b"x", qos=2)
        number = number_of(await client.expect(Publish))
        client.send(PubRec(number, ReasonCode(code)))
        await client.expect_silence()
        # The identifier is free: a late PUBREC finds nothing.
        client.send(PubRec(number))
        assert await client.expect(PubRel) == PubRel(number, ReasonCode.PACKET_IDENTIFIER_NOT_FOUND)
    client = await connect("c", clean_start=False)
    await client.expect_silence()


@pytest.mark.normative("MQTT-4.3.3-7")
@pytest.mark.parametrize("reached", ["PUBLISH", "PUBREC"])
@pytest.mark.parametrize("lost", [False, True], ids=["same connection", "next connection"])
async def test_a_delivery_that_has_begun_does_not_expire(
    connect: Connector, broker: RunningBroker, reached: str, lost: bool
) -> None:
    publisher, client = await connect(), await connect("c", properties=KEPT)
    await client.subscribe("a", qos=2)
    await publisher.publish("a", b"x", qos=2, properties=Properties(message_expiry_interval=10))
    delivery = await client.expect(Publish)
    number = number_of(delivery)
    if reached == "PUBREC":
        client.send(PubRec(number))
        await client.expect(PubRel)
    broker.advance(60)
    if lost:
        await client.disconnect()
        broker.advance(60)
        client = await connect("c", clean_start=False, properties=KEPT)
        if reached == "PUBLISH":
            again = await client.expect(Publish)
            assert (again.payload, again.packet_id, again.dup) == (b"x", number, True)
        else:
            assert await client.expect(PubRel) == PubRel(number)
    if reached == "PUBLISH":
        client.send(PubRec(number))
        assert await client.expect(PubRel) == PubRel(number)
    client.send(PubComp(number))
    await client.expect_silence()
    client = await connect("c", clean_start=False)
    await client.expect_silence()


@pytest.fixture
def strict(mqtt_broker_factory: BrokerFactory) -> RunningBroker:
    """A broker that finds reasons to refuse a message."""
    return mqtt_broker_factory(authorizer=Secrets(), max_retained_messages=0)


@pytest.mark.normative("MQTT-4.3.3-8", "MQTT-4.3.3-9")
@pytest.mark.parametrize(
    ("topic", "retain", "code"),
    [("secret/a", False, ReasonCode.NOT_AUTHORIZED), ("a", True, ReasonCode.QUOTA_EXCEEDED)],
    ids=["not authorised", "quota"],
)
async def test_the_identifier_of_a_refused_message_is_free(
    connect: Connector, strict: RunningBroker, topic: str, retain: bool, code: ReasonCode
) -> None:
    publisher, watcher = await connect(broker=strict), await connect(broker=strict)
    await watcher.subscribe("a")
    for number in (1, 2, 65_535):
        for dup in (False, True):
            publisher.send(Publish(topic, b"refused", 2, retain, packet_id=number))
            refusal = await publisher.expect(PubRec)
            assert (refusal.packet_id, refusal.reason_code) == (number, code)
            # No PUBREL is due; the next PUBLISH with that identifier is a new message.
            assert await publisher.publish("a", b"new", qos=2, dup=dup, packet_id=number) == PubRec(number)
            assert (await watcher.expect_publish()).payload == b"new"
    # And a PUBREL for it finds nothing.
    publisher.send(Publish(topic, b"refused", 2, retain, packet_id=9))
    await publisher.expect(PubRec)
    publisher.send(PubRel(9))
    assert await publisher.expect(PubComp) == PubComp(9, ReasonCode.PACKET_IDENTIFIER_NOT_FOUND)
    await watcher.expect_silence()


async def taken(publisher: RawClient, number: int, payload: bytes = b"x", dup: bool = False) -> ReasonCode:
    """Publish at QoS 2 without a PUBREL; the reason code of the PUBREC."""
    publisher.send(Publish("a", payload, 2, dup=dup, packet_id=number))
    received = await publisher.expect(PubRec)
    assert received.packet_id == number
    return received.reason_code


@pytest.mark.normative("MQTT-4.3.3-8", "MQTT-4.3.3-10", "MQTT-4.3.3-11", "MQTT-4.3.3-12")
async def test_a_message_of_qos_2_is_delivered_once(connect: Connector) -> None:
    publisher, watcher = await connect("p", properties=KEPT), await connect()
    await watcher.subscribe("a", qos=2)
    for turn in range(3):
        await taken(publisher, 7, b"%d" % turn)
        for dup in (True, False, True):
            await taken(publisher, 7, b"again", dup)
        # Other messages in between have nothing to do with it.
        await publisher.publish("a", b"other", qos=2, packet_id=8)
        await publisher.publish("a", b"other", qos=1, packet_id=9)
        publisher = await connect("p", clean_start=False, properties=KEPT)
        await taken(publisher, 7, b"again", True)
        publisher.send(PubRel(7))
        assert await publisher.expect(PubComp) == PubComp(7)
        heard = [(await watcher.expect_publish()).payload for _ in range(3)]
        assert heard == [b"%d" % turn, b"other", b"other"]
        publisher.send(PubRel(7))
        assert (await publisher.expect(PubComp)).packet_id == 7
    await watcher.expect_silence()
    await publisher.expect_silence()


@pytest.mark.normative("MQTT-4.3.3-10", "MQTT-4.3.3-12")
async def test_a_message_that_nobody_heard_is_not_delivered_later(connect: Connector) -> None:
    publisher, watcher = await connect(), await connect()
    assert await taken(publisher, 7) == ReasonCode.NO_MATCHING_SUBSCRIBERS
    await watcher.subscribe("a", qos=2)
    await taken(publisher, 7, dup=True)
    await watcher.expect_silence()
    publisher.send(PubRel(7))
    await publisher.expect(PubComp)
    await taken(publisher, 7, b"new")
    assert (await watcher.expect_publish()).payload == b"new"


@pytest.mark.normative("MQTT-4.3.3-13")
@pytest.mark.parametrize("interval", [0, 1])
async def test_an_expired_message_is_acknowledged_to_the_end(
    connect: Connector, broker: RunningBroker, interval: int
) -> None:
    sleeper = await connect("s", properties=KEPT)
    await sleeper.subscribe("a", qos=2)
    await sleeper.disconnect()
    publisher = await connect("p", properties=KEPT)
    publisher.send(Publish("a", b"x", 2, packet_id=7, properties=Properties(message_expiry_interval=interval)))
    assert (await publisher.expect(PubRec)).packet_id == 7
    broker.advance(60)
    assert (await taken(publisher, 7, dup=True)) < 0x80
    await publisher.disconnect()
    publisher = await connect("p", clean_start=False)
    publisher.send(PubRel(7))
    assert await publisher.expect(PubComp) == PubComp(7)
    sleeper = await connect("s", clean_start=False)
    await sleeper.expect_silence()


@pytest.mark.normative("MQTT-4.13.1-1")
@pytest.mark.parametrize(
    "wrong", ["PUBREC for QoS 1", "PUBCOMP for QoS 1", "PUBACK for QoS 2", "PUBCOMP before PUBREC"]
)
async def test_an_acknowledgement_of_the_wrong_kind_is_a_protocol_error(connect: Connector, wrong: str) -> None:
    publisher, client = await connect(), await connect("c", properties=KEPT)
    await client.subscribe("a", qos=2)
    qos = 1 if wrong.endswith("1") else 2
    await publisher.publish("a", b"x", qos=qos)
    number = number_of(await client.expect(Publish))
    match wrong.split()[0]:
        case "PUBREC":
            client.send(PubRec(number))
        case "PUBCOMP":
            client.send(PubComp(number))
        case _:
            client.send(PubAck(number))
    [end] = await client.expect_closed()
    assert getattr(end, "reason_code", None) == ReasonCode.PROTOCOL_ERROR
    # It acknowledged nothing.
    client = await connect("c", clean_start=False)
    again = await client.expect_publish()
    assert (again.packet_id, again.dup) == (number, True)
