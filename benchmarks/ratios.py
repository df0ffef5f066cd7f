"""How two brokers that took turns compare."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

__all__ = ["ratio"]


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> str:
    """The median of the ratios of each round, and their spread."""
    ratios = sorted(mine / other for mine, other in zip(ours, theirs, strict=True))
    return f"{median(ratios):.3f} ({ratios[0]:.3f}-{ratios[-1]:.3f})"
