"""Events over HTTP: the stream of them, and those that are remembered."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from mqttbroker.admin import feed
from mqttbroker.admin.feed import Feed
from mqttbroker.admin.login import IDLE
from mqttbroker.admin.resources import events
from mqttbroker.admin.resources.events import EventStream
from mqttbroker.broker import Action, Decision, Identity
from mqttbroker.protocol import Properties
from tests.admin.console import TIMEOUT, Console, console
from tests.support.raw import RawClient

KEPT = Properties(session_expiry_interval=3_600)


def client(somebody: Console) -> RawClient:
    return RawClient(somebody.broker.host, somebody.broker.port)


class Stream:
    """A reader of server-sent events."""

    def __init__(self, response: httpx.Response) -> None:
        self.response: httpx.Response = response
        self._lines = response.aiter_lines()

    async def block(self) -> dict[str, str]:
        """The fields of the next event or comment; nothing at the end of the stream."""
        fields: dict[str, str] = {}
        async with asyncio.timeout(TIMEOUT):
            async for line in self._lines:
                if not line:
                    return fields
                name, _, value = line.partition(": ")
                fields[name] = value
        return fields

    async def event(self) -> dict[str, Any]:
        """The next event, which has the type that its data say."""
        fields = await self.block()
        data: dict[str, Any] = json.loads(fields["data"])
        assert (fields["event"], fields["id"]) == (data["kind"], data["id"])
        return data


@asynccontextmanager
async def stream(somebody: Console, last: str = "", **query: Any) -> AsyncIterator[Stream]:
    """A stream that has begun."""
    headers = {"Last-Event-ID": last} if last else {}
    async with somebody.http.stream("GET", "/api/v1/events", params=query, headers=headers) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        found = Stream(response)
        assert await found.block() == {"retry": "3000"}
        yield found


class DenyAll:
    """An authoriser with one rule."""

    def decide(self, identity: Identity, action: Action, topic: str) -> Decision:
        return Decision(False, f"deny {action} all")


class TestStream:
    async def test_connections_come_and_go(self) -> None:
        async with console() as somebody, stream(somebody) as told, client(somebody) as sensor:
            await sensor.connect("sensor", properties=KEPT)
            event = await told.event()
            assert (event["kind"], event["client"], event["client_id"]) == ("connected", "sensor", "sensor")
            assert event["details"]["address"] == f"127.0.0.1:{sensor.local_port}"
            await sensor.disconnect()
            assert (await told.event())["kind"] == "disconnected"

    async def test_kinds_and_clients(self) -> None:
        async with (
            console() as somebody,
            stream(somebody, kind=["connected", "takeover"], client="b") as told,
            client(somebody) as one,
            client(somebody) as two,
            client(somebody) as three,
        ):
            await one.connect("a")
            await two.connect("b")
            await three.connect("b")
            assert [(await told.event())["kind"] for _ in range(3)] == ["connected", "takeover", "connected"]

    async def test_whoever_comes_again_gets_what_was_missed(self) -> None:
        async with console() as somebody:
            async with stream(somebody) as told, client(somebody) as one:
                await one.connect("one")
                last = (await told.event())["id"]
            async with client(somebody) as two:
                await two.connect("two")
                async with stream(somebody, last=last, kind=["connected"]) as told:
                    assert (await told.event())["client_id"] == "two"

    @pytest.mark.parametrize("last", ["nonsense", "00000000-1", "{run}-99", "{run}-x"])
    async def test_what_is_forgotten_is_told(self, last: str) -> None:
        async with console() as somebody:
            run = (await anything_happened(somebody)).rpartition("-")[0]
            async with stream(somebody, last=last.format(run=run)) as told:
                assert (await told.block())["event"] == "missed"

    async def test_a_sign_of_life(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(events, "QUIET", 0.01)
        async with console() as somebody, stream(somebody) as told:
            assert await told.block() == {"": "nothing"}

    async def test_it_ends_with_the_login(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(events, "QUIET", 0.01)
        async with console() as somebody, stream(somebody) as told:
            assert (await somebody.http.post("/api/v1/logout")).status_code == 204
            async with asyncio.timeout(TIMEOUT):
                while await told.block():
                    pass

    async def test_it_keeps_no_session_alive(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(events, "QUIET", 0.01)
        async with console() as somebody, stream(somebody) as told:
            somebody.broker.advance_clock(IDLE * 0.6)
            for _ in range(5):
                assert await told.block() == {"": "nothing"}
            somebody.broker.advance_clock(IDLE * 0.6)
            async with asyncio.timeout(TIMEOUT):
                while await told.block():
                    pass

    async def test_it_ends_with_the_broker(self) -> None:
        async with console() as somebody, stream(somebody) as told:
            await somebody.broker.stop()
            assert await told.block() == {}

    async def test_a_reader_that_has_left_is_gone(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(feed, "READERS", 1)
        async with console() as somebody:
            async with stream(somebody):
                response = await somebody.http.get("/api/v1/events")
                assert (response.status_code, response.headers["retry-after"]) == (503, "10")
            assert somebody.broker.admin is not None
            async with asyncio.timeout(TIMEOUT):
                while somebody.broker.admin.app.context.feed.readers:
                    await asyncio.sleep(0)
            async with stream(somebody):
                pass


class TestSlowReader:
    async def test_it_is_let_go_of_and_others_go_on(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A reader whose socket takes nothing: what waits for it is bounded, and in the end it is cut off."""
        monkeypatch.setattr(events, "FAREWELL", 0.01)
        told = Feed()
        reader = told.open(lambda event: True)
        stuck = asyncio.Event()
        gone = asyncio.Event()

        async def send(message: Any) -> None:
            if message["type"] == "http.response.body":
                stuck.set()
                await asyncio.Event().wait()

        async def receive() -> dict[str, str]:
            await gone.wait()
            return {"type": "http.disconnect"}

        answer = asyncio.create_task(EventStream(reader, lambda event: b"", [b"x"], lambda: True)({}, receive, send))
        await asyncio.wait_for(stuck.wait(), TIMEOUT)
        before = asyncio.all_tasks()
        for _ in range(feed.WAITING + 1):
            told.tell("connected", "a", 1.0, {})
        await asyncio.wait_for(answer, TIMEOUT)
        assert (reader.overrun, told.readers) == (True, 0)
        assert asyncio.all_tasks() < before

    async def test_one_that_takes_again_is_told(self) -> None:
        told = Feed()
        reader = told.open(lambda event: True)
        bodies: list[bytes] = []

        async def send(message: Any) -> None:
            bodies.append(message.get("body", b""))
            if len(bodies) == 1:
                for _ in range(feed.WAITING + 1):
                    told.tell("connected", "a", 1.0, {})

        async def receive() -> dict[str, str]:
            await asyncio.Event().wait()
            raise AssertionError

        await asyncio.wait_for(EventStream(reader, lambda event: b"", [], lambda: True)({}, receive, send), TIMEOUT)
        assert bodies[-1] == b"event: overrun\ndata: {}\n\n"


class TestMemory:
    async def test_the_history_of_a_client(self) -> None:
        async with console() as somebody, client(somebody) as sensor:
            await sensor.connect("sensor", properties=KEPT)
            await sensor.disconnect()
            page = await somebody.get("/api/v1/clients/sensor/history")
            assert [each["kind"] for each in page["items"]] == ["disconnected", "connected"]
            first = await somebody.get("/api/v1/clients/sensor/history", params={"limit": 1})
            rest = await somebody.get("/api/v1/clients/sensor/history", params={"after": first["next"]})
            assert (first["items"] + rest["items"], rest["next"]) == (page["items"], None)
            detail = await somebody.get("/api/v1/clients/sensor")
            assert detail["last_disconnect"] == page["items"][0]

    async def test_refusals_and_the_rule_that_decided(self) -> None:
        async with console() as somebody, client(somebody) as sensor:
            core = somebody.broker.core
            core.authorizer = core.router._authorizer = DenyAll()
            await sensor.connect("sensor")
            await sensor.publish("a/b", b"secret", qos=1)
            page = await somebody.get("/api/v1/events/recent", params={"kind": "refused"})
            (refusal,) = page["items"]
            assert refusal["client_id"] == "sensor"
            assert (refusal["details"]["action"], refusal["details"]["topic"]) == ("publish", "a/b")
            assert refusal["details"]["rule"] == "deny publish all"
            assert "secret" not in json.dumps(page)

    async def test_a_cursor_of_another_run(self) -> None:
        async with console() as somebody:
            response = await somebody.http.get("/api/v1/events/recent?after=00000000-1")
            assert (response.status_code, response.json()["field"]) == (400, "$.after")


async def anything_happened(somebody: Console) -> str:
    """The id of an event."""
    async with client(somebody) as sensor:
        await sensor.connect("anybody")
        page = await somebody.get("/api/v1/events/recent")
        found: str = page["items"][0]["id"]
        return found
