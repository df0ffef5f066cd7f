"""PUBLISH and PUBREL: messages that come in.

:func:`publish` is the general path of PUBLISH. Whatever a message can have is handled here; the short path in
``packet_loop.py`` takes those that have nothing. A message is routed when its PUBLISH arrives, at QoS 2 too; the
packet identifier is remembered until PUBREL so that it is routed once [MQTT-4.3.3-10].
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mqttbroker.broker.route import Route
from mqttbroker.protocol import (
    MQTTError,
    Properties,
    PropertyContext,
    ProtocolViolation,
    PubAck,
    PubComp,
    Publish,
    PubRec,
    PubRel,
    ReasonCode,
    encode,
    encode_property_list,
)
from mqttbroker.storage import Message
from mqttbroker.topics import InvalidTopicName, check_topic_name

if TYPE_CHECKING:
    from mqttbroker.broker.connection import Connection

__all__ = ["again", "check_response_topic", "publish", "pubrel"]

REMEMBERED_ROUTES = 4_096
"""Routes that one connection remembers; past that it starts anew."""


def publish(connection: Connection, packet: Publish, now: float) -> None:
    """Check a message, route it, and acknowledge it."""
    core = connection.core
    session = connection.session
    topic = _topic(connection, packet)
    _check_capabilities(connection, packet)
    connection.messages_received += 1
    core.counters.messages_received += 1
    packet_id = packet.packet_id or 0
    if packet.qos == 2 and packet_id in session.incoming:
        # [MQTT-4.3.3-10] A message that was taken already: acknowledged again, not routed again. Of QoS 1 nothing is
        # remembered, so that each PUBLISH is a new message [MQTT-4.3.2-5].
        connection.answer(b"\x50\x02" + packet_id.to_bytes(2, "big"), session.persistent)
        return
    if packet.qos and connection.five and connection.inbound >= connection.receive_maximum:
        # [MQTT-3.3.4-7] [MQTT-3.3.4-8]
        raise MQTTError(ReasonCode.RECEIVE_MAXIMUM_EXCEEDED, f"more than {connection.receive_maximum} in flight")
    route = find_route(connection, topic)
    if route is None:
        # [MQTT-4.3.3-9] The packet identifier of a refused message is not remembered.
        _acknowledge(connection, packet, ReasonCode.NOT_AUTHORIZED, f"may not publish to {topic}", False)
        return
    message = _message(connection, packet, route, now)
    what = _no_room(connection, message, route)
    if what:
        connection.refused("publish", topic, what)
        _acknowledge(connection, packet, ReasonCode.QUOTA_EXCEEDED, what, False)
        return
    stored = core.publish(message, route, now)
    if packet.qos == 2:
        session.incoming.add(packet_id)
        connection.inbound += 1
        if session.persistent:
            core.store.put_incoming(session.client_id, packet_id)
            stored = True
    reason = ReasonCode.SUCCESS
    if route.empty:
        core.counters.messages_unrouted += 1
        reason = ReasonCode.NO_MATCHING_SUBSCRIBERS
    _acknowledge(connection, packet, reason, "", stored)


def pubrel(connection: Connection, packet: PubRel, now: float) -> None:
    """Free the packet identifier of a QoS 2 message, and answer PUBCOMP [MQTT-4.3.3-11].

    The answer never has properties [MQTT-3.7.2-2] [MQTT-3.7.2-3].
    """
    session = connection.session
    reason = ReasonCode.SUCCESS
    if packet.packet_id in session.incoming:
        session.incoming.discard(packet.packet_id)  # [MQTT-4.3.3-12] [MQTT-4.3.3-13]
        connection.inbound = max(connection.inbound - 1, 0)
        if session.persistent:
            connection.core.store.delete_incoming(session.client_id, packet.packet_id)
    elif connection.five:
        reason = ReasonCode.PACKET_IDENTIFIER_NOT_FOUND
    answer = PubComp(packet.packet_id, reason)
    connection.answer(encode(answer, connection.version), session.persistent)


def find_route(connection: Connection, topic: str) -> Route | None:
    """The route of a valid topic name, or ``None`` where the client may not publish to it.

    It is remembered, except below a mount point: short paths send on the bytes that came in, and these have another
    topic then.
    """
    core = connection.core
    known = connection.routes.get(topic.encode())
    if known is not None and known.version != core.router.routes.version:
        known = again(connection, known)
    if known is not None:
        return known
    mount_point = connection.entrance.mount_point
    if mount_point:
        topic = mount_point + topic
        try:
            check_topic_name(topic)
        except InvalidTopicName as error:
            raise MQTTError(ReasonCode.TOPIC_NAME_INVALID, str(error)) from error
    decision = core.may_publish(connection.identity, topic, mount_point)
    if not decision.allowed:
        core.counters.publish_denied += 1
        connection.refused("publish", topic, decision.rule)
        return None
    route = core.router.route(topic)
    if not mount_point:
        if len(connection.routes) >= REMEMBERED_ROUTES or connection.routes is core.no_routes:
            connection.routes = {}
        connection.routes[route.topic_bytes] = route
    return route


def again(connection: Connection, route: Route) -> Route | None:
    """What takes the place of a remembered route that is stale, where it is still known that the client may use it."""
    current = connection.core.router.again(route)
    if current is not None:
        connection.routes[current.topic_bytes] = current
    return current


def _topic(connection: Connection, packet: Publish) -> str:
    """The topic, whose alias is set or looked up on the way."""
    limits = connection.limits
    topic = packet.topic
    alias = packet.properties.topic_alias
    if alias is not None and not 0 < alias <= limits.topic_alias_maximum:
        raise MQTTError(ReasonCode.TOPIC_ALIAS_INVALID, f"topic alias {alias}")  # [MQTT-3.3.2-9]
    if not topic:
        known = connection.aliases.get(alias) if connection.aliases and alias else None
        if known is None:
            raise ProtocolViolation("PUBLISH without topic name or known topic alias")
        return known
    try:
        check_topic_name(topic, limits.max_topic_levels, limits.max_topic_length)  # [MQTT-3.3.2-2]
    except InvalidTopicName as error:
        raise MQTTError(ReasonCode.TOPIC_NAME_INVALID, str(error)) from error
    if alias:
        if connection.aliases is None:
            connection.aliases = {}
        connection.aliases[alias] = topic  # [MQTT-3.3.2-12]
    return topic


def _check_capabilities(connection: Connection, packet: Publish) -> None:
    limits = connection.limits
    if packet.qos > limits.max_qos:
        raise MQTTError(ReasonCode.QOS_NOT_SUPPORTED, f"QoS {packet.qos}")  # [MQTT-3.2.2-11]
    if packet.retain and not limits.retain_available:
        raise MQTTError(ReasonCode.RETAIN_NOT_SUPPORTED, "retained message")  # [MQTT-3.2.2-14]
    if packet.properties.subscription_identifiers:
        raise ProtocolViolation("Subscription Identifier in a PUBLISH from a client")  # [MQTT-3.3.4-6]
    check_response_topic(packet.properties)


def check_response_topic(properties: Properties) -> None:
    """Raise unless the Response Topic of a message or a will, if there is one, is a topic name [MQTT-3.3.2-14]."""
    if properties.response_topic is not None:
        try:
            check_topic_name(properties.response_topic)
        except InvalidTopicName as error:
            raise ProtocolViolation(f"Response Topic: {error}") from error


def _message(connection: Connection, packet: Publish, route: Route, now: float) -> Message:
    properties = packet.properties
    expiry = properties.message_expiry_interval
    if expiry is not None or properties.topic_alias is not None:
        properties = replace(properties, message_expiry_interval=None, topic_alias=None)
    return Message(
        route.topic,
        route.topic_bytes,
        packet.payload,
        packet.qos,
        packet.retain,
        # [MQTT-3.3.2-4] [MQTT-3.3.2-15] [MQTT-3.3.2-16] [MQTT-3.3.2-17] [MQTT-3.3.2-18] [MQTT-3.3.2-20]
        encode_property_list(properties, PropertyContext.PUBLISH),
        0.0 if expiry is None else now + expiry,
        connection.session.client_id,
    )


def _no_room(connection: Connection, message: Message, route: Route) -> str:
    """What has no room for the message; empty where there is room."""
    core = connection.core
    if message.qos and core.router.refused(message, route):
        return "a subscriber's queue is full"
    if message.retain and not core.retained.fits(message):
        return "too many retained messages"
    if not core.store.accepting and (message.retain or (message.qos and route.stores)):
        return "the store is full"
    return ""


def _acknowledge(connection: Connection, packet: Publish, reason: ReasonCode, detail: str, stored: bool) -> None:
    if packet.qos == 0:
        return
    packet_id = packet.packet_id or 0
    if not connection.five:
        if reason == ReasonCode.QUOTA_EXCEEDED:
            return  # What was not taken is not acknowledged, and an MQTT 3 client sends it again when it reconnects.
        # [3.1.1: MQTT-3.3.5-2] A message that is not allowed is acknowledged like any other.
        reason = ReasonCode.SUCCESS
        if packet.qos == 2:
            connection.session.incoming.add(packet_id)
    kind = PubAck if packet.qos == 1 else PubRec  # [MQTT-4.3.2-4] [MQTT-4.3.3-8] [MQTT-2.2.1-5] [MQTT-3.3.4-1]
    answer = kind(packet_id, reason, connection.reason(detail))
    connection.answer(connection.fitting(answer), stored)
