"""What an administrator sees of a core: pages of clients, sessions, subscriptions, queues and retained messages."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import TypeVar

import pytest

from mqttbroker.broker import (
    CLIENT_ORDERS,
    SESSION_ORDERS,
    ClientCertificate,
    ClientSummary,
    Inspection,
    Page,
    QueuedSummary,
    inspection,
    ordering,
)
from mqttbroker.broker import Peer as OtherEnd
from mqttbroker.protocol import Properties, ProtocolVersion, SubscriptionRequest, Will
from mqttbroker.storage import MemoryStore
from tests.broker.support import START, V5, V31, V311, Deny, World

T = TypeVar("T")
FOREVER = 0xFFFF_FFFF


def every_page(ask: Callable[[str | None], Page[T]], most: int = 1_000) -> list[list[T]]:
    """The items of all pages, which must be fewer than ``most``."""
    pages: list[list[T]] = []
    cursor: str | None = None
    while True:
        page = ask(cursor)
        pages.append(page.items)
        cursor = page.next
        if cursor is None:
            return pages
        assert len(pages) < most


def everything(ask: Callable[[str | None], Page[T]]) -> list[T]:
    return [item for page in every_page(ask) for item in page]


@pytest.fixture(name="world")
def _world() -> World:
    return World()


@pytest.fixture(name="look")
def _look(world: World) -> Inspection:
    return Inspection(world.core)


def ids(items: list[ClientSummary]) -> list[str]:
    return [each.client_id for each in items]


class TestClients:
    def test_nobody(self, look: Inspection) -> None:
        page = look.clients()
        assert (page.items, page.next, page.total, page.ordered) == ([], None, 0, True)

    def test_what_is_known_of_a_client(self, world: World, look: Inspection) -> None:
        peer = world.client("a", user="ann", expiry=60, keep_alive=30)
        peer.subscribe("t", qos=1)
        world.now += 5.0
        world.client("b").publish("t", b"12345", qos=1)
        (summary,) = look.clients(search="ANN").items
        received, sent = summary.received_bytes, summary.sent_bytes
        assert received > 0
        assert sent > 0
        assert summary == ClientSummary(
            client_id="a",
            mount_point="",
            username="ann",
            address="192.0.2.1:50001",
            listener="tcp",
            version="5.0",
            connected_at=START,
            last_received=START,
            messages_received=0,
            received_bytes=received,
            sent_bytes=sent,
            keep_alive=30,
            persistent=True,
            subscriptions=1,
            inflight=1,
            queued=0,
            owed_bytes=6,
            dropped=0,
            waiting_bytes=0,
            congested=False,
        )

    @pytest.mark.parametrize("version", [V311, V5])
    def test_what_has_gone_over_its_connection(self, world: World, look: Inspection, version: ProtocolVersion) -> None:
        counters = world.core.counters
        world.client("before").publish("t", b"not its own")
        messages, received, sent = counters.messages_received, counters.bytes_received, counters.bytes_sent
        peer = world.client("a", version=version)
        peer.subscribe("t")
        for qos in (0, 0, 1, 2):
            peer.publish("t", b"twice the same", qos=qos)
        peer.publish("t", retain=True)
        (summary,) = look.clients(search="a").items
        assert summary.messages_received == counters.messages_received - messages == 5
        assert summary.received_bytes == counters.bytes_received - received
        assert summary.sent_bytes == counters.bytes_sent - sent
        assert summary.sent_bytes > 5 * len(b"twice the same")

    def test_only_those_who_are_connected(self, world: World, look: Inspection) -> None:
        world.client("away", expiry=60).lose()
        world.client("here")
        world.opened()
        page = look.clients()
        assert ids(page.items) == ["here"]
        assert page.total == 1

    @pytest.mark.parametrize(("version", "shown"), [(V31, "3.1"), (V311, "3.1.1"), (V5, "5.0")])
    def test_versions(self, world: World, look: Inspection, version: ProtocolVersion, shown: str) -> None:
        world.client("a", version=version)
        assert look.clients().items[0].version == shown

    def test_a_client_that_takes_nothing(self, world: World, look: Inspection) -> None:
        peer = world.client("a")
        peer.subscribe("t")
        peer.congest(7)
        world.client("b").publish("t")
        (summary,) = look.clients(search="a").items
        assert (summary.congested, summary.waiting_bytes, summary.dropped) == (True, 7, 1)

    @pytest.mark.parametrize("limit", [1, 2, 3, 7, 8])
    @pytest.mark.parametrize("descending", [False, True])
    def test_pages(self, world: World, look: Inspection, limit: int, descending: bool) -> None:
        for name in "cagebdf":
            world.client(name)
        pages = every_page(lambda cursor: look.clients(cursor, limit, descending=descending))
        assert [name for page in pages for name in ids(page)] == sorted("abcdefg", reverse=descending)
        assert all(len(page) == limit for page in pages[:-1])

    def test_what_comes_and_goes_between_pages(self, world: World, look: Inspection) -> None:
        peers = {name: world.client(name) for name in "bdfhj"}
        first = look.clients(limit=2)
        peers["d"].lose()
        peers["h"].lose()
        world.client("a")
        world.client("g")
        second = look.clients(first.next, limit=10)
        assert ids(first.items) == ["b", "d"]
        assert ids(second.items) == ["f", "g", "j"]

    @pytest.mark.parametrize("text", ["LAMP", "ünser", "192.0.2.1:50002"])
    def test_search(self, world: World, look: Inspection, text: str) -> None:
        world.client("heater")
        world.client("lamp-1", user="Ünser")
        world.client("door")
        assert ids(look.clients(search=text).items) == ["lamp-1"]

    def test_a_search_looks_at_so_many_for_each_page(
        self, world: World, look: Inspection, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(inspection, "SCANNED", 3)
        for name in "abcdefgh":
            world.client(name)
        pages = every_page(lambda cursor: look.clients(cursor, search="h"))
        assert [ids(page) for page in pages] == [[], [], ["h"]]

    @pytest.mark.parametrize("sort", CLIENT_ORDERS)
    @pytest.mark.parametrize("descending", [False, True])
    @pytest.mark.parametrize("limit", [1, 2, 10])
    def test_orders(self, world: World, look: Inspection, sort: str, descending: bool, limit: int) -> None:
        for number, name in enumerate("dbfaec"):
            world.now += number % 3
            peer = world.client(name, expiry=10)
            peer.subscribe(*[f"{name}/{each}" for each in range(number % 4 + 1)], qos=number % 2)
            peer.carrier.waiting_bytes = number % 3
            for _ in range(number % 2):
                peer.publish("x", b"x" * number)
        publisher = world.client("g", expiry=10)
        for name in "abc":
            publisher.publish(f"{name}/0", qos=1)
        found = everything(lambda cursor: look.clients(cursor, limit, sort=sort, descending=descending))
        assert sorted(ids(found)) == list("abcdefg")
        keys = [(getattr(each, sort), each.client_id) for each in found]
        assert keys == sorted(keys, reverse=descending)

    def test_an_unknown_order(self, look: Inspection) -> None:
        with pytest.raises(ValueError, match=r"sort: expected one of client_id, .*, got 'age'"):
            look.clients(sort="age")

    @pytest.mark.parametrize("limit", [0, -1, 1_001])
    def test_a_limit_out_of_bounds(self, look: Inspection, limit: int) -> None:
        with pytest.raises(ValueError, match="limit: expected 1 to 1000"):
            look.clients(limit=limit)

    @pytest.mark.parametrize(
        "cursor", ["", "x", "!", "é", "bnVsbA", "WyJhIl0", "W251bGwsMSwxXQ", "WyJhIiwxZTQwMCwxXQ", "WyJhIix0cnVlLDFd"]
    )
    def test_a_cursor_that_is_none(self, look: Inspection, cursor: str) -> None:
        with pytest.raises(ValueError, match="cursor: expected one that came with the page before"):
            look.clients(cursor)


class TestLongLists:
    """What is done with lists that are too long to be sorted for each page, here with few names."""

    def test_sorted_once_for_a_while(self, world: World, look: Inspection, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ordering, "FEW", 2)
        monkeypatch.setattr(ordering, "PACE", 1)
        for name in "bdf":
            world.client(name)
        assert ids(look.clients().items) == ["b", "d", "f"]
        world.client("a")
        assert ids(look.clients().items) == ["b", "d", "f"]
        world.advance(3.0)
        assert ids(look.clients().items) == ["a", "b", "d", "f"]

    def test_forgotten_in_the_end(self, world: World, look: Inspection, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ordering, "FEW", 2)
        for name in "bdf":
            world.client(name)
        world.advance(world.core.limits.connect_timeout + 1.0)
        assert not len(world.core.wheel)
        look.clients()
        assert len(world.core.wheel) == 1
        world.advance(2 * ordering.LIFE + 2.0)
        assert not len(world.core.wheel)

    def test_not_sorted_where_there_are_too_many(
        self, world: World, look: Inspection, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(ordering, "SORTED", 2)
        peers = {name: world.client(name) for name in "dbfac"}
        first = look.clients(limit=2, sort="queued", descending=True)
        assert not first.ordered
        peers["d"].lose()
        second = look.clients(first.next, limit=2, sort="queued", descending=True)
        peers["a"].lose()
        third = look.clients(second.next, limit=2, sort="queued", descending=True)
        assert [ids(page.items) for page in (first, second, third)] == [["d", "b"], ["f", "a"], ["c"]]


class TestClient:
    def test_nobody(self, look: Inspection) -> None:
        assert look.client("nobody") is None

    def test_connected(self, world: World, look: Inspection) -> None:
        will = Will("gone", b"bye", 1, True, Properties(will_delay_interval=7))
        properties = Properties(receive_maximum=20, maximum_packet_size=1_000, topic_alias_maximum=5)
        world.client("a", user="ann", expiry=60, will=will, properties=properties)
        detail = look.client("a")
        assert detail is not None
        assert detail.connection == look.clients().items[0]
        assert detail.session == look.sessions().items[0]
        assert detail.session.has_will
        assert detail.will is not None
        assert (detail.will.topic, detail.will.size, detail.will.qos, detail.will.retain) == ("gone", 3, 1, True)
        assert (detail.will.delay, detail.will.due_at) == (7, 0.0)
        assert (detail.receive_maximum, detail.quota) == (20, 20)
        assert (detail.maximum_packet_size, detail.topic_alias_maximum) == (1_000, 5)
        assert (detail.certificate_name, detail.process_id) == ("", None)

    def test_away(self, world: World, look: Inspection) -> None:
        world.client("a", expiry=60).lose()
        detail = look.client("a")
        assert detail is not None
        assert (detail.connection, detail.receive_maximum, detail.quota, detail.refusals) == (None, 0, 0, 0)
        assert (detail.session.connected, detail.session.expires_at) == (False, START + 60)

    def test_what_is_known_of_the_other_end(self, world: World, look: Inspection) -> None:
        peer = world.client("a")
        peer.connection.peer = OtherEnd("unix", ClientCertificate("lamp"), 1000, 1000, 77)
        detail = look.client("a")
        assert detail is not None
        assert (detail.certificate_name, detail.process_id) == ("lamp", 77)

    def test_refusals(self) -> None:
        world = World(authorizer=Deny(("subscribe", "secret")))
        world.client("a").subscribe("secret")
        detail = Inspection(world.core).client("a")
        assert detail is not None
        assert detail.refusals == 1

    def test_below_a_mount_point(self, world: World, look: Inspection) -> None:
        world.client("a", entrance=world.listener("rented", mount_point="tenant/"))
        world.client("a")
        assert [(each.client_id, each.mount_point) for each in look.clients().items] == [("a", ""), ("a", "tenant/")]
        detail = look.client("a", "tenant/")
        assert detail is not None
        assert (detail.session.client_id, detail.session.mount_point) == ("a", "tenant/")
        assert look.client("b", "tenant/") is None


class TestSessions:
    def fill(self, world: World) -> None:
        world.client("here", user="ann")
        world.client("kept", expiry=60)
        world.client("away", user="bob", expiry=60).lose()

    @pytest.mark.parametrize(
        ("connected", "found"),
        [(None, ["away", "here", "kept"]), (True, ["here", "kept"]), (False, ["away"])],
    )
    def test_with_and_without_clients(
        self, world: World, look: Inspection, connected: bool | None, found: list[str]
    ) -> None:
        self.fill(world)
        page = look.sessions(connected=connected)
        assert [each.client_id for each in page.items] == found
        assert page.total == 3

    def test_search(self, world: World, look: Inspection) -> None:
        self.fill(world)
        assert [each.client_id for each in look.sessions(search="BOB").items] == ["away"]

    def test_drops_by_cause(self, world: World, look: Inspection) -> None:
        peer = world.client("a")
        peer.subscribe("t")
        peer.congest()
        world.client("b").publish("t")
        assert look.sessions(search="a").items[0].dropped == {"congested": 1}

    @pytest.mark.parametrize("sort", SESSION_ORDERS)
    def test_orders(self, world: World, look: Inspection, sort: str) -> None:
        for number, name in enumerate("bca"):
            peer = world.client(name, expiry=10 + number)
            peer.subscribe(*"xyz"[number:], qos=1)
            if number:
                peer.lose()
        world.client("p", expiry=FOREVER).publish("z", qos=1)
        found = everything(lambda cursor: look.sessions(cursor, 1, sort=sort))
        assert len(found) == 4
        if sort == "expires_at":
            assert [each.client_id for each in found] == ["c", "a", "b", "p"]
        elif sort == "dropped":
            assert [each.client_id for each in found] == ["a", "b", "c", "p"]
        elif sort == "oldest_at":
            assert [each.client_id for each in found] == ["a", "c", "b", "p"]
        else:
            keys = [(getattr(each, sort), each.client_id) for each in found]
            assert keys == sorted(keys)


class TestQueue:
    @pytest.mark.parametrize("expiry", [0, 60], ids=["in memory", "stored"])
    @pytest.mark.parametrize("limit", [1, 2, 5])
    def test_connected(self, expiry: int, limit: int) -> None:
        world = World(store=MemoryStore())
        look = Inspection(world.core)
        peer = world.client("a", expiry=expiry, properties=Properties(receive_maximum=2))
        peer.subscribe("t", qos=1)
        publisher = world.client("b")
        for number in range(4):
            publisher.publish("t", b"%d" % number * 10, qos=1)

        def ask(cursor: str | None) -> Page[QueuedSummary]:
            page = look.queue("a", after=cursor, limit=limit, preview=3)
            assert page is not None
            assert page.total == 4
            return page

        found = everything(ask)
        assert [each.payload for each in found] == [b"000", b"111", b"222", b"333"]
        assert [each.packet_id for each in found] == [1, 2, 0, 0]
        assert {(each.topic, each.size, each.qos, each.origin) for each in found} == {("t", 11, 1, "b")}

    def test_away(self, world: World, look: Inspection) -> None:
        peer = world.client("a", expiry=60)
        peer.subscribe("$share/g/t", qos=2)
        peer.lose()
        world.client("b").publish("t", qos=2, properties=Properties(message_expiry_interval=9))
        page = look.queue("a")
        assert page is not None
        (owed,) = page.items
        assert (owed.share, owed.expires_at, owed.packet_id, owed.released) == ("$share/g/t", START + 9, 0, False)

    def test_nobody(self, look: Inspection) -> None:
        assert look.queue("nobody") is None


class TestSubscriptions:
    def fill(self, world: World) -> None:
        world.client("b", user="bob").subscribe("x/+", "x/1", "$share/g/x/#", qos=1)
        world.client("a").subscribe("x/1", identifier=7)
        away = world.client("c", expiry=60)
        away.subscribe(SubscriptionRequest("y", 2, no_local=True, retain_as_published=True))
        away.lose()
        world.client("d")

    @pytest.mark.parametrize("limit", [1, 2, 3, 5, 100])
    def test_pages(self, world: World, look: Inspection, limit: int) -> None:
        self.fill(world)
        found = everything(lambda cursor: look.subscriptions(cursor, limit))
        assert [(each.client_id, each.topic_filter) for each in found] == [
            ("a", "x/1"),
            ("b", "$share/g/x/#"),
            ("b", "x/+"),
            ("b", "x/1"),
            ("c", "y"),
        ]

    def test_what_is_known_of_one(self, world: World, look: Inspection) -> None:
        self.fill(world)
        (a, shared, *_, last) = look.subscriptions().items
        assert (a.identifier, a.qos, a.connected, a.share) == (7, 0, True, "")
        assert (shared.share, shared.username, shared.qos) == ("g", "bob", 1)
        assert (last.connected, last.no_local, last.retain_as_published, last.qos) == (False, True, True, 2)

    @pytest.mark.parametrize("limit", [1, 2, 100])
    def test_of_one_client(self, world: World, look: Inspection, limit: int) -> None:
        self.fill(world)
        found = everything(lambda cursor: look.subscriptions(cursor, limit, client_id="b"))
        assert [each.topic_filter for each in found] == ["$share/g/x/#", "x/+", "x/1"]
        assert look.subscriptions(client_id="b").total == 3

    def test_of_nobody(self, look: Inspection) -> None:
        page = look.subscriptions(client_id="nobody")
        assert (page.items, page.next, page.total) == ([], None, 0)

    def test_search(self, world: World, look: Inspection) -> None:
        self.fill(world)
        assert [each.topic_filter for each in look.subscriptions(search="x/1").items] == ["x/1", "x/1"]

    @pytest.mark.parametrize("scanned", [1, 2, 3])
    def test_a_search_looks_at_so_many_for_each_page(
        self, world: World, look: Inspection, monkeypatch: pytest.MonkeyPatch, scanned: int
    ) -> None:
        monkeypatch.setattr(inspection, "SCANNED", scanned)
        self.fill(world)
        pages = every_page(lambda cursor: look.subscriptions(cursor, search="y"))
        assert [each.topic_filter for page in pages for each in page] == ["y"]
        assert len(pages) > 1

    def test_sessions_that_have_none_are_looked_at_too(
        self, world: World, look: Inspection, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(inspection, "SCANNED", 10)
        for number in range(35):
            world.client(f"{number:02}", expiry=60).lose()
        world.client("last").subscribe("x")
        pages = every_page(look.subscriptions)
        assert [each.topic_filter for page in pages for each in page] == ["x"]
        assert len(pages) == 4

    def test_what_comes_and_goes_between_pages(self, world: World, look: Inspection) -> None:
        a, b = world.client("a"), world.client("b")
        a.subscribe("1", "3", "5", "7")
        b.subscribe("1")
        first = look.subscriptions(limit=2)
        a.unsubscribe("3", "7")
        a.subscribe("2", "6")
        second = look.subscriptions(first.next, limit=1)
        a.lose()
        third = look.subscriptions(second.next)
        found = [(each.client_id, each.topic_filter) for page in (first, second, third) for each in page.items]
        assert found == [("a", "1"), ("a", "3"), ("a", "5"), ("b", "1")]


class TestTotals:
    def test_all(self, world: World, look: Inspection) -> None:
        world.opened()
        peer = world.client("a", expiry=60)
        peer.subscribe("x", "$share/g/x", qos=1)
        peer.lose()
        publisher = world.client("b")
        publisher.subscribe("$share/g/x", "y")
        publisher.publish("x", b"123", qos=1, retain=True)
        totals = look.totals()
        assert (totals.connections, totals.clients, totals.sessions) == (2, 1, 2)
        assert (totals.subscriptions, totals.retained, totals.retained_bytes) == (3, 1, 4)
        assert (totals.owed_bytes, totals.cached_topics) == (4, 1)


def test_pages_are_in_order(world: World, look: Inspection) -> None:
    for number in range(2_500):
        world.client(f"{number * 7919 % 2_500:04}")
    found = ids(everything(lambda cursor: look.clients(cursor, 1_000)))
    assert len(found) == 2_500
    assert all(before < after for before, after in pairwise(found))
