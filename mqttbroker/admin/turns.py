"""Whoever asks much of the admin server leaves the loop to messages for most of the time.

The server works in the broker's own event loop, a piece at a time: a request, or a part of a long one. Between two
pieces, whoever asked for them, the loop goes round a good many times, so that a loop that has much to do does mostly
that. A loop that has nothing to do goes round quickly, and somebody who asks for one thing now and then does not wait.
"""

from __future__ import annotations

import asyncio
import time
from typing import Final

__all__ = ["Turns"]

ROUNDS: Final = 100
"""How often the loop goes round between two pieces of work, at least."""
LONGEST: Final = 0.025
"""Seconds after which it is enough all the same: a loop with very much to do takes long to go round."""


class Turns:
    """The turns of one server."""

    def __init__(self) -> None:
        self._one_by_one = asyncio.Lock()
        self._last = 0.0

    async def others(self) -> None:
        """Wait until others have had their turns since the last piece of work, of this request or of another."""
        async with self._one_by_one:
            until = self._last + LONGEST
            for _ in range(ROUNDS):
                if time.monotonic() >= until:
                    break
                await asyncio.sleep(0)
            self._last = time.monotonic()
