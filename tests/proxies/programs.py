"""HAProxy and nginx as processes, with configurations that tests write.

A proxy is handed a socket that listens already, on a port that the kernel has chosen: nothing can take the port in
between, and clients may connect before the proxy is ready. When it ends unasked, the test fails with what it has said.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from tests.support.tools import require_tool

__all__ = ["FRONT", "Proxy", "haproxy", "nginx"]

FRONT = "127.0.0.1"
"""Where proxies listen."""
TIMEOUT = 5.0

_HAPROXY = """\
global
    log stdout format raw local0 info
    nbthread 1
defaults
    mode tcp
    retries 0
    timeout connect 5s
    timeout check 5s
    timeout client 1m
    timeout server 1m
    timeout tunnel 1m
"""

_NGINX = """\
daemon off;
worker_processes 1;
{user}
pid nginx.pid;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
{http}
}}
"""


class Proxy:
    """A proxy that runs. Clients connect to :data:`FRONT` and :attr:`port`."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self.port: int = port
        self._process = process
        self._said: list[str] = []
        self._killed = False
        self._reader: asyncio.Task[None] = asyncio.get_running_loop().create_task(self._read())

    async def _read(self) -> None:
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            self._said.append(line.decode(errors="replace").rstrip())

    @property
    def said(self) -> list[str]:
        """The lines that it has written, to its log and elsewhere."""
        return list(self._said)

    async def kill(self) -> None:
        """End it, and the processes that it has made, as a crash does."""
        self._killed = True
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        async with asyncio.timeout(TIMEOUT):
            await self._process.wait()
            await self._reader

    async def stop(self) -> None:
        """End it. Raises ``AssertionError`` where it has ended by itself before."""
        code, killed = self._process.returncode, self._killed
        await self.kill()
        print(*self._said, sep="\n")  # Shown by pytest where the test has failed.
        assert code is None or killed, f"the proxy has ended with {code}"


@contextlib.asynccontextmanager
async def haproxy(directory: Path, sections: str, front: str = FRONT) -> AsyncIterator[Proxy]:
    """Run HAProxy with these sections, in which ``{bind}`` is the address of the socket that it is handed."""
    with _listening(front) as listening:
        configuration = directory / "haproxy.cfg"
        configuration.write_text(_HAPROXY + sections.replace("{bind}", f"fd@{listening.fileno()}"), encoding="utf-8")
        command = [require_tool("haproxy"), "-db", "-f", str(configuration)]
        proxy = await _start(command, directory, listening, {})
    async with _running(proxy):
        yield proxy


@contextlib.asynccontextmanager
async def nginx(directory: Path, http: str, front: str = FRONT) -> AsyncIterator[Proxy]:
    """Run nginx with this in its section ``http``; ``{listen}`` is the address that it is to listen on."""
    with _listening(front) as listening:
        port: int = listening.getsockname()[1]
        configuration = directory / "nginx.conf"
        # Whoever runs the tests: by itself nginx would become somebody who may not read their files.
        user = "user root root;" if os.geteuid() == 0 else ""
        text = _NGINX.format(user=user, http=http.replace("{listen}", f"{front}:{port}"))
        configuration.write_text(text, encoding="utf-8")
        command = [require_tool("nginx"), "-p", str(directory), "-c", str(configuration), "-e", "stderr"]
        # How a running nginx hands its sockets to the one that replaces it.
        proxy = await _start(command, directory, listening, {"NGINX": f"{listening.fileno()};"})
    async with _running(proxy):
        yield proxy


def _listening(front: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in front else socket.AF_INET
    listening = socket.create_server((front.strip("[]"), 0), family=family)
    listening.setblocking(False)
    return listening


async def _start(command: list[str], directory: Path, listening: socket.socket, variables: Mapping[str, str]) -> Proxy:
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=directory,
        env=os.environ | variables,
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=STDOUT,
        pass_fds=[listening.fileno()],
        process_group=0,
    )
    return Proxy(process, listening.getsockname()[1])


@contextlib.asynccontextmanager
async def _running(proxy: Proxy) -> AsyncIterator[None]:
    try:
        yield
    finally:
        await proxy.stop()
