"""What happens to clients, told to whoever listens.

Kinds, and what their details say beside ``user``, ``address``, ``listener`` and, where there is one, ``mount_point``:

``connected``     a CONNECT was accepted: ``version``, ``session_present``;
``disconnected``  the connection of such a client has ended: ``reason``;
``refused``       a client was not let in ("connect") or may not do something: ``action``, ``topic``, and the ``rule``
                  that decided, in words; ``count`` where it has done the same again and again;
``takeover``      a new connection has taken the session from an old one: ``by``, the address of the new one;
``dropped``       messages were not delivered to a session: ``cause``, ``count``;
``slow``          a client has taken nothing from its full socket for a while: ``waiting_bytes``;
``omitted``       so many events in one second that the rest were not told: ``count``.

As long as nobody listens an event costs one test of ``Events.heard``, and a message that is delivered costs nothing in
any case: drops are added up for each session and told once a second.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from mqttbroker.sessions import SessionLimits

if TYPE_CHECKING:
    from mqttbroker.broker.connection import Connection
    from mqttbroker.broker.quiet import Log

__all__ = ["EventListener", "Events"]

EventListener = Callable[[str, str, float, dict[str, object]], None]
"""Takes the kind, the client identifier as the client gave it ("" where there is none), the time, and the details.
It must neither wait nor change the broker."""

PER_SECOND = 2_000
"""Events told between two ticks, at most."""
DROPPED = 200
"""Sessions whose drops are told in one tick, each by itself; those of all others are told together."""


class Events:
    """The listeners of one broker, and what is to be told once a second."""

    __slots__ = ("_left", "_limits", "_listeners", "_log", "_omitted", "_refusals", "_stalled", "heard")

    def __init__(self, limits: SessionLimits, log: Log) -> None:
        self.heard: bool = False
        """Whether anybody listens. Ask before you emit."""
        self._limits = limits
        self._log = log
        self._listeners: list[EventListener] = []
        self._left: int = PER_SECOND
        self._omitted: int = 0
        self._refusals: dict[tuple[str, str, str], tuple[str, dict[str, object], int]] = {}
        """What was refused since the last tick, and how often again."""
        self._stalled: dict[Connection, bool] = {}
        """Clients with a full socket; whether that was so at a tick before."""

    def listen(self, listener: EventListener) -> None:
        """Tell this listener of everything that happens from now on."""
        self._listeners.append(listener)
        self.heard = True
        if self._limits.drops is None:
            self._limits.drops = {}

    def unlisten(self, listener: EventListener) -> None:
        """Tell this listener of nothing more. No error where it was not listening."""
        if listener in self._listeners:
            self._listeners.remove(listener)
        if not self._listeners:
            self.heard = False
            self._limits.drops = None
            self._refusals = {}
            self._stalled = {}
            self._omitted = 0

    def emit(self, kind: str, client_id: str, now: float, details: dict[str, object]) -> None:
        """Tell of an event, unless there were too many in this second."""
        if self._left <= 0:
            self._omitted += 1
            return
        self._left -= 1
        self._tell(kind, client_id, now, details)

    def refused(self, client_id: str, now: float, details: dict[str, object]) -> None:
        """Tell of a refusal: at once when it is the first of its kind in this second, else with the next tick."""
        key = (client_id or str(details.get("address")), str(details.get("action")), str(details.get("topic")))
        known = self._refusals.get(key)
        if known is not None:
            self._refusals[key] = (client_id, details, known[2] + 1)
            return
        if self._left > 0:
            self._refusals[key] = (client_id, details, 0)
        self.emit("refused", client_id, now, details)

    def stalled(self, connection: Connection) -> None:
        """The socket of a client is full. It is told of if that stays so from one tick to the next."""
        self._stalled.setdefault(connection, False)

    def tick(self, now: float) -> None:
        """Tell what has added up; to be called about once a second."""
        self._left = PER_SECOND
        if self._omitted:
            omitted, self._omitted = self._omitted, 0
            self.emit("omitted", "", now, {"count": omitted})
        refusals, self._refusals = self._refusals, {}
        for client_id, details, again in refusals.values():
            if again:
                self.emit("refused", client_id, now, {**details, "count": again})
        self._tell_drops(now)
        self._tell_slow(now)

    def _tell_drops(self, now: float) -> None:
        drops = self._limits.drops
        if not drops:
            return
        self._limits.drops = {}
        others: dict[str, int] = {}
        for place, (session, by_cause) in enumerate(drops.items()):
            for cause, count in by_cause.items():
                if place < DROPPED:
                    details: dict[str, object] = {"user": session.username, "listener": session.listener}
                    if session.mount_point:
                        details["mount_point"] = session.mount_point
                    self.emit("dropped", session.name, now, {**details, "cause": cause.value, "count": count})
                else:
                    others[cause.value] = others.get(cause.value, 0) + count
        for name, count in others.items():
            self.emit("dropped", "", now, {"cause": name, "count": count})

    def _tell_slow(self, now: float) -> None:
        for connection, before in list(self._stalled.items()):
            if not connection.stalled_at or not connection.accepted:
                del self._stalled[connection]
                continue
            if not before and now >= connection.stalled_at + 1.0:
                self._stalled[connection] = True
                details = {**connection.whereabouts(), "waiting_bytes": connection.carrier.waiting()}
                self.emit("slow", connection.identity.client_id, now, details)

    def _tell(self, kind: str, client_id: str, now: float, details: dict[str, object]) -> None:
        for listener in list(self._listeners):
            try:
                listener(kind, client_id, now, details)
            except Exception as error:
                self._log("error", "listener failed, and is told no more", error=repr(error), exception=error)
                self.unlisten(listener)
