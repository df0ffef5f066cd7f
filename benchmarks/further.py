"""What is measured by modules of its own: each gives the rows of a table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.results import Cell, Table

__all__ = ["FURTHER", "Further", "tables"]


@dataclass(frozen=True)
class Further:
    """A table of the report."""

    number: int
    title: str
    text: str
    rows: Callable[[bool, list[str]], list[dict[str, Cell]]]
    """Measures; takes whether it is to be quick, and the brokers that there are."""


FURTHER: tuple[Further, ...] = ()


def tables(only: list[int] | None, quick: bool, brokers: list[str], say: Callable[[str], None]) -> list[Table]:
    """Measure what is asked for. What fails has the reason in the place of its rows."""
    found = []
    for each in FURTHER:
        if only and each.number not in only:
            continue
        say(each.title)
        try:
            found.append(Table(each.title, each.text, each.rows(quick, brokers)))
        except Exception as error:
            found.append(Table(each.title, f"{each.text}\n\nThis failed: {error}", []))
    return found
