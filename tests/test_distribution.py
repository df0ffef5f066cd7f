"""How a quantity is spread."""

from __future__ import annotations

from mqttbroker.distribution import Distribution


def test_it_counts_by_bounds() -> None:
    lag = Distribution((0.1, 1.0))
    for seconds in (0.05, 0.1, 0.5, 3.0):
        lag.add(seconds)
    assert lag.counts == [2, 1, 1]
    assert (lag.total, lag.count) == (3.65, 4)
    assert (lag.above(0.1), lag.above(1.0)) == (2, 1)
