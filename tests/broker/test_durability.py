"""Acknowledgements wait for the store, in order; a commit that fails ends the connection without one."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mqttbroker.broker import Limits
from mqttbroker.protocol import (
    ConnAck,
    Disconnect,
    Packet,
    PingReq,
    PingResp,
    Properties,
    ProtocolVersion,
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
    encode,
)
from mqttbroker.storage import Message, StoreError, StoreFull, WillRecord
from tests.broker.support import V5, V311, Peer, World
from tests.storage.deferred import DeferredStore

versions = pytest.mark.parametrize("version", [V311, V5], ids=["MQTT 3.1.1", "MQTT 5"])


def make_world(receive_maximum: int = 1_024) -> tuple[World, DeferredStore]:
    store = DeferredStore()
    return World(Limits(receive_maximum=receive_maximum), store), store


def kept(world: World, store: DeferredStore, client_id: str = "kept", version: ProtocolVersion = V5) -> Peer:
    """A client whose session is in the store, and nothing of it waits."""
    peer = world.opened(version)
    peer.connect(client_id, clean=False, expiry=100 if version is V5 else None)
    commit(world, store)
    peer.take()
    peer.send(Subscribe(99, (SubscriptionRequest("kept/#", 2),)))
    commit(world, store)
    peer.take()
    return peer


def commit(world: World, store: DeferredStore) -> None:
    store.commit()
    world.flush()


def receive_qos_2(world: World, store: DeferredStore, peer: Peer) -> None:
    """A message on its way to the client, to be answered with PUBREC."""
    world.client("other").publish("kept/x", qos=2)
    commit(world, store)
    peer.take()


def take_qos_2(world: World, store: DeferredStore, peer: Peer) -> None:
    """A message from the client, to be released by PUBREL."""
    peer.publish("nobody", qos=2, packet_id=5)


HELD: list[tuple[str, Callable[[World, DeferredStore, Peer], None], Packet, type[Packet]]] = [
    ("SUBACK", lambda *_: None, Subscribe(1, (SubscriptionRequest("a", 1),)), SubAck),
    ("UNSUBACK", lambda *_: None, Unsubscribe(1, ("kept/#",)), UnsubAck),
    ("PUBACK", lambda *_: None, Publish("kept/a", qos=1, packet_id=1), PubAck),
    ("PUBACK of a retained message", lambda *_: None, Publish("a", b"x", 1, retain=True, packet_id=1), PubAck),
    ("PUBREC", lambda *_: None, Publish("nobody", qos=2, packet_id=1), PubRec),
    ("PUBREL", receive_qos_2, PubRec(1), PubRel),
    ("PUBCOMP", take_qos_2, PubRel(5), PubComp),
]
held = pytest.mark.parametrize(("prepare", "packet", "answer"), [pytest.param(*row[1:], id=row[0]) for row in HELD])


class TestHeld:
    @held
    @versions
    def test_until_the_commit(
        self,
        version: ProtocolVersion,
        prepare: Callable[[World, DeferredStore, Peer], None],
        packet: Packet,
        answer: type[Packet],
    ) -> None:
        world, store = make_world()
        peer = kept(world, store, version=version)
        prepare(world, store, peer)
        commit(world, store)
        peer.take()
        assert [each for each in peer.send(packet) if not isinstance(each, Publish)] == []
        commit(world, store)
        assert [type(each) for each in peer.take() if not isinstance(each, Publish)] == [answer]

    @held
    def test_a_commit_that_fails_brings_none(
        self, prepare: Callable[[World, DeferredStore, Peer], None], packet: Packet, answer: type[Packet]
    ) -> None:
        world, store = make_world()
        peer = kept(world, store)
        prepare(world, store, peer)
        commit(world, store)
        peer.take()
        peer.send(packet)
        store.fail(StoreError("disk full"))
        world.flush()
        (last,) = [each for each in peer.take() if not isinstance(each, Publish)]
        assert isinstance(last, Disconnect)
        assert (last.reason_code, last.properties.reason_string) == (
            ReasonCode.UNSPECIFIED_ERROR,
            "could not be stored",
        )
        assert peer.carrier.closed

    def test_a_full_disk_is_told_in_a_puback(self) -> None:
        world, store = make_world()
        kept(world, store).lose()
        commit(world, store)
        talker = world.client("talker")
        talker.publish("kept/t", qos=1)
        store.fail(StoreFull("the disk is full"))
        world.flush()
        (answer,) = talker.take()
        assert isinstance(answer, PubAck)
        assert answer.reason_code == ReasonCode.QUOTA_EXCEEDED

    @pytest.mark.parametrize(("version", "qos"), [(V5, 2), (V311, 1), (V311, 2)])
    def test_a_full_disk_ends_the_connection_where_it_cannot_be_told(self, version: ProtocolVersion, qos: int) -> None:
        """A QoS 2 message may be on disk later; its publisher must send it again under the same identifier."""
        world, store = make_world()
        kept(world, store).lose()
        commit(world, store)
        talker = world.client("talker", version)
        talker.publish("kept/t", qos=qos)
        store.fail(StoreFull("the disk is full"))
        world.flush()
        assert [type(each) for each in talker.take()] == ([Disconnect] if version == V5 else [])
        assert talker.carrier.closed

    def test_on_a_full_disk_a_client_comes_and_takes_what_it_is_owed(self) -> None:
        world, store = make_world()
        peer = kept(world, store)
        peer.lose()
        world.client("talker").publish("kept/t", b"owed", qos=1)
        commit(world, store)
        store.accepting = False
        again = world.client("kept", clean=False, expiry=100)
        assert again.payloads() == [b"owed"]

    @held
    def test_a_connection_that_ended_is_not_written_to(
        self, prepare: Callable[[World, DeferredStore, Peer], None], packet: Packet, answer: type[Packet]
    ) -> None:
        world, store = make_world()
        peer = kept(world, store)
        prepare(world, store, peer)
        commit(world, store)
        peer.send(packet)
        peer.take()
        peer.lose()
        commit(world, store)
        assert peer.carrier.sent == []

    def test_connack(self) -> None:
        world, store = make_world()
        peer = world.opened()
        assert peer.connect("kept", expiry=100) == []
        assert peer.connack is None
        commit(world, store)
        assert peer.take() == [ConnAck(False, ReasonCode.SUCCESS, peer_properties())]

    def test_connack_with_session_present_and_what_is_owed(self) -> None:
        world, store = make_world()
        kept(world, store).lose()
        world.client("other").publish("kept/x", qos=1)
        commit(world, store)
        peer = world.opened()
        assert peer.connect("kept", clean=False, expiry=100) == []
        commit(world, store)
        connack, message = peer.take()
        assert isinstance(connack, ConnAck)
        assert connack.session_present
        assert isinstance(message, Publish)

    def test_retained_messages_follow_the_suback(self) -> None:
        world, store = make_world()
        peer = kept(world, store)
        for topic in ("a", "b"):
            world.client("other").publish(topic, topic.encode(), retain=True)
        commit(world, store)
        requests = (SubscriptionRequest("a"), SubscriptionRequest("b"))
        assert peer.send(Subscribe(1, requests), Unsubscribe(2, ("a",))) == []
        commit(world, store)
        taken = peer.take()
        assert [type(each) for each in taken] == [SubAck, Publish, UnsubAck]
        assert [each.payload for each in taken if isinstance(each, Publish)] == [b"b"]

    def test_what_a_transient_session_asks_for_waits_for_nothing(self) -> None:
        world, store = make_world()
        kept(world, store)
        peer = world.client("transient")
        assert store.writes == 0
        assert peer.subscribe("a", qos=2) == (2,)
        assert peer.unsubscribe("a") == (0,)
        assert peer.publish("b", qos=1) == [PubAck(3, ReasonCode.NO_MATCHING_SUBSCRIBERS)]
        assert peer.publish("b", qos=2, packet_id=7) == [PubRec(7, ReasonCode.NO_MATCHING_SUBSCRIBERS)]
        assert peer.send(PubRel(7)) == [PubComp(7)]

    def test_a_message_for_a_kept_session_holds_its_publishers_acknowledgement(self) -> None:
        world, store = make_world()
        kept(world, store)
        peer = world.client("transient")
        assert peer.publish("kept/x", qos=1) == []
        commit(world, store)
        assert peer.take() == [PubAck(1)]

    def test_subscribers_get_the_message_without_waiting(self) -> None:
        world, store = make_world()
        peer = kept(world, store)
        world.client("other").publish("kept/x", b"now", qos=1)
        assert peer.payloads() == [b"now"]


def peer_properties() -> Properties:
    limits = Limits()
    return Properties(
        receive_maximum=limits.receive_maximum,
        maximum_packet_size=limits.max_packet_size,
        topic_alias_maximum=limits.topic_alias_maximum,
    )


class TestOrder:
    """[MQTT-4.6.0-2]"""

    def test_answers_come_in_the_order_of_what_they_answer(self) -> None:
        world, store = make_world()
        peer = kept(world, store)
        taken = peer.send(
            Publish("nobody", qos=1, packet_id=1),
            Publish("kept/x", qos=1, packet_id=2),
            Publish("nobody", qos=1, packet_id=3),
            Publish("nobody", qos=2, packet_id=4),
            Unsubscribe(5, ("kept/#",)),
        )
        # The first needed nothing of the store, and nothing was before it.
        assert [each for each in taken if not isinstance(each, Publish)] == [
            PubAck(1, ReasonCode.NO_MATCHING_SUBSCRIBERS)
        ]
        commit(world, store)
        assert peer.take() == [
            PubAck(2),
            PubAck(3, ReasonCode.NO_MATCHING_SUBSCRIBERS),
            PubRec(4, ReasonCode.NO_MATCHING_SUBSCRIBERS),
            UnsubAck(5, (ReasonCode.SUCCESS,)),
        ]

    def test_an_answer_given_while_callbacks_run_stays_behind_those_that_wait(self) -> None:
        world, store = make_world()
        peer = kept(world, store)

        def meanwhile(error: Exception | None) -> None:
            # The store is settled, and two answers still wait for their callbacks.
            assert store.settled
            peer.connection.feed(encode(Publish("nobody", qos=1, packet_id=3), V5), world.now)

        store.put_will("nobody", WillRecord(Message("t", b"t", b"")))
        store.when_durable(meanwhile)
        peer.send(Unsubscribe(1, ("a",)), Unsubscribe(2, ("kept/#",)))
        commit(world, store)
        assert [type(each) for each in peer.take()] == [UnsubAck, UnsubAck, PubAck]

    def test_pingresp_waits_for_no_disk(self) -> None:
        world, store = make_world()
        peer = kept(world, store)
        assert peer.send(Unsubscribe(1, ("kept/#",)), PingReq()) == [PingResp()]

    def test_nothing_comes_before_connack(self) -> None:
        """[MQTT-3.2.0-1]"""
        world, store = make_world()
        peer = world.opened()
        peer.connect("kept", expiry=100)
        subscribe = Subscribe(2, (SubscriptionRequest("t"),))
        assert peer.send(PingReq(), Publish("kept", qos=1, packet_id=1), subscribe) == []
        world.client("other").publish("t", b"too early")
        commit(world, store)
        assert [type(each) for each in peer.take()] == [ConnAck, PingResp, PubAck, SubAck]

    @pytest.mark.parametrize(
        ("end", "expected"),
        [
            pytest.param(lambda world, store: store.fail(StoreError("no")), ReasonCode.UNSPECIFIED_ERROR, id="failure"),
            pytest.param(lambda world, store: world.core.shut_down(world.now), None, id="shut-down"),
            pytest.param(lambda world, store: world.opened().connect("kept", expiry=100), None, id="takeover"),
        ],
    )
    def test_the_end_before_connack_is_not_a_disconnect(
        self, end: Callable[[World, DeferredStore], None], expected: ReasonCode | None
    ) -> None:
        world, store = make_world()
        peer = world.opened()
        peer.connect("kept", expiry=100)
        end(world, store)
        world.flush()
        taken = peer.take()
        assert [each.reason_code for each in taken if isinstance(each, ConnAck)] == ([expected] if expected else [])
        assert not any(isinstance(each, Disconnect) for each in taken)
        assert peer.carrier.closed
        commit(world, store)

    def test_an_error_before_connack_is_answered_by_it(self) -> None:
        world, _ = make_world()
        peer = world.opened()
        peer.connect("kept", expiry=100)
        (answer,) = peer.send(PingResp())
        assert isinstance(answer, ConnAck)
        assert answer.reason_code == ReasonCode.PROTOCOL_ERROR


class TestBackPressure:
    def test_reading_stops_while_too_many_answers_are_held(self) -> None:
        world, store = make_world(receive_maximum=3)
        peer = kept(world, store)
        for number in range(1, 5):
            peer.send(Subscribe(number, (SubscriptionRequest(f"t/{number}"),)))
            assert peer.reads() is (number <= 3)
        commit(world, store)
        assert peer.reads()
        assert len(peer.take()) == 4

    def test_a_free_socket_does_not_start_it_again(self) -> None:
        world, store = make_world(receive_maximum=1)
        peer = kept(world, store)
        for number in (1, 2):
            peer.send(Subscribe(number, (SubscriptionRequest(f"t/{number}"),)))
        peer.congest()
        peer.relieve()
        assert not peer.reads()
        commit(world, store)
        assert peer.reads()

    def test_a_congested_store_stops_reading_at_once(self) -> None:
        world, store = make_world()
        peer = kept(world, store)
        store.congested = True
        peer.send(Unsubscribe(1, ("a",)))
        peer.send(Unsubscribe(2, ("kept/#",)))
        assert not peer.reads()
        store.congested = False
        commit(world, store)
        assert peer.reads()


class TestReceiveMaximum:
    """[MQTT-3.3.4-7]: what a client is told that it may send, it may send, however long the disk takes."""

    @pytest.mark.parametrize("qos", [1, 2], ids=["QoS 1", "QoS 2"])
    def test_as_many_as_announced_may_be_on_their_way(self, qos: int) -> None:
        world, store = make_world(receive_maximum=4)
        peer = kept(world, store)
        taken = peer.send(*(Publish("kept/x", qos=qos, packet_id=number) for number in range(1, 5)))
        assert not any(isinstance(each, PubAck | PubRec) for each in taken)
        commit(world, store)
        taken = peer.take()
        assert len([each for each in taken if isinstance(each, PubAck | PubRec)]) == 4
        assert not peer.carrier.closed

    @pytest.mark.parametrize("qos", [1, 2], ids=["QoS 1", "QoS 2"])
    def test_one_more_is_too_many(self, qos: int) -> None:
        world, store = make_world(receive_maximum=4)
        peer = kept(world, store)
        for number in range(1, 6):
            peer.send(Publish("kept/x", qos=qos, packet_id=number))
        assert peer.carrier.closed
        assert world.logged("connection failed")[0]["reason"] == "receive_maximum_exceeded"

    def test_other_answers_that_are_held_do_not_count(self) -> None:
        world, store = make_world(receive_maximum=2)
        peer = kept(world, store)
        for number in range(1, 6):
            peer.send(Subscribe(number, (SubscriptionRequest("kept/#", 1),)))
        peer.send(Publish("kept/x", qos=1, packet_id=8), Publish("kept/x", qos=1, packet_id=9))
        assert not peer.carrier.closed

    def test_a_completed_message_makes_room_while_its_pubcomp_waits(self) -> None:
        world, store = make_world(receive_maximum=1)
        peer = kept(world, store)
        peer.send(Publish("kept/x", qos=2, packet_id=1))
        commit(world, store)
        peer.send(PubRel(1), Publish("kept/x", qos=2, packet_id=2))
        assert not peer.carrier.closed


class TestCrash:
    """What was acknowledged is there after a loss of power; what was not may be lost, and is sent again."""

    def test_an_acknowledged_message(self) -> None:
        world, store = make_world()
        kept(world, store).lose()
        other = world.client("other")
        other.publish("kept/x", b"one", qos=1)
        commit(world, store)
        other.publish("kept/x", b"two", qos=1)
        again = world.restarted(store.crashed()).client("kept", clean=False, expiry=100)
        assert again.connack is not None
        assert again.connack.session_present
        assert again.payloads() == [b"one"]

    def test_a_qos_2_message_is_taken_once(self) -> None:
        world, store = make_world()
        peer = kept(world, store)
        peer.send(Publish("kept/x", b"once", 2, packet_id=1))
        commit(world, store)
        later = world.restarted(store.crashed())
        again = later.client("kept", clean=False, expiry=100)
        (first,) = again.published()
        assert again.send(Publish("kept/x", b"once", 2, dup=True, packet_id=1)) == [PubRec(1)]
        assert again.send(PubRel(1)) == [PubComp(1)]
        assert first.payload == b"once"

    def test_a_qos_2_message_on_its_way_out_keeps_its_identifier(self) -> None:
        world, store = make_world()
        peer = kept(world, store)
        world.client("other").publish("kept/x", b"once", qos=2)
        commit(world, store)
        (first,) = peer.published()
        again = world.restarted(store.crashed()).client("kept", clean=False, expiry=100)
        (second,) = again.published()
        assert (second.packet_id, second.dup) == (first.packet_id, True)

    def test_a_qos_2_message_with_an_expiry_interval(self) -> None:
        world, store = make_world()
        peer = kept(world, store)
        world.client("other").publish("kept/x", qos=2, properties=Properties(message_expiry_interval=7))
        commit(world, store)
        (message,) = peer.published()
        assert message.properties.message_expiry_interval == 7

    def test_after_pubrel_it_is_only_pubrel_again(self) -> None:
        world, store = make_world()
        peer = kept(world, store)
        receive_qos_2(world, store, peer)
        peer.send(PubRec(1))
        commit(world, store)
        assert peer.take() == [PubRel(1)]
        again = world.restarted(store.crashed()).client("kept", clean=False, expiry=100)
        assert again.take() == [PubRel(1)]
        assert again.send(PubComp(1)) == []

    def test_a_subscription_that_was_acknowledged(self) -> None:
        world, store = make_world()
        peer = kept(world, store)
        peer.send(Unsubscribe(1, ("kept/#",)), Subscribe(2, (SubscriptionRequest("b", 1),)))
        commit(world, store)
        peer.send(Subscribe(3, (SubscriptionRequest("c", 1),)))
        later = world.restarted(store.crashed())
        assert set(later.session("kept").subscriptions) == {"b"}
