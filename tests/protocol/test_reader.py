"""PacketReader: framing, limits, memory and work."""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Callable
from types import FrameType

import pytest

from mqttbroker.protocol import (
    MAX_PACKET_SIZE,
    Connect,
    MalformedPacket,
    MQTTError,
    PacketReader,
    PacketTooLarge,
    PingReq,
    Properties,
    ProtocolVersion,
    PubAck,
    Publish,
    QuotaExceeded,
    Subscribe,
    SubscriptionRequest,
    Unsubscribe,
    encode,
)

V311 = ProtocolVersion.V311
V5 = ProtocolVersion.V5
PING = b"\xc0\x00"


def calls_during(work: Callable[[], object]) -> int:
    """How many functions, Python's and C's, `work` calls: a measure of time that no clock disturbs."""
    count = 0

    def on_event(frame: FrameType, event: str, argument: object) -> None:
        nonlocal count
        if event in ("call", "c_call"):
            count += 1

    before = sys.getprofile()
    sys.setprofile(on_event)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count


class TestFraming:
    def test_nothing_gives_nothing(self) -> None:
        assert PacketReader().feed(b"") == []

    def test_many_packets_at_once(self) -> None:
        assert PacketReader().feed(PING * 3) == [PingReq()] * 3

    def test_empty_pieces_change_nothing(self) -> None:
        reader = PacketReader()
        assert reader.feed(b"\xc0") == []
        assert reader.feed(b"") == []
        assert reader.feed(b"\x00") == [PingReq()]

    def test_a_connect_switches_the_version(self) -> None:
        reader = PacketReader()
        data = encode(Connect("c", V311), V5) + encode(Publish("t", b"x"), V311)
        assert reader.feed(data) == [Connect("c", V311), Publish("t", b"x")]
        assert reader.version is V311

    def test_a_packet_across_three_pieces_with_another_behind(self) -> None:
        reader = PacketReader(V311)
        data = encode(Publish("t", b"x" * 300), V311)
        assert reader.feed(data[:2]) == []
        assert reader.feed(data[2:100]) == []
        assert reader.feed(data[100:] + PING + PING[:1]) == [Publish("t", b"x" * 300), PingReq()]
        assert reader.feed(PING[1:]) == [PingReq()]


class TestErrors:
    def test_packets_before_the_error_are_returned_first(self) -> None:
        reader = PacketReader()
        assert reader.feed(PING + b"\x00\x00" + PING) == [PingReq()]
        assert isinstance(reader.error, MalformedPacket)
        with pytest.raises(MalformedPacket):
            reader.feed(PING)

    def test_nothing_is_read_after_an_error(self) -> None:
        reader = PacketReader()
        for data in (b"\x00\x00", PING, b""):
            with pytest.raises(MalformedPacket) as caught:
                reader.feed(data)
            assert caught.value is reader.error


class TestLimits:
    def test_the_limit_counts_the_whole_packet(self) -> None:
        data = encode(Publish("t", b"x" * 95), V311)
        assert len(data) == 100
        assert PacketReader(V311, max_packet_size=100).feed(data) == [Publish("t", b"x" * 95)]
        with pytest.raises(PacketTooLarge):
            PacketReader(V311, max_packet_size=99).feed(data)

    def test_too_large_is_known_from_the_header(self) -> None:
        with pytest.raises(PacketTooLarge):
            PacketReader(max_packet_size=1000).feed(b"\x30\xff\x7f")

    def test_the_largest_packet_is_not_too_large(self) -> None:
        assert MAX_PACKET_SIZE == 268_435_460
        assert PacketReader().feed(b"\x30\xff\xff\xff\x7f") == []

    def test_a_declared_length_allocates_nothing(self) -> None:
        reader = PacketReader()
        tracemalloc.start()
        try:
            reader.feed(b"\x30\xff\xff\xff\x7f" + b"x" * 100)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 100_000

    def test_user_properties(self) -> None:
        data = encode(PubAck(1, properties=Properties(user_properties=(("k", "v"),) * 5)), V5)
        assert len(PacketReader(max_user_properties=5).feed(data)) == 1
        with pytest.raises(QuotaExceeded):
            PacketReader(max_user_properties=4).feed(data)


class TestWork:
    """Twice the bytes may cost twice the work and no more."""

    def test_a_large_packet_in_small_pieces(self) -> None:
        def feed(size: int) -> None:
            data = encode(Publish("t", b"x" * size), V311)
            reader = PacketReader(V311)
            packets = [packet for index in range(0, len(data), 10) for packet in reader.feed(data[index : index + 10])]
            assert len(packets) == 1

        assert calls_during(lambda: feed(40_000)) < 2.1 * calls_during(lambda: feed(20_000))

    def test_what_is_held_is_not_copied_for_each_piece(self) -> None:
        reader = PacketReader(V311)
        reader.feed(b"\x30\xff\xff\x01")
        held = reader._held
        for _ in range(100):
            reader.feed(b"x" * 100)
            assert reader._held is held

    @pytest.mark.parametrize(
        "packet_with",
        [
            lambda n: Subscribe(1, (SubscriptionRequest("a"),) * n),
            lambda n: Unsubscribe(1, ("a",) * n),
            lambda n: Publish("t", properties=Properties(user_properties=(("k", "v"),) * n)),
            lambda n: Publish("t", properties=Properties(subscription_identifiers=(1,) * n)),
        ],
        ids=["filters", "unsubscribed-filters", "user-properties", "subscription-identifiers"],
    )
    def test_a_packet_of_many_parts(self, packet_with: Callable[[int], Subscribe | Unsubscribe | Publish]) -> None:
        def read(data: bytes) -> None:
            assert len(PacketReader(max_user_properties=10_000).feed(data)) == 1

        one = encode(packet_with(1000), V5)
        two = encode(packet_with(2000), V5)
        assert calls_during(lambda: read(two)) < 2.1 * calls_during(lambda: read(one))

    def test_many_small_packets_at_once(self) -> None:
        def read(count: int) -> None:
            assert len(PacketReader().feed(PING * count)) == count

        assert calls_during(lambda: read(2000)) < 2.1 * calls_during(lambda: read(1000))


def test_errors_are_mqtt_errors() -> None:
    with pytest.raises(MQTTError):
        PacketReader().feed(b"\x30\x80\x00")
