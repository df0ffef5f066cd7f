"""Splitting a stream into packets without decoding them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mqttbroker.protocol import PacketSplitter, Publish, encode
from mqttbroker.protocol.versions import ProtocolVersion

SIZES = (0, 1, 120, 127, 128, 200, 16_383, 16_384, 20_000)
PACKETS = [encode(Publish("a", b"x" * size), ProtocolVersion.V311) for size in SIZES]


@given(st.lists(st.sampled_from(PACKETS), max_size=6), st.lists(st.integers(1, 30_000), max_size=20))
def test_any_split_gives_the_same(packets: list[bytes], cuts: list[int]) -> None:
    data = b"".join(packets)
    splitter = PacketSplitter(150)
    found = []
    for size in [*cuts, len(data)]:
        found += splitter.feed(data[:size])
        data = data[size:]
    assert [each.size for each in found] == [len(each) for each in packets]
    for raw, packet in zip(found, packets, strict=True):
        body = packet[packet.index(b"\0\1a") :]
        assert (raw.first, raw.body, raw.missing) == (0x30, body[:150], max(len(body) - 150, 0))


@pytest.mark.parametrize("size", [1, 100])
def test_byte_by_byte_through_the_header(size: int) -> None:
    splitter = PacketSplitter(10)
    data = PACKETS[-1]
    found = [raw for at in range(0, len(data), size) for raw in splitter.feed(data[at : at + size])]
    assert [(each.size, len(each.body), each.missing) for each in found] == [(len(data), 10, 20_003 - 10)]


def test_what_cannot_be_split() -> None:
    splitter = PacketSplitter(10)
    assert len(splitter.feed(PACKETS[0] + b"\x30\xff\xff\xff\xff\x01")) == 1
    assert splitter.error is not None
    assert splitter.feed(PACKETS[0]) == []
