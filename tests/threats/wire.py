"""HTTP as an attacker writes it: bytes to the admin server of a broker, and what comes back."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mqttbroker.admin.login import COOKIE
from mqttbroker.config import AdminConfig, Config, ListenerConfig, SysConfig
from mqttbroker.server import Broker
from mqttbroker.testing.running import RunningBroker

__all__ = ["CONFIG", "LOGIN", "TIMEOUT", "Wire", "answered", "cookie_of_admin", "get", "served", "until_served", "wire"]

TIMEOUT = 10.0
CONFIG = Config(listeners=(ListenerConfig(port=0),), sys=SysConfig(interval=0), admin=AdminConfig(enabled=True, port=0))
LOGIN = "POST /api/v1/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


class Wire:
    """One connection to the admin server, byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: str | bytes) -> None:
        """Send; it is no error when the other side has closed."""
        if self.writer.transport.is_closing():
            return
        with contextlib.suppress(ConnectionError):
            self.writer.write(data.encode("latin-1") if isinstance(data, str) else data)
            await self.writer.drain()

    async def rest(self) -> bytes:
        """All that comes until the server closes the connection."""
        found = b""
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(TIMEOUT):
                while data := await self.reader.read(65_536):
                    found += data
        return found

    async def head(self) -> str:
        """The head of the next answer, its body is read and left out."""
        async with asyncio.timeout(TIMEOUT):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            for line in head.lower().split("\r\n"):
                name, _, value = line.partition(":")
                if name == "content-length":
                    await self.reader.readexactly(int(value))
        return head


@asynccontextmanager
async def wire(broker: RunningBroker) -> AsyncIterator[Wire]:
    admin = broker.broker.admin
    assert admin is not None
    reader, writer = await asyncio.open_connection(*admin.address)
    try:
        yield Wire(reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def answered(broker: RunningBroker, request: str | bytes) -> bytes:
    """What a request is answered, that ends its connection."""
    async with wire(broker) as connection:
        await connection.send(request)
        return await connection.rest()


async def served(broker: RunningBroker) -> None:
    """Somebody else gets an answer."""
    answer = await answered(broker, "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 ") and answer.endswith(b"ok\n"), answer


async def until_served(broker: RunningBroker) -> None:
    """Wait until there is room again for somebody."""
    while True:
        with contextlib.suppress(AssertionError):
            return await served(broker)
        await asyncio.sleep(0)


def cookie_of_admin(broker: Broker) -> str:
    """The cookie of somebody who has logged in."""
    assert broker.admin is not None
    return f"{COOKIE}={broker.admin.app.context.login.open('admin')[1]}"


def get(path: str, *headers: str) -> str:
    return "\r\n".join((f"GET {path} HTTP/1.1", "Host: localhost", "Connection: close", *headers, "", ""))
