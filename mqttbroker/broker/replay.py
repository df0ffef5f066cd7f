"""Retained messages on their way to a new subscription.

A subscription to ``#`` may match a million of them. They are sent in slices, so that nobody else waits, and only as
fast as the client takes them: a retained message is neither dropped because the client's socket is full nor piled up
in its queue.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mqttbroker.broker.router import identity_of
from mqttbroker.sessions import Subscription
from mqttbroker.storage import Message

if TYPE_CHECKING:
    from mqttbroker.broker.connection import Connection
    from mqttbroker.broker.core import BrokerCore

__all__ = ["Replay"]

SLICE = 256
"""Messages per turn."""


class Replay:
    """The retained messages of one subscription. It ends with the connection or the subscription."""

    __slots__ = ("_connection", "_core", "_identity", "_messages", "_next", "_subscription")

    def __init__(self, core: BrokerCore, connection: Connection, subscription: Subscription) -> None:
        self._core = core
        self._connection = connection
        self._subscription = subscription
        self._identity = identity_of(subscription.session)
        self._messages = core.retained.match(subscription.topic_filter, core.now)
        self._next: Message | None = None
        """The message that is to be sent next, where it had to wait."""

    @property
    def over(self) -> bool:
        """Whether there is nobody left to send to."""
        session = self._subscription.session
        current = session.subscriptions.get(self._subscription.topic_filter)
        return current is not self._subscription or session.outbox is not self._connection.outbox

    @property
    def blocked(self) -> bool:
        """Whether the client has to take something first."""
        session = self._subscription.session
        if not session.outbox.open:
            return True
        if session.quota > 0 and session.load == len(session.inflight):
            return False
        size = 0 if self._next is None else self._next.size
        return session.load > session.limits.window or not session.has_room(size)

    def advance(self, now: float) -> bool:
        """Send a slice; true when there is more."""
        if self.over:
            return False
        subscription = self._subscription
        session = subscription.session
        identifiers = (subscription.identifier,) if subscription.identifier else ()
        no_local = subscription.no_local
        granted = subscription.qos
        mount_point = session.mount_point
        router = self._core.router
        for _ in range(SLICE):
            message = self._next = self._next or next(self._messages, None)
            if message is None:
                return False
            if self.blocked:
                return True
            self._next = None
            if message.expired(now):
                continue  # [MQTT-3.3.2-5] It expired while the client was slow.
            if no_local and message.origin == session.client_id:
                continue  # [MQTT-3.8.3-3] It makes no difference that the message was retained meanwhile.
            if router.may_be_sent(self._identity, mount_point, message.topic):
                # [3.1.1: MQTT-3.3.1-8] RETAIN is 1: the message is sent because it was retained.
                qos = message.qos if message.qos < granted else granted
                session.deliver(message, qos, True, identifiers, now)
        return True
