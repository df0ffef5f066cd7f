"""PUBLISH and PUBREL: what comes in."""

from __future__ import annotations

import pytest

from mqttbroker.broker import Limits
from mqttbroker.broker.handlers.publish import REMEMBERED_ROUTES
from mqttbroker.protocol import (
    Disconnect,
    Packet,
    Properties,
    ProtocolVersion,
    PubAck,
    PubComp,
    Publish,
    PubRec,
    PubRel,
    ReasonCode,
    Subscribe,
    SubscriptionRequest,
    encode,
)
from tests.broker.support import V5, V31, V311, Deny, Peer, World, one
from tests.storage.deferred import DeferredStore

versions = pytest.mark.parametrize("version", [V31, V311, V5], ids=["3.1", "3.1.1", "5"])


def listener(world: World, topic_filter: str = "#", qos: int = 2) -> Peer:
    peer = world.client("listener")
    peer.subscribe(topic_filter, qos=qos)
    return peer


def reason(packets: list[Packet]) -> ReasonCode:
    packet = one(packets)
    assert isinstance(packet, PubAck | PubRec | PubComp | Disconnect)
    return packet.reason_code


class TestAcknowledgement:
    """[MQTT-4.3.2-4] [MQTT-4.3.3-8]"""

    @versions
    def test_of_each_qos(self, version: ProtocolVersion) -> None:
        world = World()
        listener(world)
        peer = world.client("p", version)
        for _ in range(2):  # Once without a known route, once with it.
            assert peer.publish("t") == []
            assert peer.publish("t", qos=1, packet_id=5) == [PubAck(5)]
        assert peer.publish("t", qos=2, packet_id=5) == [PubRec(5)]
        assert peer.send(PubRel(5)) == [PubComp(5)]

    @versions
    def test_without_subscribers(self, version: ProtocolVersion) -> None:
        peer = World().client("p", version)
        expected = ReasonCode.NO_MATCHING_SUBSCRIBERS if version is V5 else ReasonCode.SUCCESS
        for _ in range(2):
            assert peer.publish("t", qos=1, packet_id=5) == [PubAck(5, expected)]
        assert peer.publish("t", qos=2, packet_id=5) == [PubRec(5, expected)]

    def test_dup_is_not_handed_on(self) -> None:
        """[MQTT-3.3.1-3]"""
        world = World()
        hearer = listener(world)
        world.client("p").publish("t", qos=1, dup=True)
        assert [each.dup for each in hearer.published()] == [False]


class TestExactlyOnce:
    """[MQTT-4.3.3-10] [MQTT-4.3.3-11]"""

    @versions
    def test_a_second_publish_with_the_same_identifier_is_not_routed(self, version: ProtocolVersion) -> None:
        world = World()
        hearer = listener(world)
        peer = world.client("p", version)
        for dup in (False, True, False):
            assert reason(peer.publish("t", b"x", qos=2, dup=dup, packet_id=7)) == ReasonCode.SUCCESS
        assert hearer.payloads() == [b"x"]
        assert peer.send(PubRel(7)) == [PubComp(7)]
        peer.publish("t", b"y", qos=2, packet_id=7)
        assert hearer.payloads() == [b"y"]

    def test_across_a_reconnection(self) -> None:
        world = World()
        hearer = listener(world)
        first = world.client("p", expiry=100)
        first.publish("t", b"x", qos=2, packet_id=7)
        first.lose()
        second = world.client("p", clean=False, expiry=100)
        assert second.publish("t", b"x", qos=2, dup=True, packet_id=7) == [PubRec(7)]
        assert hearer.payloads() == [b"x"]
        assert second.send(PubRel(7)) == [PubComp(7)]
        assert next(world.store.sessions()).incoming == ()

    @versions
    def test_pubrel_for_an_unknown_identifier(self, version: ProtocolVersion) -> None:
        expected = ReasonCode.PACKET_IDENTIFIER_NOT_FOUND if version is V5 else ReasonCode.SUCCESS
        assert World().client(version=version).send(PubRel(9)) == [PubComp(9, expected)]

    def test_a_flood_with_one_identifier_is_one_message(self) -> None:
        world = World()
        hearer = listener(world)
        peer = world.client("p", V311)
        peer.feed(encode(Publish("t", b"x", 2, packet_id=1), V311) * 500)
        assert len(hearer.published()) == 1
        assert len(peer.take()) == 500


class TestTopic:
    @pytest.mark.parametrize("topic", ["a/+", "#", "a/#/b", "x" * 4_097, "/" * 128], ids=lambda topic: topic[:8])
    def test_no_topic_name(self, topic: str) -> None:
        """[MQTT-3.3.2-2]"""
        peer = World().client()
        assert reason(peer.publish(topic)) == ReasonCode.TOPIC_NAME_INVALID

    @versions
    def test_empty(self, version: ProtocolVersion) -> None:
        peer = World().client(version=version)
        body = b"\x00\x00\x00" if version is V5 else b"\x00\x00"
        peer.feed(bytes([0x30, len(body)]) + body)
        assert peer.carrier.closed

    @pytest.mark.parametrize("topic", ["$SYS/x", "$share/g/t", "$x"])
    def test_the_servers_own_names(self, topic: str) -> None:
        """[MQTT-4.7.2-1]"""
        world = World()
        hearer = listener(world, "$SYS/#")
        assert reason(world.client("p").publish(topic, qos=1)) == ReasonCode.NOT_AUTHORIZED
        assert hearer.take() == []


class TestAliases:
    """Section 3.3.2.3.4"""

    def test_set_used_and_set_anew(self) -> None:
        """[MQTT-3.3.2-12]"""
        world = World()
        hearer = listener(world)
        peer = world.client("p")
        for topic in ("a", "", "b", ""):
            peer.publish(topic, properties=Properties(topic_alias=1))
        published = hearer.published()
        assert [each.topic for each in published] == ["a", "a", "b", "b"]
        assert [each.properties.topic_alias for each in published] == [None] * 4

    @pytest.mark.parametrize("alias", [3, 65_535], ids=str)
    def test_above_the_maximum(self, alias: int) -> None:
        """[MQTT-3.3.2-9]"""
        peer = World(Limits(topic_alias_maximum=2)).client()
        assert reason(peer.publish("t", properties=Properties(topic_alias=alias))) == ReasonCode.TOPIC_ALIAS_INVALID

    def test_unknown(self) -> None:
        peer = World().client()
        peer.publish("t", properties=Properties(topic_alias=1))
        assert reason(peer.publish("", properties=Properties(topic_alias=2))) == ReasonCode.PROTOCOL_ERROR

    def test_they_end_with_the_connection(self) -> None:
        """[MQTT-3.3.2-7]"""
        world = World()
        first = world.client(expiry=100)
        first.publish("t", properties=Properties(topic_alias=1))
        first.lose()
        second = world.client(clean=False, expiry=100)
        assert reason(second.publish("", properties=Properties(topic_alias=1))) == ReasonCode.PROTOCOL_ERROR

    def test_one_that_is_set_by_a_message_that_is_refused(self) -> None:
        world = World(authorizer=Deny(("publish", "t")))
        peer = world.client()
        peer.publish("t", properties=Properties(topic_alias=1))
        assert reason(peer.publish("", qos=1, properties=Properties(topic_alias=1))) == ReasonCode.NOT_AUTHORIZED


class TestCapabilities:
    def test_qos(self) -> None:
        """[MQTT-3.2.2-11]"""
        world = World(Limits(max_qos=1))
        listener(world)
        peer = world.client("p")
        assert peer.publish("t", qos=1) == [PubAck(1)]
        assert reason(peer.publish("t", qos=2)) == ReasonCode.QOS_NOT_SUPPORTED

    def test_qos_0_alone_also_on_a_known_route(self) -> None:
        peer = World(Limits(max_qos=0)).client("p")
        peer.publish("t")
        assert reason(peer.publish("t", qos=1)) == ReasonCode.QOS_NOT_SUPPORTED

    def test_retain(self) -> None:
        """[MQTT-3.2.2-14]"""
        peer = World(Limits(retain_available=False)).client()
        assert reason(peer.publish("t", retain=True)) == ReasonCode.RETAIN_NOT_SUPPORTED

    def test_subscription_identifiers_are_for_servers(self) -> None:
        """[MQTT-3.3.4-6]"""
        peer = World().client()
        packets = peer.publish("t", properties=Properties(subscription_identifiers=(1,)))
        assert reason(packets) == ReasonCode.PROTOCOL_ERROR

    def test_the_response_topic(self) -> None:
        """[MQTT-3.3.2-14]"""
        peer = World().client()
        assert reason(peer.publish("t", properties=Properties(response_topic=""))) == ReasonCode.PROTOCOL_ERROR

    def test_properties_are_handed_on_unaltered(self) -> None:
        """[MQTT-3.3.2-4] [MQTT-3.3.2-15] [MQTT-3.3.2-16] [MQTT-3.3.2-17] [MQTT-3.3.2-18] [MQTT-3.3.2-20]"""
        world = World()
        hearer = listener(world)
        properties = Properties(
            payload_format_indicator=0,
            message_expiry_interval=7,
            content_type="",
            response_topic="r",
            correlation_data=b"",
            user_properties=(("b", "1"), ("a", "2"), ("b", "1")),
        )
        for qos in (0, 1, 2):
            world.client("p").publish("t", qos=qos, properties=properties)
        assert [each.properties for each in hearer.published()] == [properties] * 3


class TestReceiveMaximum:
    """[MQTT-3.3.4-7] [MQTT-3.3.4-8]"""

    def test_one_more_qos_2_message(self) -> None:
        peer = World(Limits(receive_maximum=2)).client()
        for packet_id in (1, 2):
            peer.publish("t", qos=2, packet_id=packet_id)
        assert not peer.carrier.closed
        assert reason(peer.publish("t", qos=2, packet_id=3)) == ReasonCode.RECEIVE_MAXIMUM_EXCEEDED

    def test_one_more_qos_1_message_on_a_known_route(self) -> None:
        world = World(Limits(receive_maximum=1))
        listener(world)
        peer = world.client("p")
        peer.publish("t")
        peer.publish("t", qos=2, packet_id=1)
        assert reason(peer.publish("t", qos=1, packet_id=2)) == ReasonCode.RECEIVE_MAXIMUM_EXCEEDED

    def test_pubrel_makes_room(self) -> None:
        peer = World(Limits(receive_maximum=1)).client()
        for packet_id in range(1, 5):
            peer.publish("t", qos=2, packet_id=packet_id)
            peer.send(PubRel(packet_id))
        assert not peer.carrier.closed

    def test_a_message_that_is_sent_again_takes_no_more(self) -> None:
        peer = World(Limits(receive_maximum=1)).client()
        for _ in range(3):
            peer.publish("t", qos=2, packet_id=1)
        assert not peer.carrier.closed

    def test_what_is_completed_for_an_earlier_connection_makes_no_more_room(self) -> None:
        world = World(Limits(receive_maximum=1))
        first = world.client(expiry=100)
        first.publish("t", qos=2, packet_id=1)
        first.lose()
        peer = world.client(clean=False, expiry=100)
        peer.send(PubRel(1))
        peer.publish("t", qos=2, packet_id=2)
        assert reason(peer.publish("t", qos=2, packet_id=3)) == ReasonCode.RECEIVE_MAXIMUM_EXCEEDED

    def test_mqtt_3_has_none(self) -> None:
        peer = World(Limits(receive_maximum=1)).client(version=V311)
        for packet_id in range(1, 5):
            assert peer.publish("t", qos=2, packet_id=packet_id) == [PubRec(packet_id)]


class TestRefused:
    """A right is missing, or room."""

    @pytest.mark.parametrize("qos", [0, 1, 2], ids=lambda qos: f"QoS {qos}")
    @versions
    def test_by_a_rule(self, version: ProtocolVersion, qos: int) -> None:
        world = World(authorizer=Deny(("publish", "t")))
        hearer = listener(world)
        peer = world.client("p", version, user="u")
        answer = peer.publish("t", b"secret payload", qos=qos, packet_id=5)
        expected: list[Packet] = []
        if qos and version is V5:
            properties = Properties(reason_string="may not publish to t")
            expected = [(PubAck if qos == 1 else PubRec)(5, ReasonCode.NOT_AUTHORIZED, properties)]
        elif qos:
            # [3.1.1: MQTT-3.3.5-2]
            expected = [(PubAck if qos == 1 else PubRec)(5)]
        assert answer == expected
        assert hearer.take() == []
        assert world.logged("refused") == [
            {
                "client": "p",
                "user": "u",
                "address": "192.0.2.1:50002",
                "action": "publish",
                "topic": "t",
                "rule": "rule for t",
            }
        ]
        assert "secret" not in str(world.log)
        assert world.core.counters.publish_denied == 1
        if qos == 2:
            # The identifier is free again at once where the client was told, and after PUBREL where it was not.
            assert (5 in world.session("p").incoming) is (version is not V5)
            assert isinstance(one(peer.send(PubRel(5))), PubComp)
            assert world.session("p").incoming == set()

    @pytest.mark.parametrize("version", [V311, V5], ids=["3.1.1", "5"])
    @pytest.mark.parametrize("qos", [1, 2], ids=["QoS 1", "QoS 2"])
    def test_by_a_full_queue(self, qos: int, version: ProtocolVersion) -> None:
        world = World(Limits(max_queued_messages=1, queue_policy="refuse"))
        peer = world.client("kept", expiry=100)
        peer.subscribe("t", qos=1)
        peer.lose()
        talker = world.client("p", version)
        assert len(talker.publish("t", b"first", qos=1)) == 1
        answer = talker.publish("t", b"secret payload", qos=qos)
        if version is V5:
            assert reason(answer) == ReasonCode.QUOTA_EXCEEDED
        else:
            assert answer == []  # Not taken, so not acknowledged.
        assert talker.publish("t", b"not queued anyway") == []
        assert world.session("kept").load == 1
        assert world.session("kept").dropped is None
        assert world.logged("refused")[0]["rule"] == "a subscriber's queue is full"
        assert "secret" not in str(world.log)

    def test_by_the_limit_of_retained_messages(self) -> None:
        world = World(Limits(max_retained_messages=1))
        hearer = listener(world)
        talker = world.client("p")
        assert reason(talker.publish("a", qos=1, retain=True)) == ReasonCode.SUCCESS
        assert reason(talker.publish("b", qos=1, retain=True)) == ReasonCode.QUOTA_EXCEEDED
        assert len(hearer.published()) == 1
        assert talker.publish("c", retain=True) == []
        assert hearer.take() == []

    @pytest.mark.parametrize(
        ("qos", "retain", "topic", "refused"),
        [(1, False, "t", True), (0, True, "u", True), (0, False, "t", False), (1, False, "u", False)],
        ids=["for a kept session", "to be retained", "QoS 0", "for nobody who is kept"],
    )
    def test_by_a_store_that_is_full(self, qos: int, retain: bool, topic: str, refused: bool) -> None:
        store = DeferredStore()
        world = World(store=store)
        kept = world.opened()
        kept.connect("kept", expiry=100)
        store.commit()
        kept.send(Subscribe(1, (SubscriptionRequest("t", 1),)))
        store.commit()
        store.accepting = False
        answer = world.client("p").publish(topic, qos=qos, retain=retain)
        assert [line["rule"] for line in world.logged("refused")] == (["the store is full"] if refused else [])
        if refused and qos:
            assert reason(answer) == ReasonCode.QUOTA_EXCEEDED
        assert store.writes == 0


class TestRoutes:
    def test_a_connection_remembers_a_number_of_them(self) -> None:
        world = World()
        peer = world.client("p")
        peer.feed(b"".join(encode(Publish(f"t/{number}"), V5) for number in range(REMEMBERED_ROUTES)))
        assert len(peer.connection.routes) == REMEMBERED_ROUTES
        peer.publish("one more")
        assert len(peer.connection.routes) == 1
        assert world.core.no_routes == {}
