"""D23: nobody takes the log. Messaging goes on."""

from __future__ import annotations

import asyncio
import fcntl
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.durability.process import ROOT
from tests.support.raw import RawClient

MANY = 60
F_SETPIPE_SZ = 1031


@pytest.fixture(params=("a full disk", "a pipe that nobody reads"))
def log(request: pytest.FixtureRequest) -> Iterator[int]:
    """A descriptor to log to."""
    if request.param == "a full disk":
        reading, writing = -1, os.open("/dev/full", os.O_WRONLY)
    else:
        reading, writing = os.pipe()
        fcntl.fcntl(writing, F_SETPIPE_SZ, 4_096)
    yield writing
    os.close(writing)
    if reading >= 0:
        os.close(reading)


@pytest.fixture
def port(store: Path, log: int) -> Iterator[int]:
    """The port of a broker that logs there; it cannot say which, so that it is chosen for it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        chosen = int(server.getsockname()[1])
    command = [sys.executable, "-m", "mqttbroker", "serve", "--port", str(chosen), "--data-dir", str(store)]
    process = subprocess.Popen(command, cwd=ROOT, stderr=log)
    yield chosen
    process.kill()
    process.wait(10)


async def test_d23_nobody_takes_the_log(port: int) -> None:
    async with asyncio.timeout(30):
        while True:
            try:
                async with RawClient("127.0.0.1", port):
                    break
            except OSError:
                await asyncio.sleep(0.05)
    for _ in range(MANY):  # Each connection is a line or two.
        async with RawClient("127.0.0.1", port, timeout=3) as client:
            await client.connect()
            await client.publish("a", b"x", qos=1)
