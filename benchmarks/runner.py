"""Brokers take turns, round by round, so that what the machine does meanwhile hits all of them."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping

from benchmarks.brokers import broker, new_loop
from benchmarks.certificates import Certificates
from benchmarks.results import Figures, Measured
from benchmarks.scenarios import Case
from mqttbroker.bench import Link, run

__all__ = ["Failed", "figures_of", "measure"]

OVERTIME = 60.0
"""Seconds that a round may take beside those of the load."""
KEEPS_UP = 0.95
"""What part of the messages at a fixed rate has to arrive in time."""

Say = Callable[[str], None]


class Failed(Exception):
    """A broker did not do what the scenario needs. The text says what, for a footnote."""


def measure(
    case: Case, brokers: list[str], rounds: int, seconds: float, certificates: Certificates, say: Say
) -> Measured:
    """Measure brokers with one load. Who fails twice in a round is out."""
    measured = Measured(case.section, case.number, case.name, {name: [] for name in brokers})
    for _ in range(rounds):
        for name in list(measured.rounds):
            try:
                figures = _try(case, name, seconds, certificates)
            except Failed as reason:
                del measured.rounds[name]
                measured.failures[name] = str(reason)
            else:
                measured.rounds[name].append(figures)
    for name in brokers:
        rate, cpu = measured.middle(name, "rate"), measured.middle(name, "cpu")
        if rate is None or cpu is None:
            say(f"{case.name:45} {name:16} {measured.failures[name]}")
        else:
            say(f"{case.name:45} {name:16}{rate:14,.0f}/s {cpu:10.2f} µs")
    return measured


def _try(case: Case, name: str, seconds: float, certificates: Certificates) -> Figures:
    try:
        return one_round(case, name, seconds, certificates)
    except Failed:
        return one_round(case, name, seconds, certificates)


def one_round(case: Case, name: str, seconds: float, certificates: Certificates) -> Figures:
    """Measure one broker once. Raises ``Failed``, whatever goes wrong."""
    try:
        with (
            broker(name, case.transport, certificates) as running,
            asyncio.Runner(loop_factory=new_loop) as runner,
        ):
            link = Link(running.address, case.transport, certificates.authority)
            load = run(case.load, link, seconds, running.cpu, case.rate)
            result = runner.run(asyncio.wait_for(load, seconds * 2 + OVERTIME))
    except Exception as error:
        raise Failed(reason(error)) from error
    return figures_of(case, result.messages, result.seconds, result.microseconds, result.latency)


def figures_of(
    case: Case, messages: int, seconds: float, microseconds: float, latency: Mapping[str, float] | None
) -> Figures:
    """The figures of a round. Raises ``Failed`` if there are none that say anything."""
    rate = messages / seconds
    if not messages or math.isnan(microseconds):
        raise Failed("nothing was delivered")
    if case.rate is None:
        return {"cpu": microseconds, "rate": rate}
    due = case.rate * (case.load.subscribers if case.load.fan else 1)
    if rate < KEEPS_UP * due:
        raise Failed(f"delivered {rate:,.0f} of {due:,.0f} messages a second")
    if latency is None:
        raise Failed("no time was measured")
    return {"cpu": microseconds, "rate": rate} | {
        f"p{part}": latency[f"p{part}"] * 1e3 for part in ("50", "99", "99.9")
    }


def reason(error: BaseException) -> str:
    """Why something failed, in one line."""
    if isinstance(error, BaseExceptionGroup):
        return reason(error.exceptions[0])
    text = str(error).strip().splitlines()
    return text[0][:160] if text else "it did not end in time" if isinstance(error, TimeoutError) else repr(error)
