"""MQTT 5.0 section 3.1.2.11: what the properties of CONNECT ask of the broker."""

from __future__ import annotations

import contextlib

import pytest

from mqttbroker.protocol import ConnAck, Properties, Publish, ReasonCode, Subscribe, SubscriptionRequest, Unsubscribe
from tests.conformance.conftest import Connector, Opener
from tests.conformance.wire import connect_packet, expect_disconnect, expect_refusal, prefixed
from tests.support.raw import ConnectionClosed, RawClient

SMALL = 60
"""A Maximum Packet Size into which a CONNACK fits."""


def payload_for(size: int, topic: str, qos: int, extra: int = 0) -> bytes:
    """A payload with which a delivery has so many bytes in all."""
    return b"x" * (size - 2 - len(prefixed(topic)) - (2 if qos else 0) - 1 - extra)


@pytest.mark.normative("MQTT-3.1.2-24", "MQTT-3.1.2-25")
@pytest.mark.parametrize("qos", [0, 1, 2], ids="QoS {}".format)
async def test_a_message_above_the_maximum_packet_size_is_dropped(connect: Connector, qos: int) -> None:
    publisher, everything = await connect(), await connect()
    limited = await connect(properties=Properties(maximum_packet_size=SMALL, receive_maximum=1))
    for subscriber in limited, everything:
        await subscriber.subscribe("a", qos=2)
    fits, too_large = payload_for(SMALL, "a", qos), payload_for(SMALL + 1, "a", qos)
    for payload in (too_large, fits, too_large, too_large, b"last"):
        await publisher.publish("a", payload, qos=qos)
        assert (await everything.expect_publish()).payload == payload
    for payload in (fits, b"last"):
        # With a Receive Maximum of 1, what was dropped must not hold up the next.
        assert (await limited.expect_publish()).payload == payload
        assert len(limited.last_bytes) <= SMALL
    await limited.expect_silence()


@pytest.mark.normative("MQTT-3.1.2-24", "MQTT-3.1.2-25")
async def test_the_properties_count_for_the_maximum_packet_size(connect: Connector) -> None:
    publisher = await connect()
    limited = await connect(properties=Properties(maximum_packet_size=SMALL))
    await limited.subscribe("a", qos=1, properties=Properties(subscription_identifiers=(200,)))
    await publisher.publish("a", payload_for(SMALL, "a", 1, extra=3), qos=1)
    await limited.expect_publish()
    assert len(limited.last_bytes) == SMALL
    await publisher.publish("a", payload_for(SMALL, "a", 1, extra=2), qos=1)
    await publisher.publish("a", b"", qos=1, properties=Properties(user_properties=(("name", "v" * SMALL),)))
    await limited.expect_silence()


@pytest.mark.normative("MQTT-3.1.2-24", "MQTT-3.1.2-25")
@pytest.mark.parametrize("qos", [1, 2], ids="QoS {}".format)
async def test_messages_that_waited_are_held_against_the_maximum_packet_size(connect: Connector, qos: int) -> None:
    publisher = await connect()
    kept = Properties(session_expiry_interval=100)
    subscriber = await connect("c", properties=kept)
    await subscriber.subscribe("a", "kept", qos=2)
    await publisher.publish("kept", b"r" * 100, qos=qos, retain=True)
    in_flight = await subscriber.expect(Publish)
    await publisher.publish("a", b"x" * 100, qos=qos)
    await subscriber.expect(Publish)
    await subscriber.disconnect()
    for payload in (b"y" * 100, b"small", b"z" * 100):
        await publisher.publish("a", payload, qos=qos)
    limited = Properties(session_expiry_interval=100, maximum_packet_size=SMALL)
    subscriber = await connect("c", clean_start=False, properties=limited)
    assert (await subscriber.expect_publish()).payload == b"small"
    await subscriber.subscribe("kept", qos=2)
    await subscriber.expect_silence()
    await subscriber.disconnect()
    # What was too large counts as sent: it does not come back for a connection that could take it.
    subscriber = await connect("c", clean_start=False)
    await subscriber.expect_silence()
    assert in_flight.payload == b"r" * 100


@pytest.mark.normative("MQTT-3.1.2-24")
@pytest.mark.parametrize("maximum", range(1, 24), ids="{} bytes".format)
async def test_a_connack_stays_within_the_maximum_packet_size(open_client: Opener, maximum: int) -> None:
    client = await open_client()
    client.send_bytes(connect_packet(prefixed("c"), properties=b"\x27" + maximum.to_bytes(4, "big")))
    # If even the shortest refusal is too large, the broker closes without a word.
    with contextlib.suppress(ConnectionClosed):
        answer = await client.expect(ConnAck)
        assert len(client.last_bytes) <= maximum
        if answer.reason_code:
            assert answer.reason_code == ReasonCode.PACKET_TOO_LARGE
            assert await client.expect_closed() == []
        else:
            await client.ping()


@pytest.mark.normative("MQTT-3.1.2-24")
@pytest.mark.parametrize("kind", ["SUBACK", "UNSUBACK"])
async def test_an_acknowledgement_above_the_maximum_packet_size_is_not_sent(connect: Connector, kind: str) -> None:
    client = await connect(properties=Properties(maximum_packet_size=SMALL))
    filters = [f"f/{number}" for number in range(SMALL)]
    fits = SMALL - 5
    if kind == "SUBACK":
        await client.subscribe(*filters[:fits])
        assert len(client.last_bytes) == SMALL
        client.send(Subscribe(9, tuple(SubscriptionRequest(each) for each in filters)))
    else:
        await client.unsubscribe(*filters[:fits])
        assert len(client.last_bytes) == SMALL
        client.send(Unsubscribe(9, tuple(filters)))
    # The client would wait for its answer for ever, so the connection ends.
    await expect_disconnect(client, ReasonCode.PACKET_TOO_LARGE)
    assert len(client.last_bytes) <= SMALL


@pytest.mark.normative("MQTT-3.1.2-26")
@pytest.mark.parametrize("maximum", [1, 2, 10])
@pytest.mark.parametrize("qos", [0, 1], ids="QoS {}".format)
async def test_aliases_stay_within_the_client_s_maximum(connect: Connector, maximum: int, qos: int) -> None:
    publisher = await connect()
    client = await connect(properties=Properties(topic_alias_maximum=maximum))
    await client.subscribe("#", qos=qos)
    known: dict[int, str] = {}
    for number in [*range(12), *range(12)]:
        topic = f"t/{number}"
        await publisher.publish(topic, b"x", qos=qos)
        received = await client.expect_publish()
        alias = received.properties.topic_alias
        if alias is not None:
            assert 1 <= alias <= maximum
            if received.topic:
                known[alias] = received.topic
        assert (received.topic or known[alias or 0]) == topic
    assert known, "the broker uses aliases, so the test has seen some"


@pytest.mark.normative("MQTT-3.1.2-27")
@pytest.mark.parametrize("maximum", [None, 0], ids=["absent", "0"])
@pytest.mark.parametrize("qos", [0, 1, 2], ids="QoS {}".format)
async def test_no_aliases_for_a_client_that_takes_none(connect: Connector, maximum: int | None, qos: int) -> None:
    publisher = await connect()
    client = await connect(properties=Properties(topic_alias_maximum=maximum))
    await client.subscribe("a", qos=qos)
    for number in range(4):
        # Neither an alias of the publisher nor its absence reaches the subscriber.
        alias = Properties(topic_alias=1) if number % 2 else Properties()
        await publisher.publish("a", b"x", qos=qos, retain=number == 3, properties=alias)
        await client.expect_publish()
        assert client.last_bytes[2:5] == prefixed("a")
        assert client.last_bytes[5 + (2 if qos else 0) :] == b"\x00x"


@pytest.mark.normative("MQTT-3.1.2-28")
@pytest.mark.parametrize("broker", [{"response_information": "answers/${clientid}"}], indirect=True, ids=["configured"])
@pytest.mark.parametrize(
    ("asked", "given"), [(None, None), (0, None), (1, "answers/c")], ids=["not asked", "declined", "asked"]
)
async def test_response_information_is_for_those_who_ask(
    connect: Connector, asked: int | None, given: str | None
) -> None:
    client = await connect("c", properties=Properties(request_response_information=asked))
    assert connect.acks[client].properties.response_information == given


async def provoke(client: RawClient) -> dict[str, tuple[ReasonCode, Properties]]:
    """Reason codes and properties of one acknowledgement of each kind, all refusals."""
    subscribed = await client.subscribe("a/#/b")
    puback = await client.publish("$forbidden", b"x", qos=1)
    pubrec = await client.publish("$forbidden", b"x", qos=2)
    unsubscribed = await client.unsubscribe("a/#/b")
    assert puback is not None and pubrec is not None
    return {
        "SUBACK": (subscribed.reason_codes[0], subscribed.properties),
        "PUBACK": (puback.reason_code, puback.properties),
        "PUBREC": (pubrec.reason_code, pubrec.properties),
        "UNSUBACK": (unsubscribed.reason_codes[0], unsubscribed.properties),
    }


@pytest.mark.normative("MQTT-3.1.2-29")
async def test_without_problem_information_there_are_reason_codes_alone(connect: Connector) -> None:
    client = await connect(properties=Properties(request_problem_information=0))
    assert await provoke(client) == {
        "SUBACK": (ReasonCode.TOPIC_FILTER_INVALID, Properties()),
        "PUBACK": (ReasonCode.NOT_AUTHORIZED, Properties()),
        "PUBREC": (ReasonCode.NOT_AUTHORIZED, Properties()),
        "UNSUBACK": (ReasonCode.TOPIC_FILTER_INVALID, Properties()),
    }


@pytest.mark.normative("MQTT-3.1.2-29")
@pytest.mark.parametrize("asked", [None, 1], ids=["absent", "1"])
async def test_with_problem_information_refusals_are_explained(connect: Connector, asked: int | None) -> None:
    client = await connect(properties=Properties(request_problem_information=asked))
    answers = await provoke(client)
    # The other half of the rule: it is the property that silences the broker, not a broker that never speaks.
    assert all(answers[kind][1].reason_string for kind in ("SUBACK", "PUBACK", "PUBREC"))


@pytest.mark.normative("MQTT-3.1.2-29")
async def test_user_properties_of_messages_are_sent_whatever_was_asked(connect: Connector) -> None:
    client = await connect(properties=Properties(request_problem_information=0))
    await client.subscribe("a")
    await client.publish("a", b"x", properties=Properties(user_properties=(("n", "v"),)))
    assert (await client.expect_publish()).properties.user_properties == (("n", "v"),)


@pytest.mark.normative("MQTT-3.1.4-1")
@pytest.mark.parametrize(
    ("properties", "reason"),
    [
        (b"\x21\x00\x00", ReasonCode.PROTOCOL_ERROR),
        (b"\x27\x00\x00\x00\x00", ReasonCode.PROTOCOL_ERROR),
        (b"\x17\x02", ReasonCode.PROTOCOL_ERROR),
        (b"\x19\x02", ReasonCode.PROTOCOL_ERROR),
        (b"\x16\x00\x01a", ReasonCode.PROTOCOL_ERROR),
        (b"\x11\x00\x00\x00\x01" * 2, ReasonCode.PROTOCOL_ERROR),
        (b"\x21\x00\x01" * 2, ReasonCode.PROTOCOL_ERROR),
        (b"\x27\x00\x00\x01\x00" * 2, ReasonCode.PROTOCOL_ERROR),
        (b"\x22\x00\x01" * 2, ReasonCode.PROTOCOL_ERROR),
        (b"\x17\x01" * 2, ReasonCode.PROTOCOL_ERROR),
        (b"\x19\x01" * 2, ReasonCode.PROTOCOL_ERROR),
        (b"\x15\x00\x01m" * 2, ReasonCode.PROTOCOL_ERROR),
        (b"\x24\x01", ReasonCode.MALFORMED_PACKET),
        (b"\x01\x01", ReasonCode.MALFORMED_PACKET),
        (b"\x7f", ReasonCode.MALFORMED_PACKET),
        (b"\x11\x00\x00", ReasonCode.MALFORMED_PACKET),
        (b"\x26" + prefixed("n"), ReasonCode.MALFORMED_PACKET),
    ],
    ids=[
        "Receive Maximum 0",
        "Maximum Packet Size 0",
        "Request Problem Information 2",
        "Request Response Information 2",
        "data without method",
        "Session Expiry Interval twice",
        "Receive Maximum twice",
        "Maximum Packet Size twice",
        "Topic Alias Maximum twice",
        "Request Problem Information twice",
        "Request Response Information twice",
        "Authentication Method twice",
        "Maximum QoS",
        "Payload Format Indicator",
        "unknown identifier",
        "cut off",
        "half a pair",
    ],
)
async def test_a_connect_with_bad_properties_is_refused(
    open_client: Opener, properties: bytes, reason: ReasonCode
) -> None:
    client = await open_client()
    client.send_bytes(connect_packet(prefixed("c"), properties=properties))
    await expect_refusal(client, reason)
