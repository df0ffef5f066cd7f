"""Clients that remember what they were promised: publishers, subscribers, clients with wills, clients that change
their subscriptions.

Each holds its half of the session state as the standard wants it: it survives the connection, and the broker. A
client may be cancelled at any await; what it has not taken from its connection by then it has never received.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass

from mqttbroker.protocol import (
    NO_PROPERTIES,
    Packet,
    Properties,
    ProtocolVersion,
    PubAck,
    PubComp,
    Publish,
    PubRec,
    PubRel,
    ReasonCode,
    Will,
)
from mqttbroker.topics import split_share
from tests.durability.ledger import Ledger, Receipts
from tests.support.raw import ConnectionClosed, RawClient

__all__ = ["EXPIRY", "GONE", "IDLE", "Client", "Publisher", "Subscriber", "World"]

GONE = (ConnectionClosed, OSError, TimeoutError, AssertionError)
"""What a client meets when the broker is killed under it. An AssertionError is a packet that nobody expected."""
IDLE = 0.05
"""Seconds without a packet after which a client does what it has put off."""
EXPIRY = 86_400
REFUSED = 0x80
PACKET_IDENTIFIER_NOT_FOUND = ReasonCode.PACKET_IDENTIFIER_NOT_FOUND


class World:
    """What the clients share: where the broker is, the ledger, chance, and how many packets of each kind came."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.ledger = Ledger()
        self.port = 0
        self.counts: dict[str, int] = {}
        self.trigger: tuple[str, int] = ("", 0)
        """Kind of packet and its number, upon whose arrival ``triggered`` is set."""
        self.triggered = asyncio.Event()

    def saw(self, packet: Packet) -> None:
        """A packet has come from the broker."""
        kind = type(packet).__name__
        self.counts[kind] = self.counts.get(kind, 0) + 1
        if self.trigger == (kind, self.counts[kind]):
            self.triggered.set()


class Client:
    """A client with a persistent session; see the module."""

    def __init__(self, world: World, client_id: str, version: ProtocolVersion) -> None:
        self.world = world
        self.ledger = world.ledger
        self.client_id = client_id
        self.five = version == ProtocolVersion.V5
        self.version = version
        self.promised = False
        """Whether a CONNACK has promised a session."""
        self.receive_maximum: int | None = None
        self.client: RawClient | None = None

    async def subscribe(self) -> None:
        """Make the subscriptions that stay."""

    async def connect(self, will: Will | None = None, expiry: int = EXPIRY) -> RawClient:
        """Connect, while an earlier connection may still be open. The session must be there if it was promised."""
        properties = NO_PROPERTIES
        if self.five:
            properties = Properties(session_expiry_interval=expiry, receive_maximum=self.receive_maximum)
        client = RawClient("127.0.0.1", self.world.port, version=self.version, timeout=20.0)
        earlier, self.client = self.client, client
        try:
            await client.open()
            answer = await client.connect(self.client_id, clean_start=False, will=will, properties=properties)
        finally:
            if earlier is not None:
                await earlier.close()
        self.note(f"connected, session present: {answer.session_present}")
        if answer.reason_code != ReasonCode.SUCCESS:
            self.ledger.violation(self.client_id, f"refused: {answer.reason_code!r}")
        if not answer.session_present:
            if self.promised and expiry == EXPIRY:
                self.ledger.violation(self.client_id, "the session that was promised is not there")
            self.session_lost()
        self.promised = True
        return client

    def session_lost(self) -> None:
        """The broker knows no session of this client, so what belongs to it is void."""

    def note(self, what: str) -> None:
        """Add a line to the trace."""
        self.ledger.note(self.client_id, what)

    async def leave(self, politely: bool = False) -> None:
        """End the connection, with DISCONNECT or without."""
        client, self.client = self.client, None
        if client is None:
            return
        self.note("disconnects" if politely else "aborts")
        try:
            if politely:
                await client.disconnect()
        except GONE:
            return
        finally:
            await client.close()


@dataclass(slots=True)
class Outgoing:
    """A message that a publisher has not finished."""

    topic: str
    sequence: int
    qos: int
    retain: bool
    received: bool = False
    """PUBREC came: from here on there is only PUBREL."""
    released: bool = False


class Publisher(Client):
    """Publishes to its own topics, resumes what was interrupted."""

    def __init__(self, world: World, client_id: str, version: ProtocolVersion, topics: list[str], retain: bool) -> None:
        super().__init__(world, client_id, version)
        self.topics = topics
        self.retain = retain
        self.outgoing: dict[int, Outgoing] = {}
        self.window = world.rng.choice((1, 4, 16))
        self.packet_id = 0

    async def run(self, budget: int) -> None:
        """Publish so many messages and finish all of them."""
        client = await self.connect()
        self._resume(client)
        while budget > 0 or self.outgoing:
            while budget > 0 and len(self.outgoing) < self.window:
                budget -= 1
                self._publish(client)
            try:
                self._take(client, await client.receive(IDLE))
            except TimeoutError:
                self._release(client)

    def _publish(self, client: RawClient) -> None:
        topic = self.world.rng.choice(self.topics)
        qos = int(topic[-1])
        sequence = self.ledger.next_sequence(topic)
        if self.retain and self.world.rng.random() < 0.1:
            self.ledger.deletions.setdefault(topic, set()).add(sequence)
        message = Outgoing(topic, sequence, qos, self.retain)
        packet_id = None
        if qos:
            while self.packet_id in self.outgoing or not self.packet_id:
                self.packet_id = self.packet_id % 200 + 1  # Few, so that they are used again and again.
            packet_id = self.packet_id
            self.outgoing[packet_id] = message
        self._send(client, packet_id, message, False)

    def _send(self, client: RawClient, packet_id: int | None, message: Outgoing, dup: bool) -> None:
        deleted = message.sequence in self.ledger.deletions.get(message.topic, ())
        payload = b"" if deleted else str(message.sequence).encode()
        client.send(Publish(message.topic, payload, message.qos, message.retain, dup, packet_id))
        self.note(f"PUBLISH {message.topic} {message.sequence} id {packet_id}{' DUP' if dup else ''}")

    def _resume(self, client: RawClient) -> None:
        for packet_id, message in self.outgoing.items():
            if message.received:
                self._send_release(client, packet_id, message)
            else:
                self._send(client, packet_id, message, True)

    def _take(self, client: RawClient, packet: Packet) -> None:
        self.world.saw(packet)
        if not isinstance(packet, PubAck | PubRec | PubComp):
            self.ledger.violation(self.client_id, f"unexpected {packet!r}")
            return
        message = self.outgoing.get(packet.packet_id)
        known = PACKET_IDENTIFIER_NOT_FOUND if isinstance(packet, PubComp) else None
        if packet.reason_code >= REFUSED and packet.reason_code != known:
            self.ledger.violation(self.client_id, f"refused: {packet!r}")
        self.note(f"{type(packet).__name__} id {packet.packet_id}")
        if message is None:
            self.ledger.violation(self.client_id, f"{packet!r} for nothing in flight")
        elif isinstance(packet, PubComp):
            del self.outgoing[packet.packet_id]
        else:
            self.ledger.acknowledge(message.topic, message.sequence)
            if isinstance(packet, PubAck):
                del self.outgoing[packet.packet_id]
            elif not message.received:
                message.received = True
                if self.world.rng.random() < 0.7:
                    self._release(client)

    def _release(self, client: RawClient) -> None:
        for packet_id, message in self.outgoing.items():
            if message.received and not message.released:
                self._send_release(client, packet_id, message)

    def _send_release(self, client: RawClient, packet_id: int, message: Outgoing) -> None:
        message.released = True
        client.send(PubRel(packet_id))
        self.note(f"PUBREL id {packet_id}")


class Subscriber(Client):
    """Subscribes once, and receives; ``receipts`` may be shared with others of a shared subscription."""

    def __init__(
        self,
        world: World,
        client_id: str,
        version: ProtocolVersion,
        filters: tuple[str, ...],
        qos: int,
        receipts: Receipts | None = None,
    ) -> None:
        super().__init__(world, client_id, version)
        self.filters = filters
        self.qos = qos
        self.receipts = receipts or Receipts()
        self.subscribed = False
        self.incoming: dict[int, tuple[str, bytes]] = {}
        """QoS 2 messages that were delivered and not yet released, by packet identifier."""
        self.unanswered: list[Packet] = []

    async def subscribe(self) -> None:
        """Connect and subscribe, which is once."""
        client = await self.connect()
        answer = await client.subscribe(*self.filters, qos=self.qos)
        assert all(code == self.qos for code in answer.reason_codes)
        self.subscribed = True
        self.note(f"subscribed to {self.filters}")

    @property
    def plain_filters(self) -> list[str]:
        """The topic filters without the names of shared subscriptions."""
        return [split_share(each)[1] for each in self.filters]

    async def flap(self) -> None:
        """Come and go, with and without DISCONNECT, or as another connection that takes the session over."""
        rng = self.world.rng
        while True:
            await self.connect()
            await self.read(rng.uniform(0.0, 0.3))
            end = rng.random()
            if end < 0.6:
                await self.leave(politely=end < 0.3)

    async def read(self, seconds: float, until_idle: bool = False) -> None:
        """Take what comes for so long, or until nothing comes any more and every exchange is finished."""
        client = self.client or await self.connect()
        self.unanswered = []
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while loop.time() < end:
            try:
                self.take(client, await client.receive(IDLE))
            except TimeoutError:
                self._answer(client)
                if until_idle and not self.incoming:
                    return
        self._answer(client)

    def take(self, client: RawClient, packet: Packet) -> None:
        """One packet."""
        self.world.saw(packet)
        if isinstance(packet, PubRel):
            self.note(f"PUBREL id {packet.packet_id}")
            self.incoming.pop(packet.packet_id, None)
            self.unanswered.append(PubComp(packet.packet_id))
        elif isinstance(packet, Publish):
            self._message(packet)
        else:
            self.ledger.violation(self.client_id, f"unexpected {packet!r}")
        if self.world.rng.random() < 0.6:
            self._answer(client)

    def _message(self, packet: Publish) -> None:
        self.note(
            f"received {packet.topic} {packet.payload!r} QoS {packet.qos} id {packet.packet_id}"
            f"{' DUP' if packet.dup else ''}"
        )
        packet_id = packet.packet_id
        if packet_id is not None:
            self.unanswered.append(PubAck(packet_id) if packet.qos == 1 else PubRec(packet_id))
        if packet.qos == 2 and packet_id is not None:
            earlier = self.incoming.get(packet_id)
            if earlier is not None:
                if earlier != (packet.topic, packet.payload):
                    self.ledger.violation(self.client_id, f"{packet!r} under the identifier of {earlier}")
                return
            self.incoming[packet_id] = (packet.topic, packet.payload)
        self.receipts.add(packet.topic, int(packet.payload))

    def _answer(self, client: RawClient) -> None:
        for packet in self.unanswered:
            self.note(f"{type(packet).__name__} id {getattr(packet, 'packet_id', 0)}")
            client.send(packet)
        self.unanswered = []

    def session_lost(self) -> None:
        self.incoming = {}
