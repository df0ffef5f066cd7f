"""What an operator does with a store: look at it, verify, back up, restore, compact.

Looking, verifying and backing up read one commit point and may be done while a broker runs. Restoring and compacting
replace the file, so they take the broker's lock. Nothing here runs in a broker.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import lmdb

from mqttbroker.storage.lmdb import codec
from mqttbroker.storage.lmdb.environment import DATABASES, SCHEMA, SCHEMA_KEY, Databases, fetch, rows
from mqttbroker.storage.lmdb.migrations import SESSION_READERS
from mqttbroker.storage.lmdb.opening import lock_directory, open_environment, sync
from mqttbroker.storage.lmdb.writer import read_counters
from mqttbroker.storage.store import StoreError

__all__ = ["Progress", "Statistics", "backup", "compact", "restore", "statistics", "verify"]

Progress = Callable[[str, int, int], None]
"""Takes what is being done, how far it is, and how far it has to go."""

LARGEST = 10
"""Queues that statistics name."""
EVERY = 1_000
"""Records between two reports of progress."""


@dataclass(frozen=True)
class Statistics:
    """A store in numbers. Sizes are in bytes."""

    schema: int
    file_size: int
    used: int
    """Bytes of the file that hold something; the rest is used again before the file grows."""
    sessions: int
    subscriptions: int
    wills: int
    retained: int
    queued: int
    queued_size: int
    doomed: int
    """Sessions that have ended and whose queues are still being deleted."""
    quarantined: int
    """Damaged records that were set aside."""
    largest: list[tuple[str, int, int]] = field(default_factory=list)
    """Client identifier, messages and bytes of the largest queues."""


@contextmanager
def _reading(path: Path) -> Iterator[tuple[lmdb.Environment, lmdb.Transaction, Databases]]:
    """One commit point of a store that a broker may be using. A path of a file is that of a copy that nobody uses.

    Raises :class:`StoreError`.
    """
    data = _data(path)
    if data.name == "data.mdb":  # Of a directory, and so perhaps of a broker.
        path = data.parent
    if not data.exists():
        raise StoreError(f"{path}: there is no store (data.mdb) in this directory")
    alone = data == path
    try:
        with lmdb.open(
            str(path), subdir=not alone, lock=not alone, readonly=True, max_dbs=len(DATABASES), mode=0o600
        ) as environment:
            databases = {name: environment.open_db(name.encode(), create=False) for name in DATABASES}
            with environment.begin() as transaction:
                yield environment, transaction, databases
    except lmdb.Error as error:
        raise StoreError(f"{data}: cannot be read: {error}") from error


def _data(path: Path) -> Path:
    return path if path.is_file() else path / "data.mdb"


def statistics(path: Path) -> Statistics:
    """Count what is in a store. Reads sessions, not messages."""
    with _reading(path) as (environment, transaction, databases):
        schema = int.from_bytes(fetch(transaction, databases["meta"], SCHEMA_KEY) or b"", "big")
        unpack_session = SESSION_READERS.get(schema, codec.unpack_session)
        count = {name: int(transaction.stat(db=databases[name])["entries"]) for name in DATABASES}
        queues: list[tuple[str, int, int]] = []
        for key, value in rows(transaction, databases["sessions"]):
            _, queued, size = read_counters(transaction, databases, key)
            try:
                client_id = unpack_session(codec.unseal(key, value)).client_id
            except codec.UNREADABLE:
                client_id = f"(damaged record {key.hex()})"
            queues.append((client_id, queued, size))
        pages = sum(_pages(transaction, databases[name]) for name in DATABASES)
        return Statistics(
            schema,
            (path / "data.mdb").stat().st_size,
            pages * int(environment.stat()["psize"]),
            count["sessions"],
            count["subscriptions"],
            count["wills"],
            count["retained"],
            sum(queued for _, queued, _ in queues),
            sum(size for _, _, size in queues),
            count["doomed"],
            count["quarantine"],
            sorted((each for each in queues if each[1]), key=lambda each: each[2], reverse=True)[:LARGEST],
        )


def _pages(transaction: lmdb.Transaction, database: lmdb._Database) -> int:
    stat = transaction.stat(db=database)
    return int(stat["branch_pages"]) + int(stat["leaf_pages"]) + int(stat["overflow_pages"])


# Verification.


def verify(path: Path, progress: Progress | None = None) -> list[str]:
    """Read every record and hold them against one another; what is wrong, in words, or nothing."""
    with _reading(path) as (_, transaction, databases):
        schema = int.from_bytes(fetch(transaction, databases["meta"], SCHEMA_KEY) or b"", "big")
        unpack_session = SESSION_READERS.get(schema)
        if unpack_session is None:
            return [f"layout {schema}, this version knows up to {SCHEMA}"]
        return list(_Verification(transaction, databases, unpack_session, progress).problems())


class _Verification:
    """One pass over a store."""

    def __init__(
        self,
        transaction: lmdb.Transaction,
        databases: Databases,
        unpack_session: Callable[[bytes], codec.SessionHeader],
        progress: Progress | None,
    ) -> None:
        self._transaction = transaction
        self._databases = databases
        self._unpack_session = unpack_session
        self._progress = progress
        self._used: Counter[int] = Counter()
        self._queues: dict[bytes, tuple[int, int]] = {}

    def problems(self) -> Iterator[str]:
        """Everything that is wrong."""
        readers: dict[str, Callable[[bytes], object]] = {
            "sessions": self._unpack_session,
            "counters": codec.unpack_counters,
            "subscriptions": codec.unpack_subscription,
            "wills": codec.unpack_will,
            "incoming": bytes,
            "bodies": codec.unpack_message,
            "retained": codec.unpack_message,
        }
        for name, unpack in readers.items():
            for key, value in self._rows(name):
                yield from _readable(name, key, value, unpack)
        yield from self._check_queues()
        yield from self._check_counters()
        yield from self._check_bodies()

    def _rows(self, name: str) -> Iterator[tuple[bytes, bytes]]:
        total = int(self._transaction.stat(db=self._databases[name])["entries"])
        for number, row in enumerate(rows(self._transaction, self._databases[name])):
            if self._progress is not None and number % EVERY == 0:
                self._progress(name, number, total)
            yield row
        if self._progress is not None:
            self._progress(name, total, total)

    def _check_queues(self) -> Iterator[str]:
        for key, value in self._rows("queue"):
            session = key[:8]
            try:
                entry = codec.unpack_entry(codec.unseal(key, value))
            except codec.UNREADABLE as error:
                yield f"queue {key.hex()}: {error}"
                continue
            if entry.message is None:
                self._used[entry.body] += 1
            if not self._belongs(session):
                yield f"queue {key.hex()}: its session is not there"
            count, size = self._queues.get(session, (0, 0))
            self._queues[session] = (count + 1, size + entry.size)

    def _belongs(self, session: bytes) -> bool:
        return any(
            fetch(self._transaction, self._databases[name], session) is not None for name in ("sessions", "doomed")
        )

    def _check_counters(self) -> Iterator[str]:
        for key, _ in self._rows("sessions"):
            _, queued, size = read_counters(self._transaction, self._databases, key)
            counted = self._queues.get(key, (0, 0))
            if (queued, size) != counted:
                yield f"counters {key.hex()}: {queued} messages, {size} bytes; there are {counted[0]}, {counted[1]}"

    def _check_bodies(self) -> Iterator[str]:
        for key, value in self._rows("references"):
            number, count = int.from_bytes(key, "big"), int.from_bytes(value, "big")
            used = self._used.pop(number, 0)
            if used != count:
                yield f"references {key.hex()}: {count} uses; there are {used}"
            if fetch(self._transaction, self._databases["bodies"], key) is None:
                yield f"bodies {key.hex()}: not there"
        for number in self._used:
            yield f"references {codec.number_key(number).hex()}: not there"


def _readable(name: str, key: bytes, value: bytes, unpack: Callable[[bytes], object]) -> Iterator[str]:
    try:
        unpack(codec.unseal(key, value))
    except codec.UNREADABLE as error:
        yield f"{name} {key.hex()}: {error}"


# Copies.


def backup(path: Path, destination: Path) -> int:
    """Copy one commit point of a store, also of one in use, into a new directory; the bytes of the copy.

    It is whole only when this returns, and it is on disk then.
    """
    if destination.exists():
        raise StoreError(f"{destination}: is there already; a backup goes into a new directory")
    with _reading(path) as (environment, _, _):
        destination.mkdir(mode=0o700, parents=True)
        try:
            environment.copy(str(destination), compact=True)
        except lmdb.Error as error:
            shutil.rmtree(destination)
            raise StoreError(f"{destination}: {error}") from error
    copy = destination / "data.mdb"
    copy.chmod(0o600)
    sync(copy)
    sync(destination)
    return copy.stat().st_size


def restore(source: Path, path: Path, force: bool = False) -> None:
    """Put a backup, a directory or its one file, in the place of a store that no broker uses.

    What was there is kept beside it, as ``data.mdb.before-restore``. Raises :class:`StoreError` where the backup has
    damage, or where there is a store and ``force`` does not say that it may be replaced.
    """
    problems = verify(source)
    if problems:
        raise StoreError(f"{source}: the backup is damaged: {problems[0]} ({len(problems)} problems in all)")
    present = path / "data.mdb"
    if present.exists() and not force:
        raise StoreError(f"{path}: there is a store already; --force replaces it and keeps the old file beside it")
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path / "data.mdb.new"
    shutil.copyfile(_data(source), fresh)
    fresh.chmod(0o600)
    sync(fresh)
    with lock_directory(path):
        if present.exists():
            # Under two names for a moment: there is always a store, and never none that would be made anew.
            before = path / "data.mdb.before-restore"
            before.unlink(missing_ok=True)
            try:
                before.hardlink_to(present)
            except OSError:  # Not every file system has links.
                shutil.copyfile(present, before)
                before.chmod(0o600)
        _replace(fresh, present)


def compact(path: Path) -> tuple[int, int]:
    """Write a store anew without the space that it does not use; its size before and after."""
    environment = open_environment(path, create=False)
    try:
        fresh = path / "compacted"
        shutil.rmtree(fresh, ignore_errors=True)  # Of a compaction that was cut short.
        fresh.mkdir(mode=0o700)
        try:
            environment.lmdb.copy(str(fresh), compact=True)
            before = (path / "data.mdb").stat().st_size
            (fresh / "data.mdb").chmod(0o600)
            sync(fresh / "data.mdb")
            after = (fresh / "data.mdb").stat().st_size
            environment.lmdb.close()
            _replace(fresh / "data.mdb", path / "data.mdb")
        finally:
            shutil.rmtree(fresh)
    finally:
        environment.close()
    return before, after


def _replace(fresh: Path, present: Path) -> None:
    """Put a file in the place of another, for good. LMDB's lock file belongs to the old one."""
    fresh.replace(present)
    present.with_name("lock.mdb").unlink(missing_ok=True)
    sync(present.parent)
