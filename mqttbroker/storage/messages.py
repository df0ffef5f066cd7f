"""Messages, and their places in queues: what the broker handles most, and a store keeps.

Plain classes, since they are compiled: see ``records.py`` for the rest of what a store keeps, and the rules for all of
it.
"""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["Message", "QueuedMessage", "bounded"]


class Message:
    """An Application Message on its way through the broker (section 1.2 of MQTT 5.0).

    One object serves every subscriber and, where it is kept, the store; it is never changed once it was routed.

    ``properties`` are the MQTT 5.0 properties that are forwarded unaltered, encoded and without their length
    prefix: everything but Topic Alias, Subscription Identifier and Message Expiry Interval. The last of these
    is ``expires_at``, because it counts down while the message waits.

    ``head`` is no part of the value, and may be empty. It spares encoding: of a message above QoS 0 that came with
    nothing but a topic, a packet identifier and a payload it is the PUBLISH up to the packet identifier, as it is sent
    on to whoever gets it unchanged. ``kind`` is 4 or 5 then, for the versions of MQTT that it is for; else it is 0.
    """

    __slots__ = (
        "expires_at",
        "head",
        "kind",
        "origin",
        "payload",
        "properties",
        "qos",
        "retain",
        "size",
        "topic",
        "topic_bytes",
    )

    def __init__(
        self,
        topic: str,
        topic_bytes: bytes,
        payload: bytes,
        qos: int = 0,
        retain: bool = False,
        properties: bytes = b"",
        expires_at: float = 0.0,
        origin: str = "",
    ) -> None:
        self.topic: str = topic
        self.topic_bytes: bytes = topic_bytes
        self.payload: bytes = payload
        self.qos: int = qos
        self.retain: bool = retain
        self.properties: bytes = properties
        self.expires_at: float = expires_at
        """When the message expires; 0.0 when it never does."""
        self.origin: str = origin
        """Client identifier of the publisher; empty when the message entered in some other way."""
        self.size: int = len(topic_bytes) + len(payload) + len(properties)
        """Bytes that count towards the limits of queues and retained messages."""
        self.head: bytes = b""
        self.kind: int = 0

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Message):
            return NotImplemented
        return self._values() == other._values()

    def __hash__(self) -> int:
        return hash((self.topic, self.payload))

    def __reduce__(self) -> tuple[object, ...]:
        return Message, self._values()

    def _values(self) -> tuple[object, ...]:
        """What the constructor takes."""
        return (
            self.topic,
            self.topic_bytes,
            self.payload,
            self.qos,
            self.retain,
            self.properties,
            self.expires_at,
            self.origin,
        )

    def __repr__(self) -> str:
        return f"Message({self.topic!r}, {len(self.payload)} bytes, qos={self.qos}, retain={self.retain})"

    def expired(self, now: float) -> bool:
        """Whether the message has expired, and may not be sent any more [MQTT-3.3.2-5]."""
        return bool(self.expires_at) and now >= self.expires_at


class QueuedMessage:
    """A message that a session is owed, at its place in the session's queue.

    ``packet_id`` is 0 until the message was sent, and ``released`` is true once a PUBREC
    arrived for it, after which only the PUBREL is sent again. ``share`` is the whole topic filter (``$share/...``)
    of the shared subscription through which the session got it, and empty for any other.
    """

    __slots__ = ("identifiers", "message", "packet_id", "qos", "released", "retain", "sequence", "share")

    def __init__(
        self,
        sequence: int,
        message: Message,
        qos: int,
        retain: bool = False,
        identifiers: tuple[int, ...] = (),
        packet_id: int = 0,
        released: bool = False,
        share: str = "",
    ) -> None:
        self.sequence: int = sequence
        self.message: Message = message
        self.qos: int = qos
        self.retain: bool = retain
        self.identifiers: tuple[int, ...] = identifiers
        self.packet_id: int = packet_id
        self.released: bool = released
        self.share: str = share

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, QueuedMessage):
            return NotImplemented
        return self._values() == other._values()

    __hash__ = None  # type: ignore[assignment]  # It changes on its way through the hand-shake.

    def __reduce__(self) -> tuple[object, ...]:
        return QueuedMessage, self._values()

    def _values(self) -> tuple[object, ...]:
        """What the constructor takes."""
        return (
            self.sequence,
            self.message,
            self.qos,
            self.retain,
            self.identifiers,
            self.packet_id,
            self.released,
            self.share,
        )

    def __repr__(self) -> str:
        return f"QueuedMessage({self.sequence}, {self.message!r}, qos={self.qos}, packet_id={self.packet_id})"


def bounded(queue: Iterable[QueuedMessage], limit: int, size: float) -> list[QueuedMessage]:
    """The first messages of a queue: up to ``limit``, and up to the one with which they hold ``size`` bytes."""
    found: list[QueuedMessage] = []
    if limit <= 0 or size <= 0:
        return found
    for queued in queue:
        found.append(queued)
        size -= queued.message.size
        if len(found) >= limit or size <= 0:
            break  # Before the next one is looked for: it may be far away.
    return found
