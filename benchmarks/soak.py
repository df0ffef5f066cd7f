"""``python -m benchmarks.soak [--minutes N] [--mode MODE] [--clients N] [--json FILE]``: a mixed load for a long time.

Clients come and go; some keep their sessions, some drop their connections in the middle of a hand-shake. They publish
at all levels of QoS, some of it retained, and subscribe with wildcards. Twice a second the broker's memory and file
descriptors are noted. The verdict compares the end with the middle: what has grown in the second half, when the load
was the same all the time, would grow on.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median

import psutil

from benchmarks.brokers import new_loop
from benchmarks.clients import PAYLOAD, TIMEOUT, V311, Client, connect
from benchmarks.durability import cpu_of, durable_broker
from mqttbroker.protocol import (
    PubAck,
    PubComp,
    Publish,
    PubRec,
    PubRel,
    SubAck,
    Subscribe,
    SubscriptionRequest,
    UnsubAck,
    Unsubscribe,
    encode,
)

__all__ = ["Sample", "Soak", "soak"]

INTERVAL = 0.5
"""Seconds between two samples."""
TOPICS = 200
"""Topics that are published to, a tenth of them retained."""
GROWTH = 0.05
"""Part of its size by which memory may differ between the quarters that are compared."""
SLACK = 2.0
"""MiB that it may differ in any case, since a heap of this size is never twice the same."""
FILTERS = ("soak/+/a", "soak/#", "soak/7/+", "soak/+/retained")
LOST = (OSError, RuntimeError, TimeoutError)
"""What a client's life may end with."""


@dataclass(frozen=True)
class Sample:
    """The broker at one time."""

    at: float
    """Seconds since the load began."""
    mib: float
    descriptors: int
    connections: int
    """Of clients, that they have open."""
    sessions: int
    """That clients have left behind or use."""
    messages: int
    """Received by clients so far."""
    cpu: float
    """CPU seconds of the broker so far."""


@dataclass(frozen=True)
class Soak:
    """What a run has found."""

    minutes: float
    mode: str
    samples: list[Sample]
    failures: int
    """Clients whose answers did not come, or were wrong."""
    memory_growth: float
    """MiB that the last quarter's median is above the third's."""
    descriptor_growth: float
    steady: bool
    """Whether neither memory nor descriptors grew in the second half."""


@dataclass
class _State:
    """What the clients share."""

    end: float
    port: int
    random: random.Random
    connections: int = 0
    messages: int = 0
    failures: int = 0
    kept: set[str] = field(default_factory=set)


class _Member(Client):
    """A client that answers what it is sent, and waits for the answers to what it sends."""

    def __init__(self, state: _State) -> None:
        super().__init__()
        self.state = state

    def data_received(self, data: bytes) -> None:
        assert self.reader is not None
        for packet in self.reader.feed(data):
            if isinstance(packet, Publish):
                self.state.messages += 1
                if packet.qos:
                    answer = PubAck(packet.packet_id or 0) if packet.qos == 1 else PubRec(packet.packet_id or 0)
                    self.write(encode(answer, V311))
            elif isinstance(packet, PubRel):
                self.write(encode(PubComp(packet.packet_id), V311))
            else:
                self.packets.put_nowait(packet)


async def _life(state: _State, number: int) -> None:
    """One client after another, under a name that a kept session goes by."""
    dice = random.Random(state.random.random())
    while time.monotonic() < state.end:
        kept = dice.random() < 0.5
        client = _Member(state)
        try:
            await connect(client, state.port, f"soak-{number}", clean=not kept)
            (state.kept.add if kept else state.kept.discard)(f"soak-{number}")
            state.connections += 1
            try:
                await _stay(client, dice)
            finally:
                state.connections -= 1
        except LOST:
            state.failures += 1
        client.drop()
        await asyncio.sleep(dice.random() * 0.2)


async def _stay(client: _Member, dice: random.Random) -> None:
    topic_filter = dice.choice(FILTERS)
    await client.ask(Subscribe(1, (SubscriptionRequest(topic_filter, dice.randrange(3)),)), SubAck)
    for packet_id in range(2, 2 + dice.randrange(30)):
        number = dice.randrange(TOPICS)
        retain = number < TOPICS // 10
        topic = f"soak/{number}/{'retained' if retain else 'a'}"
        qos = dice.randrange(3)
        publish = Publish(topic, PAYLOAD, qos, retain, packet_id=packet_id if qos else None)
        if qos == 0:
            client.write(encode(publish, V311))
        elif qos == 1:
            await client.ask(publish, PubAck)
        else:
            await client.ask(publish, PubRec)
            if dice.random() < 0.05:
                return  # It goes in the middle of a hand-shake, which stays open.
            await client.ask(PubRel(packet_id), PubComp)
        if dice.random() < 0.1:
            await asyncio.sleep(dice.random() * 0.1)
    if dice.random() < 0.3:
        await client.ask(Unsubscribe(99, (topic_filter,)), UnsubAck)


async def _load(
    process: psutil.Process, port: int, minutes: float, clients: int, seed: int
) -> tuple[_State, list[Sample]]:
    began = time.monotonic()
    state = _State(began + minutes * 60, port, random.Random(seed))
    lives = [asyncio.create_task(_life(state, number)) for number in range(clients)]
    samples = []
    while time.monotonic() < state.end:
        samples.append(
            Sample(
                time.monotonic() - began,
                process.memory_info().rss / 2**20,
                process.num_fds(),
                state.connections,
                len(state.kept),
                state.messages,
                cpu_of(process),
            )
        )
        await asyncio.sleep(INTERVAL)
    await asyncio.wait_for(asyncio.gather(*lives), 2 * TIMEOUT)
    return state, samples


def soak(base: Path, minutes: float = 60.0, mode: str = "fsync", clients: int = 200, seed: int = 1) -> Soak:
    """Run the load, and say whether the broker stays as it is."""
    with (
        tempfile.TemporaryDirectory(dir=base) as folder,
        durable_broker(Path(folder), mode) as (process, port, _),
        asyncio.Runner(loop_factory=new_loop) as runner,
    ):
        state, samples = runner.run(_load(process, port, minutes, clients, seed))
    memory, descriptors = growth([each.mib for each in samples]), growth([float(each.descriptors) for each in samples])
    allowed = max(SLACK, GROWTH * samples[-1].mib)
    steady = memory <= allowed and descriptors <= clients * GROWTH
    return Soak(minutes, mode, samples, state.failures, memory, descriptors, steady)


def growth(values: list[float]) -> float:
    """How far the median of the last quarter is above that of the third."""
    quarter = max(len(values) // 4, 1)
    return median(values[-quarter:]) - median(values[-2 * quarter : -quarter] or values[:1])


def main() -> None:
    """Print the verdict, and write the samples if asked to."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--mode", choices=("fsync", "os", "none"), default="fsync")
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, help="file for the samples")
    options = parser.parse_args()
    found = soak(Path.cwd(), options.minutes, options.mode, options.clients, options.seed)
    if options.json is not None:
        options.json.write_text(json.dumps(asdict(found), indent=1) + "\n")
    first, last = found.samples[0], found.samples[-1]
    print(
        f"{found.minutes:g} minutes, {found.mode}: {last.messages:,} messages, {found.failures} failures, "
        f"{last.cpu - first.cpu:.0f} s of CPU; memory {first.mib:.1f} to {last.mib:.1f} MiB, in the second half "
        f"{found.memory_growth:+.1f}; descriptors {found.descriptor_growth:+.0f}: "
        + ("steady" if found.steady else "GROWS")
    )


if __name__ == "__main__":
    main()
