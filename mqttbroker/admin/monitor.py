"""What is measured while a broker runs: its queues, and the lag of its event loop. Publishes the ``$SYS`` topics."""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_left
from typing import Final

from mqttbroker.admin.queues import QueueSurvey
from mqttbroker.admin.sys_topics import SysTopics
from mqttbroker.broker import BrokerCore

__all__ = ["Distribution", "Monitor"]

TURN: Final = 1.0
"""Seconds between two looks."""
LAGS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class Distribution:
    """How often a number of seconds was at most each of some bounds."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds: tuple[float, ...] = bounds
        self.counts: list[int] = [0] * (len(bounds) + 1)
        """By bound, each without those below it; the last is of those above all bounds."""
        self.total: float = 0.0

    def add(self, seconds: float) -> None:
        """Count one more."""
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.total += seconds


class Monitor:
    """Looks at one broker once a second. ``sys_interval`` is in seconds, 0 for no ``$SYS`` topics."""

    def __init__(self, core: BrokerCore, loop: asyncio.AbstractEventLoop, sys_interval: float, now: float) -> None:
        self.started: float = now
        """When the broker was started, in seconds since the epoch."""
        self.queues: QueueSurvey = QueueSurvey(core.registry.sessions)
        self.lag: Distribution = Distribution(LAGS)
        """How much later than it should the event loop came to what was due."""
        self._topics = SysTopics(core, self.queues, sys_interval, now) if sys_interval else None
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0

    def start(self, now: float) -> None:
        """Begin to look, and publish the first ``$SYS`` topics."""
        self._wait()
        if self._topics is not None:
            self._topics.start(now)

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wait(self) -> None:
        self._due = time.monotonic() + TURN
        self._timer = self._loop.call_later(TURN, self._look)

    def _look(self) -> None:
        self.lag.add(max(time.monotonic() - self._due, 0.0))
        self._wait()
        self.queues.advance()
