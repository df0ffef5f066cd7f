"""Clients that are slow to take what they are sent, and what the broker does about it in both directions."""

from __future__ import annotations

from mqttbroker.protocol import PacketType, PingReq, PingResp, ProtocolVersion, PubAck, Publish, ReasonCode, encode
from mqttbroker.server import Broker
from mqttbroker.testing import RunningBroker
from tests.transports.site import Site

V5 = ProtocolVersion.V5
MIB = 1 << 20


def dropped(broker: Broker) -> int:
    """Messages that the broker has dropped for want of room."""
    return sum(broker.core.session_limits.dropped.values())


def reading(broker: RunningBroker, client_id: str) -> bool:
    """Whether the broker takes bytes from this client."""
    return broker.call(lambda inner: inner.core.registry.online[client_id].reading)


async def test_qos_0_is_dropped_and_counted(site: Site) -> None:
    broker = site.start(max_outbound_buffer=65_536)
    payload = b"x" * 262_144
    async with site.client() as slow, site.client() as quick, site.client() as publisher:
        for client in (slow, quick, publisher):
            await client.connect()
        await slow.subscribe("a")
        await quick.subscribe("a")
        sent = 0
        # The slow client reads nothing until the broker has had to drop something for it.
        while not broker.call(dropped):
            await publisher.publish("a", payload)
            assert (await quick.expect(Publish)).payload == payload
            sent += 1
            assert sent < 500
        lost = broker.call(dropped)
        received = [packet for packet in await slow.drain() if isinstance(packet, Publish)]
        assert len(received) == sent - lost
        await publisher.publish("a", b"afterwards")
        assert (await slow.expect(Publish)).payload == b"afterwards"
        assert broker.call(dropped) == lost


async def test_qos_1_arrives_in_the_end(site: Site) -> None:
    site.start(max_outbound_buffer=65_536)
    payloads = [number.to_bytes(4, "big") * 65_536 for number in range(60)]
    async with site.client() as slow, site.client() as quick, site.client() as publisher:
        for client in (slow, quick, publisher):
            await client.connect()
        await slow.subscribe("a", qos=1)
        await quick.subscribe("a", qos=1)
        for payload in payloads:
            await publisher.publish("a", payload, qos=1)
            assert (await quick.expect_publish()).payload == payload
        assert [(await slow.expect_publish()).payload for _ in payloads] == payloads


async def test_who_takes_nothing_is_not_read_from(site: Site) -> None:
    """A client that gives and does not take: what it sends stays with it, and nothing of it is lost."""
    broker = site.start(max_outbound_buffer=65_536)
    packet = encode(Publish("own", b"x" * 65_000, 1, packet_id=1), V5)
    async with site.client() as greedy, site.client() as other:
        await greedy.connect("greedy")
        await greedy.subscribe("own")
        await other.connect()
        sent = 0
        while reading(broker, "greedy"):
            greedy.send_bytes(packet)
            sent += 1
            await other.ping()
            assert sent < 1_000
        held = broker.call(lambda inner: inner.core.registry.online["greedy"].carrier.waiting())
        assert held < 2 * MIB
        # More comes than every buffer on the way can hold; the client is left with it.
        while greedy.stream.socket.unsent < MIB:
            greedy.send_bytes(packet)
            sent += 1
            await other.ping()
            assert sent < 2_000
        assert not reading(broker, "greedy")
        assert broker.call(lambda inner: inner.core.registry.online["greedy"].carrier.waiting()) == held
        greedy.send(PingReq())
        acknowledged = 0
        while not isinstance(received := await greedy.receive(), PingResp):
            acknowledged += isinstance(received, PubAck)
        assert acknowledged == sent
        assert reading(broker, "greedy")


async def test_who_takes_little_is_borne_with_and_who_takes_nothing_is_not(site: Site) -> None:
    broker = site.start(max_outbound_buffer=65_536, max_packet_size=64 * MIB, stalled_timeout=60.0)
    async with site.client() as slow, site.client() as publisher:
        await slow.connect("slow")
        await slow.subscribe("a")
        await publisher.connect()
        # The first is much more than fits into the buffers of the system; others may come on top of it.
        await publisher.publish("a", b"x" * (32 * MIB))
        while reading(broker, "slow"):
            await publisher.publish("a", b"x" * MIB)
        for _ in range(3):
            await slow.receive_bytes(4 * MIB)
            await publisher.ping()
            broker.advance(61)
            await publisher.ping()
        assert [line[1] for line in broker.logged if line[0] == "warning"] == []
        # What the system had taken from the broker by then is found out first.
        for _ in range(4):
            broker.advance(61)
            await publisher.ping()
        assert [line[1] for line in broker.logged if line[0] == "warning"] == ["client takes nothing"]
        while await slow.receive_some():
            pass


async def test_a_deadline_of_a_slow_reader_does_not_cut_off_what_it_takes(site: Site) -> None:
    """What was written before the end is more than any buffer of the system holds; the client takes it, and in time."""
    site.start(max_outbound_buffer=64 * MIB)
    async with site.client() as slow, site.client() as other:
        await slow.connect("slow")
        await slow.subscribe("a", qos=0)
        await other.connect()
        for _ in range(4):
            await other.publish("a", b"x" * (7 * MIB))
        async with site.client() as new:
            await new.connect("slow")
            sizes = []
            for _ in range(4):
                sizes.append(len((await slow.expect(Publish)).payload))
            assert sizes == [7 * MIB] * 4
            (last,) = await slow.expect_closed()
            assert last.type == PacketType.DISCONNECT
            assert getattr(last, "reason_code", None) == ReasonCode.SESSION_TAKEN_OVER
            assert slow.stream.ended_in_order
