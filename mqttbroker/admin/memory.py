"""How much memory the process takes."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

__all__ = ["memory"]

STATM: Final = Path("/proc/self/statm")


def memory() -> tuple[int, int]:
    """Bytes in main memory, now and at most so far; of what the system does not tell, 0.

    Where only the most is known, it stands for both.
    """
    with suppress(ImportError, OSError, ValueError):
        import resource

        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        with suppress(OSError, IndexError):
            now = int(STATM.read_bytes().split()[1]) * resource.getpagesize()
            return now, max(now, most)
        return most, most
    return 0, 0
