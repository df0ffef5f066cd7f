"""A closed-loop load: publishers keep a window of messages under way, and send more as subscribers receive them.

Packets are encoded once and all of one size, so that a receiver counts messages by counting bytes. Everything speaks
MQTT 3.1.1, which every broker does.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from mqttbroker.bench.links import Frame, Link, plain
from mqttbroker.protocol import (
    ConnAck,
    Connect,
    Packet,
    PacketReader,
    ProtocolVersion,
    Publish,
    SubAck,
    Subscribe,
    SubscriptionRequest,
    encode,
)

__all__ = ["PAYLOAD", "V311", "Client", "Result", "Scenario", "connect", "run"]

V311 = ProtocolVersion.V311


@dataclass(frozen=True)
class Scenario:
    """Who publishes to whom. ``window`` is the number of messages under way for each publisher."""

    name: str
    publishers: int
    subscribers: int
    qos: int
    window: int
    fan: bool = False
    """Whether every subscriber gets the messages of every publisher; otherwise they are pairs."""
    payload: int = 64
    """Bytes of a message."""
    version5: bool = False
    """Whether clients speak MQTT 5.0; otherwise it is 3.1.1."""
    slow_readers: int = 0
    """Further subscribers, to everything, that do not read."""
    persistent: bool = False
    """Whether subscribers have sessions that last, and are away while messages are sent."""


@dataclass(frozen=True)
class Result:
    """Messages delivered, and the wall and CPU seconds (of the broker's process) that it took."""

    messages: int
    seconds: float
    cpu: float
    latency: dict[str, float] | None = None
    """Seconds from when a message was due until it was delivered, by percentile: ``p50``, ``p99``, ``p99.9`` and
    ``max``; ``None`` where there was no fixed rate.
    """

    @property
    def microseconds(self) -> float:
        """CPU time of the broker for one delivered message."""
        return self.cpu / self.messages * 1e6 if self.messages else float("nan")


PAYLOAD = b"x" * 64


class Client(asyncio.Protocol):
    """One connection. After the hand-shake, bytes are counted, not parsed."""

    def __init__(self, frame: Frame = plain) -> None:
        self.frame = frame
        self.reader: PacketReader | None = PacketReader(V311)
        self.packets: asyncio.Queue[Packet] = asyncio.Queue()
        self.transport: asyncio.Transport | None = None
        self.rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self.reader is not None:
            for packet in self.reader.feed(data):
                self.packets.put_nowait(packet)
        else:
            self.count(self.rest + data if self.rest else data)

    def count(self, data: bytes) -> None:
        """Take bytes of packets of the scenario's one kind."""

    def write(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(data)

    async def ask(self, packet: Packet, answer: type[Packet]) -> None:
        self.write(self.frame(encode(packet, V311)))
        got = await asyncio.wait_for(self.packets.get(), 10)
        assert isinstance(got, answer), got


class Publisher(Client):
    """Sends ``packet`` as often as its window allows; at QoS 1 the PUBACKs are read and dropped."""

    def __init__(self, topic: str, scenario: Scenario, frame: Frame = plain) -> None:
        super().__init__(frame)
        self.scenario = scenario
        packets = [
            encode(Publish(topic, PAYLOAD, scenario.qos, packet_id=number if scenario.qos else None), V311)
            for number in range(1, 501)
        ]
        self.size = len(packets[0])
        """Bytes of a packet, as subscribers get it."""
        self.packet = b"".join(frame(each) for each in packets)
        self.framed = len(self.packet) // 500
        self.next = 0
        self.waiting = 0

    def send(self, count: int) -> None:
        """Send so many messages, in one write."""
        begin = self.next
        out = b""
        while count:
            part = min(count, 500 - begin)
            out += self.packet[begin * self.framed : (begin + part) * self.framed]
            begin = (begin + part) % 500
            count -= part
        self.next = begin
        self.write(out)


class Subscriber(Client):
    """Counts messages, acknowledges them at QoS 1, and lets its publishers send on."""

    def __init__(self, scenario: Scenario, publishers: list[Publisher], returns: bool, frame: Frame = plain) -> None:
        super().__init__(frame)
        self.scenario = scenario
        # Of an acknowledgement in its frame, only the packet identifier at the end differs from one to another.
        self.acknowledgement = frame(b"\x40\x02\0\0")[:-2]
        self.publishers = publishers
        self.returns = returns
        self.received = 0
        self.turn = 0

    def count(self, data: bytes) -> None:
        size = self.publishers[0].size
        whole = len(data) // size
        used = whole * size
        self.rest = data[used:]
        self.received += whole
        if self.scenario.qos:
            # The packet identifier stands behind the topic, at a fixed place in each packet.
            at = size - len(PAYLOAD) - 2
            begin = self.acknowledgement
            self.write(b"".join(begin + data[n + at : n + at + 2] for n in range(0, used, size)))
        if whole and self.returns:
            each, more = divmod(whole, len(self.publishers))
            for number, publisher in enumerate(self.publishers):
                count = each + ((number - self.turn) % len(self.publishers) < more)
                if count:
                    publisher.send(count)
            self.turn = (self.turn + more) % len(self.publishers)


async def connect(client: Client, link: Link, client_id: str) -> None:
    """Connect a client, without keep alive."""
    await link.open(client)
    await client.ask(Connect(client_id, V311, clean_start=True, keep_alive=0), ConnAck)


async def run(
    scenario: Scenario,
    link: Link,
    seconds: float,
    cpu: Callable[[], float],
    rate: float | None = None,
    progress: Callable[[int], None] | None = None,
) -> Result:
    """Run the load for so many seconds, after a warm-up of a fifth of them. ``cpu`` tells the broker's CPU seconds."""
    topics = [f"bench/{number:03}" for number in range(scenario.publishers)]
    publishers = [Publisher(topic, scenario, link.frame) for topic in topics]
    subscribers = []
    for number in range(scenario.subscribers):
        mine = publishers if scenario.fan else [publishers[number]]
        # Of a fan-out, the last subscriber lets the publisher go on.
        returns = not scenario.fan or number == scenario.subscribers - 1
        subscribers.append(Subscriber(scenario, mine, returns, link.frame))
    clients: list[Client] = [*subscribers, *publishers]
    for number, client in enumerate(clients):
        await connect(client, link, f"bench-{number}")
    for number, subscriber in enumerate(subscribers):
        wanted = topics if scenario.fan else [topics[number]]
        requests = tuple(SubscriptionRequest(topic, scenario.qos) for topic in wanted)
        await subscriber.ask(Subscribe(1, requests), SubAck)
    for client in clients:
        client.reader = None
    for publisher in publishers:
        publisher.send(scenario.window)
    await asyncio.sleep(seconds / 5)
    before, used, began = sum(each.received for each in subscribers), cpu(), time.monotonic()
    await asyncio.sleep(seconds)
    count = sum(each.received for each in subscribers) - before
    result = Result(count, time.monotonic() - began, cpu() - used)
    for client in clients:
        assert client.transport is not None
        client.transport.abort()
    return result
