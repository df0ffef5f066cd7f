"""The plots of the report."""

from __future__ import annotations

from benchmarks.goals import GOALS
from benchmarks.ratios import Ratio
from benchmarks.results import Measured, Report
from benchmarks.svg import Dot, Plot

__all__ = ["plots"]


def plots(report: Report) -> dict[str, str]:
    """By the name of its file, without those that there are no figures for."""
    names = [name for name in report.brokers if name != "relay"]
    found = {
        "ratio.svg": _ratios(report, names),
        "cpu.svg": _figures(report, "messages", names, "cpu", "CPU time for one delivered message", "µs"),
        "rate.svg": _figures(report, "messages", names, "rate", "Messages delivered in a second", "messages/s"),
        "latency.svg": _latency(report, names),
        "transports.svg": _figures(report, "transports", names, "cpu", "CPU time for one message, by transport", "µs"),
        "sizes.svg": _figures(report, "sizes", names, "cpu", "CPU time for one message, by size", "µs"),
    }
    return {name: plot.svg() for name, plot in found.items() if any(row for _, row in plot.rows)}


def _titles(report: Report, names: list[str]) -> list[str]:
    return [report.brokers[name].title for name in names]


def _ratios(report: Report, names: list[str]) -> Plot:
    rows = []
    for each in report.of("messages"):
        row = {}
        for name in names:
            ratio = each.ratio(name, "mosquitto") if name != "mosquitto" else None
            dots = [_spread(ratio)] if ratio else []
            if ratio and name in GOALS and each.number <= len(GOALS[name]):
                goal = GOALS[name][each.number - 1]
                dots.append(Dot(goal, goal, goal, hollow=True))
            if dots:
                row[report.brokers[name].title] = dots
        rows.append((each.name, row))
    unit = "CPU time for one message, as a ratio to Mosquitto's; left is better; hollow: the goal"
    return Plot("CPU time beside Mosquitto", unit, _titles(report, names), rows, line=1.0)


def _figures(report: Report, section: str, names: list[str], figure: str, title: str, unit: str) -> Plot:
    rows = []
    for each in report.of(section):
        row = {}
        for name in names:
            figures = each.figures(name, figure)
            middle = each.middle(name, figure)
            if middle is not None:
                row[report.brokers[name].title] = [Dot(middle, min(figures), max(figures))]
        rows.append((each.name, row))
    return Plot(title, unit, _titles(report, names), rows)


def _latency(report: Report, names: list[str]) -> Plot:
    rows = []
    for each in report.of("latency"):
        row = {}
        for name in names:
            dot = _percentiles(each, name)
            if dot is not None:
                row[report.brokers[name].title] = [dot]
        rows.append((each.name, row))
    unit = "milliseconds: from p50 through p99 (the dot) to p99.9; left is better"
    return Plot("Latency at a fixed rate", unit, _titles(report, names), rows)


def _percentiles(measured: Measured, name: str) -> Dot | None:
    low, middle, high = (measured.middle(name, figure) for figure in ("p50", "p99", "p99.9"))
    return None if low is None or middle is None or high is None or low <= 0 else Dot(middle, low, high)


def _spread(ratio: Ratio) -> Dot:
    return Dot(ratio.middle, ratio.low, ratio.high)
