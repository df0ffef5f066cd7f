"""The public names of the package."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

from mqttbroker import protocol

MODULES = sorted(f"mqttbroker.protocol.{module.name}" for module in pkgutil.iter_modules(protocol.__path__))


def test_public_names() -> None:
    assert set(protocol.__all__) == {
        *("CLIENT_ONLY", "LEGAL", "MAX_PACKET_SIZE", "MAX_REMAINING_LENGTH", "NO_PROPERTIES", "PROPERTIES"),
        *("SERVER_ONLY", "TEXT", "PacketReader", "PacketType", "ProtocolVersion", "ReasonCode", "WireType"),
        *("Auth", "ConnAck", "Connect", "Disconnect", "Packet", "PingReq", "PingResp", "PubAck", "PubComp"),
        *("PubRec", "PubRel", "Publish", "SubAck", "Subscribe", "SubscriptionRequest", "UnsubAck"),
        *("Unsubscribe", "Will", "Properties", "PropertyContext", "PropertyDefinition"),
        *("InvalidPacket", "MQTTError", "MalformedPacket", "PacketTooLarge", "ProtocolViolation"),
        *("QuotaExceeded", "TopicAliasInvalid", "UnsupportedProtocolVersion", "PacketSplitter", "RawPacket"),
        *("check_properties", "decode", "decode_properties", "encode", "encode_properties"),
        *("encode_property_list", "encode_publish", "from_v311", "read_remaining_length", "to_v311"),
    }


@pytest.mark.parametrize("name", ["mqttbroker.protocol", *MODULES], ids=str)
def test_each_module_lists_what_it_has(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__doc__ or not str(module.__file__).endswith(".py"), "compiled modules have none"
    for public in module.__all__:
        assert hasattr(module, public)
