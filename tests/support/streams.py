"""Bytes to and from a broker, in layers as on the wire: a socket, TLS above it, WebSocket above either.

Every layer is written out here instead of being left to the event loop, so that a test can do to each of them what a
client may do to it: end one and not the others, stop in the middle, and see whether the broker has ended it in order.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence

from tests.support.frames import BINARY, CLOSE, CONTINUATION, PING, PONG, FrameReader, frame, request

__all__ = [
    "Cut",
    "Refused",
    "SocketStream",
    "Stream",
    "TlsStream",
    "WebSocketStream",
    "each_byte",
    "in_fragments",
    "whole",
]

CHUNK = 1 << 16
_LINGER_ZERO = struct.pack("ii", 1, 0)

Cut = Callable[[bytes], Iterable[Sequence[bytes]]]
"""How a WebSocket client cuts what it sends: into messages, each of one or more fragments."""


def whole(data: bytes) -> Iterable[Sequence[bytes]]:
    """One message in one frame."""
    return [[data]]


def each_byte(data: bytes) -> Iterable[Sequence[bytes]]:
    """A message for every byte."""
    return [[data[at : at + 1]] for at in range(len(data))]


def in_fragments(data: bytes) -> Iterable[Sequence[bytes]]:
    """One message with a fragment for every byte, and an empty one at its end."""
    return [[*(data[at : at + 1] for at in range(len(data))), b""]]


class Stream:
    """Bytes in both directions, over another stream unless it is the lowest."""

    def __init__(self, below: Stream | None = None) -> None:
        self._below = below
        self.farewell: bool = False
        """Whether the broker has said, in the words of this layer, that it sends nothing more."""

    @property
    def below(self) -> Stream:
        """The layer below; there must be one."""
        assert self._below is not None
        return self._below

    @below.setter
    def below(self, stream: Stream) -> None:
        self._below = stream

    @property
    def socket(self) -> SocketStream:
        """The lowest layer."""
        return self.below.socket

    @property
    def ended_in_order(self) -> bool:
        """Whether every layer has ended as it should, and nothing was cut off."""
        return self.farewell and (self._below is None or self._below.ended_in_order)

    async def read(self) -> bytes:
        """Return what comes next; ``b""`` at the end. Raises ``ConnectionError``."""
        raise NotImplementedError

    def write(self, data: bytes) -> None:
        """Send bytes. Does not wait."""
        raise NotImplementedError

    def end(self) -> None:
        """Say, in the words of this layer only, that nothing more is sent; reading goes on."""
        raise NotImplementedError

    def end_all(self) -> None:
        """Say so in the words of every layer, from this one down."""
        self.end()
        if self._below is not None:
            self._below.end_all()


class SocketStream(Stream):
    """A socket, of TCP or of the Unix kind."""

    def __init__(self, sock: socket.socket, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        super().__init__()
        self.trickle: bool = False
        """Whether every byte is sent for itself."""
        self._socket = sock
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, family: int, address: object, source: str = "") -> SocketStream:
        """Connect, from the address ``source`` if there is one. Raises ``OSError``."""
        loop = asyncio.get_running_loop()
        # The socket is made here and not by the streams, because `reset` needs the real one: uvloop hands out a
        # stand-in.
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            if family != getattr(socket, "AF_UNIX", None):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if source:
                sock.bind((source, 0))
            await loop.sock_connect(sock, address)  # type: ignore[arg-type]  # Whatever suits the family.
            return cls(sock, *await asyncio.open_connection(sock=sock))
        except BaseException:
            sock.close()
            raise

    @property
    def socket(self) -> SocketStream:
        return self

    @property
    def port(self) -> int:
        """The client's own TCP port."""
        return int(self._writer.get_extra_info("sockname")[1])

    async def read(self) -> bytes:
        data = await self._reader.read(CHUNK)
        self.farewell = not data
        return data

    def write(self, data: bytes) -> None:
        # Where the connection has ended meanwhile, the next read says so.
        for piece in each_byte(data) if self.trickle else [[data]]:
            if not self._writer.transport.is_closing():
                self._writer.write(piece[0])

    def end(self) -> None:
        if not self._writer.transport.is_closing():
            self._writer.write_eof()

    async def drain(self) -> None:
        """Wait until the kernel has taken nearly all that was written."""
        await self._writer.drain()

    @property
    def unsent(self) -> int:
        """Bytes that were written and that the kernel has not taken."""
        return self._writer.transport.get_write_buffer_size()

    def reset(self) -> None:
        """End the connection as a broken network does. A Unix socket knows no such thing, and is just closed."""
        if self._socket.fileno() >= 0 and self._socket.family != getattr(socket, "AF_UNIX", None):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
        self._writer.transport.abort()

    async def close(self) -> None:
        """Close without another word, and wait until that is done."""
        self._writer.transport.abort()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()


class TlsStream(Stream):
    """TLS, the client's side. :meth:`shake_hands` comes first."""

    def __init__(self, below: Stream, context: ssl.SSLContext, server_hostname: str | None) -> None:
        super().__init__(below)
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self.tls: ssl.SSLObject = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_hostname)

    async def shake_hands(self) -> None:
        """Raises ``ssl.SSLError`` when the client wants no more of it, ``ConnectionError`` when the broker does."""
        while True:
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                self.transmit()
                await self._receive()
            else:
                break
            finally:
                self.transmit()

    async def read(self) -> bytes:
        while not self.farewell:
            try:
                data = self.tls.read(CHUNK)
            except ssl.SSLWantReadError:
                self.transmit()
                await self._receive()
            except ssl.SSLEOFError:
                return b""
            except ssl.SSLZeroReturnError:
                self.farewell = True
            else:
                if data:
                    return data
                self.farewell = True
        return b""

    async def _receive(self) -> None:
        data = await self.below.read()
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    @property
    def ended_in_order(self) -> bool:
        # After close_notify it does not matter how TCP ends: nothing can be missing.
        return self.farewell

    def write(self, data: bytes) -> None:
        self.tls.write(data)
        self.transmit()

    def end(self) -> None:
        with contextlib.suppress(ssl.SSLWantReadError):
            self.tls.unwrap()
        self.transmit()

    def transmit(self) -> None:
        """Send what TLS has to say by itself."""
        data = self._outgoing.read()
        if data:
            self.below.write(data)


class Refused(ConnectionError):
    """The broker has answered the request for a WebSocket with another status than 101."""

    def __init__(self, head: bytes) -> None:
        super().__init__(head.decode("latin-1"))
        self.status: int = int(head.split()[1]) if head.startswith(b"HTTP/1.1 ") else 0


class WebSocketStream(Stream):
    """WebSocket, the client's side; :meth:`shake_hands` comes first. It answers Ping and Close as every client does."""

    def __init__(self, below: Stream, cut: Cut = whole) -> None:
        super().__init__(below)
        self.close_code: int | None = None
        """What the broker's Close frame says; 1005 for nothing, ``None`` before there is one."""
        self._cut = cut
        self._reader = FrameReader()
        self._payloads: deque[bytes] = deque()
        self._ended = False

    async def shake_hands(self, host: str, path: str = "/mqtt", headers: Mapping[str, str] | None = None) -> None:
        """``headers`` replace or add, "" removes. Raises :class:`Refused`."""
        self.below.write(request(host, path, headers))
        head = b""
        while b"\r\n\r\n" not in head:
            data = await self.below.read()
            if not data:
                raise Refused(head)
            head += data
        head, _, rest = head.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 101 "):
            raise Refused(head)
        self._take(rest)

    async def read(self) -> bytes:
        while not self._payloads:
            data = await self.below.read()
            if not data:
                return b""
            self._take(data)
        return self._payloads.popleft()

    def _take(self, data: bytes) -> None:
        for opcode, payload in self._reader.feed(data):
            assert self.close_code is None, "a frame after Close"
            if opcode in (BINARY, CONTINUATION):
                if payload:
                    self._payloads.append(payload)
            elif opcode == PING:
                self.below.write(frame(payload, PONG))
            elif opcode == CLOSE:
                self.farewell = True
                self.close_code = int.from_bytes(payload[:2], "big") if payload else 1005
                self.end()
            else:
                assert opcode == PONG, f"opcode {opcode}"

    def write(self, data: bytes) -> None:
        frames = bytearray()
        for message in self._cut(data):
            last = len(message) - 1
            for index, fragment in enumerate(message):
                frames += frame(fragment, CONTINUATION if index else BINARY, index == last)
        self.below.write(bytes(frames))

    def end(self) -> None:
        if not self._ended:
            self._ended = True
            self.below.write(frame((self.close_code or 1000).to_bytes(2, "big"), CLOSE))
