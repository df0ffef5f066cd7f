"""Wills: when they are published, when not, and what of them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mqttbroker.broker import Action, Decision, Identity, Limits
from mqttbroker.protocol import Properties, ReasonCode, Will
from tests.broker.support import V311, Deny, Peer, World

WILL = Will("will", b"gone", 1)


def delayed(seconds: int) -> Will:
    return Will("will", b"gone", 1, properties=Properties(will_delay_interval=seconds))


def heard(world: World) -> Peer:
    """Somebody who hears every will."""
    listener = world.client("listener")
    listener.subscribe("will", qos=2)
    return listener


class TestPublished:
    """[MQTT-3.1.2-8] [MQTT-3.1.2-10]"""

    @pytest.mark.parametrize(
        ("end", "published"),
        [
            pytest.param(lambda peer: peer.lose(), True, id="connection lost"),
            pytest.param(lambda peer: peer.feed(b"\x00\x00"), True, id="error"),
            pytest.param(lambda peer: peer.world.advance(15), True, id="keep alive"),
            pytest.param(lambda peer: peer.world.client(clean=False), True, id="takeover"),
            pytest.param(lambda peer: peer.disconnect(), False, id="normal disconnection"),
            pytest.param(
                lambda peer: peer.disconnect(ReasonCode.DISCONNECT_WITH_WILL_MESSAGE), True, id="DISCONNECT 0x04"
            ),
            pytest.param(lambda peer: peer.disconnect(ReasonCode.UNSPECIFIED_ERROR), True, id="DISCONNECT 0x80"),
            pytest.param(lambda peer: peer.world.core.shut_down(peer.world.now), True, id="shut-down"),
        ],
    )
    def test_by_the_way_that_a_connection_ends(self, end: Callable[[Peer], None], published: bool) -> None:
        world = World()
        session = heard(world)
        session.disconnect()
        listener = world.client("kept listener", expiry=1_000)
        listener.subscribe("will", qos=2)
        listener.lose()
        end(world.client(will=WILL, keep_alive=10))
        world.flush()
        assert world.session("kept listener").load == published
        assert world.core.counters.wills_published == published

    @pytest.mark.parametrize(("lifetime", "kept"), [(None, True), (0, False), (5, True)])
    def test_its_message_expiry_interval_counts_from_then(self, lifetime: int | None, kept: bool) -> None:
        world = World()
        will = Will("will", b"gone", 1, True, Properties(message_expiry_interval=lifetime))
        world.client(will=will).lose()
        late = world.client("late")
        late.subscribe("will")
        assert late.payloads() == ([b"gone"] if kept else [])

    def test_in_mqtt_3(self) -> None:
        world = World()
        listener = heard(world)
        world.client(version=V311, will=WILL).disconnect()
        assert listener.take() == []
        world.client(version=V311, will=WILL).lose()
        assert listener.payloads() == [b"gone"]

    def test_only_once(self) -> None:
        world = World()
        listener = heard(world)
        peer = world.client(will=WILL, expiry=5)
        peer.lose()
        world.advance(10)
        assert listener.payloads() == [b"gone"]

    def test_qos_retain_and_properties(self) -> None:
        """[MQTT-3.1.2-14] [MQTT-3.1.2-15]"""
        world = World()
        listener = heard(world)
        properties = Properties(
            will_delay_interval=5,
            payload_format_indicator=1,
            message_expiry_interval=60,
            content_type="text",
            response_topic="reply",
            correlation_data=b"id",
            user_properties=(("a", "b"),),
        )
        peer = world.client(will=Will("will", b"gone", 2, True, properties), expiry=100)
        peer.lose()
        world.advance(5)
        (message,) = listener.published()
        assert (message.qos, message.retain) == (2, False)
        # The interval begins with the publication.
        assert message.properties == Properties(
            payload_format_indicator=1,
            message_expiry_interval=60,
            content_type="text",
            response_topic="reply",
            correlation_data=b"id",
            user_properties=(("a", "b"),),
        )
        late = world.client("late")
        late.subscribe("will", qos=2)
        (retained,) = late.published()
        assert retained.retain

    def test_a_new_connection_has_a_new_will(self) -> None:
        world = World()
        listener = heard(world)
        world.client(will=WILL, expiry=100).disconnect(ReasonCode.SUCCESS)
        world.client(clean=False, expiry=100).lose()
        assert listener.take() == []
        assert next(world.store.sessions()).will is None


class TestDelay:
    """[MQTT-3.1.3-9]: at the delay or the end of the session, whichever is first; never after a new connection."""

    def test_the_delay_ends_first(self) -> None:
        world = World()
        listener = heard(world)
        world.client(will=delayed(5), expiry=100).lose()
        world.advance(4)
        assert listener.take() == []
        world.advance(1)
        assert listener.payloads() == [b"gone"]
        world.advance(100)
        assert listener.take() == []

    @pytest.mark.parametrize("expiry", [3, 5], ids=["before the delay", "with the delay"])
    def test_the_session_ends_first(self, expiry: int) -> None:
        world = World()
        listener = heard(world)
        world.client(will=delayed(5), expiry=expiry).lose()
        world.advance(expiry - 1)
        assert listener.take() == []
        world.advance(1)
        assert listener.payloads() == [b"gone"]
        world.advance(10)
        assert listener.take() == []

    def test_without_a_session_that_lasts_there_is_no_delay(self) -> None:
        world = World()
        listener = heard(world)
        world.client(will=delayed(5)).lose()
        assert listener.payloads() == [b"gone"]

    @pytest.mark.parametrize("new_will", [None, delayed(50)], ids=["no will", "another will"])
    def test_a_reconnection_in_time_takes_it_back(self, new_will: Will | None) -> None:
        world = World()
        listener = heard(world)
        world.client(will=delayed(5), expiry=100).lose()
        world.advance(4)
        world.client(clean=False, expiry=100, will=new_will)
        world.advance(60)
        assert listener.take() == []

    @pytest.mark.parametrize("new_will", [None, delayed(50)], ids=["no will", "another will"])
    def test_in_the_store_too(self, new_will: Will | None) -> None:
        world = World()
        world.client(will=delayed(5), expiry=100).lose()
        world.client(clean=False, expiry=100, will=new_will)
        (record,) = world.store.sessions()
        assert record.will == world.session().will

    def test_a_clean_start_ends_the_session_and_so_publishes_it(self) -> None:
        world = World()
        listener = heard(world)
        world.client(will=delayed(5), expiry=100).lose()
        world.client(clean=True, expiry=100)
        assert listener.payloads() == [b"gone"]

    @pytest.mark.parametrize(
        ("delay", "clean", "published"),
        [(0, False, True), (0, True, True), (5, True, True), (5, False, False)],
        ids=["no delay", "no delay, clean start", "delay, clean start", "delay"],
    )
    def test_takeover(self, delay: int, clean: bool, published: bool) -> None:
        """Section 3.1.4, the note on it."""
        world = World()
        listener = heard(world)
        world.client(will=delayed(delay), expiry=100)
        world.client(clean=clean, expiry=100)
        assert listener.payloads() == ([b"gone"] if published else [])
        world.advance(60)
        assert listener.take() == []

    def test_disconnect_may_end_the_session_and_so_the_delay(self) -> None:
        world = World()
        listener = heard(world)
        world.client(will=delayed(5), expiry=100).disconnect(ReasonCode.DISCONNECT_WITH_WILL_MESSAGE, expiry=0)
        assert listener.payloads() == [b"gone"]

    def test_a_normal_disconnection_takes_a_delayed_will_back(self) -> None:
        world = World()
        listener = heard(world)
        world.client(will=delayed(5), expiry=100).disconnect()
        world.advance(60)
        assert listener.take() == []


class TestRestart:
    def test_a_connection_that_was_open_begins_its_delay(self) -> None:
        world = World()
        world.client(will=delayed(5), expiry=100)
        later = world.restarted()
        listener = heard(later)
        later.advance(4)
        assert listener.take() == []
        later.advance(1)
        assert listener.payloads() == [b"gone"]

    def test_or_has_it_published_at_once(self) -> None:
        world = World()
        listener = world.client("kept listener", expiry=100)
        listener.subscribe("will", qos=1)
        world.client(will=WILL, expiry=100)
        later = world.restarted()
        again = later.client("kept listener", clean=False, expiry=100)
        assert again.payloads() == [b"gone"]
        assert later.session().will is None
        # It is not published once more by another restart.
        once_more = later.restarted()
        assert once_more.core.counters.wills_published == 0

    def test_a_delay_that_had_begun_goes_on(self) -> None:
        world = World()
        world.client(will=delayed(10), expiry=100).lose()
        world.advance(6)
        later = world.restarted()
        listener = heard(later)
        later.advance(3)
        assert listener.take() == []
        later.advance(1)
        assert listener.payloads() == [b"gone"]


class TestRefused:
    def test_a_right_that_was_lost_meanwhile(self) -> None:
        deny = Deny()
        world = World(authorizer=deny)
        listener = heard(world)
        peer = world.client(will=WILL, user="u")
        deny.denied.add(("publish", "will"))
        deny.asked.clear()
        peer.lose()
        assert deny.asked == [(Identity("client", "u", "", "tcp"), "publish", "will")]
        assert listener.take() == []
        (line,) = world.logged("refused")
        assert (line["client"], line["action"], line["topic"], line["rule"]) == (
            "client",
            "publish will",
            "will",
            "rule for will",
        )
        assert "gone" not in str(world.log)

    def test_no_room_to_retain_it(self) -> None:
        world = World(Limits(max_retained_messages=0))
        listener = heard(world)
        world.client(will=Will("will", b"gone", 1, True)).lose()
        assert listener.take() == []
        assert world.logged("refused")[0]["rule"] == "too many retained messages"

    def test_an_authoriser_that_raises_keeps_no_session_from_ending(self) -> None:
        class Broken(Deny):
            def decide(self, identity: Identity, action: Action, topic: str) -> Decision:
                if topic == "will" and broken:
                    raise RuntimeError("no rules")
                return Decision(True)

        broken: list[bool] = []
        world = World(authorizer=Broken())
        peer = world.client(will=WILL)
        broken.append(True)
        peer.lose()
        assert world.core.registry.sessions == {}
        (line,) = world.logged("refused")
        assert (line["client"], line["topic"], line["rule"]) == ("client", "will", "the authoriser failed")
        (line,) = world.logged("authoriser failed, which refuses")
        assert line["error"] == "RuntimeError('no rules')"
