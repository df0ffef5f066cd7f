"""What transports over sockets have in common once a connection is open: one asyncio protocol for each, and
back-pressure.

A subclass of :class:`StreamProtocol` says what the bytes that come in mean (``data_received``) and in what shape
packets go out (``send``).
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import replace

from mqttbroker.broker import Connection, Entrance, Peer
from mqttbroker.listeners.host import Host
from mqttbroker.listeners.transport import Transport
from mqttbroker.security import TlsError

__all__ = ["LINGER", "Arrival", "StreamProtocol"]

LINGER = 5.0
"""Seconds in which a client that is being disconnected may still take what was written for it."""
DRAIN = 1.0
"""Seconds in which it may take the end of the stream, where nothing else is left to take."""
STOP_DRAIN = 0.25
"""The same while the broker stops."""


class Arrival:
    """A connection that was accepted: what is known of it before its transport is ready."""

    __slots__ = ("at", "believed", "counted", "entrance", "host", "made", "peer")

    def __init__(self, host: Host, entrance: Entrance, peer: Peer, counted: str, at: float) -> None:
        self.host: Host = host
        self.entrance: Entrance = entrance
        self.peer: Peer = peer
        self.counted: str = counted
        """The address that the gate has counted it by; "" for none."""
        self.at: float = at
        self.believed: bool = False
        """Whether the peer is a proxy that is believed what it says in a request of HTTP."""
        self.made: bool = False
        """Whether a protocol has taken over, and tells the gate when the socket is closed."""


class StreamProtocol:
    """One socket, which carries bytes for one :class:`Connection`."""

    def __init__(self, arrival: Arrival) -> None:
        self.host: Host = arrival.host
        self.entrance: Entrance = arrival.entrance
        self.counted: str = arrival.counted
        self.believed: bool = arrival.believed
        self.transport: Transport = _NO_TRANSPORT
        self.connection: Connection | None = None
        self._arrival: Arrival | None = arrival
        self._deadline: asyncio.TimerHandle | None = None

    # What the transport calls.

    def connection_made(self, transport: Transport) -> None:
        arrival = self._arrival
        assert arrival is not None
        self._arrival = None
        arrival.made = True
        self.transport = transport
        self.host.carrier_opened(self)
        self.transport.set_write_buffer_limits(self.host.core.limits.max_outbound_buffer)
        peer = arrival.peer
        encryption = transport.get_extra_info("ssl_object")
        if encryption is not None:
            try:
                peer = _with_certificate(peer, encryption)
            except TlsError as error:
                now, core = self.host.clock(), self.host.core
                core.quiet_log(
                    now, peer.address, "warning", "connection failed", address=peer.address, reason=str(error)
                )
                self.transport.abort()
                return
        self.connection = self.host.core.accept(self, peer, self.entrance, self.host.clock(), arrival.at)

    def data_received(self, data: bytes) -> None:
        """Take bytes; ends with a call of :meth:`Host.read`."""
        raise NotImplementedError

    def eof_received(self) -> bool | None:
        return None  # The transport closes.

    def connection_lost(self, exc: Exception | None) -> None:
        now = self.host.clock()
        self.host.core.gate.leave(self.entrance, self.counted, now)
        self.host.carrier_closed(self)
        if self._deadline is not None:
            self._deadline.cancel()
        if self.connection is not None:
            self.connection.lost(now, "connection lost" if exc is None else f"connection lost: {exc}")
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
        so at once, and what was written last, a DISCONNECT say, is lost. What still comes in meanwhile is thrown away.
        """
        self.connection = None
        waiting = self.transport.get_write_buffer_size()
        if not self.transport.is_closing():
            try:
                self.transport.write_eof()
                self.transport.resume_reading()
            except OSError:
                # The client has reset the connection, and the event loop has not seen it yet.
                self.transport.abort()
        if self._deadline is None:
            patience = LINGER if waiting else STOP_DRAIN if self.host.stopping else DRAIN
            self._deadline = self.host.loop.call_later(patience, self.transport.abort)

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


def _with_certificate(peer: Peer, encryption: ssl.SSLObject) -> Peer:
    """What is known of the peer, and the certificate that it has shown, if any. Raises ``TlsError``."""
    from mqttbroker.listeners.tls import client_certificate

    certificate = client_certificate(encryption)
    return peer if certificate is None else replace(peer, certificate=certificate)


_NO_TRANSPORT = asyncio.Transport()
