"""Topics that are published to now, and the search for those with a retained message."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from mqttbroker.admin import watching
from mqttbroker.admin.resources import events
from mqttbroker.protocol import ReasonCode
from tests.admin.console import TIMEOUT, Console, console
from tests.admin.resources.test_events import Stream, client

Report = dict[str, Any]


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports as soon as there is something."""
    monkeypatch.setattr(watching, "INTERVAL", 0.0)


async def report(stream: Stream) -> Report:
    fields = await stream.block()
    assert fields["event"] == "topics"
    found: Report = json.loads(fields["data"])
    return found


async def gathered(stream: Stream, messages: int) -> tuple[dict[str, Report], int]:
    """What came of topics in as many reports as it takes for so many messages, and how many messages were left out."""
    topics: dict[str, Report] = {}
    left_out = seen = 0
    while seen < messages:
        found = await report(stream)
        left_out += found["left_out"]
        for each in found["items"]:
            before = topics.get(each["topic"], {"messages": 0, "bytes": 0})
            topics[each["topic"]] = {**each, **{key: each[key] + before[key] for key in ("messages", "bytes")}}
        seen = left_out + sum(each["messages"] for each in topics.values())
    return topics, left_out


@asynccontextmanager
async def watch(somebody: Console, **query: str) -> AsyncIterator[Stream]:
    async with somebody.http.stream("GET", "/api/v1/topics/live", params=query) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        stream = Stream(response)
        assert await stream.block() == {"retry": "3000"}
        yield stream


async def nobody_watches(somebody: Console) -> None:
    assert somebody.broker.admin is not None
    async with asyncio.timeout(TIMEOUT):
        while len(somebody.broker.admin.app.context.watches):
            await asyncio.sleep(0)


class TestWatch:
    async def test_counts_and_last_messages(self) -> None:
        async with console() as somebody, watch(somebody) as stream, client(somebody) as sensor:
            await sensor.connect("sensor")
            for value in (b"20.5", b"21"):
                await sensor.publish("home/hall", value, qos=1)
            await sensor.publish("home/door", b"\xff\x00", qos=1, retain=True)
            topics, left_out = await gathered(stream, 3)
            hall, door = topics["home/hall"], topics["home/door"]
            assert left_out == 0
            assert (hall["messages"], hall["bytes"], hall["payload_size"]) == (2, 6, 2)
            assert hall["payload"] == {"encoding": "text", "data": "21", "truncated": False}
            assert (hall["qos"], hall["retain"], hall["origin"]) == (1, False, "sensor")
            assert (door["retain"], door["payload"]["encoding"]) == (True, "base64")

    async def test_what_the_filter_leaves_out(self) -> None:
        async with console() as somebody, watch(somebody, filter="a/+") as stream:
            for topic in ("b", "a/b/c", "a/x"):
                await somebody.broker.publish(topic, b"1")
            topics, _ = await gathered(stream, 1)
            assert list(topics) == ["a/x"]

    async def test_long_payloads(self) -> None:
        payload = "x" * 1_000
        async with console() as somebody, watch(somebody, closely="one") as stream:
            for topic in ("one", "other"):
                await somebody.broker.publish(topic, payload)
            topics, _ = await gathered(stream, 2)
            assert topics["one"]["payload"] == {"encoding": "text", "data": payload, "truncated": False}
            assert topics["other"]["payload"] == {"encoding": "text", "data": "x" * 256, "truncated": True}
            assert topics["other"]["payload_size"] == 1_000

    async def test_the_brokers_own_topics_are_there_when_they_are_asked_for(self) -> None:
        async with console() as somebody, watch(somebody) as all_of_it, watch(somebody, filter="$SYS/#") as own:
            core = somebody.broker.core
            core.show("$SYS/x", b"1", somebody.broker.now())
            await somebody.broker.publish("ordinary", b"1")
            assert list((await gathered(all_of_it, 1))[0]) == ["ordinary"]
            assert "$SYS/x" in (await gathered(own, 1))[0]
            async with watch(somebody, filter="$SYS/#") as later:
                shown = await report(later)
                assert ("$SYS/x", 0) in [(each["topic"], each["messages"]) for each in shown["items"]]

    async def test_one_that_watches_is_no_receiver(self) -> None:
        async with console() as somebody, watch(somebody), client(somebody) as sensor:
            await sensor.connect("sensor")
            answer = await sensor.publish("a", b"1", qos=1)
            assert answer is not None
            assert answer.reason_code == ReasonCode.NO_MATCHING_SUBSCRIBERS
            found = await somebody.get("/api/v1/receivers", params={"topic": "a"})
            assert (found["total"], found["local"]) == (0, 0)
            assert (await somebody.get("/api/v1/subscriptions"))["total"] == 0

    async def test_nothing_is_left_of_it(self) -> None:
        async with console() as somebody:
            async with watch(somebody):
                assert somebody.broker.core.router.route("a").sinks
            await nobody_watches(somebody)
            assert not somebody.broker.core.router.route("a").sinks
            assert len(somebody.broker.core.router) == 0

    async def test_it_ends_with_the_broker(self) -> None:
        async with console() as somebody, watch(somebody) as stream:
            await somebody.broker.stop()
            assert await stream.block() == {}

    async def test_it_ends_with_the_login(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(events, "QUIET", 0.01)
        async with console() as somebody, watch(somebody) as stream:
            assert (await somebody.http.post("/api/v1/logout")).status_code == 204
            async with asyncio.timeout(TIMEOUT):
                while await stream.block():
                    pass


class TestBounds:
    async def test_topics(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(watching, "TOPICS", 2)
        async with console() as somebody, watch(somebody, closely="d") as stream:
            for topic in "abcda":
                await somebody.broker.publish(topic, b"1")
            topics, left_out = await gathered(stream, 5)
            assert {name: each["messages"] for name, each in topics.items()} == {"a": 2, "b": 1, "d": 1}
            assert left_out == 1

    async def test_long_names(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(watching, "ROOM", 10)
        async with console() as somebody, watch(somebody) as stream:
            for topic in ("123456", "1234567", "12"):
                await somebody.broker.publish(topic, b"1")
            topics, left_out = await gathered(stream, 3)
            assert (list(topics), left_out) == (["123456", "12"], 1)

    async def test_quiet_topics_make_room(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(watching, "TOPICS", 1)
        async with console() as somebody, watch(somebody) as stream:
            await somebody.broker.publish("a", b"1")
            assert list((await gathered(stream, 1))[0]) == ["a"]
            somebody.broker.advance_clock(watching.QUIET + 1)
            await somebody.broker.publish("b", b"1")
            assert await gathered(stream, 1) == ({}, 1)
            await somebody.broker.publish("b", b"1")
            assert list((await gathered(stream, 1))[0]) == ["b"]

    async def test_watches(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(watching, "WATCHES", 1)
        async with console() as somebody:
            async with watch(somebody):
                response = await somebody.http.get("/api/v1/topics/live")
                assert (response.status_code, response.headers["retry-after"]) == (503, "10")
            await nobody_watches(somebody)
            async with watch(somebody):
                pass

    async def test_a_slow_reader_gets_coarser_reports(self) -> None:
        """What comes while nobody reads is added up."""
        async with console() as somebody:
            core = somebody.broker.core
            found = watching.Watches().open(core, "#")
            for _ in range(10_000):
                await somebody.broker.publish("a", b"1")
            reports = await found.next(TIMEOUT)
            assert reports is not None
            assert [(each.topic, each.messages) for each in reports[0].items] == [("a", 10_000)]
            found.close()
            assert await found.next(TIMEOUT) is None


class TestSearch:
    async def test_by_filter_and_text(self) -> None:
        async with console() as somebody:
            for topic in ("home/Hall/light", "home/attic", "garden/light"):
                await somebody.broker.publish(topic, b"on", retain=True)
            for query, expected in (
                ({}, ["garden/light", "home/Hall/light", "home/attic"]),
                ({"filter": "home/#"}, ["home/Hall/light", "home/attic"]),
                ({"search": "hall"}, ["home/Hall/light"]),
                ({"filter": "+/light", "search": "x"}, []),
            ):
                found = await somebody.get("/api/v1/retained/topics", params=query)
                assert (sorted(each["topic"] for each in found["items"]), found["more"]) == (expected, False)
            found = await somebody.get("/api/v1/retained/topics", params={"limit": 2})
            assert (len(found["items"]), found["more"]) == (2, True)
            assert found["items"][0]["payload"] == {"encoding": "text", "data": "on", "truncated": False}

    @pytest.mark.parametrize("path", ["retained/topics", "topics/live"])
    @pytest.mark.parametrize("topic_filter", ["a#", "$share/g/a", ""])
    async def test_what_is_wrong(self, path: str, topic_filter: str) -> None:
        async with console() as somebody:
            response = await somebody.http.get(f"/api/v1/{path}", params={"filter": topic_filter})
            assert (response.status_code, response.json()["field"]) == (400, "$.filter")
