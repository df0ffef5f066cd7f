"""``python -m benchmarks.idle [memory] [storm] [--connections N] [--mode MODE ...]``: connections in number.

``memory``   memory of each idle connection, how many connect in a second, and the CPU that each takes;
``storm``    all clients lose their connections at once and come back at once, with sessions that end and with sessions
that are kept: time until all are in, CPU of each, and how long the broker kept another client waiting meanwhile.

Modes are those of ``durability``: "none" has no data directory.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.brokers import new_loop
from benchmarks.clients import Client, connect
from benchmarks.durability import cpu_of, durable_broker
from benchmarks.probe import Pauses, pauses
from mqttbroker.protocol import SubAck, Subscribe, SubscriptionRequest

__all__ = ["Idle", "Storm", "measure_idle", "measure_storm"]

WARM_UP = 1_000
"""Connections that are not counted: they use up what is free in the heap after the start."""
AT_ONCE = 200
"""Connections that are being made at a time where it is not a storm."""
PATIENCE = 120.0
"""Seconds for all clients to come back."""
RETRY = 0.05
"""Seconds after which a client that was refused tries again."""


@dataclass(frozen=True)
class Idle:
    """What connections cost that say nothing."""

    connections: int
    kib: float
    """Memory of each, in KiB."""
    per_second: float
    """Connections made in a second, one client after another in ``AT_ONCE`` lanes."""
    microseconds: float
    """CPU time of the broker for each."""


@dataclass(frozen=True)
class Storm:
    """How it went when all clients lost their connections and came back."""

    connections: int
    mode: str
    persistent: bool
    """Whether the sessions were kept, each with a subscription."""
    seconds: float
    """Until all had their CONNACK."""
    microseconds: float
    """CPU time of the broker for each that went and came."""
    pauses: Pauses
    """What another client noticed meanwhile."""


async def _in_lanes(clients: list[Client], port: int, first: int, clean: bool) -> None:
    waiting = iter(enumerate(clients, first))

    async def lane() -> None:
        for number, client in waiting:
            await connect(client, port, f"idle-{number}", clean)

    await asyncio.gather(*(lane() for _ in range(AT_ONCE)))


async def _idle(process: psutil.Process, port: int, connections: int) -> Idle:
    warm = [Client() for _ in range(WARM_UP)]
    counted = [Client() for _ in range(connections)]
    await _in_lanes(warm, port, 0, True)
    memory, cpu, began = process.memory_info().rss, cpu_of(process), time.monotonic()
    await _in_lanes(counted, port, WARM_UP, True)
    took, cpu = time.monotonic() - began, cpu_of(process) - cpu
    memory = process.memory_info().rss - memory
    for client in (*warm, *counted):
        client.drop()
    return Idle(connections, memory / connections / 1024, connections / took, cpu / connections * 1e6)


async def _storm(process: psutil.Process, port: int, connections: int, mode: str, persistent: bool) -> Storm:
    clients = [Client() for _ in range(connections)]
    await _in_lanes(clients, port, 0, not persistent)
    if persistent:
        for begin in range(0, connections, AT_ONCE):
            asked = enumerate(clients[begin : begin + AT_ONCE], begin)
            await asyncio.gather(
                *(each.ask(Subscribe(1, (SubscriptionRequest(f"to/{n}", 1),)), SubAck) for n, each in asked)
            )
    again = [Client() for _ in range(connections)]

    async def come_back(number: int) -> None:
        while True:
            try:
                await connect(again[number], port, f"idle-{number}", not persistent)
                return
            except OSError:
                await asyncio.sleep(RETRY)
                again[number] = Client()

    with pauses(port) as noticed:
        cpu, began = cpu_of(process), time.monotonic()
        for client in clients:
            client.drop()
        await asyncio.wait_for(asyncio.gather(*(come_back(number) for number in range(connections))), PATIENCE)
        took, cpu = time.monotonic() - began, cpu_of(process) - cpu
    for client in again:
        client.drop()
    return Storm(connections, mode, persistent, took, cpu / connections * 1e6, noticed)


def measure_idle(base: Path, connections: int = 10_000) -> Idle:
    """Connections that say nothing, of a broker without a data directory."""
    allow_files(connections + 2 * WARM_UP)
    with (
        tempfile.TemporaryDirectory(dir=base) as folder,
        durable_broker(Path(folder), "none") as (process, port, _),
        asyncio.Runner(loop_factory=new_loop) as runner,
    ):
        return runner.run(_idle(process, port, connections))


def measure_storm(base: Path, persistent: bool, mode: str = "fsync", connections: int = 10_000) -> Storm:
    """All clients go and come back."""
    allow_files(connections + 2 * WARM_UP)
    with (
        tempfile.TemporaryDirectory(dir=base) as folder,
        durable_broker(Path(folder), mode) as (process, port, _),
        asyncio.Runner(loop_factory=new_loop) as runner,
    ):
        return runner.run(_storm(process, port, connections, mode, persistent))


def allow_files(wanted: int) -> None:
    """Let this process have so many files open. Raises ``RuntimeError`` where the system has fewer."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise RuntimeError(f"the system allows {hard} open files, and {wanted} are needed: ulimit -n")
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def main() -> None:
    """Print what is asked for, or all, on the disk of the current directory."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.idle", description=__doc__)
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument("--mode", nargs="*", default=["none", "fsync"])
    parser.add_argument("what", nargs="*", metavar="WHAT", help="memory or storm; both by default")
    options = parser.parse_args()
    what = options.what or ["memory", "storm"]
    if "memory" in what:
        idle = measure_idle(Path.cwd(), options.connections)
        print(
            f"{idle.connections:,} idle connections: {idle.kib:.1f} KiB each; {idle.per_second:,.0f} a second, "
            f"{idle.microseconds:.0f} us of CPU each",
            flush=True,
        )
    for mode in options.mode if "storm" in what else []:
        for persistent in (False, True):
            storm = measure_storm(Path.cwd(), persistent, mode, options.connections)
            sessions = "kept" if persistent else "ended"
            print(
                f"storm of {storm.connections:,}, sessions {sessions}, {mode}: all back after {storm.seconds:.1f} s, "
                f"{storm.microseconds:.0f} us of CPU each; another client waited {storm.pauses.worst * 1e3:.0f} ms at "
                f"most, {storm.pauses.p99 * 1e3:.0f} ms in 99 % of cases",
                flush=True,
            )


if __name__ == "__main__":
    main()
