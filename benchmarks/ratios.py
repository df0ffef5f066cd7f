"""How two brokers that took turns compare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

__all__ = ["Ratio", "ratio"]


@dataclass(frozen=True)
class Ratio:
    """The median of the ratios of each round, and their spread."""

    middle: float
    low: float
    high: float

    @classmethod
    def of(cls, ours: Sequence[float], theirs: Sequence[float]) -> Ratio:
        """Of two brokers, with as many rounds of the one as of the other. Raises ``ValueError`` if it is not so."""
        ratios = [mine / other for mine, other in zip(ours, theirs, strict=True)]
        if not ratios:
            raise ValueError("no rounds")
        return cls(median(ratios), min(ratios), max(ratios))

    def __str__(self) -> str:
        return f"{rounded(self.middle)} ({rounded(self.low)}–{rounded(self.high)})"


def rounded(ratio: float) -> str:
    """A ratio as a text, to two or three digits that count."""
    return f"{ratio:.3f}" if ratio < 0.1 else f"{ratio:.2f}" if ratio < 10 else f"{ratio:,.0f}"


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> str:
    """The ratio of two brokers as a text."""
    return str(Ratio.of(ours, theirs))
