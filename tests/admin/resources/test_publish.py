"""Publishing over HTTP."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from mqttbroker.broker import Limits
from mqttbroker.protocol import Properties
from mqttbroker.storage import Durable, StoreError, StoreFull
from tests.admin.console import ANYWHERE, TIMEOUT, Console, console
from tests.support.raw import RawClient

URL = "/api/v1/publish"


def client(somebody: Console) -> RawClient:
    return RawClient(somebody.broker.host, somebody.broker.port)


class TestOne:
    @pytest.mark.parametrize(
        ("payload", "encoding", "expected"),
        [
            ("21.5 °C", "text", "21.5 °C".encode()),
            ("/wA=", "base64", b"\xff\x00"),
            ({"t": 21.5}, "json", b'{"t":21.5}'),
        ],
    )
    async def test_it_reaches_clients(self, payload: Any, encoding: str, expected: bytes) -> None:
        async with console() as somebody, client(somebody) as sensor:
            await sensor.connect()
            await sensor.subscribe("a/+", qos=1)
            body = {
                "topic": "a/b",
                "payload": payload,
                "encoding": encoding,
                "qos": 1,
                "properties": {"content_type": "text/plain", "user_properties": [["unit", "C"]]},
            }
            response = await somebody.http.post(URL, json=body)
            assert (response.status_code, response.json()) == (200, {"accepted": True, "receivers": 1, "detail": ""})
            message = await sensor.expect_publish()
            assert (message.topic, message.payload, message.qos) == ("a/b", expected, 1)
            assert message.properties.content_type == "text/plain"
            assert message.properties.user_properties == (("unit", "C"),)

    async def test_nobody_is_there(self) -> None:
        async with console() as somebody:
            response = await somebody.http.post(URL, json={"topic": "a", "payload": "x"})
            assert response.json()["receivers"] == 0

    @pytest.mark.parametrize(
        ("change", "field"),
        [
            ({"topic": "a/#"}, "$.topic"),
            ({"topic": ""}, "$.topic"),
            ({"topic": "$SYS/broker/uptime"}, "$.topic"),
            ({"topic": "a\0b"}, "$.topic"),
            ({"qos": 3}, "$.qos"),
            ({"payload": 5}, "$.payload"),
            ({"payload": "?", "encoding": "base64"}, "$.payload"),
            ({"payload": "x" * 2_000}, "$.payload"),
            ({"properties": {"content_type": "a\0b"}}, "$.properties"),
            ({"properties": {"correlation_data": "?"}}, "$.properties.correlation_data"),
            ({"properties": {"message_expiry_interval": -1}}, "$.properties.message_expiry_interval"),
        ],
    )
    async def test_what_is_wrong(self, change: dict[str, Any], field: str) -> None:
        limits = Limits(max_packet_size=1_024, max_connect_size=1_024)
        async with console(replace(ANYWHERE, limits=limits)) as somebody:
            response = await somebody.http.post(URL, json={"topic": "a", "payload": "x", **change})
            assert (response.status_code, response.json()["field"]) == (400, field)

    async def test_no_room(self) -> None:
        limits = Limits(max_queued_messages=1, queue_policy="refuse", max_retained_messages=1)
        async with console(replace(ANYWHERE, limits=limits)) as somebody, client(somebody) as away:
            await away.connect("away", properties=Properties(session_expiry_interval=60))
            await away.subscribe("a", qos=1)
            await away.disconnect()
            body = {"topic": "a", "payload": "x", "qos": 1}
            assert (await somebody.http.post(URL, json=body)).status_code == 200
            response = await somebody.http.post(URL, json=body)
            assert (response.status_code, response.json()["detail"]) == (409, "the queue of a subscriber is full")
            kept = {"topic": "b", "payload": "x", "retain": True}
            assert (await somebody.http.post(URL, json=kept)).status_code == 200
            response = await somebody.http.post(URL, json={**kept, "topic": "c"})
            assert (response.status_code, response.json()["detail"]) == (409, "too many retained messages")

    async def test_the_audit_log_has_no_payload(self) -> None:
        async with console() as somebody:
            await somebody.http.post(URL, json={"topic": "a/b", "payload": "secret"})
            await somebody.http.post(f"{URL}/batch", json={"messages": [{"topic": "c/d", "payload": "secret"}]})
            audit = (await somebody.http.get("/api/v1/audit")).text
            assert "a/b" in audit and "c/d" in audit and "secret" not in audit

    @pytest.mark.parametrize(("error", "status"), [(None, 200), (StoreFull("full"), 507), (StoreError("broken"), 503)])
    async def test_it_is_stored_when_it_is_answered(
        self, error: Exception | None, status: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with console() as somebody:
            store = somebody.broker.core.store
            waiting: list[Durable] = []
            begun = asyncio.Event()

            def when_durable(store: object, callback: Durable) -> None:
                waiting.append(callback)
                begun.set()

            with monkeypatch.context() as patch:
                patch.setattr(store, "settled", False)
                patch.setattr(type(store), "when_durable", when_durable)
                asked = asyncio.create_task(
                    somebody.http.post(URL, json={"topic": "a", "payload": "x", "retain": True})
                )
                await asyncio.wait_for(begun.wait(), TIMEOUT)
                assert not asked.done()
                waiting.pop()(error)
                assert (await asked).status_code == status


class TestBatch:
    async def test_in_order_with_a_result_for_each(self) -> None:
        limits = Limits(max_retained_messages=1)
        async with console(replace(ANYWHERE, limits=limits)) as somebody, client(somebody) as sensor:
            await sensor.connect()
            await sensor.subscribe("#", qos=1)
            messages = [{"topic": f"a/{number}", "payload": number, "encoding": "json"} for number in range(100)]
            for number in (10, 20):
                messages[number]["retain"] = True
            response = await somebody.http.post(f"{URL}/batch", json={"messages": messages})
            results = response.json()["results"]
            assert [number for number, each in enumerate(results) if not each["accepted"]] == [20]
            for number in range(100):
                if number != 20:
                    assert (await sensor.expect_publish()).topic == f"a/{number}"

    async def test_one_that_cannot_be_a_message_keeps_all_from_being_published(self) -> None:
        async with console() as somebody, client(somebody) as sensor:
            await sensor.connect()
            await sensor.subscribe("#")
            messages = [{"topic": "a"}, {"topic": "b/+"}]
            response = await somebody.http.post(f"{URL}/batch", json={"messages": messages})
            assert (response.status_code, response.json()["field"]) == (400, "$.messages[1].topic")
            await sensor.expect_silence()

    @pytest.mark.parametrize("count", [0, 1_001])
    async def test_how_many(self, count: int) -> None:
        async with console() as somebody:
            response = await somebody.http.post(f"{URL}/batch", json={"messages": [{"topic": "a"}] * count})
            assert (response.status_code, response.json()["field"]) == (400, "$.messages")
