"""The thread that owns the write transaction: one batch after another, each in one transaction.

While a batch syncs, the next one fills; so the more there is to write, the more goes into one sync. Between batches,
queues of sessions that have ended are deleted in slices.

The thread shares two things with the broker's: the batch it was given, which the broker's thread does not change any
more (but for the ``packet_id`` and ``released`` of messages in it, which the thread must not look at: ``marks`` has
them), and the environment.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import islice
from typing import cast

import lmdb

from mqttbroker.storage.lmdb import codec
from mqttbroker.storage.lmdb.batch import Batch, Changes
from mqttbroker.storage.lmdb.commits import Commits
from mqttbroker.storage.lmdb.environment import Databases, Environment, fetch, is_full, rows
from mqttbroker.storage.messages import Message, QueuedMessage

__all__ = ["Writer", "read_counters"]

UNSENT = (0, False)
DELETED_PER_TURN = 2_000
"""Entries of an ended session's queue that are deleted in one transaction."""


class Writer:
    """Commits batches. ``done`` is called in this thread with each batch and the error that it ended with, if any."""

    def __init__(self, environment: Environment, done: Callable[[Batch, Exception | None], None]) -> None:
        self.commits: Commits = Commits()
        """How long they take."""
        self._environment = environment
        self._done = done
        self._given = threading.Condition()
        self._batch: Batch | None = None
        self._working = False
        self._closing = False
        self._next_body = _after_last(environment)
        self._doomed = _doomed(environment)
        self._bury_later = False
        """Whether there was no room to delete; a commit that succeeds shows that there is again."""
        self._failure: Exception | None = None
        self._worker = threading.Thread(target=self._run, name="mqttbroker-store", daemon=True)
        self._worker.start()

    def commit(self, batch: Batch) -> None:
        """Commit the batch; the one before it must be done."""
        with self._given:
            self._batch = batch
            self._given.notify_all()

    def wait(self) -> None:
        """Block until the batch is done, if there is one."""
        with self._given:
            while self._batch is not None or self._working:
                self._given.wait()

    def close(self) -> None:
        """End the thread, after the batch that it has."""
        with self._given:
            self._closing = True
            self._given.notify_all()
        self._worker.join()

    def _run(self) -> None:
        while True:
            with self._given:
                while self._batch is None and not self._closing and (self._bury_later or not self._doomed):
                    self._given.wait()
                batch, self._batch = self._batch, None
                self._working = batch is not None
                if batch is None and self._closing:
                    return
            if batch is not None:
                self._done(batch, self._commit(batch))
                with self._given:
                    self._working = False
                    self._given.notify_all()
            elif self._doomed:
                self._bury()

    def _commit(self, batch: Batch) -> Exception | None:
        if self._failure is not None:
            return self._failure
        applied = _Applied(self._next_body)
        self.commits.begin()
        try:
            self._environment.write(lambda transaction: applied.apply(transaction, self._environment.databases, batch))
        except Exception as error:
            self.commits.end(False)
            return error
        self.commits.end(True)
        self._next_body = applied.next_body
        self._doomed.extend(batch.deleted)
        self._bury_later = False
        return None

    def _bury(self) -> None:
        """Delete a slice of what ended sessions have left behind."""
        number = self._doomed[0]
        finished = False

        def work(transaction: lmdb.Transaction) -> None:
            nonlocal finished
            finished = _delete_slice(transaction, self._environment.databases, number)

        try:
            self._environment.write(work)
        except Exception as error:
            # Nothing waits for it. But after a sync that failed, the next must not be taken for one that succeeds.
            self._bury_later = True
            if not is_full(error, self._environment.path):
                self._failure = error
        if finished:
            self._doomed.pop(0)


class _Applied:
    """One attempt to bring a batch into the file."""

    def __init__(self, next_body: int) -> None:
        self._first_body = next_body
        self.next_body = next_body

    def apply(self, transaction: lmdb.Transaction, databases: Databases, batch: Batch) -> None:
        self.next_body = self._first_body
        _set_aside(transaction, databases, batch)
        _apply_sessions(transaction, databases, batch)
        self._apply_queues(transaction, databases, batch)
        for topic, message in batch.retained.items():
            _put_or_delete(
                transaction,
                databases["retained"],
                codec.digest(topic),
                None if message is None else codec.pack_message(message),
            )

    def _apply_queues(self, transaction: lmdb.Transaction, databases: Databases, batch: Batch) -> None:
        added = [
            (number, sequence, queued, changes.marks.get(sequence, UNSENT))
            for number, (_, changes) in batch.queues.items()
            for sequence, queued in changes.enqueued.items()
        ]
        numbers = self._put_bodies(transaction, databases, [queued for _, _, queued, _ in added])
        entries = []
        for number, sequence, queued, (packet_id, released) in added:
            key = codec.pair_key(number, sequence)
            body = numbers.get(id(queued.message), 0)
            entries.append((key, codec.seal(key, codec.pack_entry(queued, body, max(packet_id, 0), released))))
        entries.sort()
        with transaction.cursor(databases["queue"]) as cursor:
            cursor.putmulti(entries)
        for number, (_, changes) in batch.queues.items():
            _apply_changes(transaction, databases, number, changes)

    def _put_bodies(
        self, transaction: lmdb.Transaction, databases: Databases, queued: Iterable[QueuedMessage]
    ) -> dict[int, int]:
        """Write the messages that several entries share; their numbers by ``id`` of the message."""
        counts: dict[int, int] = {}
        messages: dict[int, Message] = {}
        for each in queued:
            identity = id(each.message)
            counts[identity] = counts.get(identity, 0) + 1
            messages[identity] = each.message
        numbers: dict[int, int] = {}
        bodies = []
        references = []
        for identity, count in counts.items():
            if count < 2:
                continue
            number = self.next_body
            self.next_body += 1
            numbers[identity] = number
            key = codec.number_key(number)
            bodies.append((key, codec.seal(key, codec.pack_message(messages[identity]))))
            references.append((key, count.to_bytes(4, "big")))
        if bodies:
            with transaction.cursor(databases["bodies"]) as cursor:
                cursor.putmulti(bodies, append=True)
            with transaction.cursor(databases["references"]) as cursor:
                cursor.putmulti(references, append=True)
        return numbers


def _set_aside(transaction: lmdb.Transaction, databases: Databases, batch: Batch) -> None:
    """Move damaged records away. Comes first, because the batch may put a new record under the same key."""
    queues = set()
    for name, key in batch.corrupt:
        value = transaction.pop(key, db=databases[name])
        if value is not None:
            transaction.put(name.encode() + b":" + key, value, db=databases["quarantine"])
            if name == "queue":
                queues.add(key[:8])
    for key in queues:
        next_sequence, _, _ = read_counters(transaction, databases, key)
        _, queued, queued_bytes = _count(transaction, databases, key)
        transaction.put(
            key, codec.seal(key, codec.pack_counters(next_sequence, queued, queued_bytes)), db=databases["counters"]
        )


def _apply_sessions(transaction: lmdb.Transaction, databases: Databases, batch: Batch) -> None:
    for number, header in batch.sessions.items():
        key = codec.number_key(number)
        transaction.put(key, codec.seal(key, codec.pack_session(header)), db=databases["sessions"])
    for (number, name), subscription in batch.subscriptions.items():
        key = codec.number_key(number) + name
        record = None if subscription is None else codec.pack_subscription(subscription)
        _put_or_delete(transaction, databases["subscriptions"], key, record)
    for number, will in batch.wills.items():
        record = None if will is None else codec.pack_will(will)
        _put_or_delete(transaction, databases["wills"], codec.number_key(number), record)
    for (number, packet_id), held in batch.incoming.items():
        key = codec.pair_key(number, packet_id)
        _put_or_delete(transaction, databases["incoming"], key, b"" if held else None)
    for number in batch.deleted:
        key = codec.number_key(number)
        for table in ("sessions", "counters", "wills"):
            transaction.delete(key, db=databases[table])
        for table in ("subscriptions", "incoming"):
            _delete_prefix(transaction, databases[table], key)
        transaction.put(key, b"", db=databases["doomed"])


def _apply_changes(transaction: lmdb.Transaction, databases: Databases, number: int, changes: Changes) -> None:
    if not (changes.enqueued or changes.gone or changes.marks):
        return
    for sequence, (packet_id, released) in changes.marks.items():
        if sequence in changes.enqueued:
            continue
        key = codec.pair_key(number, sequence)
        value = fetch(transaction, databases["queue"], key)
        if value is not None and sequence not in changes.gone:
            with suppress(codec.CorruptRecord):  # It is set aside when it is read.
                record = codec.remark_entry(codec.unseal(key, value), packet_id, released)
                transaction.put(key, codec.seal(key, record), db=databases["queue"])
    removed, removed_bytes = 0, 0
    for sequence in changes.gone:
        size = _delete_entry(transaction, databases, codec.pair_key(number, sequence))
        if size is not None:
            removed += 1
            removed_bytes += size
    key = codec.number_key(number)
    next_sequence, queued, queued_bytes = read_counters(transaction, databases, key)
    added_bytes = sum(each.message.size for each in changes.enqueued.values())
    counters = codec.pack_counters(
        max(next_sequence, changes.next_sequence),
        max(queued + len(changes.enqueued) - removed, 0),
        max(queued_bytes + added_bytes - removed_bytes, 0),
    )
    transaction.put(key, codec.seal(key, counters), db=databases["counters"])


def read_counters(transaction: lmdb.Transaction, databases: Databases, key: bytes) -> tuple[int, int, int]:
    """The counters of a session's queue; as of an empty one where they are missing or damaged."""
    value = fetch(transaction, databases["counters"], key)
    if value is None:
        return 1, 0, 0
    try:
        return codec.unpack_counters(codec.unseal(key, value))
    except codec.CorruptRecord:
        return _count(transaction, databases, key)


def _count(transaction: lmdb.Transaction, databases: Databases, prefix: bytes) -> tuple[int, int, int]:
    """Count a queue anew."""
    last, queued, queued_bytes = 0, 0, 0
    for key, value in rows(transaction, databases["queue"], prefix):
        last = int.from_bytes(key[8:], "big")
        queued += 1
        with suppress(codec.CorruptRecord):
            queued_bytes += codec.unpack_entry(codec.unseal(key, value)).size
    return last + 1, queued, queued_bytes


def _delete_entry(transaction: lmdb.Transaction, databases: Databases, key: bytes) -> int | None:
    """Delete an entry and its part in a body; its size, or ``None`` where there was none."""
    value = cast("bytes | None", transaction.pop(key, db=databases["queue"]))
    if value is None:
        return None
    try:
        entry = codec.unpack_entry(codec.unseal(key, value))
    except codec.CorruptRecord:
        return 0
    if entry.message is None:
        body = codec.number_key(entry.body)
        count = int.from_bytes(fetch(transaction, databases["references"], body) or b"", "big")
        if count > 1:
            transaction.put(body, (count - 1).to_bytes(4, "big"), db=databases["references"])
        else:
            transaction.delete(body, db=databases["references"])
            transaction.delete(body, db=databases["bodies"])
    return entry.size


def _put_or_delete(transaction: lmdb.Transaction, database: lmdb._Database, key: bytes, record: bytes | None) -> None:
    if record is None:
        transaction.delete(key, db=database)
    else:
        transaction.put(key, codec.seal(key, record), db=database)


def _delete_prefix(transaction: lmdb.Transaction, database: lmdb._Database, prefix: bytes) -> None:
    for key in [key for key, _ in rows(transaction, database, prefix)]:
        transaction.delete(key, db=database)


def _delete_slice(transaction: lmdb.Transaction, databases: Databases, number: int) -> bool:
    """Delete some entries of an ended session; true when none is left."""
    prefix = codec.number_key(number)
    keys = [key for key, _ in islice(rows(transaction, databases["queue"], prefix), DELETED_PER_TURN)]
    for key in keys:
        _delete_entry(transaction, databases, key)
    if len(keys) == DELETED_PER_TURN:
        return False
    transaction.delete(prefix, db=databases["doomed"])
    return True


def _after_last(environment: Environment) -> int:
    """One more than any number of a body; those that were set aside are still referred to."""
    number = 0
    with environment.read() as transaction:
        for name in ("bodies", "references"):
            with transaction.cursor(environment.databases[name]) as cursor:
                if cursor.last():
                    number = max(number, int.from_bytes(cast("bytes", cursor.key()), "big"))
    return number + 1


def _doomed(environment: Environment) -> list[int]:
    with environment.read() as transaction:
        return [int.from_bytes(key, "big") for key, _ in rows(transaction, environment.databases["doomed"])]
