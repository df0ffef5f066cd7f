"""Retained messages for a new subscription: in slices, as fast as the client takes them, none lost."""

from __future__ import annotations

import pytest

from mqttbroker.broker import Limits
from mqttbroker.broker.replay import SLICE
from mqttbroker.protocol import Connect, Properties, Publish, Subscribe, SubscriptionRequest, encode
from mqttbroker.storage import Message
from tests.broker.support import V5, Deny, Peer, World


def world_with(count: int, limits: Limits | None = None, qos: int = 1, payload: bytes = b"x") -> World:
    """A world with so many retained messages, of the topics t/0, t/1 ..."""
    world = World(limits)
    for number in range(count):
        topic = f"t/{number}"
        world.core.publish(message_for(topic, qos, payload), world.core.router.route(topic), world.now)
    return world


def message_for(topic: str, qos: int, payload: bytes, expires_at: float = 0.0) -> Message:
    return Message(topic, topic.encode(), payload, qos, True, expires_at=expires_at)


def everything(peer: Peer) -> list[str]:
    """Take, and acknowledge, until nothing more comes; the topics."""
    topics: list[str] = []
    taken = peer.published()
    while taken:
        topics += [each.topic for each in taken]
        taken = [each for each in peer.acknowledge(taken) if isinstance(each, Publish)]
    return topics


class TestRetainHandling:
    """[MQTT-3.3.1-9] [MQTT-3.3.1-10] [MQTT-3.3.1-11]"""

    @pytest.mark.parametrize(
        ("handling", "first", "again"), [(0, 1, 1), (1, 1, 0), (2, 0, 0)], ids=["always", "if new", "never"]
    )
    def test_first_and_second_subscription(self, handling: int, first: int, again: int) -> None:
        world = world_with(1)
        peer = world.client()
        for expected in (first, again):
            peer.subscribe(SubscriptionRequest("t/#", 1, retain_handling=handling))
            assert len(peer.published()) == expected

    def test_shared_subscriptions_get_none(self) -> None:
        world = world_with(1)
        peer = world.client()
        peer.subscribe("$share/g/t/#")
        assert peer.take() == []

    def test_the_retain_flag_is_set_whatever_the_options(self) -> None:
        """[MQTT-3.3.1-8]"""
        world = world_with(1, qos=2)
        peer = world.client()
        peer.subscribe(SubscriptionRequest("t/0", 1, no_local=True), identifier=7)
        (message,) = peer.published()
        assert (message.retain, message.qos, message.properties.subscription_identifiers) == (True, 1, (7,))

    def test_own_messages_stay_away_where_no_local_is_asked_for(self) -> None:
        """[MQTT-3.8.3-3]"""
        world = World()
        peer = world.client()
        peer.publish("t/own", retain=True)
        world.client("other").publish("t/other", retain=True)
        peer.publish("t/own as well", retain=True)  # In whatever order they come: one is before the other's.
        peer.subscribe(SubscriptionRequest("t/#", no_local=True))
        assert [each.topic for each in peer.published()] == ["t/other"]

    def test_an_expiring_message_says_what_is_left(self) -> None:
        world = World()
        world.client("p").publish("t", retain=True, properties=Properties(message_expiry_interval=10))
        world.now += 2.5
        early = world.client("early")
        early.subscribe("t")
        (message,) = early.published()
        assert message.properties.message_expiry_interval == 8
        world.advance(7.5)
        late = world.client("late")
        late.subscribe("t")
        assert late.take() == []

    def test_the_clock_of_the_last_tick_is_not_used(self) -> None:
        world = World()
        world.core.tick(world.now)
        world.now += 0.9
        world.client("p").publish("t", retain=True, properties=Properties(message_expiry_interval=10))
        peer = world.client()
        peer.subscribe("t")
        (message,) = peer.published()
        assert message.properties.message_expiry_interval == 10


class TestSlices:
    def test_many_take_several_turns(self) -> None:
        world = world_with(2 * SLICE + 10, qos=0)
        peer = world.client()
        peer.connection.feed(encode_subscribe("t/#"), world.now)
        counts = [len(peer.connection.outbox.chunks) - 1]
        peer.connection.outbox.flush()
        while world.core.replays:
            world.core.flush()
            counts.append(len(peer.connection.outbox.chunks))
        assert counts[:3] == [SLICE, SLICE, 10]

    def test_others_have_their_turn(self) -> None:
        world = world_with(3 * SLICE, qos=0)
        peer, other = world.client(), world.client("other")
        other.subscribe("live")
        talker = world.client("p")
        peer.connection.feed(encode_subscribe("t/#"), world.now)
        talker.connection.feed(encode(Publish("live"), V5), world.now)
        assert world.core.flush()
        assert len(other.published()) == 1
        assert len(world.core.replays) == 1

    @pytest.mark.parametrize("qos", [0, 1, 2], ids=lambda qos: f"QoS {qos}")
    def test_all_arrive_through_a_narrow_window(self, qos: int) -> None:
        limits = Limits(max_queued_messages=3, queue_window=2)
        world = world_with(50, limits, qos=min(qos, 1))
        peer = world.client(properties=Properties(receive_maximum=2))
        peer.subscribe("t/#", qos=qos)
        assert sorted(everything(peer)) == sorted(f"t/{number}" for number in range(50))
        assert world.session().dropped is None

    def test_nor_does_a_limit_in_bytes_lose_any(self) -> None:
        limits = Limits(max_queued_bytes=100)
        world = world_with(20, limits, payload=b"x" * 60)
        peer = world.client(properties=Properties(receive_maximum=1))
        peer.subscribe("t/#", qos=1)
        assert len(everything(peer)) == 20
        assert world.session().dropped is None

    def test_a_burst_that_is_under_way_is_not_overtaken(self) -> None:
        limits = Limits(max_outbound_buffer=4_096, max_queued_messages=10)
        world = world_with(30, limits, payload=b"x" * 1_000)
        peer = world.client(expiry=100)
        peer.subscribe("live", qos=1)
        peer.lose()
        for _ in range(10):
            world.client("p").publish("live", b"y" * 1_000, qos=1)
        again = world.opened()
        again.connection.feed(encode_connect() + encode_subscribe("t/#", 1), world.now)
        world.flush()
        again.take()
        while again.connection.session.inflight:
            again.acknowledge([Publish("", qos=1, packet_id=each) for each in again.connection.session.inflight])
        assert world.session().dropped is None


class TestBlocked:
    def test_a_full_socket_loses_nothing(self) -> None:
        world = world_with(10, qos=0)
        peer = world.client()
        peer.congest()
        peer.subscribe("t/#")
        assert peer.take() == []
        assert not world.core.flush()
        peer.relieve()
        assert len(peer.payloads()) == 10
        assert not world.core.replays
        assert world.session().dropped is None

    def test_what_expires_meanwhile_is_not_sent(self) -> None:
        world = World()
        for topic, expires_at in (("t/1", world.now + 5), ("t/2", world.now + 50)):
            world.core.retained.keep(message_for(topic, 0, b"x", expires_at))
        peer = world.client()
        peer.congest()
        peer.subscribe("t/#")
        world.now += 10
        peer.relieve()
        assert [each.topic for each in peer.published()] == ["t/2"]

    def test_rules_leave_some_topics_out(self) -> None:
        world = World(authorizer=Deny(("receive", "t/1")))
        for number in range(3):
            world.client("p").publish(f"t/{number}", retain=True)
        peer = world.client()
        peer.subscribe("t/#")
        assert {each.topic for each in peer.published()} == {"t/0", "t/2"}


class TestTheEnd:
    def begin(self) -> tuple[World, Peer]:
        world = world_with(10, qos=0)
        peer = world.client(expiry=100)
        peer.congest()
        peer.subscribe("t/#")
        assert len(world.core.replays) == 1
        return world, peer

    def test_with_the_subscription(self) -> None:
        world, peer = self.begin()
        peer.unsubscribe("t/#")
        peer.relieve()
        assert peer.take() == []
        assert not world.core.replays

    def test_with_the_connection(self) -> None:
        world, peer = self.begin()
        peer.lose()
        assert not world.core.replays
        again = world.client(clean=False, expiry=100)
        assert again.take() == []

    def test_with_another_subscription_in_its_place(self) -> None:
        world, peer = self.begin()
        peer.subscribe(SubscriptionRequest("t/#", retain_handling=0))
        peer.relieve()
        assert len(peer.payloads()) == 10
        assert not world.core.replays


def encode_connect() -> bytes:
    return encode(Connect("client", V5, False, properties=Properties(session_expiry_interval=100)), V5)


def encode_subscribe(topic_filter: str, qos: int = 0) -> bytes:
    return encode(Subscribe(1, (SubscriptionRequest(topic_filter, qos),)), V5)
