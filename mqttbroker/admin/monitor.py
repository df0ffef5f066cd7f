"""What is measured while a broker runs, once a second: its figures and their history, its alarms, the lag of its event
loop. Publishes the ``$SYS`` topics.
"""

from __future__ import annotations

import asyncio
import time
from typing import Final

from mqttbroker.admin.alarms import LATE, Alarms, Facts
from mqttbroker.admin.context import Administered
from mqttbroker.admin.figures import Figures, Latest, Meter, Rates
from mqttbroker.admin.history import History
from mqttbroker.admin.incidents import Incidents
from mqttbroker.admin.queues import QueueSurvey
from mqttbroker.admin.repeated import Repeated
from mqttbroker.admin.sys_topics import SysTopics
from mqttbroker.broker import Log
from mqttbroker.distribution import Distribution
from mqttbroker.storage.lmdb import LmdbStore
from mqttbroker.storage.lmdb.commits import LONG

__all__ = ["Monitor"]

TURN: Final = 1.0
"""Seconds between two looks."""
LAGS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
OFTEN: Final = 3
"""Late looks, or long commits, in about a minute that are an alarm."""


class Monitor:
    """Looks at one broker once a second. There is a history where it has an admin server that shows it."""

    def __init__(self, broker: Administered, loop: asyncio.AbstractEventLoop, log: Log) -> None:
        core, interval = broker.core, broker.config.sys.interval
        self.started: float = broker.now()
        """When the broker was started, in seconds since the epoch."""
        self.queues: QueueSurvey = QueueSurvey(core.registry.sessions)
        self.lag: Distribution = Distribution(LAGS)
        """How much later than it should the event loop came to what was due."""
        self.last_lag: float = 0.0
        self.alarms: Alarms = Alarms(log)
        self.incidents: Incidents = Incidents()
        self.history: History | None = History() if broker.config.admin.enabled else None
        self._meter = Meter(broker)
        self.figures: Figures = self._meter.look(self.queues.depths)
        """As they were at the last look."""
        self._broker = broker
        self._rates = Rates()
        self._commits = Latest()
        self._late = Repeated(OFTEN)
        self._long_commits = Repeated(OFTEN)
        self._long_before = 0
        self._topics = SysTopics(core, self.queues, interval, self.started) if interval else None
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0

    def start(self, now: float) -> None:
        """Begin to look, and publish the first ``$SYS`` topics."""
        if self.history is not None:
            self._broker.core.events.listen(self.incidents.tell)
        self._wait()
        if self._topics is not None:
            self._topics.start(now)
        self.look(now)

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._broker.core.events.unlisten(self.incidents.tell)

    def _wait(self) -> None:
        self._due = time.monotonic() + TURN
        self._timer = self._loop.call_later(TURN, self._turn)

    def _turn(self) -> None:
        self.last_lag = max(time.monotonic() - self._due, 0.0)
        self.lag.add(self.last_lag)
        self._wait()
        now = self._broker.now()
        if self.last_lag >= LATE:
            self._late.add("", now)
        self.queues.advance()
        self.look(now)

    def look(self, now: float) -> None:
        """Take the figures, keep them, and raise or clear alarms."""
        figures = self.figures = self._meter.look(self.queues.depths)
        if self.history is not None:
            self.history.add(now, self._sample(figures, now))
        commits = None if figures.store is None else figures.store.commits
        if commits is not None:
            long = commits.latency.above(LONG)
            if long > self._long_before:
                self._long_commits.add("", now, long - self._long_before)
            self._long_before = long
        store = self._broker.core.store
        self.alarms.look(
            Facts(
                core=self._broker.core,
                now=now,
                figures=figures,
                incidents=self.incidents,
                late=self._late,
                long_commits=self._long_commits,
                failure=store.failure if isinstance(store, LmdbStore) else None,
                certificates=self._broker.certificates,
            )
        )

    def _sample(self, figures: Figures, now: float) -> dict[str, float]:
        core = self._broker.core
        counters, limits = core.counters, core.session_limits
        totals = {
            "received": counters.messages_received,
            "sent": limits.messages_sent,
            "received_bytes": counters.bytes_received,
            "sent_bytes": counters.bytes_sent,
            "dropped": sum(limits.dropped.values()),
        }
        sample: dict[str, float] = {
            "connections": figures.connections,
            "sessions": figures.sessions,
            "queued": figures.depths.messages,
            "memory": figures.memory.own,
            "loop_lag": self.last_lag,
        }
        if figures.store is not None:
            sample |= {
                "store_size": figures.store.size,
                "commit_latency": self._commits.mean(figures.store.commits),
            }
        return sample | self._rates.of(totals, now)
