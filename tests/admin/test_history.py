"""The figures over time: what is kept, for how long, and what is told of it."""

from __future__ import annotations

import sys
from math import isnan, nan

from mqttbroker.admin.history import COARSE, FINE, SERIES, History

START = 1_700_000_000.0


def filled(seconds: int) -> History:
    """A history in which as many messages have come in a second as it was the how manieth."""
    history = History()
    for second in range(seconds):
        history.add(START + second, {"received": second, "loop_lag": second % 60, "commit_latency": nan})
    return history


def test_nothing_yet() -> None:
    found = History().last(900, START)
    assert len(found.at) == 0
    assert set(found.series) == set(SERIES)


def test_seconds() -> None:
    found = filled(10).last(900, START + 9)
    assert found.step == 1.0
    assert list(found.at) == [START + second for second in range(10)]
    assert list(found.series["received"]) == list(range(10))
    assert all(isnan(each) for each in (*found.series["commit_latency"], *found.series["sent"]))


def test_a_part_of_them() -> None:
    history = filled(100)
    assert list(history.last(5, START + 99).series["received"]) == [95, 96, 97, 98, 99]
    assert list(history.last(900, START + 99, after=START + 97).series["received"]) == [98, 99]
    assert list(history.last(900, START + 99, after=START + 99).series["received"]) == []


def test_what_is_too_old_is_forgotten() -> None:
    history = filled(FINE[1] + 50)
    found = history.last(900, START + FINE[1] + 49)
    assert len(found.at) == FINE[1]
    assert list(found.series["received"]) == list(range(50, FINE[1] + 50))
    assert list(history.last(20, START + FINE[1] + 49).series["received"])[-1] == FINE[1] + 49


def test_minutes_are_means_and_of_times_the_greatest() -> None:
    found = filled(200).last(86_400, START + 199)
    assert found.step == COARSE[0]
    assert list(found.at) == [START + 60, START + 120, START + 180]
    assert list(found.series["received"]) == [29.5, 89.5, 149.5]
    assert list(found.series["loop_lag"]) == [59, 59, 59]
    assert all(isnan(each) for each in found.series["commit_latency"])


def test_a_day_of_minutes() -> None:
    history = History()
    for minute in range(COARSE[1] + 10):
        history.add(START + 60 * minute, {"connections": minute})
    found = history.last(86_400, START + 60 * (COARSE[1] + 9))
    assert len(found.at) == COARSE[1]
    assert found.series["connections"][-1] == COARSE[1] + 8  # The last minute is not over.


def test_it_does_not_grow() -> None:
    def size(history: History) -> int:
        rings = (history._fine, history._coarse)
        return sum(sys.getsizeof(each) for ring in rings for each in (ring._at, *ring._columns.values()))

    history = History()
    before = size(history)
    for second in range(5_000):
        history.add(START + second, dict.fromkeys(SERIES, 1.0))
    assert size(history) == before < 150_000
