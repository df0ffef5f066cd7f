"""A real broker for tests: a pytest plugin, and the object behind its fixtures.

The plugin is loaded by pytest by itself where ``mqttbroker`` is installed, and defines ``mqtt_broker`` and
``mqtt_broker_factory``.
"""

from mqttbroker.testing.running import RunningBroker

__all__ = ["RunningBroker"]
