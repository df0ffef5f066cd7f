"""What listeners share: the broker's core, its clock, its turns, and who watches the sockets.

A turn is one round of the event loop. Whatever the connections that were read in it have written to one another is
sent at its end, in one piece for each of them: :meth:`Host.flush_soon` after every entrance into the core sees to
that.

Everything here runs in the thread of one event loop.
"""

from __future__ import annotations

import asyncio
import time

from mqttbroker.broker import BrokerCore
from mqttbroker.listeners.transport import HAS_EPOLL, Poller
from mqttbroker.sessions import Carrier

__all__ = ["Clock", "Host"]

FLUSH_NOW = 65_536
"""Bytes of one read past which the outboxes are emptied at once: they should not grow for a whole turn."""
TICK = 1.0


class Clock:
    """Seconds since the epoch that never go back: a change of the machine's clock is not noticed until the next
    start.
    """

    __slots__ = ("_offset",)

    def __init__(self) -> None:
        self._offset: float = time.time() - time.monotonic()

    def __call__(self) -> float:
        return self._offset + time.monotonic()

    def advance(self, seconds: float) -> None:
        """Let time pass at once: for tests of what takes long."""
        self._offset += seconds


class Host:
    """One broker core in one event loop."""

    def __init__(self, core: BrokerCore, clock: Clock, loop: asyncio.AbstractEventLoop) -> None:
        self.core: BrokerCore = core
        core.wake = self.flush_soon
        self.clock: Clock = clock
        self.loop: asyncio.AbstractEventLoop = loop
        self.poller: Poller | None = Poller(loop, self._begin_turn, self._end_turn) if HAS_EPOLL else None
        self.carriers: set[Carrier] = set()
        """Those whose sockets are open, also of connections that have ended."""
        self.stopping: bool = False
        """Whether the broker stops, and waits for no client that does not close its side."""
        self._idle: asyncio.Event = asyncio.Event()
        self._flush_due: bool = False
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to tick."""
        self._timer = self.loop.call_later(TICK, self._tick)

    def stop(self) -> None:
        """Tick no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.poller is not None:
            self.poller.close()

    def read(self, count: int) -> None:
        """So many bytes were read and handled: send what came of it, at the latest at the end of this turn."""
        if count >= FLUSH_NOW:
            self.flush()
        else:
            self.flush_soon()

    def flush_soon(self) -> None:
        """Send what is in the outboxes at the end of this turn."""
        if not self._flush_due:
            self._flush_due = True
            self.loop.call_soon(self._end_turn)

    def flush(self) -> None:
        """Send what is in the outboxes now."""
        if self.core.flush():
            self.flush_soon()

    def _begin_turn(self) -> None:
        self._flush_due = True  # At the end of it, whatever happens.

    def _end_turn(self) -> None:
        self._flush_due = False
        self.flush()

    def _tick(self) -> None:
        self._timer = self.loop.call_later(TICK, self._tick)
        self.tick()

    def tick(self) -> None:
        """Do what is due."""
        self.core.tick(self.clock())
        self.flush_soon()

    # Who is open, for those who wait for the last to close.

    def carrier_opened(self, carrier: Carrier) -> None:
        """A carrier is in use."""
        self.carriers.add(carrier)
        self._idle.clear()

    def carrier_closed(self, carrier: Carrier) -> None:
        """A carrier has let go of its socket."""
        self.carriers.discard(carrier)
        if not self.carriers:
            self._idle.set()

    async def idle(self) -> None:
        """Wait until no carrier is open."""
        if self.carriers:
            await self._idle.wait()
