"""The broker's process on this machine, and the CPU time that it has used."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

from mqttbroker.bench.links import Address

__all__ = ["cpu_clock", "listener"]


def cpu_clock(pid: int) -> Callable[[], float] | None:
    """A function that tells the CPU seconds of a process and of its children; ``None`` if there is no way to know."""
    try:
        import psutil
    except ImportError:
        return _proc_clock(pid)
    try:
        process = psutil.Process(pid)
        everybody = [process, *process.children(recursive=True)]
        [each.cpu_times() for each in everybody]
    except psutil.Error:
        return None

    def seconds() -> float:
        total = 0.0
        for each in everybody:
            try:
                times = each.cpu_times()
            except psutil.Error:
                continue
            total += times.user + times.system
        return total

    return seconds


def _proc_clock(pid: int) -> Callable[[], float] | None:
    file = Path(f"/proc/{pid}/stat")
    if not file.exists():
        return None
    ticks = os.sysconf("SC_CLK_TCK")

    def seconds() -> float:
        try:
            fields = file.read_text().rpartition(")")[2].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / ticks

    return seconds


def listener(address: Address) -> int | None:
    """The process on this machine that listens there; ``None`` if it cannot be found or seen."""
    if Path("/proc/net/tcp").exists():
        return _linux_listener(address)
    if isinstance(address, str):
        return None
    try:
        import psutil

        for each in psutil.net_connections("tcp"):
            if each.status == psutil.CONN_LISTEN and each.laddr.port == address[1] and _is_here(address[0]):
                return int(each.pid) if each.pid else None
    except (ImportError, OSError, RuntimeError):
        return None
    except Exception as error:
        # Of psutil, which may not be there: nothing can be seen without rights.
        if type(error).__module__.startswith("psutil"):
            return None
        raise
    return None


def _is_here(host: str) -> bool:
    """Whether a host is this machine."""
    try:
        for family, kind, _, _, place in socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM):
            with socket.socket(family, kind) as probe:
                probe.bind(place)
                return True
    except OSError:
        pass
    return False


def _linux_listener(address: Address) -> int | None:
    inodes = _unix_inodes(address) if isinstance(address, str) else _tcp_inodes(*address)
    names = {f"socket:[{each}]" for each in inodes}
    if not names:
        return None
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal():
            continue
        try:
            for file in (folder / "fd").iterdir():
                if os.readlink(file) in names:
                    return int(folder.name)
        except OSError:
            continue
    return None


def _tcp_inodes(host: str, port: int) -> list[str]:
    if not _is_here(host):
        return []
    found = []
    for name in ("tcp", "tcp6"):
        try:
            rows = Path("/proc/net", name).read_text().splitlines()[1:]
        except OSError:
            continue
        for row in rows:
            fields = row.split()
            # 0A: it listens.
            if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                found.append(fields[9])
    return found


def _unix_inodes(path: str) -> list[str]:
    try:
        rows = Path("/proc/net/unix").read_text().splitlines()[1:]
    except OSError:
        return []
    # Flags 00010000: it listens.
    return [fields[6] for fields in map(str.split, rows) if fields[7:] == [path] and fields[3] == "00010000"]
