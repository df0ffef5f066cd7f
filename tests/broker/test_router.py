"""The router: subscriptions, shared groups, sinks, and who gets a message."""

from __future__ import annotations

import pytest

from mqttbroker.broker import Action, Decision, Identity, Limits
from mqttbroker.broker.limits import QueuePolicy, SharedStrategy
from mqttbroker.protocol import Properties, PubAck, Publish, ReasonCode, SubscriptionRequest
from mqttbroker.sessions import Drop
from mqttbroker.storage import Message
from tests.broker.support import V5, V311, Deny, Peer, World


class OnlyMay:
    """An authoriser that lets nobody receive but the client ``may``."""

    def decide(self, identity: Identity, action: Action, topic: str) -> Decision:
        return Decision(action != "receive" or identity.client_id == "may")


class Sinking:
    """A sink that keeps what it is given."""

    def __init__(self) -> None:
        self.got: list[tuple[bytes, int]] = []

    def accept(self, message: Message, qos: int) -> None:
        self.got.append((message.payload, qos))


def subscriber(
    world: World, *requests: SubscriptionRequest, client_id: str = "s", identifier: int | None = None
) -> Peer:
    peer = world.client(client_id)
    peer.subscribe(*requests, identifier=identifier)
    peer.take()
    return peer


class TestQuality:
    """[MQTT-3.8.4-8]"""

    @pytest.mark.parametrize("published", [0, 1, 2], ids=lambda qos: f"published {qos}")
    @pytest.mark.parametrize("granted", [0, 1, 2], ids=lambda qos: f"granted {qos}")
    @pytest.mark.parametrize("version", [V311, V5], ids=["3.1.1", "5"])
    def test_the_lower_of_the_two(self, published: int, granted: int, version: int) -> None:
        world = World()
        peer = world.client("s", V5 if version == V5 else V311)
        peer.subscribe("t", qos=granted)
        world.client("p").publish("t", b"x", qos=published)
        (message,) = peer.published()
        assert (message.qos, message.payload) == (min(published, granted), b"x")

    def test_one_copy_at_the_highest_with_all_identifiers(self) -> None:
        """[MQTT-3.3.4-2] [MQTT-3.3.4-4]"""
        world = World()
        peer = world.client("s")
        peer.subscribe("a/+", qos=0, identifier=1)
        peer.subscribe("a/b", qos=2, identifier=2)
        peer.subscribe("#", qos=1)
        world.client("p").publish("a/b", qos=2)
        (message,) = peer.published()
        assert message.qos == 2
        assert set(message.properties.subscription_identifiers) == {1, 2}


class TestRetainFlag:
    """[MQTT-3.3.1-12] [MQTT-3.3.1-13]"""

    @pytest.mark.parametrize("qos", [0, 1], ids=["QoS 0", "QoS 1"])
    @pytest.mark.parametrize("as_published", [True, False], ids=["as published", "cleared"])
    def test_of_a_message_that_is_forwarded(self, qos: int, as_published: bool) -> None:
        world = World()
        peer = subscriber(world, SubscriptionRequest("t", 1, retain_as_published=as_published))
        talker = world.client("p")
        talker.publish("t", qos=qos, retain=True)
        talker.publish("t", qos=qos)
        assert [message.retain for message in peer.published()] == [as_published, False]

    def test_in_mqtt_3_it_is_cleared(self) -> None:
        world = World()
        peer = world.client("s", V311)
        peer.subscribe("t")
        world.client("p").publish("t", retain=True)
        assert [message.retain for message in peer.published()] == [False]


class TestNoLocal:
    """[MQTT-3.8.3-3]"""

    @pytest.mark.parametrize("qos", [0, 1, 2], ids=lambda qos: f"QoS {qos}")
    def test_own_messages_stay_away(self, qos: int) -> None:
        world = World()
        peer = subscriber(world, SubscriptionRequest("t", 2, no_local=True))
        peer.publish("t", b"own", qos=qos)
        world.client("p").publish("t", b"of another", qos=qos)
        assert peer.payloads() == [b"of another"]

    def test_another_subscription_lets_them_through(self) -> None:
        world = World()
        peer = subscriber(world, SubscriptionRequest("t", 2, no_local=True), SubscriptionRequest("+", 1))
        own = [each for each in peer.publish("t", qos=2) if isinstance(each, Publish)]
        assert [message.qos for message in own] == [1]
        world.client("p").publish("t", qos=2)
        assert [message.qos for message in peer.published()] == [2]

    def test_without_it_they_come_back(self) -> None:
        world = World()
        peer = subscriber(world, SubscriptionRequest("t"))
        assert [type(each) for each in peer.publish("t")] == [Publish]


class TestShared:
    """[MQTT-4.8.2-4]"""

    def test_each_message_goes_to_one_member_of_each_group(self) -> None:
        world = World()
        peers = {name: world.client(name) for name in ("g1", "g2", "h1", "plain")}
        peers["g1"].subscribe("$share/g/t")
        peers["g2"].subscribe("$share/g/t")
        peers["h1"].subscribe("$share/h/+")
        peers["plain"].subscribe("t")
        talker = world.client("p")
        for number in range(4):
            talker.publish("t", str(number).encode())
        assert {name: len(peer.payloads()) for name, peer in peers.items()} == {"g1": 2, "g2": 2, "h1": 4, "plain": 4}

    def test_options_of_the_member(self) -> None:
        world = World()
        peer = subscriber(world, SubscriptionRequest("$share/g/t", 1, retain_as_published=True), identifier=9)
        world.client("p").publish("t", qos=2, retain=True)
        (message,) = peer.published()
        assert (message.qos, message.retain, message.properties.subscription_identifiers) == (1, True, (9,))

    def test_a_member_that_subscribes_again_has_its_new_options(self) -> None:
        world = World()
        peer = world.client("s")
        peer.subscribe("$share/g/t", qos=0)
        peer.subscribe("$share/g/t", qos=1)
        world.client("p").publish("t", qos=1)
        assert [message.qos for message in peer.published()] == [1]

    @pytest.mark.parametrize("strategy", ["round_robin", "random", "least_inflight", "hash_client", "hash_topic"])
    def test_who_may_not_receive_is_passed_over(self, strategy: SharedStrategy) -> None:
        world = World(Limits(shared_strategy=strategy), authorizer=OnlyMay())
        peers = {client_id: world.client(client_id) for client_id in ("a", "may", "b", "c")}
        for peer in peers.values():
            peer.subscribe("$share/g/t")
        talker = world.client("p")
        for _ in range(5):
            talker.publish("t")
        assert {client_id: len(peer.payloads()) for client_id, peer in peers.items()} == {
            "a": 0,
            "may": 5,
            "b": 0,
            "c": 0,
        }

    def test_nobody_may_receive(self) -> None:
        world = World(authorizer=Deny(("receive", "t")))
        peer = world.client("s")
        peer.subscribe("$share/g/t", qos=1)
        world.client("p").publish("t", qos=1)
        assert peer.take() == []

    def test_the_last_member_takes_the_group_with_it(self) -> None:
        world = World()
        one, two = world.client("one"), world.client("two")
        for peer in (one, two):
            peer.subscribe("$share/g/t")
        assert len(world.core.router) == 1
        one.unsubscribe("$share/g/t")
        assert len(world.core.router) == 1
        two.lose()
        assert len(world.core.router) == 0
        assert world.core.router.route("t").empty


class TestReceive:
    def test_a_group_of_which_nobody_may(self) -> None:
        world = World(authorizer=OnlyMay())
        peer = subscriber(world, SubscriptionRequest("$share/g/t", 1))
        assert [type(each) for each in world.client("p").publish("t", qos=1)] == [PubAck]
        assert peer.take() == []

    def test_rules_on_receiving_hold_for_each_topic(self) -> None:
        world = World(authorizer=Deny(("receive", "t/secret")))
        peer = world.client("s")
        peer.subscribe("t/#", qos=1)
        talker = world.client("p")
        for topic in ("t/secret", "t/open"):
            talker.publish(topic, topic.encode(), qos=1)
        assert peer.payloads() == [b"t/open"]


class TestSinks:
    def test_a_sink_gets_messages_and_what_is_retained(self) -> None:
        world = World()
        talker = world.client("p")
        talker.publish("t/1", b"retained", qos=2, retain=True)
        sink = Sinking()
        world.core.subscribe_sink(sink, "t/#", 1, world.now)
        talker.publish("t/1", b"live", qos=2)
        talker.publish("t/2", b"plain")
        talker.publish("u", b"of nobody")
        assert sink.got == [(b"retained", 1), (b"live", 1), (b"plain", 0)]
        world.core.router.remove_sink(sink, "t/#")
        talker.publish("t/1")
        assert len(sink.got) == 3


class TestRefusing:
    """The policy "refuse" at the limits of a queue."""

    def test_a_shared_group_is_full_when_every_member_is(self) -> None:
        world = World(limits=Limits(max_queued_messages=1, queue_policy="refuse"))
        for name in ("one", "two"):
            member = world.client(name, expiry=100)
            member.subscribe("$share/g/t", qos=1)
            member.lose()
        talker = world.client("talker")
        codes = [talker.publish("t", qos=1)[0] for _ in range(3)]
        assert [getattr(each, "reason_code", None) for each in codes] == [0, 0, ReasonCode.QUOTA_EXCEEDED]

    @pytest.mark.parametrize(("policy", "refused"), [("refuse", True), ("drop_newest", False), ("drop_oldest", False)])
    def test_only_where_the_policy_says_so(self, policy: QueuePolicy, refused: bool) -> None:
        world = World(Limits(max_queued_messages=1, queue_policy=policy))
        peer = world.client("s", expiry=100)
        peer.subscribe("t", qos=1)
        peer.lose()
        world.client("p").publish("t", qos=1)
        message = Message("t", b"t", b"", 1)
        assert world.core.router.refused(message, world.core.router.route("t")) is refused

    def test_a_subscription_at_qos_0_refuses_nothing(self) -> None:
        world = World(Limits(max_queued_messages=1, queue_policy="refuse"))
        peer = world.client("s", expiry=100)
        peer.subscribe("t", qos=0)
        peer.subscribe("u", qos=1)
        peer.lose()
        world.client("p").publish("u", qos=1)
        message = Message("t", b"t", b"", 1)
        assert not world.core.router.refused(message, world.core.router.route("t"))


class TestEncodingOnce:
    def test_mixed_versions_share_one_encoding_each(self) -> None:
        world = World()
        peers = [world.client(f"s{number}", version) for number, version in enumerate((V311, V5, V311, V5))]
        for peer in peers:
            peer.subscribe("t")
        talker = world.client("p")
        talker.connection.feed(b"\x30\x04\x00\x01t\x00", world.now)
        chunks = [peer.connection.outbox.chunks[0] for peer in peers]
        assert chunks[0] is chunks[2]
        assert chunks[1] is chunks[3]
        assert chunks[0] != chunks[1]

    def test_a_full_socket_loses_its_copy(self) -> None:
        world = World()
        old, new = world.client("old", V311), world.client("new")
        for peer in (old, new):
            peer.subscribe("t")
        old.congest()
        world.client("p").publish("t", properties=Properties(payload_format_indicator=1))
        assert world.session("old").dropped == {Drop.CONGESTED: 1}
        assert len(new.published()) == 1


class TestRoutesThatOutliveChanges:
    """Changes on wildcard filters, with more topics in the cache than one change looks at."""

    TOPICS = tuple(f"a/{number}/t" for number in range(1_000))

    def world(self) -> tuple[World, Peer]:
        world = World()
        peer = world.client("s")
        peer.subscribe("a/7/t", "a/+/t")
        for topic in self.TOPICS:
            world.core.router.route(topic)
        return world, peer

    def test_a_change_elsewhere_leaves_the_route_as_it_is(self) -> None:
        world, _ = self.world()
        router = world.core.router
        route = router.route("a/7/t")
        world.client("other").subscribe("a/+/x")
        assert route.version != router.routes.version
        assert router.again(route) is route
        assert route.version == router.routes.version

    def test_a_change_that_concerns_the_topic(self) -> None:
        world, _ = self.world()
        router = world.core.router
        route = router.route("a/7/t")
        other = world.client("other")
        other.subscribe("a/#")
        newer = router.again(route)
        assert newer is not None
        assert newer is not route
        assert len(newer.targets) == len(route.targets) + 1
        other.unsubscribe("a/#")
        assert len(router.route("a/7/t").targets) == len(route.targets)

    def test_a_publisher_goes_on_with_what_it_remembers(self) -> None:
        world, peer = self.world()
        talker = world.client("p")
        other = world.client("other")
        for expected in (0, 1, 0):
            talker.publish("a/7/t", b"x")
            talker.publish("a/7/t", b"y", qos=1)
            assert [each.payload for each in peer.published()] == [b"x", b"y"]
            assert len(other.published()) == 2 * expected
            other.subscribe("a/#") if not expected else other.unsubscribe("a/#")
            other.take()

    def test_rules_that_have_changed_are_asked_again(self) -> None:
        world, _ = self.world()
        router = world.core.router
        route = router.route("a/7/t")
        world.core.rules_changed()
        assert router.again(route) is None
        router.route("a/7/t")
        assert router.again(route) is None

    def test_a_session_that_comes_back_as_another_kind(self) -> None:
        world, _ = self.world()
        old = world.client("s2", V311)
        old.subscribe("a/+/+")
        route = world.core.router.route("a/7/t")
        (target,) = (each for each in route.targets if each.session.name == "s2")
        assert target.kind == 4
        session = target.session
        held = session.subscriptions["a/+/+"]
        session.wire_kind = 5
        world.core.router.session_changed(session)
        (target,) = (each for each in world.core.router.route("a/7/t").targets if each.session is session)
        assert target.kind == 5
        assert session.subscriptions["a/+/+"].record() == held.record()

    def test_many_subscriptions_that_go_at_once(self) -> None:
        world, _ = self.world()
        router = world.core.router
        other = world.client("other")
        other.subscribe(*self.TOPICS[:100])
        routes = [router.route(topic) for topic in self.TOPICS]
        before = router.routes.version
        router.unsubscribe_all(world.session("other"))
        assert router.routes.version == before + 1
        assert [len(router.route(topic).targets) for topic in self.TOPICS[:101]] == [1] * 101
        assert router.route(self.TOPICS[500]) is routes[500]
        assert len(router) == len(world.session("s").subscriptions)
