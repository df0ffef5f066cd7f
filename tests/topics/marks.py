"""A subscription tree whose entries are told apart by a text."""

from __future__ import annotations

from mqttbroker.topics import Entry, SubscriptionTree

__all__ = ["MarkTree"]


class MarkTree:
    """The tree, which takes and gives texts instead of entries."""

    def __init__(self) -> None:
        self.tree: SubscriptionTree[Entry] = SubscriptionTree()
        # By entry, and not in a class of their own: where the tree is compiled, nobody else may inherit from `Entry`.
        self.texts: dict[Entry, str] = {}

    def __len__(self) -> int:
        return len(self.tree)

    def add(self, topic_filter: str, holder: object, text: str) -> str | None:
        """Add a new entry; the text of what it replaced."""
        entry = Entry(topic_filter, holder)
        self.texts[entry] = text
        replaced = self.tree.add(entry)
        return None if replaced is None else self.texts.pop(replaced)

    def remove(self, topic_filter: str, holder: object) -> str | None:
        """Remove an entry; its text."""
        removed = self.tree.remove(topic_filter, holder)
        if removed is None:
            return None
        assert (removed.topic_filter, removed.holder) == (topic_filter, holder)
        return self.texts.pop(removed)

    def match(self, topic: str) -> list[str]:
        """The texts of all matching entries."""
        return [self.texts[entry] for entry in self.tree.match(topic)]

    @property
    def pruned(self) -> bool:
        """Whether the tree is as it was when it was new."""
        return not len(self.tree) and not self.tree._exact and self.tree._root.is_bare()
