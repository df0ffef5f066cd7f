"""The tables of numbered statements in ``data/``, and which of them a broker has to obey.

``mqtt5.tsv`` and ``mqtt311.tsv`` have one row per statement: its identifier in the standard, the section, whom it
binds (``server``, ``client`` or ``both``), MUST or MUST NOT, the statement in our words, and what a test observes. A
row that binds clients alone says "client only" there, and needs no test of a broker; one that says "by the others"
follows from all the other rows together.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

__all__ = ["BY_THE_OTHERS", "CLIENT_ONLY", "FOLDER", "MARK", "TABLES", "TITLES", "Statement", "load", "version_of"]

FOLDER = Path(__file__).parent
MARK = "normative"
CLIENT_ONLY = "client only"
BY_THE_OTHERS = "by the others"
TABLES = {"v5": "mqtt5.tsv", "v311": "mqtt311.tsv"}
"""Folder of the tests to file of the statements."""
TITLES = {"v5": "MQTT 5.0", "v311": "MQTT 3.1.1"}


@dataclass(frozen=True, slots=True)
class Statement:
    """One row of a table."""

    id: str
    section: str
    role: str
    level: str
    statement: str
    check: str

    @property
    def needs_test(self) -> bool:
        """Whether a broker has to obey it, and a test of its own has to show that it does."""
        return self.role != "client" and self.check != BY_THE_OTHERS


def load(version: str) -> dict[str, Statement]:
    """The statements of one version by identifier, in the standard's order. ``version`` is a key of ``TABLES``."""
    with (FOLDER / "data" / TABLES[version]).open(encoding="utf-8", newline="") as table:
        rows = [Statement(**row) for row in csv.DictReader(table, delimiter="\t", quoting=csv.QUOTE_NONE)]
    return {row.id: row for row in rows}


def version_of(path: Path) -> str | None:
    """The version whose folder a test file is in."""
    try:
        top = path.resolve().relative_to(FOLDER.resolve()).parts[0]
    except ValueError:
        return None
    return top if top in TABLES else None
