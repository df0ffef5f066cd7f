"""The store that other tests use to decide when a write is durable."""

from __future__ import annotations

import pytest

from mqttbroker.storage import Store, StoreError
from tests.storage.contract import StoreContract, StoreFactory, make_message, make_queued
from tests.storage.deferred import DeferredStore
from tests.storage.model import StoreMachine


class TestDeferredStore(StoreContract):
    @pytest.fixture
    def store_factory(self) -> StoreFactory:
        return DeferredStore

    def settle(self, store: Store) -> None:
        assert isinstance(store, DeferredStore)
        store.commit()

    def test_nothing_is_durable_before_the_commit(self) -> None:
        store = DeferredStore()
        results: list[Exception | None] = []
        store.put_retained(make_message())
        store.when_durable(results.append)
        assert (results, store.settled, store.writes, store.waiting) == ([], False, 1, 1)
        assert list(store.crashed().retained()) == []
        store.commit()
        assert (results, store.settled, store.writes, store.waiting) == ([None], True, 0, 0)
        assert list(store.crashed().retained()) == [make_message()]

    def test_failure_reaches_the_callbacks_and_loses_the_writes(self) -> None:
        store = DeferredStore()
        results: list[Exception | None] = []
        error = StoreError("disk full")
        store.put_retained(make_message("t"))
        store.when_durable(results.append)
        store.fail(error)
        store.put_retained(make_message("u"))
        store.when_durable(results.append)
        store.commit()
        assert results == [error, None]
        assert [message.topic for message in store.crashed().retained()] == ["u"]

    def test_crash_loses_a_mark_that_was_not_committed(self) -> None:
        store = DeferredStore()
        store.put_session("a", None, 0, 0.0)
        queued = make_queued(1)
        store.enqueue("a", queued)
        queued.packet_id = 5  # As a session does before it tells the store.
        store.commit()
        store.mark_sent("a", 1, 5)
        assert store.crashed().read_queue("a", 0, 1)[0].packet_id == 0
        store.commit()
        assert store.crashed().read_queue("a", 0, 1)[0].packet_id == 5

    def test_starts_with_what_a_crash_left(self) -> None:
        store = DeferredStore()
        store.put_session("a", None, 0, 0.0)
        store.enqueue("a", make_queued(1))
        store.dequeue("a", 1)
        store.commit()
        store.put_session("b", None, 0, 0.0)
        again = DeferredStore(store.crashed())
        assert [(session.client_id, session.next_sequence) for session in again.sessions()] == [("a", 2)]

    def test_close(self) -> None:
        store = DeferredStore()
        store.close()
        assert store.closed


class DeferredStoreMachine(StoreMachine):
    def make_store(self) -> Store:
        return DeferredStore()

    def settle(self) -> None:
        assert isinstance(self.store, DeferredStore)
        self.store.commit()


TestDeferredStoreAgainstModel = DeferredStoreMachine.TestCase
