"""Traces of one broker: which there are, and which connections have a tap for them.

Without a trace there are no taps, and all that it costs is one test for each piece of data that is read, one for each
connection that is accepted, and one when it ends. A trace of a client has a tap on its connection, and on each new
connection until its CONNECT has told whose it is; one of an address on all connections from there; one of a topic
filter on every connection of the broker.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mqttbroker.broker.tap import Tap
from mqttbroker.broker.trace import Trace
from mqttbroker.broker.traced import Found

if TYPE_CHECKING:
    from mqttbroker.broker.connection import Connection
    from mqttbroker.broker.core import BrokerCore

__all__ = ["TooManyTraces", "Tracing"]

MOST_TRACES: Final = 8


class TooManyTraces(Exception):
    """As many traces as there may be are under way."""


class Tracing:
    """The traces of one broker."""

    def __init__(self, core: BrokerCore) -> None:
        self.on: bool = False
        """Whether there is any trace. Ask before you call what tells of a connection."""
        self.traces: list[Trace] = []
        self._last: int = 0
        self._core: BrokerCore = core

    def begin(self, trace: Trace) -> None:
        """Begin a trace. Raises :class:`TooManyTraces`."""
        if len(self.traces) >= MOST_TRACES:
            raise TooManyTraces(f"there are {MOST_TRACES} traces already")
        self._last += 1
        trace.number = self._last
        self.traces.append(trace)
        self.on = True
        for connection in self._candidates(trace):
            if not trace.ended:
                self._look_at(connection, trace)

    def end(self, trace: Trace, reason: str) -> None:
        """End a trace, unless it has ended already."""
        if not trace.ended:
            trace.ended = reason
        if trace not in self.traces:
            return
        self.traces.remove(trace)
        self.on = bool(self.traces)
        for connection in self._candidates(trace):
            if connection.tap is not None:
                self._withdraw(connection.tap, trace)
        trace.wake()

    def end_all(self, reason: str) -> None:
        """End all traces."""
        for trace in list(self.traces):
            self.end(trace, reason)

    def _candidates(self, trace: Trace) -> list[Connection]:
        """The connections that a trace may concern."""
        client = trace.target.client
        core = self._core
        if client is None:
            return list(core.connections)
        connected = core.registry.online.get(client)
        found = [each for each in core.connections if not each.accepted]
        return found if connected is None else [connected, *found]

    # What connections tell.

    def opened(self, connection: Connection) -> None:
        """A connection was accepted, or turns out to come from another address than it seemed to."""
        for trace in list(self.traces):
            self._look_at(connection, trace)

    def identified(self, tap: Tap) -> None:
        """A CONNECT has told whose a connection is."""
        for trace in list(tap.traces):
            if trace.target.client is not None and trace.target.client != tap.known:
                self._withdraw(tap, trace)

    def note(self, trace: Trace, found: Found | None, size: int, now: float, counts: bool = True) -> None:
        """A tap has found something for a trace."""
        if now >= trace.ends_at:
            self.end(trace, "time")
        elif not trace.ended and trace.note(found, size, now, counts):
            self.end(trace, trace.ended)

    def failed(self, error: Exception) -> None:
        """A fault of our own: better no trace than a broker that is in the way of its clients."""
        self._core.log("error", "traces failed, and are ended", error=repr(error), exception=error)
        self.end_all("failed")

    def tick(self, now: float) -> None:
        """End what has come to its time; to be called about once a second."""
        for trace in list(self.traces):
            if now >= trace.ends_at:
                self.end(trace, "time")

    def _look_at(self, connection: Connection, trace: Trace) -> None:
        """Give a connection a tap if the trace may be about it."""
        target = trace.target
        tap = connection.tap
        if target.network is not None and not target.includes(connection.peer.address):
            if tap is not None:
                self._withdraw(tap, trace)
        elif tap is None:
            tap = Tap(self, connection)
            if tap.may_concern(target):
                tap.traces.append(trace)
                tap.begin()
        elif trace not in tap.traces and tap.may_concern(target):
            tap.traces.append(trace)

    def _withdraw(self, tap: Tap, trace: Trace) -> None:
        if trace in tap.traces:
            tap.traces.remove(trace)
            if not tap.traces:
                tap.end()
