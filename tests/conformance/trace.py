"""Which statements the collected tests name: handed from collection to ``test_traceability.py``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conformance.statements import FOLDER

__all__ = ["TRACE", "Trace", "collected_files", "files_of"]


@dataclass(frozen=True, slots=True)
class Trace:
    """What collection saw of one version's folder."""

    complete: bool
    """Whether all of its test files were collected as a whole."""
    named: frozenset[str]
    """The statements that tests name."""


TRACE: pytest.StashKey[dict[str, Trace]] = pytest.StashKey()


def files_of(version: str) -> set[Path]:
    """The test files in a version's folder."""
    return {path.resolve() for path in (FOLDER / version).rglob("test_*.py")}


def collected_files(config: pytest.Config, items: Iterable[pytest.Item]) -> set[Path]:
    """The files whose tests were collected; none if single tests were asked for."""
    if any("::" in argument for argument in config.args):
        return set()
    return {item.path.resolve() for item in items}
