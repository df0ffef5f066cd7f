"""The invariant: any bytes give packets or `MQTTError`, never anything else, however they are cut."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from mqttbroker.protocol import MQTTError, Packet, PacketReader, ProtocolVersion, ReasonCode, encode
from tests.protocol.notation import varint
from tests.protocol.strategies import packets_with_versions, versions
from tests.protocol.vectors import VECTORS

Outcome = tuple[list[Packet], ReasonCode | None]

_bodies = st.binary(max_size=60)
_framed = st.builds(
    lambda first, body: bytes((first,)) + varint(len(body)) + body,
    st.integers(0, 255),
    _bodies,
)
_known = st.sampled_from([vector.data for vector in VECTORS if len(vector.data) < 2000])
_written = packets_with_versions.map(lambda drawn: encode(*drawn))


@st.composite
def _damaged(draw: st.DrawFn) -> bytes:
    """A packet with some bytes overwritten; lengths and flags are the likeliest to matter, so the front is."""
    data = bytearray(draw(_known | _written))
    for position in draw(st.lists(st.integers(0, 40), max_size=3)):
        if position < len(data):
            data[position] = draw(st.integers(0, 255))
    return bytes(data)


streams = st.lists(st.binary(max_size=20) | _framed | _known | _damaged(), max_size=4).map(b"".join)


def read(data: bytes, cuts: list[int], version: ProtocolVersion) -> Outcome:
    """Feed `data` in the pieces between `cuts`; nothing but MQTTError may come out of the reader."""
    reader = PacketReader(version, max_packet_size=5000, max_user_properties=20)
    packets: list[Packet] = []
    edges = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
    for start, end in pairwise(edges):
        try:
            packets += reader.feed(data[start:end])
        except MQTTError as error:
            assert error is reader.error
            return packets, error.reason
    return packets, reader.error.reason if reader.error else None


@settings(max_examples=6 * settings().max_examples)
@given(streams, st.lists(st.integers(0, 200), max_size=6), versions)
def test_any_bytes_in_any_pieces(data: bytes, cuts: list[int], version: ProtocolVersion) -> None:
    whole = read(data, [], version)
    assert read(data, cuts, version) == whole
    assert read(data, list(range(len(data))), version) == whole


@settings(max_examples=6 * settings().max_examples)
@given(_damaged(), versions)
def test_what_is_read_can_be_written(data: bytes, version: ProtocolVersion) -> None:
    reader = PacketReader(version)
    try:
        packets = reader.feed(data)
    except MQTTError:
        return
    # The checks are shared, so the encoder must take everything that the decoder let in.
    for packet in packets:
        encoded = encode(packet, reader.version)
        assert PacketReader(reader.version).feed(encoded) == [packet]
