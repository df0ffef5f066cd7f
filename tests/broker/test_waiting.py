"""What else depends on whether something waits for the store: refusals, reading, the keep alive, and wills."""

from __future__ import annotations

from mqttbroker.protocol import PubAck, ReasonCode, Subscribe, SubscriptionRequest, Will
from tests.broker.test_durability import commit, kept, make_world


class TestAtOnce:
    """Where nothing is stored, nothing waits, whatever else does."""

    def test_nothing_of_it_is_stored_for_a_subscription_of_qos_0(self) -> None:
        world, store = make_world()
        peer = kept(world, store)
        peer.send(Subscribe(1, (SubscriptionRequest("kept/#", 0),)))
        assert not store.settled
        assert world.client("other").publish("kept/x", qos=1) == [PubAck(1)]

    def test_a_refusal_waits_for_nothing(self) -> None:
        world, store = make_world()
        kept(world, store).send(Subscribe(1, (SubscriptionRequest("a", 1),)))
        store.accepting = False
        assert not store.settled
        (answer,) = world.client("other").publish("t", b"x", qos=1, retain=True)
        assert isinstance(answer, PubAck)
        assert answer.reason_code == ReasonCode.QUOTA_EXCEEDED


class TestReading:
    def test_the_keep_alive_begins_anew_when_reading_does(self) -> None:
        world, store = make_world()
        peer = world.opened()
        peer.connect("client", expiry=100, keep_alive=10)
        commit(world, store)
        store.congested = True
        peer.send(Subscribe(1, (SubscriptionRequest("t"),)))
        world.advance(20)
        store.congested = False
        commit(world, store)
        world.advance(14)
        assert not peer.carrier.closed
        world.advance(2)
        assert peer.carrier.closed


class TestBeforeConnack:
    """A CONNECT that was accepted, whose answer waits for the store."""

    def test_an_error_of_the_client_publishes_its_will(self) -> None:
        world, _ = make_world()
        listener = world.client("listener")
        listener.subscribe("will")
        peer = world.opened()
        peer.connect("client", clean=False, expiry=100, will=Will("will", b"gone"))
        peer.feed(b"\x00\x00")
        assert peer.carrier.closed
        world.flush()
        assert listener.payloads() == [b"gone"]
