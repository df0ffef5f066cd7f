"""The data types of section 1.5, read from and written to bytes.

Reading: every function takes the bytes, a position and a `stop` that it never passes, and returns
the value with the position after it. Anything wrong is a `MalformedPacket`. A declared length is
compared with what is there before anything is sliced, so it never allocates by itself.

Writing: a value that does not fit is an `InvalidPacket`.

Strictness: variable byte integers in their shortest form only [MQTT-1.5.5-1]; strict UTF-8, so
neither surrogates nor overlong forms [MQTT-1.5.4-1]; no U+0000 [MQTT-1.5.4-2]. A byte order mark is
an ordinary character and stays [MQTT-1.5.4-3]. Control characters and non-characters, which
section 1.5.4 lets a receiver refuse, are accepted.
"""

from __future__ import annotations

from mqttbroker.protocol.errors import InvalidPacket, MalformedPacket

__all__ = [
    "MAX_REMAINING_LENGTH",
    "MAX_VARINT",
    "encode_binary",
    "encode_string",
    "encode_u8",
    "encode_u16",
    "encode_u32",
    "encode_varint",
    "read_binary",
    "read_remaining_length",
    "read_string",
    "read_u8",
    "read_u16",
    "read_u32",
    "read_varint",
]

MAX_VARINT = 268_435_455
"""The greatest variable byte integer: 28 bits in four bytes (section 1.5.5)."""

MAX_REMAINING_LENGTH = MAX_VARINT
"""The greatest number of bytes after the fixed header."""

_ONE_BYTE = tuple(bytes((value,)) for value in range(256))


def read_remaining_length(data: bytes, pos: int) -> tuple[int, int]:
    """The variable byte integer at `pos` and the position after it; (-1, pos) while it is incomplete.

    Raises MalformedPacket when it has more than four bytes or is not in the shortest form. Unrolled,
    because every packet passes here and nearly all lengths have one or two bytes.
    """
    size = len(data)
    if pos >= size:
        return -1, pos
    byte = data[pos]
    if byte < 0x80:
        return byte, pos + 1
    value = byte & 0x7F
    if pos + 1 >= size:
        return -1, pos
    byte = data[pos + 1]
    if byte < 0x80:
        if not byte:
            raise MalformedPacket("variable byte integer not in its shortest form")  # [MQTT-1.5.5-1]
        return value | byte << 7, pos + 2
    value |= (byte & 0x7F) << 7
    if pos + 2 >= size:
        return -1, pos
    byte = data[pos + 2]
    if byte < 0x80:
        if not byte:
            raise MalformedPacket("variable byte integer not in its shortest form")  # [MQTT-1.5.5-1]
        return value | byte << 14, pos + 3
    value |= (byte & 0x7F) << 14
    if pos + 3 >= size:
        return -1, pos
    byte = data[pos + 3]
    if byte >= 0x80:
        raise MalformedPacket("variable byte integer of more than four bytes")
    if not byte:
        raise MalformedPacket("variable byte integer not in its shortest form")  # [MQTT-1.5.5-1]
    return value | byte << 21, pos + 4


def read_varint(data: bytes, pos: int, stop: int) -> tuple[int, int]:
    """A variable byte integer that must end before `stop` (section 1.5.5)."""
    value, after = read_remaining_length(data, pos)
    if value < 0 or after > stop:
        raise MalformedPacket("variable byte integer is cut short")
    return value, after


def read_u8(data: bytes, pos: int, stop: int) -> tuple[int, int]:
    """One byte."""
    if pos >= stop:
        raise MalformedPacket("one byte is missing")
    return data[pos], pos + 1


def read_u16(data: bytes, pos: int, stop: int) -> tuple[int, int]:
    """A two byte integer, big-endian (section 1.5.2)."""
    if pos + 2 > stop:
        raise MalformedPacket("two byte integer is cut short")
    return data[pos] << 8 | data[pos + 1], pos + 2


def read_u32(data: bytes, pos: int, stop: int) -> tuple[int, int]:
    """A four byte integer, big-endian (section 1.5.3)."""
    if pos + 4 > stop:
        raise MalformedPacket("four byte integer is cut short")
    return int.from_bytes(data[pos : pos + 4], "big"), pos + 4


def read_binary(data: bytes, pos: int, stop: int) -> tuple[bytes, int]:
    """Binary data behind a two byte length (section 1.5.6)."""
    start = pos + 2
    if start > stop:
        raise MalformedPacket("length of a field is cut short")
    end = start + (data[pos] << 8 | data[pos + 1])
    if end > stop:
        raise MalformedPacket("field is longer than what is there")
    return data[start:end], end


def read_string(data: bytes, pos: int, stop: int) -> tuple[str, int]:
    """A UTF-8 encoded string behind a two byte length (section 1.5.4)."""
    raw, end = read_binary(data, pos, stop)
    try:
        text = raw.decode()  # [MQTT-1.5.4-1] [3.1.1: MQTT-1.5.3-1]
    except UnicodeDecodeError:
        raise MalformedPacket("string is not UTF-8") from None
    if "\0" in text:  # [MQTT-1.5.4-2] [3.1.1: MQTT-1.5.3-2]
        raise MalformedPacket("string contains U+0000")
    return text, end


def encode_varint(value: int) -> bytes:
    """A variable byte integer from 0 to 268,435,455 in its shortest form [MQTT-1.5.5-1]."""
    if value < 0 or value > MAX_VARINT:
        raise InvalidPacket(f"{value} does not fit a variable byte integer")
    if value < 0x80:
        return _ONE_BYTE[value]
    if value < 0x4000:
        return bytes((value & 0x7F | 0x80, value >> 7))
    if value < 0x20_0000:
        return bytes((value & 0x7F | 0x80, value >> 7 & 0x7F | 0x80, value >> 14))
    return bytes((value & 0x7F | 0x80, value >> 7 & 0x7F | 0x80, value >> 14 & 0x7F | 0x80, value >> 21))


def encode_u8(value: int) -> bytes:
    """One byte."""
    if not 0 <= value <= 0xFF:
        raise InvalidPacket(f"{value} does not fit one byte")
    return _ONE_BYTE[value]


def encode_u16(value: int) -> bytes:
    """A two byte integer, big-endian."""
    if not 0 <= value <= 0xFFFF:
        raise InvalidPacket(f"{value} does not fit a two byte integer")
    return value.to_bytes(2, "big")


def encode_u32(value: int) -> bytes:
    """A four byte integer, big-endian."""
    if not 0 <= value <= 0xFFFF_FFFF:
        raise InvalidPacket(f"{value} does not fit a four byte integer")
    return value.to_bytes(4, "big")


def encode_binary(value: bytes) -> bytes:
    """At most 65,535 bytes of binary data behind a two byte length."""
    if len(value) > 0xFFFF:
        raise InvalidPacket(f"field of {len(value)} bytes is longer than 65,535")
    return len(value).to_bytes(2, "big") + value


def encode_string(value: str) -> bytes:
    """A UTF-8 encoded string of at most 65,535 bytes behind a two byte length."""
    if "\0" in value:  # [MQTT-1.5.4-2]
        raise InvalidPacket("string contains U+0000")
    try:
        raw = value.encode()  # [MQTT-1.5.4-1]
    except UnicodeEncodeError:
        raise InvalidPacket("string contains a surrogate") from None
    return encode_binary(raw)
