"""Whether one topic filter covers another: every topic name that the second matches, the first matches too.

The decision behind "may this client subscribe to this filter". It is exact, given that levels may hold any text:

- a ``+`` is covered by ``+`` or ``#`` only, since no list of texts is all of them;
- a ``#`` is covered by ``#`` only, except that no topic is empty [MQTT-4.7.3-1]: so ``#`` alone is the same as ``+/#``,
  and ``/#`` is the same as ``/+/#``;
- ``a/#`` covers ``a`` [section 4.7.1.2];
- a filter that begins with a wildcard matches no topic that begins with ``$``, so it covers no filter that does.
"""

from __future__ import annotations

__all__ = ["covers"]


def covers(rule_filter: str, topic_filter: str) -> bool:
    """Tell whether ``rule_filter`` matches every topic name that ``topic_filter`` matches.

    Both are valid topic filters, and neither begins with ``$share``.
    """
    if topic_filter.startswith("$") and rule_filter.startswith(("+", "#")):
        return False  # [MQTT-4.7.2-1]
    rule_levels = rule_filter.split("/")
    levels = topic_filter.split("/")
    if topic_filter in ("#", "/#"):
        levels.insert(-1, "+")
    for rule_level, level in zip(rule_levels, levels, strict=False):
        if rule_level == "#":
            return True
        if level == "#" or (rule_level != "+" and rule_level != level):
            return False
        # What is left: equal levels, or a "+" in the rule over one level of whatever text, "+" included.
    if len(rule_levels) == len(levels) + 1:
        return rule_levels[-1] == "#"
    return len(rule_levels) == len(levels)
