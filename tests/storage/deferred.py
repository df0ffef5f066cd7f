"""A store that becomes durable when the test says so, and can lose its power.

Other packages' tests use it to hold "acknowledge after the commit" against the broker.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from math import inf

from mqttbroker.storage import (
    Durable,
    MemoryStore,
    Message,
    QueuedMessage,
    SessionRecord,
    SubscriptionRecord,
    WillRecord,
)

__all__ = ["DeferredStore"]


class DeferredStore:
    """Reads see every write at once; a write is durable after :meth:`commit`, and lost after :meth:`fail`.

    ``settled`` is false from a write to the next ``commit`` or ``fail``. ``durable`` is what a crash would leave.
    """

    def __init__(self, start: MemoryStore | None = None) -> None:
        self.durable: MemoryStore = start if start is not None else MemoryStore()
        self._seen: MemoryStore = copy.deepcopy(self.durable)
        self._writes: list[Callable[[], None]] = []
        self._waiting: list[Durable] = []
        self._settling: bool = False
        self.settled: bool = True
        self.accepting: bool = True
        self.congested: bool = False
        self.retries: int = 0
        self.closed: bool = False

    # The test's side.

    @property
    def writes(self) -> int:
        """Number of writes that are not durable yet."""
        return len(self._writes)

    @property
    def waiting(self) -> int:
        """Number of callbacks that have not run yet."""
        return len(self._waiting)

    def commit(self) -> None:
        """Make durable what was written so far and run the callbacks that waited for it."""
        writes, self._writes = self._writes, []
        for write in writes:
            write()
        self._settle(None)

    def fail(self, error: Exception) -> None:
        """Lose what was written since the last commit and run the callbacks that waited for it with ``error``."""
        self._writes = []
        self._settle(error)

    def crashed(self) -> MemoryStore:
        """What a broker that starts after a power loss finds: another store with everything that was committed."""
        return copy.deepcopy(self.durable)

    def _settle(self, error: Exception | None) -> None:
        self.settled = True
        waiting, self._waiting = self._waiting, []
        self._settling = True
        for callback in waiting:
            callback(error)
        self._settling = False
        # A callback may wait anew, and has its turn after the others; if it wrote as well, that is for the next commit.
        if self.settled and self._waiting:
            self._settle(None)

    def _write(self, write: Callable[[], None]) -> None:
        self._writes.append(write)
        self.settled = False

    # The store's side.

    def when_durable(self, callback: Durable) -> None:
        if self.settled and not self._settling:
            callback(None)
        else:
            self._waiting.append(callback)

    def retry(self) -> None:
        """Count the call."""
        self.retries += 1

    def close(self) -> None:
        self.commit()
        self.closed = True

    def sessions(self) -> Iterator[SessionRecord]:
        return self._seen.sessions()

    def put_session(
        self, client_id: str, username: str | None, expiry_interval: int, expires_at: float, listener: str = ""
    ) -> None:
        self._seen.put_session(client_id, username, expiry_interval, expires_at, listener)
        self._write(lambda: self.durable.put_session(client_id, username, expiry_interval, expires_at, listener))

    def delete_session(self, client_id: str) -> None:
        self._seen.delete_session(client_id)
        self._write(lambda: self.durable.delete_session(client_id))

    def put_subscription(self, client_id: str, subscription: SubscriptionRecord) -> None:
        self._seen.put_subscription(client_id, subscription)
        self._write(lambda: self.durable.put_subscription(client_id, subscription))

    def delete_subscription(self, client_id: str, topic_filter: str) -> None:
        self._seen.delete_subscription(client_id, topic_filter)
        self._write(lambda: self.durable.delete_subscription(client_id, topic_filter))

    def put_will(self, client_id: str, will: WillRecord) -> None:
        self._seen.put_will(client_id, will)
        self._write(lambda: self.durable.put_will(client_id, will))

    def delete_will(self, client_id: str) -> None:
        self._seen.delete_will(client_id)
        self._write(lambda: self.durable.delete_will(client_id))

    def enqueue(self, client_id: str, queued: QueuedMessage) -> None:
        # Copied as it is now: the sender writes a packet identifier into it, which only mark_sent() makes durable.
        kept = copy.copy(queued)
        self._seen.enqueue(client_id, queued)
        self._write(lambda: self.durable.enqueue(client_id, kept))

    def mark_sent(self, client_id: str, sequence: int, packet_id: int) -> None:
        self._seen.mark_sent(client_id, sequence, packet_id)
        self._write(lambda: self.durable.mark_sent(client_id, sequence, packet_id))

    def mark_released(self, client_id: str, sequence: int) -> None:
        self._seen.mark_released(client_id, sequence)
        self._write(lambda: self.durable.mark_released(client_id, sequence))

    def dequeue(self, client_id: str, sequence: int) -> None:
        self._seen.dequeue(client_id, sequence)
        self._write(lambda: self.durable.dequeue(client_id, sequence))

    def read_queue(self, client_id: str, after: int, limit: int, size: float = inf) -> list[QueuedMessage]:
        return self._seen.read_queue(client_id, after, limit, size)

    def put_incoming(self, client_id: str, packet_id: int) -> None:
        self._seen.put_incoming(client_id, packet_id)
        self._write(lambda: self.durable.put_incoming(client_id, packet_id))

    def delete_incoming(self, client_id: str, packet_id: int) -> None:
        self._seen.delete_incoming(client_id, packet_id)
        self._write(lambda: self.durable.delete_incoming(client_id, packet_id))

    def retained(self) -> Iterator[Message]:
        return self._seen.retained()

    def put_retained(self, message: Message) -> None:
        self._seen.put_retained(message)
        self._write(lambda: self.durable.put_retained(message))

    def delete_retained(self, topic: str) -> None:
        self._seen.delete_retained(topic)
        self._write(lambda: self.durable.delete_retained(topic))
