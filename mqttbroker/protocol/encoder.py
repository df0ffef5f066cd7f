"""From a packet to its bytes.

`encode` checks first, by the same rules that the decoder applies, and refuses with `InvalidPacket`.
Packets are written in their shortest form: what may be left out at the end is left out.

`encode_publish`, in a module of its own, is the trusted short path of the fan-out.
"""

from __future__ import annotations

from typing import assert_never

from mqttbroker.protocol.checks import (
    check_acknowledgement,
    check_auth,
    check_connack,
    check_connect,
    check_disconnect,
    check_publish,
    check_suback,
    check_subscribe,
    check_unsuback,
    check_unsubscribe,
)
from mqttbroker.protocol.errors import InvalidPacket, MQTTError
from mqttbroker.protocol.packet_types import FIXED_HEADER_FLAGS, PacketType
from mqttbroker.protocol.packets import (
    Auth,
    ConnAck,
    Connect,
    Disconnect,
    Packet,
    PingReq,
    PingResp,
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
from mqttbroker.protocol.properties import Properties, PropertyContext, encode_properties, encode_property_list
from mqttbroker.protocol.publish import encode_publish
from mqttbroker.protocol.reason_codes import ReasonCode, to_v311
from mqttbroker.protocol.versions import PROTOCOL_NAMES, ProtocolVersion
from mqttbroker.protocol.wire import (
    MAX_REMAINING_LENGTH,
    encode_binary,
    encode_string,
    encode_u8,
    encode_u16,
    encode_varint,
)

__all__ = ["encode"]

_V5 = ProtocolVersion.V5


def encode(packet: Packet, version: ProtocolVersion) -> bytes:
    """The bytes of `packet` in `version`, fixed header included.

    A Connect is encoded in its own version, and `version` is ignored for it. Raises InvalidPacket for
    a packet that may not exist in that version.
    """
    try:
        return _encode(packet, version)
    except MQTTError as error:
        raise InvalidPacket(f"{packet.type.name}: {error.detail}") from error


def _encode(packet: Packet, version: ProtocolVersion) -> bytes:
    match packet:
        case Publish():
            return _publish(packet, version)
        case PubAck() | PubRec() | PubRel() | PubComp():
            body = _acknowledgement(packet, version)
        case Connect():
            body = _connect(packet)
        case ConnAck():
            body = _connack(packet, version)
        case Subscribe():
            body = _subscribe(packet, version)
        case SubAck():
            body = _suback(packet, version)
        case Unsubscribe():
            body = _unsubscribe(packet, version)
        case UnsubAck():
            body = _unsuback(packet, version)
        case PingReq() | PingResp():
            body = b""
        case Disconnect():
            check_disconnect(packet, version)
            body = _reason_and_properties(packet.reason_code, packet.properties, PropertyContext.DISCONNECT)
        case Auth():
            check_auth(packet, version)
            body = _reason_and_properties(packet.reason_code, packet.properties, PropertyContext.AUTH)
        case _:
            assert_never(packet)
    # [MQTT-2.1.3-1]
    return encode_u8(packet.type << 4 | FIXED_HEADER_FLAGS[packet.type]) + encode_varint(len(body)) + body


def _connect(packet: Connect) -> bytes:
    check_connect(packet)
    version = packet.version
    will = packet.will
    # [MQTT-3.1.2-16] to [MQTT-3.1.2-19]: a flag is set exactly if its field follows.
    flags = (packet.username is not None) << 7 | (packet.password is not None) << 6 | packet.clean_start << 1
    if will is not None:
        flags |= will.retain << 5 | will.qos << 3 | 0x04
    parts = [
        encode_string(PROTOCOL_NAMES[version]),
        encode_u8(version),
        encode_u8(flags),
        encode_u16(packet.keep_alive),
        _properties(packet.properties, version, PropertyContext.CONNECT),
        encode_string(packet.client_id),  # [MQTT-3.1.3-1]
    ]
    if will is not None:
        parts.append(_properties(will.properties, version, PropertyContext.WILL))
        parts.append(encode_string(will.topic))
        parts.append(encode_binary(will.payload))
    if packet.username is not None:
        parts.append(encode_string(packet.username))
    if packet.password is not None:
        parts.append(encode_binary(packet.password))
    return b"".join(parts)


def _connack(packet: ConnAck, version: ProtocolVersion) -> bytes:
    check_connack(packet, version)
    reason = packet.reason_code
    code = int(reason) if version == _V5 else to_v311(PacketType.CONNACK, reason)
    flags = bytes((packet.session_present, code))  # [MQTT-3.2.2-1]
    return flags + _properties(packet.properties, version, PropertyContext.CONNACK)


def _publish(packet: Publish, version: ProtocolVersion) -> bytes:
    check_publish(packet, version)
    topic = encode_string(packet.topic)[2:]
    properties = encode_property_list(packet.properties, PropertyContext.PUBLISH)
    # No fixed header, length prefix or packet identifier takes more than a dozen bytes together.
    if len(packet.payload) + len(topic) + len(properties) > MAX_REMAINING_LENGTH - 12:
        raise InvalidPacket("PUBLISH is longer than a packet can be")
    return encode_publish(
        version == _V5,
        topic,
        packet.payload,
        properties,
        packet.qos,
        packet.retain,
        packet.dup,
        packet.packet_id or 0,
    )


def _acknowledgement(packet: PubAck | PubRec | PubRel | PubComp, version: ProtocolVersion) -> bytes:
    check_acknowledgement(packet, version)
    tail = _reason_and_properties(packet.reason_code, packet.properties, PropertyContext(packet.type))
    return encode_u16(packet.packet_id) + tail


def _subscribe(packet: Subscribe, version: ProtocolVersion) -> bytes:
    check_subscribe(packet, version)
    parts = [encode_u16(packet.packet_id), _properties(packet.properties, version, PropertyContext.SUBSCRIBE)]
    for request in packet.subscriptions:
        parts.append(encode_string(request.topic_filter))
        parts.append(_subscription_options(request))
    return b"".join(parts)


def _subscription_options(request: SubscriptionRequest) -> bytes:
    """The options byte (section 3.8.3.1); in MQTT 3 all but the QoS is zero."""
    return encode_u8(
        request.qos | request.no_local << 2 | request.retain_as_published << 3 | request.retain_handling << 4
    )


def _suback(packet: SubAck, version: ProtocolVersion) -> bytes:
    check_suback(packet, version)
    codes = packet.reason_codes
    payload = bytes(codes if version == _V5 else [to_v311(PacketType.SUBACK, code) for code in codes])
    return encode_u16(packet.packet_id) + _properties(packet.properties, version, PropertyContext.SUBACK) + payload


def _unsubscribe(packet: Unsubscribe, version: ProtocolVersion) -> bytes:
    check_unsubscribe(packet, version)
    parts = [encode_u16(packet.packet_id), _properties(packet.properties, version, PropertyContext.UNSUBSCRIBE)]
    parts.extend(encode_string(topic_filter) for topic_filter in packet.topic_filters)
    return b"".join(parts)


def _unsuback(packet: UnsubAck, version: ProtocolVersion) -> bytes:
    check_unsuback(packet, version)
    properties = _properties(packet.properties, version, PropertyContext.UNSUBACK)
    return encode_u16(packet.packet_id) + properties + bytes(packet.reason_codes)


def _properties(properties: Properties, version: ProtocolVersion, context: PropertyContext) -> bytes:
    """The property list, or nothing in MQTT 3, where the check has made sure that there is none."""
    return encode_properties(properties, context) if version == _V5 else b""


def _reason_and_properties(reason: ReasonCode, properties: Properties, context: PropertyContext) -> bytes:
    """Reason code and properties, each left out when nothing but the default follows (section 3.4.2.1)."""
    encoded = encode_properties(properties, context)
    if encoded == b"\0":
        return encode_u8(reason) if reason else b""
    return encode_u8(reason) + encoded
