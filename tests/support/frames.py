"""WebSocket as bytes: the request that opens one, and frames (RFC 6455), legal or not."""

from __future__ import annotations

import base64
from collections.abc import Mapping

__all__ = [
    "BINARY",
    "CLOSE",
    "CONTINUATION",
    "KEY",
    "MASK",
    "PING",
    "PONG",
    "TEXT",
    "FrameReader",
    "frame",
    "masked",
    "request",
]

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
MASK = b"\x12\x34\x56\x78"
KEY = base64.b64encode(b"0123456789abcdef").decode()


def request(host: str, path: str = "/mqtt", headers: Mapping[str, str] | None = None) -> bytes:
    """The request of a hand-shake; ``headers`` replace or add, "" removes."""
    fields = {
        "Host": host,
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": KEY,
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Protocol": "mqtt",
    } | dict(headers or {})
    lines = [f"GET {path} HTTP/1.1"] + [f"{name}: {value}" for name, value in fields.items() if value]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def masked(data: bytes) -> bytes:
    """Data with :data:`MASK` on it, or without if it has it."""
    pad = (MASK * (len(data) // 4 + 1))[: len(data)]
    return (int.from_bytes(data, "big") ^ int.from_bytes(pad, "big")).to_bytes(len(data), "big")


def frame(data: bytes, opcode: int = BINARY, final: bool = True) -> bytes:
    """A frame as a client sends it."""
    if len(data) < 126:
        length = bytes((0x80 | len(data),))
    elif len(data) < 65_536:
        length = b"\xfe" + len(data).to_bytes(2, "big")
    else:
        length = b"\xff" + len(data).to_bytes(8, "big")
    return bytes((final << 7 | opcode,)) + length + MASK + masked(data)


class FrameReader:
    """Takes the bytes of a server, gives what is in its frames. What is in a data frame is given as it comes in."""

    def __init__(self) -> None:
        self._buffer: bytearray = bytearray()
        self._opcode: int = CONTINUATION
        self._left: int = 0
        """Bytes of a data frame that have not come in."""

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """Opcodes and payloads, or parts of payloads. Raises ``AssertionError`` for what no server may send."""
        self._buffer += data
        taken: list[tuple[int, bytes]] = []
        while self._buffer:
            if not self._left:
                header = self._header()
                if header is None:
                    break
                size, self._opcode, length = header
                if self._opcode >= CLOSE:
                    if len(self._buffer) < size + length:
                        break
                    taken.append((self._opcode, bytes(self._buffer[size : size + length])))
                    del self._buffer[: size + length]
                    continue
                del self._buffer[:size]
                self._left = length
            part = bytes(self._buffer[: self._left])
            del self._buffer[: len(part)]
            self._left -= len(part)
            taken.append((self._opcode, part))
        return taken

    def _header(self) -> tuple[int, int, int] | None:
        """Length of the header, opcode, and length of the payload; ``None`` while it is not whole."""
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        assert not buffer[0] & 0x70, "reserved bits"
        length, size = buffer[1], 2
        assert not length & 0x80, "a server does not mask its frames"
        if length >= 126:
            size = 4 if length == 126 else 10
            if len(buffer) < size:
                return None
            length = int.from_bytes(buffer[2:size], "big")
        return size, buffer[0] & 0x0F, length
