"""Whether one topic filter covers another, by examples and against counting out every topic."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mqttbroker.security import covers
from mqttbroker.topics import filter_matches


@pytest.mark.parametrize(
    ("rule_filter", "topic_filter", "expected"),
    [
        ("a/b", "a/b", True),
        ("a/b", "a/c", False),
        ("a/b", "a", False),
        ("a", "a/b", False),
        ("a/b", "a/+", False),
        ("a/b", "a/#", False),
        ("a/+", "a/b", True),
        ("a/+", "a/", True),
        ("a/+", "a/+", True),
        ("a/+", "a/#", False),
        ("a/+", "a", False),
        ("a/+", "a/b/c", False),
        ("a/#", "a", True),
        ("a/#", "a/b/c", True),
        ("a/#", "a/+", True),
        ("a/#", "a/+/#", True),
        ("a/#", "a/#", True),
        ("a/#", "+/b", False),
        ("a/#", "#", False),
        ("a/#", "b", False),
        ("a/#", "ab", False),
        ("a/#", "", False),
        ("a/+/#", "a/#", False),
        ("#", "#", True),
        ("#", "+", True),
        ("#", "/", True),
        ("#", "a/+/c/#", True),
        ("+", "+", True),
        ("+", "#", False),
        ("+/#", "#", True),
        ("+/+/#", "#", False),
        ("/+/#", "/#", True),
        ("+/+/#", "/#", True),
        ("/a/#", "/#", False),
        ("+/+", "/a", True),
        ("/+", "+/a", False),
        ("#", "$SYS", False),
        ("#", "$SYS/#", False),
        ("+/#", "$SYS/a", False),
        ("+", "$SYS", False),
        ("$SYS/#", "$SYS/a/+", True),
        ("$SYS/+", "$SYS/a", True),
        ("$SYS/#", "#", False),
        ("$SYS/#", "+/a", False),
        ("a/#", "a/$b", True),
        ("a/+", "a/$b", True),
    ],
)
def test_examples(rule_filter: str, topic_filter: str, expected: bool) -> None:
    assert covers(rule_filter, topic_filter) is expected


def test_sixty_thousand_levels() -> None:
    """Work is linear, and nothing recurses by levels."""
    deep = "/" * 65_535
    assert covers("#", deep)
    assert covers(deep, deep)
    assert not covers(deep, deep[1:])
    assert covers("+/" * 30_000 + "#", "+/" * 30_000 + "#")


# "z" and "$z" are in no filter: they stand for every text that a rule does not name.
TOPIC_LEVELS = ("a", "", "z", "$s", "$z")
FILTER_LEVELS = ("a", "", "$s", "+")
DEPTH = 3
TOPICS = [
    "/".join(levels)
    for depth in range(1, DEPTH + 2)
    for levels in itertools.product(TOPIC_LEVELS, repeat=depth)
    if levels != ("",)  # A topic has at least one character.
]
FILTERS = [
    "/".join([*levels, *end])
    for depth in range(DEPTH + 1)
    for levels in itertools.product(FILTER_LEVELS, repeat=depth)
    for end in ([], ["#"])
    if [*levels, *end] not in ([], [""])
]
filters = st.sampled_from(FILTERS)


def test_agrees_with_every_topic_of_a_small_alphabet() -> None:
    """Filters have at most three levels before a final "#", so topics of four levels tell all of them apart."""
    matched = {text: frozenset(topic for topic in TOPICS if filter_matches(text, topic)) for text in FILTERS}
    for rule_filter, by_rule in matched.items():
        for topic_filter, by_filter in matched.items():
            assert covers(rule_filter, topic_filter) is (by_filter <= by_rule), (rule_filter, topic_filter)


@given(topic_filter=filters)
def test_every_filter_covers_itself(topic_filter: str) -> None:
    assert covers(topic_filter, topic_filter)


@given(first=filters, second=filters, third=filters)
def test_covering_is_transitive(first: str, second: str, third: str) -> None:
    if covers(first, second) and covers(second, third):
        assert covers(first, third)
