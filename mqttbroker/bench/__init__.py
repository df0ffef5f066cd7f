"""A load for an MQTT broker, any one: clients that publish and subscribe as fast as it can, or at a fixed rate.

It knows the protocol's packets and nothing of this broker, which is one of those that it measures.
"""

from __future__ import annotations

from mqttbroker.bench.links import Address, Link, Transport
from mqttbroker.bench.running import Progress, run
from mqttbroker.bench.scenario import BenchError, Result, Scenario

__all__ = ["Address", "BenchError", "Link", "Progress", "Result", "Scenario", "Transport", "run"]
