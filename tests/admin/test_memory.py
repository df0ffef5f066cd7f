"""How much memory the process takes, and what it is held against."""

from __future__ import annotations

from pathlib import Path

import pytest

from mqttbroker.admin.memory import ceiling, memory, usage

GIB = 2**30


@pytest.fixture
def groups(tmp_path: Path) -> Path:
    return tmp_path / "groups"


def process(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "cgroup"
    path.write_text(text, encoding="ascii")
    return path


def limit(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="ascii")


def test_what_it_takes() -> None:
    now, most = memory()
    found = usage()
    assert 0 < found.own <= found.resident
    assert 0 < now <= most


def test_without_a_group_the_machine_is_the_ceiling(tmp_path: Path, groups: Path) -> None:
    found = ceiling(tmp_path / "missing", groups)
    assert found.size > 2**26


def test_the_lowest_of_a_group_and_those_above_it(tmp_path: Path, groups: Path) -> None:
    limit(groups / "a" / "b" / "memory.max", "max\n")
    limit(groups / "a" / "memory.max", f"{2**24}\n")
    limit(groups / "memory.max", f"{2**25}\n")
    found = ceiling(process(tmp_path, "0::/a/b\n"), groups)
    assert (found.size, found.set_by) == (2**24, "control group")


def test_a_group_of_version_1(tmp_path: Path, groups: Path) -> None:
    limit(groups / "memory" / "a" / "memory.limit_in_bytes", f"{2**24}\n")
    found = ceiling(process(tmp_path, "5:cpu:/\n4:memory:/a\n"), groups)
    assert (found.size, found.set_by) == (2**24, "control group")


def test_a_group_without_a_limit(tmp_path: Path, groups: Path) -> None:
    limit(groups / "memory" / "memory.limit_in_bytes", "9223372036854771712\n")
    limit(groups / "memory.max", "max\n")
    found = ceiling(process(tmp_path, "4:memory:/\n0::/\n"), groups)
    assert found.set_by != "control group"
    assert found == ceiling(tmp_path / "missing", groups)
