"""How clients of the load reach a broker: over TCP, a Unix socket, TLS, and in WebSocket frames over any of them.

A WebSocket client sends each packet in a frame of its own, as MQTT clients do. Frames are masked when they are made,
which is before the load begins; what comes in is taken out of its frames, and counted as if there were none.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Protocol, cast

__all__ = ["Address", "Frame", "Link", "Transport", "plain"]

Address = tuple[str, int] | str
"""A host and port, or the path of a Unix socket."""


class Transport(Enum):
    """How clients reach a broker; the value is what tables call it."""

    TCP = "TCP"
    UNIX = "Unix"
    WS = "WebSocket"
    TLS = "TLS"
    WSS = "WebSocket, TLS"

    @property
    def websocket(self) -> bool:
        """Whether MQTT is in WebSocket frames."""
        return self in (Transport.WS, Transport.WSS)

    @property
    def tls(self) -> bool:
        """Whether the connection is encrypted."""
        return self in (Transport.TLS, Transport.WSS)


Frame = Callable[[bytes], bytes]
"""From a packet to what goes over the wire."""

MASK = b"\x37\xfa\0\0"
"""A mask that leaves the third and fourth byte of a frame as they are: with it, the packet identifier in an
acknowledgement needs no work. It is not zero altogether, since a broker might take that for no mask.
"""

_REQUEST = (
    b"GET /mqtt HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Protocol: mqtt\r\n\r\n"
)


def plain(packet: bytes) -> bytes:
    """A packet as it is."""
    return packet


def masked(packet: bytes) -> bytes:
    """A packet in a binary WebSocket frame, masked."""
    size = len(packet)
    if size < 126:
        length = bytes((0x80 | size,))
    elif size < 65_536:
        length = b"\xfe" + size.to_bytes(2, "big")
    else:
        length = b"\xff" + size.to_bytes(8, "big")
    mask = int.from_bytes((MASK * (size // 4 + 1))[:size], "big")
    return b"\x82" + length + MASK + (int.from_bytes(packet, "big") ^ mask).to_bytes(size, "big")


class Receiver(Protocol):
    """A client of the load."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None: ...
    def data_received(self, data: bytes) -> None: ...


class _WebSocket(asyncio.Protocol):
    """Shakes hands, and takes bytes out of frames."""

    def __init__(self, client: Receiver) -> None:
        self.client = client
        self.open: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.client.connection_made(transport)
        cast("asyncio.Transport", transport).write(_REQUEST)

    def data_received(self, data: bytes) -> None:
        if self.rest:
            data = self.rest + data
        if self.open.done():
            self._take_frames(data)
            return
        head, end, self.rest = data.partition(b"\r\n\r\n")
        if not end:
            self.rest = data
        elif head.startswith(b"HTTP/1.1 101"):
            self.open.set_result(None)
        else:
            self.open.set_exception(ConnectionError(head.decode("latin-1")))

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.open.done():
            self.open.set_exception(exc or ConnectionError("closed"))

    def _take_frames(self, data: bytes) -> None:
        at, end = 0, len(data)
        payloads = []
        while end - at >= 2:
            length, begin = data[at + 1], at + 2
            if length >= 126:
                begin += 2 if length == 126 else 8
                length = int.from_bytes(data[at + 2 : begin], "big")
            if begin + length > end:
                break
            payloads.append(data[begin : begin + length])
            at = begin + length
        self.rest = data[at:]
        if payloads:
            self.client.data_received(b"".join(payloads))


async def _open_unix(protocol: Receiver, path: str) -> None:
    loop = asyncio.get_running_loop()
    while True:
        try:
            await loop.create_unix_connection(lambda: protocol, path)  # type: ignore[type-var]
            return
        except BlockingIOError:
            # There is no room among those that wait to be accepted. A TCP connection would wait by itself.
            await asyncio.sleep(0.001)


@dataclass(frozen=True)
class Link:
    """The way to one broker."""

    address: Address
    transport: Transport = Transport.TCP
    authority: Path | None = None
    """Of the broker's certificate, PEM; ``None``: those of the system."""

    @property
    def frame(self) -> Frame:
        """What packets are put into."""
        return masked if self.transport.websocket else plain

    async def open(self, client: Receiver) -> None:
        """Connect a client."""
        protocol = _WebSocket(client) if self.transport.websocket else client
        loop = asyncio.get_running_loop()
        if isinstance(self.address, str):
            await _open_unix(protocol, self.address)
        else:
            await loop.create_connection(lambda: protocol, *self.address, ssl=self.context())  # type: ignore[type-var]
        if isinstance(protocol, _WebSocket):
            await asyncio.wait_for(protocol.open, 10)

    def context(self) -> ssl.SSLContext | None:
        """What a client speaks TLS with, if it does. Nothing is resumed."""
        if not self.transport.tls:
            return None
        if self.authority not in _contexts:
            _contexts[self.authority] = ssl.create_default_context(cafile=self.authority)
        return _contexts[self.authority]


_contexts: dict[Path | None, ssl.SSLContext] = {}
