"""Faults of the LMDB store that a broker around it would only show by chance."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import lmdb
import pytest

from mqttbroker.storage import Message
from mqttbroker.storage.lmdb import LmdbStore, codec
from mqttbroker.storage.lmdb.environment import Environment, is_full
from mqttbroker.storage.messages import QueuedMessage
from mqttbroker.storage.records import SubscriptionRecord
from tests.storage.lmdb.support import Harness
from tests.support.build import pure_only

Work = Callable[[lmdb.Transaction], None]


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


def test_d10_a_queue_beyond_reading_stops_the_broker(
    harness: Harness, opened: LmdbStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The start does not read queues; who does and finds pages that do not hang together must not call that empty."""

    def corrupt(*_: object) -> Iterator[tuple[bytes, bytes]]:
        raise lmdb.CorruptedError("mdb_cursor_get: MDB_CORRUPTED: Located page was wrong type")

    with monkeypatch.context() as patched:
        patched.setattr("mqttbroker.storage.lmdb.store.rows", corrupt)
        assert opened.read_queue("client", 0, 1_000) == []
    assert len(harness.failures) == 1
    assert "cannot be read" in str(harness.failures[0])
    assert not opened.accepting
    told: list[Exception | None] = []
    opened.when_durable(told.append)
    assert isinstance(told[0], Exception)


@pure_only
def test_what_is_sent_while_it_is_written_is_not_half_written(
    harness: Harness, opened: LmdbStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those in flight are the first of a queue, at every commit: by that a session knows what to send again, and when.

    A client connects while its queue is on its way to the disk, and the broker dies before the next commit.
    """
    messages = [queued(number) for number in range(1, 4)]
    pack = codec.pack_entry

    def packing(each: QueuedMessage, body: int, packet_id: int, released: bool) -> bytes:
        for number, message in enumerate(messages):
            message.packet_id = number + 1  # As a session does, in another thread.
        return pack(each, body, packet_id, released)

    monkeypatch.setattr(codec, "pack_entry", packing)
    for message in messages:
        opened.enqueue("client", message)
    harness.settle(opened)
    assert [each.packet_id for each in opened.read_queue("client", 0, 10)] == [0, 0, 0]


def test_marks_survive_a_full_disk(harness: Harness, opened: LmdbStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sent in the batch that found no room, and PUBREC in the next: both must be in what is tried again."""
    opened.enqueue("client", queued(1))
    harness.settle(opened)
    write = Environment.write
    full = [lmdb.DiskError("mdb_put: No space left on device")]

    def failing(self: Environment, work: Work) -> None:
        if full:
            raise full.pop()
        write(self, work)

    monkeypatch.setattr(Environment, "write", failing)
    opened.mark_sent("client", 1, 7)
    harness.turn()
    opened.mark_released("client", 1)
    while not any(event.startswith("the disk is full") for _, event, _ in harness.logged):
        harness.posted.get(timeout=10)()
    opened.retry()
    harness.settle(opened)
    assert opened.accepting
    (found,) = opened.read_queue("client", 0, 10)
    assert (found.packet_id, found.released) == (7, True)
