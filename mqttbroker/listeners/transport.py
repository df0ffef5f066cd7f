"""Sockets without the event loop's transports: one epoll for all connections of a host, read and written directly.

An event loop calls back once for each socket that is ready, and keeps a handle and buffers for each. Where every
message is a read and a write of a few bytes, that costs as much as everything that MQTT does. Here the event loop is
told only that something is ready; what, and everything that comes of it, is found and done in one callback.

:class:`SocketTransport` behaves as ``asyncio.Transport`` does, as far as listeners use that (:class:`Transport`).
Where the system has no epoll, the event loop's own transports take its place.
"""

from __future__ import annotations

import asyncio
import select
import socket
from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import Any, Protocol

__all__ = ["HAS_EPOLL", "Poller", "Receiver", "SocketTransport", "Transport"]

HAS_EPOLL = hasattr(select, "epoll")
READ_SIZE = 131_072 - 64
"""Bytes that are read at once, at most: larger pieces the C library takes from the system, and gives them back, each
time, which costs several times what it takes to pass them on. With smaller ones large messages come in more parts.
"""
BURST = 256
"""Sockets that are looked at before others of the event loop have their turn."""
PIECES = 64
"""Pieces that are written at once."""

# Of select, which does not have them everywhere.
READABLE = 0x1
WRITABLE = 0x4
ENDED = 0x2000  # EPOLLRDHUP
ONCE = 0x8000_0000  # EPOLLET: tell what has come, not what is there, which saves the system a second look at it.


class Receiver(Protocol):
    """What a transport calls: a protocol of asyncio."""

    def data_received(self, data: bytes) -> None: ...
    def eof_received(self) -> bool | None: ...
    def connection_lost(self, exc: Exception | None) -> None: ...
    def pause_writing(self) -> None: ...
    def resume_writing(self) -> None: ...


class Transport(Protocol):
    """What a protocol calls: the part of ``asyncio.Transport`` that is used here."""

    def write(self, data: bytes) -> None: ...
    def write_eof(self) -> None: ...
    def close(self) -> None: ...
    def abort(self) -> None: ...
    def is_closing(self) -> bool: ...
    def get_extra_info(self, name: str, default: Any = None) -> Any: ...
    def get_write_buffer_size(self) -> int: ...
    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...
    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...


class Poller:
    """Tells transports when their sockets are ready. ``begin`` and ``end`` are called around each round of them."""

    def __init__(self, loop: asyncio.AbstractEventLoop, begin: Callable[[], None], end: Callable[[], None]) -> None:
        self.loop: asyncio.AbstractEventLoop = loop
        self._begin = begin
        self._end = end
        self._epoll = select.epoll()
        self._poll = self._epoll.poll
        self._transports: dict[int, SocketTransport] = {}
        loop.add_reader(self._epoll.fileno(), self._ready)

    def close(self) -> None:
        """Tell nobody anything any more."""
        if not self._epoll.closed:
            self.loop.remove_reader(self._epoll.fileno())
            self._epoll.close()

    def _ready(self) -> None:
        self._begin()
        transports = self._transports
        for number, events in self._poll(0, BURST):
            transport = transports.get(number)
            if transport is not None:  # Otherwise one that came before it in this round has closed it.
                try:
                    transport.ready(events)
                except Exception as error:
                    transport.fail_unexpectedly(error)
        self._end()

    def watch(self, number: int, before: int, mask: int, transport: SocketTransport) -> None:
        """Look out for these events of a file descriptor, in place of those before; 0 for none.

        One that has come already is told as well, also where the events are those before.
        """
        if self._epoll.closed:
            return
        if not before:
            self._epoll.register(number, mask | ENDED | ONCE)
            self._transports[number] = transport
        elif mask:
            self._epoll.modify(number, mask | ENDED | ONCE)
        else:
            # Not only no events: the end of a connection is told whatever was asked for, again and again.
            self._epoll.unregister(number)
            del self._transports[number]


class SocketTransport:
    """A connected socket and its protocol; the protocol's ``connection_made`` was not called yet."""

    __slots__ = (
        "_closing",
        "_ended",
        "_high",
        "_low",
        "_mask",
        "_number",
        "_paused",
        "_poller",
        "_reading",
        "_receive",
        "_receiver",
        "_send",
        "_socket",
        "_waiting",
        "_waiting_size",
    )

    def __init__(self, poller: Poller, connected: socket.socket, receiver: Receiver) -> None:
        self._poller: Poller = poller
        self._socket: socket.socket = connected
        self._number: int = connected.fileno()
        self._receive = connected.recv
        self._send = connected.send
        self._receiver: Receiver = receiver
        self._mask: int = 0
        """Events that the poller looks out for."""
        self._reading: bool = True
        self._closing: bool = False
        self._ended: bool = False
        """Whether nothing more may be written."""
        self._waiting: deque[memoryview] | None = None
        """What the system has not taken yet; made when that is so for the first time."""
        self._waiting_size: int = 0
        self._high: int = 65_536
        self._low: int = 16_384
        self._paused: bool = False
        """Whether the protocol was told to write no more."""

    def start(self) -> None:
        """Begin to read."""
        self._watch()

    # What the poller calls.

    def ready(self, events: int) -> None:
        """Read, write, or find out that the connection has ended."""
        if events & ~WRITABLE and self._reading and not self._closing:
            try:
                data = self._receive(READ_SIZE)
            except (BlockingIOError, InterruptedError):
                pass
            except OSError as error:
                self._fail(error)
            else:
                if not data:
                    if not self._receiver.eof_received():
                        self.close()
                else:
                    if len(data) == READ_SIZE or events > READABLE | WRITABLE:
                        self._watch_again()  # There may be more, or there is the end.
                    self._receiver.data_received(data)
        if events & ~READABLE and self._waiting_size:
            self._write_on()

    def _write_on(self) -> None:
        waiting = self._waiting
        assert waiting is not None
        pieces = list(islice(waiting, PIECES))
        try:
            sent = self._socket.sendmsg(pieces)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._fail(error)
            return
        self._waiting_size -= sent
        if self._waiting_size and sent == sum(map(len, pieces)):
            self._watch_again()  # There may be room for more.
        while sent:
            first = waiting.popleft()
            if sent < len(first):
                waiting.appendleft(first[sent:])
                break
            sent -= len(first)
        if not self._waiting_size:
            self._waiting = None
            if self._closing:
                self._finish(None)
                return
            if self._ended:
                self._shut_down()
            self._watch()
        if self._paused and self._waiting_size <= self._low:
            self._paused = False
            self._receiver.resume_writing()

    def _watch(self) -> None:
        mask = (READABLE if self._reading and not self._closing else 0) | (WRITABLE if self._waiting_size else 0)
        if mask != self._mask:
            self._poller.watch(self._number, self._mask, mask, self)
            self._mask = mask

    def _watch_again(self) -> None:
        """Let the poller tell once more what is there."""
        if self._mask:
            self._poller.watch(self._number, self._mask, self._mask, self)

    # The end.

    def _fail(self, error: Exception | None) -> None:
        """Close at once; what waits is thrown away."""
        self._closing = True
        self._waiting = None
        self._waiting_size = 0
        self._finish(error)

    def fail_unexpectedly(self, error: Exception) -> None:
        """The protocol has a fault."""
        context = {"message": "connection failed unexpectedly", "exception": error, "transport": self}
        self._poller.loop.call_exception_handler(context)
        self._fail(error)

    def _finish(self, error: Exception | None) -> None:
        self._watch()
        if self._number >= 0:
            self._number = -1
            self._poller.loop.call_soon(self._lost, error)

    def _lost(self, error: Exception | None) -> None:
        try:
            self._receiver.connection_lost(error)
        finally:
            self._socket.close()

    def _shut_down(self) -> None:
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError as error:
            self._fail(error)

    # What the protocol calls.

    def write(self, data: bytes) -> None:
        """Send, or keep until the system takes it."""
        if self._closing or self._ended:
            return
        sent = 0
        if not self._waiting_size:
            try:
                sent = self._send(data)
            except (BlockingIOError, InterruptedError):
                pass
            except OSError as error:
                self._fail(error)
                return
            if sent == len(data):
                return
        if self._waiting is None:
            self._waiting = deque()
        self._waiting.append(memoryview(data)[sent:])
        self._waiting_size += len(data) - sent
        self._watch()
        if self._waiting_size > self._high and not self._paused:
            self._paused = True
            self._receiver.pause_writing()

    def write_eof(self) -> None:
        """Close our direction when everything has left."""
        if not self._closing and not self._ended:
            self._ended = True
            if not self._waiting_size:
                self._shut_down()

    def close(self) -> None:
        """Close when everything has left, and read no more."""
        if not self._closing:
            self._closing = True
            if self._waiting_size:
                self._watch()
            else:
                self._finish(None)

    def abort(self) -> None:
        """Close at once."""
        if self._number >= 0:
            self._fail(None)

    def is_closing(self) -> bool:
        """Whether it is closed, or will be when everything has left."""
        return self._closing

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """The socket."""
        return self._socket if name == "socket" else default

    def get_write_buffer_size(self) -> int:
        """Bytes that the system has not taken yet."""
        return self._waiting_size

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Past ``high`` bytes the protocol is told to write no more, until there are ``low`` or fewer."""
        self._high = 65_536 if high is None else high
        self._low = self._high // 4 if low is None else low

    def pause_reading(self) -> None:
        """Read no more until told otherwise."""
        self._reading = False
        self._watch()

    def resume_reading(self) -> None:
        """Read again."""
        self._reading = True
        self._watch()
