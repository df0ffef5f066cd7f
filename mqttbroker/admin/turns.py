"""Whoever asks much of the admin server leaves the loop to messages for most of the time.

The server works in the broker's own event loop, a piece at a time: a request, or a part of a long one. Between two
pieces, whoever asked for them, there is a pause as long as many pieces, as long as messages come. Where few come there
is only a short one, to see that; and who asks for one thing now and then does not wait at all.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

__all__ = ["Turns"]

PAUSE: Final = 0.025
"""Seconds between two pieces of work while there is much to do. A piece takes about one millisecond."""
STEP: Final = 0.002
"""Seconds after which it is seen whether there is."""
MUCH: Final = 10
"""Messages in a step, received and sent. So many take some hundredths of the time of a core."""


def _none() -> int:
    return 0


class Turns:
    """The turns of one server. ``handled`` tells how many messages have been handled until now."""

    def __init__(self, handled: Callable[[], int] = _none) -> None:
        self._handled = handled
        self._one_by_one = asyncio.Lock()
        self._last = 0.0

    async def others(self) -> None:
        """Wait until others have had their turns since the last piece of work, of this request or of another."""
        async with self._one_by_one:
            until = self._last + PAUSE
            while (left := until - time.monotonic()) > 0.0:
                before = self._handled()
                await asyncio.sleep(min(STEP, left))
                if self._handled() - before < MUCH:
                    break
            self._last = time.monotonic()
