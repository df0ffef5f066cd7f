"""A broker without sockets for tests: a world with a clock, clients that speak in packets, and what they carry.

:class:`World` is a :class:`BrokerCore` with a clock that the test moves and a log that the test reads;
:class:`Peer` is one client on it; :class:`MemoryCarrier` is the peer's end of the wire. Nothing waits.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from random import Random

from mqttbroker.broker import (
    Accepted,
    Action,
    Authenticator,
    Authorizer,
    BrokerCore,
    Connection,
    Credentials,
    Decision,
    Entrance,
    EverythingAllowed,
    Identity,
    Limits,
    Verdict,
    VerdictCallback,
)
from mqttbroker.broker import Peer as OtherEnd
from mqttbroker.protocol import (
    NO_PROPERTIES,
    ConnAck,
    Connect,
    Disconnect,
    Packet,
    PacketReader,
    Properties,
    ProtocolVersion,
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
    encode,
)
from mqttbroker.sessions import Session
from mqttbroker.storage import MemoryStore, Store

__all__ = [
    "START",
    "V5",
    "V31",
    "V311",
    "Asked",
    "Deny",
    "MemoryCarrier",
    "Patient",
    "Peer",
    "UserNames",
    "World",
    "one",
]

V31, V311, V5 = ProtocolVersion.V31, ProtocolVersion.V311, ProtocolVersion.V5
START = 1_700_000_000.0
"""When every world begins, in seconds since the epoch."""


class MemoryCarrier:
    """Implements ``Carrier`` with a list."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.reading: bool = True
        self.closed: bool = False
        self.aborted: bool = False
        self.waiting_bytes: int = 0

    def send(self, data: bytes) -> None:
        assert data, "an empty write"
        assert not self.closed and not self.aborted, f"written after the end: {data!r}"
        self.sent.append(data)

    def close(self) -> None:
        assert not self.closed, "closed twice"
        self.closed = True

    def abort(self) -> None:
        self.aborted = True

    def waiting(self) -> int:
        return self.waiting_bytes

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    @property
    def ended(self) -> bool:
        return self.closed or self.aborted


class UserNames:
    """An authenticator that believes every user name."""

    def authenticate(self, credentials: Credentials, done: VerdictCallback) -> None:
        done(Accepted(credentials.username))


class Asked:
    """One question that was put to a :class:`Patient` authenticator."""

    def __init__(self, credentials: Credentials, done: VerdictCallback) -> None:
        self.credentials: Credentials = credentials
        self.answer: VerdictCallback = done


class Patient:
    """An authenticator that answers when the test does."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []

    def authenticate(self, credentials: Credentials, done: VerdictCallback) -> None:
        self.asked.append(Asked(credentials, done))

    def answer(self, verdict: Verdict) -> None:
        """Answer the oldest question."""
        self.asked.pop(0).answer(verdict)


class Deny:
    """An authoriser that denies what it was told to, by action and topic."""

    def __init__(self, *denied: tuple[Action, str]) -> None:
        self.denied: set[tuple[Action, str]] = set(denied)
        self.asked: list[tuple[Identity, Action, str]] = []

    def decide(self, identity: Identity, action: Action, topic: str) -> Decision:
        self.asked.append((identity, action, topic))
        return Decision((action, topic) not in self.denied, f"rule for {topic}")


class World:
    """One broker, its time, its log and its clients."""

    def __init__(
        self,
        limits: Limits | None = None,
        store: Store | None = None,
        authenticator: Authenticator | None = None,
        authorizer: Authorizer | None = None,
        now: float = START,
    ) -> None:
        self.now: float = now
        self.log: list[tuple[str, str, dict[str, object]]] = []
        self.store: Store = store if store is not None else MemoryStore()
        self.core: BrokerCore = BrokerCore(
            limits or Limits(),
            self.store,
            authorizer or EverythingAllowed(),
            self._note,
            now,
            Random(1),
        )
        self.entrance: Entrance = self.listener("tcp", authenticator=authenticator)
        self._addresses: int = 0

    def listener(
        self, name: str, limits: Limits | None = None, authenticator: Authenticator | None = None, mount_point: str = ""
    ) -> Entrance:
        """What the connections of one more listener have in common."""
        return Entrance(name, limits or self.core.limits, authenticator or UserNames(), mount_point)

    def _note(self, level: str, event: str, /, **details: object) -> None:
        details.pop("exception", None)
        self.log.append((level, event, details))

    def logged(self, event: str) -> list[dict[str, object]]:
        """The details of every line about an event."""
        return [details for _, name, details in self.log if name == event]

    def opened(self, version: ProtocolVersion = V5, address: str = "", entrance: Entrance | None = None) -> Peer:
        """A client that has sent nothing yet."""
        self._addresses += 1
        return Peer(self, version, address or f"192.0.2.1:{50_000 + self._addresses}", entrance or self.entrance)

    def client(
        self,
        client_id: str = "client",
        version: ProtocolVersion = V5,
        *,
        clean: bool = True,
        expiry: int | None = None,
        user: str | None = None,
        will: Will | None = None,
        keep_alive: int = 0,
        properties: Properties = NO_PROPERTIES,
        entrance: Entrance | None = None,
    ) -> Peer:
        """A client that is connected. ``expiry`` is the Session Expiry Interval."""
        peer = self.opened(version, entrance=entrance)
        peer.early += peer.connect(
            client_id, clean=clean, expiry=expiry, user=user, will=will, keep_alive=keep_alive, properties=properties
        )
        assert peer.connack is not None and not peer.connack.reason_code, peer.connack
        return peer

    def session(self, client_id: str = "client") -> Session:
        """The session of a client."""
        return self.core.registry.sessions[client_id]

    def flush(self) -> None:
        """Empty the outboxes until there is nothing left to do."""
        while self.core.flush():
            pass

    def advance(self, seconds: float) -> None:
        """Let time pass, with a tick at every second and at the end."""
        end = self.now + seconds
        while self.now < end:
            self.now = min(self.now + 1.0, end)
            self.core.tick(self.now)
            self.flush()

    def restarted(self, store: Store | None = None, limits: Limits | None = None) -> World:
        """Another broker that finds what this one, which is no more, has stored."""
        core = self.core
        return World(limits or core.limits, store or self.store, self.entrance.authenticator, core.authorizer, self.now)


class Peer:
    """A client's end of one connection. What it sends is handled at once, and the outboxes emptied."""

    def __init__(self, world: World, version: ProtocolVersion, address: str, entrance: Entrance) -> None:
        self.world: World = world
        self.version: ProtocolVersion = version
        self.carrier: MemoryCarrier = MemoryCarrier()
        self.reader: PacketReader = PacketReader(version)
        self.connack: ConnAck | None = None
        self.early: list[Packet] = []
        """What has come behind an answer that the test asked for, and is to be taken yet."""
        self._packet_id: int = 0
        self.connection: Connection = world.core.accept(self.carrier, OtherEnd(address), entrance, world.now)

    def reads(self) -> bool:
        """Whether the broker takes bytes from this client. A method, because mypy takes attributes for constant."""
        return self.carrier.reading

    # What a client does.

    def feed(self, data: bytes) -> None:
        """Send bytes."""
        self.connection.feed(data, self.world.now)
        self.world.flush()

    def send(self, *packets: Packet) -> list[Packet]:
        """Send packets in one piece; what has come back."""
        self.feed(b"".join(encode(packet, self.version) for packet in packets))
        return self.take()

    def take(self) -> list[Packet]:
        """What has come since the last time."""
        chunks, self.carrier.sent = self.carrier.sent, []
        early, self.early = self.early, []
        return early + [packet for chunk in chunks for packet in self.reader.feed(chunk)]

    def published(self) -> list[Publish]:
        """What has come since the last time, which must be nothing but PUBLISH."""
        taken = self.take()
        found = [packet for packet in taken if isinstance(packet, Publish)]
        assert len(found) == len(taken), taken
        return found

    def payloads(self) -> list[bytes]:
        """The payloads of :meth:`published`."""
        return [packet.payload for packet in self.published()]

    def connect(
        self,
        client_id: str = "client",
        *,
        clean: bool = True,
        expiry: int | None = None,
        user: str | None = None,
        password: bytes | None = None,
        will: Will | None = None,
        keep_alive: int = 0,
        properties: Properties = NO_PROPERTIES,
    ) -> list[Packet]:
        """Send CONNECT; what came back, whose CONNACK is kept in ``connack`` and left out."""
        if expiry is not None:
            properties = replace(properties, session_expiry_interval=expiry)
        taken = self.send(Connect(client_id, self.version, clean, keep_alive, user, password, will, properties))
        for packet in taken:
            if isinstance(packet, ConnAck):
                self.connack = packet
        return [packet for packet in taken if not isinstance(packet, ConnAck)]

    def subscribe(
        self, *filters: str | SubscriptionRequest, qos: int = 0, identifier: int | None = None
    ) -> tuple[int, ...]:
        """Subscribe; the reason codes. Retained messages that come at once stay to be taken."""
        requests = tuple(
            each if isinstance(each, SubscriptionRequest) else SubscriptionRequest(each, qos) for each in filters
        )
        properties = Properties(subscription_identifiers=(identifier,)) if identifier else NO_PROPERTIES
        answer, *self.early = self.send(Subscribe(self.packet_id(), requests, properties))
        assert isinstance(answer, SubAck), answer
        return tuple(int(code) for code in answer.reason_codes)

    def unsubscribe(self, *filters: str) -> tuple[int, ...]:
        """Unsubscribe; the reason codes."""
        answer = one(self.send(Unsubscribe(self.packet_id(), filters)))
        assert isinstance(answer, UnsubAck), answer
        return tuple(int(code) for code in answer.reason_codes)

    def publish(
        self,
        topic: str,
        payload: bytes = b"payload",
        qos: int = 0,
        retain: bool = False,
        dup: bool = False,
        packet_id: int | None = None,
        properties: Properties = NO_PROPERTIES,
    ) -> list[Packet]:
        """Publish; what came back."""
        number = (packet_id or self.packet_id()) if qos else None
        return self.send(Publish(topic, payload, qos, retain, dup, number, properties))

    def packet_id(self) -> int:
        """A packet identifier that this client has not used."""
        self._packet_id += 1
        return self._packet_id

    def acknowledge(self, packets: Iterable[Publish]) -> list[Packet]:
        """Answer PUBACK or PUBREC for each that asks for it; what came back."""
        answers: list[Packet] = []
        for each in packets:
            if each.packet_id is not None:
                answers.append(PubAck(each.packet_id) if each.qos == 1 else PubRec(each.packet_id))
        return self.send(*answers)

    def complete(self, packets: Iterable[Packet]) -> list[Packet]:
        """Answer PUBCOMP for each PUBREL; what came back."""
        return self.send(*(PubComp(each.packet_id) for each in packets if isinstance(each, PubRel)))

    def congest(self, waiting: int = 1) -> None:
        """The network takes nothing more for now."""
        self.carrier.waiting_bytes = waiting
        self.connection.writable(False, self.world.now)

    def relieve(self) -> None:
        """The network takes everything again."""
        self.carrier.waiting_bytes = 0
        self.connection.writable(True, self.world.now)
        self.world.flush()

    def lose(self) -> None:
        """The connection breaks."""
        self.carrier.aborted = True
        self.connection.lost(self.world.now)
        self.world.flush()

    def disconnect(self, reason: ReasonCode = ReasonCode.SUCCESS, expiry: int | None = None) -> None:
        """Send a DISCONNECT."""
        self.feed(encode(Disconnect(reason, Properties(session_expiry_interval=expiry)), self.version))


def one(packets: list[Packet]) -> Packet:
    """The one packet of the list."""
    assert len(packets) == 1, packets
    return packets[0]
