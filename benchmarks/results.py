"""What was measured, as it is kept in ``results.json``: enough to write the report again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median

from benchmarks.ratios import Ratio

__all__ = ["Broker", "Cell", "Figures", "Measured", "Report", "Table"]

Figures = Mapping[str, float]
"""What one round of one broker came to: ``cpu`` microseconds for a delivered message, ``rate`` messages delivered in a
second; at a fixed rate also ``p50``, ``p99`` and ``p99.9``, milliseconds.
"""
Cell = str | float | int | None


@dataclass
class Measured:
    """One scenario, with figures of each broker for each round."""

    section: str
    number: int
    name: str
    rounds: dict[str, list[Figures]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    """Why a broker has no figures."""

    def figures(self, broker: str, figure: str) -> list[float]:
        """The figures of each round; none if it failed or has no such figure."""
        return [each[figure] for each in self.rounds.get(broker, []) if figure in each]

    def middle(self, broker: str, figure: str) -> float | None:
        """The median of the rounds."""
        figures = self.figures(broker, figure)
        return median(figures) if figures else None

    def ratio(self, ours: str, theirs: str, figure: str = "cpu") -> Ratio | None:
        """How two brokers compare, round by round."""
        one, other = self.figures(ours, figure), self.figures(theirs, figure)
        return Ratio.of(one, other) if one and len(one) == len(other) else None


@dataclass
class Table:
    """Figures of a measurement that is not a load: rows as they are shown."""

    title: str
    text: str
    rows: list[dict[str, Cell]]


@dataclass
class Broker:
    """A broker that was measured."""

    title: str
    version: str


@dataclass
class Report:
    """A whole run."""

    machine: dict[str, str]
    quick: bool
    brokers: dict[str, Broker]
    left_out: dict[str, str]
    """Brokers that were not there, and why."""
    measured: list[Measured] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)

    def of(self, section: str) -> list[Measured]:
        """The scenarios of a section."""
        return [each for each in self.measured if each.section == section]

    def replace(self, later: Report) -> None:
        """Take over what was measured again, on the same machine, of the same brokers."""
        scenarios = {(each.section, each.name): each for each in later.measured}
        self.measured = [scenarios.get((each.section, each.name), each) for each in self.measured]
        tables = {each.title: each for each in later.tables}
        self.tables = [tables.get(each.title, each) for each in self.tables]
        self.brokers |= later.brokers

    def write(self, path: Path) -> None:
        """Keep it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(_shortened(asdict(self)), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Report:
        """Take up what was kept."""
        kept = json.loads(path.read_text(encoding="utf-8"))
        kept["measured"] = [Measured(**each) for each in kept["measured"]]
        kept["tables"] = [Table(**each) for each in kept["tables"]]
        kept["brokers"] = {name: Broker(**each) for name, each in kept["brokers"].items()}
        return cls(**kept)


def _shortened(value: object) -> object:
    """The same with five digits of each number that count."""
    if isinstance(value, dict):
        return {key: _shortened(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_shortened(each) for each in value]
    return float(f"{value:.5g}") if isinstance(value, float) else value
