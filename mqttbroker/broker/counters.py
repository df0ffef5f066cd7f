"""What the broker counts. Plain numbers that only grow; whoever shows them takes differences."""

from __future__ import annotations

__all__ = ["Counters"]


class Counters:
    """Totals since the broker was started."""

    __slots__ = (
        "bytes_received",
        "connections_accepted",
        "connections_refused",
        "messages_received",
        "messages_unrouted",
        "packets_malformed",
        "publish_denied",
        "subscribe_denied",
        "takeovers",
        "wills_published",
    )

    def __init__(self) -> None:
        self.bytes_received: int = 0
        self.connections_accepted: int = 0
        self.connections_refused: int = 0
        self.messages_received: int = 0
        self.messages_unrouted: int = 0
        self.packets_malformed: int = 0
        self.publish_denied: int = 0
        self.subscribe_denied: int = 0
        self.takeovers: int = 0
        self.wills_published: int = 0
