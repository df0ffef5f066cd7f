"""The fifteen control packet types and the flags of their fixed headers (section 2.1).

PUBLISH is the one type whose flags carry meaning (DUP, QoS, RETAIN); every other type has one
legal value. MQTT 3.1 knew the DUP flag for PUBREL, SUBSCRIBE and UNSUBSCRIBE too, which
`DUP_ACCEPTED_IN_V31` records.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum

__all__ = ["DUP_ACCEPTED_IN_V31", "FIXED_HEADER_FLAGS", "PacketType"]


class PacketType(IntEnum):
    """A control packet type; the value is the high half of the first byte (section 2.1.2)."""

    CONNECT = 1
    CONNACK = 2
    PUBLISH = 3
    PUBACK = 4
    PUBREC = 5
    PUBREL = 6
    PUBCOMP = 7
    SUBSCRIBE = 8
    SUBACK = 9
    UNSUBSCRIBE = 10
    UNSUBACK = 11
    PINGREQ = 12
    PINGRESP = 13
    DISCONNECT = 14
    AUTH = 15


FIXED_HEADER_FLAGS: Mapping[PacketType, int] = {
    PacketType.CONNECT: 0,
    PacketType.CONNACK: 0,
    PacketType.PUBACK: 0,
    PacketType.PUBREC: 0,
    PacketType.PUBREL: 2,
    PacketType.PUBCOMP: 0,
    PacketType.SUBSCRIBE: 2,
    PacketType.SUBACK: 0,
    PacketType.UNSUBSCRIBE: 2,
    PacketType.UNSUBACK: 0,
    PacketType.PINGREQ: 0,
    PacketType.PINGRESP: 0,
    PacketType.DISCONNECT: 0,
    PacketType.AUTH: 0,
}
"""The only legal flags of each type (section 2.1.3). PUBLISH is absent: its flags carry meaning."""

DUP_ACCEPTED_IN_V31: frozenset[PacketType] = frozenset(
    {PacketType.PUBREL, PacketType.SUBSCRIBE, PacketType.UNSUBSCRIBE}
)
"""The types besides PUBLISH that MQTT 3.1 may repeat with the DUP flag set."""
