"""How many messages are waiting for clients.

No total is kept, since each message would pay for it. Sessions are looked at in turns instead, a part of them each
second: what is told of them is up to ``PASS`` seconds old, and exact where there are few.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from mqttbroker.sessions import Session

__all__ = ["Depths", "QueueSurvey"]

AT_ONCE: Final = 1_000
"""Sessions that are looked at in one turn, at least."""
PASS: Final = 30
"""Turns in which all sessions have been looked at."""
FILLING: Final = 0.7
"""Part of what a session may be owed, from which on it is named."""
NAMED: Final = 20
"""Sessions that are named at most."""


@dataclass(slots=True)
class Depths:
    """What the sessions of a broker are owed, in messages where nothing else is said."""

    sessions: int = 0
    """Sessions that are owed anything."""
    messages: int = 0
    """Messages in flight and waiting."""
    inflight: int = 0
    """Messages that were sent and are not acknowledged yet, to clients that are connected."""
    longest: int = 0
    """What the session that is owed the most is owed."""
    filling: dict[str, float] = field(default_factory=dict)
    """The part of their limit that sessions have reached, of some of those that come near it."""


class QueueSurvey:
    """Goes through the sessions of one broker, again and again."""

    def __init__(self, sessions: dict[str, Session]) -> None:
        self._sessions = sessions
        self._left: list[Session] = []
        self._counted = Depths()
        self._known = Depths()
        self._per_turn = AT_ONCE

    @property
    def depths(self) -> Depths:
        """The depths of the queues now, or as they were found last where there are many sessions."""
        if len(self._sessions) > AT_ONCE:
            return self._known
        depths = Depths()
        for session in self._sessions.values():
            _count(session, depths)
        return depths

    def advance(self) -> None:
        """Look at some more sessions. To be called about once a second."""
        if len(self._sessions) <= AT_ONCE:
            self._left = []
            return
        if not self._left:
            self._left = list(self._sessions.values())
            self._counted = Depths()
            self._per_turn = max(AT_ONCE, -(-len(self._left) // PASS))
        for session in self._left[-self._per_turn :]:
            if self._sessions.get(session.client_id) is session:
                _count(session, self._counted)
        del self._left[-self._per_turn :]
        if not self._left:
            self._known = self._counted


def _count(session: Session, depths: Depths) -> None:
    load = session.load
    if load:
        depths.sessions += 1
        depths.messages += load
        depths.inflight += len(session.inflight)
        if load > depths.longest:
            depths.longest = load
        limits = session.limits
        part = max(load / limits.max_messages, session.owed_bytes / limits.max_bytes)
        if part >= FILLING and len(depths.filling) < NAMED:
            depths.filling[session.client_id] = part
