"""The session: sending, quota, packet identifiers, acknowledgements."""

from __future__ import annotations

import pytest

from mqttbroker.protocol import Publish, PubRel
from mqttbroker.sessions import Drop
from mqttbroker.storage import MemoryStore
from tests.broker.support import START
from tests.sessions.support import Line, make_limits, make_message, make_session
from tests.storage.deferred import DeferredStore

NOW = START
both_kinds = pytest.mark.parametrize("persistent", [False, True], ids=["transient", "persistent"])


class TestAtMostOnce:
    def test_it_is_written_at_once(self) -> None:
        session = make_session()
        line = Line(session)
        session.deliver(make_message(b"x"), 0, True, (3,), NOW)
        (packet,) = line.published()
        assert (packet.qos, packet.retain, packet.payload, packet.packet_id) == (0, True, b"x", None)
        assert packet.properties.subscription_identifiers == (3,)
        assert session.load == 0

    def test_offline_it_is_nobodys_loss(self) -> None:
        session = make_session()
        session.deliver(make_message(), 0, False, (), NOW)
        assert session.dropped is None

    def test_a_full_socket_drops_it_and_counts(self) -> None:
        session = make_session()
        line = Line(session)
        line.outbox.open = False
        for _ in range(2):
            session.deliver(make_message(), 0, False, (), NOW)
        assert session.dropped == {Drop.CONGESTED: 2}
        assert session.limits.dropped[Drop.CONGESTED] == 2
        assert line.take() == []

    def test_what_is_too_large_for_the_client_is_dropped(self) -> None:
        session = make_session()
        line = Line(session, maximum_packet_size=20)
        session.deliver(make_message(b"x" * 20), 0, False, (), NOW)
        assert line.take() == []
        assert session.dropped == {Drop.TOO_LARGE: 1}

    def test_it_overtakes_what_waits_for_the_quota(self) -> None:
        session = make_session()
        line = Line(session, receive_maximum=1)
        for number in range(2):
            session.deliver(make_message(number), 1, False, (), NOW)
        session.deliver(make_message(b"fast"), 0, False, (), NOW)
        assert line.payloads() == [b"0", b"fast"]


class TestQuota:
    """[MQTT-3.3.4-7] [MQTT-3.3.4-9]"""

    @both_kinds
    def test_no_more_than_receive_maximum_are_unacknowledged(self, persistent: bool) -> None:
        session = make_session(persistent=persistent)
        line = Line(session, receive_maximum=2)
        for number in range(5):
            session.deliver(make_message(number), 1, False, (), NOW)
        assert line.payloads() == [b"0", b"1"]
        session.acknowledged(1, NOW)
        assert line.payloads() == [b"2"]
        session.acknowledged(3, NOW)
        session.acknowledged(2, NOW)
        assert line.payloads() == [b"3", b"4"]
        assert session.load == 2

    @both_kinds
    def test_a_qos_2_message_counts_until_pubcomp(self, persistent: bool) -> None:
        session = make_session(persistent=persistent)
        line = Line(session, receive_maximum=1)
        for number in range(2):
            session.deliver(make_message(number), 2, False, (), NOW)
        assert session.received(1)
        assert line.payloads() == [b"0"]
        session.acknowledged(1, NOW)
        assert line.payloads() == [b"1"]

    def test_an_unknown_acknowledgement_gives_nothing(self) -> None:
        session = make_session()
        line = Line(session, receive_maximum=1)
        session.acknowledged(9, NOW)
        for number in range(2):
            session.deliver(make_message(number), 1, False, (), NOW)
        assert line.payloads() == [b"0"]
        assert session.quota == 0

    def test_the_quota_never_rises_above_its_maximum(self) -> None:
        session = make_session()
        Line(session, receive_maximum=3)
        session.deliver(make_message(), 1, False, (), NOW)
        session.quota = 3
        session.acknowledged(1, NOW)
        assert session.quota == 3

    def test_what_is_too_large_takes_none_of_it(self) -> None:
        session = make_session()
        line = Line(session, receive_maximum=1, maximum_packet_size=20)
        session.deliver(make_message(b"x" * 20), 1, False, (), NOW)
        session.deliver(make_message(b"y"), 1, False, (), NOW)
        assert line.payloads() == [b"y"]
        assert session.dropped == {Drop.TOO_LARGE: 1}
        assert session.owed_bytes == make_message(b"y").size


class TestResumption:
    """[MQTT-4.4.0-1] [MQTT-4.6.0-1]"""

    @both_kinds
    def test_what_was_not_acknowledged_is_sent_again_in_order_with_dup(self, persistent: bool) -> None:
        session = make_session(persistent=persistent)
        first = Line(session)
        for number, qos in enumerate((1, 2, 1)):
            session.deliver(make_message(number), qos, False, (), NOW)
        before = first.published()
        session.detach()
        again = Line(session).published()
        assert [(each.payload, each.qos, each.packet_id, each.dup) for each in again] == [
            (each.payload, each.qos, each.packet_id, True) for each in before
        ]

    def test_what_was_never_sent_has_no_dup(self) -> None:
        session = make_session()
        line = Line(session, receive_maximum=1)
        for number in range(2):
            session.deliver(make_message(number), 1, False, (), NOW)
        line.take()
        session.detach()
        session.deliver(make_message(2), 1, False, (), NOW)
        again = Line(session).published()
        assert [(each.payload, each.dup) for each in again] == [(b"0", True), (b"1", False), (b"2", False)]

    def test_after_pubrec_only_pubrel_is_sent_again(self) -> None:
        session = make_session()
        Line(session)
        for number in range(3):
            session.deliver(make_message(number), 2, False, (), NOW)
        session.received(2)
        session.detach()
        taken = Line(session).take()
        assert [type(each) for each in taken] == [Publish, PubRel, Publish]
        assert taken[1] == PubRel(2)

    def test_the_quota_holds_for_what_is_sent_again(self) -> None:
        session = make_session()
        Line(session)
        for number in range(3):
            session.deliver(make_message(number), 1, False, (), NOW)
        session.detach()
        session.deliver(make_message(3), 1, False, (), NOW)
        line = Line(session, receive_maximum=2)
        assert line.payloads() == [b"0", b"1"]
        session.acknowledged(1, NOW)
        assert line.payloads() == [b"2"]
        session.acknowledged(2, NOW)
        assert line.payloads() == [b"3"]

    def test_pubrel_does_not_wait_for_the_quota_but_takes_its_share(self) -> None:
        session = make_session()
        Line(session)
        for number in range(3):
            session.deliver(make_message(number), 2, False, (), NOW)
            session.received(number + 1)
        session.detach()
        session.deliver(make_message(b"new"), 2, False, (), NOW)
        line = Line(session, receive_maximum=1)
        assert line.take() == [PubRel(1), PubRel(2), PubRel(3)]
        assert session.quota == -2
        for packet_id in (1, 2):
            session.acknowledged(packet_id, NOW)
            assert line.take() == []
        session.acknowledged(3, NOW)
        assert line.payloads() == [b"new"]

    def test_an_acknowledgement_before_the_second_sending_makes_that_needless(self) -> None:
        session = make_session()
        Line(session)
        for number in range(3):
            session.deliver(make_message(number), 1, False, (), NOW)
        session.detach()
        line = Line(session, receive_maximum=1)
        session.acknowledged(2, NOW)
        # Message 2 took nothing of the quota on this connection, so it gives nothing back.
        assert line.payloads() == [b"0"]
        assert session.quota == 0
        session.acknowledged(1, NOW)
        assert line.payloads() == [b"2"]

    def test_pubrec_before_the_second_sending_makes_it_a_pubrel(self) -> None:
        session = make_session()
        Line(session)
        for number in range(2):
            session.deliver(make_message(number), 2, False, (), NOW)
        session.detach()
        line = Line(session, receive_maximum=1)
        line.take()
        assert session.received(2)
        session.acknowledged(1, NOW)
        assert line.take() == [PubRel(2)]
        assert session.quota == 0
        session.acknowledged(2, NOW)
        assert (session.quota, session.load) == (1, 0)

    def test_a_second_pubrec_changes_nothing(self) -> None:
        session = make_session(persistent=True)
        Line(session)
        session.deliver(make_message(), 2, False, (), NOW)
        assert session.received(1)
        assert session.received(1)
        assert not session.received(2)

    def test_the_new_connection_may_take_smaller_packets(self) -> None:
        session = make_session()
        Line(session)
        session.deliver(make_message(b"x" * 50), 1, False, (), NOW)
        session.deliver(make_message(b"y"), 1, False, (), NOW)
        session.detach()
        line = Line(session, receive_maximum=1, maximum_packet_size=30)
        assert line.payloads() == [b"y"]
        assert session.dropped == {Drop.TOO_LARGE: 1}

    def test_detached_it_sends_nothing(self) -> None:
        session = make_session()
        line = Line(session)
        session.detach()
        session.deliver(make_message(), 1, False, (), NOW)
        assert not session.online
        assert line.take() == []
        assert session.load == 1


class TestPacketIdentifiers:
    """[MQTT-2.2.1-4]"""

    def test_after_65535_comes_1(self) -> None:
        session = make_session()
        line = Line(session)
        session.next_packet_id = 65_535
        for number in range(3):
            session.deliver(make_message(number), 1, False, (), NOW)
        assert [each.packet_id for each in line.published()] == [65_535, 1, 2]

    def test_one_in_flight_is_passed_over_also_around_the_end(self) -> None:
        session = make_session()
        line = Line(session)
        for packet_id in (65_534, 65_535, 1):
            session.next_packet_id = packet_id
            session.deliver(make_message(packet_id), 1, False, (), NOW)
        session.next_packet_id = 65_534
        session.deliver(make_message(b"new"), 1, False, (), NOW)
        assert [each.packet_id for each in line.published()] == [65_534, 65_535, 1, 2]

    def test_all_in_use(self) -> None:
        session = make_session(make_limits(max_messages=100_000))
        line = Line(session, receive_maximum=65_535)
        for number in range(65_535):
            session.deliver(make_message(number), 1, False, (), NOW)
        assert len(session.inflight) == 65_535
        line.take()
        session.deliver(make_message(b"waits"), 1, False, (), NOW)
        assert line.take() == []
        session.acknowledged(1_234, NOW)
        (packet,) = line.published()
        assert (packet.packet_id, packet.payload) == (1_234, b"waits")

    def test_early_acknowledgements_cannot_use_up_the_identifiers(self) -> None:
        # Those who acknowledge on a new connection what was not sent on it yet must not gain quota by it: with more
        # in flight than there are identifiers, the search for a free one would never end.
        limits = make_limits(max_messages=200_000, burst=400_000)
        session = make_session(limits)
        Line(session, receive_maximum=65_535)
        for number in range(65_535):
            session.deliver(make_message(number), 1, False, (), NOW)
        session.detach()
        line = Line(session, receive_maximum=65_535)
        sent = len(line.take())
        assert 20_000 < sent < 50_000
        for packet_id in range(sent + 1, 65_536):
            session.acknowledged(packet_id, NOW)
        for number in range(65_535):
            session.deliver(make_message(number), 1, False, (), NOW)
        while limits.unfinished:
            limits.unfinished = {}
            session.pump(NOW)
        assert len(session.inflight) == 65_535
        assert session.quota == 0


class TestDeferredSending:
    """A QoS 2 message of a kept session waits until its packet identifier is on disk."""

    def test_it_is_written_by_the_commit(self) -> None:
        store = DeferredStore()
        session = make_session(make_limits(store), persistent=True)
        line = Line(session)
        for number, qos in enumerate((2, 1, 2)):
            session.deliver(make_message(number), qos, False, (), NOW)
        assert line.payloads() == [b"1"]
        store.commit()
        assert line.payloads() == [b"0", b"2"]

    def test_not_by_a_commit_that_failed(self) -> None:
        store = DeferredStore()
        session = make_session(make_limits(store), persistent=True)
        line = Line(session)
        session.deliver(make_message(), 2, False, (), NOW)
        store.fail(OSError("disk full"))
        assert line.take() == []

    def test_what_such_a_commit_left_goes_on_in_order_when_the_store_has_room(self) -> None:
        store = DeferredStore()
        session = make_session(make_limits(store), persistent=True)
        line = Line(session)
        session.deliver(make_message(0), 2, False, (), NOW)
        store.accepting = False
        store.fail(OSError("disk full"))
        session.deliver(make_message(1), 2, False, (), NOW)
        store.commit()
        session.limits.go_on()
        assert line.take() == []
        store.accepting = True
        session.deliver(make_message(2), 2, False, (), NOW)
        session.limits.go_on()
        store.commit()
        assert sorted(line.payloads()) == [b"0", b"1", b"2"]
        session.limits.go_on()
        assert line.take() == []

    def test_not_on_another_connection(self) -> None:
        store = DeferredStore()
        session = make_session(make_limits(store), persistent=True)
        first = Line(session)
        session.deliver(make_message(), 2, False, (), NOW)
        session.detach()
        second = Line(session)
        store.commit()
        assert first.take() == []
        assert [each.dup for each in second.published()] == [True]

    def test_not_if_it_is_over_meanwhile(self) -> None:
        store = DeferredStore()
        session = make_session(make_limits(store), persistent=True)
        line = Line(session)
        session.deliver(make_message(), 2, False, (), NOW)
        session.acknowledged(1, NOW)
        store.commit()
        assert line.take() == []

    def test_aliases_are_set_in_the_order_of_the_packets(self) -> None:
        store = DeferredStore()
        session = make_session(make_limits(store), persistent=True)
        line = Line(session, alias_maximum=5)
        session.deliver(make_message(0), 2, False, (), NOW)
        session.deliver(make_message(1), 0, False, (), NOW)
        store.commit()
        # The reader would not know an alias that is used before it is set; see the topics.
        assert [(each.payload, each.topic) for each in line.published()] == [(b"1", "t"), (b"0", "")]

    def test_one_that_turns_out_to_be_too_large_makes_room_for_the_next(self) -> None:
        store = DeferredStore()
        session = make_session(make_limits(store), persistent=True)
        line = Line(session, receive_maximum=1, maximum_packet_size=20)
        session.deliver(make_message(b"x" * 20), 2, False, (), NOW)
        session.deliver(make_message(b"y"), 1, False, (), NOW)
        assert line.take() == []
        store.commit()
        assert line.payloads() == [b"y"]
        assert session.dropped == {Drop.TOO_LARGE: 1}

    def test_a_store_that_is_settled_lets_it_go_at_once(self) -> None:
        store = MemoryStore()
        session = make_session(make_limits(store), persistent=True)
        line = Line(session)
        session.deliver(make_message(b"x"), 2, False, (), NOW)
        assert line.payloads() == [b"x"]


class TestTurns:
    """One session writes a burst, then the others have their turn."""

    def test_a_burst_ends_the_turn(self) -> None:
        session = make_session(make_limits(burst=100))
        for number in range(20):
            session.deliver(make_message(bytes([number]) * 20), 1, False, (), NOW)
        line = Line(session, receive_maximum=100)
        sent = len(line.take())
        assert 4 <= sent <= 5
        assert list(session.limits.unfinished) == [session]

    def test_nothing_but_its_turn_makes_it_go_on(self) -> None:
        session = make_session(make_limits(burst=100))
        for number in range(20):
            session.deliver(make_message(bytes([number]) * 20), 1, False, (), NOW)
        line = Line(session, receive_maximum=100)
        line.take()
        session.acknowledged(1, NOW)
        session.deliver(make_message(b"more"), 1, False, (), NOW)
        session.pump(NOW)
        assert line.take() == []
        session.limits.unfinished = {}
        session.pump(NOW)
        assert line.payloads()[0] == bytes([4]) * 20

    def test_a_session_that_went_has_no_turn(self) -> None:
        session = make_session(make_limits(burst=10))
        for number in range(3):
            session.deliver(make_message(number), 1, False, (), NOW)
        Line(session, receive_maximum=100)
        session.detach()
        session.limits.unfinished = {}
        session.pump(NOW)
        assert not session.limits.unfinished

    def test_a_closed_outbox_keeps_everything(self) -> None:
        session = make_session()
        line = Line(session)
        line.outbox.open = False
        session.deliver(make_message(b"x"), 1, False, (), NOW)
        assert line.take() == []
        line.outbox.open = True
        session.pump(NOW)
        assert line.payloads() == [b"x"]
