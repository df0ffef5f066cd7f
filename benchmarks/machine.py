"""On what the benchmarks ran."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path

__all__ = ["machine"]


def machine() -> dict[str, str]:
    """What a report says of the machine."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    return {
        "CPU": cpu_model(),
        "Cores": str(os.cpu_count()),
        "Memory": f"{memory:.0f} GiB",
        "Kernel": f"{platform.system()} {platform.release()}",
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
    }


def cpu_model(information: Path = Path("/proc/cpuinfo")) -> str:
    """What the processor calls itself."""
    if information.exists() and (found := re.search(r"model name\s*:\s*(.+)", information.read_text("utf-8"))):
        return found[1].strip()
    return platform.processor() or platform.machine()
