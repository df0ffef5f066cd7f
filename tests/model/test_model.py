"""The broker against a reference: clients of two versions that come, go, publish, subscribe, acknowledge and wait.

After every step each client has received exactly what ``reference.py`` says: every packet, in its order, with QoS,
RETAIN, DUP, subscription identifiers and the rest of the expiry interval; what is sent again has the packet identifier
that it had. A failure shrinks to a script of a few lines, each a call of a rule below.

``--hypothesis-profile=thorough`` tries other and more examples.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from mqttbroker.broker import Limits
from mqttbroker.protocol import (
    Disconnect,
    Packet,
    Properties,
    PubAck,
    PubComp,
    Publish,
    PubRec,
    PubRel,
    ReasonCode,
    SubAck,
    Subscribe,
    SubscriptionRequest,
    UnsubAck,
    Unsubscribe,
    Will,
)
from tests.broker.support import START, V5, V311, Peer, World
from tests.model.reference import FOREVER, Arrival, Bequest, Line, Owed, ReferenceBroker, Session, Text

NAMES = ["ann", "bob", "cid", "dan"]
TOPICS = ["a", "a/b", "a/b/c", "b"]
FILTERS = ["a", "a/b", "a/b/c", "b", "#", "a/#", "+", "+/b", "a/+/c", "a/b/+"]
MAX_INFLIGHT = 3


class Options(NamedTuple):
    """A topic filter and its options, in a form that is short in a script."""

    topic_filter: str
    qos: int
    no_local: bool = False
    retain_as_published: bool = False
    retain_handling: int = 0

    def request(self, five: bool) -> SubscriptionRequest:
        return SubscriptionRequest(*self) if five else SubscriptionRequest(self.topic_filter, self.qos)


class LastWill(NamedTuple):
    """A will, likewise. ``delay`` chooses among those of its client, which nobody else's will ever coincides with."""

    topic: str
    qos: int
    retain: bool
    delay: int
    lifetime: int | None


class Handle(NamedTuple):
    """A message that a client is in the middle of."""

    name: str
    packet_id: int


qos_levels = st.integers(0, 2)
options = st.builds(Options, st.sampled_from(FILTERS), qos_levels, st.booleans(), st.booleans(), st.integers(0, 2))
wills = st.builds(
    LastWill,
    st.sampled_from(TOPICS),
    qos_levels,
    st.booleans(),
    st.integers(0, 2),
    st.sampled_from([None, 0, 5]),
)
machine = st.runner()
names_online = machine.flatmap(lambda self: st.sampled_from(sorted(self.peers)))
handles_in_flight = machine.flatmap(lambda self: st.sampled_from(self.in_flight()))
handles_released = machine.flatmap(lambda self: st.sampled_from(self.in_flight(released=True)))
handles_incoming = machine.flatmap(lambda self: st.sampled_from(self.incoming()))


class BrokerMachine(RuleBasedStateMachine):
    """Drives the broker and the reference."""

    @initialize(max_expiry=st.sampled_from([30, FOREVER]))
    def begin(self, max_expiry: int) -> None:
        self.world: World = World(Limits(max_session_expiry=max_expiry, max_inflight=MAX_INFLIGHT))
        self.reference: ReferenceBroker = ReferenceBroker(START, max_expiry)
        self.peers: dict[str, Peer] = {}
        self.lines: dict[str, Line] = {}
        self.count: int = 0
        self.packet_id: int = 0
        self.sent: dict[Handle, Publish] = {}
        """QoS 2 messages of clients, as they were published."""

    # What the rules below draw from.

    def in_flight(self, released: bool = False) -> list[Handle]:
        return [
            Handle(name, owed.packet_id)
            for name in sorted(self.peers)
            for owed in self.reference.sessions[name].owed
            if owed.packet_id and owed.released >= released
        ]

    def incoming(self) -> list[Handle]:
        return [
            Handle(name, number)
            for name in sorted(self.peers)
            for number in sorted(self.reference.sessions[name].incoming)
        ]

    def payload(self) -> bytes:
        self.count += 1
        return f"m{self.count}".encode()

    def number(self) -> int:
        self.packet_id = self.packet_id % 65_535 + 1
        return self.packet_id

    def five(self, name: str) -> bool:
        return self.peers[name].version == V5

    def owed(self, handle: Handle) -> Owed:
        (found,) = (each for each in self.reference.sessions[handle.name].owed if each.packet_id == handle.packet_id)
        return found

    # Comparing.

    def check(self) -> None:
        """Everybody has received what the reference says."""
        for name in self.peers:
            self.check_line(self.reference.sessions[name], self.peers[name], self.lines[name])

    def check_line(self, session: Session | None, peer: Peer, line: Line) -> None:
        taken = peer.take()
        arrived: list[Arrival | Packet] = []
        for packet in taken:
            if isinstance(packet, Disconnect):
                packet = replace(packet, properties=replace(packet.properties, reason_string=None))
            if not isinstance(packet, Publish):
                arrived.append(packet)
                continue
            properties = packet.properties
            arrived.append(
                Arrival(
                    packet.topic,
                    packet.payload,
                    packet.qos,
                    packet.retain,
                    packet.dup,
                    tuple(sorted(properties.subscription_identifiers)),
                    properties.message_expiry_interval,
                )
            )
        assert arrived == line.expected
        numbers = [packet.packet_id or 0 for packet in taken if isinstance(packet, Publish) and packet.qos]
        for owed, number in zip(line.unnumbered, numbers, strict=True):
            if owed.packet_id:
                assert number == owed.packet_id, "sent again under another packet identifier"
            else:
                assert session is not None
                assert number not in {each.packet_id for each in session.owed}, "packet identifier in use"
                owed.packet_id = number
        line.expected.clear()
        line.unnumbered.clear()

    def tell(self, name: str, packet: Packet, *answers: Packet) -> None:
        """Send a packet; these answers come before whatever it leads to."""
        self.lines[name].expected.extend(answers)
        self.peers[name].early += self.peers[name].send(packet)

    # Connections.

    @rule(
        name=st.sampled_from(NAMES),
        version=st.sampled_from(["v3.1.1", "v5"]),
        clean=st.booleans(),
        expiry=st.integers(0, 2),
        receive_maximum=st.integers(1, MAX_INFLIGHT + 1),
        will=st.none() | wills,
    )
    def connect(
        self, name: str, version: str, clean: bool, expiry: int, receive_maximum: int, will: LastWill | None
    ) -> None:
        """Also where the client is connected already: it is taken over."""
        self.keep_wills_apart([name])
        five = version == "v5"
        place = NAMES.index(name)
        testament = None
        packet = None
        if will is not None:
            delay = [0, 1 + place, 21 + place][will.delay] if five else 0
            lifetime = will.lifetime if five else None
            testament = Bequest(will.topic, self.payload(), will.qos, will.retain, delay, lifetime)
            properties = Properties(will_delay_interval=delay, message_expiry_interval=lifetime)
            packet = Will(will.topic, testament.payload, will.qos, will.retain, properties if five else Properties())
        line = Line(five, min(receive_maximum, MAX_INFLIGHT) if five else MAX_INFLIGHT)
        interval = self.intervals(name)[expiry] if five else 0 if clean else FOREVER
        present, former = self.reference.connect(name, line, clean, interval, testament)
        peer = self.world.client(
            name,
            V5 if five else V311,
            clean=clean,
            expiry=interval if five else None,
            will=packet,
            properties=Properties(receive_maximum=receive_maximum) if five else Properties(),
        )
        assert peer.connack is not None and peer.connack.session_present is present
        if former is not None:
            assert self.peers[name].carrier.closed
            self.check_line(None, self.peers[name], former)
        if not present:
            self.forget(name)
        self.peers[name] = peer
        self.lines[name] = line
        self.check()

    def intervals(self, name: str) -> list[int]:
        return [0, 11 + NAMES.index(name), 100]

    def keep_wills_apart(self, names: list[str]) -> None:
        """Let time pass until no will that begins to wait now falls due together with another: their order is open."""
        for _ in range(len(NAMES) * 3):
            waiting = [each.last_words for each in self.reference.sessions.values() if each.last_words]
            begun = [
                self.reference.now + interval
                for name in names
                if (session := self.reference.sessions.get(name)) is not None and session.will is not None
                for interval in (session.will.delay, *self.intervals(name))
            ]
            if not set(waiting) & set(begun):
                return
            self.pass_time(1)

    def forget(self, name: str) -> None:
        """The client's half of the session is over too."""
        self.sent = {handle: packet for handle, packet in self.sent.items() if handle.name != name}

    def gone(self, name: str) -> None:
        del self.peers[name], self.lines[name]
        if name not in self.reference.sessions:
            self.forget(name)
        self.check()

    @precondition(lambda self: self.peers)
    @rule(name=names_online)
    def vanish(self, name: str) -> None:
        self.keep_wills_apart([name])
        self.reference.disconnected(self.reference.sessions[name], keep_will=True)
        self.peers[name].lose()
        self.gone(name)

    @precondition(lambda self: self.peers)
    @rule(name=names_online, with_will=st.booleans(), expiry=st.none() | st.integers(0, 2))
    def disconnect(self, name: str, with_will: bool, expiry: int | None) -> None:
        """Both choices are those of MQTT 5.0 only; an interval can be changed only where there is one."""
        self.keep_wills_apart([name])
        session = self.reference.sessions[name]
        five = self.five(name)
        interval = self.intervals(name)[expiry] if expiry is not None and five and session.expiry else None
        if interval is not None:
            session.expiry = min(interval, self.reference.max_expiry)
        keep_will = with_will and five
        self.reference.disconnected(session, keep_will)
        reason = ReasonCode.DISCONNECT_WITH_WILL_MESSAGE if keep_will else ReasonCode.NORMAL_DISCONNECTION
        self.peers[name].disconnect(reason, interval)
        assert self.peers[name].take() == []
        assert self.peers[name].carrier.closed
        self.gone(name)

    # Subscriptions.

    @precondition(lambda self: self.peers)
    @rule(name=names_online, chosen=st.lists(options, min_size=1, max_size=3), identifier=st.integers(0, 200))
    def subscribe(self, name: str, chosen: list[Options], identifier: int) -> None:
        five = self.five(name)
        requests = tuple(each.request(five) for each in chosen)
        identifier = identifier if five else 0
        properties = Properties(subscription_identifiers=(identifier,)) if identifier else Properties()
        number = self.number()
        codes = tuple(ReasonCode(each.qos) for each in requests)
        self.tell(name, Subscribe(number, requests, properties), SubAck(number, codes))
        for topic_filter in self.reference.subscribe(name, requests, identifier, five):
            order = [message.topic for message in self.world.core.retained.match(topic_filter, self.world.now)]
            self.reference.replay(name, topic_filter, order)
        self.check()

    @precondition(lambda self: self.peers)
    @rule(name=names_online, topic_filters=st.lists(st.sampled_from(FILTERS), min_size=1, max_size=3))
    def unsubscribe(self, name: str, topic_filters: list[str]) -> None:
        subscriptions = self.reference.sessions[name].subscriptions
        codes = tuple(
            ReasonCode.SUCCESS if subscriptions.pop(each, None) is not None else ReasonCode.NO_SUBSCRIPTION_EXISTED
            for each in topic_filters
        )
        number = self.number()
        answer = UnsubAck(number, codes if self.five(name) else ())
        self.tell(name, Unsubscribe(number, tuple(topic_filters)), answer)
        self.check()

    # Messages to the broker.

    @precondition(lambda self: self.peers)
    @rule(
        name=names_online,
        topic=st.sampled_from(TOPICS),
        qos=qos_levels,
        retain=st.booleans(),
        empty=st.sampled_from([False, False, False, True]),
        lifetime=st.sampled_from([None, None, 0, 2, 10]),
    )
    def publish(self, name: str, topic: str, qos: int, retain: bool, empty: bool, lifetime: int | None) -> None:
        five = self.five(name)
        lifetime = lifetime if five else None
        payload = b"" if empty else self.payload()
        expires_at = None if lifetime is None else self.reference.now + lifetime
        packet = Publish(
            topic,
            payload,
            qos,
            retain,
            packet_id=self.number() if qos else None,
            properties=Properties(message_expiry_interval=lifetime),
        )
        found = self.reference.publish(Text(topic, payload, qos, retain, expires_at, name))
        if packet.packet_id is not None:
            reason = ReasonCode.SUCCESS if found or not five else ReasonCode.NO_MATCHING_SUBSCRIBERS
            answer = PubAck(packet.packet_id, reason) if qos == 1 else PubRec(packet.packet_id, reason)
            self.lines[name].expected.append(answer)
        if qos == 2:
            assert packet.packet_id is not None
            self.reference.sessions[name].incoming.add(packet.packet_id)
            self.sent[Handle(name, packet.packet_id)] = packet
        self.tell(name, packet)
        self.check()

    @precondition(lambda self: self.incoming())
    @rule(handle=handles_incoming)
    def publish_again(self, handle: Handle) -> None:
        """A client that has not seen the PUBREC."""
        packet = replace(self.sent[handle], dup=True)
        if not self.five(handle.name):
            packet = replace(packet, properties=Properties())
        self.tell(handle.name, packet, PubRec(handle.packet_id))
        self.check()

    @precondition(lambda self: self.incoming())
    @rule(handle=handles_incoming)
    def release(self, handle: Handle) -> None:
        self.reference.sessions[handle.name].incoming.discard(handle.packet_id)
        del self.sent[handle]
        self.tell(handle.name, PubRel(handle.packet_id), PubComp(handle.packet_id))
        self.check()

    @precondition(lambda self: self.peers)
    @rule(name=names_online)
    def release_nothing(self, name: str) -> None:
        """A client whose PUBCOMP was lost."""
        number = self.number()
        reason = ReasonCode.PACKET_IDENTIFIER_NOT_FOUND if self.five(name) else ReasonCode.SUCCESS
        self.tell(name, PubRel(number), PubComp(number, reason))
        self.check()

    # Messages from the broker.

    @precondition(lambda self: self.in_flight())
    @rule(handle=handles_in_flight, refuse=st.sampled_from([False, False, False, True]))
    def acknowledge(self, handle: Handle, refuse: bool) -> None:
        """PUBACK or PUBREC, which may come for what was sent on an earlier connection, and twice."""
        owed = self.owed(handle)
        refuse = refuse and self.five(handle.name)
        reason = ReasonCode.UNSPECIFIED_ERROR if refuse else ReasonCode.SUCCESS
        if owed.qos == 1:
            self.reference.acknowledged(*handle)
            self.tell(handle.name, PubAck(handle.packet_id, reason))
        elif refuse:
            self.reference.acknowledged(*handle)
            self.tell(handle.name, PubRec(handle.packet_id, reason))
        else:
            owed.released = True
            self.tell(handle.name, PubRec(handle.packet_id), PubRel(handle.packet_id))
        self.check()

    @precondition(lambda self: self.in_flight(released=True))
    @rule(handle=handles_released)
    def complete(self, handle: Handle) -> None:
        self.reference.acknowledged(*handle)
        self.tell(handle.name, PubComp(handle.packet_id))
        self.check()

    @precondition(lambda self: self.peers)
    @rule(name=names_online, kind=st.sampled_from([PubAck, PubRec, PubComp]))
    def acknowledge_nothing(self, name: str, kind: type[PubAck | PubRec | PubComp]) -> None:
        """A client that remembers more than the broker."""
        number = 65_535  # The broker counts from 1 and never comes this far here.
        answers: list[Packet] = []
        if kind is PubRec:
            reason = ReasonCode.PACKET_IDENTIFIER_NOT_FOUND if self.five(name) else ReasonCode.SUCCESS
            answers.append(PubRel(number, reason))
        self.tell(name, kind(number), *answers)
        self.check()

    # Time.

    @rule(seconds=st.integers(1, 15))
    def wait(self, seconds: int) -> None:
        self.pass_time(seconds)
        self.check()

    def pass_time(self, seconds: int) -> None:
        for _ in range(seconds):
            self.reference.tick(self.reference.now + 1)
            self.world.advance(1)

    # What always holds.

    @invariant()
    def sessions_agree(self) -> None:
        sessions = self.world.core.registry.sessions
        assert sessions.keys() == self.reference.sessions.keys()
        for name, session in self.reference.sessions.items():
            real = sessions[name]
            assert real.online == (name in self.peers)
            assert set(real.subscriptions) == set(session.subscriptions)
            # A message that expired unsent may leave at once, or when it is met.
            assert len(self.alive(session)) <= real.load <= len(session.owed)
            assert real.incoming == session.incoming
            if real.online:
                assert real.quota == session.quota

    @invariant()
    def the_store_agrees(self) -> None:
        kept = {record.client_id: record for record in self.world.store.sessions()}
        assert list(kept) == [name for name, session in self.reference.sessions.items() if session.persistent]
        for name, record in kept.items():
            session = self.reference.sessions[name]
            assert {each.topic_filter for each in record.subscriptions} == set(session.subscriptions)
            assert set(record.incoming) == session.incoming
            queue = [
                (each.message.payload, each.qos, each.packet_id, each.released)
                for each in self.world.store.read_queue(name, 0, 1_000)
                if each.packet_id or not 0 < each.message.expires_at <= self.world.now
            ]
            assert queue == [
                (each.text.payload, each.qos, each.packet_id, each.released) for each in self.alive(session)
            ]

    def alive(self, session: Session) -> list[Owed]:
        """What will still be sent."""
        return [each for each in session.owed if each.packet_id or not each.text.expired(self.reference.now)]

    @invariant()
    def nothing_unexpected_is_logged(self) -> None:
        assert [line for line in self.world.log if line[0] in {"warning", "error"}] == []


class RestartMachine(BrokerMachine):
    """The same, with a broker that stops at any moment and finds its sessions in the store."""

    @rule(downtime=st.sampled_from([0, 0, 1, 12]))
    def restart(self, downtime: int) -> None:
        self.keep_wills_apart(NAMES)
        self.peers.clear()
        self.lines.clear()
        self.world.now += downtime
        self.reference.restart(self.world.now)
        self.world = self.world.restarted()
        for name in NAMES:
            if name not in self.reference.sessions:
                self.forget(name)
        self.check()


EXAMPLES = settings(
    max_examples=settings().max_examples * 3 // 2,
    stateful_step_count=40,
    report_multiple_bugs=False,
    suppress_health_check=[*settings().suppress_health_check, HealthCheck.too_slow, HealthCheck.data_too_large],
)

TestBroker = BrokerMachine.TestCase
TestBroker.settings = EXAMPLES
TestRestart = RestartMachine.TestCase
TestRestart.settings = EXAMPLES
