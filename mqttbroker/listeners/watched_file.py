"""A file that is read again when it has changed, and how to find that out for the price of a ``stat``.

Symbolic links are followed, so that a link that comes to point elsewhere, as Kubernetes and certbot do it, is a change.

The times of a file are coarse: who writes it twice within a moment may leave it with the same size and time. A file
that was written shortly before it was read is therefore compared by its content, until that moment has passed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Final

__all__ = ["MOMENT", "WatchedFile"]

MOMENT: Final = 2.0
"""Seconds within which two changes of a file may carry the same time, on the coarsest of file systems."""


class WatchedFile:
    """One file, as it was when it was last read. ``clock`` gives seconds since the epoch."""

    __slots__ = ("_clock", "_fresh", "_seen", "digest", "path")

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self.path: Path = path
        self._clock: Callable[[], float] = clock
        self._seen: tuple[int, ...] | None = None
        self.digest: bytes = b""
        """SHA-256 of what was last read; empty where that failed."""
        self._fresh: bool = False

    def read(self) -> bytes:
        """Return the content. Raises ``OSError``; :meth:`changed` then tells when to try again."""
        # First the look: what is written from here on, also while the file is read, differs from what was seen.
        self._seen, self._fresh = self._look()
        self.digest = b""
        content = self.path.read_bytes()
        self.digest = sha256(content).digest()
        return content

    def changed(self) -> bool:
        """Tell whether the file differs from the one that was last read, or that could not be read."""
        seen, fresh = self._look()
        if seen != self._seen:
            return True
        if not self._fresh:
            return False
        try:
            same = sha256(self.path.read_bytes()).digest() == self.digest
        except OSError:
            return bool(self.digest)
        self._fresh = fresh
        return not same

    def _look(self) -> tuple[tuple[int, ...] | None, bool]:
        """Return what tells one state of the file from another, and whether it was written a moment ago."""
        try:
            status = os.stat(self.path)
        except OSError:
            return None, False
        written = max(status.st_mtime, status.st_ctime)
        seen = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        return seen, self._clock() - written < MOMENT
