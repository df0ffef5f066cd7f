"""An LMDB store without an event loop: what it posts waits until the test lets it run."""

from __future__ import annotations

import queue
from collections.abc import Callable
from pathlib import Path

from mqttbroker.storage.lmdb import Durability, LmdbStore

__all__ = ["Harness"]


class Harness:
    """Opens stores in one directory, and is their broker's thread."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.posted: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self.logged: list[tuple[str, str, dict[str, object]]] = []
        self.failures: list[Exception] = []

    def open(self, durability: Durability = "fsync") -> LmdbStore:
        return LmdbStore(self.path, self.posted.put, self.posted.put, self._log, durability, self.failures.append)

    def turn(self) -> None:
        """Run what was posted so far."""
        while not self.posted.empty():
            self.posted.get()()

    def settle(self, store: LmdbStore) -> None:
        """Run turns until everything is durable."""
        while not store.settled:
            self.posted.get(timeout=10)()

    def _log(self, level: str, event: str, /, **details: object) -> None:
        self.logged.append((level, event, details))
