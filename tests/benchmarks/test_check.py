from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.check import Verdict, confirmed, keep, main, ratios_of, read, verdicts
from benchmarks.ratios import Ratio
from benchmarks.results import Measured

BEFORE = Ratio(0.50, 0.45, 0.60)


@pytest.mark.parametrize(
    ("now", "worse"),
    [
        (Ratio(0.50, 0.45, 0.60), False),
        (Ratio(0.20, 0.10, 0.30), False),
        (Ratio(0.54, 0.53, 0.55), False),
        (Ratio(0.60, 0.49, 0.90), False),
        (Ratio(0.56, 0.51, 0.90), True),
        (None, True),
    ],
    ids=["same", "better", "within the tolerance", "one round as good", "worse", "nothing"],
)
def test_is_worse_beyond_tolerance_and_spread(now: Ratio | None, worse: bool) -> None:
    assert Verdict("pure", 1, BEFORE, now).worse is worse


def test_what_is_new_is_not_worse() -> None:
    verdict = Verdict("pure", 1, None, BEFORE)
    assert not verdict.worse
    assert verdict.change is None
    assert str(verdict).endswith("new")


def test_says_by_how_much() -> None:
    assert "+20%  WORSE" in str(Verdict("pure", 6, BEFORE, Ratio(0.60, 0.55, 0.70)))


def test_what_was_worse_once_has_to_be_so_twice() -> None:
    good, bad = Ratio(0.5, 0.5, 0.5), Ratio(0.9, 0.9, 0.9)
    first = [Verdict("pure", 1, BEFORE, bad), Verdict("pure", 2, BEFORE, good), Verdict("pure", 3, BEFORE, bad)]
    second = [Verdict("pure", 1, BEFORE, good), Verdict("pure", 2, BEFORE, bad), Verdict("pure", 3, BEFORE, bad)]
    assert [each.worse for each in confirmed(first, second)] == [False, False, True]


def measured(number: int, **cpu: float) -> Measured:
    return Measured("messages", number, "x", {name: [{"cpu": value, "rate": 1.0}] for name, value in cpu.items()})


def test_ratios_are_to_the_reference_of_the_same_load() -> None:
    found = ratios_of([measured(1, pure=1.0, mosquitto=4.0), measured(5, pure=2.0, mosquitto=4.0)], "mosquitto")
    assert found == {"compiled": {}, "pure": {1: Ratio(0.25, 0.25, 0.25), 5: Ratio(0.5, 0.5, 0.5)}}


def test_the_relay_stands_for_what_it_cannot_do() -> None:
    found = ratios_of([measured(1, compiled=1.0, relay=0.5), measured(5, compiled=2.0)], "relay")
    assert found["compiled"] == {1: Ratio(2.0, 2.0, 2.0), 5: Ratio(4.0, 4.0, 4.0)}


def test_what_is_kept_is_read_again(tmp_path: Path) -> None:
    ratios = {"mosquitto": {"pure": {1: BEFORE}, "compiled": {6: BEFORE}}}
    keep(tmp_path / "baseline.json", ratios, "1.0")
    assert read(tmp_path / "baseline.json") == ratios


def test_compares_what_one_of_both_has() -> None:
    before, now = {"pure": {1: BEFORE, 2: BEFORE}}, {"pure": {2: BEFORE, 3: BEFORE}}
    assert [(each.number, each.worse) for each in verdicts(before, now)] == [(1, True), (2, False), (3, False)]


def test_without_kept_figures_there_is_nothing_to_compare(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--baseline", str(tmp_path / "none.json")])
    assert stopped.value.code == 2
    assert "--update makes one" in capsys.readouterr().err
