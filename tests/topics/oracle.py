"""What a topic filter matches, worked out in the slowest and plainest way, to hold the fast ways against.

Written from section 4.7 of the standard and sharing nothing with the package.
"""

from __future__ import annotations

__all__ = ["NaiveSubscriptions", "matches"]


def matches(topic_filter: str, topic: str) -> bool:
    """Whether the filter matches the topic."""
    wanted = topic_filter.split("/")
    given = topic.split("/")
    if given[0][:1] == "$" and wanted[0] in {"+", "#"}:
        return False
    open_ended = wanted[-1] == "#"
    if open_ended:
        wanted.pop()
    if len(given) < len(wanted) or (len(given) > len(wanted) and not open_ended):
        return False
    return all(level in {"+", name} for level, name in zip(wanted, given, strict=False))


class NaiveSubscriptions:
    """Subscriptions in one flat dictionary, of which all are looked at each time."""

    def __init__(self) -> None:
        self.entries: dict[tuple[str, object], str] = {}

    def add(self, topic_filter: str, holder: object, entry: str) -> str | None:
        """As `SubscriptionTree.add`."""
        replaced = self.entries.get((topic_filter, holder))
        self.entries[topic_filter, holder] = entry
        return replaced

    def remove(self, topic_filter: str, holder: object) -> str | None:
        """As `SubscriptionTree.remove`."""
        return self.entries.pop((topic_filter, holder), None)

    def match(self, topic: str) -> list[str]:
        """The matching entries, sorted."""
        return sorted(entry for (topic_filter, _), entry in self.entries.items() if matches(topic_filter, topic))
