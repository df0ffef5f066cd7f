"""The durable store: LMDB files, written by one thread in groups.

The broker's thread never waits for a disk. It fills a :class:`Batch`; at the end of its turn the batch goes to the
:class:`Writer`, and when it is on disk its callbacks run in the broker's thread. While one batch syncs, the next one
fills.

When the disk is full, nothing is lost and nothing new is taken: the callbacks that waited get an error, the batch
stays and is tried again each time the broker's clock ticks (:meth:`LmdbStore.retry`), and meanwhile ``accepting`` is
false. Any other error of a commit is final: what the kernel did with the pages is not known, so the store closes
itself to writes for good and tells the broker, which stops (a sync that fails and then succeeds proves nothing).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import inf
from pathlib import Path
from typing import TypeVar

import lmdb

from mqttbroker.storage.lmdb import codec
from mqttbroker.storage.lmdb.batch import KEEP, Batch, Changes, StoredSession, forget_session, merge
from mqttbroker.storage.lmdb.commits import Commits
from mqttbroker.storage.lmdb.environment import Durability, fetch, is_full, rows
from mqttbroker.storage.lmdb.opening import open_environment
from mqttbroker.storage.lmdb.writer import Writer, read_counters
from mqttbroker.storage.messages import Message, QueuedMessage, bounded
from mqttbroker.storage.records import SessionRecord, SubscriptionRecord, WillRecord
from mqttbroker.storage.store import Durable, StoreError, StoreFull

__all__ = ["LmdbStore", "Post", "Report"]

Post = Callable[[Callable[[], None]], None]
"""Runs a function in the broker's thread, at the end of its present turn or soon after."""
Report = Callable[..., None]
"""Takes a line of the log, as ``BrokerCore.log`` does."""

T = TypeVar("T")

CONGESTED = 67_108_864
"""Bytes of messages waiting for the disk, above which publishers should be held back."""


class LmdbStore:
    """See :class:`mqttbroker.storage.store.Store` for the verbs.

    ``soon`` is called in the broker's thread only, ``post`` in the writer's. ``on_failure`` is told the error after
    which nothing more can be stored.
    """

    def __init__(
        self,
        path: Path,
        soon: Post,
        post: Post,
        log: Report,
        durability: Durability = "fsync",
        on_failure: Callable[[Exception], None] | None = None,
    ) -> None:
        self._environment = open_environment(path, durability)
        self._databases = self._environment.databases
        self._soon = soon
        self._post = post
        self._log = log
        self._on_failure = on_failure
        self._sessions: dict[str, StoredSession] = {}
        self._batch = Batch()
        self._committing: Batch | None = None
        self._handing_over = False
        self._finished: tuple[Batch, Exception | None] | None = None
        self.failure: Exception | None = None
        """The error after which nothing more can be stored."""
        self._next_session = 1
        self.settled: bool = True
        self.accepting: bool = True
        """False while the disk is full, and after a failure."""
        self.congested: bool = False
        self.commits: int = 0
        """Transactions since the store was opened."""
        try:
            self._load_numbers()
            self._writer = Writer(self._environment, self._done)
            self.latency: Commits = self._writer.commits
        except BaseException:
            self._environment.close()
            raise

    # Durability.

    def when_durable(self, callback: Durable) -> None:
        """Call back when everything written so far is durable."""
        if self.failure is not None:
            callback(StoreError(f"the store has failed: {self.failure}"))
        elif self.settled:
            callback(None)
        else:
            self._write().callbacks.append(callback)

    def retry(self) -> None:
        """Try again what did not fit on the disk. To be called from time to time."""
        if not self.accepting and self.failure is None and not self.settled:
            self._hand_over()

    def flush(self) -> None:
        """Wait until everything is durable, or has failed, and run the callbacks.

        Blocks: for the ends of a broker's life.
        """
        while not self.settled and self.failure is None:
            self._hand_over()
            self._writer.wait()
            self._collect()
            if not self.accepting:
                return

    def sizes(self) -> tuple[int, int] | None:
        """Bytes of the map, and of the pages in use; ``None`` where that cannot be told just now."""
        return self._environment.sizes()

    def close(self) -> None:
        """Commit what is left, run the callbacks, and close the files."""
        self.flush()
        self._writer.close()
        self._environment.close()

    def _write(self) -> Batch:
        """The open batch, for something that will be in it."""
        if self.settled:
            self.settled = False
        if not self._handing_over:
            self._handing_over = True
            self._soon(self._turn_over)
        return self._batch

    def _grow(self, size: int) -> None:
        self._batch.size += size
        if self._batch.size > CONGESTED:
            self.congested = True

    def _turn_over(self) -> None:
        self._handing_over = False
        if self.accepting:
            self._hand_over()

    def _hand_over(self) -> None:
        """Give the open batch to the writer, if it is idle."""
        if self._committing is not None or self.failure is not None:
            return
        batch = self._batch
        self._batch = Batch()
        for stored, changes in batch.queues.values():
            stored.committing, stored.changes = changes, None
        if batch.empty:
            self._complete(batch, None)
        else:
            self._committing = batch
            self._writer.commit(batch)

    def _done(self, batch: Batch, error: Exception | None) -> None:
        """Called in the writer's thread."""
        self._finished = (batch, error)
        self._post(self._collect)

    def _collect(self) -> None:
        """Take the writer's result, in the broker's thread."""
        finished, self._finished = self._finished, None
        if finished is not None:
            self._committing = None
            self.commits += 1
            self._complete(*finished)

    def _complete(self, batch: Batch, error: Exception | None) -> None:
        for stored, changes in batch.queues.values():
            if stored.committing is changes:
                stored.committing = None
        callbacks, batch.callbacks = batch.callbacks, []
        told = None if error is None else self._explain(error, batch)
        if error is None and not self.accepting and self.failure is None:
            self.accepting = True
            self._log("info", "the store has room again")
        if self.accepting and not self._batch.empty:
            # What arrived meanwhile syncs while the callbacks of this batch run.
            self._hand_over()
        self.congested = self._batch.size > CONGESTED
        for callback in callbacks:
            callback(told)
        if self.accepting and self._batch.callbacks:
            # There may be nothing to write for them, in which case their turn is now, and was not before.
            self._hand_over()
        self.settled = self._committing is None and self._batch.empty and not self._batch.callbacks

    def _explain(self, error: Exception, batch: Batch) -> StoreError:
        """Deal with a commit that failed; what its callbacks are told."""
        if not is_full(error, self._environment.path):
            self._fail(error)
            return StoreError(f"the store has failed: {error}")
        if self.accepting:
            self.accepting = False
            self._log("error", "the disk is full: nothing more is acknowledged", path=str(self._environment.path))
        merge(batch, self._batch)
        self._batch = batch
        return StoreFull("the disk is full")

    def _fail(self, error: Exception) -> None:
        self.failure = error
        self.accepting = False
        path = str(self._environment.path)
        self._log("error", "the store has failed and takes no more", path=path, error=repr(error))
        waiting, self._batch.callbacks = self._batch.callbacks, []
        for callback in waiting:
            callback(StoreError(f"the store has failed: {error}"))
        if self._on_failure is not None:
            self._on_failure(error)

    # Sessions.

    def _load_numbers(self) -> None:
        """Number each session that the file has."""
        for number, header, next_sequence in self._headers():
            self._sessions[header.client_id] = StoredSession(number, next_sequence)
        with self._environment.read() as transaction:
            # Of a session whose record is damaged the rest is still there, and must not become another session's.
            for name in PER_SESSION:
                with transaction.cursor(self._databases[name]) as cursor:
                    if cursor.last():
                        number = int.from_bytes(bytes(cursor.key())[:8], "big")
                        self._next_session = max(self._next_session, number + 1)

    def _headers(self) -> list[tuple[int, codec.SessionHeader, int]]:
        found = []
        with self._environment.read() as transaction:
            for key, value in rows(transaction, self._databases["sessions"]):
                header = self._readable("sessions", key, value, codec.unpack_session)
                if header is not None:
                    next_sequence, _, _ = read_counters(transaction, self._databases, key)
                    found.append((int.from_bytes(key, "big"), header, next_sequence))
        return found

    def sessions(self) -> Iterator[SessionRecord]:
        """Every session. Blocks while a commit is under way: for start-up."""
        self.flush()
        headers = self._headers()
        with self._environment.read() as transaction:
            found = [self._record(transaction, number, header) for number, header, _ in headers]
        for record in found:
            if record.client_id in self._sessions:
                yield record

    def _record(self, transaction: lmdb.Transaction, number: int, header: codec.SessionHeader) -> SessionRecord:
        key = codec.number_key(number)
        _, queued, queued_bytes = read_counters(transaction, self._databases, key)
        value = fetch(transaction, self._databases["wills"], key)
        incoming = rows(transaction, self._databases["incoming"], key)
        return SessionRecord(
            header.client_id,
            header.username,
            header.expiry_interval,
            header.expires_at,
            tuple(self._subscriptions(transaction, key)),
            tuple(int.from_bytes(each[8:], "big") for each, _ in incoming),
            None if value is None else self._readable("wills", key, value, codec.unpack_will),
            self._sessions[header.client_id].next_sequence,
            queued,
            queued_bytes,
            header.listener,
        )

    def _subscriptions(self, transaction: lmdb.Transaction, prefix: bytes) -> Iterator[SubscriptionRecord]:
        for key, value in rows(transaction, self._databases["subscriptions"], prefix):
            subscription = self._readable("subscriptions", key, value, codec.unpack_subscription)
            if subscription is not None:
                yield subscription

    def put_session(
        self, client_id: str, username: str | None, expiry_interval: int, expires_at: float, listener: str = ""
    ) -> None:
        """Create the session, or change its owner, expiry and listener."""
        stored = self._sessions.get(client_id)
        if stored is None:
            stored = self._sessions[client_id] = StoredSession(self._next_session)
            self._next_session += 1
        header = codec.SessionHeader(client_id, username, expiry_interval, expires_at, listener)
        self._write().sessions[stored.number] = header

    def delete_session(self, client_id: str) -> None:
        """Forget the session; its queue is deleted in slices, while others go on."""
        stored = self._sessions.pop(client_id, None)
        if stored is not None:
            batch = self._write()
            forget_session(batch, stored.number)
            batch.deleted[stored.number] = None

    def put_subscription(self, client_id: str, subscription: SubscriptionRecord) -> None:
        """Create the subscription, or replace that with the same filter."""
        stored = self._sessions.get(client_id)
        if stored is not None:
            key = (stored.number, codec.digest(subscription.topic_filter))
            self._write().subscriptions[key] = subscription

    def delete_subscription(self, client_id: str, topic_filter: str) -> None:
        """Forget the subscription."""
        stored = self._sessions.get(client_id)
        if stored is not None:
            self._write().subscriptions[stored.number, codec.digest(topic_filter)] = None

    def put_will(self, client_id: str, will: WillRecord) -> None:
        """Keep the session's will."""
        stored = self._sessions.get(client_id)
        if stored is not None:
            self._write().wills[stored.number] = will

    def delete_will(self, client_id: str) -> None:
        """Forget the session's will."""
        stored = self._sessions.get(client_id)
        if stored is not None:
            self._write().wills[stored.number] = None

    def put_incoming(self, client_id: str, packet_id: int) -> None:
        """Note that the QoS 2 message was taken over."""
        stored = self._sessions.get(client_id)
        if stored is not None:
            self._write().incoming[stored.number, packet_id] = True

    def delete_incoming(self, client_id: str, packet_id: int) -> None:
        """Note that PUBREL released the packet identifier."""
        stored = self._sessions.get(client_id)
        if stored is not None:
            self._write().incoming[stored.number, packet_id] = False

    # Queues.

    def _changes(self, stored: StoredSession) -> Changes:
        batch = self._write()
        changes = stored.changes
        if changes is None:
            changes = stored.changes = Changes()
            batch.queues[stored.number] = (stored, changes)
        return changes

    def enqueue(self, client_id: str, queued: QueuedMessage) -> None:
        """Append to the queue. Raise :class:`ValueError` when the sequence number is not above all before it."""
        stored = self._sessions.get(client_id)
        if stored is None:
            return
        sequence = queued.sequence
        if sequence < stored.next_sequence:
            raise ValueError(f"sequence number {sequence} is not above {stored.next_sequence - 1}")
        stored.next_sequence = sequence + 1
        changes = self._changes(stored)
        changes.enqueued[sequence] = queued
        if queued.packet_id or queued.released:
            changes.marks[sequence] = (queued.packet_id, queued.released)
        changes.next_sequence = sequence + 1
        self._grow(queued.message.size)

    def mark_sent(self, client_id: str, sequence: int, packet_id: int) -> None:
        """Note under which packet identifier the message was sent."""
        stored = self._sessions.get(client_id)
        if stored is None:
            return
        changes = self._changes(stored)
        queued = changes.enqueued.get(sequence)
        if queued is not None:
            queued.packet_id = packet_id
        changes.marks[sequence] = (packet_id, False)

    def mark_released(self, client_id: str, sequence: int) -> None:
        """Note that PUBREC arrived."""
        stored = self._sessions.get(client_id)
        if stored is None:
            return
        changes = self._changes(stored)
        queued = changes.enqueued.get(sequence)
        if queued is not None:
            queued.released = True
        packet_id = changes.marks.get(sequence, (KEEP, False))[0]
        changes.marks[sequence] = (packet_id, True)

    def dequeue(self, client_id: str, sequence: int) -> None:
        """Forget one message; one that was not written yet never will be."""
        stored = self._sessions.get(client_id)
        if stored is None:
            return
        changes = self._changes(stored)
        changes.marks.pop(sequence, None)
        queued = changes.enqueued.pop(sequence, None)
        if queued is not None:
            self._batch.size -= queued.message.size
        else:
            changes.gone[sequence] = None

    def read_queue(self, client_id: str, after: int, limit: int, size: float = inf) -> list[QueuedMessage]:
        """A slice of the queue: from the file, as changed by what is under way. Empty where the file is beyond reading,
        which is a failure of the store.
        """
        stored = self._sessions.get(client_id)
        if stored is None or limit <= 0:
            return []
        try:
            return self._read_queue(stored, after, limit, size)
        except StoreError as error:
            self._fail(error)
            return []

    def _read_queue(self, stored: StoredSession, after: int, limit: int, size: float) -> list[QueuedMessage]:
        under_way = [changes for changes in (stored.committing, stored.changes) if changes is not None]
        found: dict[int, QueuedMessage] = {}
        held = 0
        prefix = codec.number_key(stored.number)
        start = codec.pair_key(stored.number, after + 1)
        with self._environment.read() as transaction:
            for key, value in rows(transaction, self._databases["queue"], prefix, start):
                sequence = int.from_bytes(key[8:], "big")
                if not any(sequence in changes.gone for changes in under_way):
                    queued = self._queued(transaction, key, value, sequence)
                    if queued is not None:
                        for changes in under_way:
                            _mark(queued, changes.marks.get(sequence))
                        found[sequence] = queued
                        held += queued.message.size
                if len(found) == limit or held >= size:
                    break
        for number, changes in enumerate(under_way):
            for sequence, queued in changes.enqueued.items():
                if sequence > after and not any(sequence in later.gone for later in under_way[number + 1 :]):
                    for later in under_way[number + 1 :]:
                        _mark(queued, later.marks.get(sequence))
                    found[sequence] = queued
        return bounded((found[sequence] for sequence in sorted(found)), limit, size)

    def _queued(self, transaction: lmdb.Transaction, key: bytes, value: bytes, sequence: int) -> QueuedMessage | None:
        entry = self._readable("queue", key, value, codec.unpack_entry)
        if entry is None:
            return None
        message = entry.message
        if message is None:
            body = codec.number_key(entry.body)
            stored = fetch(transaction, self._databases["bodies"], body)
            if stored is not None:
                message = self._readable("bodies", body, stored, codec.unpack_message)
            if message is None:
                self._log("error", "message lost with its damaged record", database="queue", key=key.hex())
                self._write().corrupt.append(("queue", key))
                return None
        return QueuedMessage(
            sequence,
            message,
            entry.flags & 3,
            bool(entry.flags & codec.RETAIN),
            entry.identifiers,
            entry.packet_id,
            bool(entry.flags & codec.RELEASED),
            entry.share,
        )

    # Retained messages.

    def retained(self) -> Iterator[Message]:
        """Every retained message. Blocks while a commit is under way: for start-up."""
        self.flush()
        with self._environment.read() as transaction:
            found = list(rows(transaction, self._databases["retained"]))
        for key, value in found:
            message = self._readable("retained", key, value, codec.unpack_message)
            if message is not None:
                yield message

    def put_retained(self, message: Message) -> None:
        """Keep the message as its topic's retained message."""
        batch = self._write()
        batch.retained[message.topic] = message
        self._grow(message.size)

    def delete_retained(self, topic: str) -> None:
        """Forget the topic's retained message."""
        self._write().retained[topic] = None

    # Damage.

    def _readable(self, name: str, key: bytes, value: bytes, unpack: Callable[[bytes], T]) -> T | None:
        """The record, or ``None`` where it is damaged: then it is named in the log and set aside."""
        try:
            return unpack(codec.unseal(key, value))
        except codec.UNREADABLE as error:
            self._log("error", "damaged record set aside", database=name, key=key.hex(), error=str(error))
            self._write().corrupt.append((name, key))
            return None


PER_SESSION = ("sessions", "counters", "subscriptions", "wills", "incoming", "queue", "doomed")
"""Databases whose keys begin with the number of a session."""


def _mark(queued: QueuedMessage, mark: tuple[int, bool] | None) -> None:
    if mark is not None:
        packet_id, released = mark
        if packet_id != KEEP:
            queued.packet_id = packet_id
        queued.released = queued.released or released
