"""What an administrator does to clients, sessions, queues and retained messages."""

from __future__ import annotations

import pytest

from mqttbroker.broker import Steering, steering
from mqttbroker.protocol import Disconnect, Properties, ReasonCode, Will
from mqttbroker.topics import InvalidTopicFilter
from tests.broker.support import V311, World, one


@pytest.fixture(name="world")
def _world() -> World:
    return World()


@pytest.fixture(name="steer")
def _steer(world: World) -> Steering:
    return Steering(world.core)


class TestDisconnect:
    def test_nobody(self, world: World, steer: Steering) -> None:
        world.client("away", expiry=60).lose()
        assert not steer.disconnect("nobody")
        assert not steer.disconnect("away")

    @pytest.mark.parametrize(("reason", "told"), [("", "disconnected by an administrator"), ("go away", "go away")])
    def test_a_client_is_told(self, world: World, steer: Steering, reason: str, told: str) -> None:
        peer = world.client("a", expiry=60)
        assert steer.disconnect("a", reason=reason)
        world.flush()
        packet = one(peer.take())
        assert isinstance(packet, Disconnect)
        assert (packet.reason_code, packet.properties.reason_string) == (ReasonCode.ADMINISTRATIVE_ACTION, told)
        assert peer.carrier.closed
        assert not world.session("a").online
        assert world.logged("disconnected")[-1]["reason"] == told

    def test_a_client_that_cannot_be_told(self, world: World, steer: Steering) -> None:
        peer = world.client("a", V311)
        assert steer.disconnect("a")
        world.flush()
        assert not peer.take()
        assert peer.carrier.closed

    def test_below_a_mount_point(self, world: World, steer: Steering) -> None:
        peer = world.client("a")
        rented = world.client("a", entrance=world.listener("rented", mount_point="tenant/"))
        assert steer.disconnect("a", "tenant/")
        assert rented.carrier.closed
        assert not peer.carrier.closed


class TestEndSession:
    def test_nobody(self, steer: Steering) -> None:
        assert not steer.end_session("nobody")

    @pytest.mark.parametrize("connected", [True, False])
    @pytest.mark.parametrize("expiry", [0, 60])
    def test_all_of_it(self, world: World, steer: Steering, connected: bool, expiry: int) -> None:
        if not connected and not expiry:
            pytest.skip("such a session has ended already")
        watcher = world.client("w")
        watcher.subscribe("gone")
        will = Will("gone", b"bye", properties=Properties(will_delay_interval=30))
        peer = world.client("a", expiry=expiry, will=will)
        peer.subscribe("t", qos=1)
        if not connected:
            peer.lose()
            world.client("p").publish("t", qos=1)
        assert steer.end_session("a")
        world.flush()
        assert "a" not in world.core.registry.sessions
        assert "a" not in world.core.registry.online
        assert peer.carrier.ended
        assert watcher.payloads() == [b"bye"]
        assert len(world.core.router) == 1
        assert world.core.session_limits.owed_bytes == 0
        assert "a" not in world.restarted().core.registry.sessions
        world.advance(100.0)
        assert not watcher.take()


class TestPurge:
    def test_nobody(self, steer: Steering) -> None:
        assert steer.purge_queue("nobody") is None

    @pytest.mark.parametrize("connected", [True, False])
    def test_in_parts(self, world: World, steer: Steering, monkeypatch: pytest.MonkeyPatch, connected: bool) -> None:
        monkeypatch.setattr(steering, "AT_ONCE", 3)
        properties = Properties(receive_maximum=1)
        peer = world.client("a", expiry=60, properties=properties)
        peer.subscribe("t", qos=1)
        if not connected:
            peer.lose()
        publisher = world.client("p")
        for number in range(5):
            publisher.publish("t", b"%d" % number, qos=1)
        found = [steer.purge_queue("a"), steer.purge_queue("a"), steer.purge_queue("a")]
        assert [(each.count, each.more) for each in found if each is not None] == [
            (3, True),
            (1 if connected else 2, False),
            (0, False),
        ]
        publisher.publish("t", b"new", qos=1)
        if connected:
            (first,) = peer.published()
            assert first.payload == b"0"
            peer.early += peer.acknowledge([first])
        else:
            peer = world.client("a", clean=False, properties=properties)
        assert peer.payloads() == [b"new"]

    def test_the_rest_of_a_part(self, world: World, steer: Steering, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(steering, "AT_ONCE", 3)
        peer = world.client("a", expiry=60)
        peer.subscribe("t", qos=1)
        peer.lose()
        publisher = world.client("p")
        for number in range(5):
            publisher.publish("t", b"%d" % number, qos=1)
        steer.purge_queue("a")
        publisher.publish("t", b"5", qos=1)
        peer = world.client("a", clean=False)
        assert peer.payloads() == [b"3", b"4", b"5"]


class TestRetained:
    def fill(self, world: World) -> None:
        peer = world.client("p")
        for number in range(5):
            peer.publish(f"a/{number}", b"1", retain=True)
        peer.publish("b", b"1", retain=True)

    def test_a_dry_run(self, world: World, steer: Steering) -> None:
        self.fill(world)
        found = steer.delete_retained("a/#")
        assert (found.count, sorted(found.topics), found.more) == (5, [f"a/{number}" for number in range(5)], False)
        assert len(world.core.retained) == 6

    def test_a_dry_run_that_does_not_count_all(
        self, world: World, steer: Steering, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(steering, "COUNTED", 3)
        monkeypatch.setattr(steering, "SHOWN", 2)
        self.fill(world)
        found = steer.delete_retained("#")
        assert (found.count, len(found.topics), found.more) == (3, 2, True)

    def test_in_parts(self, world: World, steer: Steering, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(steering, "AT_ONCE", 3)
        self.fill(world)
        found = [steer.delete_retained("a/+", dry_run=False) for _ in range(3)]
        assert [(each.count, each.more) for each in found] == [(3, True), (2, False), (0, False)]
        assert [len(world.core.retained), world.core.retained.size] == [1, 2]
        assert len(world.restarted().core.retained) == 1

    def test_just_one(self, world: World, steer: Steering) -> None:
        self.fill(world)
        assert steer.delete_retained("b", dry_run=False).topics == ["b"]
        assert steer.delete_retained("b", dry_run=False).count == 0

    def test_what_is_the_brokers_own_stays(self, world: World, steer: Steering) -> None:
        world.core.show("$SYS/broker/uptime", b"1", world.now)
        assert steer.delete_retained("$SYS/#", dry_run=False).count == 0

    def test_not_a_filter(self, steer: Steering) -> None:
        with pytest.raises(InvalidTopicFilter):
            steer.delete_retained("a/#/b")
