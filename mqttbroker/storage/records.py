"""What a store keeps, in the standard's words.

These records are values. They hold no reference to a connection, and nothing in them is
a packet as it was on the wire, so that they outlive the connection, the process and the protocol version
through which they came.

All times are seconds since the epoch on the broker's own clock, which never goes back.
"""

from __future__ import annotations

from dataclasses import dataclass

from mqttbroker.storage.messages import Message

__all__ = ["SessionRecord", "SubscriptionRecord", "WillRecord"]


@dataclass(frozen=True, slots=True)
class SubscriptionRecord:
    """A subscription of a session: filter and options (section 3.8.3.1)."""

    topic_filter: str
    qos: int
    no_local: bool = False
    retain_as_published: bool = False
    identifier: int = 0
    """Subscription Identifier; 0 when the client gave none."""


@dataclass(frozen=True, slots=True)
class WillRecord:
    """A will (section 3.1.2.5) with the delay that the client asked for, in seconds.

    ``due_at`` is 0.0 while the client is connected; after that, when the will is to be published.
    """

    message: Message
    delay: int = 0
    lifetime: int | None = None
    """Message Expiry Interval, counted from publication; ``None`` when there is none."""
    due_at: float = 0.0


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """The part of the session state (section 4.1) that is small; the queue is read separately, in slices."""

    client_id: str
    username: str | None
    expiry_interval: int
    expires_at: float = 0.0
    """When the session ends; 0.0 while a client is connected or when it never does."""
    subscriptions: tuple[SubscriptionRecord, ...] = ()
    incoming: tuple[int, ...] = ()
    """Packet identifiers of QoS 2 messages that were received and not yet released by PUBREL."""
    will: WillRecord | None = None
    next_sequence: int = 1
    """One more than the highest sequence number that the queue has ever used."""
    queued: int = 0
    """Number of messages in the queue, those in flight included."""
    queued_bytes: int = 0
    listener: str = ""
    """Name of the listener through which the client came last."""
