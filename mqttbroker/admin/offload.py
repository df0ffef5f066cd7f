"""Work that waits for the disk or takes a core for long, in a thread: checks of passwords, files that are written.

One thread, so that pieces of work are done in the order in which they were given.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from mqttbroker.admin.problems import Problem

__all__ = ["MOST_WAITING", "Offload"]

MOST_WAITING: Final = 32
"""Pieces of work that may wait; more than that are refused with 503."""

Result = TypeVar("Result")


class Offload:
    """A thread for one event loop. It begins with the first piece of work."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="mqttbroker-admin")
        self._waiting = 0

    async def __call__(self, work: Callable[[], Result]) -> Result:
        """Do ``work`` in the thread, give what it returns or raises."""
        if self._waiting >= MOST_WAITING:
            raise Problem(503, "too much waits to be done", headers={"Retry-After": "1"})
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """Finish what is waiting, end the thread."""
        self._pool.shutdown(wait=True)
