"""What MQTT 5 adds, with each client that speaks it."""

from __future__ import annotations

from dataclasses import replace

from mqttbroker.protocol import Properties, ProtocolVersion, ReasonCode
from tests.interop.adapter import Adapter, Clock, Endpoint, Feature, Message
from tests.interop.matrix import clients
from tests.support.raw import RawClient

FIVE = (ProtocolVersion.V5,)
TOPIC = "interop/properties"
EXPIRY = 3_600

MESSAGE = Message(
    TOPIC,
    b"body",
    1,
    content_type="text/plain",
    response_topic="interop/answers",
    correlation_data=b"number-7",
    message_expiry_interval=EXPIRY,
    payload_format_indicator=1,
    user_properties=(("unit", "kelvin"), ("unit", "celsius"), ("place", "attic")),
)
PROPERTIES = Properties(
    payload_format_indicator=1,
    message_expiry_interval=EXPIRY,
    content_type="text/plain",
    response_topic="interop/answers",
    correlation_data=b"number-7",
    user_properties=(("unit", "kelvin"), ("unit", "celsius"), ("place", "attic")),
)


def has_most_of_its_time_left(interval: int | None) -> bool:
    """Whether a Message Expiry Interval is the one of the tests, less the seconds that a slow machine spent."""
    return interval is not None and EXPIRY - 60 < interval <= EXPIRY


class TestProperties:
    """Section 3.3.2.3."""

    @clients(versions=FIVE)
    async def test_client_receives_all(self, client: Adapter, peer: RawClient) -> None:
        await client.connect()
        await client.subscribe(TOPIC, 1)
        await peer.publish(TOPIC, b"body", qos=1, properties=PROPERTIES)
        received = await client.next_message()
        assert has_most_of_its_time_left(received.message_expiry_interval)
        assert replace(received, message_expiry_interval=EXPIRY) == MESSAGE

    @clients(versions=FIVE)
    async def test_client_sends_all(self, client: Adapter, peer: RawClient) -> None:
        await peer.subscribe(TOPIC, qos=1)
        await client.connect()
        await client.publish(MESSAGE)
        received = await peer.expect_publish()
        assert has_most_of_its_time_left(received.properties.message_expiry_interval)
        assert replace(received.properties, message_expiry_interval=EXPIRY) == PROPERTIES

    @clients(Feature.WILL_PROPERTIES, versions=FIVE)
    async def test_will_keeps_its_properties(self, client: Adapter, peer: RawClient) -> None:
        await peer.subscribe("will", qos=1)
        await client.connect(will=replace(MESSAGE, topic="will"))
        await client.kill()
        received = await peer.expect_publish()
        assert has_most_of_its_time_left(received.properties.message_expiry_interval)
        assert replace(received.properties, message_expiry_interval=EXPIRY) == PROPERTIES

    @clients(versions=FIVE)
    async def test_retained_message_keeps_its_properties(self, client: Adapter, peer: RawClient) -> None:
        await client.connect()
        await client.publish(replace(MESSAGE, retain=True))
        await peer.subscribe(TOPIC, qos=1)
        received = await peer.expect_publish()
        assert received.retain
        assert has_most_of_its_time_left(received.properties.message_expiry_interval)
        assert replace(received.properties, message_expiry_interval=EXPIRY) == PROPERTIES


class TestMessageExpiry:
    """Section 3.3.2.3.3."""

    @clients(Feature.CONNECT_ALONE, versions=FIVE)
    async def test_missed_messages_expire(self, client: Adapter, peer: RawClient, broker_clock: Clock) -> None:
        await client.connect(persistent=True)
        await client.subscribe(TOPIC, 1)
        await client.disconnect()
        for seconds in (50, 150):
            await peer.publish(
                TOPIC, str(seconds).encode(), qos=1, properties=Properties(message_expiry_interval=seconds)
            )
        broker_clock(100)
        await client.connect(persistent=True)
        received = await client.next_message()
        assert received.payload == b"150"
        assert received.message_expiry_interval is not None and 0 < received.message_expiry_interval <= 50


class TestTopicAlias:
    """Section 3.3.2.3.4."""

    @clients(Feature.TOPIC_ALIAS, versions=FIVE)
    async def test_client_sends_an_alias(self, client: Adapter, peer: RawClient) -> None:
        await peer.subscribe("interop/#", qos=1)
        await client.connect()
        await client.publish(Message("interop/a", b"1", 1, topic_alias=1))
        await client.publish(Message("interop/b", b"2", 1, topic_alias=2))
        await client.publish(Message("", b"3", 1, topic_alias=1))
        received = [await peer.expect_publish() for _ in range(3)]
        assert [(publish.topic, publish.payload) for publish in received] == [
            ("interop/a", b"1"),
            ("interop/b", b"2"),
            ("interop/a", b"3"),
        ]

    @clients(Feature.RECEIVES_TOPIC_ALIAS, versions=FIVE)
    async def test_client_may_be_sent_aliases(self, client: Adapter, peer: RawClient) -> None:
        await client.connect(topic_alias_maximum=1)
        await client.subscribe("interop/#", 1)
        topics = ["interop/a", "interop/a", "interop/b", "interop/a", "interop/b"]
        for topic in topics:
            await peer.publish(topic, b"x", qos=1)
        assert [(await client.next_message()).topic for _ in topics] == topics


class TestSubscriptions:
    """Sections 3.8.2.1.2 and 3.8.3.1."""

    @clients(versions=FIVE)
    async def test_subscription_identifier_comes_back(self, client: Adapter, peer: RawClient) -> None:
        await client.connect()
        await client.subscribe(TOPIC, 1, identifier=268_435_455)
        await peer.publish(TOPIC, b"x", qos=1)
        assert (await client.next_message()).subscription_identifiers == (268_435_455,)

    @clients(Feature.UNSUBSCRIBE, versions=FIVE)
    async def test_overlapping_subscriptions_are_all_named(self, client: Adapter, peer: RawClient) -> None:
        await client.connect()
        await client.subscribe("interop/+", 1, identifier=1)
        await client.subscribe("interop/#", 1, identifier=2)
        await peer.publish(TOPIC, b"x", qos=1)
        received = await client.next_message()
        identifiers = list(received.subscription_identifiers)
        if len(identifiers) == 1:
            identifiers += (await client.next_message()).subscription_identifiers
        assert sorted(identifiers) == [1, 2]

    @clients(Feature.NO_LOCAL, versions=FIVE)
    async def test_no_local(self, client: Adapter, peer: RawClient) -> None:
        await client.connect()
        await client.subscribe(TOPIC, 1, no_local=True)
        await client.publish(Message(TOPIC, b"own", 1))
        await peer.publish(TOPIC, b"other", qos=1)
        assert (await client.next_message()).payload == b"other"


class TestReasonCodes:
    """Section 2.4."""

    @clients(Feature.PUBLISH_REASON, versions=FIVE)
    async def test_publish_without_subscribers(self, client: Adapter) -> None:
        await client.connect()
        assert await client.publish(Message("interop/nobody", b"x", 1)) == ReasonCode.NO_MATCHING_SUBSCRIBERS
        await client.subscribe("interop/self", 1)
        assert await client.publish(Message("interop/self", b"x", 1)) == ReasonCode.SUCCESS

    @clients(Feature.DISCONNECT_REASON, versions=FIVE)
    async def test_takeover_is_told(self, client: Adapter, endpoint: Endpoint) -> None:
        await client.connect()
        async with RawClient(endpoint.host, endpoint.port) as usurper:
            await usurper.connect(client.client_id)
            assert await client.disconnect_reason() == ReasonCode.SESSION_TAKEN_OVER
