"""The session state of one client (section 4.1) and the rules by which it is sent what it is owed.

A QoS 1 or 2 message that a session is owed is in one of four places, and moves through them in this order:

``backlog``   only in the store, because the client is away or the queue in memory is full; read as the queue drains;
``queue``     in memory, never sent;
``resend``    sent on an earlier connection and waiting to be sent again on this one;
``inflight``  has a packet identifier: sent, not yet acknowledged (those in ``resend`` are here too).

Invariants:

1. While the outbox is open and the quota is above zero, ``resend``, ``queue`` and ``backlog`` are empty. Every event
   that opens the outbox or raises the quota calls :meth:`Session.pump`.
2. Messages are sent in the order of their sequence numbers [MQTT-4.6.0-5] [MQTT-4.6.0-6], so those in flight are a
   prefix of the queue that a store holds.
3. On any connection, quota = Receive Maximum - messages sent or resumed on it and not yet acknowledged, so the number
   in flight stays below the number of packet identifiers.
4. A packet identifier in ``inflight`` is not given to another message [MQTT-2.2.1-4]
   [3.1.1: MQTT-2.3.1-4].
5. A persistent session writes each step to the store before it acts on it.

Absent on purpose: who a message goes to (the router), when a session ends (the registry), and answers to packets.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from mqttbroker.sessions.limits import PAGE, SLICE, Drop, SessionLimits
from mqttbroker.sessions.mounting import split_client_id
from mqttbroker.sessions.outbox import NOWHERE, Outbox
from mqttbroker.sessions.subscription import Subscription
from mqttbroker.sessions.waiting import Waiting
from mqttbroker.sessions.wire import Wire
from mqttbroker.storage.messages import Message, QueuedMessage
from mqttbroker.storage.records import SessionRecord, WillRecord

__all__ = ["Session"]

PUBREL = b"\x62\x02"


class Session:
    """One client's session, with or without a connection. Not thread-safe; no method waits."""

    __slots__ = (
        "backlog",
        "client_id",
        "dropped",
        "expires_at",
        "expiry_interval",
        "incoming",
        "inflight",
        "last_sequence",
        "limits",
        "listener",
        "loaded",
        "next_packet_id",
        "outbox",
        "owed_bytes",
        "persistent",
        "queue",
        "quota",
        "quota_maximum",
        "resend",
        "subscriptions",
        "swept",
        "username",
        "waiting",
        "will",
        "wire",
        "wire_kind",
    )

    def __init__(self, client_id: str, username: str | None, limits: SessionLimits, persistent: bool) -> None:
        self.client_id: str = client_id
        """As the broker knows it: with the mount point in front, where there is one."""
        self.username: str | None = username
        """Who made the session; nobody else may resume it (section 5.4.2)."""
        self.listener: str = ""
        """Name of the listener through which the client came last."""
        self.limits: SessionLimits = limits
        self.persistent: bool = persistent
        """Whether the session is kept in the store."""
        self.expiry_interval: int = 0
        self.expires_at: float = 0.0
        """When the session ends; 0.0 while connected, or when it never does."""
        self.subscriptions: dict[str, Subscription] = {}
        self.will: WillRecord | None = None
        self.incoming: set[int] = set()
        """Packet identifiers of QoS 2 messages received and not yet released."""

        self.outbox: Outbox = NOWHERE
        self.wire: Wire = _OFFLINE
        self.wire_kind: int = 0
        """The kind of the last connection's wire, by which routes decide; see :attr:`Wire.kind`."""
        self.quota: int = 0
        """Messages that may still be sent before one is acknowledged (section 4.9)."""
        self.quota_maximum: int = 0

        self.inflight: dict[int, QueuedMessage] = {}
        self.resend: deque[QueuedMessage] | None = None
        self.queue: deque[QueuedMessage] | None = None
        self.backlog: int = 0
        """Messages that are only in the store."""
        self.loaded: int = 0
        """Highest sequence number that was taken from the store, or never needed to be."""
        self.swept: int = 0
        """Sequence number up to which :meth:`sweep` has looked; 0 when it begins anew."""
        self.last_sequence: int = 0
        self.next_packet_id: int = 1
        self.owed_bytes: int = 0
        """Bytes of the messages owed, in flight and waiting."""
        self.dropped: dict[Drop, int] | None = None
        self.waiting: Waiting | None = None

    @classmethod
    def restored(cls, record: SessionRecord, limits: SessionLimits) -> Session:
        """The session as the store knows it; its queue stays there until a client connects."""
        session = cls(record.client_id, record.username, limits, persistent=True)
        session.expiry_interval = record.expiry_interval
        session.expires_at = record.expires_at
        session.listener = record.listener
        session.will = record.will
        session.incoming = set(record.incoming)
        session.backlog = record.queued
        session._owe(record.queued_bytes)
        session.last_sequence = record.next_sequence - 1
        for kept in record.subscriptions:
            session.subscriptions[kept.topic_filter] = Subscription(
                session, kept.topic_filter, kept.qos, kept.no_local, kept.retain_as_published, kept.identifier
            )
        return session

    @property
    def mount_point(self) -> str:
        """Beginning of every topic that the session may be sent."""
        return split_client_id(self.client_id)[0]

    @property
    def name(self) -> str:
        """The client identifier as the client gave it."""
        return split_client_id(self.client_id)[1]

    @property
    def online(self) -> bool:
        """Whether a client is connected."""
        return self.outbox is not NOWHERE

    @property
    def load(self) -> int:
        """Messages owed: in flight and waiting."""
        waiting = len(self.queue) if self.queue else 0
        return len(self.inflight) + waiting + self.backlog

    def has_room(self, size: int) -> bool:
        """Whether one more message, of so many bytes, stays within the limits of the queue and of all queues
        together.
        """
        limits = self.limits
        return (
            self.load < limits.max_messages
            and self.owed_bytes + size <= limits.max_bytes
            and limits.owed_bytes + size <= limits.max_total_bytes
        )

    # Connection.

    def attach(self, outbox: Outbox, wire: Wire, receive_maximum: int) -> None:
        """A client has connected. Call :meth:`pump` when its CONNACK is written and the outbox is open."""
        self.outbox = outbox
        self.wire = wire
        self.wire_kind = wire.kind
        self.expires_at = 0.0
        self.quota = self.quota_maximum = receive_maximum  # [MQTT-4.9.0-1]
        # [MQTT-4.4.0-1] What was sent and not acknowledged is sent again, in the original order [MQTT-4.6.0-5].
        # [MQTT-4.3.2-3] [MQTT-4.3.3-3] [MQTT-4.3.3-5]
        self.resend = deque(self.inflight.values()) if self.inflight else None

    def detach(self) -> None:
        """The connection has ended.

        What is in the store is not held in memory for a client that may never come back.
        """
        self.outbox = NOWHERE
        self.wire = _OFFLINE
        self.quota = 0
        self.resend = None
        if self.persistent:
            self.backlog = self.load
            self.loaded = 0
            self.inflight = {}
            self.queue = None

    # Sending.

    def deliver(
        self, message: Message, qos: int, retain: bool, identifiers: tuple[int, ...], now: float, share: str = ""
    ) -> None:
        """Send the message, or queue it, or drop it and count that."""
        if qos == 0:
            self._send_at_most_once(message, retain, identifiers, now)
            return
        sequence = self.last_sequence + 1
        self.last_sequence = sequence
        queued = QueuedMessage(sequence, message, qos, retain, identifiers, 0, False, share)
        if self.quota > 0 and self.outbox.open and not self.queue and not self.backlog and not self.resend:
            limits = self.limits
            size = message.size
            self.owed_bytes += size
            limits.owed_bytes += size
            if self.persistent:
                limits.store.enqueue(self.client_id, queued)
            self.loaded = sequence
            self._send(queued, now)
        else:
            self._enqueue(queued, now)

    def pump(self, now: float) -> None:
        """Send what is owed, as far as the quota, the outbox and the other sessions' turns allow."""
        unfinished = self.limits.unfinished
        if self in unfinished:
            return  # It had its turn.
        outbox = self.outbox
        written = 0
        while outbox.open:
            if written >= self.limits.burst:
                unfinished[self] = None
                return
            if self.resend:
                queued = self.resend[0]
                if not queued.released and self.quota <= 0:
                    return  # [MQTT-3.3.4-9]
                self.resend.popleft()
                written += self._send_again(queued, now)
            elif self.quota <= 0:
                return  # [MQTT-4.9.0-2]
            elif self.queue:
                queued = self.queue.popleft()
                if queued.message.expired(now):
                    self._drop(queued, Drop.EXPIRED)
                else:
                    written += self._send(queued, now)
            elif self.backlog:
                self._read_ahead()
            else:
                return

    def _send_at_most_once(self, message: Message, retain: bool, identifiers: tuple[int, ...], now: float) -> None:
        outbox = self.outbox
        if not outbox.open:
            if outbox is not NOWHERE:
                self.count_drop(Drop.CONGESTED)
            return
        packet = self.wire.publish(message, 0, retain, False, 0, identifiers, now)  # [MQTT-4.3.1-1]
        if packet is None:
            self.count_drop(Drop.TOO_LARGE)  # [MQTT-3.1.2-25]
        else:
            limits = self.limits
            limits.messages_sent += 1
            limits.message_bytes_sent += len(packet)
            outbox.write(packet)

    def _send(self, queued: QueuedMessage, now: float) -> int:
        """Send for the first time; the bytes written."""
        packet_id = self.next_packet_id
        inflight = self.inflight
        while packet_id in inflight:  # [MQTT-4.3.2-1] [MQTT-4.3.3-1]
            packet_id = packet_id % 65_535 + 1
        self.next_packet_id = packet_id % 65_535 + 1
        queued.packet_id = packet_id
        inflight[packet_id] = queued
        self.quota -= 1
        if self.persistent:
            limits = self.limits
            limits.store.mark_sent(self.client_id, queued.sequence, packet_id)
            if queued.qos == 2 and (limits.stranded or not limits.store.settled):
                return self._write_when_durable(queued, now)
        return self._write(queued, False, now)  # [MQTT-3.3.1-3] [MQTT-4.3.2-2] [MQTT-4.3.3-2]

    def _send_again(self, queued: QueuedMessage, now: float) -> int:
        if self.inflight.get(queued.packet_id) is not queued:
            return 0
        self.quota -= 1  # May go below zero: PUBREL does not wait for the quota, but takes its share of it.
        if queued.released:
            self.outbox.write(PUBREL + queued.packet_id.to_bytes(2, "big"))
            return 4
        # It was on disk before the CONNACK, which waited for that.
        return self._write(queued, True, now)  # [MQTT-3.3.1-1] [MQTT-4.3.3-7], expired or not

    def _write_when_durable(self, queued: QueuedMessage, now: float) -> int:
        """A receiver of QoS 2 remembers the packet identifier, so it must be the same after a crash of the broker.

        Encoded when it is written and not before: topic aliases must be set in the order of the packets.
        """
        limits = self.limits
        outbox = self.outbox

        def durable(error: Exception | None) -> None:
            if self.outbox is not outbox or self.inflight.get(queued.packet_id) is not queued:
                return
            if error is not None or limits.stranded:
                limits.stranded.append(durable)
                return
            if not self._write(queued, False, now):
                self.pump(now)

        limits.store.when_durable(durable)
        return queued.message.size

    def _write(self, queued: QueuedMessage, dup: bool, now: float) -> int:
        packet = self.wire.publish(
            queued.message, queued.qos, queued.retain, dup, queued.packet_id, queued.identifiers, now
        )
        if packet is None:
            # [MQTT-3.1.2-25] Behave as if the message had been sent.
            self.quota += 1
            del self.inflight[queued.packet_id]
            self._drop(queued, Drop.TOO_LARGE)
            return 0
        size = len(packet)
        limits = self.limits
        limits.messages_sent += 1
        limits.message_bytes_sent += size
        self.outbox.write(packet)
        return size

    # Acknowledgements from the client.

    def acknowledged(self, packet_id: int, now: float) -> None:
        """PUBACK, PUBCOMP, or a PUBREC that refuses: the message is done with. An unknown identifier is ignored."""
        queued = self.inflight.get(packet_id)
        if queued is None:
            return
        del self.inflight[packet_id]
        limits = self.limits
        size = queued.message.size
        self.owed_bytes -= size
        limits.owed_bytes -= size
        if self.persistent:
            limits.store.dequeue(self.client_id, queued.sequence)
        resend = self.resend
        if self.quota < self.quota_maximum and (not resend or queued.sequence < resend[0].sequence):
            self.quota += 1  # Invariant 3: what waits to be sent again took nothing of this connection's quota.
        if self.queue or self.backlog or resend:
            self.pump(now)

    def received(self, packet_id: int) -> bool:
        """PUBREC: keep the packet identifier, never send the message again [MQTT-4.3.3-6]. False when it is unknown."""
        queued = self.inflight.get(packet_id)
        if queued is None:
            return False
        if not queued.released:
            queued.released = True
            if self.persistent:
                self.limits.store.mark_released(self.client_id, queued.sequence)
        return True

    # Queue.

    def _enqueue(self, queued: QueuedMessage, now: float) -> None:
        size = queued.message.size
        limits = self.limits
        while not self.has_room(size):
            # For a message that is larger than the whole queue may be, no other has to go.
            if not limits.drop_oldest or size > limits.max_bytes or not self._drop_oldest(Drop.QUEUE_FULL, now):
                self.count_drop(Drop.QUEUE_FULL)
                return
        self._owe(size)
        if self.waiting is None or not (self.queue or self.backlog):
            self.waiting = Waiting(queued.sequence, now, not self.backlog)
        self.waiting.joined(queued.sequence, now)
        if self.persistent:
            limits.store.enqueue(self.client_id, queued)
            if self.backlog or not self.online or (self.queue and len(self.queue) >= limits.window):
                self.backlog += 1
                return
        if self.queue is None:
            self.queue = deque()
        self.queue.append(queued)
        self.loaded = queued.sequence
        queued.message.head = b""  # There may be many that wait, and what was saved by it is little.
        queued.message.kind = 0

    def _drop_oldest(self, cause: Drop, now: float) -> bool:
        while not self.queue and self.backlog:
            self._read_ahead()  # More than once where a whole slice is in flight.
        if not self.queue:
            return False
        oldest = self.queue.popleft()
        self._drop(oldest, Drop.EXPIRED if oldest.message.expired(now) else cause)
        return True

    def _read_ahead(self) -> None:
        """Take the next slice of the stored queue into memory."""
        if self.queue is None:
            self.queue = deque()
        slice_ = self.limits.store.read_queue(self.client_id, self.loaded, self.limits.window, SLICE)
        if not slice_:
            self.backlog = 0
            return
        self.loaded = slice_[-1].sequence
        self.backlog -= len(slice_)
        for queued in slice_:
            if queued.packet_id == 0:
                self.queue.append(queued)
                continue
            # Sent before the broker was started anew (invariant 2: these come first).
            self.inflight[queued.packet_id] = queued
            if self.resend is None:
                self.resend = deque()
            self.resend.append(queued)

    def sweep(self, now: float, limit: int) -> int:
        """Drop what has expired of an absent client's stored queue, looking at up to ``limit`` messages further on each
        time, fewer where they are large; how many that was, in messages of one page.
        """
        if self.online or self.queue or not self.backlog:
            self.swept = 0
            return 0
        size = limit * PAGE
        slice_ = self.limits.store.read_queue(self.client_id, max(self.swept, self.loaded), limit, size)
        for queued in slice_:
            size -= queued.message.size
            if queued.packet_id == 0 and queued.message.expired(now):
                self.backlog -= 1
                self._drop(queued, Drop.EXPIRED)
        whole = len(slice_) < limit and size > 0
        self.swept = 0 if whole else slice_[-1].sequence
        return len(slice_) + (limit * PAGE - size) // PAGE

    def leave_undelivered(self, now: float) -> Iterator[QueuedMessage]:
        """Everything owed that has not expired, in order, as the session ends; it is up to the caller what becomes of
        it.

        A stored queue is read in slices. Where the session has no shared subscription nobody else can get any of it, so
        that it is counted as dropped, and not read.
        """
        if self.persistent and not any(each.startswith("$share/") for each in self.subscriptions):
            if self.load:
                self.count_drop(Drop.SESSION_ENDED, self.load)
        else:
            yield from self._undelivered(now)
        self.inflight = {}
        self.queue = self.resend = None
        self.backlog = 0
        self._owe(-self.owed_bytes)

    def _undelivered(self, now: float) -> Iterator[QueuedMessage]:
        while True:
            for queued in (*self.inflight.values(), *(self.queue or ())):
                if queued.message.expired(now):
                    self.count_drop(Drop.EXPIRED)
                else:
                    yield queued
            self.inflight = {}
            self.queue = None
            if not self.backlog:
                return
            self._read_ahead()

    def purge(self, limit: int = 0) -> int:
        """Drop every message that was never sent, or only the ``limit`` oldest; the number of them."""
        count = 0
        while (not limit or count < limit) and self._drop_oldest(Drop.PURGED, 0.0):
            count += 1
        return count

    # Bookkeeping.

    def _owe(self, size: int) -> None:
        self.owed_bytes += size
        self.limits.owed_bytes += size

    def _forget(self, queued: QueuedMessage) -> None:
        self._owe(-queued.message.size)
        if self.persistent:
            self.limits.store.dequeue(self.client_id, queued.sequence)

    def _drop(self, queued: QueuedMessage, cause: Drop) -> None:
        self._forget(queued)
        self.count_drop(cause)

    def count_drop(self, cause: Drop, count: int = 1) -> None:
        """Note that messages were not delivered, for the broker and for this client."""
        self.limits.dropped[cause] += count
        if self.dropped is None:
            self.dropped = {}
        self.dropped[cause] = self.dropped.get(cause, 0) + count
        drops = self.limits.drops
        if drops is not None:
            by_cause = drops.setdefault(self, {})
            by_cause[cause] = by_cause.get(cause, 0) + count


_OFFLINE = Wire(False)
