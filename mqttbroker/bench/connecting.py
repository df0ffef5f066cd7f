"""The load of connecting: how fast connections are made, how many are held, and what a storm of them takes.

Connections are made by threads, each of which waits for its own CONNACK. What they need of the interpreter is little
beside what the system and the broker do.
"""

from __future__ import annotations

import asyncio
import errno
import secrets
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from mqttbroker.bench.client import Client
from mqttbroker.bench.latency import Latencies
from mqttbroker.bench.links import Link
from mqttbroker.bench.running import Progress
from mqttbroker.bench.scenario import BenchError, Result
from mqttbroker.protocol import ProtocolVersion

__all__ = ["connect_many"]

STEP: Final = 0.1
"""Seconds between two reports of progress."""


@dataclass
class _Storm:
    """Connections that are being made by several threads. One that fails ends it."""

    link: Link
    version: ProtocolVersion
    count: int
    rate: float | None
    stop: threading.Event

    def __post_init__(self) -> None:
        self.token = secrets.token_hex(3)
        self.clients: list[Client] = []
        self.latencies = Latencies()
        self.error: Exception | None = None
        self.begun = 0
        self.began = self.last = time.monotonic()
        self.lock = threading.Lock()

    def work(self) -> None:
        """Connect one after the other, until there are enough."""
        while not self.stop.is_set() and self.error is None:
            with self.lock:
                number = self.begun
                if number >= self.count:
                    return
                self.begun += 1
            due = time.monotonic()
            if self.rate:
                due = self.began + number / self.rate
                if self.stop.wait(max(0.0, due - time.monotonic())):
                    return
            client = Client(self.link, self.version, f"bench-{self.token}-c{number}")
            try:
                client.connect()
            except (OSError, BenchError) as error:
                client.close()
                self.error = self.error or error
                return
            with self.lock:
                self.last = time.monotonic()
                self.latencies.add(int((self.last - due) * 1e9))
                self.clients.append(client)

    def close(self) -> None:
        """Close all connections at once."""
        for client in self.clients:
            client.close()


async def connect_many(
    link: Link,
    count: int,
    at_once: int,
    cpu: Callable[[], float],
    *,
    rate: float | None = None,
    hold: float = 0.0,
    again: int = 0,
    version5: bool = False,
    progress: Callable[[Progress], None] | None = None,
    stop: threading.Event | None = None,
) -> list[Result]:
    """Make so many connections, so many at a time; hold them for ``hold`` seconds; then, ``again`` times, cut them all
    and let all come back at once.

    Return the first round and each later one: ``messages`` are connections, ``latency`` is from when one was begun, or
    due at a fixed ``rate``, until its CONNACK. Raise ``OSError`` or :class:`BenchError` for the first that fails.
    """
    stop = stop or threading.Event()
    version = ProtocolVersion.V5 if version5 else ProtocolVersion.V311
    results: list[Result] = []
    for number in range(1 + again):
        if stop.is_set():
            break
        storm = _Storm(link, version, count, None if number else rate, stop)
        try:
            results.append(await _one_storm(storm, at_once, cpu, progress))
            await _hold(storm, hold, stop)
        finally:
            storm.close()
    return results


async def _one_storm(
    storm: _Storm, at_once: int, cpu: Callable[[], float], progress: Callable[[Progress], None] | None
) -> Result:
    used = cpu()
    storm.began = time.monotonic()
    with ThreadPoolExecutor(at_once) as threads:
        tasks = [threads.submit(storm.work) for _ in range(at_once)]
        try:
            while not all(each.done() for each in tasks):
                await asyncio.sleep(STEP if time.monotonic() - storm.began > STEP else STEP / 10)
                if progress is not None:
                    progress(Progress(len(storm.clients), storm.begun, 0.0, 0.0))
        finally:
            storm.error = storm.error or (None if all(each.done() for each in tasks) else BenchError("interrupted"))
    if storm.error is not None:
        made = len(storm.clients)
        if not made:
            raise storm.error
        why = str(storm.error)
        if isinstance(storm.error, OSError):
            why = storm.error.strerror or why
            if storm.error.errno == errno.EMFILE:
                why += " (ulimit -n says how many)"
        raise BenchError(f"after {made} connections: {why}")
    return Result(
        len(storm.clients), storm.last - storm.began, cpu() - used, storm.latencies.percentiles(), storm.begun
    )


async def _hold(storm: _Storm, seconds: float, stop: threading.Event) -> None:
    """Keep the connections. Raise :class:`BenchError` if the broker closes one meanwhile."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and not stop.is_set():
        await asyncio.sleep(min(STEP, max(0.0, end - time.monotonic())))
    if seconds:
        gone = sum(each.gone() for each in storm.clients)
        if gone:
            raise BenchError(f"the broker closed {gone} of {len(storm.clients)} idle connections")
