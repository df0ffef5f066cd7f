"""Checks of passwords in a few threads, with results that come back to the event loop.

The only module of this package that knows an event loop. It satisfies ``RunInThread``.

Invariants: results arrive in the loop's thread; after :meth:`ThreadOffload.close` no thread is left. Threads are
started with the first check, so a broker that checks no passwords has none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

__all__ = ["ThreadOffload"]


class ThreadOffload:
    """Runs work in at most ``max_workers`` threads for one event loop.

    Each check of a password takes a core, and about 64 MiB of memory with argon2's usual costs, while it runs.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, max_workers: int = 2) -> None:
        self._loop: asyncio.AbstractEventLoop = loop
        self._pool: ThreadPoolExecutor = ThreadPoolExecutor(max_workers, thread_name_prefix="password-check")

    def __call__(self, work: Callable[[], bool], done: Callable[[bool | Exception], None]) -> None:
        """Run ``work``, then call ``done`` in the loop's thread. Once closed, call it at once with an exception."""

        def finished(future: Future[bool]) -> None:
            # Nobody waits any more for a result that comes after the loop was closed.
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(done, _outcome(future))

        try:
            future = self._pool.submit(work)
        except RuntimeError as error:
            done(error)
        else:
            future.add_done_callback(finished)

    def close(self) -> None:
        """Give up what has not begun and wait for what has: one check per thread at the most."""
        self._pool.shutdown(wait=True, cancel_futures=True)


def _outcome(future: Future[bool]) -> bool | Exception:
    try:
        return future.result()
    except Exception as error:  # CancelledError of this package is one, unlike that of asyncio.
        return error
