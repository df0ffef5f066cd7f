"""What any store must pass.

A store's own test file inherits from :class:`StoreContract` and gives it two things: the fixture ``store_factory``,
which returns a callable that makes an empty store, and, unless the store is durable at once, the method ``settle``.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator

import pytest

from mqttbroker.storage import (
    Message,
    QueuedMessage,
    SessionRecord,
    Store,
    SubscriptionRecord,
    WillRecord,
)
from tests.storage.names import AWKWARD_NAMES, LONGEST_NAME

__all__ = ["StoreContract", "StoreFactory", "make_message", "make_queued"]

StoreFactory = Callable[[], Store]


def make_message(topic: str = "t", payload: bytes = b"payload") -> Message:
    return Message(topic, topic.encode(), payload, 1)


def make_queued(sequence: int, payload: bytes = b"payload") -> QueuedMessage:
    return QueuedMessage(sequence, make_message("t", payload), 1)


class StoreContract:
    """Inherit as ``class TestSomeStore(StoreContract)``."""

    @pytest.fixture
    def store_factory(self) -> StoreFactory:
        raise NotImplementedError

    def settle(self, store: Store) -> None:
        """Bring about that what was written is durable and that its callbacks have run."""

    @pytest.fixture
    def store(self, store_factory: StoreFactory) -> Iterator[Store]:
        store = store_factory()
        yield store
        store.close()

    # Durability.

    def test_a_new_store_is_empty_and_settled(self, store: Store) -> None:
        assert list(store.sessions()) == []
        assert list(store.retained()) == []
        assert store.settled

    def test_callback_runs_at_once_where_all_is_durable(self, store: Store) -> None:
        results: list[Exception | None] = []
        store.when_durable(results.append)
        assert results == [None]

    def test_callback_follows_the_write(self, store: Store) -> None:
        results: list[Exception | None] = []
        store.put_session("a", None, 0, 0.0)
        store.when_durable(results.append)
        assert results == [] or store.settled
        self.settle(store)
        assert results == [None]
        assert store.settled

    def test_callbacks_run_once_and_in_their_order(self, store: Store) -> None:
        ran: list[int] = []
        for number in range(20):
            if number % 3 == 0:
                store.put_session(f"client {number}", None, 0, 0.0)
            store.when_durable(lambda error, number=number: ran.append(number))  # type: ignore[misc]
        self.settle(store)
        store.put_session("one more", None, 0, 0.0)
        self.settle(store)
        assert ran == list(range(20))

    def test_callback_given_in_a_callback_runs_after_those_given_before(self, store: Store) -> None:
        given: list[str] = []
        ran: list[str] = []

        def give(name: str, then: Callable[[], None] = lambda: None) -> None:
            given.append(name)

            def run(error: Exception | None) -> None:
                assert error is None
                ran.append(name)
                then()

            store.when_durable(run)

        store.put_session("a", None, 0, 0.0)
        give("first", lambda: give("inner"))
        give("second")
        self.settle(store)
        assert ran == given
        assert len(ran) == 3

    def test_write_in_a_callback_is_waited_for_anew(self, store: Store) -> None:
        ran: list[str] = []

        def first(error: Exception | None) -> None:
            ran.append("first")
            store.put_session("b", None, 0, 0.0)
            store.when_durable(lambda error: ran.append("second"))

        store.put_session("a", None, 0, 0.0)
        store.when_durable(first)
        self.settle(store)
        self.settle(store)
        assert ran == ["first", "second"]
        assert {session.client_id for session in store.sessions()} == {"a", "b"}

    def test_close_runs_the_callbacks_that_wait(self, store_factory: StoreFactory) -> None:
        results: list[Exception | None] = []
        store = store_factory()
        store.put_session("a", None, 0, 0.0)
        store.when_durable(results.append)
        store.close()
        assert results == [None]

    # Sessions.

    def test_session_is_kept(self, store: Store) -> None:
        store.put_session("a", "alice", 4_294_967_295, 1_700_000_000.25)
        assert list(store.sessions()) == [SessionRecord("a", "alice", 4_294_967_295, 1_700_000_000.25)]

    @pytest.mark.parametrize("username", [None, "", "\U0001f600" * 16_383], ids=["absent", "empty", "long"])
    def test_user_name_is_kept(self, store: Store, username: str | None) -> None:
        store.put_session("a", username, 0, 0.0)
        assert _session(store, "a").username == username

    def test_listener_is_that_of_the_last_call(self, store: Store) -> None:
        for listener in ("outer", "gr\u00fcn \U0001f600", "l" * 70_000, ""):
            store.put_session("a", None, 0, 0.0, listener)
            self.settle(store)
            assert list(store.sessions()) == [SessionRecord("a", None, 0, listener=listener)]

    def test_session_is_changed_and_keeps_what_belongs_to_it(self, store: Store) -> None:
        before = _fill(store, "a")
        store.put_session("a", "bob", 7, 12.5, "inner")
        after = _session(store, "a")
        assert (after.username, after.expiry_interval, after.expires_at) == ("bob", 7, 12.5)
        assert after.listener == "inner"
        assert _contents(after) == _contents(before)
        assert [queued.sequence for queued in store.read_queue("a", 0, 10)] == [1, 2]

    def test_deletion_of_a_session_takes_everything_along(self, store: Store) -> None:
        _fill(store, "a")
        store.delete_session("a")
        assert list(store.sessions()) == []
        assert store.read_queue("a", 0, 10) == []
        store.put_session("a", None, 0, 0.0)
        assert list(store.sessions()) == [SessionRecord("a", None, 0)]
        assert store.read_queue("a", 0, 10) == []

    def test_new_session_after_a_deletion_numbers_its_queue_from_one(self, store: Store) -> None:
        _fill(store, "a")
        store.delete_session("a")
        store.put_session("a", None, 0, 0.0)
        store.enqueue("a", make_queued(1, b"new"))
        assert [queued.message.payload for queued in store.read_queue("a", 0, 10)] == [b"new"]
        assert _session(store, "a").next_sequence == 2

    def test_nothing_is_written_for_a_session_that_is_not_there(self, store: Store) -> None:
        _write_everything(store, "a")
        store.mark_sent("a", 1, 1)
        store.mark_released("a", 1)
        assert list(store.sessions()) == []
        assert store.read_queue("a", 0, 10) == []
        store.put_session("a", None, 0, 0.0)
        assert list(store.sessions()) == [SessionRecord("a", None, 0)]
        assert store.read_queue("a", 0, 10) == []

    @pytest.mark.parametrize("present", [False, True], ids=["no session", "empty session"])
    def test_deletion_of_what_is_not_there_is_no_error(self, store: Store, present: bool) -> None:
        if present:
            store.put_session("a", None, 0, 0.0)
        store.delete_subscription("a", "f")
        store.delete_will("a")
        store.dequeue("a", 1)
        store.delete_incoming("a", 1)
        store.delete_retained("t")
        store.mark_sent("a", 1, 1)
        store.mark_released("a", 1)
        store.delete_session("b")
        assert list(store.sessions()) == ([SessionRecord("a", None, 0)] if present else [])

    def test_sessions_may_be_deleted_while_they_are_read(self, store: Store) -> None:
        names = {f"client {number}" for number in range(50)}
        for name in names:
            store.put_session(name, None, 0, 0.0)
        read = []
        for session in store.sessions():
            read.append(session.client_id)
            store.delete_session(session.client_id)
        assert sorted(read) == sorted(names)
        assert list(store.sessions()) == []

    def test_session_that_went_meanwhile_is_not_read(self, store: Store) -> None:
        store.put_session("a", None, 0, 0.0)
        store.put_session("b", None, 0, 0.0)
        read = []
        for session in store.sessions():
            read.append(session.client_id)
            store.delete_session("a")
            store.delete_session("b")
        assert len(read) == 1

    # Isolation.

    def test_awkward_client_identifiers_do_not_mix(self, store: Store) -> None:
        for number, name in enumerate(AWKWARD_NAMES, 1):
            store.put_session(name, f"user {number}", number, 0.0, f"listener {number}")
            store.put_subscription(name, SubscriptionRecord(f"filter {number}", 1))
            store.put_incoming(name, number)
            store.put_will(name, WillRecord(make_message(f"will {number}")))
            for sequence in range(1, number + 1):
                store.enqueue(name, make_queued(sequence, f"{number}:{sequence}".encode()))
        self.settle(store)
        for gone in AWKWARD_NAMES[::2]:
            store.delete_session(gone)
        self.settle(store)
        assert sorted(session.client_id for session in store.sessions()) == sorted(AWKWARD_NAMES[1::2])
        for number, name in enumerate(AWKWARD_NAMES, 1):
            queue = [queued.message.payload for queued in store.read_queue(name, 0, 1_000)]
            if number % 2:
                assert queue == []
                continue
            assert queue == [f"{number}:{sequence}".encode() for sequence in range(1, number + 1)]
            session = _session(store, name)
            assert (session.username, session.listener) == (f"user {number}", f"listener {number}")
            assert session.subscriptions == (SubscriptionRecord(f"filter {number}", 1),)
            assert session.incoming == (number,)
            assert session.will == WillRecord(make_message(f"will {number}"))
            assert session.queued == number

    @pytest.mark.parametrize("name", [*AWKWARD_NAMES, LONGEST_NAME], ids=lambda name: ascii(name[:8]) + str(len(name)))
    def test_awkward_publishers_are_kept(self, store: Store, name: str) -> None:
        """As the origin of a message in one queue, of a message in several, of a will and of a retained message."""
        message, common = (Message("t", b"t", payload, 1, properties=b"p", origin=name) for payload in (b"x", b"y"))
        for client_id in (name, "other"):
            store.put_session(client_id, None, 0, 0.0)
            store.enqueue(client_id, QueuedMessage(1, common, 1))
        store.enqueue(name, QueuedMessage(2, message, 1))
        store.put_will(name, WillRecord(message))
        store.put_retained(message)
        self.settle(store)
        assert [queued.message for queued in store.read_queue(name, 0, 10)] == [common, message]
        assert [queued.message for queued in store.read_queue("other", 0, 10)] == [common]
        assert _session(store, name).will == WillRecord(message)
        assert list(store.retained()) == [message]

    def test_awkward_topic_filters_do_not_mix(self, store: Store) -> None:
        store.put_session("a", None, 0, 0.0)
        for number, name in enumerate(AWKWARD_NAMES):
            store.put_subscription("a", SubscriptionRecord(name, number % 3, identifier=number))
        for gone in AWKWARD_NAMES[::2]:
            store.delete_subscription("a", gone)
        kept = {record.topic_filter: record.identifier for record in _session(store, "a").subscriptions}
        assert kept == {name: number for number, name in enumerate(AWKWARD_NAMES) if number % 2}

    def test_awkward_topics_do_not_mix(self, store: Store) -> None:
        for number, name in enumerate(AWKWARD_NAMES):
            store.put_retained(make_message(name, str(number).encode()))
        for gone in AWKWARD_NAMES[::2]:
            store.delete_retained(gone)
        kept = {message.topic: message.payload for message in store.retained()}
        assert kept == {name: str(number).encode() for number, name in enumerate(AWKWARD_NAMES) if number % 2}

    # Subscriptions and wills.

    def test_subscription_is_kept_with_its_options(self, store: Store) -> None:
        records = (
            SubscriptionRecord("a/+/#", 2, True, True, 268_435_455),
            SubscriptionRecord("$share/group/a", 0, False, True, 1),
            SubscriptionRecord("b", 1, True, False, 0),
        )
        store.put_session("a", None, 0, 0.0)
        for record in records:
            store.put_subscription("a", record)
        assert set(_session(store, "a").subscriptions) == set(records)

    def test_subscription_is_replaced_and_deleted(self, store: Store) -> None:
        store.put_session("a", None, 0, 0.0)
        store.put_subscription("a", SubscriptionRecord("f", 0))
        store.put_subscription("a", SubscriptionRecord("f", 2, True))
        assert _session(store, "a").subscriptions == (SubscriptionRecord("f", 2, True),)
        store.delete_subscription("a", "f")
        assert _session(store, "a").subscriptions == ()

    def test_will_is_kept_replaced_and_deleted(self, store: Store) -> None:
        will = WillRecord(_full_message(), 4_294_967_295, 4_294_967_294, 1_700_000_000.5)
        store.put_session("a", None, 0, 0.0)
        store.put_will("a", WillRecord(make_message()))
        store.put_will("a", will)
        assert _session(store, "a").will == will
        store.delete_will("a")
        assert _session(store, "a").will is None

    # The queue.

    def test_queued_message_is_kept_with_all_its_fields(self, store: Store) -> None:
        queued = QueuedMessage(2**40, _full_message(), 2, True, (1, 268_435_455), 65_535, True, "$share/gr\u00fcn/+/#")
        expected = copy.copy(queued)
        store.put_session("a", None, 0, 0.0)
        store.enqueue("a", queued)
        self.settle(store)
        assert store.read_queue("a", 0, 10) == [expected]
        assert _session(store, "a").next_sequence == 2**40 + 1

    @pytest.mark.parametrize("size", [0, 1, 4_096, 1_048_576], ids=["empty", "one", "page", "MiB"])
    def test_payload_is_kept(self, store: Store, size: int) -> None:
        payload = bytes(range(256)) * (size // 256) if size > 1 else b"\0" * size
        store.put_session("a", None, 0, 0.0)
        store.enqueue("a", make_queued(1, payload))
        store.put_retained(make_message("t", payload))
        self.settle(store)
        assert store.read_queue("a", 0, 1)[0].message.payload == payload
        assert next(iter(store.retained())).payload == payload

    def test_one_message_in_several_queues(self, store: Store) -> None:
        message = _full_message()
        for name in ("a", "b", "c"):
            store.put_session(name, None, 0, 0.0)
            store.enqueue(name, QueuedMessage(1, message, 1))
        store.dequeue("a", 1)
        store.delete_session("b")
        self.settle(store)
        assert [queued.message for queued in store.read_queue("c", 0, 10)] == [message]

    def test_marks_are_kept(self, store: Store) -> None:
        store.put_session("a", None, 0, 0.0)
        for sequence in (1, 2, 3):
            store.enqueue("a", make_queued(sequence))
        store.mark_sent("a", 1, 65_535)
        store.mark_sent("a", 2, 7)
        store.mark_released("a", 1)
        self.settle(store)
        marks = [(queued.packet_id, queued.released) for queued in store.read_queue("a", 0, 10)]
        assert marks == [(65_535, True), (7, False), (0, False)]

    def test_mark_of_a_message_that_left_is_no_error(self, store: Store) -> None:
        store.put_session("a", None, 0, 0.0)
        store.enqueue("a", make_queued(1))
        store.enqueue("a", make_queued(2))
        store.dequeue("a", 1)
        store.dequeue("a", 1)
        store.mark_sent("a", 1, 5)
        store.mark_released("a", 1)
        assert store.read_queue("a", 0, 10) == [make_queued(2)]
        assert _session(store, "a").queued == 1

    def test_slices(self, store: Store) -> None:
        store.put_session("a", None, 0, 0.0)
        sequences = [1, 2, 3, 10, 11, 500, 501, 70_000]
        for sequence in sequences:
            store.enqueue("a", make_queued(sequence))
        for after in (0, 1, 3, 4, 9, 10, 501, 69_999, 70_000, 80_000):
            for limit in (0, 1, 3, 100):
                expected = [sequence for sequence in sequences if sequence > after][:limit]
                assert [queued.sequence for queued in store.read_queue("a", after, limit)] == expected

    @pytest.mark.parametrize("step", [1, 3, 7], ids=["all acknowledged", "a third", "a seventh"])
    def test_reading_in_slices_while_messages_leave_and_come(self, store: Store, step: int) -> None:
        store.put_session("a", None, 0, 0.0)
        for sequence in range(1, 501):
            store.enqueue("a", make_queued(sequence, str(sequence).encode()))
        self.settle(store)
        read: list[int] = []
        newest = 500
        while slice_ := store.read_queue("a", read[-1] if read else 0, 32):
            for queued in slice_:
                assert queued.message.payload == str(queued.sequence).encode()
                read.append(queued.sequence)
                if queued.sequence % step == 0:
                    store.dequeue("a", queued.sequence)
            if newest < 600:
                newest += 1
                store.enqueue("a", make_queued(newest, str(newest).encode()))
        assert read == list(range(1, newest + 1))
        left = [sequence for sequence in read if sequence % step]
        assert [queued.sequence for queued in store.read_queue("a", 0, 1_000)] == left
        assert _session(store, "a").queued == len(left)

    def test_messages_leave_in_any_order(self, store: Store) -> None:
        store.put_session("a", None, 0, 0.0)
        for sequence in range(1, 201):
            store.enqueue("a", make_queued(sequence))
        for sequence in [*range(200, 100, -1), *range(2, 101)]:
            store.dequeue("a", sequence)
        assert [queued.sequence for queued in store.read_queue("a", 0, 10)] == [1]
        store.enqueue("a", make_queued(201))
        assert [queued.sequence for queued in store.read_queue("a", 0, 10)] == [1, 201]

    def test_counts_of_the_queue(self, store: Store) -> None:
        store.put_session("a", None, 0, 0.0)
        assert _counts(store, "a") == (1, 0, 0)
        message = Message("topic", b"topic", b"x" * 100, 1, properties=b"p" * 7)
        for sequence in (1, 2, 5):
            store.enqueue("a", QueuedMessage(sequence, message, 1))
        assert _counts(store, "a") == (6, 3, 3 * 112)
        store.dequeue("a", 2)
        store.dequeue("a", 2)
        store.dequeue("a", 4)
        assert _counts(store, "a") == (6, 2, 2 * 112)

    def test_sequence_numbers_are_not_used_again_after_the_queue_has_emptied(self, store: Store) -> None:
        store.put_session("a", None, 0, 0.0)
        for sequence in (1, 2, 3):
            store.enqueue("a", make_queued(sequence))
        for sequence in (3, 1, 2):
            store.dequeue("a", sequence)
        self.settle(store)
        assert _counts(store, "a") == (4, 0, 0)
        assert store.read_queue("a", 0, 10) == []

    # QoS 2 messages received from the client.

    def test_incoming_packet_identifiers(self, store: Store) -> None:
        store.put_session("a", None, 0, 0.0)
        for packet_id in (65_535, 1, 300, 300):
            store.put_incoming("a", packet_id)
        store.delete_incoming("a", 2)
        assert sorted(_session(store, "a").incoming) == [1, 300, 65_535]
        store.delete_incoming("a", 300)
        store.delete_incoming("a", 300)
        assert sorted(_session(store, "a").incoming) == [1, 65_535]

    # Retained messages.

    def test_retained_message_is_kept_with_all_its_fields(self, store: Store) -> None:
        message = _full_message()
        store.put_retained(message)
        self.settle(store)
        assert list(store.retained()) == [message]

    def test_retained_message_is_replaced_and_deleted(self, store: Store) -> None:
        store.put_retained(make_message("t", b"old"))
        store.put_retained(make_message("u", b"other"))
        store.put_retained(make_message("t", b"new"))
        assert {message.topic: message.payload for message in store.retained()} == {"t": b"new", "u": b"other"}
        store.delete_retained("t")
        assert [message.topic for message in store.retained()] == ["u"]

    def test_retained_messages_may_be_deleted_while_they_are_read(self, store: Store) -> None:
        topics = {f"topic {number}" for number in range(50)}
        for topic in topics:
            store.put_retained(make_message(topic))
        read = []
        for message in store.retained():
            read.append(message.topic)
            store.delete_retained(message.topic)
        assert sorted(read) == sorted(topics)
        assert list(store.retained()) == []


def _full_message() -> Message:
    """A message in which no field has its default."""
    topic = "gr\u00fcn/\U0001f600/"
    return Message(
        topic, topic.encode(), b"\x00\xff\x80", 2, True, b"\x26\x00\x01k\x00\x01v", 1_700_000_000.125, "\u00e9"
    )


def _session(store: Store, client_id: str) -> SessionRecord:
    return next(session for session in store.sessions() if session.client_id == client_id)


def _counts(store: Store, client_id: str) -> tuple[int, int, int]:
    session = _session(store, client_id)
    return session.next_sequence, session.queued, session.queued_bytes


def _contents(session: SessionRecord) -> tuple[object, ...]:
    return session.subscriptions, session.incoming, session.will, session.next_sequence, session.queued


def _write_everything(store: Store, client_id: str) -> None:
    store.put_subscription(client_id, SubscriptionRecord("f", 1))
    store.put_will(client_id, WillRecord(make_message("will")))
    store.put_incoming(client_id, 9)
    store.enqueue(client_id, make_queued(1))
    store.enqueue(client_id, make_queued(2))


def _fill(store: Store, client_id: str) -> SessionRecord:
    """Make a session to which something of each kind belongs."""
    store.put_session(client_id, "alice", 60, 0.0)
    _write_everything(store, client_id)
    return _session(store, client_id)
