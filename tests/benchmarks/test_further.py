from __future__ import annotations

import subprocess
import sys

import pytest

from benchmarks import further
from benchmarks.further import FURTHER, tables
from benchmarks.scenarios import CASES


def test_numbers_are_not_those_of_loads() -> None:
    assert not {each.number for each in FURTHER} & {case.number for case in CASES}


def test_rows_are_of_each_build_that_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(further, "_in_process", lambda at, quick, build: [{"title": FURTHER[at].title}])
    found = tables([11], True, ["pure", "compiled", "mosquitto"], lambda text: None)
    assert [table.title for table in found] == ["Many subscriptions"]
    assert found[0].rows == [{"build": build, "title": "Many subscriptions"} for build in ("compiled", "pure")]


def test_what_fails_has_the_reason_in_its_text(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(at: int, quick: bool, build: str) -> None:
        raise subprocess.CalledProcessError(1, sys.executable, stderr="Traceback\nOSError: no room\n")

    monkeypatch.setattr(further, "_in_process", fail)
    (table,) = tables([16], True, ["pure"], lambda text: None)
    assert table.rows == []
    assert table.text.endswith("With the build pure this failed: OSError: no room")
