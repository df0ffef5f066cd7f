"""The feed of events: what it remembers, whom it tells, and where it stops."""

from __future__ import annotations

import asyncio

import pytest

from mqttbroker.admin.feed import (
    HISTORIES,
    HISTORY,
    HISTORY_EVENTS,
    LONGEST_CLIENT_ID,
    LONGEST_TEXT,
    READERS,
    REFUSALS,
    REMEMBERED,
    WAITING,
    Event,
    Feed,
    TooManyReaders,
)

NOW = 1_700_000_000.0
TIMEOUT = 5.0


def everything(event: Event) -> bool:
    return True


class TestMemory:
    def test_in_order(self) -> None:
        feed = Feed()
        feed.tell("connected", "a", NOW, {"address": "192.0.2.1:5"})
        feed.tell("refused", "a", NOW + 1, {"topic": "t", "rule": "deny all"})
        first, second = feed.since(0)
        assert first == Event(1, "connected", NOW, "a", {"address": "192.0.2.1:5"}, "a")
        assert (second.number, second.kind, second.at) == (2, "refused", NOW + 1)

    def test_by_kind_and_number(self) -> None:
        feed = Feed()
        for kind in ("connected", "refused", "connected", "disconnected"):
            feed.tell(kind, "a", NOW, {})
        assert [each.number for each in feed.recent(frozenset({"connected"}))] == [3, 1]
        assert [each.number for each in feed.recent(frozenset({"connected"}), before=3)] == [1]
        assert [each.number for each in feed.recent(before=3)] == [2, 1]
        assert [each.number for each in feed.since(2)] == [3, 4]

    def test_refusals_are_not_pushed_out_by_others(self) -> None:
        feed = Feed()
        feed.tell("refused", "a", NOW, {"rule": "first"})
        for _ in range(REMEMBERED + 1):
            feed.tell("connected", "b", NOW, {})
        feed.tell("refused", "a", NOW, {"rule": "second"})
        refused = frozenset({"refused"})
        assert [each.details["rule"] for each in feed.recent(refused)] == ["second", "first"]
        assert [each.number for each in feed.recent(refused, before=feed.last)] == [1]

    def test_history_of_one_client(self) -> None:
        feed = Feed()
        feed.tell("connected", "a", NOW, {})
        feed.tell("connected", "b", NOW, {})
        feed.tell("disconnected", "a", NOW, {})
        assert [each.kind for each in feed.history("a")] == ["disconnected", "connected"]
        assert feed.history("nobody") == []

    def test_clients_below_a_mount_point_are_others(self) -> None:
        feed = Feed()
        feed.tell("connected", "a", NOW, {"mount_point": "site/"})
        assert feed.history("a") == []
        (event,) = feed.history("site/\0a")
        assert (event.client_id, event.known) == ("a", "site/\0a")

    def test_nothing_grows_without_bound(self) -> None:
        feed = Feed()
        for number in range(HISTORIES + 10):
            feed.tell("refused", str(number), NOW, {})
        for _ in range(HISTORY + 10):
            feed.tell("connected", "busy", NOW, {})
        assert len(list(feed.recent())) == REMEMBERED
        assert len(list(feed.recent(frozenset({"refused"})))) == REFUSALS
        assert len(feed.history("busy")) == HISTORY
        assert feed.history("0") == [] and feed.history(str(HISTORIES + 9)) != []

    def test_nor_do_very_many_clients_with_much_to_tell(self) -> None:
        feed = Feed()
        clients = [str(number) for number in range(1_000)]
        for _ in range(HISTORY):
            for client in clients:
                feed.tell("connected", client, NOW, {})
        kept = [len(feed.history(client)) for client in clients]
        assert sum(kept) <= HISTORY_EVENTS < len(clients) * HISTORY
        assert kept[-1] > 0  # Those that were heard of longest ago are forgotten first.

    def test_long_texts_are_cut(self) -> None:
        feed = Feed()
        long = "x" * (LONGEST_CLIENT_ID + 1)
        feed.tell("refused", long, NOW, {"topic": long, "code": 135, "why": ValueError("no")})
        (event,) = feed.recent()
        assert event.client_id.startswith("x" * LONGEST_TEXT) and len(event.client_id) < LONGEST_TEXT + 40
        assert len(str(event.details["topic"])) < LONGEST_TEXT + 40
        assert (event.details["code"], event.details["why"]) == (135, "no")
        assert feed.history(long) == []

    def test_what_comes_with_every_message_is_not_remembered(self) -> None:
        feed = Feed()
        feed.tell("dropped", "a", NOW, {"cause": "queue_full"})
        assert (feed.last, list(feed.recent()), feed.history("a")) == (0, [], [])

    def test_what_was_missed(self) -> None:
        feed = Feed()
        for _ in range(REMEMBERED + 5):
            feed.tell("connected", "a", NOW, {})
        assert feed.missed(4)
        assert not feed.missed(5)
        assert not feed.missed(feed.last)
        assert feed.missed(feed.last + 1), "a number of another life"


class TestReaders:
    async def test_a_reader_gets_what_it_wants(self) -> None:
        feed = Feed()
        reader = feed.open(lambda event: event.known == "a")
        feed.tell("connected", "b", NOW, {})
        feed.tell("connected", "a", NOW, {})
        feed.tell("dropped", "a", NOW, {"cause": "expired"})
        events = await reader.next(TIMEOUT)
        assert [(each.number, each.kind) for each in events or ()] == [(2, "connected"), (3, "dropped")]

    async def test_a_reader_waits(self) -> None:
        feed = Feed()
        reader = feed.open(everything)
        waiting = asyncio.create_task(reader.next(TIMEOUT))
        await asyncio.sleep(0)
        feed.tell("connected", "a", NOW, {})
        events = await waiting
        assert events is not None and len(events) == 1

    async def test_nothing_after_the_time_out(self) -> None:
        assert await Feed().open(everything).next(0.0) == []

    async def test_a_reader_that_does_not_keep_up_is_closed(self) -> None:
        feed = Feed()
        reader, other = feed.open(everything), feed.open(lambda event: False)
        for _ in range(WAITING):
            feed.tell("connected", "a", NOW, {})
        assert not reader.ended.is_set()
        feed.tell("connected", "a", NOW, {})
        assert (reader.ended.is_set(), reader.overrun, feed.readers) == (True, True, 1)
        assert await reader.next(TIMEOUT) is None
        assert not other.ended.is_set()

    async def test_closing_wakes_and_ends_a_reader(self) -> None:
        feed = Feed()
        reader = feed.open(everything)
        waiting = asyncio.create_task(reader.next(TIMEOUT))
        await asyncio.sleep(0)
        feed.close()
        assert await waiting is None
        assert not reader.overrun and feed.readers == 0
        reader.close()

    def test_there_are_only_so_many(self) -> None:
        feed = Feed()
        readers = [feed.open(everything) for _ in range(READERS)]
        with pytest.raises(TooManyReaders):
            feed.open(everything)
        readers[0].close()
        feed.open(everything)
