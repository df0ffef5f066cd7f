"""How much memory the process takes, and how much it may take."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

__all__ = ["Ceiling", "Usage", "ceiling", "memory", "usage"]

STATM: Final = Path("/proc/self/statm")
PROCESS: Final = Path("/proc/self/cgroup")
CGROUPS: Final = Path("/sys/fs/cgroup")
UNLIMITED: Final = 2**60
"""What a control group has for no limit is near 2**63, rounded to pages."""

SetBy = Literal["control group", "resource limit", "machine"]


@dataclass(frozen=True, slots=True)
class Usage:
    """Bytes of main memory."""

    resident: int = 0
    own: int = 0
    """Without the pages of files, such as the store's, which the system takes back when it wants them."""


@dataclass(frozen=True, slots=True)
class Ceiling:
    """How many bytes there may be."""

    size: int = 0
    """0 where nobody knows."""
    set_by: SetBy = "machine"


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


def usage() -> Usage:
    """What the process takes now; the most that it has taken where the system tells only that."""
    with suppress(ImportError, OSError, ValueError, IndexError):
        import resource

        resident, shared = (int(each) * resource.getpagesize() for each in STATM.read_bytes().split()[1:3])
        return Usage(resident, max(resident - shared, 0))
    now, _ = memory()
    return Usage(now, now)


def ceiling(process: Path = PROCESS, groups: Path = CGROUPS) -> Ceiling:
    """The lowest of what limits the process: its control groups, its resource limit, the machine's memory."""
    found: list[tuple[int, SetBy]] = [(each, "control group") for each in _group_limits(process, groups)]
    with suppress(ImportError, OSError, ValueError):
        import resource

        for limit in (resource.RLIMIT_AS, resource.RLIMIT_DATA):
            soft, _ = resource.getrlimit(limit)
            if soft != resource.RLIM_INFINITY:
                found.append((soft, "resource limit"))
    with suppress(AttributeError, OSError, ValueError):
        found.append((os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), "machine"))
    found = [(size, set_by) for size, set_by in found if 0 < size < UNLIMITED]
    # Of equal ones the machine's, which says more than a group without a limit of its own.
    size, set_by = min(found, key=lambda each: (each[0], each[1] != "machine"), default=(0, "machine"))
    return Ceiling(size, set_by)


def _group_limits(process: Path, groups: Path) -> Iterator[int]:
    """Limits of the control groups that the process is in, of version 2 with those above them, or of version 1."""
    with suppress(OSError):
        for line in process.read_text(encoding="utf-8").splitlines():
            _, controllers, path = line.split(":", 2)
            inside = Path(path.lstrip("/"))
            if controllers == "":
                for each in (inside, *inside.parents):
                    yield from _limit(groups / each / "memory.max")
            elif "memory" in controllers.split(","):
                # Within a container the path is that of the machine, and what is mounted is the group itself.
                yield from _limit(groups / "memory" / inside / "memory.limit_in_bytes")
                yield from _limit(groups / "memory" / "memory.limit_in_bytes")


def _limit(path: Path) -> Iterator[int]:
    with suppress(OSError, ValueError):  # "max", where there is none.
        yield int(path.read_text(encoding="utf-8"))
