"""Any store against a model of dictionaries, through random sequences of calls."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from math import inf

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from mqttbroker.storage import Message, QueuedMessage, Store, SubscriptionRecord, WillRecord

__all__ = ["StoreMachine"]

CLIENTS = st.sampled_from(["a", "ab", "a/b", "a/\x00b", "\u00e4"])
TOPICS = st.sampled_from(["t", "t/", "t/u"])
SEQUENCES = st.integers(1, 40)
PACKET_IDS = st.integers(1, 3)
MESSAGES = st.builds(
    lambda topic, payload, expires_at: Message(topic, topic.encode(), payload, 1, expires_at=expires_at),
    TOPICS,
    st.binary(max_size=3),
    st.sampled_from([0.0, 1.5]),
)


@dataclass
class _ModelSession:
    username: str | None = None
    expiry_interval: int = 0
    expires_at: float = 0.0
    listener: str = ""
    subscriptions: dict[str, SubscriptionRecord] = field(default_factory=dict)
    incoming: set[int] = field(default_factory=set)
    will: WillRecord | None = None
    next_sequence: int = 1
    queue: dict[int, QueuedMessage] = field(default_factory=dict)


class StoreMachine(RuleBasedStateMachine):
    """Inherit, and give it a store: ``make_store``, and ``settle`` where it is not durable at once."""

    def make_store(self) -> Store:
        raise NotImplementedError

    def settle(self) -> None:
        """Bring about that what was written is durable and that its callbacks have run."""

    def __init__(self) -> None:
        super().__init__()
        self.store = self.make_store()
        self.sessions: dict[str, _ModelSession] = {}
        self.retained: dict[str, Message] = {}
        self.given = 0
        self.ran: list[int] = []

    def teardown(self) -> None:
        self.store.close()
        assert self.ran == list(range(self.given))

    @rule(
        client_id=CLIENTS,
        username=st.sampled_from([None, "u"]),
        expiry_interval=st.integers(0, 2),
        expires_at=st.sampled_from([0.0, 2.5]),
        listener=st.sampled_from(["", "outer", "inner"]),
    )
    def put_session(
        self, client_id: str, username: str | None, expiry_interval: int, expires_at: float, listener: str
    ) -> None:
        self.store.put_session(client_id, username, expiry_interval, expires_at, listener)
        session = self.sessions.setdefault(client_id, _ModelSession())
        session.username, session.expiry_interval, session.expires_at = username, expiry_interval, expires_at
        session.listener = listener

    @rule(client_id=CLIENTS)
    def delete_session(self, client_id: str) -> None:
        self.store.delete_session(client_id)
        self.sessions.pop(client_id, None)

    @rule(client_id=CLIENTS, topic_filter=TOPICS, qos=st.integers(0, 2))
    def put_subscription(self, client_id: str, topic_filter: str, qos: int) -> None:
        record = SubscriptionRecord(topic_filter, qos)
        self.store.put_subscription(client_id, record)
        if client_id in self.sessions:
            self.sessions[client_id].subscriptions[topic_filter] = record

    @rule(client_id=CLIENTS, topic_filter=TOPICS)
    def delete_subscription(self, client_id: str, topic_filter: str) -> None:
        self.store.delete_subscription(client_id, topic_filter)
        if client_id in self.sessions:
            self.sessions[client_id].subscriptions.pop(topic_filter, None)

    @rule(client_id=CLIENTS, message=MESSAGES, delay=st.integers(0, 1))
    def put_will(self, client_id: str, message: Message, delay: int) -> None:
        self.store.put_will(client_id, WillRecord(message, delay))
        if client_id in self.sessions:
            self.sessions[client_id].will = WillRecord(message, delay)

    @rule(client_id=CLIENTS)
    def delete_will(self, client_id: str) -> None:
        self.store.delete_will(client_id)
        if client_id in self.sessions:
            self.sessions[client_id].will = None

    @rule(client_id=CLIENTS, messages=st.lists(MESSAGES, min_size=1, max_size=12), skipped=st.integers(0, 3))
    def enqueue(self, client_id: str, messages: list[Message], skipped: int) -> None:
        session = self.sessions.get(client_id, _ModelSession())
        for message in messages:
            queued = QueuedMessage(session.next_sequence + skipped, message, 1)
            session.next_sequence = queued.sequence + 1
            session.queue[queued.sequence] = copy.copy(queued)
            self.store.enqueue(client_id, queued)

    @rule(client_id=CLIENTS, sequence=SEQUENCES, packet_id=PACKET_IDS)
    def mark_sent(self, client_id: str, sequence: int, packet_id: int) -> None:
        self.store.mark_sent(client_id, sequence, packet_id)
        if client_id in self.sessions and sequence in self.sessions[client_id].queue:
            self.sessions[client_id].queue[sequence].packet_id = packet_id

    @rule(client_id=CLIENTS, sequence=SEQUENCES)
    def mark_released(self, client_id: str, sequence: int) -> None:
        self.store.mark_released(client_id, sequence)
        if client_id in self.sessions and sequence in self.sessions[client_id].queue:
            self.sessions[client_id].queue[sequence].released = True

    @rule(client_id=CLIENTS, first=SEQUENCES, count=st.integers(1, 40))
    def dequeue(self, client_id: str, first: int, count: int) -> None:
        for sequence in range(first, first + count):
            self.store.dequeue(client_id, sequence)
            if client_id in self.sessions:
                self.sessions[client_id].queue.pop(sequence, None)

    @rule(client_id=CLIENTS, packet_id=PACKET_IDS)
    def put_incoming(self, client_id: str, packet_id: int) -> None:
        self.store.put_incoming(client_id, packet_id)
        if client_id in self.sessions:
            self.sessions[client_id].incoming.add(packet_id)

    @rule(client_id=CLIENTS, packet_id=PACKET_IDS)
    def delete_incoming(self, client_id: str, packet_id: int) -> None:
        self.store.delete_incoming(client_id, packet_id)
        if client_id in self.sessions:
            self.sessions[client_id].incoming.discard(packet_id)

    @rule(message=MESSAGES)
    def put_retained(self, message: Message) -> None:
        self.store.put_retained(message)
        self.retained[message.topic] = message

    @rule(topic=TOPICS)
    def delete_retained(self, topic: str) -> None:
        self.store.delete_retained(topic)
        self.retained.pop(topic, None)

    @rule()
    def wait(self) -> None:
        number = self.given
        self.given += 1

        def run(error: Exception | None) -> None:
            assert error is None
            self.ran.append(number)

        self.store.when_durable(run)

    @rule()
    def become_durable(self) -> None:
        self.settle()
        assert self.store.settled
        assert self.ran == list(range(self.given))

    @rule(client_id=CLIENTS, after=SEQUENCES, limit=st.integers(0, 10), size=st.just(inf) | st.integers(0, 20))
    def read_slice(self, client_id: str, after: int, limit: int, size: float) -> None:
        queue = self.sessions.get(client_id, _ModelSession()).queue
        expected: list[QueuedMessage] = []
        for sequence, queued in queue.items():
            if sequence > after and len(expected) < limit and sum(each.message.size for each in expected) < size:
                expected.append(queued)
        assert self.store.read_queue(client_id, after, limit, size) == expected

    @invariant()
    def sessions_agree(self) -> None:
        found = {record.client_id: record for record in self.store.sessions()}
        assert found.keys() == self.sessions.keys()
        for client_id, session in self.sessions.items():
            record = found[client_id]
            assert record.username == session.username
            assert record.expiry_interval == session.expiry_interval
            assert record.expires_at == session.expires_at
            assert record.listener == session.listener
            assert {it.topic_filter: it for it in record.subscriptions} == session.subscriptions
            assert sorted(record.incoming) == sorted(session.incoming)
            assert record.will == session.will
            assert record.next_sequence == session.next_sequence
            assert record.queued == len(session.queue)
            assert record.queued_bytes == sum(queued.message.size for queued in session.queue.values())
            assert self.store.read_queue(client_id, 0, 10_000) == list(session.queue.values())

    @invariant()
    def retained_messages_agree(self) -> None:
        assert {message.topic: message for message in self.store.retained()} == self.retained
