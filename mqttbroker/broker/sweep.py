"""Messages that expire while nobody comes for them.

A message that has expired is dropped when its turn to be sent comes [MQTT-3.3.2-5]. For a client that stays away it
never comes, so that the stored queues are gone through, a little each second, one session after another: the room
that expired messages take is given back in the end, and costs nobody a pause.
"""

from __future__ import annotations

from mqttbroker.sessions import Session

__all__ = ["ExpirySweep"]

PER_TICK = 1_000
"""Messages, and sessions without any, that are looked at in one tick: some milliseconds' work. A large message counts
for as many as it has pages.
"""


class ExpirySweep:
    """Goes through the queues of all sessions, again and again."""

    def __init__(self, sessions: dict[str, Session]) -> None:
        self._sessions = sessions
        self._left: list[Session] = []

    def advance(self, now: float) -> None:
        """Look at the next messages; a pass that ends is not followed by another in the same tick."""
        if not self._left:
            self._left = list(self._sessions.values())
        budget = PER_TICK
        while self._left and budget > 0:
            session = self._left[-1]
            if self._sessions.get(session.client_id) is session:
                budget -= session.sweep(now, budget)
                if session.swept:
                    return
            self._left.pop()
            budget -= 1
