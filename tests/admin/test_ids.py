"""Client identifiers in paths."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mqttbroker.admin.ids import path_id, session_id
from mqttbroker.admin.problems import Problem


@pytest.mark.parametrize("known", ["sensor-1", "a/b", "a%2Fb", "öäü", "...", " ", "base6", "~"])
def test_most_stand_as_they_are(known: str) -> None:
    assert path_id(known) == known


@pytest.mark.parametrize("known", ["", ".", "..", "site/\0client", "base64:", "base64:Lg"])
def test_what_cannot_stand_in_a_path_is_encoded(known: str) -> None:
    segment = path_id(known)
    assert segment.startswith("base64:") and segment != known
    assert session_id(segment) == known


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_there_and_back(known: str) -> None:
    assert session_id(path_id(known)) == known
    assert path_id(known) not in (".", "..", "") and "\0" not in path_id(known)


@pytest.mark.parametrize("segment", ["base64:A", "base64:_w"])
def test_what_is_no_identifier(segment: str) -> None:
    with pytest.raises(Problem) as caught:
        session_id(segment)
    assert caught.value.status == 404
