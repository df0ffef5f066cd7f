"""Another broker, to find out whether a test or the broker under test is wrong."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path

from tests.support.tools import require_tool

__all__ = ["running_mosquitto"]

_CONFIGURATION = """\
listener {port} 127.0.0.1
allow_anonymous true
persistence false
max_keepalive 65535
max_topic_alias 100
max_packet_size 8388608
set_tcp_nodelay true
sys_interval 1
"""
_ATTEMPTS = 5


@contextlib.asynccontextmanager
async def running_mosquitto(folder: Path, timeout: float = 10.0) -> AsyncIterator[int]:
    """Run Mosquitto while the context lasts and give its port; files go to ``folder``, times are in seconds."""
    program = require_tool("mosquitto")
    for _ in range(_ATTEMPTS):
        # Mosquitto cannot be told to take any free port. Should another program take this one in between, a new
        # one is tried.
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port: int = taken.getsockname()[1]
        configuration = folder / "mosquitto.conf"
        configuration.write_text(_CONFIGURATION.format(port=port), encoding="utf-8")
        process = await asyncio.create_subprocess_exec(
            program, "-c", str(configuration), stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
        )
        try:
            async with asyncio.timeout(timeout):
                if await _is_running(process):
                    yield port
                    return
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.communicate()
    raise RuntimeError(f"Mosquitto did not start in {_ATTEMPTS} attempts")


async def _is_running(process: asyncio.subprocess.Process) -> bool:
    """Read the log until it says that the broker runs; False if it ended."""
    assert process.stderr is not None
    while line := await process.stderr.readline():
        if line.rstrip().endswith(b"running"):
            return True
    return False
