"""Replacing a file as a whole or not at all."""

from __future__ import annotations

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

__all__ = ["replace_file", "sync_directory"]


def replace_file(path: Path, content: bytes, mode: int, *, keep_mode: bool = False) -> None:
    """Write beside the file, then put it in its place: at no moment is it half written, or open to more than ``mode``.

    Whoever owned the file before still does, so that the account that runs the broker can read it on after root has
    changed it; ``keep_mode`` leaves it with its permissions too. Raises ``OSError``.
    """
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), mode)
        with open(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if hasattr(os, "chown"):
            with suppress(FileNotFoundError, PermissionError):
                status = path.stat()
                os.chown(beside, status.st_uid, status.st_gid)
                if keep_mode:
                    beside.chmod(stat.S_IMODE(status.st_mode))
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable: a file that is on disk is of no use while its name is not."""
    if os.name == "nt":
        return  # Directories cannot be opened there.
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
