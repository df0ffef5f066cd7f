"""What was written since the last commit began: not a list of operations, but the state that they lead to.

A message that is queued and acknowledged within one batch leaves nothing to write. Reads look here first, then in the
batch that is being committed, then in the file.
"""

from __future__ import annotations

from mqttbroker.storage.lmdb.codec import SessionHeader
from mqttbroker.storage.messages import Message, QueuedMessage
from mqttbroker.storage.records import SubscriptionRecord, WillRecord
from mqttbroker.storage.store import Durable

__all__ = ["KEEP", "Batch", "Changes", "StoredSession", "forget_session", "merge"]

KEEP = -1
"""In a mark: leave the packet identifier as it is."""


class Changes:
    """Changes to one session's queue."""

    __slots__ = ("enqueued", "gone", "marks", "next_sequence")

    def __init__(self) -> None:
        self.enqueued: dict[int, QueuedMessage] = {}
        self.gone: dict[int, None] = {}
        """Sequence numbers that were in the file, or on their way into it, and are not any more."""
        self.marks: dict[int, tuple[int, bool]] = {}
        """Packet identifier and whether PUBREC came. Of entries that are enqueued here as well: the messages themselves
        are the sessions', who change them while the writer works. Were it to look at them, it might find that the later
        of two messages was sent and the earlier was not.
        """
        self.next_sequence: int = 0


class StoredSession:
    """A session that the store knows: its number, and what is under way for it."""

    __slots__ = ("changes", "committing", "next_sequence", "number")

    def __init__(self, number: int, next_sequence: int = 1) -> None:
        self.number: int = number
        self.next_sequence: int = next_sequence
        self.changes: Changes | None = None
        """Its part of the open batch."""
        self.committing: Changes | None = None
        """Its part of the batch that is being committed."""


class Batch:
    """Everything that one transaction is to bring about."""

    __slots__ = (
        "callbacks",
        "corrupt",
        "deleted",
        "incoming",
        "queues",
        "retained",
        "sessions",
        "size",
        "subscriptions",
        "wills",
    )

    def __init__(self) -> None:
        self.sessions: dict[int, SessionHeader] = {}
        self.deleted: dict[int, None] = {}
        self.subscriptions: dict[tuple[int, bytes], SubscriptionRecord | None] = {}
        self.wills: dict[int, WillRecord | None] = {}
        self.incoming: dict[tuple[int, int], bool] = {}
        self.queues: dict[int, tuple[StoredSession, Changes]] = {}
        self.retained: dict[str, Message | None] = {}
        self.corrupt: list[tuple[str, bytes]] = []
        """Database and key of records to be set aside."""
        self.callbacks: list[Durable] = []
        self.size: int = 0
        """Bytes of messages, roughly."""

    @property
    def empty(self) -> bool:
        """Whether there is nothing to write."""
        if self.sessions or self.deleted or self.subscriptions or self.wills or self.incoming or self.retained:
            return False
        if self.corrupt:
            return False
        return not any(changes.enqueued or changes.gone or changes.marks for _, changes in self.queues.values())


def forget_session(batch: Batch, number: int) -> None:
    """Take out everything that the batch would write for a session."""
    batch.sessions.pop(number, None)
    batch.wills.pop(number, None)
    batch.queues.pop(number, None)
    for table in (batch.subscriptions, batch.incoming):
        for key in [key for key in table if key[0] == number]:
            del table[key]  # type: ignore[arg-type]


def merge(older: Batch, newer: Batch) -> None:
    """Make of a batch that could not be written, and of what was written after it, one batch: the older."""
    for number in newer.deleted:
        forget_session(older, number)
    older.sessions.update(newer.sessions)
    older.deleted.update(newer.deleted)
    older.subscriptions.update(newer.subscriptions)
    older.wills.update(newer.wills)
    older.incoming.update(newer.incoming)
    older.retained.update(newer.retained)
    older.corrupt.extend(newer.corrupt)
    older.callbacks.extend(newer.callbacks)
    older.size += newer.size
    for number, (stored, changes) in newer.queues.items():
        if number in older.queues:
            _merge_changes(older.queues[number][1], changes)
        else:
            older.queues[number] = (stored, changes)
    for stored, changes in older.queues.values():
        stored.changes, stored.committing = changes, None


def _merge_changes(older: Changes, newer: Changes) -> None:
    for sequence in newer.gone:
        older.marks.pop(sequence, None)
        if older.enqueued.pop(sequence, None) is None:
            older.gone[sequence] = None
    for sequence, (packet_id, released) in newer.marks.items():
        before, was_released = older.marks.get(sequence, (KEEP, False))
        older.marks[sequence] = (before if packet_id == KEEP else packet_id, released or was_released)
    older.enqueued.update(newer.enqueued)
    older.next_sequence = max(older.next_sequence, newer.next_sequence)
