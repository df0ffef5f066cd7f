"""Retained messages."""

from __future__ import annotations

import pytest

from mqttbroker.broker import Limits
from mqttbroker.broker.retained import RetainedMessages
from mqttbroker.storage import MemoryStore, Message
from tests.broker.support import START


def make_message(topic: str, payload: bytes = b"x", expires_at: float = 0.0) -> Message:
    return Message(topic, topic.encode(), payload, 1, True, expires_at=expires_at)


def make_retained(store: MemoryStore | None = None, limits: Limits | None = None) -> RetainedMessages:
    return RetainedMessages(limits or Limits(), store or MemoryStore())


class TestKeep:
    def test_the_last_one_stays(self) -> None:
        """[MQTT-3.3.1-5]"""
        store = MemoryStore()
        retained = make_retained(store)
        retained.keep(make_message("t", b"first"))
        last = make_message("t", b"the last")
        retained.keep(last)
        assert retained.get("t", START) is last
        assert (len(retained), retained.size) == (1, last.size)
        assert list(store.retained()) == [last]

    def test_an_empty_payload_removes(self) -> None:
        """[MQTT-3.3.1-6] [MQTT-3.3.1-7]"""
        store = MemoryStore()
        retained = make_retained(store)
        retained.keep(make_message("t"))
        retained.keep(make_message("t", b""))
        retained.keep(make_message("never there", b""))
        assert (len(retained), retained.size, list(store.retained())) == (0, 0, [])

    def test_removing_says_whether_there_was_one(self) -> None:
        retained = make_retained()
        retained.keep(make_message("t"))
        assert retained.remove("t")
        assert not retained.remove("t")

    def test_what_the_store_has_is_there_after_a_restart(self) -> None:
        store = MemoryStore()
        make_retained(store).keep(make_message("a/b"))
        again = make_retained(store)
        assert [message.topic for message in again.match("#", START)] == ["a/b"]
        assert again.size == make_message("a/b").size


class TestFits:
    @pytest.mark.parametrize(
        ("limits", "topic", "payload", "fits"),
        [
            pytest.param(Limits(max_retained_messages=1), "u", b"x", False, id="one too many"),
            pytest.param(Limits(max_retained_messages=2), "u", b"x", True, id="the last one"),
            pytest.param(Limits(max_retained_messages=1), "t", b"y", True, id="in place of another"),
            pytest.param(Limits(max_retained_messages=1), "u", b"", True, id="an empty one takes no room"),
            pytest.param(Limits(max_retained_bytes=4), "u", b"x", True, id="all bytes"),
            pytest.param(Limits(max_retained_bytes=3), "u", b"x", False, id="a byte too much"),
            pytest.param(Limits(max_retained_bytes=3), "t", b"xx", True, id="the bytes of the one before are free"),
        ],
    )
    def test_limits(self, limits: Limits, topic: str, payload: bytes, fits: bool) -> None:
        retained = make_retained(limits=limits)
        retained.keep(make_message("t"))
        assert retained.fits(make_message(topic, payload)) is fits


class TestExpiry:
    """[MQTT-3.3.2-5]"""

    def test_an_expired_message_is_forgotten_when_it_is_asked_for(self) -> None:
        retained = make_retained()
        retained.keep(make_message("t", expires_at=START + 5))
        assert retained.get("t", START + 4.9) is not None
        assert retained.get("t", START + 5) is None
        assert len(retained) == 0

    def test_or_when_it_is_met(self) -> None:
        retained = make_retained()
        for topic, expires_at in (("a", START + 5), ("b", 0.0), ("c", START + 6)):
            retained.keep(make_message(topic, expires_at=expires_at))
        assert {message.topic for message in retained.match("+", START + 5)} == {"b", "c"}
        assert len(retained) == 2

    def test_a_message_that_took_its_place_during_a_long_walk_stays(self) -> None:
        retained = make_retained()
        retained.keep(make_message("a", expires_at=START + 5))
        for number in range(3):
            retained.keep(make_message(f"b{number}"))
        walk = retained.match("+", START + 5)
        next(walk)
        fresh = make_message("a", b"fresh")
        retained.keep(fresh)
        assert len(list(walk)) >= 2
        assert retained.get("a", START + 5) is fresh

    def test_nothing_there(self) -> None:
        assert make_retained().get("t", START) is None
