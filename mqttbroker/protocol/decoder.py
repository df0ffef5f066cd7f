"""From the bytes of one packet to a packet.

`decode` takes the first byte and everything after the fixed header. Each packet type has a function
here that reads its fields in order and then hands the packet to its check. The bytes must be used up
exactly: what is left over makes the packet malformed.

Whatever the bytes are, the result is a packet or an `MQTTError`, in time linear in their number.
"""

from __future__ import annotations

from collections.abc import Callable

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
from mqttbroker.protocol.errors import MalformedPacket, ProtocolViolation, UnsupportedProtocolVersion
from mqttbroker.protocol.packet_types import DUP_ACCEPTED_IN_V31, FIXED_HEADER_FLAGS, PacketType
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
    Will,
)
from mqttbroker.protocol.properties import (
    DEFAULT_MAX_USER_PROPERTIES,
    NO_PROPERTIES,
    Properties,
    PropertyContext,
    decode_properties,
)
from mqttbroker.protocol.reason_codes import ReasonCode, from_v311
from mqttbroker.protocol.versions import PROTOCOL_NAMES, ProtocolVersion
from mqttbroker.protocol.wire import read_binary, read_string, read_u8, read_u16

__all__ = ["decode"]

_V5 = ProtocolVersion.V5
_V31 = ProtocolVersion.V31
_DUP = 0x08
_VERSIONS = {(name, int(version)): version for version, name in PROTOCOL_NAMES.items()}
_REASON_CODES = {int(code): code for code in ReasonCode}
_FIRST_BYTES = frozenset(packet_type << 4 | flags for packet_type, flags in FIXED_HEADER_FLAGS.items())
_FIRST_BYTES_V31 = frozenset(
    packet_type << 4 | FIXED_HEADER_FLAGS[packet_type] | _DUP for packet_type in DUP_ACCEPTED_IN_V31
)
_PING_REQ = PingReq()
_PING_RESP = PingResp()


def decode(
    first: int, body: bytes, version: ProtocolVersion, *, max_user_properties: int = DEFAULT_MAX_USER_PROPERTIES
) -> Packet:
    """The packet with the first byte `first` and `body` after the fixed header.

    A CONNECT brings its own version, and `version` is ignored for it. Raises MQTTError with the
    reason code that the standard names; QuotaExceeded above `max_user_properties` User Properties.
    """
    return _READERS[first >> 4](first, body, version, max_user_properties)


def _check_flags(first: int, version: ProtocolVersion) -> None:
    """The reserved flags of the fixed header [MQTT-2.1.3-1] [3.1.1: MQTT-2.2.2-2]."""
    if first in _FIRST_BYTES or (version == _V31 and first in _FIRST_BYTES_V31):
        return
    packet_type = PacketType(first >> 4)
    # [MQTT-3.6.1-1] [MQTT-3.8.1-1] [MQTT-3.10.1-1] [MQTT-3.14.1-1] [MQTT-3.15.1-1]
    raise MalformedPacket(f"{packet_type.name} with the flags {first & 0x0F}")


def _connect(first: int, body: bytes, version: ProtocolVersion, max_user_properties: int) -> Connect:
    _check_flags(first, version)
    stop = len(body)
    name, pos = read_string(body, 0, stop)
    level, pos = read_u8(body, pos, stop)
    if (name, level) not in _VERSIONS:
        raise UnsupportedProtocolVersion(name, level)  # [MQTT-3.1.2-1] [MQTT-3.1.2-2]
    version = _VERSIONS[name, level]
    flags, pos = read_u8(body, pos, stop)
    if flags & 0x01:
        raise MalformedPacket("reserved connect flag")  # [MQTT-3.1.2-3]
    keep_alive, pos = read_u16(body, pos, stop)
    properties = NO_PROPERTIES
    if version == _V5:
        properties, pos = decode_properties(body, pos, stop, PropertyContext.CONNECT, max_user_properties)
    client_id, pos = read_string(body, pos, stop)  # [MQTT-3.1.3-3] [MQTT-3.1.3-4]
    will: Will | None = None
    if flags & 0x04:
        quota = max_user_properties - len(properties.user_properties)
        will, pos = _will(flags, body, pos, version, quota)
    elif flags & 0x38:
        # [MQTT-3.1.2-11] [MQTT-3.1.2-13] [3.1.1: MQTT-3.1.2-13] [3.1.1: MQTT-3.1.2-15]
        raise MalformedPacket("Will QoS or Will Retain without a will")
    username: str | None = None
    password: bytes | None = None
    # MQTT 3.1 lets the remaining length overrule these two flags: a field past the end is absent.
    if flags & 0x80 and not (version == _V31 and pos == stop):
        username, pos = read_string(body, pos, stop)  # [MQTT-3.1.3-12] [3.1.1: MQTT-3.1.3-11] [3.1.1: MQTT-3.1.2-19]
    if flags & 0x40 and not (version == _V31 and pos == stop):
        password, pos = read_binary(body, pos, stop)  # [3.1.1: MQTT-3.1.2-21]
    _used_up(pos, stop)  # [3.1.1: MQTT-3.1.2-18] [3.1.1: MQTT-3.1.2-20]
    packet = Connect(client_id, version, bool(flags & 0x02), keep_alive, username, password, will, properties)
    check_connect(packet)
    return packet


def _will(flags: int, body: bytes, pos: int, version: ProtocolVersion, quota: int) -> tuple[Will, int]:
    """The will fields in the payload of CONNECT (section 3.1.3.2 to 3.1.3.4)."""
    stop = len(body)
    properties = NO_PROPERTIES
    if version == _V5:
        properties, pos = decode_properties(body, pos, stop, PropertyContext.WILL, quota)
    topic, pos = read_string(body, pos, stop)  # [MQTT-3.1.3-11] [3.1.1: MQTT-3.1.3-10]
    payload, pos = read_binary(body, pos, stop)
    return Will(topic, payload, flags >> 3 & 0x03, bool(flags & 0x20), properties), pos


def _connack(first: int, body: bytes, version: ProtocolVersion, max_user_properties: int) -> ConnAck:
    _check_flags(first, version)
    stop = len(body)
    flags, pos = read_u8(body, 0, stop)
    if flags & 0xFE:
        raise MalformedPacket("reserved acknowledge flags")  # [MQTT-3.2.2-1]
    code, pos = read_u8(body, pos, stop)
    properties = NO_PROPERTIES
    if version == _V5:
        reason = _reason(code)
        properties, pos = decode_properties(body, pos, stop, PropertyContext.CONNACK, max_user_properties)
    else:
        reason = _reason_v311(PacketType.CONNACK, code)
    _used_up(pos, stop)
    packet = ConnAck(bool(flags), reason, properties)
    check_connack(packet, version)
    return packet


def _publish(first: int, body: bytes, version: ProtocolVersion, max_user_properties: int) -> Publish:
    stop = len(body)
    qos = first >> 1 & 0x03
    topic, pos = read_string(body, 0, stop)  # [MQTT-3.3.2-1]
    packet_id: int | None = None
    if qos:
        packet_id, pos = read_u16(body, pos, stop)
    properties = NO_PROPERTIES
    if version == _V5:
        properties, pos = decode_properties(body, pos, stop, PropertyContext.PUBLISH, max_user_properties)
    packet = Publish(topic, body[pos:], qos, bool(first & 0x01), bool(first & _DUP), packet_id, properties)
    check_publish(packet, version)
    return packet


def _acknowledgement(
    first: int, body: bytes, version: ProtocolVersion, max_user_properties: int
) -> PubAck | PubRec | PubRel | PubComp:
    _check_flags(first, version)
    packet_class, context = _ACKNOWLEDGEMENTS[first >> 4]
    packet_id, pos = read_u16(body, 0, len(body))
    reason, properties = _reason_and_properties(body, pos, version, context, max_user_properties)
    packet = packet_class(packet_id, reason, properties)
    check_acknowledgement(packet, version)
    return packet


def _subscribe(first: int, body: bytes, version: ProtocolVersion, max_user_properties: int) -> Subscribe:
    _check_flags(first, version)
    stop = len(body)
    packet_id, properties, pos = _id_and_properties(body, version, PropertyContext.SUBSCRIBE, max_user_properties)
    requests: list[SubscriptionRequest] = []
    while pos < stop:
        topic_filter, pos = read_string(body, pos, stop)  # [MQTT-3.8.3-1]
        options, pos = read_u8(body, pos, stop)
        if options & (0xC0 if version == _V5 else 0xFC):
            raise MalformedPacket("reserved subscription options")  # [MQTT-3.8.3-5]
        requests.append(
            SubscriptionRequest(
                topic_filter, options & 0x03, bool(options & 0x04), bool(options & 0x08), options >> 4 & 0x03
            )
        )
    packet = Subscribe(packet_id, tuple(requests), properties)
    check_subscribe(packet, version)
    return packet


def _suback(first: int, body: bytes, version: ProtocolVersion, max_user_properties: int) -> SubAck:
    _check_flags(first, version)
    packet_id, properties, pos = _id_and_properties(body, version, PropertyContext.SUBACK, max_user_properties)
    if version == _V5:
        codes = tuple(_reason(code) for code in body[pos:])
    else:
        codes = tuple(_reason_v311(PacketType.SUBACK, code) for code in body[pos:])
    packet = SubAck(packet_id, codes, properties)
    check_suback(packet, version)
    return packet


def _unsubscribe(first: int, body: bytes, version: ProtocolVersion, max_user_properties: int) -> Unsubscribe:
    _check_flags(first, version)
    stop = len(body)
    packet_id, properties, pos = _id_and_properties(body, version, PropertyContext.UNSUBSCRIBE, max_user_properties)
    topic_filters: list[str] = []
    while pos < stop:
        topic_filter, pos = read_string(body, pos, stop)  # [MQTT-3.10.3-1]
        topic_filters.append(topic_filter)
    packet = Unsubscribe(packet_id, tuple(topic_filters), properties)
    check_unsubscribe(packet, version)
    return packet


def _unsuback(first: int, body: bytes, version: ProtocolVersion, max_user_properties: int) -> UnsubAck:
    _check_flags(first, version)
    packet_id, properties, pos = _id_and_properties(body, version, PropertyContext.UNSUBACK, max_user_properties)
    if version != _V5:
        _used_up(pos, len(body))
    packet = UnsubAck(packet_id, tuple(_reason(code) for code in body[pos:]), properties)
    check_unsuback(packet, version)
    return packet


def _disconnect(first: int, body: bytes, version: ProtocolVersion, max_user_properties: int) -> Disconnect:
    _check_flags(first, version)
    reason, properties = _reason_and_properties(body, 0, version, PropertyContext.DISCONNECT, max_user_properties)
    packet = Disconnect(reason, properties)
    check_disconnect(packet, version)
    return packet


def _auth(first: int, body: bytes, version: ProtocolVersion, max_user_properties: int) -> Auth:
    if version != _V5:
        raise MalformedPacket("packet type 15 is reserved in MQTT 3")
    _check_flags(first, version)
    reason, properties = _reason_and_properties(body, 0, _V5, PropertyContext.AUTH, max_user_properties)
    packet = Auth(reason, properties)
    check_auth(packet, _V5)
    return packet


def _ping(first: int, body: bytes, version: ProtocolVersion, max_user_properties: int) -> PingReq | PingResp:
    _check_flags(first, version)
    _used_up(0, len(body))
    return _PING_REQ if first >> 4 == PacketType.PINGREQ else _PING_RESP


def _reserved(first: int, body: bytes, version: ProtocolVersion, max_user_properties: int) -> Packet:
    raise MalformedPacket("packet type 0 is reserved")


def _id_and_properties(
    body: bytes, version: ProtocolVersion, context: PropertyContext, max_user_properties: int
) -> tuple[int, Properties, int]:
    """The variable header of SUBSCRIBE, SUBACK, UNSUBSCRIBE and UNSUBACK."""
    stop = len(body)
    packet_id, pos = read_u16(body, 0, stop)
    if version != _V5:
        return packet_id, NO_PROPERTIES, pos
    properties, pos = decode_properties(body, pos, stop, context, max_user_properties)
    return packet_id, properties, pos


def _reason_and_properties(
    body: bytes, pos: int, version: ProtocolVersion, context: PropertyContext, max_user_properties: int
) -> tuple[ReasonCode, Properties]:
    """The end of a packet that may stop before its reason code or before its properties.

    A missing reason code is 0x00, a missing property length is 0 (section 3.4.2.1 and 3.14.2.1).
    MQTT 3 has neither.
    """
    stop = len(body)
    reason = ReasonCode.SUCCESS
    properties = NO_PROPERTIES
    if version == _V5 and pos < stop:
        reason = _reason(body[pos])
        pos += 1
        if pos < stop:
            properties, pos = decode_properties(body, pos, stop, context, max_user_properties)
    _used_up(pos, stop)
    return reason, properties


def _reason(code: int) -> ReasonCode:
    reason = _REASON_CODES.get(code)
    if reason is None:
        raise ProtocolViolation(f"reason code 0x{code:02X} does not exist")
    return reason


def _reason_v311(packet_type: PacketType, code: int) -> ReasonCode:
    try:
        return from_v311(packet_type, code)
    except KeyError:
        raise ProtocolViolation(f"{packet_type.name} with the return code {code}") from None


def _used_up(pos: int, stop: int) -> None:
    if pos != stop:
        raise MalformedPacket(f"{stop - pos} bytes left over")


_ACKNOWLEDGEMENTS: dict[int, tuple[type[PubAck | PubRec | PubRel | PubComp], PropertyContext]] = {
    PacketType.PUBACK: (PubAck, PropertyContext.PUBACK),
    PacketType.PUBREC: (PubRec, PropertyContext.PUBREC),
    PacketType.PUBREL: (PubRel, PropertyContext.PUBREL),
    PacketType.PUBCOMP: (PubComp, PropertyContext.PUBCOMP),
}

_READERS: tuple[Callable[[int, bytes, ProtocolVersion, int], Packet], ...] = (
    _reserved,
    _connect,
    _connack,
    _publish,
    _acknowledgement,
    _acknowledgement,
    _acknowledgement,
    _acknowledgement,
    _subscribe,
    _suback,
    _unsubscribe,
    _unsuback,
    _ping,
    _ping,
    _disconnect,
    _auth,
)
"""The function that reads each packet type, in the order of the type numbers."""
