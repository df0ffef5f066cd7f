"""Tables and figures for terminals."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from mqttbroker.cli.columns import Column, ago, cut, duration, rows_of, size

COLUMNS = (Column("NAME", most=6), Column("COUNT", number=True), Column("WHERE", most=5))


def test_as_wide_as_what_is_there() -> None:
    assert rows_of(COLUMNS, [["a", "1", "here"], ["long name", "1,000", ""]], None) == [
        "NAME       COUNT  WHERE",
        "a              1  here",
        "long name  1,000",
    ]


@pytest.mark.parametrize("width", range(1, 40))
def test_no_wider_than_the_window(width: int) -> None:
    rows = [["日本語の名前", "1", "somewhere"], ["\x1b[2J" * 20, "12,345", "x" * 300]]
    lines = rows_of(COLUMNS, rows, width)
    assert all(cell_len(line) <= width for line in lines)
    assert "\x1b" not in "".join(lines)


def test_cut() -> None:
    assert [cut("abcdef", each) for each in (6, 5, 1, 0)] == ["abcdef", "abcd…", "…", ""]


@pytest.mark.parametrize(
    ("count", "shown"),
    [(0, "0 B"), (999, "999 B"), (1_000, "1 kB"), (1_234, "1.23 kB"), (999_999, "1 MB"), (123_456_789, "123 MB")],
)
def test_sizes(count: int, shown: str) -> None:
    assert size(count) == shown


@pytest.mark.parametrize(
    ("seconds", "shown", "short"),
    [(0, "0 s", "0 s"), (61, "1 min 1 s", "1 min"), (7_320, "2 h 2 min", "2 h"), (90_000, "1 d 1 h", "1 d")],
)
def test_durations(seconds: int, shown: str, short: str) -> None:
    assert duration(seconds) == shown
    assert ago(1_000.0 - seconds, 1_000.0) == short
