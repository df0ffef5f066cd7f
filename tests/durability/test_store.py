"""Faults of the LMDB store that a broker around it would only show by chance."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import lmdb
import pytest

from mqttbroker.storage import Message
from mqttbroker.storage.lmdb import LmdbStore
from mqttbroker.storage.lmdb.environment import Environment, is_full
from mqttbroker.storage.records import QueuedMessage, SubscriptionRecord
from tests.storage.lmdb.support import Harness

Work = Callable[[lmdb.Transaction], None]
PAGE = 4_096


@pytest.fixture
def harness(store: Path) -> Harness:
    return Harness(store)


@pytest.fixture
def opened(harness: Harness) -> Iterator[LmdbStore]:
    opened = harness.open()
    opened.put_session("client", None, 60, 0.0)
    harness.settle(opened)
    yield opened
    opened.close()


def queued(sequence: int) -> QueuedMessage:
    return QueuedMessage(sequence, Message("a", b"a", b"payload", 1), 1)


def test_callbacks_keep_their_order_where_a_batch_has_nothing_to_write(harness: Harness, opened: LmdbStore) -> None:
    """PUBACKs must be sent in the order of the PUBLISHes [MQTT-4.6.0-2]."""
    order: list[int] = []
    opened.enqueue("client", queued(1))
    opened.when_durable(lambda error: order.append(1))
    harness.turn()  # The first batch is being committed.
    opened.enqueue("client", queued(2))
    opened.dequeue("client", 2)
    opened.when_durable(lambda error: order.append(2))
    harness.settle(opened)
    assert order == [1, 2]


def test_a_callback_that_writes_is_no_obstacle(harness: Harness, opened: LmdbStore) -> None:
    order: list[int] = []

    def first(error: Exception | None) -> None:
        order.append(1)
        opened.put_subscription("client", SubscriptionRecord("a", 1))
        opened.when_durable(lambda error: order.append(3))

    opened.enqueue("client", queued(1))
    opened.when_durable(first)
    harness.turn()
    opened.when_durable(lambda error: order.append(2))
    harness.settle(opened)
    assert order == [1, 2, 3]


def test_after_a_failure_to_delete_nothing_is_acknowledged(
    harness: Harness, opened: LmdbStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A queue is deleted when nobody waits; if that cannot be synced, the next commit must not pretend that it can."""
    write = Environment.write
    calls = 0

    def failing(self: Environment, work: Work) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise lmdb.Error("mdb_txn_commit: Input/output error")
        write(self, work)

    monkeypatch.setattr(Environment, "write", failing)
    opened.delete_session("client")
    harness.settle(opened)
    opened._writer.wait()
    opened.put_session("other", None, 60, 0.0)
    told: list[Exception | None] = []
    opened.when_durable(told.append)
    while not told:
        harness.posted.get(timeout=10)()
    assert isinstance(told[0], Exception)


def test_what_counts_as_a_full_disk(tmp_path: Path) -> None:
    assert is_full(lmdb.DiskError("mdb_put: No space left on device"), tmp_path)
    assert not is_full(lmdb.Error("mdb_txn_commit: Input/output error"), tmp_path)
    assert not is_full(lmdb.CorruptedError("mdb_put: MDB_CORRUPTED"), tmp_path)


def test_d10_a_queue_beyond_reading_stops_the_broker(harness: Harness, opened: LmdbStore) -> None:
    """The start does not read queues; who does and finds pages that do not hang together must not call that empty."""
    for number in range(1, 500):
        opened.enqueue("client", QueuedMessage(number, Message("a", b"a", b"payload %05d" % number, 1), 1))
    harness.settle(opened)
    opened.close()
    file = harness.path / "data.mdb"
    data = bytearray(file.read_bytes())
    at = data.find(b"payload 00100")
    while at >= 0:
        data[at // PAGE * PAGE + 10] ^= 3  # A leaf becomes a branch, in every copy of the page.
        at = data.find(b"payload 00100", at + PAGE)
    file.write_bytes(data)
    again = harness.open()
    try:
        assert again.read_queue("client", 0, 1_000) == []
        assert len(harness.failures) == 1
        assert "cannot be read" in str(harness.failures[0])
        assert not again.accepting
        told: list[Exception | None] = []
        again.when_durable(told.append)
        assert isinstance(told[0], Exception)
    finally:
        again.close()
