"""The loads that are measured."""

from __future__ import annotations

from mqttbroker.bench import Scenario

__all__ = ["SCENARIOS"]

SCENARIOS = (
    Scenario("1 pair, QoS 0, window 500", 1, 1, 0, 500),
    Scenario("100 pairs, QoS 0, window 1", 100, 100, 0, 1),
    Scenario("1 to 100, QoS 0", 1, 100, 0, 50, fan=True),
    Scenario("100 to 1, QoS 0", 100, 1, 0, 50, fan=True),
    Scenario("1 pair, QoS 1, window 500", 1, 1, 1, 500),
    Scenario("100 pairs, QoS 1, window 1", 100, 100, 1, 1),
)
