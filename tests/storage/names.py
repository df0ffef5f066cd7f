"""Client identifiers, filters and topics that a careless key would confuse."""

from __future__ import annotations

__all__ = ["AWKWARD_NAMES"]

AWKWARD_NAMES = (
    "a",
    "ab",
    "a/b",
    "a/",
    "/a",
    "a b",
    "a:b",
    "a\x01",
    "a1",
    "a11",
    "A",
    "\u0430",  # Cyrillic, looks like "a".
    "\u00e4",
    "a\u0308",  # The same letter to the eye, in two code points.
    "\ufeffa",
    "\U0010ffff",
    "\U0001f600\U0001f600",
    "%61",
    "../a",
    "x" * 510,
    "x" * 511,
    "x" * 512,
    "x" * 65_534,
    "x" * 65_535,
    "x" * 65_534 + "y",
)
"""Prefixes of one another, separators, look-alikes, and names around the lengths at which keys of databases end."""
