"""An open store: its databases, reading and writing, growth. How it comes to be open is ``opening.py``."""

from __future__ import annotations

import contextlib
import errno
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Literal, cast

import lmdb

from mqttbroker.storage.store import StoreError

__all__ = [
    "DATA",
    "DATABASES",
    "SCHEMA",
    "SCHEMA_KEY",
    "Databases",
    "Durability",
    "Environment",
    "damaged",
    "fetch",
    "is_full",
    "rows",
]

Durability = Literal["fsync", "os"]
"""``fsync``: a commit is on disk. ``os``: a commit is with the operating system, and survives a crash of the process
alone.
"""

SCHEMA = 2
"""Version of the layout. A store with an older one is migrated when it is opened; one with a newer is refused."""

DATABASES = (
    "meta",
    "sessions",
    "counters",
    "subscriptions",
    "wills",
    "incoming",
    "queue",
    "bodies",
    "references",
    "retained",
    "doomed",
    "quarantine",
)
SCHEMA_KEY = b"schema"
NO_ROOM = 1 << 20
"""Bytes left on a disk, below which a write that failed is taken for one that did not fit."""
DATA = "data.mdb"
Databases = dict[str, lmdb._Database]


class Environment:
    """An open LMDB environment with its databases.

    LMDB must not grow its map while a transaction is open in the process: reads hold ``reading``, growth takes it.
    """

    def __init__(self, path: Path, environment: lmdb.Environment, databases: Databases, lock: IO[bytes]) -> None:
        self.path: Path = path
        self.lmdb: lmdb.Environment = environment
        self.databases: Databases = databases
        self.reading: threading.Lock = threading.Lock()
        self._lock: IO[bytes] = lock

    @contextlib.contextmanager
    def read(self) -> Iterator[lmdb.Transaction]:
        """A transaction that sees one commit point. Keep it short: pages that it sees cannot be used again.

        Raises :class:`StoreError` where the pages do not hang together.
        """
        try:
            with self.reading, self.lmdb.begin() as transaction:
                yield transaction
        except lmdb.Error as error:
            raise damaged(self.path, str(error)) from error

    def write(self, work: Callable[[lmdb.Transaction], None]) -> None:
        """Do the work in one transaction, and sync. Grows the map, and does the work anew, as often as it needs to."""
        while True:
            try:
                with self.lmdb.begin(write=True) as transaction:
                    work(transaction)
                return
            except lmdb.MapFullError:
                with self.reading:
                    self.lmdb.set_mapsize(self.lmdb.info()["map_size"] * 2)

    def sizes(self) -> tuple[int, int] | None:
        """Bytes of the map, and of the pages in use; ``None`` while somebody else reads or the map grows."""
        if not self.reading.acquire(blocking=False):
            return None
        try:
            with self.lmdb.begin() as transaction:
                stats = [transaction.stat(database) for database in self.databases.values()]
            pages = sum(each["branch_pages"] + each["leaf_pages"] + each["overflow_pages"] for each in stats)
            return self.lmdb.info()["map_size"], pages * self.lmdb.stat()["psize"]
        finally:
            self.reading.release()

    def close(self) -> None:
        """Let go of the files."""
        self.lmdb.close()
        self._lock.close()


def fetch(transaction: lmdb.Transaction, database: lmdb._Database, key: bytes) -> bytes | None:
    """The value of a key."""
    return cast("bytes | None", transaction.get(key, db=database))


def rows(
    transaction: lmdb.Transaction, database: lmdb._Database, prefix: bytes = b"", start: bytes = b""
) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values, in order, of the keys that begin with ``prefix``; from ``start`` on, if it is given."""
    with transaction.cursor(database) as cursor:
        if cursor.set_range(start or prefix) if start or prefix else cursor.first():
            for key, value in cast("Iterator[tuple[bytes, bytes]]", cursor):
                if not key.startswith(prefix):
                    return
                yield key, value


def damaged(path: Path, what: str) -> StoreError:
    """What to raise where a store cannot be read."""
    return StoreError(
        f"{path / DATA}: cannot be read: {what}. Nothing was changed. If the file is damaged, "
        "restore a backup (mqttbroker store restore), or move the directory away to begin anew"
    )


def is_full(error: Exception, path: Path) -> bool:
    """Whether a commit failed for want of room on the disk of the store in this directory.

    A write that finds room for a part of it is reported by LMDB as any other failure to write, though it is as harmless
    as one that finds none: nothing refers to the pages, and they are written anew.
    """
    if isinstance(error, lmdb.DiskError) or getattr(error, "errno", None) == errno.ENOSPC:
        return True
    if not hasattr(os, "statvfs") or os.strerror(errno.EIO) not in str(error):
        return False
    disk = os.statvfs(path)
    return disk.f_bavail * disk.f_frsize < NO_ROOM
