"""A session with a client's end: what it was sent comes out as packets."""

from __future__ import annotations

from mqttbroker.protocol import Packet, PacketReader, ProtocolVersion, Publish
from mqttbroker.sessions import Outbox, Session, SessionLimits
from mqttbroker.sessions.wire import Wire
from mqttbroker.storage import MemoryStore, Message, Store
from tests.broker.support import START, MemoryCarrier

__all__ = ["Line", "make_limits", "make_message", "make_session"]


def make_message(payload: bytes | int = b"payload", topic: str = "t", expires_at: float = 0.0) -> Message:
    """A message; a number stands for its text."""
    data = str(payload).encode() if isinstance(payload, int) else payload
    return Message(topic, topic.encode(), data, 2, expires_at=expires_at)


def make_limits(
    store: Store | None = None,
    max_messages: int = 1_000,
    max_bytes: int = 1_000_000,
    window: int = 100,
    burst: int = 1_000_000,
    drop_oldest: bool = True,
) -> SessionLimits:
    return SessionLimits(
        store if store is not None else MemoryStore(), max_messages, max_bytes, window, burst, drop_oldest
    )


def make_session(limits: SessionLimits | None = None, persistent: bool = False, client_id: str = "client") -> Session:
    """A session without a connection, in the store if it is to be kept."""
    limits = limits or make_limits()
    if persistent:
        limits.store.put_session(client_id, None, 100, 0.0)
    return Session(client_id, None, limits, persistent)


class Line:
    """One connection of a session, from its attachment on."""

    def __init__(
        self,
        session: Session,
        receive_maximum: int = 10,
        now: float = START,
        maximum_packet_size: int = 0,
        alias_maximum: int = 0,
        pump: bool = True,
    ) -> None:
        self.session: Session = session
        self.carrier: MemoryCarrier = MemoryCarrier()
        self.outbox: Outbox = Outbox(self.carrier, [])
        self.reader: PacketReader = PacketReader(ProtocolVersion.V5)
        session.attach(self.outbox, Wire(True, maximum_packet_size, alias_maximum), receive_maximum)
        self.outbox.open = True
        if pump:
            session.pump(now)

    def take(self) -> list[Packet]:
        """What has come since the last time."""
        self.outbox.flush()
        chunks, self.carrier.sent = self.carrier.sent, []
        return [packet for chunk in chunks for packet in self.reader.feed(chunk)]

    def published(self) -> list[Publish]:
        """The same, where it can only be PUBLISH."""
        taken = self.take()
        found = [packet for packet in taken if isinstance(packet, Publish)]
        assert len(found) == len(taken), taken
        return found

    def payloads(self) -> list[bytes]:
        return [packet.payload for packet in self.published()]
