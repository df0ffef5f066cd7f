"""A broker that does what a test says, packet by packet: for answers that the real one does not give."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from mqttbroker.protocol import ConnAck, Connect, Packet, PacketReader, ProtocolVersion, ReasonCode, encode

__all__ = ["Peer", "scripted_broker"]


class Peer:
    """The broker's end of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._packets = PacketReader()
        self._read: list[Packet] = []
        self.version: ProtocolVersion = ProtocolVersion.V5

    async def receive(self) -> Packet:
        """The client's next packet. Raises :class:`ConnectionError` when there are no more."""
        while not self._read:
            data = await self._reader.read(65_536)
            if not data:
                raise ConnectionError
            self._read = self._packets.feed(data)
        packet = self._read.pop(0)
        if isinstance(packet, Connect):
            self.version = packet.version
        return packet

    def send(self, *packets: Packet | bytes) -> None:
        """Send packets, or bytes that are none."""
        for packet in packets:
            self._writer.write(packet if isinstance(packet, bytes) else encode(packet, self.version))

    async def accept(self, connack: ConnAck | None = None) -> None:
        """Take the CONNECT and answer it."""
        await self.receive()
        self.send(connack or ConnAck(False, ReasonCode.SUCCESS))


@asynccontextmanager
async def scripted_broker(script: Callable[[Peer], Awaitable[None]]) -> AsyncIterator[int]:
    """Run ``script`` for each connection, which is closed when it returns; gives the port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            await script(Peer(reader, writer))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        port: int = server.sockets[0].getsockname()[1]
        yield port
    finally:
        server.close()
