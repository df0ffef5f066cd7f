"""A store in memory: it lasts as long as the process, so every write is as durable as it will ever be, at once.

Rules:

1. The queued messages that come in are kept as they are, not copied, and :meth:`MemoryStore.read_queue` returns the
   same objects. Whoever changes one tells the store (``mark_sent``, ``mark_released``), as any other store requires.
2. A write for a session that is not there is ignored, as a deletion is: the session ended, and nobody will ask.
3. What a session does not use (queue, subscriptions, packet identifiers) takes no memory but its slot.

A queue is a dictionary by sequence number, in rising order, so that each step of a message costs the same wherever in
the queue it is. A slice is read by counting upwards, because numbers are seldom missing; where most of them are, it is
read by looking through the queue.

Deliberately absent: limits. The session counts what it is owed before it hands it over.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import inf

from mqttbroker.storage.messages import Message, QueuedMessage, bounded
from mqttbroker.storage.records import SessionRecord, SubscriptionRecord, WillRecord
from mqttbroker.storage.store import Durable

__all__ = ["MemoryStore"]

_SPARSE = 8
"""Sequence numbers for each message left, above which counting upwards is given up."""


class MemoryStore:
    """Everything in dictionaries; see :class:`mqttbroker.storage.store.Store` for the verbs."""

    __slots__ = ("_retained", "_sessions", "accepting", "congested", "settled")

    def __init__(self) -> None:
        self.settled: bool = True
        self.accepting: bool = True
        self.congested: bool = False
        self._sessions: dict[str, _Session] = {}
        self._retained: dict[str, Message] = {}

    def when_durable(self, callback: Durable) -> None:
        """Call back at once."""
        callback(None)

    def retry(self) -> None:
        """Do nothing: there is always room."""

    def close(self) -> None:
        """Do nothing: no file is open and no callback waits."""

    # Sessions.

    def sessions(self) -> Iterator[SessionRecord]:
        """Every session. Sessions may come and go meanwhile; those that went are left out."""
        for client_id in list(self._sessions):
            session = self._sessions.get(client_id)
            if session is not None:
                yield session.record(client_id)

    def put_session(
        self, client_id: str, username: str | None, expiry_interval: int, expires_at: float, listener: str = ""
    ) -> None:
        """Create the session, or change its owner, expiry and listener."""
        session = self._sessions.get(client_id)
        if session is None:
            session = self._sessions[client_id] = _Session()
        session.username = username
        session.expiry_interval = expiry_interval
        session.expires_at = expires_at
        session.listener = listener

    def delete_session(self, client_id: str) -> None:
        """Forget the session and all that belongs to it."""
        self._sessions.pop(client_id, None)

    def put_subscription(self, client_id: str, subscription: SubscriptionRecord) -> None:
        """Create the subscription, or replace that with the same filter."""
        session = self._sessions.get(client_id)
        if session is None:
            return
        if session.subscriptions is None:
            session.subscriptions = {}
        session.subscriptions[subscription.topic_filter] = subscription

    def delete_subscription(self, client_id: str, topic_filter: str) -> None:
        """Forget the subscription."""
        session = self._sessions.get(client_id)
        if session is not None and session.subscriptions is not None:
            session.subscriptions.pop(topic_filter, None)
            session.subscriptions = session.subscriptions or None

    def put_will(self, client_id: str, will: WillRecord) -> None:
        """Keep the session's will."""
        session = self._sessions.get(client_id)
        if session is not None:
            session.will = will

    def delete_will(self, client_id: str) -> None:
        """Forget the session's will."""
        session = self._sessions.get(client_id)
        if session is not None:
            session.will = None

    # What a session is owed.

    def enqueue(self, client_id: str, queued: QueuedMessage) -> None:
        """Append to the queue. Raise :class:`ValueError` when the sequence number is not above all before it."""
        session = self._sessions.get(client_id)
        if session is None:
            return
        sequence = queued.sequence
        if sequence < session.next_sequence:
            raise ValueError(f"sequence number {sequence} is not above {session.next_sequence - 1}")
        session.next_sequence = sequence + 1
        if session.queue is None:
            session.queue = {sequence: queued}
        else:
            session.queue[sequence] = queued

    def mark_sent(self, client_id: str, sequence: int, packet_id: int) -> None:
        """Note under which packet identifier the message was sent."""
        session = self._sessions.get(client_id)
        if session is not None and session.queue is not None and sequence in session.queue:
            session.queue[sequence].packet_id = packet_id

    def mark_released(self, client_id: str, sequence: int) -> None:
        """Note that PUBREC arrived."""
        session = self._sessions.get(client_id)
        if session is not None and session.queue is not None and sequence in session.queue:
            session.queue[sequence].released = True

    def dequeue(self, client_id: str, sequence: int) -> None:
        """Forget one message of the queue."""
        session = self._sessions.get(client_id)
        if session is not None and session.queue is not None:
            session.queue.pop(sequence, None)
            # An empty dictionary keeps the room that it once needed.
            session.queue = session.queue or None

    def read_queue(self, client_id: str, after: int, limit: int, size: float = inf) -> list[QueuedMessage]:
        """Up to ``limit`` messages whose sequence number is above ``after``, in order, up to ``size`` bytes."""
        session = self._sessions.get(client_id)
        if session is None or session.queue is None:
            return []
        queue = session.queue
        numbers = range(after + 1, session.next_sequence)
        if len(numbers) > _SPARSE * (len(queue) + limit):
            present = (sequence for sequence in queue if sequence > after)
        else:
            present = (sequence for sequence in numbers if sequence in queue)
        return bounded((queue[sequence] for sequence in present), limit, size)

    # QoS 2 messages received from the client.

    def put_incoming(self, client_id: str, packet_id: int) -> None:
        """Note that the QoS 2 message with this packet identifier was taken over."""
        session = self._sessions.get(client_id)
        if session is None:
            return
        if session.incoming is None:
            session.incoming = set()
        session.incoming.add(packet_id)

    def delete_incoming(self, client_id: str, packet_id: int) -> None:
        """Note that PUBREL released the packet identifier."""
        session = self._sessions.get(client_id)
        if session is not None and session.incoming is not None:
            session.incoming.discard(packet_id)
            session.incoming = session.incoming or None

    # Retained messages.

    def retained(self) -> Iterator[Message]:
        """Every retained message, as of this moment."""
        return iter(list(self._retained.values()))

    def put_retained(self, message: Message) -> None:
        """Keep the message as its topic's retained message."""
        self._retained[message.topic] = message

    def delete_retained(self, topic: str) -> None:
        """Forget the topic's retained message."""
        self._retained.pop(topic, None)


class _Session:
    """One session; ``None`` stands for empty."""

    __slots__ = (
        "expires_at",
        "expiry_interval",
        "incoming",
        "listener",
        "next_sequence",
        "queue",
        "subscriptions",
        "username",
        "will",
    )

    def __init__(self) -> None:
        self.username: str | None = None
        self.expiry_interval: int = 0
        self.expires_at: float = 0.0
        self.listener: str = ""
        self.subscriptions: dict[str, SubscriptionRecord] | None = None
        self.incoming: set[int] | None = None
        self.will: WillRecord | None = None
        self.next_sequence: int = 1
        self.queue: dict[int, QueuedMessage] | None = None

    def record(self, client_id: str) -> SessionRecord:
        # The bytes are added up here and not kept count of: sessions are read at the start, messages come all the time.
        queue = self.queue if self.queue is not None else {}
        return SessionRecord(
            client_id,
            self.username,
            self.expiry_interval,
            self.expires_at,
            tuple(self.subscriptions.values()) if self.subscriptions is not None else (),
            tuple(self.incoming) if self.incoming is not None else (),
            self.will,
            self.next_sequence,
            len(queue),
            sum(queued.message.size for queued in queue.values()),
            self.listener,
        )
