"""SUBSCRIBE and UNSUBSCRIBE.

Each topic filter gets a reason code of its own [MQTT-3.8.4-6]; one that is refused leaves the others alone. Retained
messages follow the SUBACK.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mqttbroker.protocol import (
    NO_PROPERTIES,
    ProtocolViolation,
    ReasonCode,
    SubAck,
    Subscribe,
    SubscriptionRequest,
    UnsubAck,
    Unsubscribe,
    encode,
)
from mqttbroker.sessions import Subscription
from mqttbroker.topics import InvalidTopicFilter, check_topic_filter, is_wildcard, split_share

if TYPE_CHECKING:
    from mqttbroker.broker.connection import Connection

__all__ = ["subscribe", "unsubscribe"]

RETAIN_ALWAYS = 0
RETAIN_IF_NEW = 1
REFUSED = 0x80


def subscribe(connection: Connection, packet: Subscribe, now: float) -> None:
    """Make or replace subscriptions, answer SUBACK [MQTT-3.8.4-1], and send retained messages."""
    core = connection.core
    session = connection.session
    identifiers = packet.properties.subscription_identifiers
    identifier = identifiers[0] if identifiers else 0
    codes: list[ReasonCode] = []
    replay: list[Subscription] = []
    detail = ""
    for request in packet.subscriptions:
        code, why = _check(connection, request, identifier)
        codes.append(code)
        if code >= REFUSED:
            detail = detail or why
            continue
        subscription = Subscription(
            session,
            request.topic_filter,
            code,
            request.no_local,
            request.retain_as_published,
            identifier,
        )
        new = core.router.subscribe(subscription)
        if session.persistent:
            core.store.put_subscription(session.client_id, subscription.record())
        shared = split_share(request.topic_filter)[0]
        # [MQTT-3.3.1-9] [MQTT-3.3.1-10] [MQTT-3.3.1-11]
        if not shared and (
            request.retain_handling == RETAIN_ALWAYS or (request.retain_handling == RETAIN_IF_NEW and new)
        ):
            replay.append(subscription)

    def acknowledged(error: Exception | None) -> None:
        for subscription in replay:
            core.replay_retained(connection, subscription)

    answer = SubAck(packet.packet_id, tuple(codes), connection.reason(detail))
    if connection.client_maximum and len(encode(answer, connection.version)) > connection.client_maximum:
        answer = SubAck(packet.packet_id, tuple(codes), NO_PROPERTIES)
    connection.answer(encode(answer, connection.version), session.persistent, now, acknowledged)


def unsubscribe(connection: Connection, packet: Unsubscribe, now: float) -> None:
    """Remove subscriptions and answer UNSUBACK [MQTT-3.10.4-4], whether there were any or not [MQTT-3.10.4-5]."""
    core = connection.core
    session = connection.session
    codes: list[ReasonCode] = []
    for topic_filter in packet.topic_filters:
        try:
            check_topic_filter(topic_filter)
        except InvalidTopicFilter:
            codes.append(ReasonCode.TOPIC_FILTER_INVALID)
            continue
        if core.router.unsubscribe(session, topic_filter):
            codes.append(ReasonCode.SUCCESS)
            if session.persistent:
                core.store.delete_subscription(session.client_id, topic_filter)
        else:
            codes.append(ReasonCode.NO_SUBSCRIPTION_EXISTED)
    answer = UnsubAck(packet.packet_id, tuple(codes) if connection.five else ())
    connection.answer(encode(answer, connection.version), session.persistent, now)


def _check(connection: Connection, request: SubscriptionRequest, identifier: int) -> tuple[ReasonCode, str]:
    """The reason code for one topic filter, and words for the client where it is refused."""
    core = connection.core
    limits = core.limits
    whole = request.topic_filter
    try:
        check_topic_filter(whole, limits.max_topic_levels, limits.max_topic_length)
    except InvalidTopicFilter as error:
        return ReasonCode.TOPIC_FILTER_INVALID, str(error)
    share, topic_filter = split_share(whole)
    if share and request.no_local:
        raise ProtocolViolation(f"No Local on a shared subscription: {whole!r}")  # [MQTT-3.8.3-4]
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
        return ReasonCode.NOT_AUTHORIZED, f"may not subscribe to {whole}: {decision.rule}"
    subscriptions = connection.session.subscriptions
    if whole not in subscriptions and len(subscriptions) >= limits.max_subscriptions:
        return ReasonCode.QUOTA_EXCEEDED, f"more than {limits.max_subscriptions} subscriptions"
    return ReasonCode(min(request.qos, limits.max_qos)), ""  # [MQTT-3.8.4-7]
