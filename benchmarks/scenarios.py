"""What is measured: loads, in sections of the report. Numbers are those of the report, which ``--only`` takes."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mqttbroker.bench import Scenario, Transport

__all__ = ["BROKERS", "CASES", "SCENARIOS", "SECTIONS", "Case", "Section"]

SCENARIOS = (
    Scenario("1 pair, QoS 0, window 500", 1, 1, 0, 500),
    Scenario("100 pairs, QoS 0, window 1", 100, 100, 0, 1),
    Scenario("1 to 100, QoS 0", 1, 100, 0, 50, fan=True),
    Scenario("100 to 1, QoS 0", 100, 1, 0, 50, fan=True),
    Scenario("1 pair, QoS 1, window 500", 1, 1, 1, 500),
    Scenario("100 pairs, QoS 1, window 1", 100, 100, 1, 1),
)
"""The six that goals are set for."""

BROKERS = ("compiled", "pure", "mosquitto", "nats", "aedes", "amqtt")
"""Who is measured. The order is that of tables."""


@dataclass(frozen=True)
class Section:
    """A part of the report with one kind of table."""

    key: str
    title: str
    text: str
    rounds: int
    seconds: float


@dataclass(frozen=True)
class Case:
    """One load, as it is put on each broker."""

    number: int
    section: str
    load: Scenario
    transport: Transport = Transport.TCP
    rate: float | None = None
    """Messages that are sent in a second, by all publishers; ``None``: as many as the windows allow."""
    brokers: tuple[str, ...] = BROKERS
    further: tuple[str, ...] = ()
    """Brokers besides."""

    @property
    def name(self) -> str:
        """What tables call it."""
        return self.load.name


SECTIONS = (
    Section(
        "messages",
        "Messages",
        "Messages of 64 bytes over TCP. A publisher has so many messages under way as its window says, and sends the "
        "next when one has arrived.",
        rounds=5,
        seconds=1.0,
    ),
    Section(
        "latency",
        "Latency",
        "Messages are sent at a fixed rate, whatever comes back, and the time counts from when one was due until a "
        "subscriber has it. So a broker that stalls pays for all that had to wait.",
        rounds=2,
        seconds=2.0,
    ),
    Section(
        "transports",
        "WebSocket and TLS",
        "The first two loads over each transport. TLS is of version 1.3, with the same certificate (EC, P-256) for "
        "all. A WebSocket client puts each packet into a frame of its own.",
        rounds=2,
        seconds=1.0,
    ),
    Section("sizes", "Large messages", "One pair, QoS 0. The window is smaller for larger messages.", 3, 1.0),
    Section(
        "slow",
        "Slow readers",
        "Ten subscribers get everything as fast as they can, beside ten that subscribe to the same and do not read. "
        "Only messages to the fast ones count.",
        rounds=2,
        seconds=1.0,
    ),
    Section(
        "options",
        "What is switched on",
        "The same broker with and without something that looks at every message: access rules, ten that do not match "
        "and one that does. A ratio is what the message costs with it, to what it costs without.",
        rounds=3,
        seconds=1.0,
    ),
)


def _cases() -> list[Case]:
    cases = [
        Case(number, "messages", load, further=("relay",) if not load.qos else ())
        for number, load in enumerate(SCENARIOS, 1)
    ]
    cases += [
        Case(7, "messages", Scenario("1 pair, QoS 2, window 100", 1, 1, 2, 100)),
        Case(7, "messages", Scenario("100 pairs, QoS 2, window 1", 100, 100, 2, 1)),
    ]
    for qos, rate in ((0, 1_000), (1, 1_000)):
        cases.append(Case(18, "latency", Scenario(f"1 pair, QoS {qos}, {rate:,}/s", 1, 1, qos, 500), rate=rate))
    cases += [
        Case(18, "latency", Scenario("100 pairs, QoS 1, 2,000/s", 100, 100, 1, 500), rate=2_000),
        Case(18, "latency", Scenario("1 pair, QoS 0, 20,000/s", 1, 1, 0, 500), rate=20_000),
        Case(18, "latency", Scenario("1 to 100, QoS 0, 100/s to each", 1, 100, 0, 50, fan=True), rate=100),
    ]
    for transport in (Transport.WS, Transport.TLS, Transport.WSS):
        for load in SCENARIOS[:2]:
            named = replace(load, name=f"{transport.value}: {load.name}")
            cases.append(Case(9, "transports", named, transport))
    for size, text, window in (
        (64, "64 B", 500),
        (1 << 10, "1 KiB", 100),
        (1 << 16, "64 KiB", 10),
        (1 << 20, "1 MiB", 4),
    ):
        cases.append(Case(14, "sizes", Scenario(f"{text}, window {window}", 1, 1, 0, window, payload=size)))
    cases.append(Case(15, "slow", Scenario("1 to 10, beside 10 slow", 1, 10, 0, 50, fan=True, slow_readers=10)))
    pairs = tuple(f"{name}{option}" for name in ("compiled", "pure", "mosquitto") for option in ("", "+rules"))
    for load in (SCENARIOS[0], SCENARIOS[5]):
        cases.append(Case(17, "options", load, brokers=pairs))
    return cases


CASES = tuple(_cases())
