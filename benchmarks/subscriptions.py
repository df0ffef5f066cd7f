"""``python -m benchmarks.subscriptions [scale] [churn] [traffic]``: what many subscriptions cost.

``scale``  memory, rate of subscribing, and time to find the route of a topic, for 125,000 to 1,000,000 subscriptions on
filters of each shape, spread over 1,000 and over 100,000 sessions;
``churn``  finding routes of 100,000 topics again and again while subscriptions come and go;
``traffic``  the same over sockets: messages a second, and CPU of a broker with 5,000 changes a second.

The first two are measured within a process, a new one for each row: what a former one has left does not count.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle, islice
from random import Random
from typing import TypeVar

import psutil

from benchmarks.brokers import free_port, wait_until_it_listens
from mqttbroker.broker import EverythingAllowed, Limits
from mqttbroker.broker.router import Router
from mqttbroker.protocol import (
    Connect,
    PingReq,
    ProtocolVersion,
    Publish,
    Subscribe,
    SubscriptionRequest,
    Unsubscribe,
    encode,
)
from mqttbroker.sessions import Session, SessionLimits, Subscription
from mqttbroker.storage import MemoryStore

__all__ = [
    "CHANGES",
    "COUNTS",
    "SHAPES",
    "V311",
    "Churn",
    "Scale",
    "Traffic",
    "churn",
    "client",
    "in_new_process",
    "measure",
    "ping",
    "plain_broker",
    "receive",
    "resident",
    "timed",
    "traffic",
]

COUNTS = (125_000, 250_000, 500_000, 1_000_000)
SESSIONS = (1_000, 100_000)
LOOKUPS = 50_000
TOPICS = 100_000
SUBSCRIBERS = 10
BATCH = 100
WINDOW = 2_000
"""Messages under way."""
TIMEOUT = 120.0
V311 = ProtocolVersion.V311

R = TypeVar("R")


def _exact(n: int) -> str:
    return f"site/{n % 100}/floor/{n % 7}/device/{n}/temperature"


def _plus(n: int) -> str:
    """A wildcard in each place, so that a topic goes several ways at once."""
    match n % 4:
        case 0:
            return f"site/{n % 100}/floor/{n % 7}/device/{n}/+"
        case 1:
            return f"site/+/floor/{n % 7}/device/{n}/temperature"
        case 2:
            return f"site/{n % 100}/+/+/device/{n}/temperature"
        case _:
            return f"+/{n % 100}/floor/+/device/{n}/+"


def _hash(n: int) -> str:
    return f"site/{n % 100}/floor/{n % 7}/device/{n}/#"


def _mixed(n: int) -> str:
    return (_exact, _plus, _hash)[n % 3](n)


SHAPES: dict[str, Callable[[int], str]] = {"exact": _exact, "plus": _plus, "hash": _hash, "mixed": _mixed}


@dataclass(frozen=True)
class Scale:
    """What one run of :func:`measure` has found."""

    shape: str
    subscriptions: int
    sessions: int
    bytes_each: float
    """Resident memory for each subscription; that of the sessions themselves is not part of it."""
    subscribed_per_second: float
    unsubscribed_per_second: float
    uncached_us: float
    """Microseconds to work out the route of a topic that is not in the cache."""
    matched_us: float
    """Microseconds of this to search the tree."""
    cached_us: float


def new_router() -> Router:
    """A router without any limits that matter here."""
    return Router(Limits(), EverythingAllowed(), Random(1))


def new_sessions(count: int) -> list[Session]:
    """Sessions without a connection."""
    limits = SessionLimits(MemoryStore(), 100, 1_000_000, 100, 65_536)
    return [Session(f"client-{n}", None, limits, False) for n in range(count)]


def resident() -> int:
    """Bytes of memory that this process has, without what is garbage."""
    gc.collect()
    return int(psutil.Process().memory_info().rss)


def timed(calls: Iterable[object]) -> float:
    """Seconds that it takes to go through the calls."""
    begun = time.perf_counter()
    for _ in calls:
        pass
    return time.perf_counter() - begun


def measure(shape: str, count: int, sessions: int) -> Scale:
    """Make so many subscriptions, find routes, and take the subscriptions out again; fills this process."""
    make = SHAPES[shape]
    router = new_router()
    owners = new_sessions(sessions)
    before = resident()
    subscribed = timed(router.subscribe(Subscription(owners[n % sessions], make(n), 0)) for n in range(count))
    grown = resident() - before
    topics = [_exact(n) for n in Random(2).sample(range(count), LOOKUPS)]
    uncached = timed(map(router.route, topics))
    cached = timed(map(router.route, topics))
    matched = timed(map(router._tree.match, topics))
    removed = timed(router.unsubscribe(owners[n % sessions], make(n)) for n in range(count))
    return Scale(
        shape,
        count,
        sessions,
        grown / count,
        count / subscribed,
        count / removed,
        uncached / LOOKUPS * 1e6,
        matched / LOOKUPS * 1e6,
        cached / LOOKUPS * 1e6,
    )


CHANGES: dict[str, Callable[[int], str]] = {
    "none": lambda n: "",
    "exact": _exact,
    "one device": _hash,
    "one device, any site": lambda n: f"site/+/floor/{n % 7}/device/{n}/temperature",
    "one site": lambda n: f"site/{n % 100}/#",
    "one floor of any site": lambda n: f"site/+/floor/{n % 7}/#",
    "another tree": lambda n: f"plant/{n}/#",
    "everything": lambda n: "#",
}
"""Filters on which subscriptions come and go, by what they cover."""


@dataclass(frozen=True)
class Churn:
    """What one run of :func:`churn` has found: microseconds for each."""

    change: str
    topics: int
    lookups_per_change: int
    lookup_us: float
    """To find a route, the work that a change has left for it included."""
    change_us: float
    """To make or to end a subscription."""


def churn(change: str, topics: int, lookups_per_change: int) -> Churn:
    """Find the routes of topics in turn, each with a subscriber of its own, while somebody else's come and go."""
    router = new_router()
    owners = new_sessions(1_001)
    for n in range(topics):
        router.subscribe(Subscription(owners[n % 1_000], _exact(n), 0))
    names = [_exact(n) for n in range(topics)]
    random = Random(3)
    random.shuffle(names)
    for name in names:
        router.route(name)
    asked = cycle(names)
    other = owners[1_000]
    looking = changing = 0.0
    rounds = max(2_000, 200_000 // lookups_per_change)
    for _ in range(rounds // 2):
        topic_filter = CHANGES[change](random.randrange(topics))
        for turn in (True, False):
            begun = time.perf_counter()
            if topic_filter:
                if turn:
                    router.subscribe(Subscription(other, topic_filter, 0))
                else:
                    router.unsubscribe(other, topic_filter)
            changed = time.perf_counter()
            for name in islice(asked, lookups_per_change):
                router.route(name)
            looking += time.perf_counter() - changed
            changing += changed - begun
    return Churn(
        change,
        topics,
        lookups_per_change,
        looking / rounds / lookups_per_change * 1e6,
        changing / rounds * 1e6,
    )


@contextmanager
def plain_broker() -> Iterator[tuple[psutil.Process, int]]:
    """A broker without any limits that matter here: its process and its port."""
    port = free_port()
    environment = os.environ | {"MQTTBROKER_LIMITS__MAX_RETAINED_MESSAGES": "2000000"}
    command = [sys.executable, "-m", "mqttbroker", "serve", "--port", str(port), "--log-level", "warning"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    try:
        wait_until_it_listens(process, ("127.0.0.1", port))
        yield psutil.Process(process.pid), port
    finally:
        process.terminate()
        process.wait()


def client(port: int, name: str) -> socket.socket:
    """A client that is connected."""
    link = socket.create_connection(("127.0.0.1", port), TIMEOUT)
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    link.sendall(encode(Connect(name, V311), V311))
    assert receive(link, 4)[0] == 0x20
    return link


def receive(link: socket.socket, size: int) -> bytes:
    """Wait for so many bytes."""
    data = b""
    while len(data) < size:
        more = link.recv(size - len(data))
        if not more:
            raise ConnectionError("the broker has closed the connection")
        data += more
    return data


def ping(link: socket.socket) -> float:
    """Seconds to an answer."""
    begun = time.perf_counter()
    link.sendall(encode(PingReq(), V311))
    receive(link, 2)
    return time.perf_counter() - begun


@dataclass(frozen=True)
class Traffic:
    """What one run of :func:`traffic` has found."""

    change: str
    changes_per_second: float
    messages_per_second: float
    microseconds: float
    """CPU time of the broker for each message, its share of the changes included."""


def _numbered(n: int) -> str:
    """Like the exact filters, but all of one length."""
    return f"site/{n % 100:02}/floor/{n % 7}/device/{n:06}/temperature"


class _Load:
    """A publisher to many topics, their subscribers, and a client whose subscriptions come and go."""

    def __init__(self, port: int, topics: int, change: str) -> None:
        self.subscribers = [client(port, f"subscriber-{n}") for n in range(SUBSCRIBERS)]
        for n, link in enumerate(self.subscribers):
            filters = [SubscriptionRequest(_numbered(each), 0) for each in range(n, topics, SUBSCRIBERS)]
            for first in range(0, len(filters), 1_000):
                some = tuple(filters[first : first + 1_000])
                link.sendall(encode(Subscribe(1, some), V311))
                receive(link, 2 + len(some) + 3)
        self.changing = client(port, "changing")
        self.publisher = client(port, "publisher")
        order = list(range(topics))
        Random(4).shuffle(order)
        packets = [encode(Publish(_numbered(n), b"21.5 degrees, ok"), V311) for n in order]
        self.size = len(packets[0])
        self.batches = [b"".join(packets[first : first + BATCH]) for first in range(0, topics, BATCH)]
        self.changes = [encode(packet, V311) for packet in _changes(change)]
        self.sent = self.received = self.changed = 0
        for link in (*self.subscribers, self.changing):
            link.setblocking(False)

    def run(self, seconds: float, rate: float) -> float:
        """Publish with a window for so long, with so many changes a second; the seconds that it took."""
        readers = [*self.subscribers, self.changing]
        self.sent = self.received = self.changed = 0
        begun = now = time.perf_counter()
        while now < begun + seconds or self.sent * self.size > self.received:
            if now > begun + seconds + TIMEOUT:
                raise TimeoutError("messages were lost")
            if now < begun + seconds:
                due = int((now - begun) * rate) - self.changed
                if due > 0:
                    each = self.changes
                    self.changing.setblocking(True)
                    self.changing.sendall(b"".join(each[(self.changed + n) % len(each)] for n in range(due)))
                    self.changing.setblocking(False)
                    self.changed += due
                if self.sent * self.size - self.received <= (WINDOW - BATCH) * self.size:
                    self.publisher.sendall(self.batches[self.sent // BATCH % len(self.batches)])
                    self.sent += BATCH
            for link in select.select(readers, [], [], 0.001)[0]:
                size = len(link.recv(1 << 18))
                if link is not self.changing:
                    self.received += size
            now = time.perf_counter()
        return now - begun


def _changes(change: str) -> list[Subscribe | Unsubscribe]:
    packets: list[Subscribe | Unsubscribe] = []
    for n in range(2_000):
        topic_filter = CHANGES[change](n) or "none"
        packets.append(Subscribe(1, (SubscriptionRequest(topic_filter, 0),)))
        packets.append(Unsubscribe(1, (topic_filter,)))
    return packets


def traffic(change: str, rate: float = 5_000, topics: int = TOPICS, seconds: float = 4.0) -> Traffic:
    """Publish to many topics over sockets while one client's subscriptions come and go."""
    with plain_broker() as (process, port):
        load = _Load(port, topics, change)
        load.run(1.0, 0)
        before = process.cpu_times()
        taken = load.run(seconds, rate if change != "none" else 0)
        after = process.cpu_times()
        used = after.user + after.system - before.user - before.system
        return Traffic(change, load.changed / taken, load.sent / taken, used / load.sent * 1e6)


def in_new_process(function: Callable[..., R], *arguments: object) -> R:
    """Call the function in a process that does nothing else."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def main(parts: list[str]) -> None:
    """Print a line for each row."""
    if "scale" in parts:
        print(f"{'shape':8}{'number':>10}{'sessions':>10}{'bytes':>8}{'sub/s':>10}{'unsub/s':>10}", end="")
        print(f"{'uncached':>10}{'of it tree':>12}{'cached':>8}  (µs)")
        for shape in SHAPES:
            for sessions in SESSIONS:
                for count in COUNTS if sessions == SESSIONS[0] else COUNTS[-1:]:
                    scale = in_new_process(measure, shape, count, sessions)
                    print(f"{shape:8}{count:10,}{sessions:10,}{scale.bytes_each:8.0f}", end="")
                    print(f"{scale.subscribed_per_second:10,.0f}{scale.unsubscribed_per_second:10,.0f}", end="")
                    print(f"{scale.uncached_us:10.2f}{scale.matched_us:12.2f}{scale.cached_us:8.2f}", flush=True)
    if "churn" in parts:
        print(f"{'change':24}{'look-ups each':>16}{'look-up':>10}{'change':>10}  (µs)")
        for change in CHANGES:
            for lookups_per_change in (20, 200):
                row = in_new_process(churn, change, TOPICS, lookups_per_change)
                print(f"{change:24}{row.lookups_per_change:16}{row.lookup_us:10.2f}{row.change_us:10.2f}", flush=True)
    if "traffic" in parts:
        print(f"{'change':24}{'changes/s':>12}{'messages/s':>12}{'CPU':>8}  (µs)")
        for change in CHANGES:
            found = traffic(change)
            print(f"{change:24}{found.changes_per_second:12,.0f}{found.messages_per_second:12,.0f}", end="")
            print(f"{found.microseconds:8.2f}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:] or ["scale", "churn", "traffic"])
