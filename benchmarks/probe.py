"""How long a broker keeps a client waiting: a process of its own that asks for PINGRESP, again and again."""

from __future__ import annotations

import multiprocessing
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection

from mqttbroker.protocol import Connect, ProtocolVersion, encode

__all__ = ["Pauses", "pauses"]

INTERVAL = 0.002
"""Seconds between an answer and the next question."""
TIMEOUT = 60.0


@dataclass
class Pauses:
    """Seconds that answers took; what is here before the end of the ``with`` is nothing yet."""

    worst: float = 0.0
    median: float = 0.0
    p99: float = 0.0
    answers: int = 0


@contextmanager
def pauses(port: int) -> Iterator[Pauses]:
    """Ask while the block runs; afterwards the result has its figures."""
    found = Pauses()
    context = multiprocessing.get_context("spawn")
    mine, theirs = context.Pipe()
    process = context.Process(target=_probe, args=(port, theirs), daemon=True)
    process.start()
    try:
        if not mine.poll(TIMEOUT) or mine.recv() != "ready":
            raise RuntimeError("the probe does not start")
        yield found
        mine.send("stop")
        if not mine.poll(TIMEOUT):
            raise RuntimeError("the probe has no answer yet")
        times = sorted(mine.recv())
        found.answers = len(times)
        found.worst, found.median, found.p99 = times[-1], times[len(times) // 2], times[len(times) * 99 // 100]
    finally:
        process.terminate()
        process.join()


def _probe(port: int, told: Connection) -> None:
    with socket.create_connection(("127.0.0.1", port), TIMEOUT) as connected:
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connected.sendall(encode(Connect("probe", ProtocolVersion.V311, clean_start=True, keep_alive=0), _VERSION))
        _take(connected, 4)
        told.send("ready")
        times = []
        while not told.poll(INTERVAL):
            began = time.perf_counter()
            connected.sendall(b"\xc0\x00")
            _take(connected, 2)
            times.append(time.perf_counter() - began)
        told.send(times or [0.0])


_VERSION = ProtocolVersion.V311


def _take(connected: socket.socket, size: int) -> None:
    while size:
        data = connected.recv(size)
        if not data:
            raise ConnectionError("the broker has closed the connection of the probe")
        size -= len(data)
