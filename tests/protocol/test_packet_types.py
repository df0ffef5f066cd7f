"""Packet types, the flags of their fixed headers, and versions."""

from __future__ import annotations

from mqttbroker.protocol import PacketType, ProtocolVersion
from mqttbroker.protocol.packet_types import DUP_ACCEPTED_IN_V31, FIXED_HEADER_FLAGS
from mqttbroker.protocol.versions import PROTOCOL_NAMES


def test_every_value_from_1_to_15_is_a_type() -> None:
    assert [int(packet_type) for packet_type in PacketType] == list(range(1, 16))


def test_flags() -> None:  # [MQTT-2.1.3-1]
    assert set(FIXED_HEADER_FLAGS) == set(PacketType) - {PacketType.PUBLISH}
    with_flags = {packet_type for packet_type, flags in FIXED_HEADER_FLAGS.items() if flags}
    assert with_flags == {PacketType.PUBREL, PacketType.SUBSCRIBE, PacketType.UNSUBSCRIBE}
    assert {FIXED_HEADER_FLAGS[packet_type] for packet_type in with_flags} == {2}
    assert with_flags == DUP_ACCEPTED_IN_V31


def test_protocol_names() -> None:
    assert {(name, int(version)) for version, name in PROTOCOL_NAMES.items()} == {
        ("MQIsdp", 3),
        ("MQTT", 4),
        ("MQTT", 5),
    }
    assert set(PROTOCOL_NAMES) == set(ProtocolVersion)
