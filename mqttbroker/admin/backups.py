"""Copies of the store, made while the broker runs, in one directory.

A process of its own makes the copy (``mqttbroker store backup``): LMDB wants nobody to read for long in a process that
may have to enlarge the file, and neither the event loop nor the store's thread waits for it. A copy that is whole gets
its name, and none before that, so that what is listed can be restored. Names are made here; one that comes from
outside is only ever compared with these.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Final, TypeVar

from mqttbroker.admin.problems import Problem, conflict, not_found
from mqttbroker.broker import Log
from mqttbroker.storage import StoreError
from mqttbroker.storage.lmdb.opening import sync

__all__ = ["BACKUP_DIR", "Backup", "Backups", "Failed", "Running", "State"]

BACKUP_DIR: Final = "backups"
RESERVE: Final = 64 * 1024 * 1024
"""Bytes of the disk that a backup leaves free."""
CHUNK: Final = 256 * 1024
"""Bytes of a backup that are in memory while it is sent."""
NICE: Final = 10
"""How far the process that copies stands back behind others."""
MOST_SHOWN: Final = 1_000

_STORE: Final = "data.mdb"
_NAME: Final = re.compile(r"mqttbroker-(\d{8}-\d{6})(-\d{1,3})?\.mdb")
_TIME: Final = "%Y%m%d-%H%M%S"

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup that is whole."""

    name: str
    time: float
    """When it was begun, in seconds since the epoch."""
    size: int


@dataclass(frozen=True, slots=True)
class Running:
    """A backup that is being made."""

    name: str
    started: float
    expected: int
    """Bytes that it has at most."""
    size: int = 0
    """Bytes that are written."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The last backup, where nothing came of it."""

    name: str
    started: float
    reason: str


@dataclass(frozen=True, slots=True)
class State:
    """All that there is to know."""

    backups: list[Backup]
    """The newest first."""
    needed: int
    """Bytes that the next one has at most."""
    free: int
    """Bytes of the disk that are free for it."""


class Backups:
    """The backups of one broker; ``store`` and ``directory`` are ``None`` where it keeps nothing on disk."""

    def __init__(self, store: Path | None, directory: Path | None, log: Log) -> None:
        self._store = store
        self.directory: Path | None = directory
        self._log = log
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="mqttbroker-backup")
        self._running: Running | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._closed: bool = False
        self.failed: Failed | None = None

    # What is there.

    async def state(self) -> State:
        """The backups, and whether there is room for another."""
        return await self._work(self._look)

    @property
    def running(self) -> Running | None:
        """The backup that is being made."""
        running, directory = self._running, self.directory
        if running is None or directory is None:
            return None
        size = 0
        with suppress(OSError):
            size = (_part(directory, running.name) / _STORE).stat().st_size
        return Running(running.name, running.started, running.expected, size)

    def _look(self) -> State:
        directory = self.directory
        if self._store is None or directory is None:
            return State([], 0, 0)
        return State(_listed(directory), _needed(self._store), _free(directory))

    # Making one.

    async def begin(self, now: float) -> Running:
        """Begin a backup. Raises :class:`Problem` where there is one under way, nothing to back up, or no room."""
        store, directory = self._store, self.directory
        if store is None or directory is None:
            raise conflict("the broker keeps everything in memory, so that there is nothing to back up")
        if self._running is not None:
            raise conflict("a backup is being made already")
        self._running = Running(_time_of(now), now, 0)
        try:
            name, expected = await self._work(lambda: _prepare(store, directory, now))
        except BaseException:
            self._running = None
            raise
        running = self._running = Running(name, now, expected)
        making = asyncio.get_running_loop().run_in_executor(self._pool, self._make, store, directory, name)
        making.add_done_callback(lambda done: self._made(running, done))
        return running

    def _make(self, store: Path, directory: Path, name: str) -> int:
        part = _part(directory, name)
        command = [sys.executable, "-P", "-m", "mqttbroker", "store", "backup", str(store), str(part)]
        try:
            with subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
            ) as process:
                self._process = process
                if self._closed:
                    process.terminate()
                # Clients come first. Windows has no such thing.
                with suppress(AttributeError, OSError):
                    os.setpriority(os.PRIO_PROCESS, process.pid, NICE)
                _, said = process.communicate()
            if self._closed:
                raise StoreError("the broker was stopped")
            if process.returncode:
                raise StoreError(_reason(said, process.returncode))
            size = (part / _STORE).stat().st_size
            (part / _STORE).rename(directory / name)
            sync(directory)
            return size
        finally:
            self._process = None
            shutil.rmtree(part, ignore_errors=True)

    def _made(self, running: Running, done: asyncio.Future[int]) -> None:
        self._running = None
        if done.cancelled():
            return
        error = done.exception()
        if error is None:
            self.failed = None
            self._log("info", "backup made", name=running.name, size=done.result())
        else:
            self.failed = Failed(running.name, running.started, str(error))
            self._log("error", "backup failed", name=running.name, reason=str(error))

    # One of them.

    async def delete(self, name: str) -> Backup:
        """Delete a backup; gives what it was. Raises :class:`Problem` where there is none of this name."""
        return await self._work(lambda: self._delete(name))

    def _delete(self, name: str) -> Backup:
        with self._open(name) as file:
            found = _backup(name, file)
        (self._directory / name).unlink(missing_ok=True)
        return found

    async def read(self, name: str) -> tuple[Backup, AsyncIterator[bytes]]:
        """A backup and its bytes, in parts. Raises :class:`Problem` where there is none of this name."""
        file = await self._work(lambda: self._open(name))
        return _backup(name, file), self._parts(file)

    async def _parts(self, file: IO[bytes]) -> AsyncIterator[bytes]:
        with file:
            while part := await self._work(lambda: file.read(CHUNK)):
                yield part

    def _open(self, name: str) -> IO[bytes]:
        if self.directory is None or _NAME.fullmatch(name) is None:
            raise not_found(f"backup {name!r}")
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
        try:
            return os.fdopen(os.open(self._directory / name, flags), "rb", buffering=0)
        except OSError:
            raise not_found(f"backup {name!r}") from None

    @property
    def _directory(self) -> Path:
        assert self.directory is not None
        return self.directory

    async def _work(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def close(self) -> None:
        """End what is under way; what it has written is removed."""
        self._closed = True
        process = self._process
        if process is not None:
            with suppress(OSError):
                process.terminate()
        self._pool.shutdown(wait=True)


def _prepare(store: Path, directory: Path, now: float) -> tuple[str, int]:
    """Make the directory and find a name; gives it and the bytes that the backup has at most."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for left in directory.glob(".mqttbroker-*.part"):  # Of a broker that was killed.
            shutil.rmtree(left, ignore_errors=True)
        needed, free = _needed(store), _free(directory)
    except OSError as error:
        raise conflict(f"{directory} cannot be used: {error.strerror}") from error
    if needed > free:
        raise Problem(507, f"a backup may take {needed:,} bytes, and the disk has {max(free, 0):,} to spare for it")
    name, number = f"mqttbroker-{_time_of(now)}.mdb", 1
    while (directory / name).exists():
        number += 1
        name = f"mqttbroker-{_time_of(now)}-{number}.mdb"
    return name, needed


def _listed(directory: Path) -> list[Backup]:
    found = []
    with suppress(FileNotFoundError), os.scandir(directory) as entries:
        for entry in entries:
            if _NAME.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                found.append(Backup(entry.name, _began(entry.name), entry.stat(follow_symlinks=False).st_size))
    return sorted(found, key=lambda each: (each.time, len(each.name), each.name), reverse=True)[:MOST_SHOWN]


def _backup(name: str, file: IO[bytes]) -> Backup:
    status = os.fstat(file.fileno())
    if not stat.S_ISREG(status.st_mode):
        file.close()
        raise not_found(f"backup {name!r}")
    return Backup(name, _began(name), status.st_size)


def _needed(store: Path) -> int:
    try:
        status = (store / _STORE).stat()
    except FileNotFoundError:
        return 0
    # The file is as large as the store has ever been, and may have holes.
    return min(status.st_size, getattr(status, "st_blocks", status.st_size) * 512 or status.st_size)


def _free(directory: Path) -> int:
    there = next(each for each in (directory, *directory.absolute().parents) if each.exists())
    return shutil.disk_usage(there).free - RESERVE


def _part(directory: Path, name: str) -> Path:
    return directory / f".{name}.part"


def _time_of(now: float) -> str:
    return datetime.fromtimestamp(now, UTC).strftime(_TIME)


def _began(name: str) -> float:
    found = _NAME.fullmatch(name)
    with suppress(ValueError):
        if found is not None:
            return datetime.strptime(found[1], _TIME).replace(tzinfo=UTC).timestamp()
    return 0.0


def _reason(said: bytes, code: int) -> str:
    lines = said.decode("utf-8", "replace").strip().splitlines()
    return lines[-1].removeprefix("mqttbroker: ")[:500] if lines else f"it ended with code {code}"
