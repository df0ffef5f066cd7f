"""MQTT 5.0 sections 3.4 to 3.7: PUBACK, PUBREC, PUBREL and PUBCOMP.

Which packet answers which, and when, is section 4.3. That a reason code from the client which the table does not have
is refused, for all 256 of them, is in ``generated/test_reason_codes.py``.
"""

from __future__ import annotations

import pytest

from mqttbroker.protocol import Properties, PubAck, PubComp, Publish, PubRec, PubRel, ReasonCode
from mqttbroker.testing.plugin import BrokerFactory
from mqttbroker.testing.running import RunningBroker
from tests.conformance.conftest import Connector
from tests.conformance.v5.doubles import KEPT, Secrets
from tests.conformance.wire import MALFORMED, expect_disconnect, packet

ROOM = 20
"""Bytes of a Maximum Packet Size that leaves room for this broker's CONNACK."""


@pytest.fixture
def strict(mqtt_broker_factory: BrokerFactory) -> RunningBroker:
    """A broker that finds reasons to refuse a message."""
    return mqtt_broker_factory(authorizer=Secrets(), max_retained_messages=1)


@pytest.mark.normative("MQTT-3.4.2-1", "MQTT-3.5.2-1")
@pytest.mark.parametrize("qos", [1, 2], ids=["PUBACK", "PUBREC"])
async def test_the_reason_codes_of_the_answer_to_a_publish(connect: Connector, strict: RunningBroker, qos: int) -> None:
    client, watcher = await connect(broker=strict), await connect(broker=strict)
    await watcher.subscribe("heard", "kept/#")
    for _ in range(2):  # The second time the topics are known.
        for topic, retain, code in (
            ("heard", False, ReasonCode.SUCCESS),
            ("unheard", False, ReasonCode.NO_MATCHING_SUBSCRIBERS),
            ("secret/a", False, ReasonCode.NOT_AUTHORIZED),
            ("$SYS/a", False, ReasonCode.NOT_AUTHORIZED),
            ("kept/1", True, ReasonCode.SUCCESS),
            ("kept/2", True, ReasonCode.QUOTA_EXCEEDED),
        ):
            ack = await client.publish(topic, b"x", qos=qos, retain=retain)
            assert ack is not None and ack.reason_code == code, topic
    # A refused message is not delivered, and the connection stays.
    assert [(await watcher.expect_publish()).topic for _ in range(4)] == ["heard", "kept/1"] * 2
    await watcher.expect_silence()
    await client.expect_silence()


@pytest.mark.normative("MQTT-3.6.2-1", "MQTT-3.7.2-1")
async def test_the_reason_codes_of_pubrel_and_pubcomp(connect: Connector) -> None:
    client, publisher = await connect(), await connect()
    await client.subscribe("a", qos=2)
    client.send(Publish("b", b"x", 2, packet_id=7))
    await client.expect(PubRec)
    await publisher.publish("a", b"x", qos=2)
    delivery = await client.expect(Publish)
    assert delivery.packet_id is not None
    client.send(PubRel(8))
    assert await client.expect(PubComp) == PubComp(8, ReasonCode.PACKET_IDENTIFIER_NOT_FOUND)
    client.send(PubRel(7))
    assert await client.expect(PubComp) == PubComp(7)
    client.send(PubRel(7))
    assert await client.expect(PubComp) == PubComp(7, ReasonCode.PACKET_IDENTIFIER_NOT_FOUND)
    client.send(PubRec(delivery.packet_id + 1))
    assert await client.expect(PubRel) == PubRel(delivery.packet_id + 1, ReasonCode.PACKET_IDENTIFIER_NOT_FOUND)
    client.send(PubRec(delivery.packet_id))
    assert await client.expect(PubRel) == PubRel(delivery.packet_id)
    client.send(PubComp(delivery.packet_id))
    await client.expect_silence()


@pytest.mark.normative("MQTT-3.4.2-2", "MQTT-3.4.2-3", "MQTT-3.5.2-2", "MQTT-3.5.2-3")
@pytest.mark.parametrize("qos", [1, 2], ids=["PUBACK", "PUBREC"])
async def test_words_are_left_out_where_they_do_not_fit(connect: Connector, strict: RunningBroker, qos: int) -> None:
    client = await connect(broker=strict)
    topic = "secret/" + "x" * 60
    whole = await client.publish(topic, qos=qos)
    size = len(client.last_bytes)
    assert whole is not None and whole.properties.reason_string and size > ROOM
    for maximum, fits in (size + 1, True), (size, True), (size - 1, False), (ROOM, False):
        client = await connect(broker=strict, properties=Properties(maximum_packet_size=maximum))
        ack = await client.publish(topic, qos=qos, packet_id=1)
        assert isinstance(ack, PubAck if qos == 1 else PubRec)
        assert len(client.last_bytes) <= maximum
        assert ack.reason_code == ReasonCode.NOT_AUTHORIZED
        assert ack.properties == (whole.properties if fits else Properties()), maximum
        await client.expect_silence()


@pytest.mark.normative("MQTT-3.6.2-2", "MQTT-3.6.2-3", "MQTT-3.7.2-2", "MQTT-3.7.2-3")
@pytest.mark.parametrize("known", [True, False], ids=["success", "not found"])
async def test_pubrel_and_pubcomp_fit(connect: Connector, known: bool) -> None:
    client, publisher = await connect(properties=Properties(maximum_packet_size=ROOM)), await connect()
    sent = received = 0
    if known:
        await client.subscribe("a", qos=2)
        client.send(Publish("b", b"x", 2, packet_id=7))
        await client.expect(PubRec)
        await publisher.publish("a", b"x", qos=2)
        sent, received = 7, (await client.expect(Publish)).packet_id or 0
    # An explanation of the client's own is no reason for the broker to give one.
    words = Properties(reason_string="r" * 100, user_properties=(("k" * 50, "v"),) * 3)
    client.send(PubRel(sent or 99, properties=words))
    assert (await client.expect(PubComp)).reason_code == (0 if known else ReasonCode.PACKET_IDENTIFIER_NOT_FOUND)
    assert len(client.last_bytes) <= 6
    client.send(PubRec(received or 99, properties=words))
    assert (await client.expect(PubRel)).reason_code == (0 if known else ReasonCode.PACKET_IDENTIFIER_NOT_FOUND)
    assert len(client.last_bytes) <= 6
    client.send(PubComp(received or 99, properties=words))
    await client.expect_silence()


@pytest.mark.normative("MQTT-3.6.1-1")
async def test_pubrel_with_other_flags_is_malformed_and_releases_nothing(connect: Connector) -> None:
    watcher = await connect()
    await watcher.subscribe("a", qos=1)
    for flags in set(range(16)) - {2}:
        client = await connect("c", properties=KEPT)
        client.send(Publish("a", b"x", 2, packet_id=5))
        await client.expect(PubRec)
        client.send_bytes(packet(0x60 | flags, b"\x00\x05"))
        await expect_disconnect(client, MALFORMED)
        await watcher.expect_publish()
        # The packet identifier is still taken: the message sent again is not a new one.
        client = await connect("c", clean_start=False)
        await client.publish("a", b"x", qos=2, dup=True, packet_id=5)
        await client.expect_silence()
        await client.disconnect()
        await watcher.expect_silence()


@pytest.mark.normative("MQTT-3.6.1-1")
async def test_pubrel_is_sent_with_flags_0010(connect: Connector) -> None:
    client = await connect()
    await client.subscribe("a", qos=2)
    await client.publish("a", b"x", qos=2)
    delivery = await client.expect(Publish)
    assert delivery.packet_id is not None
    client.send(PubRec(delivery.packet_id))
    await client.expect(PubRel)
    assert client.last_bytes[0] == 0x62
