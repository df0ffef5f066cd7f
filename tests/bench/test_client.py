"""What a client makes of bytes, however they are cut."""

from __future__ import annotations

import pytest

from mqttbroker.bench import BenchError, Link, Scenario, Transport
from mqttbroker.bench.frames import MASK, Unframer, frame_head, masked
from mqttbroker.bench.packets import PUBACK, Template, acknowledgement
from mqttbroker.bench.roles import Budget, Publisher, Subscriber
from mqttbroker.protocol import (
    Disconnect,
    Packet,
    PacketReader,
    PingResp,
    Properties,
    ProtocolVersion,
    PubAck,
    PubComp,
    Publish,
    PubRec,
    PubRel,
    ReasonCode,
    encode,
)

V5 = ProtocolVersion.V5
LINK = Link(("127.0.0.1", 1))


class Written(Subscriber):
    """A subscriber without a connection, that keeps what it sends."""

    def __init__(self, scenario: Scenario) -> None:
        super().__init__(LINK, scenario, "me", ["bench/a"], None)
        self.written: bytes = b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def take_in_pieces(self, data: bytes, size: int) -> None:
        """Take bytes, so many at a time, in a buffer that has more in it."""
        for begin in range(0, len(data), size):
            piece = data[begin : begin + size]
            self.take(bytearray(piece + b"\x32" * 100), len(piece))


@pytest.mark.parametrize("payload", [0, 10, 300, 20_000], ids="{} bytes".format)
@pytest.mark.parametrize("qos", [0, 1, 2], ids="qos{}".format)
@pytest.mark.parametrize("piece", [1, 3, 700, 4_096, 1_000_000], ids="by {}".format)
def test_every_message_is_counted_and_acknowledged_once(payload: int, qos: int, piece: int) -> None:
    scenario = Scenario("", 1, 1, qos, 1, payload=payload, version5=True)
    client = Written(scenario)
    message = Publish("bench/a", b"x" * payload, qos)
    data, ids = b"", [1, 0x3232, 65_535, 0x6262, 7]
    for number in ids:
        message = Publish("bench/a", b"x" * payload, qos, packet_id=number if qos else None)
        data += encode(message, V5)
    if piece < 100 and payload > 1_000:
        data, ids = encode(message, V5), ids[-1:]
    client.take_in_pieces(data, piece)
    assert client.received == len(ids)
    answers = PacketReader(V5).feed(client.written)
    kind = PubAck if qos == 1 else PubRec
    assert answers == ([kind(number) for number in ids] if qos else [])


@pytest.mark.parametrize("piece", [1, 5, 1_000], ids="by {}".format)
def test_what_is_not_as_expected_is_counted_as_well(piece: int) -> None:
    client = Written(Scenario("", 1, 1, 1, 1, payload=10, version5=True))
    payload = b"x" * 10
    packets: list[Packet] = [
        Publish("bench/a", payload, 1, packet_id=1),
        PingResp(),
        Publish("bench/a", payload, 1, dup=True, packet_id=2),
        Publish("bench/a", payload, 1, packet_id=3, properties=Properties(user_properties=(("a", "b"),))),
        Publish("bench/a", payload, 1, packet_id=4),
    ]
    client.take_in_pieces(b"".join(encode(each, V5) for each in packets), piece)
    assert client.received == 4
    assert PacketReader(V5).feed(client.written) == [PubAck(number) for number in (1, 2, 3, 4)]


def test_messages_and_releases_take_turns() -> None:
    client = Written(Scenario("", 1, 1, 2, 1, payload=10, version5=True))
    data = b"".join(
        encode(Publish("bench/a", b"x" * 10, 2, packet_id=number), V5) + encode(PubRel(number), V5)
        for number in range(1, 200)
    )
    client.take(data, len(data))
    assert client.received == 199
    answers = PacketReader(V5).feed(client.written)
    assert answers == [kind(number) for number in range(1, 200) for kind in (PubRec, PubComp)]


def test_a_broker_that_says_why_it_leaves() -> None:
    client = Written(Scenario("", 1, 1, 0, 1, version5=True))
    data = encode(Disconnect(ReasonCode.QUOTA_EXCEEDED, Properties(reason_string="too many")), V5)
    with pytest.raises(BenchError, match=r"closed a connection: Quota exceeded \(too many\)"):
        client.take(data, len(data))


@pytest.mark.parametrize("kind", [PubAck, PubRec, PubComp])
def test_a_refused_message(kind: type[PubAck | PubRec | PubComp]) -> None:
    reason = ReasonCode.PACKET_IDENTIFIER_NOT_FOUND if kind is PubComp else ReasonCode.NOT_AUTHORIZED
    client = Publisher(LINK, Scenario("", 1, 1, 1, 1, version5=True), "me", "bench/a", Budget())
    data = encode(kind(1, reason), V5)
    with pytest.raises(BenchError, match="the broker refused a message"):
        client.take(data, len(data))


def test_what_is_no_mqtt() -> None:
    client = Written(Scenario("", 1, 1, 0, 1))
    with pytest.raises(BenchError, match="is not MQTT"):
        client.take(b"\x00\x00", 2)


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536], ids="{} bytes".format)
@pytest.mark.parametrize("piece", [1, 7, 1_000_000], ids="by {}".format)
def test_frames_are_taken_off(size: int, piece: int) -> None:
    payload = bytes(range(256)) * 256 + b"x"
    payload = payload[:size]
    # A server does not mask.
    head = frame_head(size)[:-4]
    frame = head[:1] + bytes((head[1] & 0x7F,)) + head[2:] + payload
    ping = b"\x89\x02hi"
    unframer = Unframer()
    data = frame + ping + frame + b"\x88\x00"
    if piece == 1 and size > 1_000:
        piece = 1_001
    found = b"".join(unframer.feed(data[begin : begin + piece]) for begin in range(0, len(data), piece))
    assert found == payload * 2
    assert unframer.closed


def test_a_template_in_frames_is_the_packet_masked() -> None:
    scenario = Scenario("", 1, 1, 1, 1, payload=100)
    plain, framed = Template("bench/a", scenario, False), Template("bench/a", scenario, True)
    packet, frame = b"".join(plain.make(0x1234, 99)), b"".join(framed.make(0x1234, 99))
    assert len(frame) == framed.framed_size
    assert frame == frame_head(len(packet)) + masked(packet)
    (message,) = PacketReader(ProtocolVersion.V311).feed(packet)
    assert isinstance(message, Publish)
    assert (message.packet_id, message.payload[:8]) == (0x1234, (99).to_bytes(8, "big"))


def test_no_mask_changes_an_identifier() -> None:
    answer = acknowledgement(PUBACK, True)
    assert answer[2:6] == MASK
    assert answer[-2:] == b"\0\0"
    assert LINK.transport is Transport.TCP
