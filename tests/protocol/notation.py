"""A small notation for the bytes of a packet, so that a vector can be read and its lengths need no counting.

    10 F0     bytes in hexadecimal
    ..        the remaining length of everything that follows, in its shortest form
    <text>    a UTF-8 encoded string: two bytes of length, then the text
    'text'    the bytes of the text alone
    [ ... ]   a property list: its length in the shortest form, then what is between the brackets

It knows nothing of packets, so anything illegal can be written with it too.
"""

from __future__ import annotations

import re

__all__ = ["assemble", "varint"]

_TOKEN = re.compile(r"<[^>]*>|'[^']*'|\.\.|\[|\]|[0-9A-Fa-f]{2}")


def varint(value: int) -> bytes:
    """A variable byte integer by the pseudo code of section 1.5.5, independent of the package."""
    encoded = bytearray()
    while True:
        value, byte = divmod(value, 128)
        encoded.append(byte | (0x80 if value else 0))
        if not value:
            return bytes(encoded)


def assemble(text: str) -> bytes:
    """The bytes that `text` stands for."""
    out = bytearray()
    outer: list[bytearray] = []
    header: bytes | None = None
    rest = _TOKEN.sub("", text).strip()
    assert not rest, f"not understood: {rest!r}"
    for token in _TOKEN.findall(text):
        if token == "..":
            header, out = bytes(out), bytearray()
        elif token == "[":
            outer.append(out)
            out = bytearray()
        elif token == "]":
            inner, out = bytes(out), outer.pop()
            out += varint(len(inner)) + inner
        elif token[0] == "<":
            raw = token[1:-1].encode()
            out += len(raw).to_bytes(2, "big") + raw
        elif token[0] == "'":
            out += token[1:-1].encode()
        else:
            out.append(int(token, 16))
    return bytes(out) if header is None else header + varint(len(out)) + bytes(out)
