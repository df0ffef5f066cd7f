"""The vectors through reader, decoder and encoder."""

from __future__ import annotations

import pytest

from mqttbroker.protocol import (
    MQTTError,
    Packet,
    PacketReader,
    PacketType,
    PingReq,
    ProtocolVersion,
    decode,
    encode,
    read_remaining_length,
)
from tests.protocol.vector import Vector
from tests.protocol.vectors import ACCEPTED, REFUSED, VECTORS

PING = b"\xc0\x00"

accepted = pytest.mark.parametrize("vector", ACCEPTED, ids=str)
refused = pytest.mark.parametrize("vector", REFUSED, ids=str)


def byte_by_byte(reader: PacketReader, data: bytes) -> list[Packet]:
    packets: list[Packet] = []
    for index in range(len(data)):
        packets += reader.feed(data[index : index + 1])
    return packets


class TestTheTable:
    def test_names_are_unique(self) -> None:
        names = [str(vector) for vector in VECTORS]
        assert len(set(names)) == len(names)

    def test_each_type_is_there_in_each_version(self) -> None:
        there = {(vector.packet.type, vector.version) for vector in ACCEPTED if vector.packet is not None}
        assert there == {
            (packet_type, version)
            for packet_type in PacketType
            for version in ProtocolVersion
            if packet_type is not PacketType.AUTH or version is ProtocolVersion.V5
        }


class TestReading:
    @accepted
    def test_whole(self, vector: Vector) -> None:
        reader = PacketReader(vector.version)
        assert reader.feed(vector.data) == [vector.packet]
        assert reader.error is None
        assert reader.version is vector.version

    @accepted
    def test_byte_by_byte(self, vector: Vector) -> None:
        assert byte_by_byte(PacketReader(vector.version), vector.data) == [vector.packet]

    @accepted
    def test_with_a_packet_behind(self, vector: Vector) -> None:
        assert PacketReader(vector.version).feed(vector.data + PING) == [vector.packet, PingReq()]

    @accepted
    def test_with_half_a_packet_behind(self, vector: Vector) -> None:
        reader = PacketReader(vector.version)
        assert reader.feed(vector.data + PING[:1]) == [vector.packet]
        assert reader.feed(PING[1:]) == [PingReq()]

    @accepted
    def test_a_shorter_body_is_a_packet_or_an_error(self, vector: Vector) -> None:
        _, start = read_remaining_length(vector.data, 1)
        body = vector.data[start:]
        for size in range(max(0, len(body) - 200), len(body)):
            try:
                packet = decode(vector.data[0], body[:size], vector.version)
            except MQTTError:
                continue
            assert packet.type == vector.data[0] >> 4


class TestRefusing:
    @refused
    def test_whole(self, vector: Vector) -> None:
        with pytest.raises(MQTTError) as caught:
            PacketReader(vector.version).feed(vector.data)
        assert caught.value.reason is vector.error
        assert caught.value.detail

    @refused
    def test_byte_by_byte(self, vector: Vector) -> None:
        with pytest.raises(MQTTError) as caught:
            byte_by_byte(PacketReader(vector.version), vector.data)
        assert caught.value.reason is vector.error

    @refused
    def test_with_a_packet_behind(self, vector: Vector) -> None:
        with pytest.raises(MQTTError) as caught:
            PacketReader(vector.version).feed(vector.data + PING)
        assert caught.value.reason is vector.error

    @refused
    def test_with_a_packet_before(self, vector: Vector) -> None:
        reader = PacketReader(vector.version)
        assert reader.feed(PING + vector.data) == [PingReq()]
        assert reader.error is not None
        with pytest.raises(MQTTError) as caught:
            reader.feed(b"")
        assert caught.value.reason is vector.error


class TestWriting:
    @accepted
    def test_gives_the_bytes_back(self, vector: Vector) -> None:
        assert vector.packet is not None
        data = encode(vector.packet, vector.version)
        assert (data == vector.data) is vector.canonical
        assert PacketReader(vector.version).feed(data) == [vector.packet]
        # The form that is written is never the longer one.
        assert len(data) <= len(vector.data)
