"""The rules of each packet that bytes alone do not enforce, in one place for both directions.

The decoder calls `check_*` on what it has read: the `MQTTError` goes to the peer. The encoder calls
them on what it is asked to write, and turns the same error into `InvalidPacket`. So what we would
refuse from others we cannot send.

Properties are checked in `properties` by their table. Absent on purpose: the grammar of topic names
and filters, everything that depends on who sent the packet, and everything that depends on what was
said before on the connection.
"""

from __future__ import annotations

from mqttbroker.protocol.errors import MalformedPacket, ProtocolViolation
from mqttbroker.protocol.packet_types import PacketType
from mqttbroker.protocol.packets import (
    Auth,
    ConnAck,
    Connect,
    Disconnect,
    PubAck,
    PubComp,
    Publish,
    PubRec,
    PubRel,
    SubAck,
    Subscribe,
    SubscriptionRequest,
    UnsubAck,
    Unsubscribe,
)
from mqttbroker.protocol.properties import NO_PROPERTIES, Properties
from mqttbroker.protocol.reason_codes import LEGAL, TEXT, ReasonCode, to_v311
from mqttbroker.protocol.versions import ProtocolVersion

__all__ = [
    "check_acknowledgement",
    "check_auth",
    "check_connack",
    "check_connect",
    "check_disconnect",
    "check_publish",
    "check_suback",
    "check_subscribe",
    "check_unsuback",
    "check_unsubscribe",
]

_V5 = ProtocolVersion.V5
_V31 = ProtocolVersion.V31


def check_connect(packet: Connect) -> None:
    """CONNECT (section 3.1): will, and what MQTT 3 does not have."""
    if not 0 <= packet.keep_alive <= 0xFFFF:
        raise ProtocolViolation(f"Keep Alive may not be {packet.keep_alive}")
    will = packet.will
    if will is not None and not 0 <= will.qos <= 2:
        raise MalformedPacket(f"Will QoS may not be {will.qos}")  # [MQTT-3.1.2-12] [3.1.1: MQTT-3.1.2-14]
    if packet.version == _V5:
        return
    if packet.password is not None and packet.username is None:
        raise MalformedPacket("password without user name")  # [3.1.1: MQTT-3.1.2-22]
    _no_properties(packet.properties)
    if will is not None:
        _no_properties(will.properties)


def check_connack(packet: ConnAck, version: ProtocolVersion) -> None:
    """CONNACK (section 3.2)."""
    _legal(PacketType.CONNACK, packet.reason_code)  # [MQTT-3.2.2-8]
    if packet.session_present and packet.reason_code:
        raise ProtocolViolation("Session Present in a refusal")  # [MQTT-3.2.2-6]
    if version == _V5:
        return
    if packet.session_present and version == _V31:
        raise MalformedPacket("MQTT 3.1 has no Session Present flag")
    _has_v311_form(PacketType.CONNACK, packet.reason_code)
    _no_properties(packet.properties)


def check_publish(packet: Publish, version: ProtocolVersion) -> None:
    """PUBLISH (section 3.3): flags, packet identifier, and a topic name unless an alias stands for it."""
    if not packet.qos:
        if packet.dup:
            raise MalformedPacket("DUP with QoS 0")  # [MQTT-3.3.1-2]
        if packet.packet_id is not None:
            raise ProtocolViolation("packet identifier with QoS 0")  # [MQTT-2.2.1-2]
    elif packet.qos not in (1, 2):
        raise MalformedPacket(f"QoS may not be {packet.qos}")  # [MQTT-3.3.1-4]
    elif packet.packet_id is None:
        raise ProtocolViolation("packet identifier is missing")
    else:
        _packet_id(packet.packet_id)
    if version != _V5:
        _no_properties(packet.properties)
    if not packet.topic and packet.properties.topic_alias is None:
        raise ProtocolViolation("no topic name")  # [MQTT-4.7.3-1]


def check_acknowledgement(packet: PubAck | PubRec | PubRel | PubComp, version: ProtocolVersion) -> None:
    """PUBACK, PUBREC, PUBREL and PUBCOMP (sections 3.4 to 3.7), which have one form."""
    _packet_id(packet.packet_id)
    # [MQTT-3.4.2-1] [MQTT-3.5.2-1] [MQTT-3.6.2-1] [MQTT-3.7.2-1]
    _legal(packet.type, packet.reason_code)
    if version != _V5:
        _no_reason(packet.reason_code)
        _no_properties(packet.properties)


def check_subscribe(packet: Subscribe, version: ProtocolVersion) -> None:
    """SUBSCRIBE (section 3.8)."""
    _packet_id(packet.packet_id)
    if not packet.subscriptions:
        raise ProtocolViolation("SUBSCRIBE without a topic filter")  # [MQTT-3.8.3-2] [3.1.1: MQTT-3.8.3-3]
    if version == _V5:
        for request in packet.subscriptions:
            _subscription_options(request)
        return
    _no_properties(packet.properties)
    for request in packet.subscriptions:
        # [3.1.1: MQTT-3.8.3-4]
        if request.qos not in (0, 1, 2):
            raise MalformedPacket(f"requested QoS may not be {request.qos}")
        if request.no_local or request.retain_as_published or request.retain_handling:
            raise MalformedPacket("MQTT 3 has no subscription options but the QoS")


def _subscription_options(request: SubscriptionRequest) -> None:
    """The options byte of MQTT 5 (section 3.8.3.1), whose forbidden values are Protocol Errors."""
    if request.qos not in (0, 1, 2):
        raise ProtocolViolation(f"Maximum QoS may not be {request.qos}")
    if request.retain_handling not in (0, 1, 2):
        raise ProtocolViolation(f"Retain Handling may not be {request.retain_handling}")
    if request.no_local and request.topic_filter.startswith("$share/"):
        raise ProtocolViolation("No Local on a shared subscription")  # [MQTT-3.8.3-4]


def check_suback(packet: SubAck, version: ProtocolVersion) -> None:
    """SUBACK (section 3.9)."""
    _packet_id(packet.packet_id)
    if not packet.reason_codes:
        raise ProtocolViolation("SUBACK without a reason code")
    for code in packet.reason_codes:
        _legal(PacketType.SUBACK, code)  # [MQTT-3.9.3-2]
    if version != _V5:
        _no_properties(packet.properties)


def check_unsubscribe(packet: Unsubscribe, version: ProtocolVersion) -> None:
    """UNSUBSCRIBE (section 3.10)."""
    _packet_id(packet.packet_id)
    if not packet.topic_filters:
        raise ProtocolViolation("UNSUBSCRIBE without a topic filter")  # [MQTT-3.10.3-2]
    if version != _V5:
        _no_properties(packet.properties)


def check_unsuback(packet: UnsubAck, version: ProtocolVersion) -> None:
    """UNSUBACK (section 3.11)."""
    _packet_id(packet.packet_id)
    if version != _V5:
        if packet.reason_codes:
            raise MalformedPacket("MQTT 3 has no reason codes in UNSUBACK")
        _no_properties(packet.properties)
        return
    if not packet.reason_codes:
        raise ProtocolViolation("UNSUBACK without a reason code")
    for code in packet.reason_codes:
        _legal(PacketType.UNSUBACK, code)  # [MQTT-3.11.3-2]


def check_disconnect(packet: Disconnect, version: ProtocolVersion) -> None:
    """DISCONNECT (section 3.14)."""
    _legal(PacketType.DISCONNECT, packet.reason_code)  # [MQTT-3.14.2-1]
    if version != _V5:
        _no_reason(packet.reason_code)
        _no_properties(packet.properties)


def check_auth(packet: Auth, version: ProtocolVersion) -> None:
    """AUTH (section 3.15).

    Section 3.15.2.1 lets a bare Success end after the fixed header, and section 3.15.2.2.2 demands an
    Authentication Method always. We follow the first for that one form, and the second for all others.
    """
    if version != _V5:
        raise MalformedPacket("AUTH does not exist in MQTT 3")
    _legal(PacketType.AUTH, packet.reason_code)  # [MQTT-3.15.2-1]
    bare = not packet.reason_code and packet.properties == NO_PROPERTIES
    if packet.properties.authentication_method is None and not bare:
        raise ProtocolViolation("AUTH without Authentication Method")


def _packet_id(packet_id: int) -> None:
    if not 1 <= packet_id <= 0xFFFF:  # [MQTT-2.2.1-3] [MQTT-2.2.1-4] [3.1.1: MQTT-2.3.1-1]
        raise ProtocolViolation(f"packet identifier may not be {packet_id}")


def _legal(packet_type: PacketType, reason: ReasonCode) -> None:
    if reason not in LEGAL[packet_type]:
        raise ProtocolViolation(f"{TEXT[reason]} is no reason code of {packet_type.name}")


def _no_properties(properties: Properties) -> None:
    if properties is not NO_PROPERTIES and properties != NO_PROPERTIES:
        raise MalformedPacket("MQTT 3 has no properties")


def _no_reason(reason: ReasonCode) -> None:
    if reason:
        raise MalformedPacket(f"MQTT 3 cannot say {TEXT[reason]} here")


def _has_v311_form(packet_type: PacketType, reason: ReasonCode) -> None:
    try:
        to_v311(packet_type, reason)
    except KeyError:
        raise MalformedPacket(f"MQTT 3 cannot say {TEXT[reason]} here") from None
