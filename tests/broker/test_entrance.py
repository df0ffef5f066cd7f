"""What the clients of one listener have in common: limits, users, rules, and a mount point."""

from __future__ import annotations

from dataclasses import fields

import pytest

from mqttbroker.broker import Accepted, Decision, EverythingAllowed, Identity, Limits, ListenerLimits
from mqttbroker.broker.authority import Action
from mqttbroker.broker.entrance import check_mount_point
from mqttbroker.protocol import (
    Disconnect,
    Properties,
    ProtocolVersion,
    PubAck,
    Publish,
    ReasonCode,
    SubscriptionRequest,
    Will,
)
from mqttbroker.security import RulesByListener
from mqttbroker.storage import Message
from tests.broker.handlers.test_connect import Refusing
from tests.broker.support import V5, V311, Deny, Peer, World, one

TENANT = "tenant/"


class Below:
    """A world with clients below a mount point, and with others."""

    def __init__(self, world: World | None = None) -> None:
        self.world = world or World()
        self.entrance = self.world.listener("tenant", mount_point=TENANT)

    def client(self, client_id: str = "client", version: ProtocolVersion = V5, **options: object) -> Peer:
        return self.world.client(client_id, version, entrance=self.entrance, **options)  # type: ignore[arg-type]


class TestLimits:
    def test_every_one_is_a_limit_of_the_broker(self) -> None:
        of_the_broker = {each.name: str(each.type) for each in fields(Limits)}
        for each in fields(ListenerLimits):
            assert str(each.type) == f"{of_the_broker[each.name]} | None"

    def test_what_is_not_set_is_as_everywhere(self) -> None:
        assert ListenerLimits().over(Limits(max_qos=1)) == Limits(max_qos=1)
        assert ListenerLimits(max_qos=0, receive_maximum=5).over(Limits(max_qos=1)) == Limits(
            max_qos=0, receive_maximum=5
        )

    def test_a_connect_is_no_larger_than_a_packet(self) -> None:
        assert ListenerLimits(max_packet_size=1_000).over(Limits()).max_connect_size == 1_000

    def test_out_of_bounds(self) -> None:
        with pytest.raises(ValueError, match="max_qos: expected 0 to 2, got 3"):
            ListenerLimits(max_qos=3)

    def test_they_hold_for_those_who_come_that_way(self) -> None:
        world = World()
        small = world.listener("small", ListenerLimits(max_qos=0, max_packet_size=300).over(Limits()))
        here, there = world.client("here", entrance=small), world.client("there")
        assert here.connack is not None
        assert here.connack.properties.maximum_qos == 0
        assert here.connack.properties.maximum_packet_size == 300
        assert here.subscribe("t", qos=2) == (0,)
        assert there.subscribe("t", qos=2) == (2,)
        world.client("publisher").publish("t", bytes(1_000))
        assert [len(each) for each in there.payloads()] == [1_000]

        assert here.publish("t", qos=1)[-1] == Disconnect(
            ReasonCode.QOS_NOT_SUPPORTED, Properties(reason_string="QoS 1")
        )


class TestUsersAndRules:
    def test_each_listener_asks_its_own_authenticator(self) -> None:
        world = World()
        strict = world.listener("strict", authenticator=Refusing(Accepted("known")))
        world.client("here", user="claimed", entrance=strict)
        assert world.session("here").username == "known"

    def test_rules_are_those_of_the_listener_also_while_the_client_is_away(self) -> None:
        rules = RulesByListener({"strict": Deny(("receive", "secret"), ("publish", "secret"))}, EverythingAllowed())
        world = World(authorizer=rules)
        strict = world.listener("strict")
        publisher = world.client("publisher")
        guest = world.client("guest", expiry=1_000, entrance=strict)
        guest.subscribe("secret", "open", qos=1)
        guest.lose()
        publisher.publish("secret", b"1", qos=1)
        world = world.restarted()
        publisher = world.client("publisher")
        publisher.publish("secret", b"2", qos=1)
        publisher.publish("open", b"3", qos=1)
        again = world.client("guest", clean=False, expiry=1_000, entrance=world.listener("strict"))
        assert again.payloads() == [b"3"]
        again.lose()
        # Through another listener the client may have it.
        there = world.client("guest", clean=False, expiry=1_000)
        publisher.publish("secret", b"4", qos=1)
        assert there.payloads()[-1] == b"4"

    def test_the_rules_are_told_the_listener(self) -> None:
        authorizer = Deny()
        world = World(authorizer=authorizer)
        world.client("c", entrance=world.listener("one")).publish("t")
        assert [(identity.listener, topic) for identity, _, topic in authorizer.asked] == [("one", "t")]

    def test_a_listener_that_is_gone_has_the_default(self) -> None:
        class Nothing:
            def decide(self, identity: Identity, action: Action, topic: str) -> Decision:
                return Decision(False, "nothing")

        rules = RulesByListener({"here": EverythingAllowed()}, Nothing())
        assert rules.decide(Identity("c", listener="here"), "publish", "t").allowed
        assert not rules.decide(Identity("c", listener="gone"), "publish", "t").allowed


class TestMountPoint:
    @pytest.mark.parametrize("qos", [0, 1, 2])
    @pytest.mark.parametrize("version", [V311, V5])
    def test_topics_are_put_below_it_and_taken_out_again(self, version: ProtocolVersion, qos: int) -> None:
        below = Below()
        inside, outside = below.client("inside", version), below.world.client("outside", version)
        inside.subscribe("a/#", qos=qos)
        outside.subscribe("#", qos=qos)
        below.client("publisher", version).publish("a/b", b"1", qos)
        publisher = below.world.client("elsewhere", version)
        publisher.publish(f"{TENANT}a/c", b"2", qos)
        publisher.publish("a/d", b"3", qos)
        assert [(each.topic, each.payload) for each in inside.published()] == [("a/b", b"1"), ("a/c", b"2")]
        assert [each.topic for each in outside.published()] == ["tenant/a/b", "tenant/a/c", "a/d"]

    def test_a_run_of_messages(self) -> None:
        below = Below()
        inside, outside = below.client("inside"), below.world.client("outside")
        outside.subscribe("tenant/a")
        for _ in range(3):
            inside.send(*[Publish("a", b"%d" % number) for number in range(5)])
        assert [each.topic for each in outside.published()] == ["tenant/a"] * 15

    def test_wills(self) -> None:
        below = Below()
        outside = below.world.client("outside")
        outside.subscribe("tenant/gone")
        below.client("inside", will=Will("gone", b"x")).lose()
        assert outside.payloads() == [b"x"]

    def test_retained_messages(self) -> None:
        below = Below()
        below.client("inside").publish("a", b"mine", retain=True)
        below.world.client("outside").publish("a", b"other", retain=True)
        reader = below.client("reader")
        reader.subscribe("#")
        assert [(each.topic, each.payload, each.retain) for each in reader.published()] == [("a", b"mine", True)]

    def test_a_topic_beside_it_is_not_below_it(self) -> None:
        below = Below()
        reader, outside = below.client("reader"), below.world.client("outside")
        outside.publish("tenant", b"retained", retain=True)
        reader.subscribe("#", "$share/g/#", qos=1)
        outside.publish("tenant", b"live")
        outside.publish("tenantry/a", b"live")
        assert reader.take() == []

    def test_unsubscribe(self) -> None:
        below = Below()
        inside = below.client("inside")
        inside.subscribe("a", "$share/g/b")
        assert inside.unsubscribe("a", "$share/g/b", "c", "$share/", "a/#/b") == (0, 0, 0x11, 0x8F, 0x8F)
        assert len(below.world.core.router) == 0

    def test_shared_subscriptions(self) -> None:
        below = Below()
        one_, two = below.client("one"), below.client("two")
        for each in (one_, two):
            each.subscribe("$share/g/jobs/+", qos=1)
        for number in range(4):
            below.world.client("outside").publish(f"tenant/jobs/{number}", qos=1)
        assert [len(one_.published()), len(two.published())] == [2, 2]

    def test_topic_aliases(self) -> None:
        below = Below()
        reader = below.client("reader", properties=Properties(topic_alias_maximum=5))
        reader.subscribe("a")
        writer = below.client("writer")
        writer.publish("a", b"1", properties=Properties(topic_alias=1))
        writer.publish("", b"2", properties=Properties(topic_alias=1))
        assert [(each.topic, each.payload) for each in reader.published()] == [("a", b"1"), ("", b"2")]

    def test_what_is_queued(self) -> None:
        below = Below()
        reader = below.client("reader", expiry=1_000)
        reader.subscribe("a", qos=1)
        reader.lose()
        below.world.client("outside").publish("tenant/a", b"x", qos=1)
        again = Below(below.world.restarted())
        reader = again.client("reader", clean=False, expiry=1_000)
        assert reader.connack is not None
        assert reader.connack.session_present
        assert [(each.topic, each.payload) for each in reader.published()] == [("a", b"x")]

    def test_client_identifiers_are_a_world_of_their_own(self) -> None:
        below = Below()
        inside, outside = below.client("same"), below.world.client("same")
        assert inside.send() == []
        inside.subscribe("a")
        outside.publish("tenant/a", b"x")
        assert inside.payloads() == [b"x"]
        third = below.client("same")
        (left,) = inside.take()
        assert isinstance(left, Disconnect)
        assert left.reason_code == ReasonCode.SESSION_TAKEN_OVER
        assert third.send() == []
        assert outside.take() == []

    def test_an_assigned_client_identifier_has_no_mount_point(self) -> None:
        peer = Below().client("")
        assert peer.connack is not None
        assigned = peer.connack.properties.assigned_client_identifier
        assert assigned is not None
        assert assigned.startswith("auto-")

    def test_no_local(self) -> None:
        below = Below()
        inside = below.client("inside")
        inside.subscribe(SubscriptionRequest("a", 0, no_local=True))
        inside.publish("a")
        below.client("other").publish("a", b"x")
        assert inside.payloads() == [b"x"]

    def test_names_of_the_server_are_not_for_clients(self) -> None:
        below = Below()
        inside = below.client("inside")
        answer = one(inside.publish("$SYS/a", qos=1))
        assert isinstance(answer, PubAck)
        assert answer.reason_code == ReasonCode.NOT_AUTHORIZED
        peer = below.world.opened(V5, entrance=below.entrance)
        peer.connect("will", will=Will("$SYS/a"))
        assert peer.connack is not None
        assert peer.connack.reason_code == ReasonCode.NOT_AUTHORIZED

    def test_rules_see_the_whole_topic(self) -> None:
        authorizer = Deny(("publish", "tenant/a"), ("subscribe", "tenant/b"), ("subscribe", "$share/g/tenant/c"))
        below = Below(World(authorizer=authorizer))
        inside = below.client("inside")
        answer = one(inside.publish("a", qos=1))
        assert isinstance(answer, PubAck)
        assert answer.reason_code == ReasonCode.NOT_AUTHORIZED
        assert inside.subscribe("b", "$share/g/c", "d") == (0x87, 0x87, 0)

    def test_a_topic_that_becomes_too_long(self) -> None:
        below = Below(World(Limits(max_topic_length=65_535)))
        inside = below.client("inside")
        long = "a" * 65_535
        assert inside.subscribe(long) == (ReasonCode.TOPIC_FILTER_INVALID,)
        last = inside.publish(long)[-1]
        assert isinstance(last, Disconnect)
        assert last.reason_code == ReasonCode.TOPIC_NAME_INVALID
        peer = below.world.opened(V5, entrance=below.entrance)
        peer.connect("will", will=Will(long))
        assert peer.connack is not None
        assert peer.connack.reason_code == ReasonCode.TOPIC_NAME_INVALID

    def test_in_process_publishers_see_all(self) -> None:
        below = Below()
        inside = below.client("inside")
        inside.subscribe("a")
        below.world.core.publish_message(Message("tenant/a", b"tenant/a", b"x"), below.world.now)
        below.world.flush()
        assert [each.topic for each in inside.published()] == ["a"]

    def test_logs_show_the_clients_own_name(self) -> None:
        below = Below()
        below.client("inside", expiry=1).lose()
        below.world.advance(3)
        assert [line["client"] for line in below.world.logged("session expired")] == ["inside"]

    @pytest.mark.parametrize("mount_point", ["", "a/", "a/b/"])
    def test_what_can_be_one(self, mount_point: str) -> None:
        check_mount_point(mount_point)

    @pytest.mark.parametrize("mount_point", ["a", "/a", "$SYS/", "a/#/", "+/", "a\0/", "a" * 2_000 + "/"])
    def test_what_cannot(self, mount_point: str) -> None:
        with pytest.raises(ValueError, match=r"^mount_point: "):
            check_mount_point(mount_point)
