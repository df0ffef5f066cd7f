"""Brokers that run to be measured, each as a process of its own with one listener."""

from __future__ import annotations

import asyncio
import os
import platform
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.certificates import Certificates
from benchmarks.peers import MOSQUITTO, Setting, peer
from mqttbroker.bench import Address, Transport

__all__ = [
    "MOSQUITTO",
    "Certificates",
    "Running",
    "broker",
    "cpu_of",
    "free_port",
    "new_loop",
    "wait_until_it_listens",
]

START_TIMEOUT = 10.0
STOP_TIMEOUT = 10.0


@dataclass(frozen=True)
class Running:
    """A broker that listens."""

    process: psutil.Process
    address: Address

    def cpu(self) -> float:
        """CPU seconds that the process has used, in all its threads, with its children."""
        return sum(cpu_of(each) for each in (self.process, *self.process.children(recursive=True)))

    def memory(self) -> int:
        """Bytes of memory that are resident."""
        return int(self.process.memory_info().rss)


def cpu_of(process: psutil.Process) -> float:
    """CPU seconds of one process, with all its threads."""
    if platform.system() == "Linux":
        # The clock of another process, as clock_getcpuclockid(3) names it. The times in /proc are in steps of 10 ms.
        return time.clock_gettime(~process.pid << 3 | 2)
    times = process.cpu_times()
    return float(times.user + times.system)


@contextmanager
def broker(
    name: str, transport: Transport = Transport.TCP, certificates: Certificates | None = None
) -> Iterator[Running]:
    """Run a broker of ``benchmarks.peers``, in memory, open to everybody. TLS is of version 1.3.

    Raises ``RuntimeError`` if it does not start, or has no such transport.
    """
    kind, options = peer(name)
    if transport.name not in kind.transports:
        raise RuntimeError(f"no {transport.value}")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        address: Address = str(Path(folder, "socket")) if transport is Transport.UNIX else ("127.0.0.1", free_port())
        command = kind.command(Setting(Path(folder), address, transport, certificates, free_port(), options))
        environment = os.environ | kind.environment
        # In a folder without modules, so that Python finds those of the environment.
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            wait_until_it_listens(process, address)
            yield Running(psutil.Process(process.pid), address)
        finally:
            process.terminate()
            try:
                process.wait(STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def free_port() -> int:
    """A TCP port on the loopback interface that nobody uses at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def wait_until_it_listens(process: subprocess.Popen[bytes], address: Address, timeout: float = START_TIMEOUT) -> None:
    """Wait until something listens there. Raises ``RuntimeError`` if nothing does in time."""
    deadline = time.monotonic() + timeout
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            try:
                probe.connect(address)
                return
            except OSError:
                time.sleep(0.02)
    raise RuntimeError(f"{process.args!r} does not listen on {address}")


def new_loop() -> asyncio.AbstractEventLoop:
    """An event loop for the clients: the fastest there is."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()
