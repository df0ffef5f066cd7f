"""Publishing through the HTTP API, as the administrator and not as a client: no rules are asked.

A message is held to what any publisher is held to: valid topics, none that begin with ``$``, the size of a packet, room
for retained messages and, where the policy is to refuse, room in the queues of its subscribers.
"""

from __future__ import annotations

import asyncio
from typing import Any

from mqttbroker.admin import types
from mqttbroker.admin.endpoint import PREFIX, Call, endpoint
from mqttbroker.admin.payloads import bytes_of, properties_of
from mqttbroker.admin.problems import Problem, bad_request, conflict
from mqttbroker.admin.types import Batch, Publish, Published, PublishedBatch
from mqttbroker.broker import BrokerCore
from mqttbroker.inprocess import local_message
from mqttbroker.protocol import InvalidPacket
from mqttbroker.storage import Message, StoreError, StoreFull
from mqttbroker.topics import InvalidTopicName, check_topic_name

__all__ = ["accept", "checked_message", "publish", "publish_batch", "stored"]

MOST_BATCH = 16_777_216
"""Bytes of the body of a batch."""


@endpoint("POST", f"{PREFIX}/publish", role="admin", tag="publish", summary="Publish a message", secrets=("payload",))
async def publish(call: Call[None, Publish]) -> Published:
    """Publish one message. At QoS 1 and 2, and where it is retained, it is stored when this is answered."""
    message = _message(call, call.body, "$")
    result = accept(call, message)
    if not result.accepted:
        raise conflict(result.detail)
    call.context.broker.flush_soon()
    if message.qos or message.retain:
        await stored(call.context.broker.core)
    return result


@endpoint(
    "POST",
    f"{PREFIX}/publish/batch",
    role="admin",
    tag="publish",
    summary="Publish messages",
    max_body=MOST_BATCH,
    secrets=("messages",),
)
async def publish_batch(call: Call[None, Batch]) -> PublishedBatch:
    """Publish many messages in order; each result says whether there was room. Nothing is published where one of them
    cannot be a message. Messages of others may come in between.
    """
    broker = call.context.broker
    messages = [_message(call, each, f"$.messages[{number}]") for number, each in enumerate(call.body.messages)]
    results: list[Published] = []
    for message in messages:
        results.append(accept(call, message))
        broker.flush_soon()
        await asyncio.sleep(0)
    await stored(broker.core)
    accepted = sum(each.accepted for each in results)
    call.changed(after={"accepted": accepted, "topics": [each.topic for each in messages[:20]]})
    return PublishedBatch(results=results)


def _message(call: Call[Any, Any], asked: Publish, field: str) -> Message:
    payload = bytes_of(asked.payload, asked.encoding, f"{field}.payload")
    return checked_message(call, asked.topic, payload, asked.qos, asked.retain, asked.properties, field)


def checked_message(
    call: Call[Any, Any],
    topic: str,
    payload: bytes,
    qos: int,
    retain: bool,
    properties: types.Properties,
    field: str,
) -> Message:
    """The message that is asked for. Raises a problem for what cannot be one; ``field`` names where it stands."""
    broker = call.context.broker
    limits = broker.core.limits
    try:
        check_topic_name(topic, limits.max_topic_levels, limits.max_topic_length)
    except InvalidTopicName as error:
        raise bad_request(str(error), f"{field}.topic") from error
    if topic.startswith("$"):
        raise bad_request("names that start with $ are the server's own", f"{field}.topic")
    held = properties_of(properties, f"{field}.properties")
    try:
        message = local_message(topic, payload, qos, retain, held, broker.now())
    except InvalidPacket as error:
        raise bad_request(str(error), f"{field}.properties") from error
    if message.size > limits.max_packet_size:
        raise bad_request(f"expected at most {limits.max_packet_size} bytes, got {message.size}", f"{field}.payload")
    return message


def accept(call: Call[Any, Any], message: Message) -> Published:
    """Publish a message, unless there is no room for it. The caller lets the broker flush."""
    broker = call.context.broker
    core = broker.core
    route = core.router.route(message.topic)
    if message.qos and core.router.refused(message, route):
        return Published(accepted=False, detail="the queue of a subscriber is full")
    if message.retain and not core.retained.fits(message):
        return Published(accepted=False, detail="too many retained messages")
    if not core.store.accepting and (message.retain or (message.qos and route.stores)):
        return Published(accepted=False, detail="the store is full")
    core.publish_message(message, broker.now())
    return Published(accepted=True, receivers=len(route.targets) + len(route.groups))


async def stored(core: BrokerCore) -> None:
    """Wait until everything is on disk that was given to the store. Raises a problem where it could not be stored."""
    if core.store.settled:
        return
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def durable(error: Exception | None) -> None:
        if done.done():
            return
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)

    core.store.when_durable(durable)
    try:
        await done
    except StoreFull as error:
        raise Problem(507, "the store has no room") from error
    except StoreError as error:
        raise Problem(503, "the store has failed") from error
