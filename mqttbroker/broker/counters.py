"""What the broker counts. Plain numbers that only grow; whoever shows them takes differences."""

from __future__ import annotations

__all__ = ["Counters"]


class Counters:
    """Totals since the broker was started.

    Of what has left there is more in ``SessionLimits``: messages, which sessions write themselves.
    """

    __slots__ = (
        "bytes_received",
        "bytes_sent",
        "clients_connected",
        "connections_accepted",
        "connections_refused",
        "message_bytes_received",
        "messages_received",
        "messages_unrouted",
        "other_packets_received",
        "packets_malformed",
        "packets_sent",
        "publish_denied",
        "sessions_expired",
        "subscribe_denied",
        "takeovers",
        "wills_published",
    )

    def __init__(self) -> None:
        self.bytes_received: int = 0
        """Bytes of MQTT, without those of TLS and WebSocket."""
        self.bytes_sent: int = 0
        self.clients_connected: int = 0
        """CONNECT packets that were accepted."""
        self.connections_accepted: int = 0
        self.connections_refused: int = 0
        self.message_bytes_received: int = 0
        """Bytes of whole PUBLISH packets."""
        self.messages_received: int = 0
        self.messages_unrouted: int = 0
        self.other_packets_received: int = 0
        """All packets but PUBLISH."""
        self.packets_malformed: int = 0
        self.packets_sent: int = 0
        """Packets of any type, PUBLISH among them."""
        self.publish_denied: int = 0
        self.sessions_expired: int = 0
        self.subscribe_denied: int = 0
        self.takeovers: int = 0
        self.wills_published: int = 0
