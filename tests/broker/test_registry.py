"""Sessions from their beginning to their end: clean start, expiry, takeover, restart."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mqttbroker.broker import Limits
from mqttbroker.protocol import Disconnect, Properties, ProtocolVersion, ReasonCode
from mqttbroker.sessions import Drop
from mqttbroker.storage import MemoryStore
from tests.broker.support import V5, V31, V311, Deny, Peer, World

FOREVER = 0xFFFF_FFFF


def present(peer: Peer) -> bool:
    assert peer.connack is not None
    return peer.connack.session_present


class TestCleanStart:
    """[MQTT-3.1.2-4] [MQTT-3.1.2-5] [MQTT-3.1.2-6]"""

    def test_a_new_session(self) -> None:
        world = World()
        assert not present(world.client(clean=False))

    @pytest.mark.parametrize("clean", [True, False], ids=["clean start", "resume"])
    def test_what_becomes_of_the_old_session(self, clean: bool) -> None:
        world = World()
        first = world.client(expiry=100)
        first.subscribe("t", qos=1)
        first.publish("x", qos=2, packet_id=9)
        first.lose()
        world.client("other").publish("t", qos=1)
        second = world.client(clean=clean, expiry=100)
        assert present(second) is not clean
        assert bool(second.payloads()) is not clean
        session = world.session()
        assert bool(session.subscriptions) is not clean
        assert session.incoming == (set() if clean else {9})
        records = list(world.store.sessions())
        assert [bool(record.subscriptions) for record in records] == [not clean]

    def test_what_a_clean_start_leaves_undelivered_is_counted(self) -> None:
        world = World()
        first = world.client(expiry=100)
        first.subscribe("t", qos=1)
        first.lose()
        for _ in range(3):
            world.client("other").publish("t", qos=1)
        world.client()
        assert world.core.session_limits.dropped[Drop.SESSION_ENDED] == 3

    @pytest.mark.parametrize("version", [V31, V311], ids=["3.1", "3.1.1"])
    def test_in_mqtt_3_a_clean_session_ends_with_the_connection(self, version: ProtocolVersion) -> None:
        world = World()
        world.client(version=version).lose()
        assert world.core.registry.sessions == {}
        world.client(version=version, clean=False).lose()
        assert world.session().expiry_interval == FOREVER

    def test_versions_may_change(self) -> None:
        world = World()
        world.client(version=V311, clean=False).lose()
        assert present(world.client(version=V5, clean=False, expiry=5))
        assert present(world.client(version=V311, clean=False))


class TestExpiry:
    """[MQTT-3.1.2-23]"""

    def test_the_session_ends_when_the_interval_has_run_out(self) -> None:
        world = World()
        world.client(expiry=10).lose()
        world.advance(9)
        assert "client" in world.core.registry.sessions
        world.advance(1)
        assert world.core.registry.sessions == {}
        assert list(world.store.sessions()) == []
        assert world.logged("session expired") == [{"client": "client", "user": None}]

    def test_a_connection_stops_the_clock(self) -> None:
        world = World()
        world.client(expiry=10).lose()
        world.advance(9)
        peer = world.client(clean=False, expiry=10)
        world.advance(100)
        assert not peer.carrier.ended
        peer.lose()
        world.advance(9)
        assert present(world.client(clean=False, expiry=10))

    def test_zero_ends_it_with_the_connection(self) -> None:
        world = World()
        world.client().lose()
        assert world.core.registry.sessions == {}

    def test_never(self) -> None:
        world = World()
        world.client(expiry=FOREVER).lose()
        assert len(world.core.wheel) == 0
        world.core.tick(world.now + 1e9)
        assert "client" in world.core.registry.sessions

    def test_the_broker_has_a_maximum(self) -> None:
        world = World(Limits(max_session_expiry=5))
        peer = world.client(expiry=FOREVER)
        assert peer.connack is not None
        assert peer.connack.properties.session_expiry_interval == 5
        peer.lose()
        world.client("old", V311, clean=False).lose()
        world.advance(5)
        assert world.core.registry.sessions == {}

    def test_a_resumed_session_gets_the_new_interval(self) -> None:
        world = World()
        world.client(expiry=100).lose()
        world.client(clean=False, expiry=0).lose()
        assert world.core.registry.sessions == {}
        assert list(world.store.sessions()) == []


class TestExpiryAtDisconnect:
    def test_shorter(self) -> None:
        world = World()
        world.client(expiry=100).disconnect(expiry=5)
        world.advance(5)
        assert world.core.registry.sessions == {}

    def test_longer_up_to_the_maximum(self) -> None:
        world = World(Limits(max_session_expiry=50))
        world.client(expiry=5).disconnect(expiry=FOREVER)
        assert next(world.store.sessions()).expiry_interval == 50
        world.advance(49)
        assert present(world.client(clean=False))

    def test_at_once(self) -> None:
        world = World()
        world.client(expiry=100).disconnect(expiry=0)
        assert world.core.registry.sessions == {}

    def test_not_where_connect_had_none(self) -> None:
        world = World()
        peer = world.client()
        peer.disconnect(expiry=5)
        (answer,) = peer.take()
        assert isinstance(answer, Disconnect)
        assert answer.reason_code == ReasonCode.PROTOCOL_ERROR

    def test_zero_where_connect_had_none(self) -> None:
        peer = World().client()
        peer.disconnect(expiry=0)
        assert peer.take() == []


class TestTakeover:
    """[MQTT-3.1.4-3]"""

    @pytest.mark.parametrize("version", [V311, V5], ids=["3.1.1", "5"])
    def test_the_old_connection_ends(self, version: ProtocolVersion) -> None:
        world = World()
        first = world.client(version=version)
        second = world.client(version=version, clean=False)
        reasons = [each.reason_code for each in first.take() if isinstance(each, Disconnect)]
        assert reasons == ([ReasonCode.SESSION_TAKEN_OVER] if version is V5 else [])
        assert first.carrier.closed
        assert not second.carrier.ended
        assert world.core.is_connected(second.connection)
        assert not world.core.is_connected(first.connection)
        assert world.core.counters.takeovers == 1
        assert world.logged("session taken over") == [{"client": "client", "user": None, "address": "192.0.2.1:50001"}]

    def test_the_session_goes_on(self) -> None:
        world = World()
        first = world.client(expiry=100)
        first.subscribe("t", qos=1)
        world.client("other").publish("t", b"x", qos=1)
        (before,) = first.published()
        second = world.client(clean=False, expiry=100)
        (again,) = second.published()
        assert present(second)
        assert (again.packet_id, again.dup, again.payload) == (before.packet_id, True, b"x")

    def test_a_session_that_ends_with_its_connection_is_not_taken_over(self) -> None:
        world = World()
        world.client().subscribe("t")
        assert not present(world.client(clean=False, expiry=100))
        assert world.session().subscriptions == {}
        assert world.session().persistent

    def test_what_the_old_connection_sends_later_is_nothing(self) -> None:
        world = World()
        first = world.client(expiry=100)
        second = world.client(clean=False, expiry=100)
        first.feed(b"\xe0\x00")
        first.connection.lost(world.now)
        assert world.core.is_connected(second.connection)
        assert world.session().online


class TestRestart:
    def test_sessions_subscriptions_and_queues_are_there(self) -> None:
        world = World()
        first = world.client(expiry=100, user="u")
        first.subscribe("t/#", "$share/g/s", qos=1)
        first.lose()
        world.client("other").publish("t/1", b"before", qos=1)
        later = world.restarted()
        later.client("other").publish("t/2", b"after", qos=1)
        later.client("other").publish("s", b"shared", qos=1)
        again = later.client(clean=False, expiry=100, user="u")
        assert present(again)
        assert again.payloads() == [b"before", b"after", b"shared"]

    def test_a_session_belongs_to_the_listener_through_which_its_client_came_last(self) -> None:
        world = World()
        outer, inner = world.listener("outer"), world.listener("inner")
        for clean, entrance in ((True, outer), (False, inner)):
            peer = world.client(clean=clean, expiry=100, entrance=entrance)
            assert next(world.store.sessions()).listener == entrance.name
            peer.lose()
            assert next(world.store.sessions()).listener == entrance.name
        later = world.restarted()
        assert later.session().listener == "inner"
        later.client(clean=False, expiry=100, entrance=later.listener("outer"))
        assert next(later.store.sessions()).listener == "outer"

    def test_routes_know_the_kind_of_a_restored_session(self) -> None:
        world = World()
        first = world.client(expiry=100)
        first.subscribe("t")
        first.lose()
        later = world.restarted()
        talker = later.client("talker")
        talker.publish("t", b"nobody there")
        again = later.client(clean=False, expiry=100)
        talker.publish("t", b"x")
        assert again.payloads() == [b"x"]
        assert later.core.router.route("t").verbatim5 == [later.session()]

    def test_the_clock_of_an_offline_session_goes_on(self) -> None:
        world = World()
        world.client(expiry=10).lose()
        world.now += 6
        later = world.restarted()
        later.advance(3)
        assert "client" in later.core.registry.sessions
        later.advance(1)
        assert later.core.registry.sessions == {}

    def test_each_has_a_clock_of_its_own(self) -> None:
        world = World()
        for client_id in ("a", "b", "c"):
            world.client(client_id, expiry=10).lose()
        later = world.restarted()
        later.client("b", clean=False, expiry=10)
        later.advance(10)
        assert set(later.core.registry.sessions) == {"b"}

    def test_whose_time_has_come_ends_at_once(self) -> None:
        world = World()
        world.client(expiry=10).lose()
        world.now += 10
        later = world.restarted()
        assert later.core.registry.sessions == {}
        assert list(later.store.sessions()) == []

    def test_a_connection_that_was_open_ended_with_the_broker(self) -> None:
        world = World()
        world.client("ends")
        world.client("lasts", expiry=10)
        world.client("for ever", expiry=FOREVER)
        later = world.restarted()
        assert set(later.core.registry.sessions) == {"lasts", "for ever"}
        later.advance(10)
        assert set(later.core.registry.sessions) == {"for ever"}

    def test_one_that_was_to_end_with_its_connection(self) -> None:
        world = World()
        world.client(expiry=100).lose()
        world.client(clean=False, expiry=0)
        later = world.restarted()
        assert later.core.registry.sessions == {}
        assert list(later.store.sessions()) == []


class TestSharedMessages:
    """[MQTT-4.8.2-5]: a session that ends leaves the messages of shared subscriptions to the other members."""

    def share(self, world: World, *client_ids: str, qos: int = 2) -> list[Peer]:
        peers = [world.client(client_id, expiry=100) for client_id in client_ids]
        for peer in peers:
            peer.subscribe("$share/g/t", qos=qos)
        return peers

    @pytest.mark.parametrize(
        "end",
        [
            pytest.param(lambda peer: peer.disconnect(expiry=0), id="disconnected"),
            pytest.param(lambda peer: (peer.lose(), peer.world.client("one")), id="clean start"),
            pytest.param(lambda peer: (peer.lose(), peer.world.advance(100)), id="expired"),
        ],
    )
    def test_what_was_not_acknowledged_goes_to_another(self, end: Callable[[Peer], object]) -> None:
        world = World()
        one, two = self.share(world, "one", "two")
        talker = world.client("talker")
        for number in range(4):
            talker.publish("t", str(number).encode(), qos=1)
        assert (one.payloads(), two.payloads()) == ([b"0", b"2"], [b"1", b"3"])
        end(one)
        assert two.payloads() == [b"0", b"2"]
        assert world.core.session_limits.dropped[Drop.SESSION_ENDED] == 0

    def test_a_qos_2_message_that_was_sent_goes_to_nobody_else(self) -> None:
        world = World()
        one, two = self.share(world, "one", "two")
        talker = world.client("talker")
        talker.publish("t", b"sent", qos=2)
        one.congest()
        talker.publish("t", b"to two", qos=2)
        talker.publish("t", b"not sent", qos=2)
        assert two.payloads() == [b"to two"]
        one.lose()
        world.advance(100)
        assert two.payloads() == [b"not sent"]
        assert world.core.session_limits.dropped[Drop.SESSION_ENDED] == 1

    def test_without_another_member_it_is_lost_and_counted(self) -> None:
        world = World()
        (one,) = self.share(world, "one")
        world.client("talker").publish("t", qos=1)
        one.disconnect(expiry=0)
        assert world.core.session_limits.dropped[Drop.SESSION_ENDED] == 1

    def test_nor_where_no_other_member_may_receive_it(self) -> None:
        deny = Deny()
        world = World(authorizer=deny)
        one, two = self.share(world, "one", "two")
        world.client("talker").publish("t", qos=1)
        assert len(one.payloads()) == 1
        deny.denied.add(("receive", "t"))
        one.disconnect(expiry=0)
        assert two.take() == []
        assert world.core.session_limits.dropped[Drop.SESSION_ENDED] == 1

    def test_an_expired_message_is_handed_to_nobody(self) -> None:
        """[MQTT-3.3.2-5]"""
        world = World()
        one, two = self.share(world, "one", "two")
        world.client("talker").publish("t", qos=1, properties=Properties(message_expiry_interval=5))
        assert len(one.payloads()) == 1
        one.lose()
        world.advance(100)
        assert two.take() == []
        assert world.core.session_limits.dropped[Drop.EXPIRED] == 1


class TestStore:
    def test_transient_sessions_are_not_in_it(self) -> None:
        store = MemoryStore()
        world = World(store=store)
        peer = world.client()
        peer.subscribe("t", qos=2)
        peer.publish("t", qos=2)
        assert list(store.sessions()) == []

    def test_a_kept_session_is_as_the_store_has_it(self) -> None:
        world = World()
        peer = world.client("c", expiry=100, user="u")
        peer.subscribe("a", "b", qos=1)
        peer.unsubscribe("a")
        peer.publish("b", qos=2, packet_id=4)
        (record,) = world.store.sessions()
        assert (record.client_id, record.username, record.expiry_interval, record.expires_at) == ("c", "u", 100, 0.0)
        assert [each.topic_filter for each in record.subscriptions] == ["b"]
        assert (record.incoming, record.queued) == ((4,), 1)
        peer.lose()
        assert next(world.store.sessions()).expires_at == world.now + 100
