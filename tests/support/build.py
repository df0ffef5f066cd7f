"""Which build is under test: the one that is compiled, or the pure Python that it is compiled from."""

from __future__ import annotations

import pytest

import mqttbroker

__all__ = ["pure_only"]

pure_only = pytest.mark.skipif(
    mqttbroker.is_compiled(), reason="replaces a part of the broker, which only the pure build lets it do"
)
"""For tests that look inside by putting something else in the place of a function or a method."""
