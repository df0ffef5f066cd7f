"""The files of a store: opening, locking, permissions, schema version.

One directory holds ``data.mdb`` and LMDB's ``lock.mdb``, and ``broker.lock``, which keeps a second broker out. The
directory is 0700 and the files are 0600 whatever the umask, because they hold everybody's messages.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path
from typing import IO

import lmdb

from mqttbroker.storage.lmdb.environment import (
    DATA,
    DATABASES,
    SCHEMA,
    SCHEMA_KEY,
    Databases,
    Durability,
    Environment,
    damaged,
    fetch,
    rows,
)
from mqttbroker.storage.lmdb.migrations import migrate
from mqttbroker.storage.store import StoreError

__all__ = ["lock_directory", "open_environment", "sync"]

FIRST_MAP_SIZE = 1 << 28
LOCK = "lock.mdb"


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
        if create and not (path / DATA).exists():
            _create(path)
        opened = _open(path, durability)
    except OSError as error:
        lock.close()
        raise StoreError(f"data directory {path}: {error.strerror or error}") from error
    except BaseException:
        lock.close()
        raise
    try:
        environment = Environment(path, opened, _open_databases(opened), lock)
        _check_schema(environment)
    except lmdb.Error as error:
        opened.close()
        lock.close()
        raise damaged(path, str(error)) from error
    except BaseException:
        opened.close()
        lock.close()
        raise
    return environment


def _create(path: Path) -> None:
    """Make an empty store elsewhere and move it here, so that an empty or half-made ``data.mdb`` is always damage."""
    fresh = path / "new"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir()
    fresh.chmod(0o700)
    _make_private(fresh / DATA)
    _make_private(fresh / LOCK)
    environment = _open_file(fresh, "fsync")
    try:
        databases = _open_databases(environment)
        with environment.begin(write=True) as transaction:
            transaction.put(SCHEMA_KEY, SCHEMA.to_bytes(4, "big"), db=databases["meta"])
    finally:
        environment.close()
    (fresh / DATA).rename(path / DATA)
    shutil.rmtree(fresh)
    # A file that is on disk is of no use while its name is not.
    sync(path)
    sync(path.parent)


def sync(path: Path) -> None:
    """Make a file, or the names in a directory, durable."""
    if os.name == "nt" and path.is_dir():
        return  # Directories cannot be opened there.
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _make_private(path: Path) -> None:
    """Create a file if need be, so that only its owner may open it: whatever the umask."""
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    path.chmod(0o600)


def _open(path: Path, durability: Durability) -> lmdb.Environment:
    data = path / DATA
    if not data.exists():
        raise StoreError(f"{path}: there is no store ({DATA}) in this directory")
    size = data.stat().st_size
    if not size:
        raise damaged(path, "the file is empty")
    try:
        data.chmod(0o600)
        _make_private(path / LOCK)
        environment = _open_file(path, durability)
    except (lmdb.Error, OSError) as error:
        raise damaged(path, str(error)) from error
    needed = (environment.info()["last_pgno"] + 1) * environment.stat()["psize"]
    if size < needed:
        environment.close()
        return _open_shortened(path, durability, size, needed)
    return environment


def _open_file(path: Path, durability: Durability) -> lmdb.Environment:
    environment = lmdb.open(
        str(path),
        map_size=max(FIRST_MAP_SIZE, (path / DATA).stat().st_size * 2),
        max_dbs=len(DATABASES),
        mode=0o600,
        sync=durability == "fsync",
        metasync=durability == "fsync",
        readahead=False,
    )
    # Readers that a crash has left behind would keep pages from being used again.
    environment.reader_check()
    return environment


def _open_shortened(path: Path, durability: Durability, size: int, needed: int) -> lmdb.Environment:
    """Open a file that is shorter than the pages that it speaks of.

    The last pages may never have been written, because they were free again before the commit: that is harmless. Or
    the file was cut off. To read beyond its end would kill the process, so it is lengthened, and read as a whole.
    """
    os.truncate(path / DATA, needed)
    environment = None
    try:
        environment = _open_file(path, durability)
        databases = _open_databases(environment)
        with environment.begin() as transaction:
            for database in databases.values():
                for _ in rows(transaction, database):
                    pass
        with open(os.devnull, "wb") as nowhere:
            environment.copyfd(nowhere.fileno(), compact=True)  # Reads LMDB's list of free pages as well.
    except lmdb.Error as error:
        if environment is not None:
            environment.close()
        os.truncate(path / DATA, size)
        raise damaged(path, f"the file was cut off at {size} of {needed} bytes ({error})") from error
    return environment


def lock_directory(path: Path) -> IO[bytes]:
    """Keep brokers out for as long as the file is open. Raises :class:`StoreError` where there is one."""
    _make_private(path / "broker.lock")
    descriptor = os.open(path / "broker.lock", os.O_RDWR)
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


def _check_schema(environment: Environment) -> None:
    meta = environment.databases["meta"]
    with environment.lmdb.begin() as transaction:
        found = fetch(transaction, meta, SCHEMA_KEY)
    if found is None:
        with environment.lmdb.begin(write=True) as transaction:
            transaction.put(SCHEMA_KEY, SCHEMA.to_bytes(4, "big"), db=meta)
        return
    version = int.from_bytes(found, "big")
    if version > SCHEMA:
        raise StoreError(
            f"{environment.path}: made by a newer version (layout {version}, this version knows up to {SCHEMA}). "
            "Use that version, or export with it and import here (mqttbroker store export, import)"
        )
    if version < SCHEMA:
        migrate(environment, version, SCHEMA)
