"""``python -m benchmarks.retained [memory] [replay]``: what many retained messages cost.

``memory``  bytes for each of up to 1,000,000 retained messages, how fast they are kept, found and removed, and
the longest turn while they are found, all within the process;
``replay``  a broker with 1,000,000 retained messages: how fast a new subscriber gets them, and how long an answer to
another client's ping takes meanwhile.
"""

from __future__ import annotations

import select
import sys
import time
from dataclasses import dataclass

from benchmarks.subscriptions import V311, client, in_new_process, ping, plain_broker, receive, resident, timed
from mqttbroker.broker import Limits
from mqttbroker.broker.replay import SLICE
from mqttbroker.broker.retained import RetainedMessages
from mqttbroker.protocol import PingReq, Publish, Subscribe, SubscriptionRequest, encode
from mqttbroker.storage import MemoryStore, Message

__all__ = ["COUNTS", "FILTERS", "Memory", "Replay", "memory", "replay"]

COUNTS = (125_000, 250_000, 500_000, 1_000_000)
FILTERS = {
    "all": "#",
    "one site": "site/7/#",
    "one floor of each site": "site/+/floor/3/#",
    "one device anywhere": "site/+/floor/+/device/777/temperature",
}
PAYLOAD = b"21.5 degrees, ok"
TIMEOUT = 120.0


def topic_of(n: int) -> str:
    """The topic of the n-th message."""
    return f"site/{n % 100}/floor/{n % 7}/device/{n}/temperature"


@dataclass(frozen=True)
class Memory:
    """What one run of :func:`memory` has found."""

    messages: int
    bytes_each: float
    """Resident memory for each message, topic and payload included."""
    kept_per_second: float
    removed_per_second: float
    found: dict[str, tuple[int, float, float]]
    """For each of the filters: messages, messages a second, and milliseconds of the longest turn."""


@dataclass(frozen=True)
class Replay:
    """What one run of :func:`replay` has found."""

    name: str
    messages: int
    seconds: float
    ping_ms: float
    """Longest time that another client waited for PINGRESP meanwhile."""
    median_ping_ms: float
    resident: int
    """Bytes of the broker's process after it."""


def memory(count: int) -> Memory:
    """Keep so many retained messages, find them and remove them; fills this process."""
    retained = RetainedMessages(Limits(max_retained_messages=count), MemoryStore())
    before = resident()

    begun = time.perf_counter()
    for n in range(count):
        topic = topic_of(n)
        retained.keep(Message(topic, topic.encode(), PAYLOAD[:8] + b"%8d" % n, 0, True))
    kept = time.perf_counter() - begun
    grown = resident() - before
    found = {name: _find(retained, topic_filter) for name, topic_filter in FILTERS.items()}
    removed = timed(retained.remove(topic_of(n)) for n in range(count))
    return Memory(count, grown / count, count / kept, count / removed, found)


def _find(retained: RetainedMessages, topic_filter: str) -> tuple[int, float, float]:
    begun = last = time.perf_counter()
    longest = 0.0
    count = 0
    for _ in retained.match(topic_filter, 0.0):
        count += 1
        if count % SLICE == 0:
            now = time.perf_counter()
            longest = max(longest, now - last)
            last = now
    ended = time.perf_counter()
    return count, count / (ended - begun), max(longest, ended - last) * 1e3


def _fill(port: int, count: int) -> None:
    link = client(port, "filler")
    for first in range(0, count, 1_000):
        numbers = range(first, min(first + 1_000, count))
        link.sendall(b"".join(encode(Publish(topic_of(n), PAYLOAD, 0, True), V311) for n in numbers))
    ping(link)  # Everything before it has been taken.
    link.close()


def _size(numbers: range) -> int:
    """Bytes of the messages as they are sent to a subscriber."""
    return sum(len(encode(Publish(topic_of(n), PAYLOAD, 0, True), V311)) for n in numbers)


def replay(count: int) -> list[Replay]:
    """Fill a broker of its own with so many messages, then subscribe to them."""
    rows = []
    with plain_broker() as (process, port):
        _fill(port, count)
        wanted = {"#": range(count), "site/7/#": range(7, count, 100), "site/+/floor/3/#": range(3, count, 7)}
        other = client(port, "other")
        for topic_filter, numbers in wanted.items():
            size = _size(numbers) + 5  # SUBACK comes first.
            link = client(port, "reader")
            pings: list[float] = []
            begun = time.perf_counter()
            link.sendall(encode(Subscribe(1, (SubscriptionRequest(topic_filter, 0),)), V311))
            asked = 0.0
            received = 0
            while received < size:
                readable, _, _ = select.select([link, other], [], [], TIMEOUT)
                if not readable:
                    raise TimeoutError(f"{received} of {size} bytes came")
                if link in readable:
                    received += len(link.recv(1 << 18))
                if other in readable:
                    receive(other, 2)
                    pings.append(time.perf_counter() - asked)
                    asked = 0.0
                if not asked:
                    asked = time.perf_counter()
                    other.sendall(encode(PingReq(), V311))
            seconds = time.perf_counter() - begun
            if asked:
                receive(other, 2)
                pings.append(time.perf_counter() - asked)
            link.close()
            pings.sort()
            rows.append(
                Replay(
                    topic_filter,
                    len(numbers),
                    seconds,
                    pings[-1] * 1e3,
                    pings[len(pings) // 2] * 1e3,
                    process.memory_info().rss,
                )
            )
    return rows


def main(parts: list[str]) -> None:
    """Print a line for each row."""
    if "memory" in parts:
        for count in COUNTS:
            row = in_new_process(memory, count)
            print(f"{count:10,} messages: {row.bytes_each:.0f} bytes each, kept {row.kept_per_second:,.0f}/s", end="")
            print(f", removed {row.removed_per_second:,.0f}/s")
            for name, (found, rate, longest) in row.found.items():
                print(f"    {name:24}{found:10,} found, {rate:12,.0f}/s, longest turn {longest:.2f} ms", flush=True)
    if "replay" in parts:
        for each in replay(COUNTS[-1]):
            print(
                f"{each.name:20}{each.messages:10,} in {each.seconds:6.2f} s, {each.messages / each.seconds:10,.0f}/s"
            )
            print(f"    ping: median {each.median_ping_ms:.2f} ms, longest {each.ping_ms:.1f} ms; ", end="")
            print(f"resident {each.resident / 1e6:,.0f} MB", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:] or ["memory", "replay"])
