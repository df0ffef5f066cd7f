"""``python -m benchmarks.durability [rate] [queue] [restart] [fanout]``: what it costs to keep what is acknowledged.

``rate``     acknowledged QoS 1 messages a second for a client that keeps its session, absent and connected, for 1 to
1,000 publishers and windows of 1 and 100, with each mode of durability and with Mosquitto's persistence; how many of
them share a commit; and how often the same disk syncs at all;
``queue``    1,000,000 messages queued for an absent client, then drained by it: rates and memory;
``restart``  time to ready and memory with 100,000 sessions and 1,000,000 queued messages;
``fanout``   10,000 absent sessions that each are owed every message.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import lmdb
import psutil

from benchmarks.brokers import MOSQUITTO, free_port, wait_until_it_listens
from benchmarks.clients import PAYLOAD, V311, Client, connect
from mqttbroker.protocol import (
    Connect,
    PacketReader,
    Publish,
    SubAck,
    Subscribe,
    SubscriptionRequest,
    encode,
)
from mqttbroker.storage import Message, QueuedMessage, SubscriptionRecord
from mqttbroker.storage.lmdb.transfer import open_quietly

SECONDS = 3.0
LIMITS = {
    "MQTTBROKER_LIMITS__MAX_QUEUED_MESSAGES": "20000000",
    "MQTTBROKER_LIMITS__MAX_QUEUED_BYTES": "20000000000",
    "MQTTBROKER_LIMITS__MAX_CONNECTION_RATE": "0",
}


@dataclass(frozen=True)
class Rate:
    """What one run of :func:`rate` has found."""

    mode: str
    online: bool
    """Whether the client that the messages are for was connected."""
    publishers: int
    window: int
    acknowledged: int
    """Messages, in ``seconds``."""
    seconds: float
    cpu: float
    """CPU seconds of the broker's process."""
    commits: int
    """Transactions of the store; 0 where it has none."""

    @property
    def per_second(self) -> float:
        """Acknowledged messages a second."""
        return self.acknowledged / self.seconds

    @property
    def per_commit(self) -> float:
        """Acknowledged messages for each commit."""
        return self.acknowledged / self.commits if self.commits else float("nan")

    @property
    def microseconds(self) -> float:
        """CPU time of the broker for one acknowledged message."""
        return self.cpu / self.acknowledged * 1e6 if self.acknowledged else float("nan")


@contextmanager
def durable_broker(folder: Path, mode: str) -> Iterator[tuple[psutil.Process, int, float]]:
    """A broker with its files in a folder: process, port, and the seconds that it took to listen."""
    port = free_port()
    if mode == "mosquitto":
        settings = folder / "mosquitto.conf"
        settings.write_text(
            f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence true\npersistence_location {folder}/\n"
            "max_queued_messages 0\nmax_inflight_messages 1000\nuser root\n"
        )
        command = [str(MOSQUITTO), "-c", str(settings)]
    else:
        command = [sys.executable, "-m", "mqttbroker", "serve", "--port", str(port), "--log-level", "warning"]
        command += ["--data-dir", str(folder)]
    environment = os.environ | LIMITS | {"MQTTBROKER_DURABILITY": mode}
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    try:
        wait_until_it_listens(process, ("127.0.0.1", port), 300)
        yield psutil.Process(process.pid), port, time.monotonic() - began
    finally:
        process.terminate()
        process.wait()


class Producer(Client):
    """Keeps a window of unacknowledged QoS 1 messages under way, and counts PUBACKs."""

    def __init__(self, topic: str, window: int) -> None:
        super().__init__()
        self.window = window
        self.acknowledged = 0
        self.packets_out = [encode(Publish(topic, PAYLOAD, 1, packet_id=n), V311) for n in range(1, 1_001)]
        self.next = 0

    def begin(self) -> None:
        self.reader = None
        self.send(self.window)

    def send(self, count: int) -> None:
        self.write(b"".join(self.packets_out[(self.next + n) % 1_000] for n in range(count)))
        self.next = (self.next + count) % 1_000

    def count(self, data: bytes) -> None:
        done, left = divmod(len(data), 4)
        self.rest = data[len(data) - left :]
        self.acknowledged += done
        if done:
            self.send(done)


class Consumer(Client):
    """A client that keeps its session; acknowledges what it is sent, and counts it."""

    def __init__(self, client_id: str) -> None:
        super().__init__()
        self.client_id = client_id
        self.received = 0
        self.complete = asyncio.Event()
        self.wanted = 0
        self.parser = PacketReader(V311)

    def begin(self, wanted: int) -> None:
        self.wanted = wanted
        self.reader = None

    def count(self, data: bytes) -> None:
        acknowledgements = []
        for packet in self.parser.feed(data):
            if isinstance(packet, Publish) and packet.packet_id is not None:
                acknowledgements.append(b"\x40\x02" + packet.packet_id.to_bytes(2, "big"))
        self.received += len(acknowledgements)
        self.write(b"".join(acknowledgements))
        if self.received >= self.wanted:
            self.complete.set()


async def leave_a_session(port: int, client_id: str, topic_filter: str) -> None:
    """Connect, subscribe, and go away."""
    client = Client()
    await connect(client, port, client_id, clean=False)
    await client.ask(Subscribe(1, (SubscriptionRequest(topic_filter, 1),)), SubAck)
    assert client.transport is not None
    client.transport.close()


class Follower(Client):
    """A client that keeps its session and stays: acknowledges messages of one size, without parsing them."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self.received = 0

    def count(self, data: bytes) -> None:
        size = self.size
        used = len(data) // size * size
        self.rest = data[used:]
        self.received += used // size
        at = size - len(PAYLOAD) - 2
        self.write(b"".join(b"\x40\x02" + data[n + at : n + at + 2] for n in range(0, used, size)))


async def rate(folder: Path, mode: str, publishers: int, window: int, online: bool) -> Rate:
    """Acknowledged messages a second, of a broker of its own."""
    with durable_broker(folder, mode) as (process, port, _):
        producers = [Producer(f"bench/{number:03}", window) for number in range(publishers)]
        if online:
            follower = Follower(len(producers[0].packets_out[0]))
            await connect(follower, port, "follower", clean=False)
            await follower.ask(Subscribe(1, (SubscriptionRequest("bench/#", 1),)), SubAck)
            follower.reader = None
        else:
            await leave_a_session(port, "absent", "bench/#")
        for number, producer in enumerate(producers):
            await connect(producer, port, f"producer-{number}")
        for producer in producers:
            producer.begin()
        await asyncio.sleep(SECONDS / 5)
        commits, cpu = commits_of(folder), cpu_of(process)
        before, began = sum(each.acknowledged for each in producers), time.monotonic()
        await asyncio.sleep(SECONDS)
        count = sum(each.acknowledged for each in producers) - before
        took, cpu = time.monotonic() - began, cpu_of(process) - cpu
        commits = commits_of(folder) - commits
        for producer in producers:
            assert producer.transport is not None
            producer.transport.abort()
    return Rate(mode, online, publishers, window, count, took, cpu, commits)


def cpu_of(process: psutil.Process) -> float:
    """CPU seconds of a process so far."""
    times = process.cpu_times()
    return float(times.user + times.system)


def commits_of(folder: Path) -> int:
    """Transactions that a store has seen, by the number in its file; 0 where there is none."""
    if not (folder / "data.mdb").exists():
        return 0
    with lmdb.open(str(folder), readonly=True, lock=False, max_dbs=0) as environment:
        return int(environment.info()["last_txnid"])


def syncs_per_second(folder: Path) -> float:
    """How often the disk makes one page durable in a second, one after another."""
    descriptor = os.open(folder / "sync", os.O_RDWR | os.O_CREAT, 0o600)
    os.pwrite(descriptor, bytes(1 << 20), 0)
    os.fsync(descriptor)
    count, began = 0, time.monotonic()
    while time.monotonic() - began < 1.0:
        os.pwrite(descriptor, os.urandom(4_096), (count % 256) * 4_096)
        os.fdatasync(descriptor)
        count += 1
    os.close(descriptor)
    return count / (time.monotonic() - began)


MODES = ("fsync", "os", "none")
LOADS = ((1, 1), (1, 100), (10, 1), (10, 100), (100, 1), (100, 100), (1_000, 1))


def measure_rates(base: Path, modes: tuple[str, ...] = MODES, loads: tuple[tuple[int, int], ...] = LOADS) -> list[Rate]:
    """Every load (publishers, window) with every mode, for an absent client and for one that is connected."""
    found = []
    for online in (False, True):
        for publishers, window in loads:
            for mode in modes:
                with tempfile.TemporaryDirectory(dir=base) as folder:
                    found.append(asyncio.run(rate(Path(folder), mode, publishers, window, online)))
    return found


def show_rates(base: Path) -> None:
    """A table of acknowledged messages a second."""
    with tempfile.TemporaryDirectory(dir=base) as folder:
        print(f"the disk alone: {syncs_per_second(Path(folder)):,.0f} syncs of 4 KiB a second")
    print(f"{'client':>8} {'publishers':>10} {'window':>7} {'mode':>10} {'rate':>11} {'each commit':>12} {'CPU':>9}")
    modes = (*MODES, "mosquitto") if MOSQUITTO else MODES
    for load in LOADS:
        for each in measure_rates(base, modes, (load,)):
            client = "online" if each.online else "absent"
            print(
                f"{client:>8} {each.publishers:>10} {each.window:>7} {each.mode:>10} {each.per_second:>9,.0f}/s"
                f" {each.per_commit:>12,.1f} {each.microseconds:>6.1f} us",
                flush=True,
            )


async def fill_and_drain(port: int, process: psutil.Process, count: int) -> None:
    """Queue messages for an absent client, and let it take them."""
    await leave_a_session(port, "absent", "bench/#")
    producers = [Producer(f"bench/{number}", 500) for number in range(4)]
    for number, producer in enumerate(producers):
        await connect(producer, port, f"producer-{number}")
    memory, began = process.memory_info().rss, time.monotonic()
    for producer in producers:
        producer.begin()
    while (queued := sum(each.acknowledged for each in producers)) < count:
        await asyncio.sleep(0.1)
    took = time.monotonic() - began
    for producer in producers:
        assert producer.transport is not None
        producer.transport.abort()
    grown = (process.memory_info().rss - memory) / 1e6
    print(f"queued    {queued:>10,} messages  {queued / took:>10,.0f}/s  memory +{grown:.0f} MB")
    consumer = Consumer("absent")
    consumer.begin(queued)
    began = time.monotonic()
    await asyncio.get_running_loop().create_connection(lambda: consumer, "127.0.0.1", port)
    consumer.write(encode(Connect("absent", V311, clean_start=False), V311))
    await asyncio.wait_for(consumer.complete.wait(), 600)
    took = time.monotonic() - began
    grown = (process.memory_info().rss - memory) / 1e6
    print(f"drained   {consumer.received:>10,} messages  {consumer.received / took:>10,.0f}/s  memory +{grown:.0f} MB")


def show_queue(base: Path) -> None:
    """A million messages for one absent client."""
    with tempfile.TemporaryDirectory(dir=base) as folder, durable_broker(Path(folder), "fsync") as (process, port, _):
        asyncio.run(fill_and_drain(port, process, 1_000_000))
        print(f"file      {(Path(folder) / 'data.mdb').stat().st_size / 1e6:>10,.0f} MB")


def show_restart(base: Path) -> None:
    """A start with many sessions and many messages."""
    with tempfile.TemporaryDirectory(dir=base) as folder:
        store = open_quietly(Path(folder))
        for number in range(100_000):
            client = f"client-{number}"
            store.put_session(client, None, 0xFFFF_FFFF, 0.0)
            store.put_subscription(client, SubscriptionRecord(f"to/{number}/#", 1))
            for sequence in range(1, 11):
                topic = f"to/{number}/x"
                store.enqueue(client, QueuedMessage(sequence, Message(topic, topic.encode(), PAYLOAD, 1), 1))
            if number % 2_000 == 0:
                store.flush()
        store.close()
        size = (Path(folder) / "data.mdb").stat().st_size
        with durable_broker(Path(folder), "fsync") as (process, _, took):
            print(
                f"ready after {took:.1f} s with 100,000 sessions and 1,000,000 messages, "
                f"{process.memory_info().rss / 1e6:,.0f} MB of memory, file of {size / 1e6:,.0f} MB"
            )
    with tempfile.TemporaryDirectory(dir=base) as folder, durable_broker(Path(folder), "fsync") as (process, _, took):
        print(f"ready after {took:.1f} s with nothing, {process.memory_info().rss / 1e6:,.0f} MB of memory")


async def fan_out(port: int, process: psutil.Process, sessions: int, messages: int) -> None:
    """Messages that many absent sessions are owed."""
    for begin in range(0, sessions, 100):
        await asyncio.gather(*(leave_a_session(port, f"absent-{n}", "bench/#") for n in range(begin, begin + 100)))
    producer = Producer("bench/x", 10)
    await connect(producer, port, "producer")
    memory, began = process.memory_info().rss, time.monotonic()
    producer.begin()
    while producer.acknowledged < messages:
        await asyncio.sleep(0.05)
    took = time.monotonic() - began
    entries = producer.acknowledged * sessions
    print(
        f"{producer.acknowledged} messages to {sessions:,} absent sessions: {entries / took:,.0f} queue entries"
        f" a second, memory +{(process.memory_info().rss - memory) / 1e6:.0f} MB"
    )


def show_fan_out(base: Path) -> None:
    """Ten thousand absent sessions."""
    with tempfile.TemporaryDirectory(dir=base) as folder, durable_broker(Path(folder), "fsync") as (process, port, _):
        asyncio.run(fan_out(port, process, 10_000, 50))


SHOWS = {"rate": show_rates, "queue": show_queue, "restart": show_restart, "fanout": show_fan_out}


def main() -> None:
    """Run what is asked for, or all, on the disk of the current directory."""
    for name in sys.argv[1:] or SHOWS:
        print(f"\n{name}", flush=True)
        SHOWS[name](Path.cwd())


if __name__ == "__main__":
    main()
