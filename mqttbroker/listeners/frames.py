"""The short path through WebSocket frames (RFC 6455, section 5): what nearly every frame is, and nothing else.

Nearly every frame of a client is a whole message of binary bytes. A run of these is read in place, and comes out in
one piece, as if the packets in it had come over TCP. Any other frame, in order or not, is left to the ``websockets``
package: this module says only where it ends. No frame is refused here.
"""

from __future__ import annotations

try:
    from websockets.speedups import apply_mask
except ImportError:  # A platform for which the package has no compiled part.
    from websockets.utils import apply_mask

__all__ = ["binary_frame", "frame_size", "take_binary"]

_BINARY = 0x82
"""A binary frame that is a whole message, with no reserved bit."""
_MASKED = 0x80
_OPCODES = frozenset({0, 1, 2, 8, 9, 10})
_SHORT = tuple(bytes((_BINARY, size)) for size in range(126))
"""Headers of what is sent most."""


def take_binary(data: bytes, position: int, limit: int) -> tuple[bytes, int]:
    """The payloads of a run of frames, put together, and the position behind them.

    The run ends before the first frame that is not whole, has more than ``limit`` bytes, or is anything else than a
    masked binary message in one frame.
    """
    size = len(data)
    payloads = []
    while size - position >= 6 and data[position] == _BINARY:
        length = data[position + 1] - _MASKED
        begin = position + 6
        if length > 125:
            begin += 2 if length == 126 else 8
            length = int.from_bytes(data[position + 2 : begin - 4], "big")
        end = begin + length
        if end > size or length > limit or data[position + 1] < _MASKED:
            break
        payloads.append(apply_mask(data[begin:end], data[begin - 4 : begin]))
        position = end
    return payloads[0] if len(payloads) == 1 else b"".join(payloads), position


def frame_size(data: bytes, position: int) -> int:
    """Bytes of the frame that begins here, with its header. While the header is not whole: of the header, or of as
    much of it as tells more. Nobody should wait for the rest of what cannot be a frame: of that, only two.
    """
    if len(data) - position < 2:
        return 2
    second = data[position + 1]
    if second < _MASKED or data[position] & 0x0F not in _OPCODES:
        return 2
    length, header = second & 0x7F, 2
    if length > 125:
        header += 2 if length == 126 else 8
        if len(data) - position < header:
            return header
        length = int.from_bytes(data[position + 2 : position + header], "big")
    return header + 4 + length


def binary_frame(data: bytes) -> bytes:
    """A message of a server in one frame."""
    size = len(data)
    if size < 126:
        return _SHORT[size] + data
    if size < 65_536:
        return b"\x82\x7e" + size.to_bytes(2, "big") + data
    return b"\x82\x7f" + size.to_bytes(8, "big") + data
