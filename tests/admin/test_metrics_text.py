"""The text of ``/metrics``, as Prometheus's own tools see it, and the conventions of names, units and labels."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from tests.admin.console import ANYWHERE, Console, console
from tests.support.raw import RawClient
from tests.support.tools import require_tool

NO_BASE_UNIT = re.compile(
    r"_(ms|milliseconds|us|microseconds|ns|minutes|hours|days|kb|kib|mb|mib|kilobytes|megabytes|percent|bits)(_|$)"
)
MOST_SERIES = 300
"""Of a broker without many listeners: each is kept by Prometheus for as long as it keeps anything."""


async def text(somebody: Console) -> str:
    answer = await somebody.http.get("/metrics")
    assert answer.status_code == 200
    return answer.text


def families(found: str) -> dict[str, Metric]:
    """By name, without those that every Python program has."""
    return {each.name: each for each in text_string_to_metric_families(found) if not each.name.startswith("process_")}


def series(found: str) -> set[tuple[str, tuple[tuple[str, str], ...]]]:
    """The names of all series, with their labels."""
    return {
        (sample.name, tuple(sorted(sample.labels.items())))
        for each in text_string_to_metric_families(found)
        for sample in each.samples
    }


async def test_promtool_finds_nothing_wrong(tmp_path: Path) -> None:
    promtool = require_tool("promtool")
    async with console(replace(ANYWHERE, data_dir=tmp_path)) as somebody:
        found = await text(somebody)
    process = await asyncio.create_subprocess_exec(
        promtool,
        *("check", "metrics"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await asyncio.wait_for(process.communicate(found.encode()), 30)
    assert (process.returncode, said.decode()) == (0, "")


async def test_every_family_is_described(tmp_path: Path) -> None:
    async with console(replace(ANYWHERE, data_dir=tmp_path)) as somebody:
        found = await text(somebody)
    names = re.findall(r"^# HELP (\S+) \S", found, re.MULTILINE)
    typed = re.findall(r"^# TYPE (\S+) (?:counter|gauge|histogram)$", found, re.MULTILINE)
    assert names == typed
    assert len(names) == len(set(names)) == found.count("# TYPE")
    described = {name.removesuffix("_total") for name in names}
    for line in found.splitlines():
        if not line.startswith("#"):
            name = re.sub(r"_(total|bucket|sum|count)$", "", re.split(r"[ {]", line)[0])
            assert name in described, line


async def test_units_are_base_units(tmp_path: Path) -> None:
    async with console(replace(ANYWHERE, data_dir=tmp_path)) as somebody:
        found = families(await text(somebody))
    for name, each in found.items():
        assert name.startswith("mqttbroker_"), name
        assert not NO_BASE_UNIT.search(name), name
        if re.search(r"\bbytes\b", each.documentation, re.IGNORECASE):
            assert "bytes" in name, name
        if each.type == "histogram":
            assert name.endswith(("_seconds", "_bytes")), name
            assert [sample.labels["le"] for sample in each.samples if "le" in sample.labels][-1] == "+Inf"


@pytest.mark.parametrize("name", ['evil"} 1\nmqttbroker_forged 1\n', '{le="1"}', "\\", "a" * 1_000])
async def test_nobody_makes_a_series(name: str) -> None:
    """Whoever comes, whatever is published and refused: the figures change, what there are figures of does not."""
    async with console() as somebody:
        before = await text(somebody)
        for number in range(20):
            async with RawClient(somebody.broker.host, somebody.broker.port) as client:
                await client.connect(f"{name}{number}", username=name)
                await client.subscribe(f"{name}/{number}", f"$share/group{number}/a")
                await client.publish(f"{name}/{number}", name.encode(), qos=1, retain=True)
                await somebody.http.get(f"/api/v1/clients/nobody-{number}")
        after = await text(somebody)
    assert "evil" not in after and "forged" not in after
    assert series(after) == series(before)
    assert len(series(after)) < MOST_SERIES
