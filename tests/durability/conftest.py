"""What the tests of faults share: the shim, compiled once, and a data directory with an offline session in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.durability.shim import Shim, compile_shim


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_shim(tmp_path_factory.mktemp("shim"))


@pytest.fixture
def shim(library: Path, tmp_path: Path) -> Shim:
    return Shim(library, tmp_path)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Where a broker keeps its data; not there yet."""
    return tmp_path / "store"
