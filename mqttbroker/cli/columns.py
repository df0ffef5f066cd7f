"""Tables for terminals: columns that are as wide as what is in them, and figures that people can read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from rich.cells import cell_len, set_cell_size

from mqttbroker.logs import escape

__all__ = ["Column", "ago", "cut", "duration", "rows_of", "size"]

GAP = "  "


@dataclass(frozen=True, slots=True)
class Column:
    """One column."""

    title: str
    number: bool = False
    """Whether it is aligned to the right."""
    most: int = 24
    """How wide it is, at most, where the terminal has no room for everything."""


def cut(text: str, width: int) -> str:
    """A text in so many cells, with an ellipsis where something is missing."""
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, max(width - 1, 0)) + "…" if width > 0 else ""


def rows_of(columns: Sequence[Column], rows: Iterable[Sequence[str]], width: int | None) -> list[str]:
    """The lines of a table, its head first. With a ``width`` columns are cut, and those that do not fit left out."""
    table = [[escape(each) for each in row] for row in rows]
    widths = [max([cell_len(column.title), *(cell_len(row[at]) for row in table)]) for at, column in enumerate(columns)]
    shown = len(columns)
    if width is not None:
        if sum(widths) + len(GAP) * (len(widths) - 1) > width:
            widths = [
                each if column.number else min(each, column.most) for each, column in zip(widths, columns, strict=True)
            ]
        while shown > 1 and sum(widths[:shown]) + len(GAP) * (shown - 1) > width:
            shown -= 1
        widths[0] = min(widths[0], width)
    lines = []
    for row in [[column.title for column in columns], *table]:
        cells = [_cell(text, size, column) for text, size, column in zip(row, widths, columns, strict=True)]
        lines.append(GAP.join(cells[:shown]).rstrip())
    return lines


def _cell(text: str, width: int, column: Column) -> str:
    text = cut(text, width)
    space = " " * (width - cell_len(text))
    return space + text if column.number else text + space


def size(count: float) -> str:
    """Bytes, with three digits and a unit."""
    if count < 1_000:
        return f"{count:.0f} B"
    for unit in ("kB", "MB", "GB", "TB"):
        count /= 1_000
        if count < 999.5:
            return f"{count:.3g} {unit}" if count < 99.95 else f"{count:.0f} {unit}"
    return f"{count:,.0f} TB"


def duration(seconds: float) -> str:
    """How long, in the two largest units."""
    total = int(max(seconds, 0))
    days, hours, minutes = total // 86_400, total // 3_600 % 24, total // 60 % 60
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    if minutes:
        return f"{minutes} min {total % 60} s"
    return f"{total} s"


def ago(then: Any, now: float) -> str:
    """How long ago something was, in one unit."""
    return " ".join(duration(now - float(then)).split(" ")[:2])
