"""Clients of which something changes all the time: subscriptions, wills, the session itself.

What was acknowledged last is certain; what was under way when the broker died may or may not have happened, and is
held against both.
"""

from __future__ import annotations

from mqttbroker.protocol import Properties, ProtocolVersion, PubComp, Publish, PubRel, Will
from tests.durability.actors import Client, Subscriber, World
from tests.durability.ledger import Receipts
from tests.support.raw import RawClient

__all__ = ["ShortLived", "Toggler", "Willing"]

PROBE_TIMEOUT = 10.0
SHORT = 1
"""Seconds for which a short-lived session is kept."""


class Toggler(Client):
    """Subscribes and unsubscribes. A probe later shows which subscriptions there are, and at which QoS."""

    def __init__(self, world: World, client_id: str, version: ProtocolVersion) -> None:
        super().__init__(world, client_id, version)
        self.possible: dict[str, set[int | None]] = {f"d/{client_id}/{n}": {None} for n in range(4)}
        """For each filter, the granted QoS that may hold now; ``None`` for no subscription."""
        self.end = f"d/{client_id}/end"

    async def subscribe(self) -> None:
        """Make the one subscription that stays: it ends the probe."""
        client = await self.connect()
        await client.subscribe(self.end, qos=2)

    async def run(self) -> None:
        """Change subscriptions until cancelled, or the broker is gone."""
        client = await self.connect()
        rng = self.world.rng
        while True:
            chosen = rng.sample(sorted(self.possible), rng.choice((1, 1, 2)))
            wanted = rng.choice((None, 0, 1, 2))
            for topic_filter in chosen:
                self.possible[topic_filter].add(wanted)
            self.note(f"wants {chosen} at {wanted}")
            if wanted is None:
                self.world.saw(await client.unsubscribe(*chosen))
            else:
                self.world.saw(await client.subscribe(*chosen, qos=wanted))
            for topic_filter in chosen:
                self.possible[topic_filter] = {wanted}
            self.note("acknowledged")

    async def check(self) -> None:
        """Publish to every filter, and see what comes."""
        client = await self.connect()
        found: dict[str, int | None] = dict.fromkeys(self.possible)
        async with RawClient("127.0.0.1", self.world.port, timeout=PROBE_TIMEOUT) as prober:
            await prober.connect()
            for topic in (*self.possible, self.end):
                await prober.publish(topic, b"probe", qos=2)
        while True:
            packet = await client.receive(PROBE_TIMEOUT)
            if isinstance(packet, PubRel):  # Of an earlier probe, whose PUBCOMP was lost.
                client.send(PubComp(packet.packet_id))
                continue
            assert isinstance(packet, Publish), packet
            if packet.topic in found and not packet.dup:
                found[packet.topic] = packet.qos
            await client.ack(packet)
            if packet.topic == self.end and not packet.dup:
                break
        for topic_filter, qos in found.items():
            if qos not in self.possible[topic_filter]:
                self.ledger.violation(
                    self.client_id, f"{topic_filter}: subscribed at {qos}, expected {self.possible[topic_filter]}"
                )
            self.possible[topic_filter] = {qos}
        await self.leave()


class Willing(Client):
    """Connects with one will after the other. Each is published once, unless it was taken back."""

    def __init__(self, world: World, client_id: str, version: ProtocolVersion) -> None:
        super().__init__(world, client_id, version)
        self.topic = f"w/{client_id}/q2"
        self.incarnation = 0
        self.due: set[int] = set()
        """Wills that must be published."""
        self.holding = 0
        """The will of the present connection, once CONNACK has come; 0 for none."""

    async def run(self) -> None:
        """Connect and go until cancelled, or the broker is gone."""
        rng = self.world.rng
        while True:
            self.incarnation += 1
            will = Will(self.topic, str(self.incarnation).encode(), qos=2)
            taken_over = self.client is not None
            client = await self.connect(will)
            if taken_over:
                self.lost()
            self.holding = self.incarnation
            for _ in range(rng.randrange(4)):
                await client.ping()
            end = rng.random()
            if end < 0.3:
                self.holding = 0
                await self.leave(politely=True)
            elif end < 0.7:
                await self.leave()
                self.lost()

    def lost(self) -> None:
        """The connection has ended without DISCONNECT."""
        if self.holding:
            self.due.add(self.holding)
        self.holding = 0

    def check(self, receipts: Receipts) -> None:
        """Hold the wills that a QoS 2 subscriber received against those that were due."""
        received = receipts.by_topic.get(self.topic, [])
        if len(received) != len(set(received)):
            self.ledger.violation(self.client_id, f"a will was published twice: {received}")
        if self.due - set(received):
            self.ledger.violation(self.client_id, f"wills lost: {sorted(self.due - set(received))}")

    def lacks(self, receipts: Receipts) -> bool:
        """Whether a will is still to come."""
        return bool(self.due - receipts.seen.get(self.topic, set()))


class ShortLived(Subscriber):
    """Leaves sessions behind that end a second later, with messages in them."""

    async def run(self) -> None:
        """Come and go until cancelled, or the broker is gone."""
        number = 0
        while True:
            number += 1
            async with RawClient("127.0.0.1", self.world.port, timeout=20.0) as client:
                await client.connect(
                    f"{self.client_id}-{number % 8}",
                    clean_start=number % 3 == 0,
                    properties=Properties(session_expiry_interval=SHORT),
                )
                await client.subscribe(*self.filters, qos=self.qos)
                await client.ping()
