"""A report for tests: small, with everything that a real one has."""

from __future__ import annotations

from benchmarks.results import Broker, Figures, Measured, Report, Table

__all__ = ["make_report"]


def make_report(*, compiled: float = 0.5, mosquitto: float = 10.0) -> Report:
    """Two rounds of each; figures of CPU time as they are given, for the first scenario."""

    def rounds(cpu: float) -> list[Figures]:
        return [{"cpu": cpu, "rate": 1e6 / cpu}, {"cpu": cpu * 1.2, "rate": 1e6 / cpu}]

    first = Measured(
        "messages",
        1,
        "1 pair, QoS 0, window 500",
        {"compiled": rounds(compiled), "pure": rounds(1.0), "mosquitto": rounds(mosquitto), "relay": rounds(0.1)},
        {"amqtt": "nothing was delivered"},
    )
    fast = {"p50": 0.1, "p99": 0.2, "p99.9": 0.4}
    latency = Measured(
        "latency",
        18,
        "1 pair, 1,000/s",
        {name: [{"cpu": 20.0, "rate": 1_000.0} | fast] for name in ("compiled", "mosquitto")},
        {"amqtt": "delivered 10 of 1,000 messages a second"},
    )
    options = Measured("options", 17, "1 pair", {"compiled": rounds(1.0), "compiled+rules": rounds(2.0)})
    brokers = {
        "compiled": Broker("mqttbroker, compiled", "1.0"),
        "pure": Broker("mqttbroker, pure Python", "1.0"),
        "mosquitto": Broker("Mosquitto", "2.0"),
        "amqtt": Broker("aMQTT", "0.1"),
        "relay": Broker("bare relay", "none"),
    }
    table = Table("Idle connections", "Each says nothing.", [{"build": "pure", "connections": 10_000, "KiB": 3.456}])
    return Report(
        {"CPU": "a good one"}, False, brokers, {"NATS server": "no such thing"}, [first, latency, options], [table]
    )
