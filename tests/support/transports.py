"""The ways to a broker, so that one test can go all of them."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass

from tests.support.streams import Cut, SocketStream, Stream, TlsStream, WebSocketStream

__all__ = ["TCP", "Transport"]


@dataclass(frozen=True, slots=True)
class Transport:
    """What a client puts between MQTT and the network, from below."""

    unix: bool = False
    """A Unix socket in the place of TCP: the host is its path."""
    tls: ssl.SSLContext | None = None
    server_hostname: str = "localhost"
    """The name that the broker's certificate must have."""
    websocket: Cut | None = None
    """WebSocket: how what is sent is cut into frames."""
    path: str = "/mqtt"
    trickle: bool = False
    """Whether the network carries every byte for itself, those of hand-shakes too."""
    headers: Mapping[str, str] | None = None
    """Of the request for a WebSocket, in the place of those that are there and more of them."""
    source: str = ""
    """The address to connect from, in TCP; empty: the system chooses."""

    async def open(self, host: str, port: int) -> Stream:
        """Connect, and shake all hands there are.

        Raises ``OSError``, of which ``ssl.SSLError`` and :class:`~tests.support.streams.Refused` are kinds.
        """
        bottom = await self._open_socket(host, port)
        bottom.trickle = self.trickle
        stream: Stream = bottom
        try:
            if self.tls is not None:
                stream = TlsStream(stream, self.tls, self.server_hostname)
                await stream.shake_hands()
            if self.websocket is not None:
                stream = WebSocketStream(stream, self.websocket)
                await stream.shake_hands("localhost" if self.unix else f"{host}:{port}", self.path, self.headers)
        except BaseException:
            await bottom.close()
            raise
        return stream

    async def _open_socket(self, host: str, port: int) -> SocketStream:
        if self.unix:
            return await SocketStream.open(socket.AF_UNIX, host)
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        family, _, _, _, address = found[0]
        return await SocketStream.open(family, address, self.source)


TCP = Transport()
