"""What transports over sockets have in common: listening, one asyncio protocol for each connection, back-pressure.

A subclass of :class:`StreamProtocol` says what the bytes that come in mean (:meth:`StreamProtocol.received`) and in
what shape packets go out (:meth:`StreamProtocol.send`).
"""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable
from typing import cast

from mqttbroker.broker import Connection
from mqttbroker.listeners.host import Host

__all__ = ["StreamListener", "StreamProtocol", "format_address"]

LINGER = 5.0
"""Seconds in which a client that is being disconnected may still take what was written for it."""
DRAIN = 1.0
"""Seconds in which it may take the end of the stream, where nothing else is left to take."""
BACKLOG = 1_024

ProtocolFactory = Callable[[Host, str], "StreamProtocol"]


class StreamListener:
    """Accepts connections on one TCP address, of one or both IP versions."""

    def __init__(self, name: str, host: str, port: int, protocol: ProtocolFactory) -> None:
        self.name: str = name
        self.host: str = host
        self.port: int = port
        self._protocol: ProtocolFactory = protocol
        self._server: asyncio.Server | None = None

    async def start(self, host: Host) -> None:
        """Bind and listen. Raises ``OSError`` with a message that names the listener and its address."""
        try:
            self._server = await host.loop.create_server(
                lambda: self._protocol(host, self.name), self.host, self.port, backlog=BACKLOG
            )
        except OSError as error:
            # A name that cannot be resolved has a number of its own, which strerror does not know.
            known = error.errno is not None and error.errno in errno.errorcode
            reason = os.strerror(cast("int", error.errno)) if known else str(error)
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


class StreamProtocol(asyncio.BufferedProtocol):
    """One socket, which carries bytes for one :class:`Connection`. Reads into the buffer that all of them share."""

    def __init__(self, host: Host, listener: str) -> None:
        self.host: Host = host
        self.listener: str = listener
        self.transport: asyncio.Transport = _NO_TRANSPORT
        self.connection: Connection | None = None
        self._deadline: asyncio.TimerHandle | None = None

    def received(self, data: bytes) -> None:
        """Bytes have come in."""
        raise NotImplementedError

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.host.carrier_opened(self)
        self.transport.set_write_buffer_limits(self.host.core.limits.max_outbound_buffer)
        address = format_address(transport.get_extra_info("peername"))
        self.connection = self.host.core.accept(self, address, self.listener, self.host.clock())

    def get_buffer(self, sizehint: int) -> memoryview:
        return self.host.receive_buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.received(bytes(self.host.receive_buffer[:nbytes]))
        self.host.read(nbytes)

    def connection_lost(self, exc: Exception | None) -> None:
        self.host.carrier_closed(self)
        if self._deadline is not None:
            self._deadline.cancel()
        if self.connection is not None:
            self.connection.lost(self.host.clock(), "connection lost" if exc is None else f"connection lost: {exc}")
            self.connection = None
        self.host.flush_soon()

    def pause_writing(self) -> None:
        if self.connection is not None:
            self.connection.writable(False, self.host.clock())

    def resume_writing(self) -> None:
        if self.connection is not None:
            self.connection.writable(True, self.host.clock())
        self.host.flush_soon()

    # What the connection calls.

    def send(self, data: bytes) -> None:
        """Write packets."""
        self.transport.write(data)

    def close(self) -> None:
        """Close when everything has left, or when the client has had long enough to take it.

        First only in our direction: where a socket is closed with something unread in it, the system tells the client
        so at once, and what was written last, a DISCONNECT say, is lost. What still comes in meanwhile is thrown
        away.
        """
        self.connection = None
        waiting = self.transport.get_write_buffer_size()
        if self.host.stopping or not self.transport.can_write_eof():
            self.transport.close()
        elif not self.transport.is_closing():
            try:
                self.transport.write_eof()
                self.transport.resume_reading()
            except OSError:
                # The client has reset the connection, and the event loop has not seen it yet.
                self.transport.abort()
        if self._deadline is None:
            self._deadline = self.host.loop.call_later(LINGER if waiting else DRAIN, self.transport.abort)

    def abort(self) -> None:
        """Close at once."""
        self.transport.abort()

    def waiting(self) -> int:
        """Bytes that have not left yet."""
        return self.transport.get_write_buffer_size()

    def pause_reading(self) -> None:
        """Read no more until told otherwise."""
        if not self.transport.is_closing():
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        """Read again."""
        if not self.transport.is_closing():
            self.transport.resume_reading()


_NO_TRANSPORT = asyncio.Transport()


def format_address(peer: object) -> str:
    """An address as logs show it: ``192.0.2.1:1883``, ``[2001:db8::1]:1883``."""
    if isinstance(peer, tuple) and len(peer) >= 2:
        host, port = peer[0], peer[1]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return str(peer or "unknown")
