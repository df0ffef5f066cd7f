"""WebSocket, as far as a client of the load needs it.

Each packet goes out in a frame of its own, as MQTT clients do. Frames are masked when they are made, which is before
the load begins; what comes in is taken out of its frames, and counted as if there were none.
"""

from __future__ import annotations

from typing import Final

__all__ = ["MASK", "Unframer", "frame_head", "masked", "request"]

MASK: Final = b"\x37\xfa\0\0"
"""A mask that leaves the third and fourth byte of a frame as they are: with it, the packet identifier in an
acknowledgement needs no work. It is not zero altogether, since a broker might take that for no mask.
"""


def request(host: str, path: str) -> bytes:
    """What a client asks for."""
    return (
        f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Protocol: mqtt\r\n\r\n"
    ).encode()


def frame_head(size: int) -> bytes:
    """What stands before so many masked bytes of a binary frame."""
    if size < 126:
        length = bytes((0x80 | size,))
    elif size < 65_536:
        length = b"\xfe" + size.to_bytes(2, "big")
    else:
        length = b"\xff" + size.to_bytes(8, "big")
    return b"\x82" + length + MASK


def masked(data: bytes, offset: int = 0) -> bytes:
    """Bytes of a frame, masked; ``offset`` is their place in it."""
    size = len(data)
    begin = offset % 4
    mask = (MASK * (size // 4 + 2))[begin : begin + size]
    return (int.from_bytes(data, "big") ^ int.from_bytes(mask, "big")).to_bytes(size, "big")


class Unframer:
    """Takes bytes out of the frames of a server."""

    def __init__(self) -> None:
        self.rest = b""
        self.left = 0
        """Bytes of the frame at hand that have not come."""
        self.closed = False
        """Whether the server has sent a Close frame."""
        self._control = False

    def feed(self, data: bytes) -> bytes:
        """The payloads of the frames, as far as they have come."""
        if self.rest:
            data = self.rest + data
            self.rest = b""
        at, end = 0, len(data)
        payloads = []
        while at < end:
            if not self.left:
                begin = self._head(data, at)
                if not begin:
                    self.rest = data[at:]
                    break
                at = begin
            part = data[at : at + self.left]
            at += len(part)
            self.left -= len(part)
            if not self._control:
                payloads.append(part)
        return b"".join(payloads)

    def _head(self, data: bytes, at: int) -> int:
        """Read the head of a frame; the place behind it, or 0 if it is not there yet. A Ping is not answered: the
        clients are busy enough to be known to be there.
        """
        if len(data) - at < 2:
            return 0
        length, begin = data[at + 1], at + 2
        if length >= 126:
            begin += 2 if length == 126 else 8
            if len(data) < begin:
                return 0
            length = int.from_bytes(data[at + 2 : begin], "big")
        if data[at] & 0x0F == 0x08:
            self.closed = True
            return len(data)
        self.left = length
        self._control = data[at] & 0x08 != 0
        return begin
