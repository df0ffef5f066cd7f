"""What an admin does over HTTP to clients, sessions, queues and retained messages."""

from __future__ import annotations

import pytest

from mqttbroker.broker import steering
from mqttbroker.protocol import Disconnect, Properties, ReasonCode
from tests.admin.console import Console, console
from tests.support.raw import RawClient

KEPT = Properties(session_expiry_interval=3_600)


def client(somebody: Console) -> RawClient:
    return RawClient(somebody.broker.host, somebody.broker.port)


async def audited(somebody: Console) -> dict[str, object]:
    """The last entry of the audit log."""
    page = await somebody.get("/api/v1/audit")
    entry: dict[str, object] = page["entries"][0]
    return entry


class TestDisconnect:
    async def test_the_client_is_told_why_and_its_session_stays(self) -> None:
        async with console() as somebody, client(somebody) as sensor:
            await sensor.connect("sensor", properties=KEPT)
            response = await somebody.http.post("/api/v1/clients/sensor/disconnect", json={"reason": "too loud"})
            assert response.status_code == 204
            told = await sensor.expect(Disconnect)
            assert told.reason_code == ReasonCode.ADMINISTRATIVE_ACTION
            assert told.properties.reason_string == "too loud"
            await sensor.expect_closed()
            assert not (await somebody.get("/api/v1/sessions/sensor"))["connected"]
            entry = await audited(somebody)
            assert (entry["action"], entry["who"], entry["status"]) == ("disconnect_client", "admin", 204)
            assert isinstance(entry["before"], dict) and entry["before"]["client_id"] == "sensor"

    async def test_a_client_that_is_away(self) -> None:
        async with console() as somebody, client(somebody) as sensor:
            await sensor.connect("sensor", properties=KEPT)
            await sensor.disconnect()
            assert (await somebody.http.post("/api/v1/clients/sensor/disconnect", json={})).status_code == 404


class TestSessions:
    async def test_the_end_of_one(self) -> None:
        async with console() as somebody, client(somebody) as sensor:
            await sensor.connect("sensor", properties=KEPT)
            await sensor.subscribe("a", qos=1)
            assert (await somebody.http.delete("/api/v1/sessions/sensor")).status_code == 204
            assert isinstance((await sensor.expect_closed())[-1], Disconnect)
            assert (await somebody.http.get("/api/v1/sessions/sensor")).status_code == 404
            assert (await somebody.http.delete("/api/v1/sessions/sensor")).status_code == 404
            assert (await somebody.get("/api/v1/subscriptions"))["items"] == []

    async def test_purging_takes_turns_until_nothing_waits(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(steering, "AT_ONCE", 3)
        async with console() as somebody, client(somebody) as away:
            await away.connect("away", properties=KEPT)
            await away.subscribe("a", qos=1)
            await away.disconnect()
            for _ in range(10):
                await somebody.broker.publish("a", b"x", qos=1)
            response = await somebody.http.post("/api/v1/sessions/away/purge")
            assert response.json() == {"purged": 10}
            found = await somebody.get("/api/v1/sessions/away")
            assert (found["queued"], found["dropped"]) == (0, {"purged": 10})
            entry = await audited(somebody)
            assert (entry["before"], entry["after"]) == ({"queued": 10}, {"purged": 10})
            assert (await somebody.http.post("/api/v1/sessions/nobody/purge")).status_code == 404


class TestRetained:
    async def test_set_see_and_delete(self) -> None:
        async with console() as somebody, client(somebody) as sensor:
            await sensor.connect()
            await sensor.subscribe("a/b")
            where = {"topic": "a/b"}
            body = {"payload": {"t": 21.5}, "encoding": "json", "properties": {"message_expiry_interval": 60}}
            assert (await somebody.http.put("/api/v1/retained", params=where, json=body)).status_code == 204
            assert (await sensor.expect_publish()).payload == b'{"t":21.5}'
            found = await somebody.get("/api/v1/retained", params=where)
            assert found["payload"] == {"encoding": "text", "data": '{"t":21.5}', "truncated": False}
            assert (found["payload_size"], found["origin"]) == (10, None)
            assert 0 < found["properties"]["message_expiry_interval"] <= 60
            assert (await somebody.http.delete("/api/v1/retained", params=where)).status_code == 204
            await sensor.expect_silence()
            assert (await somebody.http.get("/api/v1/retained", params=where)).status_code == 404
            assert (await somebody.http.delete("/api/v1/retained", params=where)).status_code == 404
            assert "21.5" not in (await somebody.http.get("/api/v1/audit")).text

    async def test_properties_of_a_client(self) -> None:
        async with console() as somebody, client(somebody) as sensor:
            await sensor.connect("sensor")
            properties = Properties(
                content_type="image/png",
                payload_format_indicator=1,
                response_topic="r",
                correlation_data=b"\xff",
                user_properties=(("a", "1"),),
            )
            await sensor.publish("p", b"\xff" * 300_000, retain=True, properties=properties)
            found = await somebody.get("/api/v1/retained", params={"topic": "p"})
            assert found["properties"] == {
                "content_type": "image/png",
                "payload_format_indicator": 1,
                "response_topic": "r",
                "correlation_data": "/w==",
                "user_properties": [["a", "1"]],
            }
            assert (found["payload"]["encoding"], found["payload"]["truncated"]) == ("base64", True)
            assert (found["payload_size"], found["origin"]) == (300_000, "sensor")

    async def test_levels(self) -> None:
        async with console() as somebody:
            for topic in ("a", "a/b", "a/c/d", "/x", "e"):
                await somebody.broker.publish(topic, b"1", retain=True)
            found = await somebody.get("/api/v1/retained/levels")
            assert [(each["level"], each["topic"], each["retained"], each["more"]) for each in found["items"]] == [
                ("", "", False, True),
                ("a", "a", True, True),
                ("e", "e", True, False),
            ]
            assert found["items"][1]["payload"] == {"encoding": "text", "data": "1", "truncated": False}
            assert found["items"][0]["payload"] is None
            found = await somebody.get("/api/v1/retained/levels", params={"prefix": "a/", "limit": 1})
            assert [each["topic"] for each in found["items"]] == ["a/b"]
            found = await somebody.get("/api/v1/retained/levels", params={"prefix": "a/", "after": found["next"]})
            assert ([each["topic"] for each in found["items"]], found["next"]) == (["a/c"], None)

    async def test_delete_by_filter(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(steering, "AT_ONCE", 3)
        async with console() as somebody:
            for number in range(10):
                await somebody.broker.publish(f"a/{number}", b"1", retain=True)
            await somebody.broker.publish("b", b"1", retain=True)
            found = (await somebody.http.post("/api/v1/retained/delete", json={"filter": "a/+"})).json()
            assert (found["dry_run"], found["count"], found["more"], len(found["topics"])) == (True, 10, False, 10)
            assert len(somebody.broker.core.retained) == 11
            body = {"filter": "a/+", "dry_run": False}
            found = (await somebody.http.post("/api/v1/retained/delete", json=body)).json()
            assert (found["dry_run"], found["count"], found["more"]) == (False, 10, False)
            assert sorted(found["topics"]) == [f"a/{number}" for number in range(10)]
            assert [each["topic"] for each in (await somebody.get("/api/v1/retained/levels"))["items"]] == ["b"]

    @pytest.mark.parametrize(
        ("method", "path", "body", "field"),
        [
            ("POST", "delete", {"filter": "a/#/b"}, "$.filter"),
            ("POST", "delete", {"filter": "$share/g/a"}, "$.filter"),
            ("PUT", "?topic=a", {"payload": ""}, "$.payload"),
            ("PUT", "?topic=a/%2B", {"payload": "x"}, "$.topic"),
            ("PUT", "?topic=$SYS/x", {"payload": "x"}, "$.topic"),
            ("GET", "levels?prefix=a", None, "$.prefix"),
        ],
    )
    async def test_what_is_wrong(self, method: str, path: str, body: object, field: str) -> None:
        async with console() as somebody:
            separator = "" if path.startswith("?") else "/"
            response = await somebody.http.request(method, f"/api/v1/retained{separator}{path}", json=body)
            assert (response.status_code, response.json()["field"]) == (400, field)
