"""Subscriptions, and what they mean: who would receive a message."""

from __future__ import annotations

from mqttbroker.admin import shown
from mqttbroker.admin.endpoint import PREFIX, Call, endpoint
from mqttbroker.admin.problems import bad_request
from mqttbroker.admin.resources.paging import checked_cursor, named, sorted_in_turns
from mqttbroker.admin.types import ReceiverPage, ReceiverQuery, SubscriptionPage, SubscriptionQuery
from mqttbroker.topics import InvalidTopicName, check_topic_name

__all__ = ["receivers", "subscriptions"]


@endpoint("GET", f"{PREFIX}/subscriptions", role="viewer", tag="subscriptions", summary="Subscriptions")
async def subscriptions(call: Call[SubscriptionQuery, None]) -> SubscriptionPage:
    """By client and topic filter. A page may have fewer than were asked for, or none, while there is a next one."""
    query = call.query
    client_id, mount_point = named(query.client) if query.client else (None, "")
    if client_id is None:
        await sorted_in_turns(call.context.inspection.sort_sessions)
    with checked_cursor():
        page = call.context.inspection.subscriptions(query.after, query.limit, query.search, client_id, mount_point)
    return SubscriptionPage(items=[shown.subscription(each) for each in page.items], next=page.next, total=page.total)


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
