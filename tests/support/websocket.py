"""A WebSocket client that sends the frames it is told to, legal or not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

from mqttbroker.broker import Limits
from mqttbroker.config import Config, ListenerConfig
from mqttbroker.testing import RunningBroker
from mqttbroker.testing.plugin import BrokerFactory
from tests.support.frames import BINARY, CLOSE, CONTINUATION, MASK, PING, PONG, TEXT, frame, request

__all__ = [
    "BINARY",
    "CLOSE",
    "CONTINUATION",
    "MASK",
    "PING",
    "PONG",
    "TEXT",
    "Ended",
    "Place",
    "WebSocket",
    "serve",
    "shake_hands",
    "websocket",
]

TIMEOUT = 5.0


class Place(Protocol):
    """Where WebSockets are served: a broker, or one of its listeners."""

    @property
    def host(self) -> str: ...

    @property
    def port(self) -> int: ...


class Ended(Exception):
    """The broker has closed the WebSocket or the connection below it; ``code`` is that of its Close frame, if any."""

    def __init__(self, code: int | None) -> None:
        super().__init__(f"closed with {code}")
        self.code = code


class WebSocket:
    """An open WebSocket. It answers nothing by itself."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, headers: dict[str, str]) -> None:
        self._reader = reader
        self._writer = writer
        self.headers = headers
        """The headers of the broker's answer, with names in lower case."""

    def send(self, data: bytes, opcode: int = BINARY, final: bool = True) -> None:
        """Send one frame."""
        self.send_raw(frame(data, opcode, final))

    def send_raw(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._writer.write(data)

    async def receive(self) -> tuple[int, bytes]:
        """Return opcode and payload of the next frame; raises :class:`Ended`."""
        try:
            async with asyncio.timeout(TIMEOUT):
                first, length = await self._reader.readexactly(2)
                assert not length & 0x80, "a server does not mask its frames"
                if length >= 126:
                    length = int.from_bytes(await self._reader.readexactly(2 if length == 126 else 8), "big")
                data = await self._reader.readexactly(length)
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise Ended(None) from error
        if first & 0x0F == CLOSE:
            raise Ended(int.from_bytes(data[:2], "big") if data else 1005)
        return first & 0x0F, data

    async def receive_bytes(self, count: int) -> bytes:
        """Return what the broker sends in binary frames, until there are so many bytes."""
        received = b""
        while len(received) < count:
            opcode, data = await self.receive()
            assert opcode in (BINARY, CONTINUATION)
            received += data
        return received


async def shake_hands(
    broker: Place, path: str = "/mqtt", **headers: str
) -> tuple[int, dict[str, str], asyncio.StreamReader, asyncio.StreamWriter]:
    """Send the request of a hand-shake; status and headers of the answer. ``headers`` replace or add, "" removes."""
    async with asyncio.timeout(TIMEOUT):
        reader, writer = await asyncio.open_connection(broker.host, broker.port)
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        writer.write(request(f"{broker.host}:{broker.port}", path, fields))
        head = await reader.readuntil(b"\r\n\r\n")
    status, *rest = head.decode("latin-1").strip().split("\r\n")
    received = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in rest)}
    return int(status.split()[1]), received, reader, writer


@asynccontextmanager
async def websocket(broker: Place, offered: str = "mqtt") -> AsyncIterator[WebSocket]:
    """An open WebSocket to the broker; ``offered`` is the list of subprotocols."""
    status, headers, reader, writer = await shake_hands(broker, **{"Sec_WebSocket_Protocol": offered})
    try:
        assert status == 101
        yield WebSocket(reader, writer, headers)
    finally:
        writer.transport.abort()


def serve(factory: BrokerFactory, limits: Limits | None = None, **settings: object) -> RunningBroker:
    """A broker that listens for WebSockets only."""
    listener = ListenerConfig("websocket", "websocket", port=0, **settings)  # type: ignore[arg-type]
    return factory(config=Config(listeners=(listener,), limits=limits or Limits()))
