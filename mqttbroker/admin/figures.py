"""How a broker stands at one moment: what it holds, and what it takes of the machine."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from dataclasses import dataclass, field
from math import nan
from pathlib import Path
from typing import Final

import lmdb

from mqttbroker.admin.context import Administered
from mqttbroker.admin.memory import Ceiling, Usage, ceiling, usage
from mqttbroker.admin.queues import Depths
from mqttbroker.storage import StoreError
from mqttbroker.storage.lmdb import LmdbStore
from mqttbroker.storage.lmdb.commits import Commits

__all__ = ["Disk", "Figures", "Latest", "Meter", "Rates", "StoreFigures"]

SELDOM: Final = 5
"""Looks between two at the disk and the store's pages, and 12 times as many between two at the memory's ceiling."""


@dataclass(frozen=True, slots=True)
class Disk:
    """The file system of the data directory, in bytes."""

    free: int
    """What this process may still take."""
    size: int


@dataclass(slots=True)
class StoreFigures:
    """The store's files, in bytes."""

    commits: Commits
    size: int = 0
    map: int = 0
    """How large the file can become before the map grows, which it does by itself."""
    used: int = 0
    """Of the pages that hold something."""


@dataclass(slots=True)
class Figures:
    """One look."""

    connections: int = 0
    sessions: int = 0
    depths: Depths = field(default_factory=Depths)
    memory: Usage = field(default_factory=Usage)
    ceiling: Ceiling = field(default_factory=Ceiling)
    store: StoreFigures | None = None
    """``None`` where everything is in memory."""
    disk: Disk | None = None
    """``None`` without a data directory, and where the system does not tell."""


class Meter:
    """Takes the figures of one broker. To be called about once a second; what is dear is looked at seldom."""

    def __init__(self, broker: Administered) -> None:
        self._broker = broker
        self._looks = 0
        store = broker.core.store
        self._store = store if isinstance(store, LmdbStore) else None
        self._store_figures = None if self._store is None else StoreFigures(self._store.latency)
        self._disk: Disk | None = None
        self._ceiling = Ceiling()

    def look(self, depths: Depths) -> Figures:
        """The figures now."""
        if self._looks % SELDOM == 0:
            self._look_at_disk()
        if self._looks % (12 * SELDOM) == 0:
            self._ceiling = ceiling()
        self._looks += 1
        core = self._broker.core
        return Figures(
            connections=core.gate.connections,
            sessions=len(core.registry.sessions),
            depths=depths,
            memory=usage(),
            ceiling=self._ceiling,
            store=self._store_figures,
            disk=self._disk,
        )

    def _look_at_disk(self) -> None:
        directory = self._broker.config.data_dir
        if directory is None:
            return
        self._disk = _disk(directory)
        if self._store is not None and self._store_figures is not None:
            self._store_figures.size = _size(directory)
            with suppress(StoreError, lmdb.Error):
                sizes = self._store.sizes()
                if sizes is not None:
                    self._store_figures.map, self._store_figures.used = sizes


class Rates:
    """How fast totals grow, from one look to the next, per second."""

    def __init__(self) -> None:
        self._before: dict[str, int] | None = None
        self._at = 0.0

    def of(self, totals: dict[str, int], now: float) -> dict[str, float]:
        """The rates of these totals since the call before; NaN the first time."""
        before, elapsed = self._before, now - self._at
        self._before, self._at = totals, now
        if before is None or elapsed <= 0.0:
            return dict.fromkeys(totals, nan)
        return {name: (total - before[name]) / elapsed for name, total in totals.items()}


class Latest:
    """The mean time of the commits between one look and the next."""

    def __init__(self) -> None:
        self._count = 0
        self._total = 0.0

    def mean(self, commits: Commits | None) -> float:
        """Seconds; NaN where there was none."""
        if commits is None:
            return nan
        count, total = commits.latency.count, commits.latency.total
        new, seconds = count - self._count, total - self._total
        self._count, self._total = count, total
        return seconds / new if new > 0 else nan


def _disk(directory: Path) -> Disk | None:
    with suppress(OSError):
        found = shutil.disk_usage(directory)
        return Disk(found.free, found.total)
    return None


def _size(directory: Path) -> int:
    size = 0
    with suppress(OSError), os.scandir(directory) as entries:
        for each in entries:
            if each.name.endswith(".mdb"):
                size += each.stat().st_size
    return size
