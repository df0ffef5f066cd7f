"""Retained messages: the tree of their topics, one of them, and how to set and delete them."""

from __future__ import annotations

from mqttbroker.admin import shown
from mqttbroker.admin.endpoint import PREFIX, Call, endpoint
from mqttbroker.admin.payloads import bytes_of
from mqttbroker.admin.problems import Problem, bad_request, conflict, not_found
from mqttbroker.admin.resources.paging import in_turns, page_in_turns
from mqttbroker.admin.resources.publish import accept, checked_message, stored
from mqttbroker.admin.types import (
    Deleted,
    DeleteRetained,
    LevelPage,
    LevelQuery,
    Retained,
    RetainedState,
    SetRetained,
    TopicQuery,
)
from mqttbroker.topics import InvalidTopicFilter, check_topic_filter, split_share

__all__ = ["delete_one_retained", "delete_retained", "retained", "retained_levels", "set_retained"]

TOPICS = 100
"""Topics that are named of those that were deleted."""


@endpoint("GET", f"{PREFIX}/retained/levels", role="viewer", tag="retained", summary="Browse retained messages")
async def retained_levels(call: Call[LevelQuery, None]) -> LevelPage:
    """The levels of topics below one, by name."""
    query = call.query
    if query.prefix and not query.prefix.endswith("/"):
        raise bad_request("expected a slash at the end", "$.prefix")
    inspection = call.context.inspection
    items, page = await page_in_turns(
        call,
        lambda after, limit: inspection.retained_levels(query.prefix, after, limit, shown.LEVEL_PREVIEW + 1),
        shown.level,
        lambda: inspection.sort_retained_levels(query.prefix),
    )
    return LevelPage(prefix=query.prefix, items=items, next=page.next, total=page.total)


@endpoint("GET", f"{PREFIX}/retained", role="viewer", tag="retained", summary="One retained message")
async def retained(call: Call[TopicQuery, None]) -> Retained:
    """The message that is retained under a topic. Of a large payload there is the beginning."""
    found = _found(call)
    if found is None:
        raise _nothing(call.query.topic)
    return found


@endpoint(
    "PUT",
    f"{PREFIX}/retained",
    role="admin",
    tag="retained",
    summary="Set a retained message",
    secrets=("payload",),
)
async def set_retained(call: Call[TopicQuery, SetRetained]) -> None:
    """Publish a message that is retained. It is stored when this is answered."""
    body, topic, context = call.body, call.query.topic, call.context
    payload = bytes_of(body.payload, body.encoding, "$.payload")
    if not payload:
        raise bad_request("an empty payload would delete the message: use DELETE", "$.payload")
    message = checked_message(call, topic, payload, body.qos, True, body.properties, "$")
    before = _state(_found(call))
    result = accept(call, message)
    if not result.accepted:
        raise conflict(result.detail)
    context.broker.flush_soon()
    await stored(context.broker.core)
    call.changed(before, _state(_found(call)))


@endpoint("DELETE", f"{PREFIX}/retained", role="admin", tag="retained", summary="Delete a retained message")
async def delete_one_retained(call: Call[TopicQuery, None]) -> None:
    """Forget the message that is retained under a topic. Subscribers are told nothing."""
    before = _state(_found(call))
    core = call.context.broker.core
    if before is None or not core.retained.remove(call.query.topic):
        raise _nothing(call.query.topic)
    await stored(core)
    call.changed(before)


@endpoint(
    "POST", f"{PREFIX}/retained/delete", role="admin", tag="retained", summary="Delete retained messages by filter"
)
async def delete_retained(call: Call[None, DeleteRetained]) -> Deleted:
    """Forget all messages whose topics match. Without ``"dry_run": false`` nothing is deleted: it counts, up to what it
    may look at in one go.
    """
    body, context = call.body, call.context
    try:
        check_topic_filter(body.filter)
    except InvalidTopicFilter as error:
        raise bad_request(str(error), "$.filter") from error
    if split_share(body.filter)[0]:
        raise bad_request("shared subscriptions get no retained messages", "$.filter")
    if body.dry_run:
        found = context.steering.delete_retained(body.filter, dry_run=True)
        return Deleted(dry_run=True, count=found.count, topics=found.topics[:TOPICS], more=found.more)
    count, more = 0, False
    topics: list[str] = []
    async for part in in_turns(lambda: context.steering.delete_retained(body.filter, dry_run=False)):
        assert part is not None
        count, more = count + part.count, part.more
        topics += part.topics[: TOPICS - len(topics)]
    await stored(context.broker.core)
    call.changed(after={"count": count, "topics": topics})
    return Deleted(dry_run=False, count=count, topics=topics, more=more)


def _found(call: Call[TopicQuery, None] | Call[TopicQuery, SetRetained]) -> Retained | None:
    view = call.context.inspection.retained(call.query.topic)
    return None if view is None else shown.retained(view, call.context.broker.now())


def _state(message: Retained | None) -> RetainedState | None:
    """What the audit log has of a message: not its payload."""
    if message is None:
        return None
    return RetainedState(size=message.size, qos=message.qos, origin=message.origin)


def _nothing(topic: str) -> Problem:
    return not_found(f"message retained under {topic!r}")
