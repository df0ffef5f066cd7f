"""Encoded packets on their way to one connection.

Everything that is written within one turn is collected and handed to the carrier in one piece: an outbox that gets
its first chunk puts itself on the list of those to be emptied. Routes append to ``chunks`` directly (see
``broker/packet_loop.py``), so the two lines of :meth:`Outbox.write` are the contract.
"""

from __future__ import annotations

from typing import Protocol

__all__ = ["NOWHERE", "Carrier", "Outbox"]


class Carrier(Protocol):
    """What carries the bytes of one connection: a socket, a WebSocket, or a list in a test."""

    def send(self, data: bytes) -> None:
        """Send the bytes, after all that were given before."""

    def close(self) -> None:
        """Close, when all that was given has left."""

    def abort(self) -> None:
        """Close at once, whatever is still waiting."""

    def waiting(self) -> int:
        """Bytes that were given and have not left yet."""

    def pause_reading(self) -> None:
        """Deliver no more bytes until told otherwise."""

    def resume_reading(self) -> None:
        """Deliver bytes again."""


class Outbox:
    """Packets that wait for one connection's carrier.

    ``open`` is true while messages may be written: false before CONNACK, when the carrier is full, and after the end.
    Answers to the client's own packets are written whether it is open or not [MQTT-3.3.4-10].
    """

    __slots__ = ("carrier", "chunks", "dirty", "open", "sent_bytes")

    def __init__(self, carrier: Carrier | None, dirty: list[Outbox]) -> None:
        self.carrier: Carrier | None = carrier
        self.chunks: list[bytes] = []
        self.dirty: list[Outbox] = dirty
        self.open: bool = False
        self.sent_bytes: int = 0

    def write(self, chunk: bytes) -> None:
        """Add one or more whole packets."""
        if not self.chunks:
            self.dirty.append(self)
        self.chunks.append(chunk)

    def flush(self) -> int:
        """Hand everything to the carrier; the number of bytes."""
        chunks = self.chunks
        if not chunks:
            return 0
        data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        chunks.clear()
        if self.carrier is not None:
            self.carrier.send(data)
        size = len(data)
        self.sent_bytes += size
        return size


NOWHERE = Outbox(None, [])
"""The outbox of a session without a connection: never open, so nothing is ever written to it."""
