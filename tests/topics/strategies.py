"""Hypothesis strategies for topic names and filters that are likely to meet one another."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st

__all__ = ["MANY", "filters", "topics"]

MANY = settings(max_examples=2 * settings().max_examples)
"""Twice as many examples as usual."""

_LEVELS = ["", "a", "b", "$x", "é"]

topics = st.lists(st.sampled_from(_LEVELS), min_size=1, max_size=4).map("/".join).filter(bool)
"""Topic names."""

filters = (
    st.tuples(st.lists(st.sampled_from([*_LEVELS, "+", "+"]), max_size=4), st.sampled_from([[], [], ["#"]]))
    .map(lambda parts: "/".join(parts[0] + parts[1]))
    .filter(bool)
)
"""Topic filters that are not shared, half of them with wildcards or more."""
