"""``python -m benchmarks [--seconds S] [--rounds N] [NUMBER ...]``: this broker beside Mosquitto, where that is
installed.

Brokers take turns, round by round, so that what the machine does meanwhile hits both. What counts is the ratio.
"""

from __future__ import annotations

import argparse
import asyncio
from statistics import median

from benchmarks.brokers import MOSQUITTO, broker, new_loop
from benchmarks.ratios import ratio
from benchmarks.scenarios import SCENARIOS
from mqttbroker.bench import Link, Result, Scenario, run


def measure(scenario: Scenario, name: str, seconds: float) -> Result:
    """One round of one scenario against one broker."""
    with broker(name) as running, asyncio.Runner(loop_factory=new_loop) as runner:
        return runner.run(run(scenario, Link(running.address), seconds, running.cpu))


def main() -> None:
    """Print a row for each scenario: messages a second and CPU microseconds a message, and their ratio."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("numbers", type=int, nargs="*", metavar="NUMBER", help="scenarios, from 1; all by default")
    options = parser.parse_args()
    names = ["mqttbroker", "mosquitto"] if MOSQUITTO else ["mqttbroker"]
    print(f"{'scenario':30}" + "".join(f"{name:>26}" for name in names) + f"{'CPU ratio':>22}")
    for number in options.numbers or range(1, len(SCENARIOS) + 1):
        scenario = SCENARIOS[number - 1]
        rounds = [[measure(scenario, name, options.seconds) for name in names] for _ in range(options.rounds)]
        cells = []
        for results in zip(*rounds, strict=True):
            rate = median(each.messages / each.seconds for each in results)
            cells.append(f"{rate:12,.0f}/s {median(each.microseconds for each in results):8.2f} µs")
        taken = [[each.microseconds for each in results] for results in zip(*rounds, strict=True)]
        spread = ratio(*taken) if len(names) == 2 else ""
        print(f"{scenario.name:30}" + "".join(f"{cell:>26}" for cell in cells) + f"{spread:>22}", flush=True)


if __name__ == "__main__":
    main()
