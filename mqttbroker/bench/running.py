"""Runs a load in a thread of this process, or in several processes."""

from __future__ import annotations

import asyncio
import math
import multiprocessing
import secrets
import signal
import threading
import time
from array import array
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from typing import Final

from mqttbroker.bench.latency import Latencies
from mqttbroker.bench.links import Link
from mqttbroker.bench.load import SLOTS, Board, Job, Load, Outcome
from mqttbroker.bench.packets import STAMP
from mqttbroker.bench.scenario import BenchError, Result, Scenario

__all__ = ["Progress", "run"]

STEP: Final = 0.1
"""Seconds between two reports of progress."""
START_DELAY: Final = 0.05
"""Seconds in which all processes get to know when to begin."""
ANSWER_TIMEOUT: Final = 30.0
"""Seconds in which a process must tell what came out, when the time is over."""


@dataclass(frozen=True)
class Progress:
    """Where a load is: messages since it began, and what the times were until now, in seconds; 0 where there are
    none.
    """

    messages: int
    published: int
    p50: float
    p99: float


async def run(
    scenario: Scenario,
    link: Link,
    seconds: float,
    cpu: Callable[[], float],
    rate: float | None = None,
    progress: Callable[[Progress], None] | None = None,
    *,
    warm_up: float | None = None,
    messages: int | None = None,
    processes: int = 1,
    stop: threading.Event | None = None,
) -> Result:
    """Run the load for so many seconds, after a warm-up of a fifth of them if nothing else is said.

    ``cpu`` tells the broker's CPU seconds. With a ``rate``, so many messages are published in a second by all together,
    and latencies are measured; without, as many as the windows allow. With ``messages``, so many are published, without
    a warm-up, and ``seconds`` is only the most that it may take. ``stop`` ends it early.
    Raise ``OSError`` where nobody can connect, :class:`BenchError` where the broker does not go along.
    """
    _check(scenario, rate)
    warm_up = 0.0 if messages is not None else seconds / 5 if warm_up is None else warm_up
    job = Job(scenario, link, secrets.token_hex(3), rate, messages, processes=processes)
    conductor = _Conductor(job, warm_up, seconds, cpu)
    task = asyncio.create_task(asyncio.to_thread(conductor.conduct))
    try:
        while not task.done():
            await asyncio.wait((task,), timeout=STEP)
            if stop is not None and stop.is_set():
                conductor.end()
            if progress is not None:
                progress(conductor.progress())
        return task.result()
    except asyncio.CancelledError:
        conductor.end()
        await asyncio.wait((task,))
        raise


def _check(scenario: Scenario, rate: float | None) -> None:
    if scenario.publishers < 1 or scenario.subscribers < 1:
        raise BenchError("there must be a publisher and a subscriber")
    if not scenario.fan and scenario.publishers != scenario.subscribers:
        raise BenchError("pairs need as many publishers as subscribers")
    if rate is not None and scenario.payload < STAMP.size:
        raise BenchError(f"at a fixed rate a payload has at least {STAMP.size} bytes, for the time")
    if scenario.persistent and not scenario.qos:
        raise BenchError("for a client that is away nothing is kept at QoS 0")
    if scenario.persistent and rate is not None:
        raise BenchError("with clients that are away there is no fixed rate")


class _Conductor:
    """Says when to begin and when to end."""

    def __init__(self, job: Job, warm_up: float, seconds: float, cpu: Callable[[], float]) -> None:
        self.job = job
        self._warm_up = warm_up
        self._seconds = seconds
        self._cpu = cpu
        self._ended = False
        size = 2 + SLOTS * job.processes
        self._context = multiprocessing.get_context("spawn")
        self._board: Board = array("d", bytes(8 * size))
        if job.processes > 1:
            self._board = self._context.RawArray("d", size)
        self._board[0] = self._board[1] = math.inf
        self._used: list[float] = []

    def end(self) -> None:
        """End it now."""
        if not self._ended:
            self._ended = True
            self._board[1] = time.monotonic()

    def progress(self) -> Progress:
        """Where it is."""
        slots = list(self._board[2:])
        messages, published = sum(slots[0::SLOTS]), sum(slots[1::SLOTS])
        return Progress(int(messages), int(published), max(slots[2::SLOTS]), max(slots[3::SLOTS]))

    def conduct(self) -> Result:
        """Run it to its end."""
        outcomes = self._in_processes() if self.job.processes > 1 else [self._here()]
        latencies: Latencies | None = None
        if self.job.rate:
            latencies = Latencies()
            latencies.merge(each.latencies for each in outcomes if each.latencies is not None)
        return Result(
            sum(each.messages for each in outcomes),
            max(each.seconds for each in outcomes),
            self._used[-1] - self._used[-2],
            latencies.percentiles() if latencies is not None else None,
            sum(each.published for each in outcomes),
        )

    def _mark(self) -> None:
        self._used.append(self._cpu())

    def _set_times(self, delay: float = 0.0) -> None:
        self._board[0] = time.monotonic() + delay + self._warm_up
        if not self._ended:
            self._board[1] = self._board[0] + self._seconds

    def _here(self) -> Outcome:
        load = Load(self.job, self._board)
        try:
            load.open()
            self._set_times()
            return load.drive(self._mark)
        finally:
            load.close()

    def _in_processes(self) -> list[Outcome]:
        workers = []
        try:
            for index in range(self.job.processes):
                ours, theirs = self._context.Pipe()
                arguments = (replace(self.job, index=index), self._board, theirs)
                process = self._context.Process(target=_work, args=arguments, daemon=True)
                process.start()
                theirs.close()
                workers.append((process, ours))
            for _, pipe in workers:
                _receive(pipe, None)
            self._set_times(START_DELAY)
            for _, pipe in workers:
                pipe.send(None)
            self._mark()
            while time.monotonic() < min(self._board[0], self._board[1]):
                time.sleep(min(STEP, max(0.0, self._board[0] - time.monotonic())))
            self._mark()
            outcomes = [_receive(pipe, self._board) for _, pipe in workers]
            self._mark()
            return [each for each in outcomes if each is not None]
        finally:
            for process, pipe in workers:
                pipe.close()
                process.join(1)
                process.kill()


def _receive(pipe: Connection, board: Board | None) -> Outcome | None:
    """What a process tells. Raise what went wrong there."""
    while not pipe.poll(STEP):
        if board is not None and time.monotonic() > board[1] + ANSWER_TIMEOUT:
            raise BenchError("a process of the load does not answer")
    try:
        told = pipe.recv()
    except EOFError:
        raise BenchError("a process of the load has died") from None
    if isinstance(told, BaseException):
        raise told
    assert told is None or isinstance(told, Outcome)
    return told


def _work(job: Job, board: Board, pipe: Connection) -> None:
    """What a process does: connect, say so, wait until all have, and go on."""
    # Ctrl-C is for the first process, which ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    load = Load(job, board)
    with suppress(EOFError, BrokenPipeError):
        try:
            load.open()
            pipe.send(None)
            pipe.recv()
            outcome = load.drive(lambda: None)
        except (OSError, BenchError) as error:
            pipe.send(error)
        else:
            pipe.send(outcome)
        finally:
            load.close()
