"""MQTT packets and their bytes: versions, properties, reason codes, decoder and encoder.

Nothing here does I/O, knows the time or keeps the state of a connection. Topic names and filters are
plain strings; their grammar belongs to `mqttbroker.topics`.
"""

from __future__ import annotations

from mqttbroker.protocol.decoder import decode
from mqttbroker.protocol.encoder import encode
from mqttbroker.protocol.errors import (
    InvalidPacket,
    MalformedPacket,
    MQTTError,
    PacketTooLarge,
    ProtocolViolation,
    QuotaExceeded,
    TopicAliasInvalid,
    UnsupportedProtocolVersion,
)
from mqttbroker.protocol.packet_types import PacketType
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
    NO_PROPERTIES,
    PROPERTIES,
    Properties,
    PropertyContext,
    PropertyDefinition,
    WireType,
    check_properties,
    decode_properties,
    encode_properties,
    encode_property_list,
)
from mqttbroker.protocol.publish import encode_publish
from mqttbroker.protocol.reader import MAX_PACKET_SIZE, PacketReader
from mqttbroker.protocol.reason_codes import CLIENT_ONLY, LEGAL, SERVER_ONLY, TEXT, ReasonCode, from_v311, to_v311
from mqttbroker.protocol.splitter import PacketSplitter, RawPacket
from mqttbroker.protocol.versions import ProtocolVersion
from mqttbroker.protocol.wire import MAX_REMAINING_LENGTH, read_remaining_length

__all__ = [
    "CLIENT_ONLY",
    "LEGAL",
    "MAX_PACKET_SIZE",
    "MAX_REMAINING_LENGTH",
    "NO_PROPERTIES",
    "PROPERTIES",
    "SERVER_ONLY",
    "TEXT",
    "Auth",
    "ConnAck",
    "Connect",
    "Disconnect",
    "InvalidPacket",
    "MQTTError",
    "MalformedPacket",
    "Packet",
    "PacketReader",
    "PacketSplitter",
    "PacketTooLarge",
    "PacketType",
    "PingReq",
    "PingResp",
    "Properties",
    "PropertyContext",
    "PropertyDefinition",
    "ProtocolVersion",
    "ProtocolViolation",
    "PubAck",
    "PubComp",
    "PubRec",
    "PubRel",
    "Publish",
    "QuotaExceeded",
    "RawPacket",
    "ReasonCode",
    "SubAck",
    "Subscribe",
    "SubscriptionRequest",
    "TopicAliasInvalid",
    "UnsubAck",
    "Unsubscribe",
    "UnsupportedProtocolVersion",
    "Will",
    "WireType",
    "check_properties",
    "decode",
    "decode_properties",
    "encode",
    "encode_properties",
    "encode_property_list",
    "encode_publish",
    "from_v311",
    "read_remaining_length",
    "to_v311",
]
