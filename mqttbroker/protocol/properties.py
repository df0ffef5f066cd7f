"""Properties (section 2.2.2): the table of all of them, and the codec that it drives.

`PROPERTIES` is the only place that knows an identifier, its type, its range, and the packets that it
belongs to; decoder, encoder and tests read it. A will has a property list of its own inside CONNECT,
so `PropertyContext` is the packet types that have properties plus `WILL`.

`Properties` has one field per property. `None` is "absent", which is never the same as zero or empty.

Which error for what: an unknown identifier, one that does not belong to the packet, a value that
cannot be read: `MalformedPacket` (section 2.2.2.2). A second one of a property that may occur once, a
value out of range, Authentication Data without a method: `ProtocolViolation`. Topic Alias 0 has a
reason code of its own. What depends on the sender or on the state of the connection (a Subscription
Identifier from a client, an alias above the maximum) is not decided here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Any

from mqttbroker.protocol.errors import (
    InvalidPacket,
    MalformedPacket,
    MQTTError,
    ProtocolViolation,
    QuotaExceeded,
    TopicAliasInvalid,
)
from mqttbroker.protocol.packet_types import PacketType
from mqttbroker.protocol.wire import (
    MAX_VARINT,
    encode_binary,
    encode_string,
    encode_u8,
    encode_u16,
    encode_u32,
    encode_varint,
    read_binary,
    read_string,
    read_u8,
    read_u16,
    read_u32,
    read_varint,
)

__all__ = [
    "DEFAULT_MAX_USER_PROPERTIES",
    "NO_PROPERTIES",
    "PROPERTIES",
    "Properties",
    "PropertyContext",
    "PropertyDefinition",
    "WireType",
    "check_properties",
    "decode_properties",
    "encode_properties",
    "encode_property_list",
]

DEFAULT_MAX_USER_PROPERTIES = 1000
"""User Properties taken in one packet unless the caller says otherwise."""


class PropertyContext(IntEnum):
    """Where a property list stands: a packet type, or the will inside CONNECT (section 3.1.3.2)."""

    WILL = 0
    CONNECT = PacketType.CONNECT
    CONNACK = PacketType.CONNACK
    PUBLISH = PacketType.PUBLISH
    PUBACK = PacketType.PUBACK
    PUBREC = PacketType.PUBREC
    PUBREL = PacketType.PUBREL
    PUBCOMP = PacketType.PUBCOMP
    SUBSCRIBE = PacketType.SUBSCRIBE
    SUBACK = PacketType.SUBACK
    UNSUBSCRIBE = PacketType.UNSUBSCRIBE
    UNSUBACK = PacketType.UNSUBACK
    DISCONNECT = PacketType.DISCONNECT
    AUTH = PacketType.AUTH


class WireType(Enum):
    """The data type of a property's value; the value of the member is the standard's name for it."""

    BYTE = "Byte"
    TWO_BYTE_INTEGER = "Two Byte Integer"
    FOUR_BYTE_INTEGER = "Four Byte Integer"
    VARIABLE_BYTE_INTEGER = "Variable Byte Integer"
    BINARY_DATA = "Binary Data"
    UTF8_STRING = "UTF-8 String"
    UTF8_STRING_PAIR = "UTF-8 String Pair"


@dataclass(frozen=True, slots=True)
class PropertyDefinition:
    """One row of the table. `name` is the field of `Properties`, `title` the standard's name.

    `repeatable` holds the contexts in which it may occur more than once. `minimum` and `maximum`
    bound integers, and mean nothing for the other types.
    """

    identifier: int
    name: str
    title: str
    wire_type: WireType
    contexts: frozenset[PropertyContext]
    repeatable: frozenset[PropertyContext]
    minimum: int
    maximum: int


@dataclass(frozen=True, slots=True)
class Properties:
    """The properties of one packet or will. `None` means absent; the two repeatable ones are tuples.

    Units are the standard's: intervals and Server Keep Alive in seconds, Maximum Packet Size in bytes.
    """

    payload_format_indicator: int | None = None
    message_expiry_interval: int | None = None
    content_type: str | None = None
    response_topic: str | None = None
    correlation_data: bytes | None = None
    subscription_identifiers: tuple[int, ...] = ()
    session_expiry_interval: int | None = None
    assigned_client_identifier: str | None = None
    server_keep_alive: int | None = None
    authentication_method: str | None = None
    authentication_data: bytes | None = None
    request_problem_information: int | None = None
    will_delay_interval: int | None = None
    request_response_information: int | None = None
    response_information: str | None = None
    server_reference: str | None = None
    reason_string: str | None = None
    receive_maximum: int | None = None
    topic_alias_maximum: int | None = None
    topic_alias: int | None = None
    maximum_qos: int | None = None
    retain_available: int | None = None
    user_properties: tuple[tuple[str, str], ...] = ()
    maximum_packet_size: int | None = None
    wildcard_subscription_available: int | None = None
    subscription_identifier_available: int | None = None
    shared_subscription_available: int | None = None


NO_PROPERTIES = Properties()
"""The empty property list, shared by every packet that has none."""

_C = PropertyContext
_MESSAGE = (_C.PUBLISH, _C.WILL)
_HANDSHAKE = (_C.CONNECT, _C.CONNACK)
_AUTHENTICATION = (*_HANDSHAKE, _C.AUTH)
_EVERYWHERE = tuple(PropertyContext)
_WITH_REASON = tuple(c for c in _C if c not in (_C.WILL, _C.CONNECT, _C.PUBLISH, _C.SUBSCRIBE, _C.UNSUBSCRIBE))
_B = WireType.BYTE
_U16 = WireType.TWO_BYTE_INTEGER
_U32 = WireType.FOUR_BYTE_INTEGER
_STR = WireType.UTF8_STRING
_BIN = WireType.BINARY_DATA
_GREATEST = {_B: 1, _U16: 0xFFFF, _U32: 0xFFFF_FFFF, WireType.VARIABLE_BYTE_INTEGER: MAX_VARINT}


def _row(
    identifier: int,
    title: str,
    wire_type: WireType,
    contexts: tuple[PropertyContext, ...],
    minimum: int = 0,
    repeatable: tuple[PropertyContext, ...] = (),
    name: str = "",
) -> PropertyDefinition:
    """A row; every property of type Byte is 0 or 1, every other integer goes up to what its type holds."""
    return PropertyDefinition(
        identifier,
        name or title.lower().replace(" ", "_"),
        title,
        wire_type,
        frozenset(contexts),
        frozenset(repeatable),
        minimum,
        _GREATEST.get(wire_type, 0),
    )


_ROWS: tuple[PropertyDefinition, ...] = (
    _row(0x01, "Payload Format Indicator", _B, _MESSAGE),
    _row(0x02, "Message Expiry Interval", _U32, _MESSAGE),
    _row(0x03, "Content Type", _STR, _MESSAGE),
    _row(0x08, "Response Topic", _STR, _MESSAGE),
    _row(0x09, "Correlation Data", _BIN, _MESSAGE),
    _row(
        0x0B,
        "Subscription Identifier",
        WireType.VARIABLE_BYTE_INTEGER,
        (_C.PUBLISH, _C.SUBSCRIBE),
        minimum=1,
        repeatable=(_C.PUBLISH,),
        name="subscription_identifiers",
    ),
    _row(0x11, "Session Expiry Interval", _U32, (*_HANDSHAKE, _C.DISCONNECT)),
    _row(0x12, "Assigned Client Identifier", _STR, (_C.CONNACK,)),
    _row(0x13, "Server Keep Alive", _U16, (_C.CONNACK,)),
    _row(0x15, "Authentication Method", _STR, _AUTHENTICATION),
    _row(0x16, "Authentication Data", _BIN, _AUTHENTICATION),
    _row(0x17, "Request Problem Information", _B, (_C.CONNECT,)),
    _row(0x18, "Will Delay Interval", _U32, (_C.WILL,)),
    _row(0x19, "Request Response Information", _B, (_C.CONNECT,)),
    _row(0x1A, "Response Information", _STR, (_C.CONNACK,)),
    _row(0x1C, "Server Reference", _STR, (_C.CONNACK, _C.DISCONNECT)),
    _row(0x1F, "Reason String", _STR, _WITH_REASON),
    _row(0x21, "Receive Maximum", _U16, _HANDSHAKE, minimum=1),
    _row(0x22, "Topic Alias Maximum", _U16, _HANDSHAKE),
    _row(0x23, "Topic Alias", _U16, (_C.PUBLISH,), minimum=1),
    _row(0x24, "Maximum QoS", _B, (_C.CONNACK,)),
    _row(0x25, "Retain Available", _B, (_C.CONNACK,)),
    _row(
        0x26,
        "User Property",
        WireType.UTF8_STRING_PAIR,
        _EVERYWHERE,
        repeatable=_EVERYWHERE,
        name="user_properties",
    ),
    _row(0x27, "Maximum Packet Size", _U32, _HANDSHAKE, minimum=1),
    _row(0x28, "Wildcard Subscription Available", _B, (_C.CONNACK,)),
    _row(0x29, "Subscription Identifier Available", _B, (_C.CONNACK,)),
    _row(0x2A, "Shared Subscription Available", _B, (_C.CONNACK,)),
)

PROPERTIES: Mapping[int, PropertyDefinition] = {row.identifier: row for row in _ROWS}
"""Every property of MQTT 5 by its identifier (section 2.2.2.2, table 2-4)."""

_USER_PROPERTY = PROPERTIES[0x26]
_SUBSCRIPTION_IDENTIFIER = PROPERTIES[0x0B]
_TOPIC_ALIAS = PROPERTIES[0x23]


def decode_properties(
    data: bytes,
    pos: int,
    stop: int,
    context: PropertyContext,
    max_user_properties: int = DEFAULT_MAX_USER_PROPERTIES,
) -> tuple[Properties, int]:
    """The property list at `pos`, its length prefix included, and the position after it.

    Raises MalformedPacket, ProtocolViolation or TopicAliasInvalid by the rules of section 2.2.2, and
    QuotaExceeded above `max_user_properties` User Properties.
    """
    length, pos = read_varint(data, pos, stop)
    if not length:
        return NO_PROPERTIES, pos
    end = pos + length
    if end > stop:
        raise MalformedPacket("property length is greater than what is there")
    # The keys are the field names of Properties, and the table pairs each with a value of its type.
    values: dict[str, Any] = {}
    users: list[tuple[str, str]] = []
    identifiers: list[int] = []
    while pos < end:
        identifier, pos = read_varint(data, pos, end)
        definition = PROPERTIES.get(identifier)
        if definition is None:
            raise MalformedPacket(f"property 0x{identifier:02X} does not exist")
        if context not in definition.contexts:
            raise MalformedPacket(f"{definition.title} does not belong in {context.name}")
        if definition is _USER_PROPERTY:
            if len(users) >= max_user_properties:
                raise QuotaExceeded(f"more than {max_user_properties} User Properties")
            key, pos = read_string(data, pos, end)  # [MQTT-1.5.7-1]
            text, pos = read_string(data, pos, end)
            users.append((key, text))
            continue
        value, pos = _read_value(definition, data, pos, end)
        _check_value(definition, value)
        if context in definition.repeatable:
            identifiers.append(value)
        elif definition.name in values:
            raise ProtocolViolation(f"{definition.title} occurs more than once")
        elif definition is _SUBSCRIPTION_IDENTIFIER:
            values[definition.name] = (value,)
        else:
            values[definition.name] = value
    if users:
        values["user_properties"] = tuple(users)
    if identifiers:
        values["subscription_identifiers"] = tuple(identifiers)
    properties = Properties(**values)
    _check_together(properties)
    return properties, pos


def encode_properties(properties: Properties, context: PropertyContext) -> bytes:
    """The property list of `context` with its length prefix [MQTT-2.2.2-1].

    Raises InvalidPacket for a property that does not belong there or a value that it may not have.
    """
    if properties is NO_PROPERTIES:
        return b"\0"
    encoded = encode_property_list(properties, context)
    return encode_varint(len(encoded)) + encoded


def encode_property_list(properties: Properties, context: PropertyContext) -> bytes:
    """The properties in the order of the table, without the length prefix: what `encode_publish` takes.

    Raises InvalidPacket as `encode_properties` does.
    """
    parts: list[bytes] = []
    try:
        for definition in _ROWS:
            value = getattr(properties, definition.name)
            if value is None:
                continue
            for single in _checked_values(definition, value, context):
                parts.append(encode_u8(definition.identifier))
                parts.append(_encode_value(definition, single))
        _check_together(properties)
    except MQTTError as error:
        raise InvalidPacket(error.detail) from error
    return b"".join(parts)


def check_properties(properties: Properties, context: PropertyContext) -> None:
    """Hold every property against the table: the same rules whether the list came in or is to go out.

    Raises MalformedPacket, ProtocolViolation or TopicAliasInvalid.
    """
    for definition in _ROWS:
        value = getattr(properties, definition.name)
        if value is not None:
            _checked_values(definition, value, context)
    _check_together(properties)


def _checked_values(definition: PropertyDefinition, value: Any, context: PropertyContext) -> tuple[Any, ...]:
    """The values of one property that is present, none or many if it is a repeatable one."""
    values: tuple[Any, ...] = value if definition.repeatable else (value,)
    if values and context not in definition.contexts:
        raise MalformedPacket(f"{definition.title} does not belong in {context.name}")
    if len(values) > 1 and context not in definition.repeatable:
        raise ProtocolViolation(f"{definition.title} occurs more than once")
    for single in values:
        _check_value(definition, single)
    return values


def _read_value(definition: PropertyDefinition, data: bytes, pos: int, stop: int) -> tuple[Any, int]:
    """The value of a property by its wire type; a User Property is read by the caller."""
    wire_type = definition.wire_type
    if wire_type is _STR:
        return read_string(data, pos, stop)  # [MQTT-3.3.2-13] [MQTT-3.3.2-19]
    if wire_type is _U32:
        return read_u32(data, pos, stop)
    if wire_type is _U16:
        return read_u16(data, pos, stop)
    if wire_type is _B:
        return read_u8(data, pos, stop)
    if wire_type is _BIN:
        return read_binary(data, pos, stop)
    return read_varint(data, pos, stop)


def _encode_value(definition: PropertyDefinition, value: Any) -> bytes:
    """One value by its wire type, checked before."""
    wire_type = definition.wire_type
    if wire_type is _STR:
        return encode_string(value)
    if wire_type is _U32:
        return encode_u32(value)
    if wire_type is _U16:
        return encode_u16(value)
    if wire_type is _B:
        return encode_u8(value)
    if wire_type is _BIN:
        return encode_binary(value)
    if wire_type is WireType.VARIABLE_BYTE_INTEGER:
        return encode_varint(value)
    key, text = value
    return encode_string(key) + encode_string(text)


def _check_value(definition: PropertyDefinition, value: Any) -> None:
    """The range of an integer; the other types have none."""
    if not definition.maximum or definition.minimum <= value <= definition.maximum:
        return
    if definition is _TOPIC_ALIAS:
        raise TopicAliasInvalid("Topic Alias 0")  # [MQTT-3.3.2-8]
    raise ProtocolViolation(f"{definition.title} may not be {value}")


def _check_together(properties: Properties) -> None:
    """Rules beyond a single number: they hold in every context that has the property at all."""
    if properties.authentication_data is not None and properties.authentication_method is None:
        raise ProtocolViolation("Authentication Data without Authentication Method")
    topic = properties.response_topic
    if topic is not None and ("+" in topic or "#" in topic):
        raise ProtocolViolation("Response Topic contains a wildcard")  # [MQTT-3.3.2-14]
