"""A broker under load is killed, again and again, and held to what it has acknowledged.

``python -m tests.durability.crash --rounds 500 --seed 1`` runs rounds until one fails or all are done. Every round
loads the broker, kills it (at a random moment, when a certain packet has come, or at a point inside it, see
``runner.py``), starts it anew (sometimes killing it while it recovers), lets all clients finish what they had begun,
and asks the oracle in ``ledger.py``. With ``--power-loss`` each kill is a power cut: the file is put back to what a
disk may have kept (``shim.py``).

A few rounds share one data directory and one set of clients: a *life*. Chance comes from the seed and the number of
the life, so that a failure is run again with the seed that it names, as far as timing allows.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from mqttbroker.protocol import ProtocolVersion, Publish
from mqttbroker.topics import filter_matches
from tests.durability.actors import GONE, Client, Publisher, Subscriber, World
from tests.durability.changing import ShortLived, Toggler, Willing
from tests.durability.ledger import Receipts, check_receipts, check_retained
from tests.durability.process import BrokerProcess, DidNotStart
from tests.durability.shim import Shim, after_power_cut, compile_shim
from tests.support.raw import RawClient

__all__ = ["BrokerFailed", "Life", "run_rounds"]

V4, V5 = ProtocolVersion.V311, ProtocolVersion.V5
ROUNDS_PER_LIFE = 5
RESTART_BOUND = 20.0
"""Seconds in which a broker must serve again; generous, because the machine may be busy."""
DRAIN_TIMEOUT = 30.0
POINT_TIMEOUT = 4.0
"""Seconds after which a broker is killed from outside when it did not come to the point where it would do so itself."""
POINTS = (
    *("before-commit", "in-transaction", "after-transaction", "after-commit"),
    *("before-callbacks", "after-callbacks", "after-flush"),
    *("mid-will", "mid-expiry", "mid-burial", "mid-takeover"),
)
ENDING_TIMEOUT = 3.0
RECOVERY_POINTS = ("recovery-opened", "recovery-numbers", "recovery-sessions", "recovery-loaded", "recovery-committed")
PACKETS = ("PubAck", "PubRec", "PubComp", "PubRel", "Publish", "SubAck", "UnsubAck")


class BrokerFailed(AssertionError):
    """The oracle does not hold."""

    def __init__(self, where: str, violations: list[str], trace: list[str]) -> None:
        super().__init__(f"{where}\n" + "\n".join(violations[:20]))
        self.violations = violations
        self.trace = trace


class Life:
    """One data directory and its clients, through several rounds."""

    def __init__(self, folder: Path, seed: str, library: Path | None = None, durability: str = "fsync") -> None:
        self.folder = folder
        self.seed = seed
        self.rng = random.Random(seed)
        self.library = library
        self.environment = {"MQTTBROKER_DURABILITY": durability, "TEST_FIRST_MAP_SIZE": str(1 << 18)}
        self.world = World(self.rng)
        self.ledger = self.world.ledger
        self.publishers: list[Publisher] = []
        for number, version in enumerate((V4, V5, V4, V5)):
            kept = number >= 2
            topics = [
                f"{'r' if kept else 't'}/{number}/{k}/q{q}" for k in range(2) for q in ((1, 2) if kept else (0, 1, 2))
            ]
            self.publishers.append(Publisher(self.world, f"publisher-{number}", version, topics, kept))
        world = self.world
        self.online = [
            Subscriber(world, "online-2-v5", V5, ("t/#",), 2),
            Subscriber(world, "online-1-v4", V4, ("t/#",), 1),
            Subscriber(world, "online-0-v4", V4, ("t/#",), 0),
        ]
        self.flapping = [
            Subscriber(world, "flapping-2-v4", V4, ("t/+/+/q1", "t/+/+/q2"), 2),
            Subscriber(world, "flapping-2-v5", V5, ("t/#",), 2),
            Subscriber(world, "flapping-1-v5", V5, ("t/#",), 1),
        ]
        self.flapping[1].receive_maximum = 3
        self.offline = [
            Subscriber(world, "offline-2-v5", V5, ("t/#", "w/#"), 2),
            Subscriber(world, "offline-1-v4", V4, ("t/#",), 1),
        ]
        shared = Receipts()
        self.shared = [
            Subscriber(world, "shared-v5", V5, ("$share/group/t/#",), 2, shared),
            Subscriber(world, "shared-v4", V4, ("$share/group/t/#",), 2, shared),
        ]
        self.togglers = [Toggler(world, "toggler-v4", V4), Toggler(world, "toggler-v5", V5)]
        self.willing = [Willing(world, "willing-v4", V4), Willing(world, "willing-v5", V5)]
        self.short_lived = ShortLived(world, "short", V5, ("t/#",), 1)
        self.broker: BrokerProcess | None = None
        self.shim: Shim | None = None
        self.before = b""
        self.kill = ("", 0)
        self.next_kill: tuple[str, int] | None = None
        """How the first round is to end, if it is not left to chance."""
        self.armed = folder / "armed"
        """While this file is there, the broker dies at its point."""
        self.slowest_start = 0.0
        self.killed_by = ""

    @property
    def data(self) -> Path:
        return self.folder / "store"

    @property
    def subscribers(self) -> list[Subscriber]:
        return [*self.online, *self.flapping, *self.offline, *self.shared]

    @property
    def topics(self) -> list[str]:
        """Topics of messages that are not retained."""
        return [topic for each in self.publishers if not each.retain for topic in each.topics]

    @property
    def retained_topics(self) -> list[str]:
        return [topic for each in self.publishers if each.retain for topic in each.topics]

    # A round.

    async def begin(self) -> None:
        """Start the broker for the first time; sessions and subscriptions are made, and acknowledged."""
        if self.library is not None:
            # A power cut as a broker starts for the very first time has nothing to lose: the file begins where it is.
            async with BrokerProcess(self.data) as first:
                await first.stop()
        await self._start(self.next_kill or self._choose_kill())
        for client in (*self.subscribers, *self.togglers):
            await client.subscribe()
            await client.leave()

    async def play(self, number: int) -> None:
        """One round. Raises :class:`BrokerFailed`."""
        try:
            await self._load_and_kill()
            await self._recover()
            async with asyncio.timeout(4 * DRAIN_TIMEOUT):
                await self._finish()
        except (DidNotStart, *GONE) as error:
            self.ledger.violation("broker", repr(error))
        if self.ledger.violations:
            where = f"seed {self.seed}, round {number}, killed by {self.killed_by}"
            log = self._broker.lines if self.broker else []
            raise BrokerFailed(where, self.ledger.violations, [*self.ledger.trace, "the broker's last log:", *log])

    async def end(self) -> None:
        """Let go of the processes."""
        for each in self._clients:
            await each.leave()
        if self.broker is not None:
            await self.broker.kill()

    @property
    def _broker(self) -> BrokerProcess:
        assert self.broker is not None
        return self.broker

    @property
    def _clients(self) -> list[Client]:
        return [*self.publishers, *self.subscribers, *self.togglers, *self.willing]

    def _choose_kill(self) -> tuple[str, int]:
        """What the next kill waits for: a point, a kind of packet, or milliseconds."""
        rng = self.rng
        kind = rng.random()
        if kind < 0.4:
            point = rng.choice(POINTS)
            return point, rng.randint(1, 3 if point.startswith("mid") else 60)
        if kind < 0.7:
            return rng.choice(PACKETS), rng.randint(1, 60)
        return "", rng.randint(20, 1_200)

    async def _start(self, kill: tuple[str, int]) -> None:
        """Start the broker, to be killed later, or while it starts if it is to die at a point of recovery."""
        self.kill = kill
        name, count = kill
        self.armed.unlink(missing_ok=True)
        environment = dict(self.environment)
        if name not in RECOVERY_POINTS:
            environment["TEST_ARMED"] = str(self.armed)
        if self.library is not None:
            self.before = (self.data / "data.mdb").read_bytes()
            self.shim = Shim(self.library, Path(tempfile.mkdtemp(dir=self.folder)), record=True)
            environment |= self.shim.environment
        inside = name in (*POINTS, *RECOVERY_POINTS)
        self.broker = BrokerProcess(self.data, environment=environment, point=f"{name}:{count}" if inside else "none")
        self.ledger.note("broker", f"starts, to be killed by {name or 'time'} {count}")
        await self.broker.start()
        self.slowest_start = max(self.slowest_start, self.broker.started_in)
        if self.broker.started_in > RESTART_BOUND:
            self.ledger.violation("broker", f"took {self.broker.started_in:.1f} s to start")
        self.world.port = self.broker.port

    async def _load_and_kill(self) -> None:
        name, count = self.kill
        self.killed_by = f"{name or 'ms'} {count}"
        world = self.world
        world.counts = {}
        world.trigger = (name, count)
        world.triggered.clear()
        self.armed.touch()
        tasks = [asyncio.ensure_future(self._guard(each, self._job(each))) for each in self._clients]
        tasks.append(asyncio.ensure_future(self._guard(self.short_lived, self.short_lived.run())))
        over = [asyncio.ensure_future(world.triggered.wait()), asyncio.ensure_future(self._broker.ended())]
        await asyncio.wait(
            over,
            timeout=POINT_TIMEOUT if name else count / 1_000,
            return_when=asyncio.FIRST_COMPLETED,
        )
        # From here on nobody takes a packet any more: what the clients know is what they knew when the power went.
        for task in (*tasks, *over):
            task.cancel()
        moment = time.monotonic_ns()
        self.ledger.note("broker", "is killed")
        await self._broker.kill()
        await asyncio.gather(*tasks, *over, return_exceptions=True)
        for each in self._clients:
            await each.leave()
        for willing in self.willing:
            willing.lost()
        self._cut_power(moment)

    def _job(self, client: Client) -> Coroutine[Any, Any, None]:
        if isinstance(client, Publisher):
            return client.run(self.rng.randint(20, 150))
        if isinstance(client, Toggler | Willing):
            return client.run()
        assert isinstance(client, Subscriber)
        if client in self.offline:
            return asyncio.sleep(0)
        return client.flap() if client in (*self.flapping, *self.shared) else client.read(60.0)

    async def _guard(self, client: Client, job: Coroutine[Any, Any, None]) -> None:
        """A connection may be lost only when the broker dies."""
        try:
            await job
        except GONE as error:
            try:
                await self._broker.ended(ENDING_TIMEOUT)
            except TimeoutError:
                self.ledger.violation(client.client_id, f"lost its connection to a broker that lives: {error!r}")

    def _cut_power(self, moment: int) -> None:
        if self.shim is None:
            return
        operations = self.shim.operations()
        image = after_power_cut(self.before, operations, moment, self.rng)
        self.ledger.note("broker", f"power cut after {len(operations)} operations, {len(image)} bytes")
        (self.data / "data.mdb").write_bytes(image)

    async def _recover(self) -> None:
        """Start anew; sometimes that is cut short as well."""
        while self.rng.random() < 0.25:
            point = self.rng.choice(RECOVERY_POINTS)
            try:
                await self._start((point, self.rng.randint(1, 4 if point == "recovery-sessions" else 1)))
            except DidNotStart as error:
                if error.returncode != -signal.SIGKILL:
                    raise
            await self._broker.kill()
            self._cut_power(time.monotonic_ns())
        await self._start(self._choose_kill())

    # What was acknowledged, and what is there.

    async def _finish(self) -> None:
        """Everybody finishes what was begun; then everything must be right."""
        check_retained(self.ledger, await self._retained(), self.retained_topics)
        await asyncio.gather(*(each.run(0) for each in self.publishers))
        await asyncio.gather(*(self._drain(each) for each in self.subscribers))
        for each in self._clients:
            await each.leave(politely=self.rng.random() < 0.5)
        for toggler in self.togglers:
            await toggler.check()
        check_retained(self.ledger, await self._retained(), self.retained_topics)
        for subscriber in self.subscribers:
            alone = subscriber not in self.shared
            if alone or subscriber is self.shared[0]:
                check_receipts(
                    self.ledger,
                    subscriber.client_id,
                    subscriber.receipts,
                    self._wanted(subscriber),
                    subscriber.qos,
                    alone,
                )
        for willing in self.willing:
            willing.check(self.offline[0].receipts)

    def _wanted(self, subscriber: Subscriber) -> list[str]:
        return [each for each in self.topics if any(filter_matches(one, each) for one in subscriber.plain_filters)]

    async def _drain(self, subscriber: Subscriber) -> None:
        """Receive until nothing that was acknowledged is still to come, nothing is half done, and nothing comes."""
        deadline = time.monotonic() + DRAIN_TIMEOUT
        wanted = self._wanted(subscriber) if subscriber.qos else []
        while time.monotonic() < deadline:
            await subscriber.read(DRAIN_TIMEOUT, until_idle=True)
            late = any(each.lacks(subscriber.receipts) for each in self.willing) and subscriber is self.offline[0]
            if not late and not subscriber.receipts.lacks(self.ledger, wanted):
                return

    async def _retained(self) -> dict[str, int]:
        async with RawClient("127.0.0.1", self.world.port, timeout=DRAIN_TIMEOUT) as client:
            await client.connect()
            await client.subscribe("r/#", qos=1)
            packets = await client.drain()
        return {each.topic: int(each.payload) for each in packets if isinstance(each, Publish) and each.payload}


async def run_rounds(
    rounds: int,
    seed: int,
    folder: Path,
    library: Path | None = None,
    durability: str = "fsync",
    *,
    first: int = 1,
    quiet: bool = True,
) -> int:
    """Run so many rounds, from the life numbered ``first`` on; the number of messages acknowledged.

    Raises :class:`BrokerFailed`.
    """
    total = done = 0
    number = first - 1
    while done < rounds:
        number += 1
        place = folder / f"life-{number}"
        place.mkdir()
        life = Life(place, f"{seed}/{number}", library, durability)
        try:
            await life.begin()
            for turn in range(1, min(ROUNDS_PER_LIFE, rounds - done) + 1):
                await life.play(turn)
                done += 1
        finally:
            await life.end()
        total += life.ledger.total
        shutil.rmtree(place)
        if not quiet:
            print(
                f"life {life.seed}: {done} rounds, {life.ledger.total} messages acknowledged, "
                f"slowest start {life.slowest_start:.1f} s",
                flush=True,
            )
    return total


def main() -> int:
    """The command line; exit status 1 when the oracle did not hold."""
    parser = argparse.ArgumentParser(prog="tests.durability.crash", description="Kill a broker under load.")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--life", type=int, default=1, help="begin with this life of the seed [1]")
    parser.add_argument("--power-loss", action="store_true", help="each kill is a power cut (Linux, needs cc)")
    parser.add_argument("--durability", choices=("fsync", "os"), default="fsync")
    parser.add_argument("--keep", type=Path, help="directory for the traces of failures [the temporary directory]")
    options = parser.parse_args()
    logging.getLogger("asyncio").setLevel(logging.ERROR)  # Clients go on writing to a broker that was killed.
    print(f"seed {options.seed}", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="mqttbroker-crash-"))
    library = compile_shim(folder) if options.power_loss else None
    try:
        total = asyncio.run(
            run_rounds(
                options.rounds, options.seed, folder, library, options.durability, first=options.life, quiet=False
            )
        )
    except BrokerFailed as failure:
        trace = (options.keep or Path(tempfile.gettempdir())) / f"mqttbroker-crash-{options.seed}.trace"
        trace.write_text("\n".join([str(failure), "", *failure.trace]), encoding="utf-8")
        print(f"{failure}\nThe trace is in {trace}, the store in {folder}")
        return 1
    shutil.rmtree(folder)
    print(f"{options.rounds} rounds, {total} messages acknowledged, none lost")
    return 0


if __name__ == "__main__":
    sys.exit(main())
