"""The broker at a glance, its history and its alarms, over HTTP and for monitoring systems."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from mqttbroker.admin.alarms import KINDS, RESERVE
from mqttbroker.admin.figures import Disk
from mqttbroker.admin.history import SERIES
from mqttbroker.admin.metrics import render
from mqttbroker.admin.monitor import Monitor
from mqttbroker.config import ListenerConfig
from mqttbroker.protocol import Properties
from mqttbroker.server import Broker
from mqttbroker.sessions import Drop
from tests.admin.console import ANYWHERE, Console, console
from tests.support.pki import Pki
from tests.support.raw import RawClient

KEPT = Properties(session_expiry_interval=3_600)


def client(somebody: Console) -> RawClient:
    return RawClient(somebody.broker.host, somebody.broker.port)


def monitor(broker: Broker) -> Monitor:
    assert broker.monitor is not None
    return broker.monitor


def look(somebody: Console, seconds: float = 0.0) -> None:
    """Let time pass, and the broker look at itself."""
    somebody.broker.advance_clock(seconds)
    monitor(somebody.broker).look(somebody.broker.now())


def samples(broker: Broker) -> dict[tuple[str, ...], float]:
    """The broker's metrics, by name and labels."""
    return {
        (sample.name.removeprefix("mqttbroker_"), *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(render(broker).decode())
        for sample in family.samples
    }


class TestGlance:
    async def test_messages(self) -> None:
        async with console() as somebody, client(somebody) as one:
            await one.connect()
            await one.subscribe("a")
            await one.publish("a", b"x", qos=1)
            await one.expect_publish()
            messages = (await somebody.get("/api/v1/broker"))["messages"]
            assert (messages["received"], messages["sent"], messages["queued"]) == (1, 1, 0)
            assert messages["received_bytes"] > messages["sent_bytes"] > 0
            assert messages["dropped"] == dict.fromkeys(Drop, 0)

    async def test_what_it_takes(self) -> None:
        async with console() as somebody:
            found = await somebody.get("/api/v1/broker")
            memory = found["memory"]
            assert 0 < memory["used"] <= memory["resident"] < memory["ceiling"]
            assert memory["ceiling_by"] in ("control group", "resource limit", "machine")
            assert found["store"] is None
            assert found["loop_lag"]["last"] >= 0.0
            assert found["alarms"] == []

    async def test_the_store(self, tmp_path: Path) -> None:
        async with console(replace(ANYWHERE, data_dir=tmp_path)) as somebody, client(somebody) as one:
            before = (await somebody.get("/api/v1/broker"))["store"]
            assert (before["commits"], before["last_commit_age"], before["mean_commit_latency"]) == (0, None, None)
            await one.connect("kept", properties=KEPT)
            await one.subscribe("a")
            store = (await somebody.get("/api/v1/broker"))["store"]
            assert store["commits"] >= 1
            assert store["last_commit_age"] >= 0.0
            assert store["last_commit_latency"] > 0.0
            assert 0 < store["used"] <= store["size"] <= store["map"]
            assert 0 < store["disk_free"] <= store["disk_size"]


class TestHistory:
    async def test_it_begins_with_the_broker(self) -> None:
        async with console() as somebody:
            await somebody.broker.publish("t", b"x")
            look(somebody, 1.0)
            found = await somebody.get("/api/v1/history")
            assert found["step"] == 1.0
            assert set(found["series"]) == set(SERIES)
            assert len(found["at"]) >= 2
            assert {len(values) for values in found["series"].values()} == {len(found["at"])}
            assert found["series"]["received"][0] is None  # Nothing to compare with.
            assert found["series"]["connections"][-1] == 0
            assert found["series"]["commit_latency"][-1] is None

    async def test_rates(self) -> None:
        async with console() as somebody, client(somebody) as one:
            await one.connect()
            look(somebody)
            for _ in range(10):
                await one.publish("t", b"x", qos=1)
            look(somebody, 1_000.0)
            found = (await somebody.get("/api/v1/history"))["series"]
            assert 0.009 < found["received"][-1] <= 0.01

    async def test_only_what_is_new(self) -> None:
        async with console() as somebody:
            look(somebody, 5.0)
            last = (await somebody.get("/api/v1/history"))["at"][-1]
            look(somebody, 5.0)
            (new, *_) = (await somebody.get("/api/v1/history", params={"after": last}))["at"]
            assert new >= last + 4.9

    async def test_a_day_is_told_by_minutes(self) -> None:
        async with console() as somebody:
            for _ in range(3):
                look(somebody, 60.0)
            found = await somebody.get("/api/v1/history", params={"seconds": 86_400})
            assert found["step"] == 60.0
            assert len(found["at"]) == 3

    async def test_not_more_than_a_day(self) -> None:
        async with console() as somebody:
            answer = await somebody.http.get("/api/v1/history", params={"seconds": 86_401})
            assert (answer.status_code, answer.json()["field"]) == (400, "$.seconds")

    async def test_without_an_admin_server_there_is_none(self) -> None:
        async with Broker(replace(ANYWHERE, admin=replace(ANYWHERE.admin, enabled=False))) as broker:
            assert monitor(broker).history is None
            assert not broker.core.events.heard


class TestAlarms:
    async def test_two_that_fight_for_an_identifier(self) -> None:
        async with console() as somebody:
            for _ in range(6):
                async with client(somebody) as one:
                    await one.connect("a/b")
                    async with client(somebody) as other:
                        await other.connect("a/b")
            look(somebody)
            (alarm,) = (await somebody.get("/api/v1/alarms"))["alarms"]
            assert (alarm["id"], alarm["alarm"], alarm["severity"]) == (
                "identifier_fight:a/b",
                "identifier_fight",
                "warning",
            )
            assert alarm["text"] == "The client identifier a/b was taken over 6 times, from 127.0.0.1."
            assert (alarm["place"], alarm["client"]) == ("clients", "a/b")
            assert (await somebody.get("/api/v1/broker"))["alarms"] == [alarm]
            assert samples(somebody.broker)["alarms", "identifier_fight"] == 1
            look(somebody, 300.0)
            assert (await somebody.get("/api/v1/alarms"))["alarms"] == []
            (cleared, raised) = (await somebody.get("/api/v1/events/recent", params={"kind": "alarm"}))["items"]
            assert (raised["details"]["state"], raised["client"]) == ("raised", "a/b")
            assert cleared["details"]["state"] == "cleared"
            assert [event for _, event, _ in somebody.logged if event.startswith("alarm")] == [
                "alarm raised",
                "alarm cleared",
            ]

    async def test_a_certificate_that_runs_out(self, pki: Pki) -> None:
        tls = ListenerConfig("tls", port=0, tls=pki.tls_config())
        async with console(replace(ANYWHERE, listeners=(tls,))) as somebody:
            (certificate,) = somebody.broker.certificates["tls"]
            look(somebody, certificate.not_after - somebody.broker.now() - 86_400.0)
            alarms = list(monitor(somebody.broker).alarms)
            assert [(each.kind, each.finding.severity) for each in alarms] == [("certificate", "warning")]
            found = samples(somebody.broker)
            assert found["certificate_expiry_timestamp_seconds", "tls"] == certificate.not_after
            assert found["alarms", "certificate"] == 1

    async def test_a_disk_below_the_reserve(self, tmp_path: Path) -> None:
        async with console(replace(ANYWHERE, data_dir=tmp_path)) as somebody:
            watching = monitor(somebody.broker)
            watching.figures.disk = Disk(RESERVE - 1, 2**40)
            answer = await somebody.http.get("/readyz")
            assert (answer.status_code, answer.json()["reasons"]) == (503, ["the disk has less than 64 MiB free"])
            watching.figures.disk = Disk(RESERVE, 2**40)
            assert (await somebody.http.get("/readyz")).status_code == 200


class TestMetrics:
    async def test_the_machine_and_the_store(self, tmp_path: Path) -> None:
        async with console(replace(ANYWHERE, data_dir=tmp_path)) as somebody, client(somebody) as one:
            assert ("last_commit_age_seconds",) not in samples(somebody.broker)
            await one.connect("kept", properties=KEPT)
            found = samples(somebody.broker)
            assert found["commit_seconds_count",] >= 1
            assert found["commit_seconds_sum",] > 0
            assert found["last_commit_age_seconds",] >= 0
            assert found["store_map_bytes",] >= found["store_used_bytes",] > 0
            assert found["disk_size_bytes",] >= found["disk_free_bytes",] > 0
            assert found["memory_ceiling_bytes",] > found["memory_bytes",] > 0
            assert found["listener_connections", "tcp"] == 1
            assert {key[1] for key in found if key[0] == "alarms"} == set(KINDS)

    async def test_a_store_that_has_failed_is_not_ready(self, tmp_path: Path) -> None:
        async with console(replace(ANYWHERE, data_dir=tmp_path)) as somebody:
            store = somebody.broker.core.store
            store.failure = OSError("Input/output error")  # type: ignore[attr-defined]  # It is one of LMDB.
            reasons = json.loads((await somebody.http.get("/readyz")).text)["reasons"]
            assert reasons == ["the store has failed and takes nothing more"]
            look(somebody)
            assert [each.kind for each in monitor(somebody.broker).alarms] == ["store_failed"]
            store.failure = None  # type: ignore[attr-defined]
