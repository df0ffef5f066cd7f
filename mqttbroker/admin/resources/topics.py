"""Topics: those that are published to now, and those with a retained message that are searched for."""

from __future__ import annotations

import asyncio
from typing import Annotated

from msgspec import Meta
from starlette.responses import Response

from mqttbroker.admin.endpoint import PREFIX, Call, Input, Output, endpoint
from mqttbroker.admin.payloads import shown_payload
from mqttbroker.admin.problems import Problem, bad_request
from mqttbroker.admin.resources.events import COME_AGAIN, EVENT_STREAM, EventStream, may_go_on, written
from mqttbroker.admin.shown import LEVEL_PREVIEW
from mqttbroker.admin.types import Payload
from mqttbroker.admin.watching import LiveTopics, TooManyWatches
from mqttbroker.topics import InvalidTopicFilter, check_topic_filter, split_share

__all__ = ["live_topics", "retained_topics"]

AT_ONCE = 2_000
"""Topics that are looked at in one turn."""

Filter = Annotated[str, Meta(min_length=1, max_length=65_535, description="A topic filter.")]


class LiveQuery(Input):
    """Which topics are watched."""

    filter: Filter = "#"
    closely: Annotated[str, Meta(max_length=65_535, description="A topic whose payloads come up to 64 KiB.")] = ""


class RetainedTopicsQuery(Input):
    """Which topics are searched for."""

    filter: Filter = "#"
    search: Annotated[str, Meta(max_length=256, description="Part of the topic, in any case of letters.")] = ""
    limit: Annotated[int, Meta(ge=1, le=1_000, description="Topics, at most.")] = 1_000


class RetainedTopic(Output):
    """A topic with a retained message."""

    topic: str
    size: Annotated[int, Meta(description="Bytes of topic, payload and properties.")]
    payload: Annotated[Payload, Meta(description="Up to 64 bytes of it.")]


class RetainedTopics(Output):
    """What was found."""

    items: list[RetainedTopic]
    more: Annotated[bool, Meta(description="Whether there are others, too: ask for fewer.")]


@endpoint(
    "GET",
    f"{PREFIX}/topics/live",
    role="viewer",
    tag="topics",
    summary="Which topics are published to",
    media_type=EVENT_STREAM,
)
async def live_topics(call: Call[LiveQuery, None]) -> Response:
    """Server-sent events ``topics``, one a second while messages come: for each topic the messages and bytes since the
    event before, and the last message with the first 256 bytes of its payload. Nothing is counted while nobody watches.
    So many topics are counted each by itself (``tracked``, up to 2,000); ``left_out`` are messages of all others. A
    slow reader gets fewer events, which count more.
    """
    topic_filter = _checked(call.query.filter)
    context = call.context
    try:
        watch = context.watches.open(context.broker.core, topic_filter, call.query.closely)
    except TooManyWatches as error:
        raise Problem(503, str(error), headers={"Retry-After": "10"}) from error
    return EventStream(watch, _written, [COME_AGAIN], lambda: may_go_on(call))


@endpoint(
    "GET", f"{PREFIX}/retained/topics", role="viewer", tag="retained", summary="Search topics with retained messages"
)
async def retained_topics(call: Call[RetainedTopicsQuery, None]) -> RetainedTopics:
    """The topics that a filter matches, and that hold a text, in no order."""
    query = call.query
    wanted = query.search.casefold()
    items: list[RetainedTopic] = []
    found = call.context.inspection.retained_topics(_checked(query.filter), LEVEL_PREVIEW + 1)
    for looked_at, (topic, size, payload) in enumerate(found, 1):
        if wanted in topic.casefold():
            if len(items) == query.limit:
                return RetainedTopics(items=items, more=True)
            items.append(RetainedTopic(topic, size, shown_payload(payload, LEVEL_PREVIEW)))
        if looked_at % AT_ONCE == 0:
            await asyncio.sleep(0)  # Others have their turn.
    return RetainedTopics(items=items, more=False)


def _checked(topic_filter: str) -> str:
    """A topic filter that can be looked at. Raises a problem."""
    try:
        check_topic_filter(topic_filter)
    except InvalidTopicFilter as error:
        raise bad_request(str(error), "$.filter") from error
    if split_share(topic_filter)[0]:
        raise bad_request("expected no shared subscription", "$.filter")
    return topic_filter


def _written(report: LiveTopics) -> bytes:
    return written("topics", report)
