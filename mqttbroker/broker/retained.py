"""Retained messages: one for each topic, in a tree that is searched by topic filter.

Limits: their number and their bytes. An expired message is forgotten when it is met.

The broker's own messages below ``$SYS`` are in a tree apart: they are found like the others, but are neither counted
nor stored.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from mqttbroker.broker.limits import Limits
from mqttbroker.storage import Message, Store
from mqttbroker.topics import TopicTree

__all__ = ["RetainedMessages"]


class RetainedMessages:
    """The retained messages of one broker."""

    def __init__(self, limits: Limits, store: Store) -> None:
        self._limits = limits
        self._store = store
        self._tree: TopicTree[Message] = TopicTree()
        self._own: TopicTree[Message] = TopicTree()
        self.size: int = 0
        """Bytes of all retained messages."""
        for message in store.retained():
            self._tree.set(message.topic, message)
            self.size += message.size

    def __len__(self) -> int:
        return len(self._tree)

    def fits(self, message: Message) -> bool:
        """Whether keeping the message would stay within the limits."""
        if not message.payload:
            return True
        old = self._tree.get(message.topic)
        count = len(self._tree) + (old is None)
        size = self.size + message.size - (old.size if old else 0)
        return count <= self._limits.max_retained_messages and size <= self._limits.max_retained_bytes

    def keep(self, message: Message) -> None:
        """Replace the topic's retained message [MQTT-3.3.1-5], or remove it if the payload is empty [MQTT-3.3.1-6]."""
        if not message.payload:
            self.remove(message.topic)  # [MQTT-3.3.1-7] [3.1.1: MQTT-3.3.1-10] [3.1.1: MQTT-3.3.1-11]
            return
        old = self._tree.get(message.topic)
        if old is not None:
            self.size -= old.size
        self.size += message.size
        self._tree.set(message.topic, message)  # [3.1.1: MQTT-3.3.1-7] At QoS 0 as at any other.
        self._store.put_retained(message)

    def show(self, message: Message) -> None:
        """Keep one of the broker's own messages, in memory only and whatever the limits are."""
        self._own.set(message.topic, message)

    def remove(self, topic: str) -> bool:
        """Forget the topic's retained message; false when there was none."""
        old = self._tree.pop(topic)
        if old is None:
            return False
        self.size -= old.size
        self._store.delete_retained(topic)
        return True

    def get(self, topic: str, now: float) -> Message | None:
        """The topic's retained message, unless it has expired."""
        message = self._tree.get(topic)
        if message is None or not message.expired(now):
            return message
        self.remove(topic)
        return None

    def match(self, topic_filter: str, now: float) -> Iterator[Message]:
        """The retained messages whose topics match, without those that have expired [MQTT-3.3.2-5]."""
        expired: list[Message] = []
        found: Iterator[tuple[str, Message]] = self._tree.match(topic_filter)
        if topic_filter.startswith("$"):
            found = chain(found, self._own.match(topic_filter))
        for _, message in found:
            if message.expired(now):
                expired.append(message)
            else:
                yield message
        for message in expired:
            # The walk may have taken its time: another message may be retained there by now.
            if self._tree.get(message.topic) is message:
                self.remove(message.topic)

    def topics(self, topic_filter: str) -> Iterator[str]:
        """The topics that match, also those whose message has expired. They may be removed on the way."""
        for topic, _ in self._tree.match(topic_filter):
            yield topic

    # Level by level.

    def level_names(self, prefix: str) -> list[str]:
        """The next levels below a prefix: "" for the first level of all topics, ``a/b/`` for what is below ``a/b``."""
        return self._tree.level_names(prefix)

    def level(self, topic: str) -> tuple[Message | None, bool]:
        """The message that is retained under just this topic, expired or not, and whether there are some below it."""
        return self._tree.get(topic), self._tree.goes_on(topic)
