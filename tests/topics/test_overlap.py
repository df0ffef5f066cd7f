"""Whether two topic filters can match the same topic."""

from __future__ import annotations

from itertools import product

import pytest

from mqttbroker.topics import filter_matches, filters_overlap

LEVELS = ("a", "b", "+", "#", "")
NAMES = [
    "/".join(each) for size in (1, 2, 3, 4) for each in product(("a", "b", "c", ""), repeat=size) if size > 1 or each[0]
]
FILTERS = [
    "/".join(each)
    for size in (1, 2, 3)
    for each in product(LEVELS, repeat=size)
    if "#" not in each[:-1] and (size > 1 or each[0])
]


def test_all_small_filters() -> None:
    matched = {each: {name for name in NAMES if filter_matches(each, name)} for each in FILTERS}
    for one, other in product(FILTERS, repeat=2):
        assert filters_overlap(one, other) == bool(matched[one] & matched[other]), (one, other)


@pytest.mark.parametrize(
    ("one", "other", "overlap"),
    [("$SYS/#", "#", False), ("$SYS/#", "+/x", False), ("$SYS/#", "$SYS/a", True), ("$SYS/+", "$a/+", False)],
)
def test_names_of_the_servers_own(one: str, other: str, overlap: bool) -> None:
    assert filters_overlap(one, other) is overlap
    assert filters_overlap(other, one) is overlap
