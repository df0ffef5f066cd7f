"""The short path of PUBLISH and of what acknowledges it has the same effect as the general path.

Each scenario is played twice: in one world runs of packets arrive in one piece; in the other each arrives on its own,
on a connection that remembers no routes and whose short paths are switched off. Clients, store and counters must
not see a difference.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mqttbroker.broker import Connection, Counters, Limits, packet_loop
from mqttbroker.protocol import (
    Packet,
    Properties,
    ProtocolVersion,
    PubAck,
    PubComp,
    Publish,
    PubRec,
    PubRel,
    Subscribe,
    SubscriptionRequest,
    encode,
)
from mqttbroker.sessions import Drop
from mqttbroker.storage import MemoryStore, QueuedMessage, SessionRecord, Store
from tests.broker.support import V5, V31, V311, Deny, Peer, World
from tests.storage.deferred import DeferredStore
from tests.support.build import pure_only

TOPICS = ["a", "a/b", "c/b", "forbidden", "unread", "nobody/listens"]
FILTERS = ["a", "a/b", "+/b", "#", "forbidden", "unread", "$share/g/a/b"]

PUBLISHER = 0


@dataclass(frozen=True)
class Client:
    """One client of a scenario; the first publishes."""

    version: ProtocolVersion
    subscriptions: tuple[SubscriptionRequest, ...]
    identifier: int
    properties: Properties


@dataclass(frozen=True)
class Run:
    """PUBLISH packets that arrive together."""

    packets: tuple[Publish, ...]


@dataclass(frozen=True)
class Event:
    """Something that happens to a client between two runs."""

    what: str
    client: int


@dataclass(frozen=True)
class Scenario:
    clients: tuple[Client, ...]
    steps: tuple[Run | Event, ...]
    limits: Limits
    deferred: bool


@st.composite
def subscriptions(draw: st.DrawFn, version: ProtocolVersion) -> tuple[SubscriptionRequest, ...]:
    found = []
    for topic_filter in draw(st.lists(st.sampled_from(FILTERS), max_size=3, unique=True)):
        five = version is V5
        found.append(
            SubscriptionRequest(
                topic_filter,
                draw(st.integers(0, 2)),
                five and not topic_filter.startswith("$") and draw(st.booleans()),
                five and draw(st.booleans()),
            )
        )
    return tuple(found)


@st.composite
def clients(draw: st.DrawFn) -> Client:
    version = draw(st.sampled_from([V31, V311, V5, V5]))
    properties = Properties()
    identifier = 0
    if version is V5:
        identifier = draw(st.sampled_from([0, 0, 7]))
        properties = Properties(
            session_expiry_interval=draw(st.sampled_from([None, 100])),
            receive_maximum=draw(st.sampled_from([None, 1, 2])),
            topic_alias_maximum=draw(st.sampled_from([None, None, 1])),
            maximum_packet_size=draw(st.sampled_from([None, None, 40])),
        )
    return Client(version, draw(subscriptions(version)), identifier, properties)


@st.composite
def publishes(draw: st.DrawFn, version: ProtocolVersion) -> Publish:
    qos = draw(st.sampled_from([0, 0, 0, 1, 1, 2]))
    plain = draw(st.sampled_from([True, True, True, False]))
    topic = draw(st.sampled_from(TOPICS))
    properties = Properties()
    if version is V5 and not plain:
        alias = draw(st.sampled_from([None, 1, 2]))
        if alias and draw(st.booleans()):
            topic = ""
        properties = Properties(
            message_expiry_interval=draw(st.sampled_from([None, 5])),
            topic_alias=alias,
            payload_format_indicator=draw(st.sampled_from([None, 1])),
        )
    return Publish(
        topic,
        draw(st.sampled_from([b"", b"x", b"short", b"l" * 60, b"l" * 130])),
        qos,
        not plain and draw(st.booleans()),
        bool(qos) and not plain and draw(st.booleans()),
        draw(st.integers(1, 9)) if qos else None,
        properties,
    )


@st.composite
def scenarios(draw: st.DrawFn) -> Scenario:
    everyone = tuple(draw(st.lists(clients(), min_size=1, max_size=4)))
    version = everyone[PUBLISHER].version
    runs = st.builds(Run, st.lists(publishes(version), min_size=1, max_size=12).map(tuple))
    events = st.builds(
        Event,
        st.sampled_from(
            [
                "congest",
                "relieve",
                "acknowledge",
                "acknowledge",
                "release",
                "subscribe",
                "unsubscribe",
                "lose",
                "commit",
            ]
        ),
        st.integers(0, len(everyone) - 1),
    )
    steps = draw(st.lists(st.one_of(runs, runs, events), min_size=1, max_size=8).map(tuple))
    limits = Limits(
        receive_maximum=draw(st.sampled_from([3, 1_024])),
        queue_policy=draw(st.sampled_from(["drop_oldest", "drop_oldest", "drop_newest", "refuse"])),
        max_queued_messages=draw(st.sampled_from([2, 1_000])),
        max_qos=draw(st.sampled_from([0, 1, 2, 2, 2])),
        topic_alias_maximum=2,
    )
    return Scenario(everyone, steps, limits, draw(st.booleans()))


class Play:
    """One playing of a scenario, in pieces or one by one."""

    def __init__(self, scenario: Scenario, short: bool) -> None:
        self.scenario: Scenario = scenario
        self.short: bool = short
        self.store: Store = DeferredStore() if scenario.deferred else MemoryStore()
        authorizer = Deny(("publish", "forbidden"), ("receive", "unread"))
        self.world: World = World(scenario.limits, self.store, authorizer=authorizer)
        self.peers: list[Peer] = [self.join(number, each) for number, each in enumerate(scenario.clients)]
        self.got: list[list[bytes]] = [[] for _ in self.peers]
        for step in scenario.steps:
            self.step(step)
            self.commit()
            for peer, got in zip(self.peers, self.got, strict=True):
                got.append(b"".join(peer.carrier.sent))
                peer.carrier.sent = []

    def join(self, number: int, client: Client) -> Peer:
        peer = self.world.opened(client.version)
        peer.connect(f"client {number}", properties=client.properties)
        self.commit()
        peer.take()
        for request in client.subscriptions:
            properties = Properties(subscription_identifiers=(client.identifier,) if client.identifier else ())
            peer.feed(subscribe(request, properties, client.version))
        self.commit()
        peer.take()
        return peer

    def commit(self) -> None:
        if isinstance(self.store, DeferredStore):
            self.store.commit()
            self.world.flush()

    def step(self, step: Run | Event) -> None:
        if isinstance(step, Run):
            self.send(self.peers[PUBLISHER], step.packets)
            return
        peer = self.peers[step.client]
        if peer.carrier.ended:
            return
        match step.what:
            case "congest":
                peer.congest()
            case "relieve":
                peer.relieve()
            case "acknowledge":
                self.send(peer, tuple(answer(each) for each in peer.connection.session.inflight.values()))
            case "release":
                self.send(peer, tuple(PubRel(number) for number in range(1, 10)))
            case "subscribe":
                peer.feed(subscribe(SubscriptionRequest("+/b", 1), Properties(), peer.version))
            case "unsubscribe":
                for topic_filter in list(peer.connection.session.subscriptions):
                    self.world.core.router.unsubscribe(peer.connection.session, topic_filter)
            case "lose":
                peer.lose()

    def send(self, peer: Peer, packets: tuple[Packet, ...]) -> None:
        encoded = [encode(packet, peer.version) for packet in packets]
        if self.short:
            peer.feed(b"".join(encoded))
            return
        for packet in encoded:
            peer.connection.routes = self.world.core.no_routes
            peer.feed(packet)

    def counters(self) -> dict[str, int]:
        # Bytes behind an error are counted in one piece with it, and not at all where they come later.
        names = set(Counters.__slots__) - {"bytes_received"}
        return {name: getattr(self.world.core.counters, name) for name in names}

    def drops(self) -> list[object]:
        return [self.world.core.session_limits.dropped, *(peer.connection.session.dropped for peer in self.peers)]

    def stored(self) -> list[tuple[SessionRecord, list[QueuedMessage]]]:
        return [(record, self.store.read_queue(record.client_id, 0, 1_000)) for record in self.store.sessions()]


def subscribe(request: SubscriptionRequest, properties: Properties, version: ProtocolVersion) -> bytes:
    return encode(Subscribe(1, (request,), properties), version)


def answer(queued: QueuedMessage) -> Packet:
    if queued.qos == 1:
        return PubAck(queued.packet_id)
    return PubComp(queued.packet_id) if queued.released else PubRec(queued.packet_id)


def _general_puback(connection: Connection, packet_id: int, now: float) -> None:
    packet_loop._packet(connection, 0x40, packet_id.to_bytes(2, "big"), now)


@pure_only
class TestEquality:
    @given(scenarios())
    def test_of_short_and_general_path(self, scenario: Scenario) -> None:
        short = Play(scenario, True)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(packet_loop, "_publish", lambda *arguments: False)
            patch.setattr(packet_loop, "_puback", _general_puback)
            patch.setattr(packet_loop, "_exactly_once", packet_loop._packet)
            general = Play(scenario, False)
        assert short.got == general.got
        assert short.counters() == general.counters()
        assert short.drops() == general.drops()
        assert short.stored() == general.stored()
        ended = [[peer.carrier.closed for peer in play.peers] for play in (short, general)]
        assert ended[0] == ended[1]


class TestWhatTakesTheShortPath:
    """The comparison means something only if the short path is taken."""

    @pytest.mark.parametrize("version", [V311, V5], ids=["MQTT 3.1.1", "MQTT 5"])
    def test_runs_are_forwarded_as_the_bytes_that_they_are(self, version: ProtocolVersion) -> None:
        world = World()
        listeners = [world.client(f"listener {number}", version) for number in range(2)]
        for listener in listeners:
            listener.subscribe("t/#")
        talker = world.client("talker", version)
        talker.publish("t/1")
        for listener in listeners:
            listener.take()
        run = encode(Publish("t/1", b"a"), version) + encode(Publish("t/1", b"b"), version)
        talker.connection.feed(run, world.now)
        chunks = [listener.connection.outbox.chunks for listener in listeners]
        assert chunks[0] == [run]
        assert chunks[0][0] is chunks[1][0]

    @pytest.mark.parametrize("qos", [0, 1], ids=["QoS 0", "QoS 1"])
    def test_long_topics_are_not_mistaken_for_their_beginnings(self, qos: int) -> None:
        world = World()
        listener = world.client("listener")
        listener.subscribe("#", qos=qos)
        talker = world.client("talker")
        long = "t" * 300
        topics = [long[:length] for length in (1, 300 - 256, 300)]
        for _ in range(2):  # The first time to find the routes.
            for topic in topics:
                talker.publish(topic, qos=qos)
            assert [packet.topic for packet in listener.published()] == topics
        talker.feed(encode(Publish(long), V5))
        assert (len(talker.connection.routes), listener.published()[0].topic) == (3, long)

    @pure_only
    @pytest.mark.parametrize("qos", [1, 2])
    @pytest.mark.parametrize("version", [V311, V5], ids=["MQTT 3.1.1", "MQTT 5"])
    def test_qos_1_and_2_need_no_packet_object(
        self, version: ProtocolVersion, qos: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        world = World()
        listener, talker = world.client("listener", version), world.client("talker", version)
        listener.subscribe("t", qos=2)
        talker.publish("t", qos=0)
        listener.take()

        def general(*arguments: object) -> None:
            raise AssertionError("the general path")

        monkeypatch.setattr(packet_loop, "_packet", general)
        monkeypatch.setattr("mqttbroker.sessions.wire.encode_publish", general)
        talker.feed(encode(Publish("t", b"x", qos, packet_id=7), version))
        assert talker.take() == ([PubAck(7)] if qos == 1 else [PubRec(7)])
        assert listener.published() == [Publish("t", b"x", qos, packet_id=1)]
        if qos == 1:
            listener.feed(encode(PubAck(1), version))
        else:
            talker.feed(encode(PubRel(7), version))
            assert talker.take() == [PubComp(7)]
            listener.feed(encode(PubRec(1), version))
            assert listener.take() == [PubRel(1)]
            listener.feed(encode(PubComp(1), version))
        assert world.session("listener").inflight == {}
        assert talker.connection.session.incoming == set()
        assert talker.connection.inbound == 0
        assert world.log[-1][1] == "connected"

    def test_a_limit_of_qos_that_only_this_listener_has(self) -> None:
        world = World()
        talker = world.opened(entrance=world.listener("slow", Limits(max_qos=0)))
        talker.connect("talker")
        talker.publish("t")
        talker.feed(encode(Publish("t", b"", 1, packet_id=1), V5))
        assert world.logged("connection failed")[0]["reason"] == "qos_not_supported"

    def test_a_changed_subscription_makes_a_remembered_route_stale(self) -> None:
        world = World()
        one, two = world.client("one"), world.client("two")
        one.subscribe("t")
        talker = world.client("talker")
        talker.publish("t", b"0")
        two.subscribe("+")
        talker.publish("t", b"1")
        assert one.payloads() == [b"0", b"1"]
        one.unsubscribe("t")
        talker.publish("t", b"2")
        assert one.take() == []
        assert two.payloads() == [b"1", b"2"]

    def test_a_right_that_is_taken_away_with_the_rules(self) -> None:
        deny = Deny()
        world = World(authorizer=deny)
        listener = world.client("listener")
        listener.subscribe("t")
        talker = world.client("talker")
        talker.publish("t", b"0")
        deny.denied.add(("publish", "t"))
        world.core.router.routes.clear()
        talker.publish("t", b"1")
        assert listener.payloads() == [b"0"]

    def test_a_subscriber_that_is_full_loses_the_whole_run(self) -> None:
        world = World()
        listener, talker = world.client("listener"), world.client("talker")
        listener.subscribe("t")
        talker.publish("t")
        listener.congest()
        talker.feed(encode(Publish("t"), V5) * 3)
        assert world.session("listener").dropped == {Drop.CONGESTED: 3}

    def test_runs_to_two_topics_keep_their_order(self) -> None:
        world = World()
        listener, talker = world.client("listener"), world.client("talker")
        listener.subscribe("#")
        packets = [Publish(topic, str(number).encode()) for number, topic in enumerate("aabba")]
        for _ in range(2):  # The first time to find the routes.
            talker.feed(b"".join(encode(packet, V5) for packet in packets))
            assert listener.payloads() == [b"0", b"1", b"2", b"3", b"4"]

    def test_packet_identifier_0_on_a_known_route(self) -> None:
        """[MQTT-2.2.1-3]"""
        world = World()
        world.client("listener").subscribe("t")
        talker = world.client("talker")
        talker.publish("t")
        talker.feed(b"\x32\x06\x00\x01t\x00\x00\x00")
        assert talker.carrier.closed
        assert world.logged("connection failed")[0]["reason"] == "protocol_error"

    def test_the_message_is_the_same_on_both_paths(self) -> None:
        world = World()
        listener = world.client("listener", expiry=100)
        listener.subscribe("t", qos=1)
        listener.lose()
        talker = world.client("talker")
        for _ in range(2):
            talker.publish("t", b"x", qos=1)
        general, short = world.store.read_queue("listener", 0, 10)
        assert short.message == general.message

    def test_a_full_queue_makes_room_and_what_had_expired_is_counted_as_that(self) -> None:
        world = World(Limits(max_queued_messages=2))
        listener = world.client("listener", properties=Properties(receive_maximum=1))
        listener.subscribe("t", qos=1)
        talker = world.client("talker")
        talker.publish("t", b"0", qos=1)
        talker.publish("t", b"1", qos=1, properties=Properties(message_expiry_interval=2))
        world.advance(2)
        for payload in (b"2", b"3"):
            assert len(talker.publish("t", payload, qos=1)) == 1
        assert world.session("listener").dropped == {Drop.EXPIRED: 1, Drop.QUEUE_FULL: 1}
        listener.acknowledge(listener.published())
        assert not talker.carrier.closed

    @pytest.mark.parametrize("packet", [b"\x32\x00", b"\x32\x01\x00"], ids=["of 0 bytes", "of 1 byte"])
    def test_packets_too_short_for_it(self, packet: bytes) -> None:
        world = World()
        world.client("listener").subscribe("t")
        talker = world.client("talker")
        talker.publish("t", qos=1)
        talker.feed(packet)
        assert world.logged("connection failed")[0]["reason"] == "malformed_packet"
