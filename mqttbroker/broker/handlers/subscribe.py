"""SUBSCRIBE and UNSUBSCRIBE.

Each topic filter gets a reason code of its own [MQTT-3.8.4-6]; one that is refused leaves the others alone. Retained
messages follow the SUBACK.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from mqttbroker.protocol import (
    ProtocolVersion,
    ProtocolViolation,
    ReasonCode,
    SubAck,
    Subscribe,
    SubscriptionRequest,
    UnsubAck,
    Unsubscribe,
)
from mqttbroker.sessions import Subscription, mounted_filter
from mqttbroker.topics import InvalidTopicFilter, check_topic_filter, is_wildcard, split_share

if TYPE_CHECKING:
    from mqttbroker.broker.connection import Connection

__all__ = ["subscribe", "unsubscribe"]

RETAIN_ALWAYS = 0
RETAIN_IF_NEW = 1
REFUSED = 0x80


def subscribe(connection: Connection, packet: Subscribe, now: float) -> None:
    """Make or replace subscriptions, answer SUBACK [MQTT-3.8.4-1], and send retained messages."""
    _check_not_empty(connection, [request.topic_filter for request in packet.subscriptions])
    core = connection.core
    session = connection.session
    identifiers = packet.properties.subscription_identifiers
    identifier = identifiers[0] if identifiers else 0
    codes: list[ReasonCode] = []
    replay: list[str] = []
    detail = ""
    for request in packet.subscriptions:
        code, why = _check(connection, request, identifier)
        codes.append(code)  # [MQTT-3.9.3-1]
        if code >= REFUSED:
            detail = detail or why
            if code != ReasonCode.NOT_AUTHORIZED:
                connection.refused("subscribe", request.topic_filter, why)
            continue
        topic_filter = mounted_filter(connection.entrance.mount_point, request.topic_filter)
        subscription = Subscription(
            session,
            topic_filter,
            code,
            request.no_local,
            request.retain_as_published,
            identifier,
        )
        new = core.router.subscribe(subscription)
        if session.persistent:
            core.store.put_subscription(session.client_id, subscription.record())
        shared = split_share(topic_filter)[0]
        # [MQTT-3.3.1-9] [MQTT-3.3.1-10] [MQTT-3.3.1-11] [MQTT-3.8.4-4]
        if not shared and (
            request.retain_handling == RETAIN_ALWAYS or (request.retain_handling == RETAIN_IF_NEW and new)
        ):
            replay.append(topic_filter)

    def acknowledged(error: Exception | None) -> None:
        # By filter, because a later filter of the packet may have replaced the subscription [MQTT-3.8.4-5].
        for topic_filter in replay:
            subscription = session.subscriptions.get(topic_filter)
            if subscription is not None:
                core.replay_retained(connection, subscription)

    if connection.version == ProtocolVersion.V31:
        # MQTT 3.1 cannot tell a client that a subscription was refused, and wants it acknowledged like any other.
        asked = [ReasonCode(min(request.qos, connection.limits.max_qos)) for request in packet.subscriptions]
        codes = [own if code >= REFUSED else code for code, own in zip(codes, asked, strict=True)]
    answer = SubAck(packet.packet_id, tuple(codes), connection.reason(detail))  # [MQTT-2.2.1-6] [MQTT-3.8.4-2]
    connection.answer(connection.fitting(answer), session.persistent, acknowledged)


def unsubscribe(connection: Connection, packet: Unsubscribe, now: float) -> None:
    """Remove subscriptions and answer UNSUBACK [MQTT-3.10.4-4], whether there were any or not [MQTT-3.10.4-5]."""
    _check_not_empty(connection, packet.topic_filters)
    core = connection.core
    session = connection.session
    codes: list[ReasonCode] = []
    for asked in packet.topic_filters:  # [MQTT-3.10.4-6] [MQTT-3.11.3-1]
        try:
            topic_filter = mounted_filter(connection.entrance.mount_point, asked)
            if topic_filter not in session.subscriptions:  # What was granted once is within the limits of that time.
                check_topic_filter(asked, connection.limits.max_topic_levels, connection.limits.max_topic_length)
        except InvalidTopicFilter as error:
            codes.append(ReasonCode.TOPIC_FILTER_INVALID)
            connection.refused("unsubscribe", asked, str(error))
            continue
        if core.router.unsubscribe(session, topic_filter):  # [MQTT-3.10.4-1]
            codes.append(ReasonCode.SUCCESS)
            if session.persistent:
                core.store.delete_subscription(session.client_id, topic_filter)
        else:
            codes.append(ReasonCode.NO_SUBSCRIPTION_EXISTED)
    answer = UnsubAck(packet.packet_id, tuple(codes) if connection.five else ())  # [MQTT-2.2.1-6]
    connection.answer(connection.fitting(answer), session.persistent)


def _check_not_empty(connection: Connection, topic_filters: Iterable[str]) -> None:
    """An empty topic filter ends an MQTT 3 connection before anything is done; MQTT 5.0 has a reason code for it."""
    if not connection.five and not all(topic_filters):
        raise ProtocolViolation("empty topic filter")  # [3.1.1: MQTT-4.7.3-1]


def _check(connection: Connection, request: SubscriptionRequest, identifier: int) -> tuple[ReasonCode, str]:
    """The reason code for one topic filter, and words for the client where it is refused."""
    core = connection.core
    limits = connection.limits
    try:
        check_topic_filter(request.topic_filter, limits.max_topic_levels, limits.max_topic_length)
        whole = mounted_filter(connection.entrance.mount_point, request.topic_filter)
        if connection.entrance.mount_point:
            check_topic_filter(whole)
    except InvalidTopicFilter as error:
        return ReasonCode.TOPIC_FILTER_INVALID, str(error)
    share, topic_filter = split_share(whole)
    if share and request.no_local:
        raise ProtocolViolation(f"No Local on a shared subscription: {request.topic_filter!r}")  # [MQTT-3.8.3-4]
    if share and not limits.shared_subscriptions:
        return ReasonCode.SHARED_SUBSCRIPTIONS_NOT_SUPPORTED, "no shared subscriptions here"
    if is_wildcard(topic_filter) and not limits.wildcard_subscriptions:
        return ReasonCode.WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED, "no wildcard subscriptions here"
    if identifier and not limits.subscription_identifiers:
        return ReasonCode.SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED, "no subscription identifiers here"
    decision = core.authorizer.decide(connection.identity, "subscribe", whole)
    if not decision.allowed:
        core.counters.subscribe_denied += 1
        connection.refused("subscribe", whole, decision.rule)
        return ReasonCode.NOT_AUTHORIZED, f"may not subscribe to {request.topic_filter}"
    subscriptions = connection.session.subscriptions
    if whole not in subscriptions and len(subscriptions) >= limits.max_subscriptions:
        return ReasonCode.QUOTA_EXCEEDED, f"more than {limits.max_subscriptions} subscriptions"
    return ReasonCode(min(request.qos, limits.max_qos)), ""  # [MQTT-3.8.4-7] [MQTT-3.2.2-10]
