"""MQTT over TCP: asyncio's ``BufferedProtocol`` over the host's one receive buffer, so that a read allocates nothing
but its bytes.
"""

from __future__ import annotations

import asyncio
import errno
import os
from typing import cast

from mqttbroker.broker import Connection
from mqttbroker.listeners.host import Host

__all__ = ["TcpListener", "format_address"]

LINGER = 5.0
"""Seconds in which a client that is being disconnected may still take what was written for it."""
BACKLOG = 1_024


class TcpListener:
    """Accepts TCP connections on one address, of one or both IP versions."""

    def __init__(self, name: str, host: str, port: int) -> None:
        self.name: str = name
        self.host: str = host
        self.port: int = port
        self._server: asyncio.Server | None = None

    async def start(self, host: Host) -> None:
        """Bind and listen. Raises ``OSError`` with a message that names the listener and its address."""
        try:
            self._server = await host.loop.create_server(
                lambda: TcpProtocol(host, self.name), self.host, self.port, backlog=BACKLOG
            )
        except OSError as error:
            # A name that cannot be resolved has a number of its own, which strerror does not know.
            reason = (
                os.strerror(error.errno) if error.errno is not None and error.errno in errno.errorcode else str(error)
            )
            where = format_address((self.host, self.port))
            raise OSError(error.errno, f"listener {self.name!r} cannot listen on {where}: {reason}") from error

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Where it listens, with the ports that the system has chosen where 0 was asked for."""
        if self._server is None:
            return []
        return [cast("tuple[str, int]", each.getsockname()[:2]) for each in self._server.sockets]

    def stop(self) -> None:
        """Accept no more connections; those that are open stay."""
        if self._server is not None:
            self._server.close()


class TcpProtocol(asyncio.BufferedProtocol):
    """One TCP connection: carries bytes for one :class:`Connection`."""

    __slots__ = ("_connection", "_host", "_listener", "_transport")

    def __init__(self, host: Host, listener: str) -> None:
        self._host: Host = host
        self._listener: str = listener
        self._transport: asyncio.Transport = _NO_TRANSPORT
        self._connection: Connection | None = None

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._host.carrier_opened()
        self._transport.set_write_buffer_limits(self._host.core.limits.max_outbound_buffer)
        address = format_address(transport.get_extra_info("peername"))
        self._connection = self._host.core.accept(self, address, self._listener, self._host.clock())

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._host.receive_buffer

    def buffer_updated(self, nbytes: int) -> None:
        host = self._host
        if self._connection is not None:
            self._connection.feed(bytes(host.receive_buffer[:nbytes]), host.clock())
        host.read(nbytes)

    def connection_lost(self, exc: Exception | None) -> None:
        self._host.carrier_closed()
        if self._connection is not None:
            self._connection.lost(self._host.clock(), "connection lost" if exc is None else f"connection lost: {exc}")
            self._connection = None
        self._host.flush_soon()

    def pause_writing(self) -> None:
        if self._connection is not None:
            self._connection.writable(False, self._host.clock())

    def resume_writing(self) -> None:
        if self._connection is not None:
            self._connection.writable(True, self._host.clock())
        self._host.flush_soon()

    # What the connection calls.

    def send(self, data: bytes) -> None:
        self._transport.write(data)

    def close(self) -> None:
        self._transport.close()
        if self._transport.get_write_buffer_size():
            self._host.loop.call_later(LINGER, self._transport.abort)

    def abort(self) -> None:
        self._transport.abort()

    def waiting(self) -> int:
        return self._transport.get_write_buffer_size()

    def pause_reading(self) -> None:
        if not self._transport.is_closing():
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        if not self._transport.is_closing():
            self._transport.resume_reading()


_NO_TRANSPORT = asyncio.Transport()


def format_address(peer: object) -> str:
    """An address as logs show it: ``192.0.2.1:1883``, ``[2001:db8::1]:1883``."""
    if isinstance(peer, tuple) and len(peer) >= 2:
        host, port = peer[0], peer[1]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return str(peer or "unknown")
