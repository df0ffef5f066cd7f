"""Reason codes (section 2.4): their values, where each is legal, their texts, and their MQTT 3 forms.

One private table of rows says in which packets a code may stand. `LEGAL`, `SERVER_ONLY` and
`CLIENT_ONLY` are derived from it. The codec checks `LEGAL`; who sent a packet is unknown here, so
the two `*_ONLY` sets are for the layer that knows.

Bad authentication method (0x8C) is listed for DISCONNECT in section 2.4, but not in the table of
section 3.14.2.1, which a DISCONNECT must obey [MQTT-3.14.2-1]; so it is not legal there.

MQTT 3.1 and 3.1.1 know five CONNACK return codes and one SUBACK failure. `to_v311` is the only
place where a reason code becomes one of those, `from_v311` the only way back.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import NamedTuple

from mqttbroker.protocol.packet_types import PacketType

__all__ = ["CLIENT_ONLY", "LEGAL", "SERVER_ONLY", "TEXT", "ReasonCode", "from_v311", "to_v311"]


class ReasonCode(IntEnum):
    """A reason code (section 2.4). Three names share the value 0; `SUCCESS` is the canonical one."""

    SUCCESS = 0x00
    NORMAL_DISCONNECTION = 0x00
    GRANTED_QOS_0 = 0x00
    GRANTED_QOS_1 = 0x01
    GRANTED_QOS_2 = 0x02
    DISCONNECT_WITH_WILL_MESSAGE = 0x04
    NO_MATCHING_SUBSCRIBERS = 0x10
    NO_SUBSCRIPTION_EXISTED = 0x11
    CONTINUE_AUTHENTICATION = 0x18
    RE_AUTHENTICATE = 0x19
    UNSPECIFIED_ERROR = 0x80
    MALFORMED_PACKET = 0x81
    PROTOCOL_ERROR = 0x82
    IMPLEMENTATION_SPECIFIC_ERROR = 0x83
    UNSUPPORTED_PROTOCOL_VERSION = 0x84
    CLIENT_IDENTIFIER_NOT_VALID = 0x85
    BAD_USER_NAME_OR_PASSWORD = 0x86
    NOT_AUTHORIZED = 0x87
    SERVER_UNAVAILABLE = 0x88
    SERVER_BUSY = 0x89
    BANNED = 0x8A
    SERVER_SHUTTING_DOWN = 0x8B
    BAD_AUTHENTICATION_METHOD = 0x8C
    KEEP_ALIVE_TIMEOUT = 0x8D
    SESSION_TAKEN_OVER = 0x8E
    TOPIC_FILTER_INVALID = 0x8F
    TOPIC_NAME_INVALID = 0x90
    PACKET_IDENTIFIER_IN_USE = 0x91
    PACKET_IDENTIFIER_NOT_FOUND = 0x92
    RECEIVE_MAXIMUM_EXCEEDED = 0x93
    TOPIC_ALIAS_INVALID = 0x94
    PACKET_TOO_LARGE = 0x95
    MESSAGE_RATE_TOO_HIGH = 0x96
    QUOTA_EXCEEDED = 0x97
    ADMINISTRATIVE_ACTION = 0x98
    PAYLOAD_FORMAT_INVALID = 0x99
    RETAIN_NOT_SUPPORTED = 0x9A
    QOS_NOT_SUPPORTED = 0x9B
    USE_ANOTHER_SERVER = 0x9C
    SERVER_MOVED = 0x9D
    SHARED_SUBSCRIPTIONS_NOT_SUPPORTED = 0x9E
    CONNECTION_RATE_EXCEEDED = 0x9F
    MAXIMUM_CONNECT_TIME = 0xA0
    SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED = 0xA1
    WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED = 0xA2


_CONNACK = PacketType.CONNACK
_PUBACK = PacketType.PUBACK
_PUBREC = PacketType.PUBREC
_PUBREL = PacketType.PUBREL
_PUBCOMP = PacketType.PUBCOMP
_SUBACK = PacketType.SUBACK
_UNSUBACK = PacketType.UNSUBACK
_DISCONNECT = PacketType.DISCONNECT
_AUTH = PacketType.AUTH
_R = ReasonCode


class _Row(NamedTuple):
    """A code, the standard's name for it, and the packets in which each side may send it."""

    code: ReasonCode
    text: str
    either: tuple[PacketType, ...] = ()
    server: tuple[PacketType, ...] = ()
    client: tuple[PacketType, ...] = ()


_ACKS_OF_PUBLISH = (_PUBACK, _PUBREC)
_ACKS_OF_FILTERS = (_SUBACK, _UNSUBACK)

_ROWS: tuple[_Row, ...] = (
    # Success, Granted QoS 0 and Normal disconnection are one value under three names.
    _Row(
        _R.SUCCESS, "Success", (_CONNACK, *_ACKS_OF_PUBLISH, _PUBREL, _PUBCOMP, *_ACKS_OF_FILTERS, _DISCONNECT, _AUTH)
    ),
    _Row(_R.GRANTED_QOS_1, "Granted QoS 1", (_SUBACK,)),
    _Row(_R.GRANTED_QOS_2, "Granted QoS 2", (_SUBACK,)),
    _Row(_R.DISCONNECT_WITH_WILL_MESSAGE, "Disconnect with Will Message", client=(_DISCONNECT,)),
    _Row(_R.NO_MATCHING_SUBSCRIBERS, "No matching subscribers", server=_ACKS_OF_PUBLISH),
    _Row(_R.NO_SUBSCRIPTION_EXISTED, "No subscription existed", (_UNSUBACK,)),
    _Row(_R.CONTINUE_AUTHENTICATION, "Continue authentication", (_AUTH,)),
    _Row(_R.RE_AUTHENTICATE, "Re-authenticate", client=(_AUTH,)),
    _Row(_R.UNSPECIFIED_ERROR, "Unspecified error", (_CONNACK, *_ACKS_OF_PUBLISH, *_ACKS_OF_FILTERS, _DISCONNECT)),
    _Row(_R.MALFORMED_PACKET, "Malformed Packet", (_CONNACK, _DISCONNECT)),
    _Row(_R.PROTOCOL_ERROR, "Protocol Error", (_CONNACK, _DISCONNECT)),
    _Row(
        _R.IMPLEMENTATION_SPECIFIC_ERROR,
        "Implementation specific error",
        (_CONNACK, *_ACKS_OF_PUBLISH, *_ACKS_OF_FILTERS, _DISCONNECT),
    ),
    _Row(_R.UNSUPPORTED_PROTOCOL_VERSION, "Unsupported Protocol Version", (_CONNACK,)),
    _Row(_R.CLIENT_IDENTIFIER_NOT_VALID, "Client Identifier not valid", (_CONNACK,)),
    _Row(_R.BAD_USER_NAME_OR_PASSWORD, "Bad User Name or Password", (_CONNACK,)),
    _Row(_R.NOT_AUTHORIZED, "Not authorized", (_CONNACK, *_ACKS_OF_PUBLISH, *_ACKS_OF_FILTERS), (_DISCONNECT,)),
    _Row(_R.SERVER_UNAVAILABLE, "Server unavailable", (_CONNACK,)),
    _Row(_R.SERVER_BUSY, "Server busy", (_CONNACK,), (_DISCONNECT,)),
    _Row(_R.BANNED, "Banned", (_CONNACK,)),
    _Row(_R.SERVER_SHUTTING_DOWN, "Server shutting down", server=(_DISCONNECT,)),
    _Row(_R.BAD_AUTHENTICATION_METHOD, "Bad authentication method", (_CONNACK,)),
    _Row(_R.KEEP_ALIVE_TIMEOUT, "Keep Alive timeout", server=(_DISCONNECT,)),
    _Row(_R.SESSION_TAKEN_OVER, "Session taken over", server=(_DISCONNECT,)),
    _Row(_R.TOPIC_FILTER_INVALID, "Topic Filter invalid", _ACKS_OF_FILTERS, (_DISCONNECT,)),
    _Row(_R.TOPIC_NAME_INVALID, "Topic Name invalid", (_CONNACK, *_ACKS_OF_PUBLISH, _DISCONNECT)),
    _Row(_R.PACKET_IDENTIFIER_IN_USE, "Packet Identifier in use", (*_ACKS_OF_PUBLISH, *_ACKS_OF_FILTERS)),
    _Row(_R.PACKET_IDENTIFIER_NOT_FOUND, "Packet Identifier not found", (_PUBREL, _PUBCOMP)),
    _Row(_R.RECEIVE_MAXIMUM_EXCEEDED, "Receive Maximum exceeded", (_DISCONNECT,)),
    _Row(_R.TOPIC_ALIAS_INVALID, "Topic Alias invalid", (_DISCONNECT,)),
    _Row(_R.PACKET_TOO_LARGE, "Packet too large", (_CONNACK, _DISCONNECT)),
    _Row(_R.MESSAGE_RATE_TOO_HIGH, "Message rate too high", (_DISCONNECT,)),
    _Row(_R.QUOTA_EXCEEDED, "Quota exceeded", (_CONNACK, *_ACKS_OF_PUBLISH, _SUBACK, _DISCONNECT)),
    _Row(_R.ADMINISTRATIVE_ACTION, "Administrative action", (_DISCONNECT,)),
    _Row(_R.PAYLOAD_FORMAT_INVALID, "Payload format invalid", (_CONNACK, *_ACKS_OF_PUBLISH, _DISCONNECT)),
    _Row(_R.RETAIN_NOT_SUPPORTED, "Retain not supported", (_CONNACK,), (_DISCONNECT,)),
    _Row(_R.QOS_NOT_SUPPORTED, "QoS not supported", (_CONNACK,), (_DISCONNECT,)),
    _Row(_R.USE_ANOTHER_SERVER, "Use another server", (_CONNACK,), (_DISCONNECT,)),
    _Row(_R.SERVER_MOVED, "Server moved", (_CONNACK,), (_DISCONNECT,)),
    _Row(_R.SHARED_SUBSCRIPTIONS_NOT_SUPPORTED, "Shared Subscriptions not supported", (_SUBACK,), (_DISCONNECT,)),
    _Row(_R.CONNECTION_RATE_EXCEEDED, "Connection rate exceeded", (_CONNACK,), (_DISCONNECT,)),
    _Row(_R.MAXIMUM_CONNECT_TIME, "Maximum connect time", server=(_DISCONNECT,)),
    _Row(
        _R.SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED, "Subscription Identifiers not supported", (_SUBACK,), (_DISCONNECT,)
    ),
    _Row(_R.WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED, "Wildcard Subscriptions not supported", (_SUBACK,), (_DISCONNECT,)),
)

LEGAL: Mapping[PacketType, frozenset[ReasonCode]] = {
    packet_type: frozenset(row.code for row in _ROWS if packet_type in row.either + row.server + row.client)
    for packet_type in (_CONNACK, _PUBACK, _PUBREC, _PUBREL, _PUBCOMP, _SUBACK, _UNSUBACK, _DISCONNECT, _AUTH)
}
"""The reason codes that may stand in each packet type, whichever side sends it."""

SERVER_ONLY: frozenset[tuple[PacketType, ReasonCode]] = frozenset(
    (packet_type, row.code) for row in _ROWS for packet_type in row.server
)
"""Pairs of packet type and reason code that only a server may send."""

CLIENT_ONLY: frozenset[tuple[PacketType, ReasonCode]] = frozenset(
    (packet_type, row.code) for row in _ROWS for packet_type in row.client
)
"""Pairs of packet type and reason code that only a client may send."""

TEXT: Mapping[ReasonCode, str] = {row.code: row.text for row in _ROWS}
"""The standard's name of each code, for logs and people. 0 reads "Success", whatever the packet."""

_CONNACK_TO_V311: Mapping[ReasonCode, int] = {
    _R.SUCCESS: 0,
    _R.UNSUPPORTED_PROTOCOL_VERSION: 1,
    _R.CLIENT_IDENTIFIER_NOT_VALID: 2,
    _R.SERVER_UNAVAILABLE: 3,
    _R.BAD_USER_NAME_OR_PASSWORD: 4,
    _R.NOT_AUTHORIZED: 5,
    # These have no return code of their own: the nearest one tells the client what to do next.
    _R.UNSPECIFIED_ERROR: 3,
    _R.IMPLEMENTATION_SPECIFIC_ERROR: 3,
    _R.SERVER_BUSY: 3,
    _R.QUOTA_EXCEEDED: 3,
    _R.USE_ANOTHER_SERVER: 3,
    _R.SERVER_MOVED: 3,
    _R.CONNECTION_RATE_EXCEEDED: 3,
    _R.BANNED: 5,
    _R.BAD_AUTHENTICATION_METHOD: 5,
    _R.TOPIC_NAME_INVALID: 5,
    _R.PAYLOAD_FORMAT_INVALID: 5,
    _R.RETAIN_NOT_SUPPORTED: 5,
    _R.QOS_NOT_SUPPORTED: 5,
}
_CONNACK_FROM_V311: tuple[ReasonCode, ...] = (
    _R.SUCCESS,
    _R.UNSUPPORTED_PROTOCOL_VERSION,
    _R.CLIENT_IDENTIFIER_NOT_VALID,
    _R.SERVER_UNAVAILABLE,
    _R.BAD_USER_NAME_OR_PASSWORD,
    _R.NOT_AUTHORIZED,
)
_SUBACK_FAILURE = 0x80


def to_v311(packet_type: PacketType, reason: ReasonCode) -> int:
    """The byte that stands for `reason` in an MQTT 3.1 or 3.1.1 packet.

    CONNACK: a return code from 0 to 5 (3.1.1 section 3.2.2.3); a code that says only that the client
    broke the protocol (such as Malformed Packet) has none, and the connection is closed without a
    CONNACK. SUBACK: the granted QoS, or 0x80 for every failure (3.1.1 section 3.9.3).

    Raises KeyError where MQTT 3 has nothing to say it with.
    """
    if packet_type is PacketType.CONNACK:
        return _CONNACK_TO_V311[reason]
    if packet_type is PacketType.SUBACK and reason in LEGAL[packet_type]:
        return int(reason) if reason < _SUBACK_FAILURE else _SUBACK_FAILURE
    raise KeyError(reason)


def from_v311(packet_type: PacketType, code: int) -> ReasonCode:
    """The reason code for the byte `code` of an MQTT 3.1 or 3.1.1 CONNACK or SUBACK.

    Raises KeyError for a value that MQTT 3 does not define there.
    """
    if packet_type is PacketType.CONNACK and 0 <= code < len(_CONNACK_FROM_V311):
        return _CONNACK_FROM_V311[code]
    if packet_type is PacketType.SUBACK and code in (0, 1, 2, _SUBACK_FAILURE):
        return ReasonCode(code)
    raise KeyError(code)
