"""Traces over HTTP: packets as they come, and the ways in which a trace ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from mqttbroker.admin.resources import trace
from mqttbroker.protocol import Connect, Properties, ReasonCode, Will
from tests.admin.console import TIMEOUT, Console, console
from tests.support.raw import RawClient

SECRET = "correct horse"


def client(somebody: Console) -> RawClient:
    return RawClient(somebody.broker.host, somebody.broker.port)


class Lines:
    """A reader of the lines of a trace."""

    def __init__(self, response: httpx.Response) -> None:
        self.response: httpx.Response = response
        self.text: str = ""
        self._lines = response.aiter_lines()

    async def next(self) -> dict[str, Any]:
        """The next line; nothing at the end."""
        async with asyncio.timeout(TIMEOUT):
            async for line in self._lines:
                self.text += line
                found: dict[str, Any] = json.loads(line)
                return found
        return {}

    async def until(self, packet: str) -> dict[str, Any]:
        """The next packet of that type."""
        while True:
            found = await self.next()
            assert found, "the trace has ended"
            if found.get("packet") == packet:
                return found

    async def rest(self) -> list[dict[str, Any]]:
        """All that is still to come."""
        found = []
        while line := await self.next():
            found.append(line)
        return found


@asynccontextmanager
async def tracing(somebody: Console, **query: Any) -> AsyncIterator[Lines]:
    """A trace that has begun."""
    query.setdefault("format", "jsonl")
    async with somebody.http.stream("GET", "/api/v1/trace", params=query) as response:
        assert response.status_code == 200, await response.aread()
        lines = Lines(response)
        assert (await lines.next())["kind"] == "begin"
        yield lines


class TestLines:
    async def test_a_client_from_connect_on(self) -> None:
        async with console() as somebody, tracing(somebody, client="sensor") as told, client(somebody) as sensor:
            will = Will("w", b"gone", 1, True)
            properties = Properties(receive_maximum=10, user_properties=(("k", "v"),))
            await sensor.connect("sensor", username="u", password=SECRET.encode(), will=will, properties=properties)
            connect, connack = await told.next(), await told.next()
            assert (connect["kind"], connect["direction"], connect["packet"]) == ("packet", "in", "CONNECT")
            assert (connect["client"], connect["client_id"], connect["version"]) == ("sensor", "sensor", "5.0")
            assert connect["address"] == f"127.0.0.1:{sensor.local_port}"
            assert connect["fields"] == {
                "client_id": "sensor",
                "clean_start": True,
                "keep_alive": connect["fields"]["keep_alive"],
                "username": "u",
                "password": "hidden",
                "will": {
                    "topic": "w",
                    "qos": 1,
                    "retain": True,
                    "payload_size": 4,
                    "payload": {"encoding": "text", "data": "gone", "truncated": False},
                },
                "properties": {"receive_maximum": 10, "user_properties": [["k", "v"]]},
            }
            assert (connack["direction"], connack["packet"]) == ("out", "CONNACK")
            assert connack["fields"]["reason_code"] == {"code": 0, "name": "Success"}
            assert connack["fields"]["session_present"] is False
            await sensor.subscribe("a/#", qos=1)
            subscribe, suback = await told.next(), await told.next()
            (request,) = subscribe["fields"]["subscriptions"]
            assert (request["topic_filter"], request["qos"], request["retain_handling"]) == ("a/#", 1, 0)
            assert suback["fields"]["reason_codes"] == [{"code": 1, "name": "Granted QoS 1"}]
            await sensor.publish("a/b", b"x" * 300, qos=1)
            publish = await told.until("PUBLISH")
            assert (publish["topic"], publish["flags"], publish["error"]) == ("a/b", 2, None)
            assert publish["fields"]["payload"] == {"encoding": "text", "data": "x" * 256, "truncated": True}
            assert (publish["fields"]["payload_size"], publish["fields"]["qos"]) == (300, 1)
            await sensor.disconnect()
            disconnect = await told.until("DISCONNECT")
            assert disconnect["fields"]["reason_code"] == {"code": 0, "name": "Normal disconnection"}
            assert (await told.next())["kind"] == "closed"
            assert SECRET not in told.text

    async def test_a_refused_connect_by_address(self) -> None:
        async with console() as somebody, tracing(somebody, address="127.0.0.0/8") as told, client(somebody) as sensor:
            sensor.send(Connect("a" * 3_000, username="u", password=SECRET.encode()))
            await told.until("CONNECT")
            connack = await told.until("CONNACK")
            assert connack["fields"]["reason_code"] == {
                "code": ReasonCode.CLIENT_IDENTIFIER_NOT_VALID,
                "name": "Client Identifier not valid",
            }
            closed = await told.next()
            assert (closed["kind"], closed["reason"]) == ("closed", "client identifier of 3000 bytes")
            assert SECRET not in told.text

    async def test_a_topic(self) -> None:
        async with console() as somebody, tracing(somebody, topic="a/+", payload=0) as told, client(somebody) as sensor:
            await sensor.connect("sensor")
            await sensor.publish("b", b"1", qos=1)
            await sensor.publish("a/b", b"\xff\xff", qos=1)
            publish, puback = await told.next(), await told.next()
            assert (publish["packet"], publish["topic"]) == ("PUBLISH", "a/b")
            assert publish["fields"]["payload"]["data"] == ""
            assert (puback["packet"], puback["topic"]) == ("PUBACK", "a/b")

    async def test_server_sent_events(self) -> None:
        async with console() as somebody:
            response = await somebody.http.get("/api/v1/trace?client=a&seconds=1")
            assert response.headers["content-type"].startswith("text/event-stream")
            begin, end, rest = response.text.split("\n\n")
            assert begin.startswith("event: begin\ndata: ") and not rest
            event, data = end.split("\n")
            shown = json.loads(data.removeprefix("data: "))
            assert (event, shown["kind"], shown["reason"], shown["packets"]) == ("event: end", "end", "time", 0)

    @pytest.mark.parametrize(("accept", "format"), [("application/x-ndjson", ""), ("*/*", "&format=jsonl")])
    async def test_json_lines(self, accept: str, format: str) -> None:
        async with console() as somebody:
            path = f"/api/v1/trace?client=a&seconds=1&download=1{format}"
            response = await somebody.http.get(path, headers={"Accept": accept})
            assert response.headers["content-type"].startswith("application/x-ndjson")
            assert response.headers["content-disposition"].startswith('attachment; filename="trace-2')
            assert [json.loads(each)["kind"] for each in response.text.splitlines()] == ["begin", "end"]


class TestTheEnd:
    async def test_after_so_many_packets(self) -> None:
        async with console() as somebody, tracing(somebody, client="sensor", packets=2) as told:
            async with client(somebody) as sensor:
                await sensor.connect("sensor")
                await sensor.publish("a", qos=1)
            lines = await told.rest()
            assert [each.get("packet", each["kind"]) for each in lines] == ["CONNECT", "CONNACK", "end"]
            assert lines[-1]["reason"] == "packets"
            assert not somebody.broker.core.tracing.on

    async def test_it_is_listed_and_stopped(self) -> None:
        async with console() as somebody, tracing(somebody, address="192.0.2.1") as told:
            (running,) = (await somebody.get("/api/v1/traces"))["traces"]
            assert (running["who"], running["address"], running["seen"]) == ("admin", "192.0.2.1", 0)
            path = f"/api/v1/traces/{running['number']}"
            assert (await somebody.http.delete(path)).status_code == 204
            assert [(each["kind"], each["reason"]) for each in await told.rest()] == [("end", "stopped")]
            assert (await somebody.http.delete(path)).status_code == 404

    async def test_its_reader_leaves(self) -> None:
        async with console() as somebody:
            tracings = somebody.broker.core.tracing
            async with tracing(somebody, topic="#"):
                assert tracings.traces
            async with asyncio.timeout(TIMEOUT):
                while tracings.traces:
                    await asyncio.sleep(0)
                while not any(event == "trace ended" for _, event, _ in somebody.logged):
                    await asyncio.sleep(0)
            (ended,) = (details for _, event, details in somebody.logged if event == "trace ended")
            assert (ended["who"], ended["reason"]) == ("admin", "disconnected by reader")

    async def test_the_login_ends(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(trace, "QUIET", 0.01)
        async with console() as somebody, tracing(somebody, topic="#") as told:
            assert (await somebody.http.post("/api/v1/logout")).status_code == 204
            assert [each["reason"] for each in await told.rest()] == ["login"]

    async def test_the_broker_stops(self) -> None:
        async with console() as somebody, tracing(somebody, topic="#") as told:
            await somebody.broker.stop()
            assert [each["reason"] for each in await told.rest()] == ["stopped"]

    async def test_a_sign_of_life(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(trace, "QUIET", 0.01)
        async with console() as somebody:
            query = {"topic": "#"}
            async with somebody.http.stream("GET", "/api/v1/trace", params=query) as response:
                async with asyncio.timeout(TIMEOUT):
                    async for line in response.aiter_lines():
                        if line == ": nothing":
                            break


class TestWhatIsRefused:
    @pytest.mark.parametrize(
        ("query", "field"),
        [
            ("", "$.client"),
            ("client=a&topic=b", "$.client"),
            ("client=", "$.client"),
            ("topic=a/%23/b", "$.topic"),
            ("topic=$share/g/a", "$.topic"),
            ("address=home", "$.address"),
            ("client=a&seconds=3601", "$.seconds"),
            ("client=a&packets=0", "$.packets"),
            ("client=a&payload=65537", "$.payload"),
        ],
    )
    async def test_a_query(self, query: str, field: str) -> None:
        async with console() as somebody:
            response = await somebody.http.get(f"/api/v1/trace?{query}")
            assert (response.status_code, response.json()["field"]) == (400, field)
            assert not somebody.broker.core.tracing.on

    async def test_too_many(self) -> None:
        async with console() as somebody:
            streams = [tracing(somebody, topic="#") for _ in range(8)]
            for each in streams:
                await each.__aenter__()
            response = await somebody.http.get("/api/v1/trace?topic=%23")
            assert (response.status_code, response.headers["retry-after"]) == (503, "30")
            for each in streams:
                await each.__aexit__(None, None, None)

    async def test_viewers(self) -> None:
        async with console() as somebody:
            body = {"password": "a password of some length", "role": "viewer"}
            assert (await somebody.http.put("/api/v1/accounts/eve", json=body)).status_code < 300
            await somebody.http.post("/api/v1/logout")
            await somebody.log_in("eve", body["password"])
            for path in ("trace?client=a", "traces"):
                assert (await somebody.http.get(f"/api/v1/{path}")).status_code == 403


async def test_the_audit_log_tells_who_has_traced_whom() -> None:
    async with console() as somebody:
        async with tracing(somebody, client="sensor"):
            pass
        (entry,) = (each for each in (await somebody.get("/api/v1/audit"))["entries"] if each["action"] == "trace")
        assert (entry["who"], entry["request"]["query"]["client"]) == ("admin", "sensor")
