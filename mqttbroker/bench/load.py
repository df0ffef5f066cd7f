"""The load of one process: its clients, and the loop that they run in.

Closed loop: publishers keep a window of messages under way, and send more as subscribers receive them. Open loop:
messages are due at a fixed rate, whether the broker keeps up or not, and their times count from when they were due.
"""

from __future__ import annotations

import select
import time
from collections.abc import Callable, MutableSequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from mqttbroker.bench.client import BUFFER, Client
from mqttbroker.bench.latency import Latencies
from mqttbroker.bench.links import Link
from mqttbroker.bench.poller import WRITE, new_poller
from mqttbroker.bench.roles import Budget, Publisher, SlowReader, Subscriber, WithoutReturns
from mqttbroker.bench.scenario import BenchError, Scenario

__all__ = ["SLOTS", "Board", "Job", "Load", "Outcome"]

LOOK: Final = 0.1
"""Seconds between two looks at the board."""
SHORT: Final = 0.002
"""Seconds below which waiting needs more precision than ``epoll`` has."""
DUE_AT_ONCE: Final = 500
"""Messages that are sent before what has come is looked at."""
SLOW_STEP: Final = 0.05
"""Seconds between two reads of a slow reader."""

Board = MutableSequence[float]
"""Monotonic times at which measuring begins and ends; then for each process messages delivered and published, and the
median and the 99th percentile of the times so far. Everybody looks at it now and then.
"""
SLOTS: Final = 4


@dataclass(frozen=True)
class Job:
    """What one of ``processes`` processes does."""

    scenario: Scenario
    link: Link
    token: str
    """In the names of clients and topics, so that two loads do not meet."""
    rate: float | None = None
    """Messages that all publish together in a second; ``None`` for a closed loop."""
    messages: int | None = None
    """Messages that all publish together; ``None`` for as many as there is time for."""
    index: int = 0
    processes: int = 1

    def mine(self) -> tuple[range, range]:
        """The numbers of publishers and subscribers that are in this process. Where all get everything, all publishers
        are in the first one, with one who lets them send on.
        """
        scenario = self.scenario
        subscribers = range(self.index, scenario.subscribers, self.processes)
        if not scenario.fan:
            return subscribers, subscribers
        return range(0 if self.index else scenario.publishers), subscribers


@dataclass
class Outcome:
    """What came out of it."""

    messages: int
    published: int
    seconds: float
    latencies: Latencies | None


class Load:
    """The clients of one process. :meth:`open` first, then :meth:`drive`, and :meth:`close` in any case."""

    def __init__(self, job: Job, board: Board) -> None:
        self.job = job
        self._board = board
        scenario, link, token = job.scenario, job.link, job.token
        publishers, subscribers = job.mine()
        digits = len(str(max(scenario.publishers, 1) - 1))
        topics = [f"{scenario.topic}/{token}/{number:0{max(digits, 3)}}" for number in range(scenario.publishers)]
        self.latencies = Latencies() if job.rate else None
        self.budget = Budget(self._share())
        kind = WithoutReturns if job.rate or scenario.persistent else Publisher
        self.publishers = [
            kind(link, scenario, f"bench-{token}-p{number}", topics[number], self.budget) for number in publishers
        ]
        self.subscribers = [
            Subscriber(
                link,
                scenario,
                f"bench-{token}-s{number}",
                topics if scenario.fan else [topics[number]],
                self.latencies,
            )
            for number in subscribers
        ]
        self.slow = [
            SlowReader(link, scenario, f"bench-{token}-r{number}", topics, None)
            for number in range(job.index, scenario.slow_readers, job.processes)
        ]
        if not job.rate and not scenario.persistent:
            self._let_return()
        self._poller = new_poller()
        self._clients: dict[int, Client] = {}
        self._away = False
        self._turn = 0

    def _share(self) -> int | None:
        """Of the messages that are to be published."""
        job, total = self.job, self.job.messages
        if total is None or job.scenario.fan:
            return total
        number = job.scenario.subscribers
        before = sum(len(range(index, number, job.processes)) for index in range(job.index))
        mine = len(range(job.index, number, job.processes))
        return total * (before + mine) // number - total * before // number

    def _let_return(self) -> None:
        if not self.job.scenario.fan:
            for publisher, subscriber in zip(self.publishers, self.subscribers, strict=True):
                subscriber.publishers = [publisher]
        elif self.subscribers:
            # Of a fan-out, the last subscriber lets the publisher go on.
            self.subscribers[-1].publishers = list(self.publishers)

    def received(self) -> int:
        """Messages that were delivered."""
        return sum([each.received for each in self.subscribers])

    def published(self) -> int:
        """Messages that were sent."""
        return sum([each.sent for each in self.publishers])

    def open(self) -> None:
        """Connect everybody and subscribe. Raise ``OSError`` or :class:`BenchError` where that fails."""
        persistent = self.job.scenario.persistent
        for slow in self.slow:
            self._check_end()
            slow.connect()
            slow.subscribe()
            slow.start_slowly(self.job.scenario.slow_rate)
        for subscriber in self.subscribers:
            self._check_end()
            subscriber.connect(persistent)
            subscriber.subscribe()
            if persistent:
                subscriber.leave()
            else:
                subscriber.start(self._poller, self._clients)
        for publisher in self.publishers:
            self._check_end()
            publisher.connect()
            publisher.prepare()
            publisher.start(self._poller, self._clients)

    def _check_end(self) -> None:
        if time.monotonic() >= self._board[1]:
            raise BenchError("interrupted before everybody was connected")

    def drive(self, mark: Callable[[], None]) -> Outcome:
        """Run until the time on the board, or all messages are delivered. ``mark`` is called at the start, when
        measuring begins, and at the end.
        """
        scenario, job, board = self.job.scenario, self.job, self._board
        tick = self._turns if scenario.persistent else self._pace if job.rate else None
        counted = self.budget.left * len(self.subscribers) if scenario.fan else self.budget.left
        self._began = self._slow_seen = time.monotonic()
        self._ordered = 0
        mark()
        if tick is None:
            for publisher in self.publishers:
                publisher.send(publisher.window)
        before: tuple[int, int, float] | None = None
        look = 0.0
        clients, poll, buffer = self._clients, self._poller.poll, bytearray(BUFFER)
        while True:
            now = time.monotonic()
            if now >= look:
                begin, end = board[0], board[1]
                if before is None and now >= begin:
                    before = (self.received(), self.published(), now) if job.messages is None else (0, 0, self._began)
                    if self.latencies is not None and job.messages is None:
                        self.latencies.clear()
                    mark()
                self._note()
                look = min(now + LOOK, end, begin if before is None else end)
            if now >= end or (job.messages is not None and self._finished(counted)):
                break
            wait = look - now
            if tick is not None:
                wait = min(wait, tick(now))
            if self.slow:
                wait = min(wait, self._read_slowly(now))
            if wait < SHORT and tick is not None:
                self._wait(wait)
                wait = 0.0
            for fd, events in poll(wait if wait > 0.0 else 0.0):
                client = clients[fd]
                if events != WRITE:
                    client.read(buffer)
                if events & WRITE and client.fd >= 0:
                    client.flush()
        mark()
        self._note()
        # Where it ended during the warm-up, that is what there is.
        messages, published, since = before or (0, 0, self._began)
        return Outcome(self.received() - messages, self.published() - published, now - since, self.latencies)

    def _finished(self, counted: int) -> bool:
        return (not self.publishers or self.budget.left <= 0) and self.received() >= counted

    def _note(self) -> None:
        board = self._board
        place = 2 + self.job.index * SLOTS
        board[place], board[place + 1] = self.received(), self.published()
        if self.latencies is not None and (times := self.latencies.percentiles()):
            board[place + 2], board[place + 3] = times["p50"], times["p99"]

    def _wait(self, seconds: float) -> None:
        # ``epoll`` counts milliseconds, ``select`` microseconds.
        if seconds > 0 and hasattr(self._poller, "fileno"):
            select.select([self._poller.fileno()], [], [], seconds)

    def _pace(self, now: float) -> float:
        """Send what is due; seconds until there is more."""
        assert self.job.rate is not None
        if not self.publishers:
            return LOOK
        rate = self.job.rate if self.job.scenario.fan else self.job.rate * len(self.publishers)
        if not self.job.scenario.fan:
            rate /= self.job.scenario.publishers
        publishers, turn = self.publishers, self._ordered
        for _ in range(DUE_AT_ONCE):
            due = self._began + turn / rate
            if due > now:
                break
            publishers[turn % len(publishers)].send_due(int(due * 1e9))
            turn += 1
        self._ordered = turn
        return due - now

    def _turns(self, _now: float) -> float:
        """Let subscribers come back when everything is sent and acknowledged, and go when they have got it."""
        sent = self.published()
        if self._away and sum([each.acknowledged_count for each in self.publishers]) >= sent:
            self._away = False
            for subscriber in self.subscribers:
                if not subscriber.connect(True).session_present:
                    raise BenchError("the broker has not kept a session")
                subscriber.start(self._poller, self._clients)
        if not self._away and self.received() >= sent * self.job.scenario.copies:
            self._away = True
            for subscriber in self.subscribers:
                subscriber.leave()
            for publisher in self.publishers:
                publisher.send(publisher.window)
        return LOOK

    def _read_slowly(self, now: float) -> float:
        if now - self._slow_seen >= SLOW_STEP:
            for each in self.slow:
                each.read_slowly(now - self._slow_seen)
            self._slow_seen = now
        return self._slow_seen + SLOW_STEP - now

    def close(self) -> None:
        """Close all connections; sessions that last are ended."""
        for client in (*self.publishers, *self.slow, *self.subscribers):
            client.close()
        if self.job.scenario.persistent:
            for subscriber in self.subscribers:
                with suppress(OSError, BenchError):
                    subscriber.connect()
                    subscriber.leave()
                subscriber.close()
        self._poller.close()
