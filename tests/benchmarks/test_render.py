from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks.plots import plots
from benchmarks.render import grid, losses, markdown, significant, write
from benchmarks.results import Report
from benchmarks.svg import Dot, Plot, ticks
from tests.benchmarks.reports import make_report


class TestMarkdown:
    def test_says_whether_goals_are_met(self) -> None:
        page = markdown(make_report(compiled=0.5))
        assert "| mqttbroker, compiled: 1. 1 pair, QoS 0, window 500 | 0.060 | 0.050 (0.050–0.050) | met |" in page
        assert "**not met**" in markdown(make_report(compiled=0.7))

    def test_shows_what_is_lost(self) -> None:
        assert losses(make_report()) == []
        assert [text for _, text in losses(make_report(compiled=20.0))] == [
            "1 pair, QoS 0, window 500: mqttbroker, compiled to Mosquitto 2.00 (2.00–2.00)"
        ]
        assert "Nowhere in this run." in markdown(make_report())

    def test_has_a_footnote_where_a_broker_failed(self) -> None:
        page = markdown(make_report())
        assert "| –[^1] |" in page
        assert "[^1]: aMQTT: nothing was delivered\n" in page
        assert "[^2]: aMQTT: delivered 10 of 1,000 messages a second\n" in page

    def test_has_the_floor_but_no_column_for_it(self) -> None:
        page = markdown(make_report())
        assert "### The floor" in page
        assert "| 1. 1 pair, QoS 0, window 500 | 0.11 | 5.00" in page
        assert "ratio of CPU time to | Mosquitto | aMQTT |" in page

    def test_has_percentiles(self) -> None:
        assert "| 1 pair, 1,000/s | 0.1 / 0.2 / 0.4 | 0.1 / 0.2 / 0.4 | –[^2] |" in markdown(make_report())

    def test_has_what_an_option_costs(self) -> None:
        assert "| 1 pair | 2.00 (2.00–2.00) |" in markdown(make_report())

    def test_has_the_tables_of_others(self) -> None:
        page = markdown(make_report())
        assert "## Idle connections\n\nEach says nothing.\n\n| build | connections | KiB |" in page
        assert "| pure | 10,000 | 3.46 |" in page

    def test_says_how_it_was_measured(self) -> None:
        page = markdown(make_report())
        assert "- CPU: a good one" in page
        assert "- Mosquitto: 2.0" in page
        assert "- NATS server is left out: no such thing" in page
        assert "- Rounds: Messages 2, Latency 1, What is switched on 2" in page

    def test_says_that_a_quick_run_says_little(self) -> None:
        report = make_report()
        assert "quick run" not in markdown(report)
        report.quick = True
        assert "quick run" in markdown(report)

    def test_can_be_of_nothing(self) -> None:
        assert "How it was measured" in markdown(Report({}, True, {}, {}))

    def test_has_the_plots_that_it_shows(self, tmp_path: Path) -> None:
        write(make_report(), tmp_path)
        page = (tmp_path / "benchmarks.md").read_text(encoding="utf-8")
        shown = {part.partition(")")[0] for part in page.split("](")[1:] if part.partition(")")[0].endswith(".svg")}
        assert shown == {f"benchmarks/{path.name}" for path in (tmp_path / "benchmarks").glob("*.svg")}
        assert Report.read(tmp_path / "benchmarks/results.json") == make_report()

    def test_leaves_no_plot_of_former_runs(self, tmp_path: Path) -> None:
        (tmp_path / "benchmarks").mkdir()
        (tmp_path / "benchmarks/old.svg").touch()
        write(make_report(), tmp_path)
        assert not (tmp_path / "benchmarks/old.svg").exists()


def test_tables_align_figures() -> None:
    assert grid(["a", "b"], [["x", "1"]]) == "| a | b |\n| --- | ---: |\n| x | 1 |\n"


@pytest.mark.parametrize(("value", "text"), [(0.01234, "0.0123"), (12.34, "12.3"), (1234.5, "1,234"), (0.0, "0")])
def test_figures_have_the_digits_that_count(value: float, text: str) -> None:
    assert significant(value) == text


class TestPlots:
    def test_are_well_formed(self) -> None:
        drawn = plots(make_report())
        assert set(drawn) == {"ratio.svg", "cpu.svg", "rate.svg", "latency.svg"}
        for text in drawn.values():
            assert ElementTree.fromstring(text).tag == "{http://www.w3.org/2000/svg}svg"

    def test_have_colours_for_dark_pages(self) -> None:
        assert "prefers-color-scheme:dark" in plots(make_report())["cpu.svg"]

    def test_escape_what_they_are_given(self) -> None:
        name = '<&">'
        drawn = Plot(name, name, [name], [(name, {name: [Dot(1.0, 1.0, 1.0)]})]).svg()
        texts = {each.text for each in ElementTree.fromstring(drawn).iter("{http://www.w3.org/2000/svg}text")}
        assert name in texts

    def test_lie_within_their_frame(self) -> None:
        row = {"x": [Dot(0.5, 0.013, 77.0), Dot(3.0, 3.0, 3.0, hollow=True)]}
        drawn = ElementTree.fromstring(Plot("a", "b", ["x"], [("row", row)], line=1.0).svg())
        width = float(drawn.attrib["width"])
        places = [float(each.attrib[key]) for each in drawn.iter() for key in ("x1", "x2", "cx") if key in each.attrib]
        assert min(places) >= 0
        assert max(places) <= width

    def test_need_something_to_draw(self) -> None:
        with pytest.raises(ValueError):
            Plot("a", "b", ["x"], [("row", {})]).svg()

    @pytest.mark.parametrize(
        ("low", "high", "marks"),
        [
            (0.3, 4.0, [0.2, 0.5, 1.0, 2.0, 5.0]),
            (1.0, 1.0, [1.0, 2.0]),
            (0.02, 3_000.0, [0.01, 0.1, 1.0, 10.0, 100.0, 1_000.0, 10_000.0]),
        ],
    )
    def test_have_round_numbers_around_their_figures(self, low: float, high: float, marks: list[float]) -> None:
        assert ticks(low, high) == marks

    def test_begin_above_zero(self) -> None:
        with pytest.raises(ValueError):
            ticks(0.0, 1.0)
