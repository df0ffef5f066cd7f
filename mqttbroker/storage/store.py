"""The interface of a store: what a session is owed and what outlives a connection, in MQTT's words.

Rules that every store keeps, and that ``tests/storage/contract.py`` checks:

1. A write takes effect at once for whoever reads through the same store, in the order of the calls.
2. A write is *durable* only when the store says so. Whoever must not speak before that (PUBACK, PUBREC, SUBACK,
   UNSUBACK, CONNACK) calls :meth:`Store.when_durable` and goes on in the callback.
3. Callbacks run in the order in which they were given, in the broker's own thread. A callback is given ``None``, or the
   error on account of which what came before it could not be made durable.
   A failed commit ends what was waiting for it: afterwards nothing is pending, and ``settled`` is true again.
4. Nothing here blocks the caller on a disk.

Deliberately absent: routing, limits and policies. A store keeps what it is told to keep.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import inf
from typing import Protocol

from mqttbroker.storage.messages import Message, QueuedMessage
from mqttbroker.storage.records import SessionRecord, SubscriptionRecord, WillRecord

__all__ = ["Durable", "Store", "StoreError", "StoreFull"]

Durable = Callable[[Exception | None], None]
"""Called once, when everything that was written before is durable, or with the error that prevented it."""


class StoreError(Exception):
    """The store could not keep what it was given; the message says what an operator can do."""


class StoreFull(StoreError):
    """There is no room on the disk. Nothing is lost, and there may be room again."""


class Store(Protocol):
    """Durable records of one broker. Not thread-safe: one broker, one thread."""

    settled: bool
    """Whether nothing is pending: everything that was written is durable, or its callbacks were given an error."""

    accepting: bool
    """Whether there is room for more. Where there is not, whatever must be stored should be refused."""
    congested: bool
    """Whether so much waits to become durable that publishers should be held back."""

    def when_durable(self, callback: Durable) -> None:
        """Call ``callback`` when everything written so far is durable: at once where it already is."""

    def retry(self) -> None:
        """Try again what there was no room for. Called about once a second."""

    def close(self) -> None:
        """Make durable what was written, run the callbacks that wait for it, and let go of every file."""

    # Sessions.

    def sessions(self) -> Iterator[SessionRecord]:
        """Every session, without its queue."""

    def put_session(
        self, client_id: str, username: str | None, expiry_interval: int, expires_at: float, listener: str = ""
    ) -> None:
        """Create the session, or change its owner, its expiry (seconds; time of its end, 0.0 for none) and the name of
        the listener through which its client came last.
        """

    def delete_session(self, client_id: str) -> None:
        """Forget the session and all that belongs to it. No error where there is none."""

    def put_subscription(self, client_id: str, subscription: SubscriptionRecord) -> None:
        """Create the subscription, or replace that with the same filter."""

    def delete_subscription(self, client_id: str, topic_filter: str) -> None:
        """Forget the subscription. No error where there is none."""

    def put_will(self, client_id: str, will: WillRecord) -> None:
        """Keep the session's will, replacing an earlier one."""

    def delete_will(self, client_id: str) -> None:
        """Forget the session's will. No error where there is none."""

    # What a session is owed: its queue, by rising sequence numbers.

    def enqueue(self, client_id: str, queued: QueuedMessage) -> None:
        """Append to the queue; ``queued.sequence`` is above all before it."""

    def mark_sent(self, client_id: str, sequence: int, packet_id: int) -> None:
        """Note under which packet identifier the message was sent [MQTT-4.4.0-1]."""

    def mark_released(self, client_id: str, sequence: int) -> None:
        """Note that PUBREC arrived: the message itself is not sent again [MQTT-4.3.3-6]."""

    def dequeue(self, client_id: str, sequence: int) -> None:
        """Forget one message of the queue: acknowledged, expired or dropped. No error where there is none."""

    def read_queue(self, client_id: str, after: int, limit: int, size: float = inf) -> list[QueuedMessage]:
        """Up to ``limit`` messages whose sequence number is above ``after``, in order; the one with which they hold
        ``size`` bytes together is the last.
        """

    # QoS 2 messages received from the client.

    def put_incoming(self, client_id: str, packet_id: int) -> None:
        """Note that the QoS 2 message with this packet identifier was taken over [MQTT-4.3.3-10]."""

    def delete_incoming(self, client_id: str, packet_id: int) -> None:
        """Note that PUBREL released the packet identifier. No error where it is not there."""

    # Retained messages, by topic.

    def retained(self) -> Iterator[Message]:
        """Every retained message."""

    def put_retained(self, message: Message) -> None:
        """Keep the message as its topic's retained message [MQTT-3.3.1-5]."""

    def delete_retained(self, topic: str) -> None:
        """Forget the topic's retained message [MQTT-3.3.1-6]. No error where there is none."""
