"""The difference between two texts, in bounded time."""

from __future__ import annotations

import difflib
from typing import Final

__all__ = ["text_diff"]

CONTEXT: Final = 3
MOST: Final = 4_000_000
"""Pairs of lines that are held against each other; beyond that everything between the first and the last difference
counts as changed.
"""


def text_diff(before: str, after: str, before_name: str, after_name: str) -> str:
    """A unified diff; empty where both are the same."""
    old, new = before.split("\n"), after.split("\n")
    if old == new:
        return ""
    shortest = min(len(old), len(new))
    first = next((at for at in range(shortest) if old[at] != new[at]), shortest)
    rest = shortest - first
    last = next((at for at in range(rest) if old[-1 - at] != new[-1 - at]), rest)
    if (len(old) - first - last) * (len(new) - first - last) <= MOST:
        lines = difflib.unified_diff(old, new, before_name, after_name, lineterm="", n=CONTEXT)
        return "\n".join(lines)
    start, end = max(0, first - CONTEXT), min(CONTEXT, last)
    old_end, new_end = len(old) - last, len(new) - last
    header = f"@@ -{start + 1},{old_end + end - start} +{start + 1},{new_end + end - start} @@"
    return "\n".join(
        [
            f"--- {before_name}",
            f"+++ {after_name}",
            header,
            *(f" {line}" for line in old[start:first]),
            *(f"-{line}" for line in old[first:old_end]),
            *(f"+{line}" for line in new[first:new_end]),
            *(f" {line}" for line in old[old_end : old_end + end]),
        ]
    )
