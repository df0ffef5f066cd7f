"""The core: turns, ticks, publishing from within, shut-down."""

from __future__ import annotations

import pytest

from mqttbroker.broker import Accepted, Limits
from mqttbroker.protocol import ConnAck, Connect, Disconnect, Properties, Publish, ReasonCode, encode
from mqttbroker.storage import Message
from mqttbroker.topics import InvalidTopicName
from tests.broker.support import V5, V311, Patient, Peer, World


class TestTurns:
    def make(self, count: int, size: int) -> World:
        """Two sessions that are owed so many messages."""
        world = World(Limits(max_outbound_buffer=4_096))
        for client_id in ("a", "b"):
            peer = world.client(client_id, expiry=100)
            peer.subscribe("t", qos=1)
            peer.lose()
        talker = world.client("p")
        for _ in range(count):
            talker.publish("t", b"x" * size, qos=1)
        return world

    def test_nobody_writes_more_than_a_burst_in_a_turn(self) -> None:
        world = self.make(40, 1_000)
        peers = [world.opened() for _ in range(2)]
        for peer, client_id in zip(peers, ("a", "b"), strict=True):
            peer.early += peer.connect(client_id, clean=False, expiry=100)
        for peer in peers:
            assert max(len(chunk) for chunk in peer.carrier.sent or [b""]) < 4_096 + 2_000
            assert len(peer.published()) == 40

    def test_flush_says_whether_there_is_more(self) -> None:
        world = self.make(10, 1_000)
        peer = world.opened()
        properties = Properties(session_expiry_interval=100)
        peer.connection.feed(encode(Connect("a", V5, False, properties=properties), V5), world.now)
        assert world.core.flush()
        assert not world.core.flush()
        assert len([each for each in peer.take() if isinstance(each, Publish)]) == 10

    def test_a_turn_with_nothing_to_do(self) -> None:
        assert not World().core.flush()


class TestTick:
    def test_a_deadline_that_fails_is_logged_and_the_others_are_met(self) -> None:
        world = World()

        def broken(now: float) -> float:
            raise RuntimeError("broken")

        world.client(expiry=5).lose()
        world.core.wheel.add(("will", "somebody"), world.now + 5, broken)
        world.core.wheel.add("other", world.now + 5, broken)
        world.advance(5)
        assert world.core.registry.sessions == {}
        assert sorted(str(line["deadline"]) for line in world.logged("deadline failed")) == [
            "connection",
            "will of somebody",
        ]

    def test_what_happens_between_calls_happens_at_the_last_tick(self) -> None:
        patient = Patient()
        world = World(authenticator=patient)

        def connected(client_id: str) -> Peer:
            peer = world.opened()
            peer.connect(client_id, clean=False, expiry=100)
            return peer

        def welcomed(peer: Peer) -> Peer:
            patient.answer(Accepted(None))
            world.flush()
            (connack,) = peer.take()
            assert isinstance(connack, ConnAck)
            return peer

        talker, listener = welcomed(connected("talker")), welcomed(connected("listener"))
        listener.subscribe("t", qos=1)
        listener.lose()
        talker.publish("t", qos=1, properties=Properties(message_expiry_interval=3))
        again = connected("listener")
        world.advance(3)
        welcomed(again)  # Nothing but a CONNACK.


class TestPublishMessage:
    def test_from_within_the_process(self) -> None:
        world = World()
        peer = world.client()
        peer.subscribe("t", qos=1)
        world.core.publish_message(Message("t", b"t", b"x", 1, retain=True), world.now)
        world.flush()
        assert peer.payloads() == [b"x"]
        assert world.core.retained.get("t", world.now) is not None

    def test_the_servers_own_names_are_allowed(self) -> None:
        world = World()
        peer = world.client()
        peer.subscribe("$SYS/#")
        world.core.publish_message(Message("$SYS/x", b"$SYS/x", b"1"), world.now)
        world.flush()
        assert peer.payloads() == [b"1"]

    def test_a_name_that_is_none(self) -> None:
        world = World()
        with pytest.raises(InvalidTopicName):
            world.core.publish_message(Message("a/#", b"a/#", b""), world.now)


class TestShutDown:
    def test_everybody_is_told(self) -> None:
        world = World()
        five, three, silent = world.client("five"), world.client("three", V311), world.opened()
        world.core.shut_down(world.now)
        (answer,) = five.take()
        assert isinstance(answer, Disconnect)
        assert answer.reason_code == ReasonCode.SERVER_SHUTTING_DOWN
        assert (three.take(), silent.take()) == ([], [])
        assert all(peer.carrier.closed for peer in (five, three, silent))
        assert world.core.connections == set()
        assert {str(line["reason"]) for line in world.logged("disconnected")} == {"the broker stops"}


class TestCounters:
    def test_bytes_and_messages(self) -> None:
        world = World()
        peer = world.client()
        before = world.core.counters.bytes_received
        peer.feed(b"\xc0\x00")
        assert world.core.counters.bytes_received == before + 2
        for qos in (0, 1, 2):
            for _ in range(2):
                peer.publish("nobody", qos=qos)
        counters = world.core.counters
        assert (counters.messages_received, counters.messages_unrouted) == (6, 6)

    def test_a_message_of_mqtt_3_without_subscribers(self) -> None:
        world = World()
        peer = world.client(version=V311)
        for qos in (0, 1):
            for _ in range(2):
                peer.publish("nobody", qos=qos)
        assert world.core.counters.messages_unrouted == 4
