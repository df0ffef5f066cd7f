"""Differences of texts, held against what `patch` would make of them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mqttbroker.admin import text_diff as module
from mqttbroker.admin.text_diff import text_diff

TEXTS = st.lists(st.sampled_from(["a", "b", "", "- c", "+ d"]), max_size=12).map("\n".join)


def patched(before: str, diff: str) -> str:
    """The text that a diff makes of another one."""
    lines = before.split("\n")
    made: list[str] = []
    at = 0
    for line in diff.split("\n")[2:]:
        place = re.fullmatch(r"@@ -(\d+)(?:,(\d+))? \+\d+(?:,\d+)? @@", line)
        if place is not None:
            # Where nothing is taken away, a hunk names the line before it.
            start = int(place[1]) - (place[2] != "0")
            made += lines[at:start]
            at = start
        elif line[0] == "+":
            made.append(line[1:])
        else:
            assert lines[at] == line[1:]
            at += 1
            if line[0] == " ":
                made.append(line[1:])
    return "\n".join(made + lines[at:])


@given(TEXTS, TEXTS)
def test_a_diff_makes_one_of_the_other(before: str, after: str) -> None:
    diff = text_diff(before, after, "before", "after")
    assert patched(before, diff) == after if diff else before == after


@pytest.mark.parametrize("shared", [0, 2, 5])
def test_so_does_that_of_texts_that_are_too_long_to_compare(monkeypatch: pytest.MonkeyPatch, shared: int) -> None:
    monkeypatch.setattr(module, "MOST", 0)
    common = [f"same {number}" for number in range(shared)]
    before = "\n".join([*common, "old", "old too", *common])
    after = "\n".join([*common, "new", *common])
    diff = text_diff(before, after, "before", "after")
    assert patched(before, diff) == after
    assert diff.count("\n+") == 2  # The header, and what is new.
