"""A load for an MQTT broker, any one: clients that publish and subscribe as fast as it can, or at a fixed rate.

It knows the protocol's packets and nothing of this broker, which is one of those that it measures.
"""

from __future__ import annotations

from mqttbroker.bench.links import Address, Link, Transport
from mqttbroker.bench.load import Result, Scenario, run

__all__ = ["Address", "Link", "Result", "Scenario", "Transport", "run"]
