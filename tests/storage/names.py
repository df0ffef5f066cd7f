"""Client identifiers, filters and topics that a careless key would confuse."""

from __future__ import annotations

__all__ = ["AWKWARD_NAMES", "LONGEST_NAME"]

AWKWARD_NAMES = (
    "a",
    "ab",
    "a/b",
    "a/",
    "/a",
    "a b",
    "a:b",
    "a\x00",
    "\x00a",
    "a\x00b",
    "a/\x00b",  # As a mount point with a client identifier behind it.
    "a\x00/b",
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

LONGEST_NAME = "m" * 1_023 + "/\x00" + "x" * 65_535
"""A client identifier as long as MQTT allows, behind a mount point as long as the broker allows."""
