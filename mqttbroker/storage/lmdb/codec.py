"""Records as bytes: what stands behind the keys of the store (``docs/storage.md`` has the picture).

Every value begins with a CRC-32 over its key and the rest of it, because LMDB has no checksums of its own, and with a
format byte. Keys are big-endian integers, so that their order is the order of numbers.
"""

from __future__ import annotations

import struct
from hashlib import blake2b
from zlib import crc32

from mqttbroker.storage.messages import Message, QueuedMessage
from mqttbroker.storage.records import SubscriptionRecord, WillRecord

__all__ = [
    "UNREADABLE",
    "CorruptRecord",
    "Entry",
    "SessionHeader",
    "digest",
    "number_key",
    "pack_counters",
    "pack_entry",
    "pack_message",
    "pack_session",
    "pack_subscription",
    "pack_will",
    "pair_key",
    "remark_entry",
    "seal",
    "unpack_counters",
    "unpack_entry",
    "unpack_message",
    "unpack_session",
    "unpack_subscription",
    "unpack_will",
    "unseal",
]

FORMAT = 1

_NUMBER = struct.Struct(">Q")
_PAIR = struct.Struct(">QQ")
_SEAL = struct.Struct(">IB")
_MESSAGE = struct.Struct(">BdHHI")
_ENTRY = struct.Struct(">BHIHH")
_SESSION = struct.Struct(">IdIIB")
_SUBSCRIPTION = struct.Struct(">BI")
_WILL = struct.Struct(">Iqd")
NEVER = -1
_COUNTERS = struct.Struct(">QQQ")

RETAIN = 4
RELEASED = 8
INLINE = 16
ORIGIN_SHIFT = 3
"""Where in a message's flags those bits of the length of its origin are that its own 16 bits have no room for: a
client identifier may have as many bytes as they can count, and stand behind a mount point."""


class CorruptRecord(Exception):
    """A value does not fit its checksum, or cannot be read."""


UNREADABLE = (CorruptRecord, ValueError, struct.error)
"""What reading a damaged record may raise."""


class SessionHeader:
    """A session without what is kept elsewhere."""

    __slots__ = ("client_id", "expires_at", "expiry_interval", "listener", "username")

    def __init__(
        self, client_id: str, username: str | None, expiry_interval: int, expires_at: float, listener: str = ""
    ) -> None:
        self.client_id = client_id
        self.username = username
        self.expiry_interval = expiry_interval
        self.expires_at = expires_at
        self.listener = listener


class Entry:
    """An entry of a queue. ``message`` is ``None`` where the message is in the body numbered ``body``."""

    __slots__ = ("body", "flags", "identifiers", "message", "packet_id", "share", "size")

    def __init__(
        self,
        flags: int,
        packet_id: int,
        size: int,
        identifiers: tuple[int, ...],
        share: str,
        body: int,
        message: Message | None,
    ) -> None:
        self.flags = flags
        self.packet_id = packet_id
        self.size = size
        self.identifiers = identifiers
        self.share = share
        self.body = body
        self.message = message


# Keys.


def number_key(number: int) -> bytes:
    """Key of a session, a body, a will."""
    return _NUMBER.pack(number)


def pair_key(number: int, second: int) -> bytes:
    """Key of something that a session has many of: session number, then its own."""
    return _PAIR.pack(number, second)


def digest(text: str) -> bytes:
    """What stands in a key for a topic or a filter, which may be longer than LMDB's keys (511 bytes)."""
    return blake2b(text.encode(), digest_size=16).digest()


# Checksums.


def seal(key: bytes, data: bytes) -> bytes:
    """The value for a record: checksum, format, record."""
    return _SEAL.pack(crc32(data, crc32(key)), FORMAT) + data


def unseal(key: bytes, value: bytes) -> bytes:
    """The record in a value. Raises :class:`CorruptRecord`."""
    if len(value) < _SEAL.size:
        raise CorruptRecord("too short")
    checksum, form = _SEAL.unpack_from(value)
    data = value[_SEAL.size :]
    if form != FORMAT:
        raise CorruptRecord(f"unknown format {form}")
    if crc32(data, crc32(key)) != checksum:
        raise CorruptRecord("checksum does not fit")
    return data


# Messages.


def pack_message(message: Message) -> bytes:
    """A message as a record."""
    origin = message.origin.encode()
    topic = message.topic_bytes
    flags = message.qos | (RETAIN if message.retain else 0) | len(origin) >> 16 << ORIGIN_SHIFT
    head = _MESSAGE.pack(flags, message.expires_at, len(topic), len(origin) & 0xFFFF, len(message.properties))
    return b"".join((head, topic, origin, message.properties, message.payload))


def unpack_message(data: bytes, at: int = 0) -> Message:
    """The message at this place of a record, to the end of it."""
    flags, expires_at, topic_length, origin_length, properties_length = _MESSAGE.unpack_from(data, at)
    topic_begin = at + _MESSAGE.size
    origin_begin = topic_begin + topic_length
    properties_begin = origin_begin + origin_length + (flags >> ORIGIN_SHIFT << 16)
    payload_begin = properties_begin + properties_length
    topic = data[topic_begin:origin_begin]
    return Message(
        topic.decode(),
        topic,
        data[payload_begin:],
        flags & 3,
        bool(flags & RETAIN),
        data[properties_begin:payload_begin],
        expires_at,
        data[origin_begin:properties_begin].decode(),
    )


# Entries of queues.


def pack_entry(queued: QueuedMessage, body: int, packet_id: int, released: bool) -> bytes:
    """An entry with its message in it (``body`` 0), or with the number of the body that several entries share."""
    flags = queued.qos | (RETAIN if queued.retain else 0) | (RELEASED if released else 0)
    share = queued.share.encode()
    head = _ENTRY.pack(
        flags if body else flags | INLINE,
        packet_id,
        queued.message.size,
        len(share),
        len(queued.identifiers),
    )
    identifiers = b"".join(each.to_bytes(4, "big") for each in queued.identifiers) if queued.identifiers else b""
    return b"".join((head, share, identifiers, _NUMBER.pack(body) if body else pack_message(queued.message)))


def unpack_entry(data: bytes) -> Entry:
    """The entry in a record."""
    flags, packet_id, size, share_length, count = _ENTRY.unpack_from(data)
    at = _ENTRY.size
    share = data[at : at + share_length].decode() if share_length else ""
    at += share_length
    identifiers = tuple(int.from_bytes(data[at + 4 * n : at + 4 * n + 4], "big") for n in range(count))
    at += 4 * count
    if flags & INLINE:
        return Entry(flags, packet_id, size, identifiers, share, 0, unpack_message(data, at))
    (body,) = _NUMBER.unpack_from(data, at)
    return Entry(flags, packet_id, size, identifiers, share, body, None)


def remark_entry(data: bytes, packet_id: int, released: bool) -> bytes:
    """The record of the same entry after it was sent, or released; a packet identifier below 0 leaves the old one."""
    flags, before, size, share_length, count = _ENTRY.unpack_from(data)
    flags = flags | RELEASED if released else flags & ~RELEASED
    return _ENTRY.pack(flags, before if packet_id < 0 else packet_id, size, share_length, count) + data[_ENTRY.size :]


# The rest.


def pack_session(header: SessionHeader) -> bytes:
    """A session's header as a record."""
    username = header.username.encode() if header.username is not None else b""
    listener = header.listener.encode()
    has_username = header.username is not None
    head = _SESSION.pack(header.expiry_interval, header.expires_at, len(username), len(listener), has_username)
    return b"".join((head, username, listener, header.client_id.encode()))


def unpack_session(data: bytes) -> SessionHeader:
    """The session's header in a record."""
    expiry_interval, expires_at, username_length, listener_length, has_username = _SESSION.unpack_from(data)
    listener_begin = _SESSION.size + username_length
    client_begin = listener_begin + listener_length
    if client_begin > len(data):
        raise CorruptRecord("too short")
    username = data[_SESSION.size : listener_begin].decode() if has_username else None
    listener = data[listener_begin:client_begin].decode()
    return SessionHeader(data[client_begin:].decode(), username, expiry_interval, expires_at, listener)


def pack_subscription(subscription: SubscriptionRecord) -> bytes:
    """A subscription as a record."""
    flags = subscription.qos | subscription.no_local << 2 | subscription.retain_as_published << 3
    return _SUBSCRIPTION.pack(flags, subscription.identifier) + subscription.topic_filter.encode()


def unpack_subscription(data: bytes) -> SubscriptionRecord:
    """The subscription in a record."""
    flags, identifier = _SUBSCRIPTION.unpack_from(data)
    topic_filter = data[_SUBSCRIPTION.size :].decode()
    return SubscriptionRecord(topic_filter, flags & 3, bool(flags & 4), bool(flags & 8), identifier)


def pack_will(will: WillRecord) -> bytes:
    """A will as a record."""
    lifetime = NEVER if will.lifetime is None else will.lifetime
    return _WILL.pack(will.delay, lifetime, will.due_at) + pack_message(will.message)


def unpack_will(data: bytes) -> WillRecord:
    """The will in a record."""
    delay, lifetime, due_at = _WILL.unpack_from(data)
    return WillRecord(unpack_message(data, _WILL.size), delay, None if lifetime == NEVER else lifetime, due_at)


def pack_counters(next_sequence: int, queued: int, queued_bytes: int) -> bytes:
    """What start-up must know of a queue without reading it."""
    return _COUNTERS.pack(next_sequence, queued, queued_bytes)


def unpack_counters(data: bytes) -> tuple[int, int, int]:
    """Next sequence number, messages, bytes."""
    next_sequence, queued, queued_bytes = _COUNTERS.unpack(data)
    return next_sequence, queued, queued_bytes
