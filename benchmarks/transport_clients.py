"""Clients that are driven one by one: for what is measured of single connections, not of many messages."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol, cast

from mqttbroker.bench import Link
from mqttbroker.bench.frames import frame_head, masked, request
from mqttbroker.protocol import ConnAck, Connect, Packet, PacketReader, ProtocolVersion, encode

__all__ = ["V311", "Client", "connect", "framing"]

V311 = ProtocolVersion.V311

Frame = Callable[[bytes], bytes]
"""From a packet to what goes over the wire."""


def plain(packet: bytes) -> bytes:
    """A packet as it is."""
    return packet


def framing(link: Link) -> Frame:
    """What packets are put into."""
    return (lambda packet: frame_head(len(packet)) + masked(packet)) if link.transport.websocket else plain


class Client(asyncio.Protocol):
    """One connection. After the hand-shake, bytes are counted, not parsed."""

    def __init__(self, frame: Frame = plain) -> None:
        self.frame = frame
        self.reader: PacketReader | None = PacketReader(V311)
        self.packets: asyncio.Queue[Packet] = asyncio.Queue()
        self.transport: asyncio.Transport | None = None
        self.rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self.reader is not None:
            for packet in self.reader.feed(data):
                self.packets.put_nowait(packet)
        else:
            self.count(self.rest + data if self.rest else data)

    def count(self, data: bytes) -> None:
        """Take bytes of packets of the scenario's one kind."""

    def write(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(data)

    async def ask(self, packet: Packet, answer: type[Packet]) -> None:
        self.write(self.frame(encode(packet, V311)))
        got = await asyncio.wait_for(self.packets.get(), 10)
        assert isinstance(got, answer), got


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
        cast("asyncio.Transport", transport).write(request("localhost", "/mqtt"))

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


async def connect(client: Client, link: Link, client_id: str) -> None:
    """Connect a client, without keep alive."""
    protocol = _WebSocket(client) if link.transport.websocket else client
    loop = asyncio.get_running_loop()
    if isinstance(link.address, str):
        await _open_unix(protocol, link.address)
    else:
        context = link.context() if link.transport.tls else None
        await loop.create_connection(lambda: protocol, *link.address, ssl=context)
    if isinstance(protocol, _WebSocket):
        await asyncio.wait_for(protocol.open, 10)
    await client.ask(Connect(client_id, V311, clean_start=True, keep_alive=0), ConnAck)
