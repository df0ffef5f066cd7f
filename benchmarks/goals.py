"""What this broker wants to reach: CPU time of the broker for one delivered message, as a ratio to Mosquitto's."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.ratios import Ratio
from benchmarks.results import Measured

__all__ = ["GOALS", "Goal", "goals_of"]

GOALS = {
    "compiled": (0.06, 0.75, 0.08, 0.10, 0.11, 0.80),
    "pure": (0.15, 0.95, 0.12, 0.20, 0.25, 1.0),
}
"""For the scenarios 1 to 6, by build."""


@dataclass(frozen=True)
class Goal:
    """A goal, and what came of it."""

    build: str
    number: int
    name: str
    wanted: float
    reached: Ratio | None
    """``None`` where there was nothing to compare."""

    @property
    def met(self) -> bool | None:
        """Whether the median is as good as wanted."""
        return None if self.reached is None else self.reached.middle <= self.wanted


def goals_of(measured: list[Measured]) -> list[Goal]:
    """The goals of those scenarios that were measured."""
    found = []
    for build, wanted in GOALS.items():
        for each in measured:
            if each.section == "messages" and each.number <= len(wanted):
                reached = each.ratio(build, "mosquitto")
                found.append(Goal(build, each.number, each.name, wanted[each.number - 1], reached))
    return found
