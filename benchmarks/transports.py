"""``python -m benchmarks.transports [--seconds S] [--rounds N] [--connections N] [--only WORD]
[TRANSPORT ...]``: what each way to the broker costs, beside Mosquitto where that is installed and has it.

Memory of a connection
    that has a session and says nothing; and of one that has subscribed, and sent itself a large message: growth of
    what is resident, by connection.
CPU of a connection
    that is made, accepted and closed again, with nothing resumed.
CPU of a message
    as in ``python -m benchmarks``.

Each figure is of the broker's process alone, which is a new one each time. Brokers take turns, round by round.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.brokers import MOSQUITTO, Certificates, Running, broker, new_loop
from benchmarks.ratios import ratio
from benchmarks.scenarios import SCENARIOS
from benchmarks.transport_clients import V311, Client, connect, framing
from mqttbroker.bench import Link, Scenario, Transport, run
from mqttbroker.protocol import Disconnect, Publish, SubAck, Subscribe, SubscriptionRequest, encode

WARM_UP = 1_000
"""Connections that are not counted: they use up what is free in the heap after the start."""
LARGE = 100_000
"""Bytes of a large message."""
AT_ONCE = 100
"""Connections that are being made at a time. Some brokers take their time for each of them."""

Figures = tuple[float, ...]
"""What one round of one broker came to."""


@dataclass(frozen=True)
class Measure:
    """A measurement, which gives one or more figures."""

    names: tuple[str, ...]
    unit: str
    take: Callable[[Running, Link], Awaitable[Figures]]


def measures(seconds: float, connections: int) -> list[Measure]:
    """All of them."""

    async def memory(running: Running, link: Link) -> Figures:
        return await measure_memory(running, link, connections)

    async def connecting(running: Running, link: Link) -> Figures:
        return await measure_connecting(running, link, seconds)

    def messages(scenario: Scenario) -> Measure:
        async def take(running: Running, link: Link) -> Figures:
            return ((await run(scenario, link, seconds, running.cpu)).microseconds,)

        return Measure((scenario.name,), "µs", take)

    few_bytes, many_clients, acknowledged = SCENARIOS[0], SCENARIOS[1], SCENARIOS[4]
    return [
        Measure(("memory, idle", f"memory after {LARGE // 1000} kB"), "KiB", memory),
        Measure(("connect and close",), "µs", connecting),
        messages(few_bytes),
        messages(many_clients),
        messages(acknowledged),
    ]


async def measure_memory(running: Running, link: Link, connections: int) -> Figures:
    """KiB for each connection: idle, and when each has sent itself a large message."""
    clients = [Client(framing(link)) for _ in range(WARM_UP + connections)]
    warm, counted = clients[:WARM_UP], clients[WARM_UP:]
    await _for_some(warm, lambda client, number: connect(client, link, f"warm-{number}"))
    before = running.memory()
    await _for_some(counted, lambda client, number: connect(client, link, f"bench-{number}"))
    idle = running.memory()
    await _for_some(counted, _send_itself)
    used = running.memory()
    for client in clients:
        assert client.transport is not None
        client.transport.abort()
    return (idle - before) / connections / 1024, (used - before) / connections / 1024


async def _for_some(clients: list[Client], do: Callable[[Client, int], Awaitable[None]]) -> None:
    for begin in range(0, len(clients), AT_ONCE):
        some = clients[begin : begin + AT_ONCE]
        await asyncio.gather(*(do(each, begin + number) for number, each in enumerate(some)))


async def _send_itself(client: Client, number: int) -> None:
    topic = f"itself/{number}"
    await client.ask(Subscribe(1, (SubscriptionRequest(topic),)), SubAck)
    await client.ask(Publish(topic, bytes(LARGE)), Publish)


async def measure_connecting(running: Running, link: Link, seconds: float) -> Figures:
    """CPU microseconds for each connection."""
    made = 0

    async def keep_connecting(number: int, end: float) -> None:
        nonlocal made
        while time.monotonic() < end:
            client = Client(framing(link))
            await connect(client, link, f"bench-{number}")
            assert client.transport is not None
            client.write(client.frame(encode(Disconnect(), V311)))
            client.transport.close()
            made += 1

    async def all_of_them(for_seconds: float) -> None:
        end = time.monotonic() + for_seconds
        await asyncio.gather(*(keep_connecting(number, end) for number in range(AT_ONCE)))

    await all_of_them(seconds / 5)
    before, made = running.cpu(), 0
    await all_of_them(seconds)
    return ((running.cpu() - before) / made * 1e6,)


def one_round(name: str, measure: Measure, transport: Transport, certificates: Certificates) -> Figures:
    """Measure one broker once."""
    with broker(name, transport, certificates) as running, asyncio.Runner(loop_factory=new_loop) as runner:
        return runner.run(_take(measure, running, Link(running.address, transport, certificates.authority)))


async def _take(measure: Measure, running: Running, link: Link) -> Figures:
    return await measure.take(running, link)


def brokers_with(transport: Transport, certificates: Certificates) -> list[str]:
    """This broker, and Mosquitto if there is one that was built with this transport."""
    if MOSQUITTO:
        with suppress(RuntimeError), broker("mosquitto", transport, certificates):
            return ["mqttbroker", "mosquitto"]
    return ["mqttbroker"]


def show(measure: Measure, transport: Transport, rounds: list[list[Figures]]) -> None:
    """Print a row for each figure."""
    for at, name in enumerate(measure.names):
        by_broker = [[figures[at] for figures in each] for each in zip(*rounds, strict=True)]
        row = f"{transport.value:15} {name:28}"
        row += "".join(f"{median(each):12.2f} {measure.unit:3}" for each in by_broker)
        if len(by_broker) == 2:
            row += f"{ratio(*by_broker):>25}"
        print(row, flush=True)


def main() -> None:
    """Print a row for each transport and figure: ours, Mosquitto's, and their ratio with its spread."""
    names = {transport.name.lower(): transport for transport in Transport}
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.transports", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=1_000)
    parser.add_argument("--only", default="", metavar="WORD", help="figures with this in their names")
    parser.add_argument("transports", nargs="*", metavar="TRANSPORT", help=f"{', '.join(names)}; all by default")
    options = parser.parse_args()
    print(f"{'transport':15} {'figure':28}{'mqttbroker':>16}{'mosquitto':>16}{'ratio':>25}")
    with tempfile.TemporaryDirectory() as folder:
        certificates = Certificates.make(Path(folder))
        for transport in [names[each] for each in options.transports] or Transport:
            brokers = brokers_with(transport, certificates)
            for measure in measures(options.seconds, options.connections):
                if any(options.only in name for name in measure.names):
                    rounds = [
                        [one_round(name, measure, transport, certificates) for name in brokers]
                        for _ in range(options.rounds)
                    ]
                    show(measure, transport, rounds)


if __name__ == "__main__":
    main()
