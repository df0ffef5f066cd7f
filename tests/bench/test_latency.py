"""Times, counted in classes."""

from __future__ import annotations

import random

import pytest

from mqttbroker.bench.latency import Latencies


def test_none() -> None:
    assert Latencies().percentiles() is None


def test_one_time_is_every_percentile() -> None:
    times = Latencies()
    times.add(100)
    assert times.percentiles() == {"p50": 1e-7, "p99": 1e-7, "p99.9": 1e-7, "max": 1e-7}


def test_less_than_nothing_is_nothing() -> None:
    times = Latencies()
    times.add(-5)
    assert times.percentiles() == {"p50": 0, "p99": 0, "p99.9": 0, "max": 0}


def test_percentiles_are_right_but_for_less_than_two_percent() -> None:
    source = random.Random(7)
    exact = sorted(int(source.lognormvariate(12, 2)) for _ in range(10_000))
    times = Latencies()
    for each in exact:
        times.add(each)
    found = times.percentiles()
    assert found is not None
    assert found["max"] == exact[-1] / 1e9
    for name, part in (("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)):
        assert found[name] * 1e9 == pytest.approx(exact[int(part * len(exact)) - 1], rel=0.02)


def test_what_others_counted_is_added() -> None:
    one, other = Latencies(), Latencies()
    one.add(10)
    other.add(30)
    one.merge([other])
    assert one.percentiles() == {"p50": 1e-8, "p99": 3e-8, "p99.9": 3e-8, "max": 3e-8}
    one.clear()
    assert one.percentiles() is None
