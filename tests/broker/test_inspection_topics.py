"""What an administrator sees of topics: who would receive a message, and what is retained."""

from __future__ import annotations

import pytest

from mqttbroker.broker import Inspection, Receiver
from mqttbroker.protocol import Properties
from mqttbroker.topics import InvalidTopicName
from tests.broker.support import START, Deny, Peer, World
from tests.broker.test_inspection import everything


@pytest.fixture(name="world")
def _world() -> World:
    return World()


@pytest.fixture(name="look")
def _look(world: World) -> Inspection:
    return Inspection(world.core)


class TestWhoWouldReceive:
    def test_nobody(self, look: Inspection) -> None:
        found = look.who_would_receive("t")
        assert (found.topic, found.receivers, found.next, found.total, found.local) == ("t", [], None, 0, 0)

    def test_not_a_topic(self, look: Inspection) -> None:
        with pytest.raises(InvalidTopicName):
            look.who_would_receive("a/#")

    def test_one_entry_for_all_filters_of_a_session(self, world: World, look: Inspection) -> None:
        world.client("a", user="ann").subscribe("t", "+", "other", qos=1)
        (receiver,) = look.who_would_receive("t").receivers
        assert (receiver.client_id, receiver.username, receiver.qos, receiver.share) == ("a", "ann", 1, "")
        assert sorted(receiver.filters) == ["+", "t"]
        assert (receiver.outcome, receiver.rule) == ("sent", "everything is allowed")

    @pytest.mark.parametrize(("qos", "outcome"), [(0, "lost"), (1, "queued"), (2, "queued")])
    def test_away(self, world: World, look: Inspection, qos: int, outcome: str) -> None:
        peer = world.client("a", expiry=60)
        peer.subscribe("t", qos=2)
        peer.lose()
        (receiver,) = look.who_would_receive("t", qos).receivers
        assert (receiver.connected, receiver.outcome) == (False, outcome)

    @pytest.mark.parametrize(("qos", "outcome"), [(0, "sent"), (1, "queued")])
    def test_what_is_granted_counts(self, world: World, look: Inspection, qos: int, outcome: str) -> None:
        peer = world.client("a", properties=Properties(receive_maximum=1))
        peer.subscribe("t", qos=qos)
        world.client("b").publish("t", qos=1)
        assert look.who_would_receive("t").receivers[0].outcome == outcome

    def test_the_rule_that_denies(self) -> None:
        world = World(authorizer=Deny(("receive", "t")))
        world.client("a").subscribe("#")
        (receiver,) = Inspection(world.core).who_would_receive("t").receivers
        assert (receiver.outcome, receiver.rule) == ("denied", "rule for t")

    def test_not_below_the_mount_point(self, world: World, look: Inspection) -> None:
        world.client("a", entrance=world.listener("rented", mount_point="tenant/")).subscribe("#")
        (receiver,) = look.who_would_receive("tenant").receivers
        assert (receiver.mount_point, receiver.filters) == ("tenant/", ["tenant/#"])
        assert (receiver.outcome, receiver.rule) == ("denied", "not below the mount point")

    @pytest.mark.parametrize("limit", [1, 2, 3, 4, 100])
    def test_shared_and_plain(self, world: World, look: Inspection, limit: int) -> None:
        world.client("b").subscribe("$share/g/t", "t")
        world.client("a").subscribe("$share/g/t", "$share/h/t")
        found: list[Receiver] = []
        cursor: str | None = None
        while not found or cursor is not None:
            page = look.who_would_receive("t", after=cursor, limit=limit)
            assert page.total == 4
            found += page.receivers
            cursor = page.next
        assert [(each.client_id, each.share) for each in found] == [("a", "g"), ("a", "h"), ("b", ""), ("b", "g")]

    def test_no_route_is_made(self, world: World, look: Inspection) -> None:
        world.client("a").subscribe("t")
        look.who_would_receive("t")
        assert look.totals().cached_topics == 0


class TestRetained:
    def fill(self, world: World) -> Peer:
        peer = world.client("p")
        for topic in ("a", "a/b/c", "a/b/d", "a/x/y/z", "/", "e"):
            peer.publish(topic, b"1", retain=True)
        return peer

    @pytest.mark.parametrize("limit", [1, 100])
    @pytest.mark.parametrize(
        ("prefix", "levels"),
        [
            ("", [("", "", False, True), ("a", "a", True, True), ("e", "e", True, False)]),
            ("/", [("", "/", True, False)]),
            ("a/", [("b", "a/b", False, True), ("x", "a/x", False, True)]),
            ("a/b/", [("c", "a/b/c", True, False), ("d", "a/b/d", True, False)]),
            ("a/x/", [("y", "a/x/y", False, True)]),
            ("a/x/y/", [("z", "a/x/y/z", True, False)]),
            ("a/x/y/z/", []),
            ("a/c/", []),
            ("e/", []),
            ("nothing/", []),
        ],
    )
    def test_levels(
        self, world: World, look: Inspection, prefix: str, levels: list[tuple[str, str, bool, bool]], limit: int
    ) -> None:
        self.fill(world)
        found = everything(lambda cursor: look.retained_levels(prefix, cursor, limit))
        assert [(each.level, each.topic, each.retained, each.more) for each in found] == levels
        assert all(each.size == (len(each.topic) + 1 if each.retained else 0) for each in found)

    def test_what_goes_between_pages(self, world: World, look: Inspection) -> None:
        peer = self.fill(world)
        first = look.retained_levels("a/b/", limit=1)
        peer.publish("a/b/d", b"", retain=True)
        second = look.retained_levels("a/b/", first.next, limit=1)
        assert (second.items, second.next) == ([], None)

    def test_one_message(self, world: World, look: Inspection) -> None:
        properties = Properties(
            message_expiry_interval=5,
            payload_format_indicator=1,
            content_type="text/plain",
            response_topic="r",
            correlation_data=b"c",
            user_properties=(("k", "v"), ("k", "w")),
        )
        world.client("p").publish("t", b"1", qos=1, retain=True, properties=properties)
        message = look.retained("t")
        assert message is not None
        assert (message.topic, message.payload, message.qos, message.origin) == ("t", b"1", 1, "p")
        assert (message.expires_at, message.content_type, message.payload_is_text) == (START + 5, "text/plain", True)
        assert (message.response_topic, message.correlation_data) == ("r", b"c")
        assert message.user_properties == (("k", "v"), ("k", "w"))
        world.advance(5.0)
        assert look.retained("t") is None

    def test_no_properties(self, world: World, look: Inspection) -> None:
        world.client("p").publish("t", b"1", retain=True)
        message = look.retained("t")
        assert message is not None
        assert (message.content_type, message.payload_is_text, message.user_properties) == (None, False, ())
