"""What happens: a stream of events as they come, and those that are remembered.

The stream is made of server-sent events, which browsers read with ``EventSource``. A reader that comes again says in
``Last-Event-ID`` what it saw last, and is given what it has missed; where that is forgotten, it is told so by an event
``missed``. A reader that does not keep up is let go of with an event ``overrun``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from itertools import islice
from typing import Any, Final, Generic, Protocol, TypeVar

import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from mqttbroker.admin import shown
from mqttbroker.admin.endpoint import PREFIX, Call, endpoint
from mqttbroker.admin.feed import Event, Feed, TooManyReaders
from mqttbroker.admin.ids import session_id
from mqttbroker.admin.problems import Problem, bad_request
from mqttbroker.admin.types import EventsQuery, History, PageQuery, RecentQuery

__all__ = [
    "COME_AGAIN",
    "EVENT_STREAM",
    "EventStream",
    "Source",
    "events",
    "may_go_on",
    "page_of_events",
    "recent_events",
    "written",
]

EVENT_STREAM: Final = "text/event-stream"
QUIET: Final = 15.0
"""Seconds without an event after which a comment shows that the stream lives, and its reader is asked for again."""
FAREWELL: Final = 1.0
"""Seconds in which a reader that is let go of may take the last event."""
COME_AGAIN: Final = b"retry: 3000\n\n"
"""Milliseconds after which a browser comes again."""

T = TypeVar("T")

_encoder: Final = msgspec.json.Encoder()


@endpoint(
    "GET", f"{PREFIX}/events", role="viewer", tag="events", summary="Events as they come", media_type=EVENT_STREAM
)
async def events(call: Call[EventsQuery, None]) -> Response:
    """Server-sent events: the type is the kind, the data are JSON. A reader that does not keep up is let go of, and may
    come again with ``Last-Event-ID``.
    """
    feed = call.context.feed
    wanted = _wanted(frozenset(call.query.kind), call.query.client)
    begin = _missed(feed, call.headers.get("last-event-id", ""), wanted)
    try:
        reader = feed.open(wanted)
    except TooManyReaders as error:
        raise Problem(503, str(error), headers={"Retry-After": "10"}) from error
    return EventStream(reader, partial(_event, run=feed.run), begin, lambda: may_go_on(call))


@endpoint("GET", f"{PREFIX}/events/recent", role="viewer", tag="events", summary="What happened lately")
async def recent_events(call: Call[RecentQuery, None]) -> History:
    """The events that are remembered, the newest first. Of refusals (kind ``refused``) alone there are more than among
    all events. Dropped messages are not remembered.
    """
    feed = call.context.feed
    return page_of_events(feed, feed.recent(frozenset(call.query.kind)), call.query)


def page_of_events(feed: Feed, newest_first: Iterable[Event], query: PageQuery | RecentQuery) -> History:
    """A page of events."""
    before = feed.last + 1
    if query.after is not None:
        number = _number(feed, query.after)
        if number is None:
            raise bad_request("cursor: expected one that came with the page before", "$.after")
        before = number
    items = list(islice((each for each in newest_first if each.number < before), query.limit + 1))
    more = len(items) > query.limit
    items = items[: query.limit]
    return History(
        items=[shown.happened(each, feed.run) for each in items],
        next=f"{feed.run}-{items[-1].number}" if more else None,
    )


def _number(feed: Feed, event_id: str) -> int | None:
    """The number of an event of this feed."""
    run, _, number = event_id.rpartition("-")
    if run != feed.run or not number.isascii() or not number.isdecimal() or len(number) > 15:
        return None
    return int(number)


def _wanted(kinds: frozenset[str], client: str) -> Callable[[Event], bool]:
    known = session_id(client) if client else None

    def wanted(event: Event) -> bool:
        return (not kinds or event.kind in kinds) and (known is None or event.known == known)

    return wanted


def _missed(feed: Feed, last_event_id: str, wanted: Callable[[Event], bool]) -> list[bytes]:
    """What a reader that comes again is given first."""
    begin = [COME_AGAIN]
    if last_event_id:
        number = _number(feed, last_event_id)
        if number is None or feed.missed(number):
            begin.append(b"event: missed\ndata: {}\n\n")
        else:
            begin += [_event(each, feed.run) for each in feed.since(number) if wanted(each)]
    return begin


def _event(event: Event, run: str) -> bytes:
    return b"id: %s-%d\n%s" % (run.encode(), event.number, written(event.kind, shown.happened(event, run)))


def written(kind: str, data: object) -> bytes:
    """A server-sent event without an id."""
    return b"event: %s\ndata: %s\n\n" % (kind.encode(), _encoder.encode(data))


def may_go_on(call: Call[Any, Any]) -> bool:
    """Whether whoever began to read may still do so. A stream alone does not keep a session from ending."""
    with suppress(Problem):
        call.context.login.authenticate(call.headers, counts=False)
        return True
    return False


class Source(Protocol[T]):
    """What a stream is read from."""

    ended: asyncio.Event
    """Set when there is nothing more to come."""

    @property
    def overrun(self) -> bool:
        """Whether it has ended since it was not read in time."""
        ...

    async def next(self, timeout: float) -> list[T] | None:
        """What is there, as soon as there is something; nothing after the time-out; ``None`` at the end."""
        ...

    def close(self) -> None:
        """Nobody reads any more."""
        ...


class EventStream(Response, Generic[T]):
    """An answer that goes on until the reader leaves or is let go of."""

    media_type = EVENT_STREAM

    def __init__(
        self, reader: Source[T], write: Callable[[T], bytes], begin: list[bytes], may_go_on: Callable[[], bool]
    ) -> None:
        super().__init__(headers={"X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._reader = reader
        self._write = write
        self._begin = begin
        self._may_go_on = may_go_on
        self._begun: bool = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send events until it ends in one way or another."""
        reader = self._reader
        streaming = asyncio.ensure_future(self._stream(send))
        ways: list[asyncio.Future[Any]] = [
            streaming,
            asyncio.ensure_future(_left(receive)),
            asyncio.ensure_future(reader.ended.wait()),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            reader.close()
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
        if not streaming.cancelled():
            streaming.result()  # Raises what went wrong.
        if not self._begun:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL):
                last = b"event: overrun\ndata: {}\n\n" if reader.overrun else b""
                await send({"type": "http.response.body", "body": last, "more_body": False})

    async def _stream(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        self._begun = True
        await send({"type": "http.response.body", "body": b"".join(self._begin), "more_body": True})
        loop = asyncio.get_running_loop()
        asked_at = loop.time()
        while (arrived := await self._reader.next(QUIET)) is not None:
            if loop.time() >= asked_at + QUIET:
                if not self._may_go_on():
                    return
                asked_at = loop.time()
            body = b"".join(map(self._write, arrived)) or b": nothing\n\n"
            await send({"type": "http.response.body", "body": body, "more_body": True})


async def _left(receive: Receive) -> None:
    """Wait until the reader has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
