"""The disk that fails on demand, seen from the tests: ``shim.c`` compiled, its controls, and what it has recorded.

A power cut is made from the record: :func:`after_power_cut` builds a ``data.mdb`` as a disk could have it that lost
its power at some moment. Everything that a sync had confirmed is there; of everything else any part may be.
"""

from __future__ import annotations

import mmap
import os
import random
import struct
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.tools import require_tool

__all__ = ["Operation", "Shim", "after_power_cut", "compile_shim"]

CONTROLS = (
    "full_at",
    "short_writes",
    "failing_syncs",
    "failing_writes",
    "slow_sync_ms",
    "clock_offset",
    "syncs",
    "syncing",
)
HEADER = struct.Struct("=6q")
WRITE, SYNC, TRUNCATE = 1, 2, 3
SECTOR = 512
COMPILE_TIMEOUT = 60


def compile_shim(folder: Path) -> Path:
    """Compile ``shim.c``; skips the test where that cannot be done."""
    if not sys.platform.startswith("linux"):
        pytest.skip("LD_PRELOAD and /proc are Linux's")
    compiler = require_tool("cc")
    library = folder / "shim.so"
    source = Path(__file__).with_name("shim.c")
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-O2", "-Wall", "-Werror", "-o", library, source, "-ldl", "-lpthread"],
        check=True,
        timeout=COMPILE_TIMEOUT,
    )
    return library


class Shim:
    """The controls of one broker process. ``environment`` is what the process must be started with.

    ``full_at``         size of ``data.mdb`` above which there is no room (0: none); with ``short_writes`` a write
                        across that border is cut off there, as on a real disk, before the next one fails;
    ``failing_syncs``   so many syncs fail with EIO; ``failing_writes`` likewise;
    ``slow_sync_ms``    how long a sync takes at least; lowering it ends a sync that is under way;
    ``clock_offset``    seconds by which the machine's clock is wrong;
    ``syncs``           syncs done so far; ``syncing``: syncs begun.
    """

    def __init__(self, library: Path, folder: Path, record: bool = False) -> None:
        path = folder / "control"
        path.write_bytes(bytes(8 * len(CONTROLS)))
        self.log = folder / "operations"
        self.environment: dict[str, str] = {"LD_PRELOAD": str(library), "FAULT_CONTROL": str(path)}
        if record:
            self.environment["FAULT_LOG"] = str(self.log)
        descriptor = os.open(path, os.O_RDWR)
        self._controls = mmap.mmap(descriptor, 8 * len(CONTROLS))
        os.close(descriptor)

    def __getitem__(self, name: str) -> int:
        at = 8 * CONTROLS.index(name)
        return int.from_bytes(self._controls[at : at + 8], "little", signed=True)

    def __setitem__(self, name: str, value: int) -> None:
        at = 8 * CONTROLS.index(name)
        self._controls[at : at + 8] = value.to_bytes(8, "little", signed=True)

    def operations(self) -> list[Operation]:
        """What was recorded, in the order in which it ended."""
        return _read(self.log.read_bytes()) if self.log.exists() else []


@dataclass(frozen=True, slots=True)
class Operation:
    """One call that changed, or synced, the file. Times are the monotonic clock's, in nanoseconds."""

    kind: int
    synced: bool
    """Whether the file was opened so that the write itself waits for the disk."""
    offset: int
    size: int
    began: int
    ended: int
    data: bytes


def _read(record: bytes) -> list[Operation]:
    operations = []
    at = 0
    while at + HEADER.size <= len(record):
        kind, synced, offset, size, began, ended = HEADER.unpack_from(record, at)
        at += HEADER.size
        data = record[at : at + size] if kind == WRITE else b""
        if kind == WRITE:
            if len(data) < size:
                break  # The process was killed while it wrote the record.
            at += size
        operations.append(Operation(kind, bool(synced), offset, size, began, ended, data))
    return operations


def after_power_cut(before: bytes, operations: list[Operation], moment: int, rng: random.Random) -> bytes:
    """The file as it may be found, if the power failed at ``moment`` (nanoseconds of the monotonic clock)."""
    image = bytearray(before)
    begun = [each for each in operations if each.began <= moment]
    syncs = [each for each in begun if each.kind == SYNC and each.ended <= moment]
    kept = rng.random()
    for each in begun:
        if each.kind == SYNC:
            continue
        certain = each.ended <= moment and (
            each.synced or any(sync.began >= each.ended for sync in syncs)  # A sync promises what was written before.
        )
        if each.kind == TRUNCATE:
            if certain or rng.random() < kept:
                image[each.size :] = bytes(max(0, each.size - len(image)))
            continue
        if certain:
            _apply(image, each.offset, each.data)
            continue
        torn = rng.random() < 0.3
        if torn:
            for start in range(0, each.size, SECTOR):
                if rng.random() < kept:
                    _apply(image, each.offset + start, each.data[start : start + SECTOR])
        elif rng.random() < kept:
            _apply(image, each.offset, each.data)
    return bytes(image)


def _apply(image: bytearray, offset: int, data: bytes) -> None:
    if len(image) < offset:
        image.extend(bytes(offset - len(image)))
    image[offset : offset + len(data)] = data
