"""The sample of mutants: the same for the same seed, and of every package."""

from __future__ import annotations

from collections import Counter

from tests.mutation.__main__ import PACKAGES, draw, package, verdicts

MUTANTS = [
    f"mqttbroker.{name}.x_f__mutmut_{number}"
    for name, count in zip(PACKAGES, (50, 100, 2, 848), strict=True)
    for number in range(count)
]


def test_in_proportion_and_at_least_one_of_each_package() -> None:
    sample = draw(MUTANTS, 100, 1)
    assert Counter(map(package, sample)) == {"protocol": 5, "topics": 10, "sessions": 1, "broker": 85}
    assert len(set(sample)) == len(sample)


def test_the_seed_decides_and_not_the_order() -> None:
    assert draw(MUTANTS, 100, 1) == draw(MUTANTS[::-1], 100, 1)
    assert draw(MUTANTS, 100, 1) != draw(MUTANTS, 100, 2)


def test_what_mutmut_prints() -> None:
    printed = (
        "Listing\n    mqttbroker.topics.names.x_f__mutmut_1: not checked\n    mqttbroker.topics.x__mutmut_2: killed\n"
    )
    assert verdicts(printed) == {
        "mqttbroker.topics.names.x_f__mutmut_1": "not checked",
        "mqttbroker.topics.x__mutmut_2": "killed",
    }
