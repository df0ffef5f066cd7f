"""SUBSCRIBE and UNSUBSCRIBE."""

from __future__ import annotations

import pytest

from mqttbroker.broker import Limits
from mqttbroker.protocol import (
    Disconnect,
    Properties,
    ProtocolVersion,
    ReasonCode,
    SubAck,
    Subscribe,
    SubscriptionRequest,
    UnsubAck,
    Unsubscribe,
)
from tests.broker.support import V5, V31, V311, Deny, World, one


class TestReasonCodes:
    """[MQTT-3.8.4-6] [MQTT-3.8.4-7]"""

    def test_each_filter_has_one(self) -> None:
        world = World(authorizer=Deny(("subscribe", "denied")))
        peer = world.client()
        assert peer.subscribe(
            SubscriptionRequest("a", 0),
            SubscriptionRequest("denied", 1),
            SubscriptionRequest("b", 1),
            SubscriptionRequest("a/#/b", 1),
            SubscriptionRequest("c", 2),
        ) == (0, 0x87, 1, 0x8F, 2)
        assert set(world.session().subscriptions) == {"a", "b", "c"}

    @pytest.mark.parametrize(
        ("limits", "topic_filter", "code"),
        [
            pytest.param(Limits(max_qos=1), "t", 1, id="a lower QoS"),
            pytest.param(Limits(max_topic_levels=2), "a/b/c", 0x8F, id="levels"),
            pytest.param(Limits(max_topic_length=3), "abcd", 0x8F, id="length"),
            pytest.param(Limits(shared_subscriptions=False), "$share/g/t", 0x9E, id="shared"),
            pytest.param(Limits(wildcard_subscriptions=False), "t/+", 0xA2, id="wildcard"),
            pytest.param(Limits(wildcard_subscriptions=False), "$share/g/#", 0xA2, id="shared wildcard"),
            pytest.param(Limits(), "$share/g", 0x8F, id="no filter in it"),
            pytest.param(Limits(), "$share//t", 0x8F, id="no name in it"),
            pytest.param(Limits(), "", 0x8F, id="empty"),
        ],
    )
    def test_limits(self, limits: Limits, topic_filter: str, code: int) -> None:
        world = World(limits)
        assert world.client().subscribe(topic_filter, qos=2) == (code,)
        assert len(world.session().subscriptions) == (code < 0x80)

    def test_identifiers_that_are_not_available(self) -> None:
        world = World(Limits(subscription_identifiers=False))
        assert world.client().subscribe("t", identifier=5) == (0xA1,)

    def test_one_subscription_too_many(self) -> None:
        world = World(Limits(max_subscriptions=2))
        peer = world.client()
        assert peer.subscribe("a", "b", "c") == (0, 0, 0x97)
        assert peer.subscribe("a", qos=1) == (1,)
        peer.unsubscribe("b")
        assert peer.subscribe("c") == (0,)

    @pytest.mark.parametrize(
        ("version", "codes"), [(V311, (0, 0x80, 2)), (V31, (0, 1, 2)), (V5, (0, 0x87, 2))], ids=["3.1.1", "3.1", "5"]
    )
    def test_in_each_version(self, version: ProtocolVersion, codes: tuple[int, ...]) -> None:
        world = World(authorizer=Deny(("subscribe", "denied")))
        peer = world.client(version=version)
        requests = (SubscriptionRequest("a"), SubscriptionRequest("denied", 1), SubscriptionRequest("b", 2))
        assert peer.subscribe(*requests) == codes
        assert set(world.session().subscriptions) == {"a", "b"}

    def test_an_empty_filter_in_mqtt_3(self) -> None:
        """[3.1.1: MQTT-4.7.3-1]"""
        world = World()
        peer = world.client(version=V311)
        assert peer.send(Subscribe(1, (SubscriptionRequest("a"), SubscriptionRequest("")))) == []
        assert peer.carrier.closed
        peer = world.client(version=V311)
        assert peer.send(Unsubscribe(1, ("",))) == []
        assert peer.carrier.closed

    def test_no_local_on_a_shared_subscription(self) -> None:
        """[MQTT-3.8.3-4]"""
        peer = World().client()
        body = b"\x00\x01\x00" + b"\x00\x0a$share/g/t" + b"\x04"
        peer.feed(bytes([0x82, len(body)]) + body)
        answer = one(peer.take())
        assert isinstance(answer, Disconnect)
        assert answer.reason_code == ReasonCode.PROTOCOL_ERROR


class TestRefused:
    def test_the_log_line(self) -> None:
        world = World(authorizer=Deny(("subscribe", "denied/#")))
        world.client("c", user="u").subscribe("denied/#")
        assert world.logged("refused") == [
            {
                "client": "c",
                "user": "u",
                "address": "192.0.2.1:50001",
                "action": "subscribe",
                "topic": "denied/#",
                "rule": "rule for denied/#",
            }
        ]
        assert world.core.counters.subscribe_denied == 1

    def test_a_client_is_told_why(self) -> None:
        world = World(Limits(max_subscriptions=1))
        peer = world.client()
        answer = one(peer.send(Subscribe(1, tuple(SubscriptionRequest(each) for each in "abc"))))
        assert isinstance(answer, SubAck)
        assert answer.properties == Properties(reason_string="more than 1 subscriptions")

    def test_unless_it_does_not_want_to_be(self) -> None:
        """[MQTT-3.1.2-29]"""
        peer = World(Limits(max_subscriptions=1)).client(properties=Properties(request_problem_information=0))
        answer = one(peer.send(Subscribe(1, tuple(SubscriptionRequest(each) for each in "abc"))))
        assert isinstance(answer, SubAck)
        assert answer.properties == Properties()

    def test_or_the_packet_would_be_too_large(self) -> None:
        """[MQTT-3.9.2-1]"""
        peer = World(Limits(max_subscriptions=1)).client(properties=Properties(maximum_packet_size=30))
        answer = one(peer.send(Subscribe(1, tuple(SubscriptionRequest(each) for each in "abc"))))
        assert isinstance(answer, SubAck)
        assert answer.properties == Properties()

    def test_an_answer_that_is_too_large_without_it_ends_the_connection(self) -> None:
        """[MQTT-3.1.2-24]"""
        peer = World().client(properties=Properties(maximum_packet_size=30))
        requests = tuple(SubscriptionRequest(str(number)) for number in range(30))
        answer = one(peer.send(Subscribe(1, requests)))
        assert isinstance(answer, Disconnect)
        assert answer.reason_code == ReasonCode.PACKET_TOO_LARGE


class TestReplacing:
    """[MQTT-3.8.4-3]"""

    def test_the_new_options_count(self) -> None:
        world = World()
        peer = world.client()
        peer.subscribe("t", qos=0, identifier=1)
        peer.subscribe("t", qos=1, identifier=2)
        world.client("p").publish("t", qos=2)
        (message,) = peer.published()
        assert (message.qos, message.properties.subscription_identifiers) == (1, (2,))
        assert len(world.core.router) == 1

    def test_the_last_of_several_in_one_packet(self) -> None:
        world = World()
        peer = world.client()
        assert peer.subscribe(SubscriptionRequest("t", 2), SubscriptionRequest("t", 1)) == (2, 1)
        assert world.session().subscriptions["t"].qos == 1

    def test_retained_messages_are_sent_for_a_filter_that_occurs_twice(self) -> None:
        """[MQTT-3.8.4-5]"""
        world = World()
        world.client("p").publish("t", retain=True)
        peer = world.client()
        request = SubscriptionRequest("t", retain_handling=1)
        peer.subscribe(request, request)
        assert len(peer.published()) == 1


class TestUnsubscribe:
    """[MQTT-3.10.4-4] [MQTT-3.10.4-5]"""

    def test_each_filter_has_a_reason_code(self) -> None:
        peer = World().client()
        peer.subscribe("a", "$share/g/b", "+")
        assert peer.unsubscribe("a", "x", "a/#/b", "$share/g/b", "b") == (0, 0x11, 0x8F, 0, 0x11)

    def test_mqtt_3_is_told_nothing(self) -> None:
        peer = World().client(version=V311)
        assert peer.send(Unsubscribe(5, ("a", "b"))) == [UnsubAck(5)]

    def test_nothing_more_comes(self) -> None:
        """[MQTT-3.10.4-2]"""
        world = World()
        peer = world.client()
        peer.subscribe("t")
        talker = world.client("p")
        talker.publish("t", b"before")
        peer.take()
        peer.unsubscribe("t")
        talker.publish("t", b"after")
        assert peer.take() == []

    def test_what_is_in_flight_is_brought_to_its_end(self) -> None:
        """[MQTT-3.10.4-3]"""
        world = World()
        peer = world.client(properties=Properties(receive_maximum=1))
        peer.subscribe("t", qos=2)
        talker = world.client("p")
        for _ in range(2):
            talker.publish("t", qos=2)
        (first,) = peer.published()
        peer.unsubscribe("t")
        released = peer.acknowledge([first])
        (second,) = peer.complete(released)
        assert second.type == first.type

    def test_a_filter_that_was_granted_before_the_limits_were_lowered(self) -> None:
        world = World()
        peer = world.client(expiry=100)
        peer.subscribe("a/b/c")
        peer.lose()
        later = world.restarted(limits=Limits(max_topic_levels=2))
        again = later.client(clean=False, expiry=100)
        assert again.unsubscribe("a/b/c", "d/e/f") == (0, 0x8F)
        assert [line["action"] for line in later.logged("refused")] == ["unsubscribe"]

    def test_a_filter_that_is_too_long(self) -> None:
        peer = World(Limits(max_topic_length=10)).client()
        assert peer.unsubscribe("a" * 10, "a" * 11) == (0x11, 0x8F)
