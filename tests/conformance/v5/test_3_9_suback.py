"""MQTT 5.0 section 3.9: SUBACK."""

from __future__ import annotations

from typing import Any

import pytest

from mqttbroker.protocol import Properties, ReasonCode, SubAck, Subscribe, SubscriptionRequest
from mqttbroker.testing.plugin import BrokerFactory
from tests.conformance.conftest import Connector
from tests.conformance.v5.doubles import Secrets
from tests.conformance.wire import expect_disconnect

ROOM = 20


@pytest.mark.normative("MQTT-3.9.2-1", "MQTT-3.9.2-2")
async def test_words_are_left_out_where_they_do_not_fit(connect: Connector, mqtt_broker_factory: BrokerFactory) -> None:
    broker = mqtt_broker_factory(authorizer=Secrets())
    topic_filter = "secret/" + "x" * 60
    client = await connect(broker=broker)
    whole = await client.subscribe("a", topic_filter)
    size = len(client.last_bytes)
    assert whole.properties.reason_string and size > ROOM
    for maximum, fits in (size + 1, True), (size, True), (size - 1, False), (ROOM, False):
        client = await connect(broker=broker, properties=Properties(maximum_packet_size=maximum))
        ack = await client.subscribe("a", topic_filter)
        assert len(client.last_bytes) <= maximum
        assert ack.reason_codes == (0, ReasonCode.NOT_AUTHORIZED)
        assert ack.properties == (whole.properties if fits else Properties()), maximum
        await client.expect_silence()


@pytest.mark.normative("MQTT-3.9.3-1", "MQTT-3.9.3-2")
async def test_codes_are_in_the_order_of_the_filters(connect: Connector, mqtt_broker_factory: BrokerFactory) -> None:
    client = await connect(broker=mqtt_broker_factory(authorizer=Secrets(), max_subscriptions=6))
    requests = {
        "a": (2, 2),
        "b/#": (0, 0),
        "b/#/c": (2, ReasonCode.TOPIC_FILTER_INVALID),
        "c/+": (1, 1),
        "secret/a": (2, ReasonCode.NOT_AUTHORIZED),
        "d": (2, 2),
        "": (1, ReasonCode.TOPIC_FILTER_INVALID),
        "e": (0, 0),
        "$share/g/f": (1, 1),
        "g": (1, ReasonCode.QUOTA_EXCEEDED),
        "a ": (2, ReasonCode.QUOTA_EXCEEDED),
    }
    for order in (list(requests), list(reversed(requests)), sorted(requests)):
        client.send(Subscribe(1, tuple(SubscriptionRequest(each, requests[each][0]) for each in order)))
        ack = await client.expect(SubAck)
        if order[0] == "a":
            assert list(ack.reason_codes) == [requests[each][1] for each in order]
        else:
            # The six subscriptions are there already, so that whatever comes first the same two are one too many.
            assert dict(zip(order, ack.reason_codes, strict=True)) == {
                each: code for each, (_, code) in requests.items()
            }


@pytest.mark.normative("MQTT-3.9.3-2")
@pytest.mark.parametrize(
    ("limits", "topic_filter", "code"),
    [
        ({"shared_subscriptions": False}, "$share/g/a", ReasonCode.SHARED_SUBSCRIPTIONS_NOT_SUPPORTED),
        ({"wildcard_subscriptions": False}, "a/+", ReasonCode.WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED),
        ({"wildcard_subscriptions": False}, "$share/g/#", ReasonCode.WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED),
        ({"subscription_identifiers": False}, "a", ReasonCode.SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED),
        ({"max_topic_levels": 2}, "a/b/c", ReasonCode.TOPIC_FILTER_INVALID),
        ({"max_topic_length": 5}, "a/b/cd", ReasonCode.TOPIC_FILTER_INVALID),
        ({"max_qos": 1}, "a", ReasonCode.GRANTED_QOS_1),
        ({"max_qos": 0}, "a", ReasonCode.GRANTED_QOS_0),
    ],
    ids=["shared", "wildcard", "shared wildcard", "identifier", "levels", "length", "QoS 1", "QoS 0"],
)
async def test_codes_of_a_broker_with_less(
    connect: Connector,
    mqtt_broker_factory: BrokerFactory,
    limits: dict[str, Any],
    topic_filter: str,
    code: ReasonCode,
) -> None:
    client = await connect(broker=mqtt_broker_factory(**limits))
    identifiers = (1,) if code == ReasonCode.SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED else ()
    ack = await client.subscribe(topic_filter, qos=2, properties=Properties(subscription_identifiers=identifiers))
    assert ack.reason_codes == (code,)
    await client.publish("a", b"x")
    if code < ReasonCode.UNSPECIFIED_ERROR:
        await client.expect_publish()
    await client.expect_silence()


@pytest.mark.normative("MQTT-3.1.2-24", "MQTT-3.9.2-1", "MQTT-3.9.2-2")
async def test_a_suback_that_cannot_fit_is_not_sent(connect: Connector) -> None:
    client = await connect(properties=Properties(maximum_packet_size=20))
    assert len((await client.subscribe(*["a"] * 15)).reason_codes) == 15
    assert len(client.last_bytes) == 20
    client.send(Subscribe(1, (SubscriptionRequest("a"),) * 16))
    await expect_disconnect(client, ReasonCode.PACKET_TOO_LARGE)
