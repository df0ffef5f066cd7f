"""What listeners are told of clients: each kind of event, and the bounds of how many."""

from __future__ import annotations

import pytest

from mqttbroker.broker import Challenge, Credentials, Limits, Refused, VerdictCallback, events
from mqttbroker.protocol import Auth, Properties, ReasonCode, Will
from tests.broker.support import START, V311, Deny, World

Told = tuple[str, str, dict[str, object]]


class Refusing:
    """An authenticator that lets nobody in."""

    def authenticate(self, credentials: Credentials, done: VerdictCallback) -> None:
        done(Refused(detail="wrong password"))


class Listener:
    """Remembers what it is told."""

    def __init__(self, world: World) -> None:
        self.told: list[Told] = []
        self.times: list[float] = []
        world.core.events.listen(self.tell)

    def tell(self, kind: str, client_id: str, now: float, details: dict[str, object]) -> None:
        self.told.append((kind, client_id, details))
        self.times.append(now)

    def of(self, kind: str) -> list[dict[str, object]]:
        return [details for each, _, details in self.told if each == kind]

    def take(self) -> list[Told]:
        told, self.told = self.told, []
        return told


def heard(world: World) -> bool:
    """Whether anybody listens."""
    return world.core.events.heard


def noted(world: World) -> object:
    """What is noted of drops."""
    return world.core.session_limits.drops


def where(number: int, user: str | None = None) -> dict[str, object]:
    """The other end of the connection that was opened as the ``number``th."""
    return {"user": user, "address": f"192.0.2.1:{50_000 + number}", "listener": "tcp"}


class TestConnections:
    def test_a_client_comes_and_goes(self) -> None:
        world = World()
        listener = Listener(world)
        peer = world.client("a", user="ann")
        peer.disconnect()
        assert listener.told == [
            ("connected", "a", {**where(1, "ann"), "version": "V5", "session_present": False}),
            ("disconnected", "a", {**where(1, "ann"), "reason": "disconnected"}),
        ]
        assert listener.times == [START, START]

    def test_session_present(self) -> None:
        world = World()
        world.client("a", V311, clean=False).lose()
        listener = Listener(world)
        world.client("a", V311, clean=False)
        assert listener.told == [("connected", "a", {**where(2), "version": "V311", "session_present": True})]

    def test_below_a_mount_point(self) -> None:
        world = World()
        listener = Listener(world)
        world.client("a", entrance=world.listener("rented", mount_point="tenant/")).lose()
        assert [(kind, name) for kind, name, _ in listener.told] == [("connected", "a"), ("disconnected", "a")]
        assert all(details["mount_point"] == "tenant/" for _, _, details in listener.told)

    def test_a_connection_that_fails(self) -> None:
        world = World()
        listener = Listener(world)
        world.client("a").feed(b"\x00\x00")
        assert listener.of("disconnected")[0]["reason"]

    def test_who_was_never_connected(self) -> None:
        world = World()
        listener = Listener(world)
        world.opened().lose()
        world.opened().feed(b"GET / HTTP/1.1\r\n\r\n")
        assert not listener.told

    def test_takeover(self) -> None:
        world = World()
        world.client("a")
        listener = Listener(world)
        world.client("a")
        kinds = [kind for kind, _, _ in listener.told]
        assert kinds == ["takeover", "disconnected", "connected"]
        assert listener.told[0] == ("takeover", "a", {**where(1), "by": "192.0.2.1:50002"})


class TestRefusals:
    def test_wrong_password(self) -> None:
        world = World(authenticator=Refusing())
        listener = Listener(world)
        world.opened().connect("a", user="ann")
        assert listener.told == [("refused", "a", {**where(1), "action": "connect", "rule": "wrong password"})]

    def test_somebody_elses_client_identifier(self) -> None:
        world = World()
        world.client("a", user="ann")
        listener = Listener(world)
        world.opened().connect("a", user="bob")
        rule = "this client identifier belongs to another user"
        assert listener.told == [("refused", "a", {**where(2, "bob"), "action": "connect", "rule": rule})]

    def test_a_connect_that_is_not_taken(self) -> None:
        world = World(Limits(max_client_id_length=23))
        listener = Listener(world)
        world.opened().connect("a" * 24)
        rule = "client identifier of 24 bytes"
        assert listener.told == [("refused", "a" * 24, {**where(1), "action": "connect", "rule": rule})]

    @pytest.mark.parametrize("action", ["publish", "subscribe"])
    def test_the_rule_that_decided(self, action: str) -> None:
        world = World(authorizer=Deny(("publish", "t"), ("subscribe", "t")))
        listener = Listener(world)
        peer = world.client("a")
        listener.take()
        if action == "publish":
            peer.publish("t")
        else:
            peer.subscribe("t")
        assert listener.told == [("refused", "a", {**where(1), "action": action, "topic": "t", "rule": "rule for t"})]

    def test_a_will_at_connect(self) -> None:
        world = World(authorizer=Deny(("publish", "t")))
        listener = Listener(world)
        world.opened().connect("a", will=Will("t", b""))
        refused = {**where(1), "action": "publish will", "topic": "t", "rule": "rule for t"}
        assert listener.told == [("refused", "a", refused)]

    def test_a_will_in_the_end(self) -> None:
        rules = Deny()
        world = World(authorizer=rules)
        peer = world.client("a", user="ann", will=Will("t", b""))
        listener = Listener(world)
        rules.denied.add(("publish", "t"))
        peer.lose()
        refused = {"user": "ann", "listener": "tcp", "action": "publish will", "topic": "t", "rule": "rule for t"}
        assert listener.told[-1] == ("refused", "a", refused)

    def test_at_the_gate(self) -> None:
        world = World(Limits(max_connections=1))
        listener = Listener(world)
        assert world.core.gate.enter(world.entrance, "192.0.2.6", world.now)
        assert not world.core.gate.enter(world.entrance, "192.0.2.7", world.now)
        refused = {"user": None, "address": "192.0.2.7", "listener": "tcp", "action": "connect"}
        assert listener.told == [("refused", "", {**refused, "rule": "max_connections"})]

    def test_a_re_authentication(self) -> None:
        class Once:
            def authenticate(self, credentials: Credentials, done: VerdictCallback) -> None:
                done(Challenge(b"", lambda data, then: then(Refused(detail="forged"))))

        world = World(authenticator=Once())
        listener = Listener(world)
        peer = world.opened()
        properties = Properties(authentication_method="m")
        peer.connect("a", properties=properties)
        peer.send(Auth(ReasonCode.CONTINUE_AUTHENTICATION, properties))
        assert listener.told == [("refused", "a", {**where(1), "action": "connect", "rule": "forged"})]

    def test_what_repeats_is_added_up(self) -> None:
        world = World(authorizer=Deny(("publish", "t"), ("publish", "u")))
        peer = world.client("a")
        listener = Listener(world)
        for _ in range(70):
            peer.publish("t")
        peer.publish("u")
        assert [details["topic"] for details in listener.of("refused")] == ["t", "u"]
        listener.take()
        world.advance(1.0)
        again = {**where(1), "action": "publish", "topic": "t", "rule": "rule for t", "count": 69}
        assert listener.take() == [("refused", "a", again)]
        world.advance(1.0)
        assert not listener.told
        peer.publish("t")
        assert "count" not in listener.of("refused")[0]


class TestDrops:
    def test_once_a_second_for_each_session(self) -> None:
        world = World()
        peers = [world.client(name, user="ann") for name in "ab"]
        for peer in peers:
            peer.subscribe("t")
            peer.congest()
        publisher = world.client("p")
        publisher.publish("t")
        listener = Listener(world)
        publisher.publish("t")
        publisher.publish("t")
        assert not listener.told
        world.advance(1.0)
        details = {"user": "ann", "listener": "tcp", "cause": "congested", "count": 2}
        assert [each for each in listener.take() if each[0] == "dropped"] == [
            ("dropped", "a", details),
            ("dropped", "b", details),
        ]
        world.advance(1.0)
        assert not listener.of("dropped")

    def test_many_sessions(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(events, "DROPPED", 1)
        world = World()
        listener = Listener(world)
        for name in "abc":
            peer = world.client(name)
            peer.subscribe("t")
            peer.congest()
        world.client("p").publish("t")
        listener.take()
        world.core.tick(world.now)
        assert [(name, details["count"]) for _, name, details in listener.told] == [("a", 1), ("", 2)]

    def test_nothing_is_noted_while_nobody_listens(self) -> None:
        world = World()
        assert noted(world) is None
        listener = Listener(world)
        assert noted(world) == {}
        world.core.events.unlisten(listener.tell)
        assert noted(world) is None


class TestSlow:
    def test_a_client_that_takes_nothing(self) -> None:
        world = World()
        listener = Listener(world)
        peer = world.client("a")
        listener.take()
        peer.congest(9)
        assert not listener.told
        world.advance(3.0)
        assert listener.take() == [("slow", "a", {**where(1), "waiting_bytes": 9})]
        peer.relieve()
        world.advance(1.0)
        peer.congest(9)
        world.advance(1.0)
        assert len(listener.of("slow")) == 1

    def test_one_that_catches_up(self) -> None:
        world = World()
        listener = Listener(world)
        peer = world.client("a")
        peer.congest()
        peer.relieve()
        world.advance(3.0)
        assert not listener.of("slow")

    def test_one_that_is_lost(self) -> None:
        world = World()
        listener = Listener(world)
        peer = world.client("a")
        peer.congest()
        peer.lose()
        world.advance(3.0)
        assert not listener.of("slow")


class TestListeners:
    def test_nobody(self) -> None:
        world = World()
        assert not world.core.events.heard
        world.client("a").lose()

    def test_two(self) -> None:
        world = World()
        first, second = Listener(world), Listener(world)
        world.client("a")
        world.core.events.unlisten(first.tell)
        assert heard(world)
        world.client("b")
        world.core.events.unlisten(second.tell)
        world.core.events.unlisten(second.tell)
        assert not heard(world)
        world.client("c")
        assert [name for _, name, _ in first.told] == ["a"]
        assert [name for _, name, _ in second.told] == ["a", "b"]

    def test_one_that_fails_is_told_no_more(self) -> None:
        world = World()

        def fail(kind: str, client_id: str, now: float, details: dict[str, object]) -> None:
            raise RuntimeError("no room")

        world.core.events.listen(fail)
        listener = Listener(world)
        world.client("a")
        world.client("b")
        assert [name for _, name, _ in listener.told] == ["a", "b"]
        assert world.logged("listener failed, and is told no more") == [{"error": "RuntimeError('no room')"}]

    def test_so_many_in_a_second(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(events, "PER_SECOND", 3)
        world = World(authorizer=Deny(("publish", "t")))
        listener = Listener(world)
        world.core.tick(world.now)
        for name in "abcde":
            world.client(name).publish("t")
        assert len(listener.take()) == 3
        world.advance(1.0)
        assert listener.take() == [("omitted", "", {"count": 7})]
        world.client("f")
        assert len(listener.take()) == 1
