"""TLS on one connection, the broker's side: between the socket's transport and the protocol that wants plain bytes.

Event loops have TLS of their own, each another one. This takes its place, so that a connection over TLS lives and ends
as one over TCP does, in every event loop:

1. What was written last arrives, also where the client goes on sending: the end is a close_notify and the end of our
   direction, and whatever still comes in is thrown away unread.
2. Bytes that wait are counted where they wait, in the socket's transport: none are kept here.
3. A client whose hand-shake fails is told why, by TLS's own alert.
4. Reading stops where the protocol asks for it, and with it everything that a client could make TLS answer to.

TLS itself is OpenSSL's, in memory. Both of its buffers stay as small as the pieces that go through them (`PIECE`),
whatever the size of messages: OpenSSL does not give back what it has once used.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from mqttbroker.listeners.transport import Receiver, Transport

__all__ = ["Encryption"]

HANDED_ON = 65_536
"""Bytes that the protocol is given at once, more or less."""
PIECE = 16_384
"""Bytes that are encrypted or decrypted at once: as many as a record of TLS holds, so that more would save little."""


class Encryption:
    """A protocol to the socket's transport, and the transport of the protocol above.

    That protocol is made when the hand-shake is done, and knows nothing of it. :attr:`shaken` tells how that went.
    """

    __slots__ = (
        "_below",
        "_failure",
        "_full",
        "_incoming",
        "_loop",
        "_make",
        "_outgoing",
        "_over",
        "_protocol",
        "_reading",
        "_rest",
        "_tls",
        "_writing",
        "shaken",
    )

    def __init__(
        self,
        context: ssl.SSLContext,
        make: Callable[[Encryption], Receiver],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.shaken: asyncio.Future[None] = loop.create_future()
        """Done when the protocol has its transport. Has ``OSError``, of which ``ssl.SSLError`` is one, where the
        hand-shake has failed and the socket is closed.
        """
        self._loop = loop
        self._make = make
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls: ssl.SSLObject = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._below: Transport = _NO_TRANSPORT
        self._protocol: Receiver | None = None
        self._rest: memoryview = _NOTHING
        """What has come in and is not in ``_incoming`` yet."""
        self._reading: bool = True
        self._writing: bool = False
        self._full: bool = False
        self._over: bool = False
        """Whether we have said that nothing more is sent; what comes in is thrown away."""
        self._failure: Exception | None = None

    # What the socket's transport calls.

    def connection_made(self, transport: Transport) -> None:
        self._below = transport

    def data_received(self, data: bytes) -> None:
        if self._over:
            return
        if len(data) <= PIECE and not self._rest:
            self._incoming.write(data)
        else:
            self._rest = memoryview(bytes(self._rest) + data)
            self._take_piece()
        if self._protocol is not None:
            self._read(self._protocol)
        else:
            self._shake_hands()

    def eof_received(self) -> None:
        """The client has closed its direction, with a close_notify or without."""
        if self._protocol is None:
            self._failure = self._failure or ConnectionResetError("closed in the hand-shake")
        else:
            self._protocol.eof_received()
            self._say_goodbye()

    def connection_lost(self, exc: Exception | None) -> None:
        exc = self._failure or exc
        if self._protocol is not None:
            self._protocol.connection_lost(exc)
        elif not self.shaken.done():
            self.shaken.set_exception(exc or ConnectionResetError("closed in the hand-shake"))

    def pause_writing(self) -> None:
        self._full = True
        if self._protocol is not None and not self._writing:
            self._protocol.pause_writing()

    def resume_writing(self) -> None:
        self._full = False
        if self._protocol is not None:
            self._protocol.resume_writing()

    # TLS.

    def _take_piece(self) -> bool:
        """Let TLS have some more of what has come in, if there is more."""
        rest = self._rest
        if rest:
            self._incoming.write(rest[:PIECE])
            # An empty part of it would keep all of it in memory.
            self._rest = rest[PIECE:] if len(rest) > PIECE else _NOTHING
        return bool(rest)

    def _shake_hands(self) -> None:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._transmit()
            if self._take_piece():
                self._shake_hands()
        except ssl.SSLError as error:
            self._fail(error)
        else:
            self._transmit()
            protocol = self._protocol = self._make(self)
            if not self.shaken.done():
                self.shaken.set_result(None)
            self._read(protocol)

    def _read(self, protocol: Receiver) -> None:
        """Hand on what is here, as long as the protocol wants it."""
        more = True
        while more and self._reading and not self._over and not self._below.is_closing():
            pieces: list[bytes] = []
            count = 0
            ended = more = False
            try:
                while not (more or ended):
                    if not self._incoming.pending and not self._tls.pending() and not self._take_piece():
                        break
                    try:
                        piece = self._tls.read(PIECE)
                    except ssl.SSLWantReadError:
                        continue
                    pieces.append(piece)
                    count += len(piece)
                    ended = not piece
                    more = count >= HANDED_ON
            except ssl.SSLError as error:
                self._fail(error)
            self._transmit()
            if count:
                protocol.data_received(pieces[0] if len(pieces) == 1 else b"".join(pieces))
            if ended:
                # After what the protocol answers to the last bytes, which it writes at the end of this turn.
                self._loop.call_soon(self._client_has_ended)

    def _client_has_ended(self) -> None:
        if not self._over:
            self.eof_received()
            self._below.close()

    def _fail(self, error: Exception) -> None:
        """Close; an alert that TLS has for the client goes first."""
        self._failure = error
        self._over = True
        self._transmit()
        self._below.close()

    def _say_goodbye(self) -> None:
        if not self._over:
            self._over = True
            with suppress(ssl.SSLError):
                # Asks for the client's goodbye as well, for which nobody waits.
                self._tls.unwrap()
            self._transmit()

    def _transmit(self) -> None:
        if self._outgoing.pending:
            self._below.write(self._outgoing.read())

    # What the protocol calls.

    def write(self, data: bytes) -> None:
        if self._over or self._below.is_closing():
            return
        full = self._full
        self._writing = True
        try:
            view = memoryview(data)
            for start in range(0, len(view), PIECE):
                self._tls.write(view[start : start + PIECE])
                self._transmit()
        except ssl.SSLError as error:
            self._fail(error)
        self._writing = False
        if self._full and not full:
            # When all of it is here, so that the protocol sees how much that is.
            self.pause_writing()

    def write_eof(self) -> None:
        self._say_goodbye()
        self._below.write_eof()

    def close(self) -> None:
        self._say_goodbye()
        self._below.close()

    def abort(self) -> None:
        if self._below is not _NO_TRANSPORT:
            self._below.abort()

    def is_closing(self) -> bool:
        return self._below.is_closing()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._tls if name == "ssl_object" else self._below.get_extra_info(name, default)

    def get_write_buffer_size(self) -> int:
        return self._below.get_write_buffer_size()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._below.set_write_buffer_limits(high, low)

    def pause_reading(self) -> None:
        self._reading = False
        self._below.pause_reading()

    def resume_reading(self) -> None:
        if not self._reading:
            self._reading = True
            self._loop.call_soon(self._read_on)
        self._below.resume_reading()

    def _read_on(self) -> None:
        """Hand on what was here already when reading stopped."""
        if self._protocol is not None and not self._below.is_closing():
            self._read(self._protocol)


_NOTHING = memoryview(b"")
_NO_TRANSPORT = asyncio.Transport()
