"""The outbox: one write per turn."""

from __future__ import annotations

from mqttbroker.sessions import NOWHERE, Outbox
from tests.broker.support import MemoryCarrier


class TestOutbox:
    def test_what_was_written_in_one_turn_goes_in_one_piece(self) -> None:
        carrier = MemoryCarrier()
        outbox = Outbox(carrier, [])
        outbox.write(b"ab")
        outbox.write(b"c")
        assert carrier.sent == []
        outbox.flush()
        assert carrier.sent == [b"abc"]

    def test_one_chunk_is_handed_on_as_it_is(self) -> None:
        carrier = MemoryCarrier()
        outbox = Outbox(carrier, [])
        chunk = b"the very object"
        outbox.write(chunk)
        outbox.flush()
        assert carrier.sent[0] is chunk

    def test_it_is_on_the_list_once_while_it_holds_something(self) -> None:
        dirty: list[Outbox] = []
        outbox = Outbox(MemoryCarrier(), dirty)
        outbox.write(b"a")
        outbox.write(b"b")
        assert dirty == [outbox]

    def test_empty_it_hands_on_nothing(self) -> None:
        carrier = MemoryCarrier()
        outbox = Outbox(carrier, [])
        outbox.write(b"a")
        outbox.flush()
        outbox.flush()
        assert carrier.sent == [b"a"]

    def test_without_a_carrier_what_was_written_is_gone(self) -> None:
        outbox = Outbox(None, [])
        outbox.write(b"a")
        outbox.flush()
        assert outbox.chunks == []

    def test_messages_may_not_be_written_until_it_is_opened(self) -> None:
        assert Outbox(MemoryCarrier(), []).open is False
        assert NOWHERE.open is False
