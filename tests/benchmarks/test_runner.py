from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import runner
from benchmarks.__main__ import main
from benchmarks.certificates import Certificates
from benchmarks.peers import add_command, peer
from benchmarks.render import write
from benchmarks.results import Figures
from benchmarks.runner import Failed, figures_of, measure, reason
from benchmarks.scenarios import BROKERS, CASES, SCENARIOS, SECTIONS, Case
from mqttbroker.bench import Transport
from tests.benchmarks.reports import make_report

CLOSED = Case(1, "messages", SCENARIOS[0])
FANOUT = Case(18, "latency", SCENARIOS[2], rate=10)
LATENCY = {"p50": 0.001, "p99": 0.002, "p99.9": 0.003, "max": 0.004}
NO_CERTIFICATES = Certificates(Path(), Path(), Path())


class TestCases:
    def test_are_in_sections(self) -> None:
        assert {case.section for case in CASES} == {section.key for section in SECTIONS}

    def test_have_names_of_their_own_in_a_section(self) -> None:
        names = [(case.section, case.name) for case in CASES]
        assert len(names) == len(set(names))

    def test_know_their_brokers(self) -> None:
        for name in {name for case in CASES for name in (*case.brokers, *case.further)} | set(BROKERS):
            assert peer(name)[0].name == name.partition("+")[0]


class TestFigures:
    def test_are_cost_and_rate(self) -> None:
        assert figures_of(CLOSED, 10, 2.0, 7.0, None) == {"cpu": 7.0, "rate": 5.0}

    def test_have_milliseconds_at_a_fixed_rate(self) -> None:
        assert figures_of(FANOUT, 2_000, 2.0, 7.0, LATENCY) == {
            "cpu": 7.0,
            "rate": 1_000.0,
            "p50": 1.0,
            "p99": 2.0,
            "p99.9": 3.0,
        }

    def test_need_something_delivered(self) -> None:
        with pytest.raises(Failed, match="nothing"):
            figures_of(CLOSED, 0, 1.0, float("nan"), None)

    def test_need_a_broker_that_keeps_up(self) -> None:
        with pytest.raises(Failed, match="delivered 900 of 1,000 messages a second"):
            figures_of(FANOUT, 900, 1.0, 7.0, LATENCY)


class TestRounds:
    def test_are_taken_in_turn(self, monkeypatch: pytest.MonkeyPatch) -> None:
        asked = []

        def one_round(case: Case, name: str, seconds: float, certificates: Certificates) -> Figures:
            asked.append(name)
            return {"cpu": 1.0, "rate": 1.0}

        monkeypatch.setattr(runner, "one_round", one_round)
        measured = measure(CLOSED, ["a", "b"], 2, 1.0, NO_CERTIFICATES, lambda text: None)
        assert asked == ["a", "b", "a", "b"]
        assert {name: len(rounds) for name, rounds in measured.rounds.items()} == {"a": 2, "b": 2}

    def test_end_for_whom_fails_twice(self, monkeypatch: pytest.MonkeyPatch) -> None:
        asked = []

        def one_round(case: Case, name: str, seconds: float, certificates: Certificates) -> Figures:
            asked.append(name)
            if name == "bad" or (name == "shy" and asked.count("shy") == 1):
                raise Failed("it fell over")
            return {"cpu": 1.0, "rate": 1.0}

        monkeypatch.setattr(runner, "one_round", one_round)
        measured = measure(CLOSED, ["bad", "shy"], 2, 1.0, NO_CERTIFICATES, lambda text: None)
        assert asked == ["bad", "bad", "shy", "shy", "shy"]
        assert measured.failures == {"bad": "it fell over"}
        assert list(measured.rounds) == ["shy"]

    def test_of_a_broker_without_the_transport_fail(self) -> None:
        case = Case(1, "messages", SCENARIOS[0], transport=Transport.UNIX)
        with pytest.raises(Failed, match="no Unix"):
            runner.one_round(case, "aedes", 1.0, NO_CERTIFICATES)


def test_reasons_are_one_line() -> None:
    assert reason(ValueError("one\ntwo")) == "one"
    assert reason(TimeoutError()) == "it did not end in time"
    assert reason(ExceptionGroup("all", [OSError("gone")])) == "gone"


class TestPeers:
    def test_have_options(self) -> None:
        found, options = peer("compiled+rules")
        assert found.name == "compiled"
        assert options == {"rules"}

    @pytest.mark.parametrize("name", ["nobody", "aedes+rules"])
    def test_are_known(self, name: str) -> None:
        with pytest.raises(KeyError):
            peer(name)

    @pytest.mark.parametrize(("name", "command"), [("mosquitto", "x {port}"), ("new", "x"), ("a b", "x {port}")])
    def test_can_not_be_any_command(self, name: str, command: str) -> None:
        with pytest.raises(ValueError):
            add_command(name, command)


def test_the_report_is_written_again_from_its_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(make_report(), tmp_path)
    before = (tmp_path / "benchmarks.md").read_text(encoding="utf-8")
    (tmp_path / "benchmarks.md").unlink()
    main(["--render", "--output", str(tmp_path)])
    assert (tmp_path / "benchmarks.md").read_text(encoding="utf-8") == before
    assert "benchmarks.md" in capsys.readouterr().out
