"""What the sessions of one broker share: bounds, the store, the count of what was dropped, and work that waits for
its turn.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from mqttbroker.storage.store import Durable, Store

if TYPE_CHECKING:
    from mqttbroker.sessions.session import Session

__all__ = ["PAGE", "SLICE", "Drop", "SessionLimits"]

SLICE = 4_194_304
"""Bytes of messages, above which no more are read from the store at once: others wait meanwhile."""
PAGE = 4_096
"""Bytes that are read in about the time that one more message takes."""


class Drop(StrEnum):
    """Why a message was not delivered to a session."""

    QUEUE_FULL = "queue_full"
    CONGESTED = "congested"
    EXPIRED = "expired"
    TOO_LARGE = "too_large"
    SESSION_ENDED = "session_ended"
    PURGED = "purged"


class SessionLimits:
    """What all sessions of one broker share: bounds, the store, the count of drops, and the list of unfinished work."""

    __slots__ = (
        "burst",
        "drop_oldest",
        "dropped",
        "drops",
        "max_bytes",
        "max_messages",
        "max_total_bytes",
        "message_bytes_sent",
        "messages_sent",
        "owed_bytes",
        "store",
        "stranded",
        "unfinished",
        "window",
    )

    def __init__(
        self,
        store: Store,
        max_messages: int,
        max_bytes: int,
        window: int,
        burst: int,
        drop_oldest: bool = True,
        max_total_bytes: int = 2**53,
    ) -> None:
        self.store: Store = store
        self.max_messages: int = max_messages
        self.max_bytes: int = max_bytes
        self.window: int = window
        """Messages of a stored queue that are held in memory."""
        self.burst: int = burst
        """Bytes that one session writes before others have their turn."""
        self.drop_oldest: bool = drop_oldest
        self.max_total_bytes: int = max_total_bytes
        self.owed_bytes: int = 0
        """Bytes that all sessions together are owed."""
        self.messages_sent: int = 0
        self.message_bytes_sent: int = 0
        """Bytes of whole PUBLISH packets."""
        self.dropped: dict[Drop, int] = dict.fromkeys(Drop, 0)
        self.drops: dict[Session, dict[Drop, int]] | None = None
        """The same by session, since it was last asked for; ``None`` as long as nobody asks."""
        self.unfinished: dict[Session, None] = {}
        """Sessions that wrote a whole burst and have more to send, in the order of their turns."""
        self.stranded: list[Durable] = []
        """QoS 2 messages, in the order in which they are to be sent, whose commit found no room; see ``go_on``."""

    def go_on(self) -> None:
        """Send what is stranded, if the store has room again. Called about once a second."""
        if self.stranded and self.store.accepting:
            stranded, self.stranded = self.stranded, []
            for send in stranded:
                self.store.when_durable(send)
