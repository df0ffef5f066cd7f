"""Benchmarks with many connections, with few: that they run, and that their verdicts are right."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import idle
from benchmarks.durability import rate
from benchmarks.soak import growth, soak


@pytest.mark.parametrize(
    ("values", "grown"),
    [
        ([1.0, 5.0, 9.0, 9.0, 9.0, 9.0, 9.0, 9.0], 0.0),  # It has settled.
        ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0], 2.0),
        ([7.0], 0.0),
    ],
)
def test_growth_is_that_of_the_second_half(values: list[float], grown: float) -> None:
    assert growth(values) == grown


def test_a_short_soak(tmp_path: Path) -> None:
    found = soak(tmp_path, minutes=0.02, clients=5)
    assert found.failures == 0
    assert found.samples[-1].messages > 0
    assert found.samples[-1].descriptors > 0


@pytest.mark.parametrize("persistent", [False, True], ids=["ended", "kept"])
def test_a_small_storm(tmp_path: Path, persistent: bool) -> None:
    found = idle.measure_storm(tmp_path, persistent, connections=20)
    assert found.seconds > 0
    assert found.pauses.answers > 0


def test_few_idle_connections(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idle, "WARM_UP", 10)
    found = idle.measure_idle(tmp_path, connections=10)
    assert found.per_second > 0


async def test_messages_that_share_commits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.durability.SECONDS", 0.5)
    for online in (False, True):
        folder = tmp_path / str(online)
        folder.mkdir()
        found = await rate(folder, "fsync", 2, 20, online)
        assert found.commits > 0
        assert found.acknowledged > found.commits
