"""Messages to and from the program that the broker runs in, without a socket."""

from __future__ import annotations

import asyncio
import weakref
from collections import deque
from dataclasses import replace
from types import TracebackType

from mqttbroker.broker import BrokerCore
from mqttbroker.protocol import (
    InvalidPacket,
    Properties,
    PropertyContext,
    Publish,
    decode_properties,
    encode_property_list,
)
from mqttbroker.protocol.wire import encode_varint
from mqttbroker.storage import Message
from mqttbroker.topics import check_topic_filter, split_share

__all__ = ["LocalSubscription", "local_message"]


def local_message(topic: str, payload: bytes, qos: int, retain: bool, properties: Properties, now: float) -> Message:
    """The message for what a program wants to publish. Raises ``InvalidPacket`` for what no PUBLISH may have."""
    if qos not in (0, 1, 2):
        raise InvalidPacket(f"QoS {qos}")
    if properties.topic_alias is not None or properties.subscription_identifiers:
        raise InvalidPacket("topic aliases and subscription identifiers belong to connections")
    expiry = properties.message_expiry_interval
    kept = encode_property_list(replace(properties, message_expiry_interval=None), PropertyContext.PUBLISH)
    return Message(topic, topic.encode(), payload, qos, retain, kept, 0.0 if expiry is None else now + expiry)


class LocalSubscription:
    """An asynchronous iterator over the messages of one topic filter, from when it is made until it is closed.

    Also an asynchronous context manager. It closes itself when nobody refers to it any more, so that leaving an
    ``async for`` over a subscription without a name ends it.
    """

    def __init__(self, core: BrokerCore, topic_filter: str, qos: int, max_waiting: int, now: float) -> None:
        check_topic_filter(topic_filter)
        if split_share(topic_filter)[0]:
            raise ValueError("shared subscriptions are for clients")
        self.topic_filter: str = topic_filter
        self._mailbox = _Mailbox(core, max_waiting)
        core.subscribe_sink(self._mailbox, topic_filter, qos, now)
        self._close = weakref.finalize(self, _remove, core, self._mailbox, topic_filter)
        self._close.atexit = False

    @property
    def dropped(self) -> int:
        """Messages that were lost because the program did not take them in time."""
        return self._mailbox.dropped

    def close(self) -> None:
        """Take no more messages; those that wait can still be read."""
        self._close()

    def __aiter__(self) -> LocalSubscription:
        return self

    async def __anext__(self) -> Publish:
        mailbox = self._mailbox
        while not mailbox.waiting:
            if not self._close.alive:
                raise StopAsyncIteration
            mailbox.arrived.clear()
            await mailbox.arrived.wait()
        return mailbox.take()

    async def __aenter__(self) -> LocalSubscription:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Mailbox:
    """The sink: what has come and was not read yet."""

    def __init__(self, core: BrokerCore, max_waiting: int) -> None:
        self._core = core
        self.waiting: deque[tuple[Message, int]] = deque(maxlen=max_waiting)
        self.arrived = asyncio.Event()
        self.dropped = 0

    def accept(self, message: Message, qos: int) -> None:
        if len(self.waiting) == self.waiting.maxlen:
            self.dropped += 1
        self.waiting.append((message, qos))
        self.arrived.set()

    def take(self) -> Publish:
        message, qos = self.waiting.popleft()
        encoded = encode_varint(len(message.properties)) + message.properties
        properties, _ = decode_properties(encoded, 0, len(encoded), PropertyContext.PUBLISH)
        packet_id = 1 if qos else None
        return Publish(message.topic, message.payload, qos, message.retain, False, packet_id, properties)


def _remove(core: BrokerCore, mailbox: _Mailbox, topic_filter: str) -> None:
    core.router.remove_sink(mailbox, topic_filter)
    mailbox.arrived.set()
