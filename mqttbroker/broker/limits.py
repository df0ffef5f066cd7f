"""Limits of what a peer can make the broker hold, and the choices that the standard leaves to a server.

Every field is documented in ``config/mqttbroker.toml`` with its unit and its reason code. Zero means
"no limit" only where the docstring says so.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

__all__ = ["Limits", "QueuePolicy"]

QueuePolicy = Literal["drop_oldest", "drop_newest", "refuse"]
SharedStrategy = Literal["round_robin", "random", "least_inflight", "hash_client", "hash_topic"]

UNLIMITED_EXPIRY = 0xFFFF_FFFF


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits and choices of one broker. Sizes are in bytes, times in seconds."""

    max_connections: int = 100_000
    """Connections at one time; one more is cut before it has said anything."""
    max_connections_per_address: int = 20_000
    """Connections at one time from one address; one more is cut as well."""
    max_connection_rate: int = 1_000
    """New connections in a second from one address, on average over ten seconds; one more is cut. 0 for no limit."""
    connect_timeout: float = 10.0
    """Time in which a new connection must have sent its whole CONNECT, and an authenticator have answered."""
    max_connect_size: int = 262_144
    """Bytes of the largest CONNECT; a larger one ends the connection without an answer."""
    max_packet_size: int = 8_388_608
    """Largest packet accepted, announced as Maximum Packet Size; a larger one is answered with 0x95."""
    max_user_properties: int = 256
    """User properties in one packet; more is answered with 0x97."""
    max_topic_levels: int = 128
    """Levels of a topic name or topic filter; more is answered with 0x90 or 0x8F."""
    max_topic_length: int = 4_096
    """Bytes of a topic name or topic filter; more is answered with 0x90 or 0x8F."""
    max_client_id_length: int = 1_024
    """Bytes of a client identifier; more is answered with 0x85."""
    max_subscriptions: int = 100_000
    """Subscriptions of one session; one more is answered with 0x97."""
    max_cached_topics: int = 200_000
    """Topics whose routes are remembered."""

    receive_maximum: int = 1_024
    """QoS 1 and 2 messages that a client may have unacknowledged on their way in; more is answered with 0x93."""
    max_inflight: int = 1_024
    """QoS 1 and 2 messages unacknowledged on their way to one client, where it does not ask for fewer."""
    topic_alias_maximum: int = 256
    """Topic aliases remembered per connection and direction; an alias above it is answered with 0x94."""
    max_outbound_buffer: int = 1_048_576
    """Bytes waiting for one client's socket, above which QoS 0 messages are dropped and others queued."""
    stalled_timeout: float = 60.0
    """Time for which a client may take nothing at all from its full socket before it is disconnected."""

    max_queued_messages: int = 100_000
    """Messages that one session may be owed."""
    max_queued_bytes: int = 268_435_456
    """Bytes of topics, properties and payloads that one session may be owed."""
    max_total_queued_bytes: int = 68_719_476_736
    """Bytes that all sessions together may be owed."""
    queue_policy: QueuePolicy = "drop_oldest"
    """What happens at these three limits.

    With "refuse" the publisher is answered with 0x97 (3.1.1: not acknowledged).
    """
    queue_window: int = 1_024
    """Messages of a stored queue that are held ready in memory for one session."""
    max_retained_messages: int = 1_000_000
    """Retained messages; one more is answered with 0x97."""
    max_retained_bytes: int = 1_073_741_824
    """Bytes of retained messages; more is answered with 0x97."""

    max_session_expiry: int = UNLIMITED_EXPIRY
    """Longest Session Expiry Interval granted; 4294967295 means that a session may last for ever."""
    max_keep_alive: int = 65_535
    """Longest Keep Alive granted. Below 65535 it also replaces a Keep Alive of 0 ("never")."""
    max_qos: int = 2
    """Highest QoS; a PUBLISH above it is answered with 0x9B, a subscription is granted less."""
    retain_available: bool = True
    """Whether retained messages are kept; where not, one is answered with 0x9A."""
    wildcard_subscriptions: bool = True
    """Whether topic filters may hold wildcards; where not, one is answered with 0xA2."""
    subscription_identifiers: bool = True
    """Whether Subscription Identifiers are accepted; where not, one is answered with 0xA1."""
    shared_subscriptions: bool = True
    """Whether shared subscriptions are accepted; where not, one is answered with 0x9E."""
    shared_strategy: SharedStrategy = "round_robin"
    """How a shared subscription chooses among its members."""
    response_information: str = ""
    """Response Information for clients that ask for it; empty for none. ``${clientid}`` is replaced."""

    def __post_init__(self) -> None:
        self.check()

    def check(self) -> None:
        """Raise :class:`ValueError` with "key: expected ..." for the first value out of its bounds."""
        for item in fields(self):
            low, high = _BOUNDS.get(item.name, (None, None))
            value = getattr(self, item.name)
            if low is not None and high is not None and not low <= value <= high:
                raise ValueError(f"{item.name}: expected {low} to {high}, got {value}")
        if self.max_connect_size > self.max_packet_size:
            raise ValueError("max_connect_size: expected at most max_packet_size")


_MANY = 2**53
_BOUNDS: dict[str, tuple[float, float]] = {
    "max_connections": (1, _MANY),
    "max_connections_per_address": (1, _MANY),
    "max_connection_rate": (0, _MANY),
    "connect_timeout": (1.0, 3_600.0),
    "max_connect_size": (256, 268_435_460),
    "max_packet_size": (256, 268_435_460),
    "max_user_properties": (0, 65_535),
    "max_topic_levels": (1, 65_535),
    "max_topic_length": (1, 65_535),
    "max_client_id_length": (23, 65_535),  # [MQTT-3.1.3-5]
    "max_subscriptions": (1, _MANY),
    "max_cached_topics": (1, _MANY),
    "receive_maximum": (1, 65_535),
    "max_inflight": (1, 65_535),
    "topic_alias_maximum": (0, 65_535),
    "max_outbound_buffer": (4_096, _MANY),
    "stalled_timeout": (1.0, 86_400.0),
    "max_queued_messages": (1, _MANY),
    "max_queued_bytes": (1, _MANY),
    "max_total_queued_bytes": (1, _MANY),
    "queue_window": (1, 65_535),
    "max_retained_messages": (0, _MANY),
    "max_retained_bytes": (0, _MANY),
    "max_session_expiry": (0, UNLIMITED_EXPIRY),
    "max_keep_alive": (1, 65_535),
    "max_qos": (0, 2),
}
