"""What monitoring systems are told, read with Prometheus's own parser; and whether the broker is ready."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from mqttbroker.admin.health import not_ready
from mqttbroker.admin.metrics import render
from mqttbroker.admin.queues import AT_ONCE, PASS, QueueSurvey
from mqttbroker.sessions import Drop
from tests.admin.console import ANYWHERE, console
from tests.broker.support import World

USED = re.compile(r"mqttbroker_\w+")


def families(text: str) -> dict[str, Metric]:
    return {each.name: each for each in text_string_to_metric_families(text)}


def value(found: dict[str, Metric], name: str) -> float:
    (sample,) = found[f"mqttbroker_{name}"].samples
    return float(sample.value)


async def test_whoever_may_look_may_read_them() -> None:
    async with console() as somebody:
        await somebody.broker.publish("t", b"x", retain=True)
        answer = await somebody.http.get("/metrics")
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        found = families(answer.text)
        assert value(found, "retained_messages") == 1
        assert value(found, "ready") == 1
        assert {sample.labels["cause"] for sample in found["mqttbroker_messages_dropped"].samples} == set(Drop)


async def test_names_are_as_prometheus_wants_them() -> None:
    async with console(log_in=False) as somebody:
        found = families(render(somebody.broker).decode())
    own = [each for name, each in found.items() if name.startswith("mqttbroker_")]
    assert len(own) > 30
    for each in own:
        assert re.fullmatch(r"[a-z]+(_[a-z]+)+", each.name)
        assert each.documentation.endswith("."), each.name
        assert each.type in ("counter", "gauge", "histogram"), each.name
        for sample in each.samples:
            assert (each.type == "counter") == sample.name.endswith("_total"), sample.name
            assert set(sample.labels) <= {"version", "compiled", "state", "action", "cause", "le", "listener", "alarm"}


async def test_the_dashboard_asks_for_what_there_is(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "grafana" / "mqttbroker.json").read_text(encoding="utf-8")
    async with console(replace(ANYWHERE, data_dir=tmp_path), log_in=False) as somebody:
        names = {sample.name for each in families(render(somebody.broker).decode()).values() for sample in each.samples}
    asked = {
        name for panel in json.loads(text)["panels"] for each in panel["targets"] for name in USED.findall(each["expr"])
    }
    assert asked <= names


async def test_the_store_has_a_size(tmp_path: Path) -> None:
    async with console(replace(ANYWHERE, data_dir=tmp_path), log_in=False) as somebody:
        assert value(families(render(somebody.broker).decode()), "store_size_bytes") > 0


async def test_healthy_and_ready() -> None:
    async with console(log_in=False) as somebody:
        assert (await somebody.http.get("/healthz")).text == "ok\n"
        assert await somebody.get("/readyz") == {"ready": True, "reasons": []}


async def test_a_store_without_room_is_not_ready() -> None:
    async with console(log_in=False) as somebody:
        somebody.broker.core.store.accepting = False
        answer = await somebody.http.get("/readyz")
        assert answer.status_code == 503
        assert answer.json() == {"ready": False, "reasons": not_ready(somebody.broker)}
        assert answer.json()["reasons"] == ["the store takes nothing: its disk is full"]


def test_many_queues_are_gone_through_in_turns() -> None:
    world = World()
    sessions = world.core.registry.sessions
    survey = QueueSurvey(sessions)
    for number in range(3):
        peer = world.client(f"away {number}", expiry=1_000)
        peer.subscribe("t", qos=1)
        peer.lose()
    world.client("writer").publish("t", b"x", qos=1)
    assert (survey.depths.messages, survey.depths.sessions, survey.depths.longest) == (3, 3, 1)
    for number in range(AT_ONCE):
        world.client(f"idle {number}", expiry=1_000).lose()
    for _ in range(PASS):
        survey.advance()
    assert (survey.depths.messages, survey.depths.sessions, survey.depths.longest) == (3, 3, 1)
