"""Clients for benchmarks that need many connections, or sessions that come and go, more than they need speed.

Everything speaks MQTT 3.1.1 over TCP, which every broker does.
"""

from __future__ import annotations

import asyncio
from typing import cast

from mqttbroker.protocol import ConnAck, Connect, Packet, PacketReader, ProtocolVersion, encode

__all__ = ["PAYLOAD", "V311", "Client", "connect"]

V311 = ProtocolVersion.V311
PAYLOAD = b"x" * 64
TIMEOUT = 30.0
"""Seconds within which each answer must come."""


class Client(asyncio.Protocol):
    """One connection. What comes is put into ``packets``, until ``reader`` is ``None``; after that, bytes are given to
    :meth:`count`.
    """

    def __init__(self) -> None:
        self.reader: PacketReader | None = PacketReader(V311)
        self.packets: asyncio.Queue[Packet] = asyncio.Queue()
        self.transport: asyncio.Transport | None = None
        self.lost: asyncio.Event = asyncio.Event()
        self.rest: bytes = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def connection_lost(self, _error: Exception | None) -> None:
        self.lost.set()

    def data_received(self, data: bytes) -> None:
        if self.reader is None:
            self.count(self.rest + data if self.rest else data)
            return
        for packet in self.reader.feed(data):
            self.packets.put_nowait(packet)

    def count(self, data: bytes) -> None:
        """Take bytes of packets of the one kind that the client expects."""

    def write(self, data: bytes) -> None:
        """Send bytes."""
        assert self.transport is not None
        self.transport.write(data)

    async def ask(self, packet: Packet, answer: type[Packet]) -> Packet:
        """Send a packet, and wait for its answer."""
        self.write(encode(packet, V311))
        got = await asyncio.wait_for(self.packets.get(), TIMEOUT)
        if not isinstance(got, answer):
            raise RuntimeError(f"{answer.__name__} expected, {got!r} came")
        return got

    def drop(self) -> None:
        """Close the connection without a word."""
        if self.transport is not None:
            self.transport.abort()


async def connect(client: Client, port: int, client_id: str, clean: bool = True) -> ConnAck:
    """Open a connection on this machine, without keep alive. Raises ``OSError`` or :class:`RuntimeError`."""
    await asyncio.get_running_loop().create_connection(lambda: client, "127.0.0.1", port)
    return cast("ConnAck", await client.ask(Connect(client_id, V311, clean_start=clean, keep_alive=0), ConnAck))
