"""What can be wrong with a packet: two trees that never mix.

    MQTTError                       the peer broke the rules
    +-- MalformedPacket             0x81  the bytes cannot be read as a packet
    +-- ProtocolViolation           0x82  the packet can be read, but is not allowed
    +-- UnsupportedProtocolVersion  0x84  CONNECT names a protocol we do not speak
    +-- TopicAliasInvalid           0x94  Topic Alias 0
    +-- PacketTooLarge              0x95  larger than we said we take
    +-- QuotaExceeded               0x97  within the standard, but over a limit of ours

    InvalidPacket (a ValueError)    our own caller asked for a packet that may not exist

`MQTTError` can be raised with any other reason code as well. Which packet tells the peer about it,
and that the connection ends, is decided above this package (section 4.13).
"""

from __future__ import annotations

from mqttbroker.protocol.reason_codes import TEXT, ReasonCode

__all__ = [
    "InvalidPacket",
    "MQTTError",
    "MalformedPacket",
    "PacketTooLarge",
    "ProtocolViolation",
    "QuotaExceeded",
    "TopicAliasInvalid",
    "UnsupportedProtocolVersion",
]


class MQTTError(Exception):
    """The peer broke the rules. `reason` is the code to answer with, `detail` a sentence for the log."""

    # BaseException.__new__ keeps the constructor's arguments in `args`. No __init__ here replaces
    # them, so that copies and pickles are rebuilt with the right ones.

    reason: ReasonCode
    detail: str

    def __init__(self, reason: ReasonCode, detail: str = "") -> None:
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        text = TEXT[self.reason]
        return f"{text}: {self.detail}" if self.detail else text


class MalformedPacket(MQTTError):
    """The bytes do not have the form of a packet (section 1.2, 0x81)."""

    def __init__(self, detail: str = "") -> None:
        MQTTError.__init__(self, ReasonCode.MALFORMED_PACKET, detail)


class ProtocolViolation(MQTTError):
    """The packet has the right form, and a content or a place that is not allowed (section 1.2, 0x82)."""

    def __init__(self, detail: str = "") -> None:
        MQTTError.__init__(self, ReasonCode.PROTOCOL_ERROR, detail)


class UnsupportedProtocolVersion(MQTTError):
    """CONNECT carries a protocol name or level that we do not speak (section 3.1.2.1 and 3.1.2.2, 0x84).

    `protocol_name` and `level` are what the client sent, so that the answer can be in its own version.
    """

    protocol_name: str
    level: int

    def __init__(self, protocol_name: str, level: int) -> None:
        detail = f"protocol name {protocol_name[:32]!r}, level {level}"
        MQTTError.__init__(self, ReasonCode.UNSUPPORTED_PROTOCOL_VERSION, detail)
        self.protocol_name = protocol_name
        self.level = level


class TopicAliasInvalid(MQTTError):
    """A Topic Alias that no packet may carry (section 3.3.2.3.4, 0x94)."""

    def __init__(self, detail: str = "") -> None:
        MQTTError.__init__(self, ReasonCode.TOPIC_ALIAS_INVALID, detail)


class PacketTooLarge(MQTTError):
    """The packet is larger than the Maximum Packet Size in force (section 3.1.2.11.4, 0x95)."""

    def __init__(self, detail: str = "") -> None:
        MQTTError.__init__(self, ReasonCode.PACKET_TOO_LARGE, detail)


class QuotaExceeded(MQTTError):
    """The packet is legal, but over a limit that the broker sets (0x97)."""

    def __init__(self, detail: str = "") -> None:
        MQTTError.__init__(self, ReasonCode.QUOTA_EXCEEDED, detail)


class InvalidPacket(ValueError):
    """The caller asked the encoder for a packet that the standard forbids. Nothing was encoded."""
