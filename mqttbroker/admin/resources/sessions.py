"""Sessions, with a client or without: what they are owed, and how to purge a queue or end one."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta

from mqttbroker.admin import shown
from mqttbroker.admin.context import Context
from mqttbroker.admin.endpoint import PREFIX, Call, Output, endpoint
from mqttbroker.admin.problems import Problem, not_found
from mqttbroker.admin.queues import Depths
from mqttbroker.admin.resources.paging import checked_cursor, in_turns, named, page_in_turns
from mqttbroker.admin.shown import PREVIEW
from mqttbroker.admin.types import Next, Ordered, PageQuery, Queued, Session, SessionQuery, Total

__all__ = ["end_session", "purge_queue", "queue", "session", "sessions"]


class Owed(Output):
    """What all sessions together are owed. Where there are many, it is up to 30 seconds old."""

    sessions: Annotated[int, Meta(description="Sessions that are owed anything.")]
    messages: Annotated[int, Meta(description="In flight and waiting.")]
    bytes: Annotated[int, Meta(description="Of these; never old.")]
    longest: Annotated[int, Meta(description="What the session that is owed the most is owed.")]


class SessionPage(Output):
    """Sessions, with and without a connection."""

    items: list[Session]
    next: Next
    total: Total
    ordered: Ordered
    owed: Owed


class Purged(Output):
    """What became of a queue."""

    purged: int


class QueuePage(Output):
    """What a session is owed, the oldest first."""

    items: list[Queued]
    next: Next
    total: Total


@endpoint("GET", f"{PREFIX}/sessions", role="viewer", tag="sessions", summary="Sessions")
async def sessions(call: Call[SessionQuery, None]) -> SessionPage:
    """A page may have fewer sessions than were asked for, or none, while there is a next one: a search looks at so
    many sessions for each page.
    """
    query, context = call.query, call.context
    inspection = context.inspection
    items, page = await page_in_turns(
        call,
        lambda after, limit: inspection.sessions(
            after, limit, query.search, query.sort, query.descending, query.connected
        ),
        lambda each: shown.session(each, context.feed),
        lambda: inspection.sort_sessions(query.sort),
    )
    return SessionPage(
        items=items,
        next=page.next,
        total=page.total,
        ordered=page.ordered,
        owed=_owed(context),
    )


@endpoint("GET", f"{PREFIX}/sessions/{{client_id}}", role="viewer", tag="sessions", summary="One session")
async def session(call: Call[None, None]) -> Session:
    """What is kept for a client."""
    return _session(call)


@endpoint("DELETE", f"{PREFIX}/sessions/{{client_id}}", role="admin", tag="sessions", summary="End a session")
async def end_session(call: Call[None, None]) -> None:
    """Disconnect its client, if it is connected, and forget its subscriptions and its queue. A will is published."""
    before = _session(call)
    if not call.context.steering.end_session(*named(call.path["client_id"])):
        raise _no_session(call)
    call.context.broker.flush_soon()
    call.changed(before=before)


@endpoint(
    "GET", f"{PREFIX}/sessions/{{client_id}}/queue", role="viewer", tag="sessions", summary="What a session is owed"
)
async def queue(call: Call[PageQuery, None]) -> QueuePage:
    """Messages that wait, and those that were sent and not acknowledged, the oldest first. Of large payloads there is
    the beginning.
    """
    query = call.query
    with checked_cursor():
        page = call.context.inspection.queue(
            *named(call.path["client_id"]), after=query.after, limit=query.limit, preview=PREVIEW + 1
        )
    if page is None:
        raise _no_session(call)
    return QueuePage(items=[shown.queued(each) for each in page.items], next=page.next, total=page.total)


@endpoint(
    "POST",
    f"{PREFIX}/sessions/{{client_id}}/purge",
    role="admin",
    tag="sessions",
    summary="Drop what waits for a client",
)
async def purge_queue(call: Call[None, None]) -> Purged:
    """Drop every message that was not sent yet. What is in flight stays."""
    before = _session(call)
    client = named(call.path["client_id"])
    purged = 0
    async for part in in_turns(lambda: call.context.steering.purge_queue(*client)):
        if part is not None:
            purged += part.count
    call.changed(before={"queued": before.queued}, after={"purged": purged})
    return Purged(purged=purged)


def _session(call: Call[None, None]) -> Session:
    found = call.context.inspection.client(*named(call.path["client_id"]))
    if found is None:
        raise _no_session(call)
    return shown.session(found.session, call.context.feed)


def _owed(context: Context) -> Owed:
    monitor = context.broker.monitor
    depths = Depths() if monitor is None else monitor.queues.depths
    return Owed(
        sessions=depths.sessions,
        messages=depths.messages,
        bytes=context.inspection.totals().owed_bytes,
        longest=depths.longest,
    )


def _no_session(call: Call[Any, Any]) -> Problem:
    return not_found(f"session {call.path['client_id']!r}")
