"""``python -m benchmarks.subscriptions [scale] [churn]``: what many subscriptions cost, measured within the process.

``scale``  memory, rate of subscribing, and time to find the route of a topic, for 125,000 to 1,000,000 subscriptions on
filters of each shape, spread over 1,000 and over 100,000 sessions;
``churn``  finding routes of 100,000 topics again and again while subscriptions come and go.

Every row is measured in a new process, so that memory which a former one has left does not count.
"""

from __future__ import annotations

import gc
import multiprocessing
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import cycle, islice
from random import Random
from typing import TypeVar

import psutil

from mqttbroker.broker import EverythingAllowed, Limits
from mqttbroker.broker.router import Router
from mqttbroker.sessions import Session, SessionLimits, Subscription
from mqttbroker.storage import MemoryStore

__all__ = ["CHANGES", "COUNTS", "SHAPES", "Churn", "Scale", "churn", "in_new_process", "measure", "resident", "timed"]

COUNTS = (125_000, 250_000, 500_000, 1_000_000)
SESSIONS = (1_000, 100_000)
LOOKUPS = 50_000
TOPICS = 100_000

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


if __name__ == "__main__":
    main(sys.argv[1:] or ["scale", "churn"])
