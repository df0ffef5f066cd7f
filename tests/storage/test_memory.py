"""The store in memory."""

from __future__ import annotations

import sys
from dataclasses import FrozenInstanceError

import pytest

from mqttbroker.storage import MemoryStore, Message, QueuedMessage, Store, SubscriptionRecord
from tests.storage.contract import StoreContract, StoreFactory, make_message, make_queued
from tests.storage.model import StoreMachine


class TestMemoryStore(StoreContract):
    @pytest.fixture
    def store_factory(self) -> StoreFactory:
        return MemoryStore

    def test_is_durable_at_once(self, store: Store) -> None:
        store.put_session("a", None, 0, 0.0)
        assert store.settled

    @pytest.mark.parametrize("sequence", [0, 1, 2], ids=["below one", "below", "the same"])
    def test_sequence_number_that_does_not_rise_is_refused(self, store: Store, sequence: int) -> None:
        store.put_session("a", None, 0, 0.0)
        store.enqueue("a", make_queued(2))
        with pytest.raises(ValueError, match=f"sequence number {sequence} is not above 2"):
            store.enqueue("a", make_queued(sequence))

    def test_queue_takes_no_more_memory_than_its_messages(self) -> None:
        """One message is never acknowledged; the places of the many that come and go behind it are not kept."""
        store = MemoryStore()
        store.put_session("a", None, 0, 0.0)
        message = make_message()
        store.enqueue("a", QueuedMessage(1, message, 1))
        for sequence in range(2, 10_000):
            store.enqueue("a", QueuedMessage(sequence, message, 1))
            store.dequeue("a", sequence)
        queue = store._sessions["a"].queue
        assert queue is not None
        assert len(queue) == 1
        assert sys.getsizeof(queue) < 1_024
        store.dequeue("a", 1)
        assert store._sessions["a"].queue is None

    def test_session_lets_go_of_what_it_does_not_use(self) -> None:
        store = MemoryStore()
        store.put_session("a", None, 0, 0.0)
        store.put_incoming("a", 1)
        store.put_subscription("a", SubscriptionRecord("f", 1))
        store.delete_incoming("a", 1)
        store.delete_subscription("a", "f")
        session = store._sessions["a"]
        assert (session.incoming, session.subscriptions, session.queue) == (None, None, None)


class MemoryStoreMachine(StoreMachine):
    def make_store(self) -> Store:
        return MemoryStore()


TestMemoryStoreAgainstModel = MemoryStoreMachine.TestCase


class TestRecords:
    def test_messages_are_equal_by_value(self) -> None:
        assert make_message() == make_message()
        assert hash(make_message()) == hash(make_message())
        assert make_message() != Message("t", b"t", b"payload", 1, origin="somebody")
        assert make_message() != "t"

    def test_queued_messages_are_equal_by_value(self) -> None:
        assert make_queued(1) == make_queued(1)
        assert make_queued(1) != make_queued(2)
        assert make_queued(1) != "t"

    def test_payload_is_not_shown(self) -> None:
        assert repr(make_queued(1, b"secret")) == (
            "QueuedMessage(1, Message('t', 6 bytes, qos=1, retain=False), qos=1, packet_id=0)"
        )

    def test_size_counts_topic_payload_and_properties(self) -> None:
        assert Message("topic", b"topic", b"12", properties=b"3").size == 8

    def test_records_do_not_change(self) -> None:
        with pytest.raises(FrozenInstanceError):
            SubscriptionRecord("f", 1).qos = 2  # type: ignore[misc]
