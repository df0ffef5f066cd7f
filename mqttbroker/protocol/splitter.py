"""From a stream of bytes, cut anywhere, to the packets in it, undecoded: for whoever looks on.

Unlike :class:`PacketReader` it takes packets of every size and remembers no more than the beginning of each.
"""

from __future__ import annotations

from mqttbroker.protocol.errors import MQTTError
from mqttbroker.protocol.wire import read_remaining_length

__all__ = ["PacketSplitter", "RawPacket"]


class RawPacket:
    """One packet as it was on the wire."""

    __slots__ = ("body", "first", "missing", "size")

    def __init__(self, first: int, size: int, body: bytes, missing: int) -> None:
        self.first: int = first
        """The first byte: type and flags."""
        self.size: int = size
        """Bytes of the whole packet."""
        self.body: bytes = body
        """What follows the fixed header, or the beginning of it."""
        self.missing: int = missing
        """Bytes of the body that were not kept."""


class PacketSplitter:
    """Splits a stream into packets, of each of which it keeps ``keep`` bytes."""

    __slots__ = ("_begun", "_coming", "_first", "_header", "_keep", "_length", "_size", "error")

    def __init__(self, keep: int) -> None:
        self.error: MQTTError | None = None
        """Why the stream cannot be split any further."""
        self._keep: int = keep
        self._header: bytes = b""
        """A fixed header that is not whole."""
        self._first: int = 0
        self._size: int = 0
        self._length: int = 0
        self._begun: bytearray | None = None
        """The beginning of the body of an unfinished packet."""
        self._coming: int = 0
        """How much of that body is still to come."""

    def feed(self, data: bytes) -> list[RawPacket]:
        """The packets that ``data`` completes, the oldest first; nothing more after an error."""
        found: list[RawPacket] = []
        if self.error is not None:
            return found
        position = self._go_on(data, found) if self._begun is not None else 0
        if self._header:
            data = self._header + data
            self._header = b""
        try:
            self._split(data, position, found)
        except MQTTError as error:
            self.error = error
        return found

    def _go_on(self, data: bytes, found: list[RawPacket]) -> int:
        """Take what belongs to the unfinished packet; the position behind it."""
        begun = self._begun
        assert begun is not None
        used = min(self._coming, len(data))
        begun += data[: min(used, max(self._keep - len(begun), 0))]
        self._coming -= used
        if not self._coming:
            self._finish(bytes(begun), found)
        return used

    def _finish(self, body: bytes, found: list[RawPacket]) -> None:
        found.append(RawPacket(self._first, self._size, body, self._length - len(body)))
        self._begun = None

    def _split(self, data: bytes, position: int, found: list[RawPacket]) -> None:
        size = len(data)
        while position < size:
            length, start = read_remaining_length(data, position + 1)
            if length < 0:
                self._header = data[position:]
                return
            end = start + length
            kept = min(length, self._keep)
            if end > size:
                self._first = data[position]
                self._size = end - position
                self._length = length
                self._begun = bytearray(data[start : min(start + kept, size)])
                self._coming = end - size
                return
            found.append(RawPacket(data[position], end - position, data[start : start + kept], length - kept))
            position = end
