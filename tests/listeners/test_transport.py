"""The transport over one epoll: what the transports of event loops do as well, and the events that come once only."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator

import pytest

from mqttbroker.listeners.transport import HAS_EPOLL, READ_SIZE, Poller, SocketTransport

pytestmark = pytest.mark.skipif(not HAS_EPOLL, reason="there is no epoll")

TIMEOUT = 5.0


class Receiver:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.received: bytearray = bytearray()
        self.told: list[str] = []
        self.changed: asyncio.Event = asyncio.Event()
        self.error: Exception | None = None
        self.fails: bool = False

    def data_received(self, data: bytes) -> None:
        if self.fails:
            raise ValueError("a fault")
        self.received += data
        self.changed.set()

    def eof_received(self) -> bool | None:
        self.tell("end")
        return None

    def connection_lost(self, exc: Exception | None) -> None:
        self.error = exc
        self.tell("lost")

    def pause_writing(self) -> None:
        self.tell("pause")

    def resume_writing(self) -> None:
        self.tell("resume")

    def tell(self, what: str) -> None:
        self.told.append(what)
        self.changed.set()

    async def until(self, what: str) -> None:
        async with asyncio.timeout(TIMEOUT):
            while what not in self.told:
                self.changed.clear()
                await self.changed.wait()

    async def has(self, count: int) -> None:
        async with asyncio.timeout(TIMEOUT):
            while len(self.received) < count:
                self.changed.clear()
                await self.changed.wait()


class Site:
    """A poller and connections of it; the other end of each is a socket that blocks nobody."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.rounds: list[str] = []
        self.poller: Poller = Poller(loop, lambda: self.rounds.append("begin"), lambda: self.rounds.append("end"))
        self.peers: list[socket.socket] = []
        self.transports: list[SocketTransport] = []

    def connect(self) -> tuple[SocketTransport, Receiver, socket.socket]:
        with socket.create_server(("127.0.0.1", 0)) as server:
            peer = socket.create_connection(server.getsockname())
            ours, _ = server.accept()
        for each in (ours, peer):
            each.setblocking(False)
        self.peers.append(peer)
        receiver = Receiver()
        transport = SocketTransport(self.poller, ours, receiver)
        self.transports.append(transport)
        transport.start()
        return transport, receiver, peer

    def close(self) -> None:
        self.poller.close()
        for transport in self.transports:
            transport.abort()
        for peer in self.peers:
            peer.close()


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site(asyncio.get_running_loop())
    yield site
    site.close()
    await asyncio.sleep(0)  # So that sockets are closed.


def reset(peer: socket.socket) -> None:
    """Close, and let the other end know that what it sends is not wanted."""
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()


async def read(peer: socket.socket, count: int) -> bytes:
    data = bytearray()
    async with asyncio.timeout(TIMEOUT):
        while len(data) < count:
            piece = await asyncio.get_running_loop().sock_recv(peer, count - len(data))
            if not piece:
                break
            data += piece
    return bytes(data)


async def test_bytes_come_and_go(site: Site) -> None:
    transport, receiver, peer = site.connect()
    peer.send(b"question")
    await receiver.has(8)
    transport.write(b"answer")
    assert await read(peer, 6) == b"answer"
    assert site.rounds == ["begin", "end"]
    assert not transport.is_closing()


async def test_more_than_one_read_takes(site: Site) -> None:
    _, receiver, peer = site.connect()
    data = bytes(number % 251 for number in range(10 * READ_SIZE))
    await asyncio.wait_for(asyncio.get_running_loop().sock_sendall(peer, data), TIMEOUT)
    await receiver.has(len(data))
    assert receiver.received == data


async def test_the_end_right_behind_the_last_bytes(site: Site) -> None:
    transport, receiver, peer = site.connect()
    peer.send(b"last words")
    peer.shutdown(socket.SHUT_WR)
    await receiver.until("lost")
    assert receiver.received == b"last words"
    assert receiver.told == ["end", "lost"]
    assert transport.is_closing()


async def test_more_than_the_system_takes(site: Site) -> None:
    transport, receiver, peer = site.connect()
    transport.set_write_buffer_limits(100_000)
    pieces = [bytes((number,)) * 50_000 for number in range(200)]
    for piece in pieces:
        transport.write(piece)
    assert receiver.told == ["pause"]
    assert 0 < transport.get_write_buffer_size() < 10_000_000
    transport.close()  # Whatever waits still leaves, and nothing is added to it.
    transport.write(b"too late")
    assert await read(peer, 20_000_000) == b"".join(pieces)
    await receiver.until("lost")
    assert receiver.error is None


async def test_the_end_goes_after_what_waits(site: Site) -> None:
    transport, receiver, peer = site.connect()
    transport.write(bytes(10_000_000))
    transport.write_eof()
    transport.write(b"too late")
    assert await read(peer, 20_000_000) == bytes(10_000_000)
    assert receiver.told == ["pause", "resume"]
    peer.send(b"still here")
    await receiver.has(10)


async def test_reading_pauses(site: Site) -> None:
    transport, receiver, peer = site.connect()
    _, other, other_peer = site.connect()
    transport.pause_reading()
    peer.send(b"not now")
    other_peer.send(b"a round")
    await other.has(7)
    assert not receiver.received
    transport.resume_reading()
    await receiver.has(7)


async def test_a_reset_while_nothing_is_read(site: Site) -> None:
    transport, receiver, peer = site.connect()
    transport.pause_reading()
    transport.write(bytes(10_000_000))
    reset(peer)
    await receiver.until("lost")
    assert isinstance(receiver.error, OSError)
    assert transport.get_write_buffer_size() == 0


async def test_abort_throws_away_what_waits(site: Site) -> None:
    transport, receiver, _ = site.connect()
    transport.write(bytes(10_000_000))
    transport.abort()
    transport.abort()
    await receiver.until("lost")
    assert receiver.told == ["pause", "lost"]
    assert transport.get_write_buffer_size() == 0


async def test_a_fault_ends_one_connection_only(site: Site) -> None:
    _, broken, broken_peer = site.connect()
    _, receiver, peer = site.connect()
    faults: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context["exception"]))
    broken.fails = True
    broken_peer.send(b"x")
    peer.send(b"y")
    await receiver.has(1)
    await broken.until("lost")
    assert isinstance(broken.error, ValueError)
    assert faults == [broken.error]
    assert site.rounds[-1] == "end"


async def test_one_that_an_earlier_one_has_closed(site: Site) -> None:
    first, receiver, peer = site.connect()
    second, other, other_peer = site.connect()

    def close_both(data: bytes) -> None:
        first.abort()
        second.abort()

    receiver.data_received = other.data_received = close_both  # type: ignore[method-assign]
    peer.send(b"x")
    other_peer.send(b"y")
    await receiver.until("lost")
    await other.until("lost")
    assert receiver.error is None
    assert other.error is None
