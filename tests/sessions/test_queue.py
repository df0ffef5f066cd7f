"""The session's queue: limits and policies, expiry, the window that is read ahead, and the end."""

from __future__ import annotations

import pytest

from mqttbroker.protocol import Publish, PubRel
from mqttbroker.sessions import Drop, Session, Subscription
from mqttbroker.storage import MemoryStore, SessionRecord, SubscriptionRecord, WillRecord
from tests.broker.support import START
from tests.sessions.support import Line, make_limits, make_message, make_session

NOW = START
both_kinds = pytest.mark.parametrize("persistent", [False, True], ids=["transient", "persistent"])


def fill(session: Session, count: int, first: int = 0, qos: int = 1) -> None:
    for number in range(first, first + count):
        session.deliver(make_message(number), qos, False, (), NOW)


def stored(session: Session) -> SessionRecord:
    (record,) = session.limits.store.sessions()
    return record


def restored(session: Session, window: int = 100, max_messages: int = 1_000) -> Session:
    """The session after a restart of the broker."""
    return Session.restored(stored(session), make_limits(session.limits.store, max_messages, window=window))


class TestLimits:
    @both_kinds
    def test_drop_oldest(self, persistent: bool) -> None:
        session = make_session(make_limits(max_messages=3), persistent)
        fill(session, 5)
        assert Line(session).payloads() == [b"2", b"3", b"4"]
        assert session.dropped == {Drop.QUEUE_FULL: 2}
        assert session.limits.dropped[Drop.QUEUE_FULL] == 2

    @both_kinds
    def test_drop_newest(self, persistent: bool) -> None:
        session = make_session(make_limits(max_messages=3, drop_oldest=False), persistent)
        fill(session, 5)
        assert Line(session).payloads() == [b"0", b"1", b"2"]
        assert session.dropped == {Drop.QUEUE_FULL: 2}

    def test_bytes(self) -> None:
        size = make_message(b"x" * 10).size
        session = make_session(make_limits(max_bytes=3 * size))
        for number in range(5):
            session.deliver(make_message(str(number).encode() * 10), 1, False, (), NOW)
        assert session.owed_bytes == 3 * size
        assert [each[:1] for each in Line(session).payloads()] == [b"2", b"3", b"4"]

    def test_a_large_message_takes_the_place_of_several(self) -> None:
        session = make_session(make_limits(max_bytes=20))
        fill(session, 5)
        session.deliver(make_message(b"x" * 15), 1, False, (), NOW)
        assert Line(session).payloads() == [b"3", b"4", b"x" * 15]
        assert session.dropped == {Drop.QUEUE_FULL: 3}

    def test_one_that_could_never_fit_costs_the_others_nothing(self) -> None:
        session = make_session(make_limits(max_bytes=20))
        fill(session, 5)
        session.deliver(make_message(b"x" * 20), 1, False, (), NOW)
        assert Line(session).payloads() == [b"0", b"1", b"2", b"3", b"4"]
        assert session.dropped == {Drop.QUEUE_FULL: 1}

    def test_what_is_in_flight_counts_and_is_not_dropped(self) -> None:
        session = make_session(make_limits(max_messages=2))
        line = Line(session, receive_maximum=2)
        fill(session, 3)
        assert line.payloads() == [b"0", b"1"]
        assert session.dropped == {Drop.QUEUE_FULL: 1}
        assert session.load == 2

    def test_an_expired_message_that_makes_room_was_expired(self) -> None:
        session = make_session(make_limits(max_messages=1))
        session.deliver(make_message(0, expires_at=NOW + 1), 1, False, (), NOW)
        session.deliver(make_message(1), 1, False, (), NOW + 1)
        assert session.dropped == {Drop.EXPIRED: 1}

    @pytest.mark.parametrize(("size", "room"), [(10, True), (11, False)], ids=["it fits", "a byte too much"])
    def test_room_in_bytes(self, size: int, room: bool) -> None:
        session = make_session(make_limits(max_bytes=12))
        fill(session, 1)
        assert session.has_room(size) is room

    def test_room_in_messages(self) -> None:
        session = make_session(make_limits(max_messages=2))
        fill(session, 1)
        assert session.has_room(1)
        fill(session, 1)
        assert not session.has_room(1)


class TestExpiry:
    """[MQTT-3.3.2-5]"""

    def test_in_the_queue(self) -> None:
        session = make_session(persistent=True)
        session.deliver(make_message(0, expires_at=NOW + 5), 1, False, (), NOW)
        session.deliver(make_message(1, expires_at=NOW + 6), 1, False, (), NOW)
        line = Line(session, now=NOW + 5)
        assert [(each.payload, each.properties.message_expiry_interval) for each in line.published()] == [(b"1", 1)]
        assert session.dropped == {Drop.EXPIRED: 1}
        assert stored(session).queued == 1

    def test_in_flight_it_is_still_sent_again(self) -> None:
        # Its delivery has begun, so that both sides must bring the hand-shake to its end.
        session = make_session()
        Line(session)
        session.deliver(make_message(0, expires_at=NOW + 5), 2, False, (), NOW)
        session.detach()
        (packet,) = Line(session, now=NOW + 60).published()
        assert (packet.dup, packet.properties.message_expiry_interval) == (True, 0)


class TestAllSessionsTogether:
    def test_one_limit_for_all(self) -> None:
        limits = make_limits()
        size = make_message(0).size
        limits.max_total_bytes = 5 * size
        one, two = make_session(limits, client_id="one"), make_session(limits, client_id="two")
        fill(one, 3)
        fill(two, 3)
        # The third of them had room only in the place of its own first.
        assert (one.load, two.load, limits.owed_bytes) == (3, 2, 5 * size)
        assert two.dropped == {Drop.QUEUE_FULL: 1}
        list(one.leave_undelivered(NOW))
        assert limits.owed_bytes == 2 * size
        fill(two, 3, 3)
        assert (two.load, limits.owed_bytes) == (5, 5 * size)

    def test_counts_what_was_there_at_the_start(self) -> None:
        limits = make_limits()
        session = make_session(limits, persistent=True)
        fill(session, 3)
        (record,) = limits.store.sessions()
        again = make_limits(limits.store)
        assert Session.restored(record, again).owed_bytes == again.owed_bytes == 3 * make_message(0).size

    def test_acknowledging_makes_room(self) -> None:
        limits = make_limits()
        session = make_session(limits)
        line = Line(session)
        fill(session, 3)
        for each in line.published():
            session.acknowledged(each.packet_id or 0, NOW)
        assert limits.owed_bytes == 0


class TestWindow:
    """A long stored queue is in memory only as far as the window."""

    def test_for_an_absent_client_nothing_is_in_memory(self) -> None:
        session = make_session(make_limits(window=3), persistent=True)
        line = Line(session, receive_maximum=2)
        fill(session, 6)
        before = [each.payload for each in line.published()]
        session.detach()
        fill(session, 4, 6)
        assert (session.inflight, session.queue, session.backlog, session.load) == ({}, None, 10, 10)
        line = Line(session, receive_maximum=10)
        again = line.published()
        assert [each.payload for each in again[:2]] == before
        assert [each.dup for each in again] == [True] * 2 + [False] * 8
        assert [each.payload for each in again] == [str(number).encode() for number in range(10)]

    def test_the_rest_stays_in_the_store(self) -> None:
        session = make_session(make_limits(window=3), persistent=True)
        line = Line(session, receive_maximum=2)
        fill(session, 10)
        assert session.queue is not None
        assert (len(session.queue), session.backlog, session.load) == (3, 5, 10)
        seen = []
        while batch := line.published():
            seen += [each.payload for each in batch]
            assert session.queue is not None
            assert len(session.queue) <= 3
            for each in batch:
                session.acknowledged(each.packet_id or 0, NOW)
        assert seen == [str(number).encode() for number in range(10)]
        assert (session.load, session.owed_bytes, stored(session).queued) == (0, 0, 0)

    def test_new_messages_stay_behind_the_old_while_it_drains(self) -> None:
        session = make_session(make_limits(window=2), persistent=True)
        fill(session, 5)
        line = Line(session, receive_maximum=1)
        seen = line.payloads()
        for number in range(5, 9):
            fill(session, 1, number)
            session.acknowledged(next(iter(session.inflight)), NOW)
            seen += line.payloads()
        while session.inflight:
            session.acknowledged(next(iter(session.inflight)), NOW)
            seen += line.payloads()
        assert seen == [str(number).encode() for number in range(9)]

    def test_drop_oldest_reaches_into_the_store(self) -> None:
        session = make_session(make_limits(window=2, max_messages=5), persistent=True)
        fill(session, 12)
        assert session.dropped == {Drop.QUEUE_FULL: 7}
        assert Line(session).payloads() == [str(number).encode() for number in range(7, 12)]

    def test_a_transient_session_has_no_window(self) -> None:
        session = make_session(make_limits(window=2))
        fill(session, 5)
        assert session.backlog == 0
        assert len(Line(session).payloads()) == 5


class TestRestored:
    """The broker starts anew."""

    def test_what_the_store_knows(self) -> None:
        store = MemoryStore()
        store.put_session("client", "user", 100, NOW + 50, "inner")
        store.put_subscription("client", SubscriptionRecord("a/#", 2, True, True, 5))
        store.put_incoming("client", 7)
        will = WillRecord(make_message(), 5, 6, NOW + 9)
        store.put_will("client", will)
        session = Session.restored(next(store.sessions()), make_limits(store))
        assert (session.client_id, session.username, session.persistent) == ("client", "user", True)
        assert session.listener == "inner"
        assert (session.expiry_interval, session.expires_at) == (100, NOW + 50)
        assert [each.record() for each in session.subscriptions.values()] == [
            SubscriptionRecord("a/#", 2, True, True, 5)
        ]
        assert session.subscriptions["a/#"].session is session
        assert (session.incoming, session.will, session.online) == ({7}, will, False)

    @pytest.mark.parametrize("window", [1, 2, 3, 100], ids=str)
    def test_in_flight_first_then_the_queue_then_what_is_new(self, window: int) -> None:
        session = make_session(persistent=True)
        Line(session, receive_maximum=3)
        fill(session, 6, qos=2)
        session.received(2)
        session = restored(session, window)
        fill(session, 1, 6)
        assert session.load == 7
        line = Line(session, receive_maximum=7)
        taken = line.take()
        assert taken[1] == PubRel(2)
        sent = [each for each in taken if isinstance(each, Publish)]
        assert [(each.payload, each.dup) for each in sent] == [
            (b"0", True),
            (b"2", True),
            (b"3", False),
            (b"4", False),
            (b"5", False),
            (b"6", False),
        ]
        assert len({each.packet_id for each in sent} | {2}) == 7

    def test_the_quota_holds_across_the_windows(self) -> None:
        session = make_session(persistent=True)
        Line(session, receive_maximum=4)
        fill(session, 6)
        session = restored(session, window=1)
        line = Line(session, receive_maximum=1)
        seen = []
        while batch := line.published():
            assert len(batch) == 1
            seen.append(batch[0].payload)
            session.acknowledged(batch[0].packet_id or 0, NOW)
        assert seen == [b"0", b"1", b"2", b"3", b"4", b"5"]

    def test_identifiers_in_flight_are_not_given_again(self) -> None:
        session = make_session(persistent=True)
        Line(session, receive_maximum=2)
        fill(session, 2)
        session = restored(session, window=1)
        line = Line(session)
        fill(session, 1, 2)
        packets = line.published()
        assert len({each.packet_id for each in packets}) == 3

    def test_sequence_numbers_go_on(self) -> None:
        session = make_session(persistent=True)
        line = Line(session)
        fill(session, 3)
        for packet in line.published():
            session.acknowledged(packet.packet_id or 0, NOW)
        session = restored(session)
        fill(session, 1, 3)
        assert session.last_sequence == 4
        assert Line(session).payloads() == [b"3"]

    def test_drop_oldest_passes_over_what_is_in_flight(self) -> None:
        session = make_session(persistent=True)
        Line(session, receive_maximum=4)
        fill(session, 6)
        session = restored(session, window=2, max_messages=6)
        fill(session, 1, 6)
        assert session.dropped == {Drop.QUEUE_FULL: 1}
        assert Line(session).payloads() == [b"0", b"1", b"2", b"3", b"5", b"6"]

    def test_a_store_with_less_than_it_said(self) -> None:
        session = make_session(persistent=True)
        fill(session, 2)
        session = restored(session)
        for sequence in (1, 2):
            session.limits.store.dequeue("client", sequence)
        line = Line(session)
        assert line.take() == []
        assert session.backlog == 0


class TestPurge:
    def test_what_was_never_sent_is_dropped(self) -> None:
        session = make_session(make_limits(window=2), persistent=True)
        line = Line(session, receive_maximum=1)
        fill(session, 8)
        assert session.purge() == 7
        assert session.dropped == {Drop.PURGED: 7}
        assert (session.load, stored(session).queued) == (1, 1)
        line.take()
        session.acknowledged(1, NOW)
        assert (line.take(), session.owed_bytes) == ([], 0)

    def test_after_a_restart(self) -> None:
        session = make_session(persistent=True)
        Line(session, receive_maximum=3)
        fill(session, 8)
        session = restored(session, window=1)
        assert session.purge() == 5
        assert [each.payload for each in Line(session).published()] == [b"0", b"1", b"2"]

    def test_nothing_to_purge(self) -> None:
        session = make_session()
        assert session.purge() == 0
        assert session.dropped is None


class TestLeaveUndelivered:
    def test_everything_in_order(self) -> None:
        session = make_session(make_limits(window=2), persistent=True)
        Line(session, receive_maximum=2)
        fill(session, 7)
        session.detach()
        session.subscriptions["$share/g/t"] = Subscription(session, "$share/g/t", 1)
        owed = list(session.leave_undelivered(NOW))
        assert [each.message.payload for each in owed] == [str(number).encode() for number in range(7)]
        assert (session.load, session.owed_bytes) == (0, 0)

    def test_what_nobody_else_can_get_is_not_even_read(self) -> None:
        session = make_session(make_limits(window=2), persistent=True)
        fill(session, 7)
        assert list(session.leave_undelivered(NOW)) == []
        assert session.dropped == {Drop.SESSION_ENDED: 7}
        assert (session.load, session.owed_bytes) == (0, 0)

    def test_without_what_has_expired(self) -> None:
        session = make_session()
        session.deliver(make_message(0, expires_at=NOW + 5), 1, False, (), NOW)
        session.deliver(make_message(1, expires_at=NOW + 6), 1, False, (), NOW)
        assert [each.message.payload for each in session.leave_undelivered(NOW + 5)] == [b"1"]
        assert session.dropped == {Drop.EXPIRED: 1}

    def test_nothing(self) -> None:
        assert list(make_session().leave_undelivered(NOW)) == []
