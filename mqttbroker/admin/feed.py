"""What has happened lately, and what happens now: the events of the broker, kept for a while and given to readers.

A :class:`Feed` is told of each event. It remembers the last few of all, of the refusals, and of each client, and hands
every event to the readers that want it. Nothing of it grows without bound: rings, clients, readers, what waits for a
reader and the length of every text have limits. A reader that does not keep up is closed, and may come again and say
what it saw last.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from secrets import token_hex

from mqttbroker.sessions import mounted_client_id

__all__ = ["Event", "Feed", "Reader", "TooManyReaders"]

REMEMBERED = 2_000
"""Events of all kinds but those that are fleeting."""
REFUSALS = 1_000
HISTORIES = 10_000
"""Clients of which events are remembered; of the one that was heard of longest ago they are forgotten."""
HISTORY = 50
"""Events of one client."""
HISTORY_EVENTS = 20_000
"""Events of all those clients together: what strangers put into them may be long."""
WAITING = 1_000
"""Events that may wait for one reader."""
READERS = 32
LONGEST_TEXT = 256
"""Characters of a text in an event."""
LONGEST_CLIENT_ID = 1_024
"""Characters of a client identifier above which its events are not remembered by client."""
FLEETING = frozenset({"dropped"})
"""Kinds that come every second, of many clients at once: shown to whoever watches, and not remembered."""
REFUSED = "refused"

Detail = str | int | float | bool | None


class TooManyReaders(Exception):
    """As many readers as there may be are there already."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that has happened, to a client or about one."""

    number: int
    """Counts up by one with each event since the broker was started."""
    kind: str
    at: float
    """Seconds since the epoch."""
    client_id: str
    """As the client gave it; empty where there is none."""
    details: dict[str, Detail]
    known: str = ""
    """The identifier by which the broker knows its session; empty where there is none, or it is too long."""


class Feed:
    """The events of one broker."""

    def __init__(self) -> None:
        self.run: str = token_hex(4)
        """Tells the numbers of this feed from those of any other."""
        self.last: int = 0
        """Number of the last event."""
        self._recent: deque[Event] = deque()
        self._forgotten: int = 0
        """Number of the last event that is no longer among the recent ones."""
        self._refusals: deque[Event] = deque(maxlen=REFUSALS)
        self._histories: OrderedDict[str, deque[Event]] = OrderedDict()
        self._history_events: int = 0
        self._readers: list[Reader] = []

    def tell(self, kind: str, client_id: str, now: float, details: dict[str, object]) -> None:
        """An event has happened: a listener of the broker's core."""
        fleeting = kind in FLEETING
        if fleeting and not self._readers:
            return
        self.last += 1
        shown = {key: _shown(value) for key, value in details.items()}
        known = mounted_client_id(str(details.get("mount_point", "")), client_id) if client_id else ""
        if len(known) > LONGEST_CLIENT_ID:
            known = ""
        event = Event(self.last, kind, now, _shown_text(client_id), shown, known)
        if not fleeting:
            self._remember(event)
        for reader in list(self._readers):
            reader.take(event)

    def _remember(self, event: Event) -> None:
        self._recent.append(event)
        if len(self._recent) > REMEMBERED:
            self._forgotten = self._recent.popleft().number
        if event.kind == REFUSED:
            self._refusals.append(event)
        if not event.known:
            return
        history = self._histories.get(event.known)
        if history is None:
            history = self._histories[event.known] = deque(maxlen=HISTORY)
        else:
            self._histories.move_to_end(event.known)
        self._history_events += len(history) < HISTORY
        history.append(event)
        while len(self._histories) > HISTORIES or self._history_events > HISTORY_EVENTS:
            _, forgotten = self._histories.popitem(last=False)
            self._history_events -= len(forgotten)

    # What was.

    def since(self, number: int) -> Iterator[Event]:
        """The events that are remembered and came after one, the oldest first."""
        return (each for each in self._recent if each.number > number)

    def recent(self, kinds: frozenset[str] = frozenset(), before: int | None = None) -> Iterator[Event]:
        """The events that are remembered, the newest first: of these kinds or of all, and those before one or all."""
        found = self._refusals if kinds == {REFUSED} else self._recent
        return (
            each
            for each in reversed(found)
            if (before is None or each.number < before) and (not kinds or each.kind in kinds)
        )

    def history(self, known: str) -> list[Event]:
        """The events of one client that are remembered, the newest first."""
        return list(reversed(self._histories.get(known, ())))

    def missed(self, after: int) -> bool:
        """Whether events after this one are forgotten already, or it is not one of this feed."""
        return after > self.last or after < self._forgotten

    # What is.

    def open(self, wanted: Callable[[Event], bool]) -> Reader:
        """A new reader. Raises :class:`TooManyReaders`."""
        if len(self._readers) >= READERS:
            raise TooManyReaders(f"there are {READERS} readers already")
        reader = Reader(self, wanted)
        self._readers.append(reader)
        return reader

    def close(self) -> None:
        """Let all readers end."""
        for reader in list(self._readers):
            reader.close()

    def closed(self, reader: Reader) -> None:
        """A reader has ended."""
        if reader in self._readers:
            self._readers.remove(reader)

    @property
    def readers(self) -> int:
        """Readers at this time."""
        return len(self._readers)


class Reader:
    """One reader of the events, from when it is opened: a bounded queue that it empties."""

    def __init__(self, feed: Feed, wanted: Callable[[Event], bool]) -> None:
        self._feed = feed
        self._wanted = wanted
        self._waiting: deque[Event] = deque()
        self._arrived = asyncio.Event()
        self.ended = asyncio.Event()
        """Set when there is nothing more to come."""
        self.overrun: bool = False
        """Whether it was closed because it did not keep up."""

    def take(self, event: Event) -> None:
        """Put an event into the queue, if it is wanted; close the reader if there is no room."""
        if not self._wanted(event):
            return
        if len(self._waiting) >= WAITING:
            self._waiting.clear()
            self.overrun = True
            self.close()
            return
        self._waiting.append(event)
        self._arrived.set()

    async def next(self, timeout: float) -> list[Event] | None:
        """All that waits, as soon as there is something; nothing after the time-out; ``None`` at the end."""
        if not self._waiting and not self.ended.is_set():
            self._arrived.clear()
            try:
                await asyncio.wait_for(self._arrived.wait(), timeout)
            except TimeoutError:
                return []
        if not self._waiting:
            return None
        events = list(self._waiting)
        self._waiting.clear()
        return events

    def close(self) -> None:
        """Take no more events."""
        self.ended.set()
        self._arrived.set()
        self._feed.closed(self)


def _shown(value: object) -> Detail:
    """What is shown of a value: something that JSON has, and not too much of it."""
    if value is None or isinstance(value, bool | int | float):
        return value
    return _shown_text(value if isinstance(value, str) else str(value))


def _shown_text(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}... ({len(text)} characters)"
