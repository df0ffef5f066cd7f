"""``python -m benchmarks.paging [--sessions N] [--rounds N] [--seconds S]``: looking at very many sessions meanwhile.

A broker has so many sessions, most of clients that are away. Somebody pages through all clients and all sessions over
HTTP, in every order, from one end to the other and again. Three things are looked at:

* what becomes of the rate of messages (scenario 2) while somebody looks at a page ten times a second, as a console
  does that is scrolled through, and while a program reads pages as fast as they come. Rounds with and without take
  turns;
* how long other clients wait meanwhile, with no other load: the longest that the event loop was kept at one time;
* how much memory it takes.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import multiprocessing
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from multiprocessing.connection import Connection
from pathlib import Path
from urllib.parse import quote

import psutil

from benchmarks.brokers import STOP_TIMEOUT, cpu_of, free_port, new_loop, wait_until_it_listens
from benchmarks.clients import V311, Client, connect
from benchmarks.idle import AT_ONCE, allow_files
from benchmarks.probe import Pauses, pauses
from benchmarks.scenarios import SCENARIOS
from mqttbroker.bench import Link, Transport, run
from mqttbroker.broker.inspection import CLIENT_ORDERS, SESSION_ORDERS
from mqttbroker.protocol import Disconnect, encode

__all__ = ["Paged", "Place", "main", "measure", "paging"]

CONNECTED = 2_000
"""Sessions whose clients are connected."""
TIMEOUT = 30.0
LISTS = [("clients", order) for order in CLIENT_ORDERS] + [("sessions", order) for order in SESSION_ORDERS]
CONFIGURATION = """\
[log]
level = "error"
[limits]
max_connections = 20000
max_connection_rate = 1000000
[admin]
enabled = true
port = {admin}
[[listeners]]
port = {port}
"""


@dataclass(frozen=True)
class Place:
    """Where a broker is, and what lets somebody look at it."""

    port: int
    admin_port: int
    token: str


@dataclass
class Paged:
    """What somebody has seen who paged; what is here before the end of the ``with`` is nothing yet."""

    pages: int = 0
    entries: int = 0
    walks: int = 0
    """Lists that were gone through to their end."""
    slowest: float = 0.0
    """Seconds that the answer to one page took at most."""


@contextmanager
def running() -> Iterator[tuple[psutil.Process, Place]]:
    """A broker in memory with an admin server, and a token for it."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        port, admin_port = free_port(), free_port()
        file = Path(folder, "mqttbroker.toml")
        file.write_text(CONFIGURATION.format(port=port, admin=admin_port), encoding="utf-8")
        process = subprocess.Popen(
            [sys.executable, "-m", "mqttbroker", "serve", "--config", str(file)],
            cwd=folder,  # So that Python finds the modules of the environment.
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            wait_until_it_listens(process, ("127.0.0.1", admin_port))
            yield psutil.Process(process.pid), Place(port, admin_port, _token(admin_port, _password(process)))
        finally:
            process.terminate()
            try:
                process.wait(STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _password(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if found := re.search(r"Password: (\S+)", line):
            return found[1]
    raise RuntimeError("the broker has told no password")


def _token(port: int, password: str) -> str:
    http = HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
    headers = {"Content-Type": "application/json"}
    http.request("POST", "/api/v1/login", json.dumps({"name": "admin", "password": password}), headers)
    answer = http.getresponse()
    headers["X-CSRF-Token"] = json.loads(answer.read())["csrf_token"]
    headers["Cookie"] = str(answer.headers["Set-Cookie"]).partition(";")[0]
    http.request("POST", "/api/v1/tokens", json.dumps({"name": "paging", "role": "viewer"}), headers)
    token: str = json.loads(http.getresponse().read())["token"]
    return token


async def _sessions(port: int, number: int) -> list[Client]:
    """Make sessions; the clients that stay are given back."""
    waiting = iter(range(number))
    stay: list[Client] = []

    async def lane() -> None:
        for each in waiting:
            client = Client()
            # Out of order, so that there is something to sort.
            await connect(client, port, f"session-{each * 7_919 % number:06}", clean=False)
            if each < CONNECTED:
                stay.append(client)
            else:
                client.write(encode(Disconnect(), V311))
                await asyncio.wait_for(client.lost.wait(), TIMEOUT)

    await asyncio.gather(*(lane() for _ in range(AT_ONCE)))
    return stay


@contextmanager
def paging(place: Place, limit: int, interval: float) -> Iterator[Paged]:
    """Page while the block runs, in a process of its own: ``limit`` entries, ``interval`` seconds after one another."""
    found = Paged()
    context = multiprocessing.get_context("spawn")
    mine, theirs = context.Pipe()
    process = context.Process(target=_page, args=(place, limit, interval, theirs), daemon=True)
    process.start()
    try:
        if not mine.poll(TIMEOUT) or mine.recv() != "ready":
            raise RuntimeError("paging does not start")
        yield found
        mine.send("stop")
        if not mine.poll(TIMEOUT):
            raise RuntimeError("no page has come")
        found.pages, found.entries, found.walks, found.slowest = mine.recv()
    finally:
        process.terminate()
        process.join()


def _page(place: Place, limit: int, interval: float, told: Connection) -> None:
    http = HTTPConnection("127.0.0.1", place.admin_port, timeout=TIMEOUT)
    pages = entries = walks = 0
    slowest = 0.0
    told.send("ready")
    while True:
        for what, order in LISTS:
            after: str | None = None
            while True:
                began = time.perf_counter()
                query = f"limit={limit}&sort={order}" + ("" if after is None else f"&after={quote(after)}")
                headers = {"Authorization": f"Bearer {place.token}"}
                http.request("GET", f"/api/v1/{what}?{query}", headers=headers)
                answer = http.getresponse()
                body = answer.read()
                took = time.perf_counter() - began
                if answer.status != 200:
                    raise RuntimeError(body.decode())
                page = json.loads(body)
                pages, entries, slowest = pages + 1, entries + len(page["items"]), max(slowest, took)
                after = page["next"]
                if told.poll(max(interval - took, 0.0)):
                    told.send((pages, entries, walks, slowest))
                    return
                if after is None:
                    walks += 1
                    break


@dataclass(frozen=True)
class Round:
    """One round: the rate of messages, and the CPU of the broker for each."""

    rate: float
    cpu: float
    paged: Paged | None = None


def measure(place: Place, process: psutil.Process, rounds: int, seconds: float) -> dict[str, list[Round]]:
    """The rounds by how somebody looks."""
    found: dict[str, list[Round]] = {name: [] for name in WAYS}
    with asyncio.Runner(loop_factory=new_loop) as runner:
        for _ in range(rounds):
            for name, way in WAYS.items():
                with contextlib.ExitStack() as stack:
                    paged = None if way is None else stack.enter_context(paging(place, *way))
                    link = Link(("127.0.0.1", place.port), Transport.TCP)
                    result = runner.run(run(SCENARIOS[1], link, seconds, lambda: cpu_of(process)))
                found[name].append(Round(result.messages / result.seconds, result.microseconds, paged))
    return found


WAYS: dict[str, tuple[int, float] | None] = {
    "nobody looks": None,
    "10 pages of 100 a second": (100, 0.1),
    "pages of 1,000, one after another": (1_000, 0.0),
}
"""Entries on a page, and seconds from one to the next."""


def main() -> None:
    """Print what comes out."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.paging", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sessions", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each round")
    options = parser.parse_args()
    allow_files(CONNECTED + 1_000)
    with running() as (process, place), asyncio.Runner(loop_factory=new_loop) as runner:
        stay = runner.run(_sessions(place.port, options.sessions))
        before = process.memory_info().rss
        rounds = measure(place, process, options.rounds, options.seconds)
        usual = rounds["nobody looks"]
        for name, each in rounds.items():
            print(f"{name:36}{statistics.median(one.rate for one in each):10,.0f}/s", end="")
            print(f"{statistics.median(one.cpu for one in each):8.2f} us", end="")
            if name != "nobody looks":
                change = statistics.median(now.rate / then.rate for now, then in zip(each, usual, strict=True)) - 1
                pages = sum(one.paged.pages for one in each if one.paged) / options.seconds / len(each)
                print(f"{change:+8.1%}, {pages:.0f} pages/s", end="")
            print(flush=True)
        quiet = _waits(place, None, options.seconds)
        print(f"another waits, nobody looks: {_told(quiet)}")
        for name, way in WAYS.items():
            if way is not None:
                print(f"another waits, {name}: {_told(_waits(place, way, options.seconds * 4))}", flush=True)
        grown = process.memory_info().rss - before
        print(f"memory: {before / 2**20:.0f} MiB, and {grown / 2**20:.0f} MiB more at the end")
        for client in stay:
            client.drop()


def _waits(place: Place, way: tuple[int, float] | None, seconds: float) -> Pauses:
    with pauses(place.port) as found, contextlib.ExitStack() as stack:
        if way is not None:
            stack.enter_context(paging(place, *way))
        time.sleep(seconds)
    return found


def _told(found: Pauses) -> str:
    return f"{found.p99 * 1e3:.1f} ms (p99), {found.worst * 1e3:.1f} ms at most"


if __name__ == "__main__":
    main()
