"""Subscriptions, and what they mean: who would receive a message."""

from __future__ import annotations

from mqttbroker.admin import shown
from mqttbroker.admin.endpoint import PREFIX, Call, endpoint
from mqttbroker.admin.problems import bad_request
from mqttbroker.admin.resources.paging import checked_cursor, named, page_in_turns
from mqttbroker.admin.types import ReceiverPage, ReceiverQuery, SubscriptionPage, SubscriptionQuery
from mqttbroker.topics import InvalidTopicName, check_topic_name

__all__ = ["receivers", "subscriptions"]


@endpoint("GET", f"{PREFIX}/subscriptions", role="viewer", tag="subscriptions", summary="Subscriptions")
async def subscriptions(call: Call[SubscriptionQuery, None]) -> SubscriptionPage:
    """By client and topic filter. A page may have fewer than were asked for, or none, while there is a next one."""
    query, inspection = call.query, call.context.inspection
    client = named(query.client) if query.client else (None, "")
    items, page = await page_in_turns(
        call,
        lambda after, limit: inspection.subscriptions(after, limit, query.search, *client),
        shown.subscription,
        None if query.client else inspection.sort_sessions,
    )
    return SubscriptionPage(items=items, next=page.next, total=page.total)


@endpoint("GET", f"{PREFIX}/receivers", role="viewer", tag="subscriptions", summary="Who would receive a message?")
async def receivers(call: Call[ReceiverQuery, None]) -> ReceiverPage:
    """Clients with a subscription that matches, what would become of the message, and the rule that decides."""
    query = call.query
    try:
        check_topic_name(query.topic)
    except InvalidTopicName as error:
        raise bad_request(str(error), "$.topic") from error
    with checked_cursor():
        found = call.context.inspection.who_would_receive(query.topic, query.qos, query.after, query.limit)
    return ReceiverPage(
        topic=found.topic,
        items=[shown.receiver(each) for each in found.receivers],
        next=found.next,
        total=found.total,
        local=found.local,
    )
