"""The files of a store: opening, locking, permissions, schema version, growth.

One directory holds ``data.mdb`` and LMDB's ``lock.mdb``, and ``broker.lock``, which keeps a second broker out. The
directory is 0700 and the files are 0600 whatever the umask, because they hold everybody's messages.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Literal, cast

import lmdb

from mqttbroker.storage.store import StoreError

__all__ = [
    "DATABASES",
    "SCHEMA",
    "Databases",
    "Durability",
    "Environment",
    "fetch",
    "lock_directory",
    "open_environment",
    "rows",
]

Durability = Literal["fsync", "os"]
"""``fsync``: a commit is on disk. ``os``: a commit is with the operating system, and survives a crash of the process
alone.
"""

SCHEMA = 1
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
FIRST_MAP_SIZE = 1 << 28
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
        """A transaction that sees one commit point. Keep it short: pages that it sees cannot be used again."""
        with self.reading, self.lmdb.begin() as transaction:
            yield transaction

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


def open_environment(path: Path, durability: Durability = "fsync", create: bool = True) -> Environment:
    """Open the store in a directory, creating both where they are not there.

    Raises :class:`StoreError` with what is wrong and what can be done: no permission, in use, damaged, too new.
    """
    try:
        if create:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.chmod(0o700)
        lock = lock_directory(path)
    except OSError as error:
        raise StoreError(f"data directory {path}: {error.strerror or error}") from error
    try:
        environment = _open(path, durability, create)
    except BaseException:
        lock.close()
        raise
    try:
        databases = _open_databases(environment)
        _check_schema(path, environment, databases)
    except BaseException:
        environment.close()
        lock.close()
        raise
    return Environment(path, environment, databases, lock)


def _open(path: Path, durability: Durability, create: bool) -> lmdb.Environment:
    if not create and not (path / "data.mdb").exists():
        raise StoreError(f"{path}: there is no store (data.mdb) in this directory")
    try:
        environment = lmdb.open(
            str(path),
            map_size=max(FIRST_MAP_SIZE, _size_of(path / "data.mdb") * 2),
            max_dbs=len(DATABASES),
            mode=0o600,
            sync=durability == "fsync",
            metasync=durability == "fsync",
            readahead=False,
            create=create,
        )
        # Readers that a crash has left behind would keep pages from being used again.
        environment.reader_check()
    except (lmdb.Error, OSError) as error:
        raise StoreError(
            f"{path / 'data.mdb'}: cannot be opened: {error}. Nothing was changed. If the file is damaged, "
            "restore a backup (mqttbroker store restore), or move the directory away to begin anew"
        ) from error
    for name in ("data.mdb", "lock.mdb"):
        (path / name).chmod(0o600)
    return environment


def _size_of(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def lock_directory(path: Path) -> IO[bytes]:
    """Keep brokers out for as long as the file is open. Raises :class:`StoreError` where there is one."""
    descriptor = os.open(path / "broker.lock", os.O_RDWR | os.O_CREAT, 0o600)
    lock = os.fdopen(descriptor, "r+b")
    try:
        _lock_file(lock)
    except OSError as error:
        lock.close()
        raise StoreError(f"data directory {path}: another broker uses it") from error
    return lock


def _lock_file(lock: IO[bytes]) -> None:
    try:
        import fcntl
    except ImportError:
        import msvcrt

        msvcrt.locking(lock.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]  # Windows only.
    else:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _open_databases(environment: lmdb.Environment) -> Databases:
    return {name: environment.open_db(name.encode()) for name in DATABASES}


def _check_schema(path: Path, environment: lmdb.Environment, databases: Databases) -> None:
    from mqttbroker.storage.lmdb.migrations import migrate

    with environment.begin() as transaction:
        found = fetch(transaction, databases["meta"], SCHEMA_KEY)
    if found is None:
        with environment.begin(write=True) as transaction:
            transaction.put(SCHEMA_KEY, SCHEMA.to_bytes(4, "big"), db=databases["meta"])
        return
    version = int.from_bytes(found, "big")
    if version > SCHEMA:
        raise StoreError(
            f"{path}: made by a newer version (layout {version}, this version knows up to {SCHEMA}). "
            "Use that version, or export with it and import here (mqttbroker store export, import)"
        )
    if version < SCHEMA:
        migrate(environment, databases, version, SCHEMA)
