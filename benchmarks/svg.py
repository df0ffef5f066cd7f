"""Plots as SVG: a row for each scenario, a dot for each broker on one logarithmic scale, a line for its spread.

They have no script and no font of their own, and colours for light and dark pages.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

__all__ = ["Dot", "Plot", "ticks"]

COLOURS = ("#d1495b", "#e59a2f", "#3a7ca5", "#5c9e6f", "#8367b0", "#8a8f98", "#b07d62")
"""In the order of the series. They can be read on white and on black."""
LABELS, SCALE, MARGIN = 250, 610, 20
"""Widths of the parts, from left to right."""
ROW, TOP = 36, 74

_STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#24292f}.small{font-size:11px;fill:#57606a}.title{font-size:15px;"
    "font-weight:600}.grid{stroke:#d0d7de}.one{stroke:#57606a;stroke-dasharray:4 3}"
    "@media(prefers-color-scheme:dark){text{fill:#e6edf3}.small{fill:#9198a1}.grid{stroke:#3d444d}"
    ".one{stroke:#9198a1}}"
)


@dataclass(frozen=True)
class Dot:
    """A figure and its spread."""

    middle: float
    low: float
    high: float
    hollow: bool = False
    """For what is wanted and was not measured."""


@dataclass(frozen=True)
class Plot:
    """Rows of dots. ``rows`` has, for each label, the dots by series."""

    title: str
    unit: str
    series: Sequence[str]
    rows: Sequence[tuple[str, Mapping[str, Sequence[Dot]]]]
    line: float | None = None
    """Where a line is drawn."""

    def svg(self) -> str:
        """The document. Raises ``ValueError`` where there is no dot."""
        dots = [dot for _, row in self.rows for each in row.values() for dot in each]
        if not dots:
            raise ValueError(f"{self.title}: nothing to draw")
        marks = ticks(min(dot.low for dot in dots), max(dot.high for dot in dots))
        first, last = math.log10(marks[0]), math.log10(marks[-1])

        def across(value: float) -> float:
            return LABELS + SCALE * (math.log10(value) - first) / (last - first)

        bottom = TOP + ROW * len(self.rows)
        width, height = LABELS + SCALE + MARGIN * 2, bottom + 44
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
            f' role="img" aria-label={quoteattr(self.title)}>',
            f"<style>{_STYLE}</style>",
            f'<text class="title" x="10" y="22">{escape(self.title)}</text>',
            *self._legend(),
        ]
        for mark in marks:
            x = across(mark)
            parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 8}" y2="{bottom}"/>')
            parts.append(f'<text class="small" x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{mark:,g}</text>')
        middle = LABELS + SCALE / 2
        parts.append(
            f'<text class="small" x="{middle}" y="{bottom + 34}" text-anchor="middle">{escape(self.unit)}</text>'
        )
        if self.line is not None and marks[0] <= self.line <= marks[-1]:
            x = across(self.line)
            parts.append(f'<line class="one" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 8}" y2="{bottom}"/>')
        for number, (label, row) in enumerate(self.rows):
            y = TOP + ROW * number + ROW / 2
            parts.append(f'<text x="{LABELS - 16}" y="{y + 4:.0f}" text-anchor="end">{escape(label)}</text>')
            for at, name in enumerate(self.series):
                # Series lie a little below each other, so that one does not hide another.
                level = y + (at - (len(self.series) - 1) / 2) * 4
                for dot in row.get(name, ()):
                    parts.append(_dot(dot, across, level, COLOURS[at % len(COLOURS)], f"{label}, {name}"))
        return "\n".join([*parts, "</svg>"]) + "\n"

    def _legend(self) -> list[str]:
        parts, x = [], 10.0
        for at, name in enumerate(self.series):
            parts.append(f'<circle cx="{x + 5:.0f}" cy="42" r="5" fill="{COLOURS[at % len(COLOURS)]}"/>')
            parts.append(f'<text x="{x + 15:.0f}" y="46">{escape(name)}</text>')
            x += 30 + 7 * len(name)
        return parts


def _dot(dot: Dot, across: Callable[[float], float], y: float, colour: str, title: str) -> str:
    x = across(dot.middle)
    about = f"<title>{escape(title)}: {dot.middle:.3g}</title>"
    if dot.hollow:
        d = f"M{x:.1f} {y - 6:.1f}l6 6l-6 6l-6 -6z"
        return f'<path d="{d}" fill="none" stroke="{colour}" stroke-width="1.5">{about}</path>'
    low, high = across(dot.low), across(dot.high)
    return (
        f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{y:.1f}" y2="{y:.1f}" stroke="{colour}" stroke-width="2"/>'
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{colour}">{about}</circle>'
    )


def ticks(low: float, high: float) -> list[float]:
    """Round numbers for a logarithmic scale, from below the lowest to above the highest.

    1, 2 and 5 of each power of ten where there is room, else 1 only.
    """
    if low <= 0:
        raise ValueError("a logarithmic scale begins above zero")
    steps = (1, 2, 5) if high / low < 1_000 else (1,)
    powers = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 2)
    every = sorted(float(f"{step}e{power}") for power in powers for step in steps)
    first = max(at for at, each in enumerate(every) if each <= low)
    last = min(at for at, each in enumerate(every) if each >= high)
    return every[first : max(last, first + 1) + 1]
