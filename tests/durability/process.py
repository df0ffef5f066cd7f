"""A broker in a process of its own, which can be killed, told to stop, and asked what it has logged."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

__all__ = ["ROOT", "BrokerProcess", "DidNotStart"]

ROOT = Path(__file__).parents[2]
START_TIMEOUT = 30.0
"""Seconds in which a broker must listen or have given up; also on a machine that is busy."""
EXIT_TIMEOUT = 20.0


class DidNotStart(Exception):
    """The broker ended before it listened; ``lines`` are what it said."""

    def __init__(self, returncode: int, lines: list[str]) -> None:
        super().__init__(f"the broker ended with {returncode}: {lines[-5:]}")
        self.returncode = returncode
        self.lines = lines


class BrokerProcess:
    """``mqttbroker serve`` on a free port. ``point`` is a place in the broker at which it kills itself; see
    ``runner.py``.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        environment: Mapping[str, str] | None = None,
        point: str = "",
        arguments: Sequence[str] = (),
        preexec: Callable[[], object] | None = None,
    ) -> None:
        self.data_dir = data_dir
        self.port = 0
        self.lines: list[str] = []
        """Standard error, line by line."""
        self.logged: list[dict[str, object]] = []
        self.started_in = 0.0
        """Seconds from the start of the process until it listened."""
        self._environment = {**os.environ, **(environment or {})}
        program = ["tests.durability.runner", point] if point else ["mqttbroker"]
        self._command = [
            *(sys.executable, "-m", *program, "serve", "--port", "0", "--log-format", "json"),
            *("--data-dir", str(data_dir), *arguments),
        ]
        self._preexec = preexec
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._more = asyncio.Event()

    async def start(self) -> BrokerProcess:
        """Start, and return when it listens. Raises :class:`DidNotStart`, ``TimeoutError``."""
        began = time.monotonic()
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            cwd=ROOT,
            env=self._environment,
            stderr=asyncio.subprocess.PIPE,
            stdin=asyncio.subprocess.DEVNULL,
            preexec_fn=self._preexec,
        )
        self._reader = asyncio.ensure_future(self._read())
        try:
            line = await self.wait_for_log("listening", START_TIMEOUT)
        except EOFError:
            raise DidNotStart(await self.wait(), self.lines) from None
        except BaseException:
            await self.kill()
            raise
        self.port = int(str(line["port"]))
        self.started_in = time.monotonic() - began
        return self

    async def __aenter__(self) -> BrokerProcess:
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        await self.kill()

    @property
    def _running(self) -> asyncio.subprocess.Process:
        assert self._process is not None
        return self._process

    @property
    def pid(self) -> int:
        return self._running.pid

    def signal(self, number: int) -> None:
        """Send a signal; no error where the process has ended."""
        if self._running.returncode is None:
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                return

    async def kill(self) -> int:
        """Kill as ``kill -9`` does, and wait for the end."""
        self.signal(signal.SIGKILL)
        return await self.wait()

    async def wait(self, timeout: float = EXIT_TIMEOUT) -> int:
        """Wait for the end; the exit status, negative for a signal."""
        async with asyncio.timeout(timeout):
            status = await self._running.wait()
            if self._reader is not None:
                await self._reader
        return status

    async def ended(self, timeout: float | None = None) -> None:
        """Wait for the end, as several may at once."""
        async with asyncio.timeout(timeout):
            await self._running.wait()

    async def stop(self) -> int:
        """Tell it to stop, and wait for the end."""
        self.signal(signal.SIGTERM)
        return await self.wait()

    def events(self, name: str) -> list[dict[str, object]]:
        """The lines of the log that say this, so far."""
        return [each for each in self.logged if each.get("event") == name]

    async def wait_for_log(self, name: str, timeout: float = 10.0, count: int = 1) -> dict[str, object]:
        """Wait until the log has said this so many times. ``EOFError`` when the process ends before."""
        assert self._reader is not None
        async with asyncio.timeout(timeout):
            while True:
                found = self.events(name)
                if len(found) >= count:
                    return found[-1]
                if self._reader.done():
                    raise EOFError(name)
                self._more.clear()
                await self._more.wait()

    async def _read(self) -> None:
        stream = self._running.stderr
        assert stream is not None
        while line := await stream.readline():
            text = line.decode(errors="replace").rstrip("\n")
            self.lines.append(text)
            if text.startswith("{"):
                self.logged.append(json.loads(text))
            self._more.set()
        self._more.set()
