"""Clients and sessions over HTTP: lists, details, and being rid of them."""

from __future__ import annotations

import asyncio
from typing import Any, get_args

import pytest

from mqttbroker.broker import CLIENT_ORDERS, SESSION_ORDERS, ClientOrder, SessionOrder, inspection, showing
from mqttbroker.broker.ordering import Order
from mqttbroker.protocol import Properties, ReasonCode, Will
from tests.admin.console import Console, console
from tests.support.build import pure_only
from tests.support.raw import RawClient

KEPT = Properties(session_expiry_interval=3_600)


async def everything(somebody: Console, path: str, limit: int, **query: Any) -> list[dict[str, Any]]:
    """The items of all pages."""
    items: list[dict[str, Any]] = []
    after: dict[str, str] = {}
    for _ in range(1_000):
        page = await somebody.get(path, params={"limit": limit, **query, **after})
        assert len(page["items"]) <= limit
        items += page["items"]
        if page["next"] is None:
            return items
        after = {"after": page["next"]}
    raise AssertionError("too many pages")


def client(somebody: Console) -> RawClient:
    return RawClient(somebody.broker.host, somebody.broker.port)


class TestClients:
    async def test_nobody(self) -> None:
        async with console() as somebody:
            page = await somebody.get("/api/v1/clients")
            assert page == {"items": [], "next": None, "total": 0, "ordered": True}

    async def test_who_is_connected(self) -> None:
        async with console() as somebody, client(somebody) as sensor:
            await sensor.connect("sensor", keep_alive=30)
            await sensor.subscribe("a/#", "b")
            (found,) = (await somebody.get("/api/v1/clients"))["items"]
            assert (found["id"], found["client_id"], found["mount_point"], found["username"]) == (
                "sensor",
                "sensor",
                "",
                None,
            )
            assert (found["version"], found["keep_alive"], found["subscriptions"]) == ("5.0", 30, 2)
            assert found["address"] == f"127.0.0.1:{sensor.local_port}"

    async def test_pages_search_and_order(self) -> None:
        async with console() as somebody:
            others = [client(somebody) for _ in range(7)]
            for number, other in enumerate(others):
                await other.open()
                await other.connect(f"client-{number}")
            everybody = [f"client-{number}" for number in range(7)]
            for limit in (1, 3, 7, 100):
                found = await everything(somebody, "/api/v1/clients", limit)
                assert [each["client_id"] for each in found] == everybody
            found = await everything(somebody, "/api/v1/clients", 2, search="CLIENT-3")
            assert [each["client_id"] for each in found] == ["client-3"]
            found = await everything(somebody, "/api/v1/clients", 3, sort="connected_at", descending="true")
            assert [each["client_id"] for each in found] == everybody[::-1]
            for other in others:
                await other.close()

    @pytest.mark.parametrize(
        ("query", "field"),
        [("limit=0", "$.limit"), ("limit=1001", "$.limit"), ("sort=age", "$.sort"), ("after=x", "$.after")],
    )
    async def test_what_is_wrong_with_a_query(self, query: str, field: str) -> None:
        async with console() as somebody:
            for path in ("clients", "sessions"):
                response = await somebody.http.get(f"/api/v1/{path}?{query}")
                assert (response.status_code, response.json()["field"]) == (400, field)

    def test_the_orders_are_those_of_the_inspection(self) -> None:
        assert get_args(ClientOrder) == CLIENT_ORDERS
        assert get_args(SessionOrder) == SESSION_ORDERS

    async def test_one(self) -> None:
        async with console() as somebody, client(somebody) as sensor:
            will = Will("gone", b"sensor", properties=Properties(will_delay_interval=5))
            await sensor.connect("a/b c", will=will, properties=KEPT)
            found = await somebody.get("/api/v1/clients/a%2Fb%20c")
            assert found["connection"]["client_id"] == found["session"]["client_id"] == "a/b c"
            assert found["will"] == {
                "topic": "gone",
                "size": 6,
                "qos": 0,
                "retain": False,
                "delay": 5,
                "due_at": None,
            }
            assert found["session"]["expiry_interval"] == 3_600
            await sensor.disconnect(ReasonCode.DISCONNECT_WITH_WILL_MESSAGE)
            found = await somebody.get("/api/v1/clients/a%2Fb%20c")
            assert found["connection"] is None
            assert found["session"]["expires_at"] > 0 and found["will"]["due_at"] > 0

    @pytest.mark.parametrize("client_id", ["..", ".", "base64:", "<img onerror>", "null", "%2F", "a?b#c"])
    async def test_whatever_it_is_called(self, client_id: str) -> None:
        async with console() as somebody, client(somebody) as sensor:
            await sensor.connect(client_id, properties=KEPT)
            await sensor.subscribe("x")
            (found,) = (await somebody.get("/api/v1/clients"))["items"]
            assert found["client_id"] == client_id
            one = await somebody.http.get(somebody.http.base_url.copy_with(raw_path=path(found["id"])))
            assert one.json()["session"]["client_id"] == client_id
            page = await somebody.get("/api/v1/subscriptions", params={"client": found["id"]})
            assert [each["client_id"] for each in page["items"]] == [client_id]

    async def test_nobody_of_that_name(self) -> None:
        async with console() as somebody:
            for where in ("clients/x", "sessions/x", "sessions/x/queue", "clients/base64:_w"):
                assert (await somebody.http.get(f"/api/v1/{where}")).status_code == 404


class TestSessions:
    async def test_with_and_without_a_client(self) -> None:
        async with console() as somebody, client(somebody) as here, client(somebody) as away:
            await here.connect("here")
            await away.connect("away", properties=Properties(session_expiry_interval=0xFFFF_FFFF))
            await away.disconnect()
            found = await everything(somebody, "/api/v1/sessions", 1)
            assert [(each["client_id"], each["connected"], each["expiry_interval"]) for each in found] == [
                ("away", False, None),
                ("here", True, 0),
            ]
            for connected, name in ((True, "here"), (False, "away")):
                found = await everything(somebody, "/api/v1/sessions", 1, connected=str(connected).lower())
                assert [each["client_id"] for each in found] == [name]

    async def test_the_queue(self) -> None:
        async with console() as somebody, client(somebody) as away:
            await away.connect("away", properties=KEPT)
            await away.subscribe("a/#", qos=1)
            await away.disconnect()
            for number in range(5):
                await somebody.broker.publish(f"a/{number}", b"\xff" * 2_000 if number == 4 else f"é{number}", qos=1)
            found = await everything(somebody, "/api/v1/sessions/away/queue", 2)
            assert [each["topic"] for each in found] == [f"a/{number}" for number in range(5)]
            assert found[0]["payload"] == {"encoding": "text", "data": "é0", "truncated": False}
            assert (found[4]["payload"]["encoding"], found[4]["payload"]["truncated"]) == ("base64", True)
            assert (found[0]["packet_id"], found[0]["origin"], found[0]["share"]) == (None, None, None)
            session = await somebody.get("/api/v1/sessions/away")
            assert session["queued"] == 5
            assert session["oldest_at"] == found[0]["came_at"] <= found[4]["came_at"]
            assert session["last_seen"] <= session["oldest_at"]
            owed = (await somebody.get("/api/v1/sessions"))["owed"]
            assert owed == {"sessions": 1, "messages": 5, "bytes": session["owed_bytes"], "longest": 5}

    async def test_when_a_client_was_seen_whose_session_never_ends(self) -> None:
        async with console() as somebody, client(somebody) as away:
            await away.connect("away", properties=Properties(session_expiry_interval=0xFFFF_FFFF))
            here = await somebody.get("/api/v1/sessions/away")
            await away.disconnect()
            gone = await somebody.get("/api/v1/sessions/away")
            assert 0 < here["last_seen"] <= gone["last_seen"]
            assert gone["oldest_at"] is None


class TestManySessions:
    @pure_only
    async def test_a_page_of_a_hundred_thousand_sessions_looks_at_a_bounded_number(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Counted, not timed: names walked over on the way, and sessions that were looked at closely."""
        async with console() as somebody:
            core = somebody.broker.core
            for number in range(100_000):
                core.registry.open(f"session-{number:06}", None, False, 3_600, core.now)
            shown = walked = 0
            summary, walk = showing.session_summary, Order.walk

            def counted_summary(*arguments: Any) -> Any:
                nonlocal shown
                shown += 1
                return summary(*arguments)

            def counted_walk(*arguments: Any) -> Any:
                nonlocal walked
                for each in walk(*arguments):
                    walked += 1
                    yield each

            monkeypatch.setattr(inspection, "session_summary", counted_summary)
            monkeypatch.setattr(Order, "walk", counted_walk)
            page = await somebody.get("/api/v1/sessions", params={"limit": 50})
            assert (len(page["items"]), page["total"], shown) == (50, 100_000, 50)
            assert walked <= 51
            later = await somebody.get("/api/v1/sessions", params={"limit": 50, "after": page["next"]})
            assert later["items"][0]["client_id"] == "session-000050" and walked <= 102
            walked = shown = 0
            rare = {"limit": 50, "search": "99999"}
            page = await somebody.get("/api/v1/sessions", params=rare)
            assert page["items"] == [] and page["next"] is not None
            assert walked <= inspection.SCANNED + 1 and shown == 0
            found = await everything(somebody, "/api/v1/sessions", 50, search="99999")
            assert [each["client_id"] for each in found] == ["session-099999"]

    @pytest.mark.parametrize("path", ["sessions?sort=queued", "sessions", "subscriptions"])
    async def test_messages_go_on_while_a_list_is_sorted(self, path: str) -> None:
        """Counted, not timed: a message comes through between two parts of the sorting."""
        async with console() as somebody, client(somebody) as sensor:
            core = somebody.broker.core
            for number in range(100_000):
                core.registry.open(f"session-{number:06}", None, False, 3_600, core.now)
            await sensor.connect("sensor")
            await sensor.subscribe("a")
            asked = asyncio.create_task(somebody.get(f"/api/v1/{path}"))
            sent = 0
            while not asked.done():
                await sensor.publish("a", b"%d" % sent)
                assert (await sensor.expect_publish()).payload == b"%d" % sent
                sent += 1
            assert (await asked)["items"]
            assert sent >= 10

    async def test_messages_go_on_between_the_pages_of_a_search(self) -> None:
        async with console() as somebody, client(somebody) as sensor:
            core = somebody.broker.core
            for number in range(100_000):
                core.registry.open(f"session-{number:06}", None, False, 3_600, core.now)
            await sensor.connect("sensor")
            await sensor.subscribe("a")
            search = asyncio.create_task(everything(somebody, "/api/v1/sessions", 1_000, search="session-09"))
            sent = 0
            while not search.done():
                await sensor.publish("a", b"%d" % sent)
                assert (await sensor.expect_publish()).payload == b"%d" % sent
                sent += 1
            assert len(await search) == 10_000
            assert sent >= 10, "each page is a turn of its own"


def path(*segments: str) -> bytes:
    """The path of a resource, with every byte of each segment percent-encoded."""
    encoded = ["".join(f"%{byte:02X}" for byte in each.encode()) for each in segments]
    return f"/api/v1/clients/{'/'.join(encoded)}".encode()
