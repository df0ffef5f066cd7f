from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.goals import GOALS, goals_of
from benchmarks.ratios import Ratio, ratio, rounded
from benchmarks.results import Measured, Report
from benchmarks.scenarios import SCENARIOS
from tests.benchmarks.reports import make_report


class TestRatio:
    def test_is_taken_round_by_round(self) -> None:
        assert Ratio.of([1.0, 4.0, 9.0], [2.0, 4.0, 3.0]) == Ratio(1.0, 0.5, 3.0)

    def test_wants_as_many_rounds_of_both(self) -> None:
        with pytest.raises(ValueError):
            Ratio.of([1.0], [1.0, 2.0])

    def test_wants_a_round(self) -> None:
        with pytest.raises(ValueError):
            Ratio.of([], [])

    def test_has_its_spread_in_brackets(self) -> None:
        assert ratio([1.0, 1.0], [8.0, 16.0]) == "0.094 (0.062–0.12)"

    @pytest.mark.parametrize(("value", "text"), [(0.0123, "0.012"), (0.456, "0.46"), (7.891, "7.89"), (123.4, "123")])
    def test_has_the_digits_that_count(self, value: float, text: str) -> None:
        assert rounded(value) == text


class TestMeasured:
    def test_has_the_median_of_its_rounds(self) -> None:
        measured = Measured("messages", 1, "x", {"a": [{"cpu": 1.0}, {"cpu": 5.0}, {"cpu": 2.0}]})
        assert measured.middle("a", "cpu") == 2.0
        assert measured.middle("a", "p99") is None
        assert measured.middle("b", "cpu") is None

    def test_has_no_ratio_to_what_failed(self) -> None:
        measured = Measured("messages", 1, "x", {"a": [{"cpu": 1.0}]}, {"b": "why"})
        assert measured.ratio("a", "b") is None


class TestReport:
    def test_is_read_as_it_was_written(self, tmp_path: Path) -> None:
        report = make_report()
        report.write(tmp_path / "deep/results.json")
        assert Report.read(tmp_path / "deep/results.json") == report

    def test_keeps_five_digits(self, tmp_path: Path) -> None:
        report = make_report(compiled=1 / 3)
        report.write(tmp_path / "results.json")
        assert Report.read(tmp_path / "results.json").measured[0].rounds["compiled"][0]["cpu"] == 0.33333

    def test_takes_over_what_was_measured_again(self) -> None:
        report, later = make_report(), make_report(compiled=0.25)
        later.measured = later.measured[:1]
        later.tables = []
        rest = report.measured[1:]
        report.replace(later)
        assert report.measured == [later.measured[0], *rest]
        assert report.tables == make_report().tables


class TestGoals:
    def test_there_is_one_for_each_scenario(self) -> None:
        assert {len(goals) for goals in GOALS.values()} == {len(SCENARIOS)}

    @pytest.mark.parametrize(("compiled", "met"), [(0.59, True), (0.61, False)])
    def test_is_met_by_the_median(self, compiled: float, met: bool) -> None:
        goal = goals_of(make_report(compiled=compiled).measured)[0]
        assert (goal.build, goal.number, goal.wanted) == ("compiled", 1, 0.06)
        assert goal.met is met

    def test_is_open_without_mosquitto(self) -> None:
        report = make_report()
        del report.measured[0].rounds["mosquitto"]
        assert [goal.met for goal in goals_of(report.measured)] == [None, None]
