"""What is written is read as the same packet: every type, every version."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mqttbroker.protocol import Packet, PacketReader, PacketType, ProtocolVersion, encode
from tests.protocol.strategies import packets_of, packets_with_versions

KINDS = [
    (packet_type, version)
    for packet_type in PacketType
    for version in ProtocolVersion
    if packet_type is not PacketType.AUTH or version is ProtocolVersion.V5
]


@pytest.mark.parametrize(("packet_type", "version"), KINDS, ids=[f"{t.name}-{v.name}".lower() for t, v in KINDS])
@given(data=st.data())
def test_each_type(packet_type: PacketType, version: ProtocolVersion, data: st.DataObject) -> None:
    packet = data.draw(packets_of(packet_type, version))
    assert packet.type is packet_type
    encoded = encode(packet, version)
    assert encoded[0] >> 4 == packet_type
    assert PacketReader(version).feed(encoded) == [packet]


@given(st.lists(packets_with_versions, max_size=5))
def test_equal_packets_have_equal_bytes(drawn: list[tuple[Packet, ProtocolVersion]]) -> None:
    for packet, version in drawn:
        encoded = encode(packet, version)
        (again,) = PacketReader(version).feed(encoded)
        assert encode(again, version) == encoded
        assert hash(again) == hash(packet)
