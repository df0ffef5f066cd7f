"""Clients that are connected: who they are, how they fare, and how to be rid of one."""

from __future__ import annotations

from mqttbroker.admin import shown
from mqttbroker.admin.endpoint import PREFIX, Call, endpoint
from mqttbroker.admin.ids import session_id
from mqttbroker.admin.problems import not_found
from mqttbroker.admin.resources.events import page_of_events
from mqttbroker.admin.resources.paging import named, page_in_turns
from mqttbroker.admin.types import ClientDetail, ClientPage, ClientQuery, Disconnect, History, PageQuery

__all__ = ["client", "client_history", "clients", "disconnect_client"]


@endpoint("GET", f"{PREFIX}/clients", role="viewer", tag="clients", summary="Who is connected")
async def clients(call: Call[ClientQuery, None]) -> ClientPage:
    """A page may have fewer clients than were asked for, or none, while there is a next one: a search looks at so many
    clients for each page.
    """
    query, inspection = call.query, call.context.inspection
    items, page = await page_in_turns(
        call,
        lambda after, limit: inspection.clients(after, limit, query.search, query.sort, query.descending),
        shown.client,
        lambda: inspection.sort_clients(query.sort),
    )
    return ClientPage(items=items, next=page.next, total=page.total, ordered=page.ordered)


@endpoint("GET", f"{PREFIX}/clients/{{client_id}}", role="viewer", tag="clients", summary="One client")
async def client(call: Call[None, None]) -> ClientDetail:
    """Everything about a client and its session, connected or away."""
    return _detail(call)


@endpoint(
    "POST", f"{PREFIX}/clients/{{client_id}}/disconnect", role="admin", tag="clients", summary="Disconnect a client"
)
async def disconnect_client(call: Call[None, Disconnect]) -> None:
    """End its connection. Its session stays as if the connection was lost, and it may come again at once."""
    before = _detail(call).connection
    context = call.context
    if before is None or not context.steering.disconnect(*named(call.path["client_id"]), call.body.reason):
        raise not_found(f"client {call.path['client_id']!r} that is connected")
    context.broker.flush_soon()
    call.changed(before=before)


@endpoint(
    "GET",
    f"{PREFIX}/clients/{{client_id}}/history",
    role="viewer",
    tag="clients",
    summary="What happened to a client lately",
)
async def client_history(call: Call[PageQuery, None]) -> History:
    """Connections, their ends, refusals: the last ones since the broker was started, the newest first. Also of clients
    of which nothing else is left.
    """
    feed = call.context.feed
    return page_of_events(feed, feed.history(session_id(call.path["client_id"])), call.query)


def _detail(call: Call[None, None] | Call[None, Disconnect]) -> ClientDetail:
    found = call.context.inspection.client(*named(call.path["client_id"]))
    if found is None:
        raise not_found(f"client {call.path['client_id']!r}")
    return shown.client_detail(found, call.context.feed)
