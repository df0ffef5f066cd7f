"""Which topics are published to now: messages are counted by topic, only while somebody watches.

A :class:`Watch` is subscribed to one topic filter, within the process and as an observer: it is no receiver, and nobody
but the messages that it matches pays for it. It counts, and is emptied once in an `INTERVAL`; where its reader is slow,
an interval is longer and nothing is lost of the counts.

Nothing of it grows without bound. It tracks so many topics and no more; messages of all others are counted together.
A topic that has been quiet for a while makes room for another.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Annotated, Final

from msgspec import Meta

from mqttbroker.admin.endpoint import Output
from mqttbroker.admin.payloads import shown_payload
from mqttbroker.admin.types import Payload
from mqttbroker.broker import BrokerCore
from mqttbroker.storage import Message

__all__ = ["LiveTopic", "LiveTopics", "TooManyWatches", "Watch", "Watches"]

WATCHES: Final = 8
INTERVAL: Final = 1.0
"""Seconds between two reports, at least."""
TOPICS: Final = 2_000
"""Topics that one watch tracks."""
ROOM: Final = 1_048_576
"""Characters of all their names."""
PREVIEW: Final = 256
"""Bytes kept of the last payload of a topic."""
WHOLE: Final = 65_536
"""Bytes kept of the last payload of the one topic that is watched closely."""
QUIET: Final = 60.0
"""Seconds without a message after which a topic may be forgotten."""
AT_FIRST: Final = 200
"""Of the broker's own topics, as many are told at the beginning."""


class LiveTopic(Output):
    """What came under one topic since the report before, and the last message of it."""

    topic: str
    messages: int
    bytes: Annotated[int, Meta(description="Of their payloads.")]
    at: float
    payload: Payload
    payload_size: int
    qos: int
    retain: bool
    origin: Annotated[str | None, Meta(description="The client that published it.")]


class LiveTopics(Output):
    """A report: the topics that messages came under."""

    at: float
    seconds: Annotated[float, Meta(description="Since the report before.")]
    items: list[LiveTopic]
    tracked: Annotated[int, Meta(description="Topics that are counted each by itself.")]
    left_out: Annotated[int, Meta(description="Messages of topics for which there was no room.")]


class TooManyWatches(Exception):
    """As many watches as there may be are under way."""


class _Topic:
    """What came under one topic since the last report; the last message stays until the next."""

    __slots__ = ("at", "bytes", "messages", "origin", "payload", "qos", "retain", "size", "told")

    def __init__(self) -> None:
        self.messages = 0
        self.bytes = 0
        self.at = 0.0
        self.payload = b""
        self.size = 0
        self.qos = 0
        self.retain = False
        self.origin = ""
        self.told = True


class Watches:
    """The watches of one broker."""

    def __init__(self) -> None:
        self._watches: list[Watch] = []

    def __len__(self) -> int:
        return len(self._watches)

    def open(self, core: BrokerCore, topic_filter: str, closely: str = "") -> Watch:
        """Watch a valid topic filter. Payloads of the topic ``closely`` are kept up to `WHOLE` bytes.

        Raises :class:`TooManyWatches`.
        """
        if len(self._watches) >= WATCHES:
            raise TooManyWatches(f"there are {WATCHES} watches already")
        watch = Watch(core, topic_filter, closely, self._watches.remove)
        self._watches.append(watch)
        return watch

    def close(self) -> None:
        """Let all watches end."""
        for watch in list(self._watches):
            watch.close()


class Watch:
    """One watch, from when it is opened until it is closed: a sink of the router, and a reader of reports."""

    overrun: Final = False
    """A slow reader is not let go of."""

    def __init__(self, core: BrokerCore, topic_filter: str, closely: str, closed: Callable[[Watch], None]) -> None:
        self._core = core
        self._filter = topic_filter
        self._closely = closely
        self._closed = closed
        self._topics: dict[str, _Topic] = {}
        self._changed: list[tuple[str, _Topic]] = []
        self._room = ROOM
        self._left_out = 0
        self._loop = asyncio.get_running_loop()
        self._since = self._loop.time()
        self._arrived = asyncio.Event()
        self.ended = asyncio.Event()
        """Set when there is nothing more to come."""
        core.router.add_sink(self, topic_filter, 0, observes=True)
        if topic_filter.startswith("$"):
            self._show_own()

    def _show_own(self) -> None:
        """The broker's own messages come when they have changed; what they are now is told at once."""
        for place, message in enumerate(self._core.retained.match(self._filter, self._core.now)):
            if place == AT_FIRST:
                break
            self._note(message, 0)

    # What the router calls.

    def accept(self, message: Message, qos: int) -> None:
        """A message has been published."""
        self._note(message, 1)

    def _note(self, message: Message, count: int) -> None:
        topic = self._topics.get(message.topic)
        if topic is None:
            topic = self._track(message.topic)
            if topic is None:
                self._left_out += count
                self._arrived.set()
                return
        payload = message.payload
        size = len(payload)
        topic.messages += count
        topic.bytes += size
        topic.at = self._core.now
        topic.size = size
        topic.payload = payload[: WHOLE if message.topic == self._closely else PREVIEW]
        topic.qos = message.qos
        topic.retain = message.retain
        topic.origin = message.origin
        if topic.told:
            topic.told = False
            self._changed.append((message.topic, topic))
            self._arrived.set()

    def _track(self, name: str) -> _Topic | None:
        """A place for a topic, if there is one; there always is for that which is watched closely."""
        if name != self._closely and (len(self._topics) >= TOPICS or len(name) > self._room):
            return None
        self._room -= len(name)
        topic = self._topics[name] = _Topic()
        return topic

    # What the reader calls.

    async def next(self, timeout: float) -> list[LiveTopics] | None:
        """A report, as soon as there is something and its time has come; none after the time-out.

        ``None`` at the end.
        """
        if not self._arrived.is_set():
            try:
                await asyncio.wait_for(self._arrived.wait(), timeout)
            except TimeoutError:
                self._forget()
                return []
        wait = self._since + INTERVAL - self._loop.time()
        if wait > 0 and not self.ended.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self.ended.wait(), wait)
        return None if self.ended.is_set() else [self._report()]

    def _report(self) -> LiveTopics:
        now = self._loop.time()
        seconds, self._since = now - self._since, now
        items = [_live(name, topic) for name, topic in self._changed]
        left_out, self._left_out = self._left_out, 0
        self._changed = []
        self._arrived.clear()
        if left_out:
            self._forget()
        return LiveTopics(
            at=self._core.now, seconds=round(seconds, 3), items=items, tracked=len(self._topics), left_out=left_out
        )

    def _forget(self) -> None:
        """Make room."""
        before = self._core.now - QUIET
        for name in [name for name, topic in self._topics.items() if topic.told and topic.at < before]:
            del self._topics[name]
            self._room += len(name)

    def close(self) -> None:
        """Watch no more."""
        if self.ended.is_set():
            return
        self._core.router.remove_sink(self, self._filter)
        self.ended.set()
        self._arrived.set()
        self._closed(self)


def _live(name: str, topic: _Topic) -> LiveTopic:
    """What is told of a topic, which begins to count anew."""
    messages, size = topic.messages, topic.bytes
    topic.messages = topic.bytes = 0
    topic.told = True
    payload = shown_payload(topic.payload, WHOLE)
    payload.truncated = len(topic.payload) < topic.size
    return LiveTopic(
        topic=name,
        messages=messages,
        bytes=size,
        at=topic.at,
        payload=payload,
        payload_size=topic.size,
        qos=topic.qos,
        retain=topic.retain,
        origin=topic.origin or None,
    )
