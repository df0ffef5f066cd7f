"""The connection: framing, errors, back-pressure, deadlines, the end."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mqttbroker.broker import Limits, packet_loop
from mqttbroker.broker import connection as connection_module
from mqttbroker.broker.state import State
from mqttbroker.protocol import (
    ConnAck,
    Connect,
    Disconnect,
    MalformedPacket,
    Packet,
    PacketTooLarge,
    PingReq,
    PingResp,
    Properties,
    ProtocolVersion,
    PubAck,
    Publish,
    PubRel,
    ReasonCode,
    Subscribe,
    SubscriptionRequest,
    encode,
)
from mqttbroker.sessions import Drop
from mqttbroker.storage import Message
from tests.broker.support import START, V5, V311, Peer, World, one
from tests.support.build import pure_only

# A conversation with long and short packets, whose every split must have the same effect.
CONVERSATION: list[Packet] = [
    Connect("talker", V5),
    Subscribe(1, (SubscriptionRequest("a/#", 2),)),
    Publish("a/b", b"one"),
    Publish("a/b", b"two"),
    Publish("a/b", b"t" * 130),
    Publish("a/b", b"three", 1, packet_id=2),
    Publish("a/b", b"four", 1, packet_id=3),
    PubAck(1),
    Publish("a/c", b"five", 2, packet_id=4),
    PubRel(4),
    Publish("a/b", b"six", properties=Properties(topic_alias=1)),
    Publish("", b"seven", properties=Properties(topic_alias=1)),
    PingReq(),
    Publish("a/b", b"eight"),
    Publish("a/b", b"nine"),
]


def converse(stream: bytes, cuts: list[int], version: ProtocolVersion) -> tuple[list[Packet], list[Packet], bool]:
    """What talker and listener got when the stream is cut there, and whether the talker's connection was closed."""
    world = World()
    listener = world.client("listener")
    listener.subscribe("#", qos=1)
    talker = world.opened(version)
    edges = [0, *sorted(cuts), len(stream)]
    for begin, end in pairwise(edges):
        if begin < end:
            talker.feed(stream[begin:end])
    assert world.core.counters.bytes_received <= len(stream) + 100
    return talker.take(), listener.take(), talker.carrier.closed


class TestFraming:
    STREAM = b"".join(encode(packet, V5) for packet in CONVERSATION)

    @pytest.mark.parametrize(
        "ending",
        [
            pytest.param(b"", id="nothing"),
            pytest.param(b"\x30", id="one byte"),
            pytest.param(b"\x30\x80", id="unfinished length"),
            pytest.param(b"\x30\xff\xff\xff\x7f", id="too large"),
            pytest.param(b"\x30\xff\xff\xff\xff", id="length of five bytes"),
            pytest.param(b"\x30\x80\x00", id="length not in shortest form"),
            pytest.param(b"\x36\x00", id="QoS 3"),
            pytest.param(b"\x30\x02\x00\x05" + b"\xc0\x00" * 5, id="topic past the end"),
            pytest.param(b"\xe0\x00" + b"\xc0\x00" * 5, id="DISCONNECT and more"),
        ],
    )
    def test_any_single_cut(self, ending: bytes) -> None:
        stream = self.STREAM + ending
        whole = converse(stream, [], V5)
        assert len(whole[1]) == 10
        begin = len(self.STREAM) - 40 if ending else 1
        for cut in range(begin, len(stream)):
            assert converse(stream, [cut], V5) == whole, cut

    def test_byte_by_byte(self) -> None:
        assert converse(self.STREAM, list(range(len(self.STREAM))), V5) == converse(self.STREAM, [], V5)

    @given(st.lists(st.integers(0, 400), max_size=20))
    def test_any_cuts(self, cuts: list[int]) -> None:
        cuts = [min(cut, len(self.STREAM)) for cut in cuts]
        assert converse(self.STREAM, cuts, V5) == converse(self.STREAM, [], V5)

    def test_messages_before_an_error_are_delivered(self) -> None:
        world = World()
        listener = world.client("listener")
        listener.subscribe("t")
        talker = world.client("talker")
        talker.publish("t", b"0")
        talker.feed(encode(Publish("t", b"1"), V5) + b"\x30\xff\xff\xff\x7f")
        assert listener.payloads() == [b"0", b"1"]
        assert talker.carrier.closed

    @pure_only
    def test_a_large_packet_in_small_pieces_is_looked_at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        world = World()
        peer = world.client()
        looks = 0

        def counted(*arguments: object) -> int:
            nonlocal looks
            looks += 1
            return packet_loop.take_packets(*arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(connection_module, "take_packets", counted)
        packet = encode(Publish("t", b"x" * 100_000), V5)
        for begin in range(0, len(packet), 100):
            peer.feed(packet[begin : begin + 100])
        assert looks == 2
        assert world.core.counters.messages_received == 1

    def test_the_largest_packet(self) -> None:
        """[MQTT-3.1.2-24] the other way round: what the server announced."""
        peer = World(Limits(max_packet_size=256, max_connect_size=256)).client()
        assert peer.connack is not None
        assert peer.connack.properties.maximum_packet_size == 256
        assert len(encode(Publish("t", b"x" * 249), V5)) == 256
        assert peer.publish("t", b"x" * 249) == []
        assert peer.send(PingReq(), Publish("t", b"x" * 249), PingReq()) == [PingResp(), PingResp()]
        # The size is known from the first bytes: nothing is kept of what is too large.
        peer.feed(encode(Publish("t", b"x" * 250), V5)[:3])
        (answer,) = peer.take()
        assert isinstance(answer, Disconnect)
        assert answer.reason_code == ReasonCode.PACKET_TOO_LARGE

    def test_before_connect_the_limit_is_lower(self) -> None:
        world = World(Limits(max_connect_size=300))
        peer = world.opened()
        packet = encode(Connect("x" * 400, V5), V5)
        peer.feed(packet[:4])
        assert peer.carrier.closed
        assert world.logged("connection failed")[0]["reason"] == "packet_too_large"

    def test_what_is_too_large_and_no_connect_is_no_connect(self) -> None:
        world = World()
        world.opened().feed(b"\x30\xff\xff\xff\x7f")
        assert world.logged("connection failed")[0]["detail"] == "the first packet is not CONNECT"

    def test_what_is_of_another_protocol_is_named(self) -> None:
        world = World()
        for first, words in ((0x16, "it may be TLS"), (0x47, "it may be a request of HTTP"), (0x0D, "a PROXY header")):
            world.opened().feed(bytes((first, 3, 1, 2)))
            assert words in str(world.logged("connection failed")[-1]["detail"])

    def test_the_first_byte_is_enough_to_refuse(self) -> None:
        peer = World().opened()
        peer.feed(b"G")
        assert peer.carrier.closed


class TestErrors:
    def test_too_many_user_properties(self) -> None:
        peer = World(Limits(max_user_properties=1)).client()
        pairs = (("a", "1"), ("b", "2"))
        assert peer.publish("t", properties=Properties(user_properties=pairs[:1])) == []
        (answer,) = peer.publish("t", properties=Properties(user_properties=pairs))
        assert isinstance(answer, Disconnect)
        assert answer.reason_code == ReasonCode.QUOTA_EXCEEDED

    def test_the_log_says_what_was_wrong(self) -> None:
        world = World()
        peer = world.client("c", user="u")
        peer.feed(b"\xd0\x00")
        assert world.logged("connection failed") == [
            {
                "client": "c",
                "user": "u",
                "address": "192.0.2.1:50001",
                "listener": "tcp",
                "reason": "protocol_error",
                "code": "0x82",
                "detail": "PINGRESP is not expected here",
            }
        ]
        assert world.core.counters.packets_malformed == 1

    def test_a_fault_of_our_own_says_nothing_to_the_client(self) -> None:
        class Broken:
            def accept(self, message: Message, qos: int) -> None:
                raise RuntimeError("secret")

        world = World()
        world.core.subscribe_sink(Broken(), "t", 0, world.now)
        peer, other = world.client("a"), world.client("b")
        answer = one(peer.publish("t"))
        assert answer == Disconnect(ReasonCode.UNSPECIFIED_ERROR)
        (line,) = world.logged("unexpected error")
        assert line["error"] == "RuntimeError('secret')"
        assert other.send(PingReq()) == [PingResp()]

    def test_a_client_that_wants_no_reasons_gets_none(self) -> None:
        """[MQTT-3.1.2-29]"""
        peer = World().client(properties=Properties(request_problem_information=0))
        assert peer.send(PingResp()) == [Disconnect(ReasonCode.PROTOCOL_ERROR)]

    def test_reasons_that_would_make_the_packet_too_large_are_left_out(self) -> None:
        """[MQTT-3.14.2-3]"""
        peer = World(Limits(max_packet_size=256, max_connect_size=256)).client(
            properties=Properties(maximum_packet_size=30)
        )
        assert peer.send(PingResp()) == [Disconnect(ReasonCode.PROTOCOL_ERROR)]

    def test_a_connack_that_the_client_cannot_take_is_not_sent(self) -> None:
        """[MQTT-3.1.2-24]"""
        world = World()
        peer = world.opened()
        peer.connect(properties=Properties(maximum_packet_size=10))
        assert peer.connack == ConnAck(False, ReasonCode.PACKET_TOO_LARGE)
        assert world.core.registry.sessions == {}

    def test_nor_any_other_connack(self) -> None:
        peer = World().opened()
        assert peer.connect(properties=Properties(maximum_packet_size=1)) == []
        assert peer.connack is None
        assert peer.carrier.closed

    def test_a_packet_without_properties_has_nothing_to_leave_out(self) -> None:
        peer = World().client()
        peer.connection.client_maximum = 1
        with pytest.raises(PacketTooLarge):
            peer.connection.fitting(PingResp())

    def test_a_reason_that_disconnect_has_not_closes_without_one(self) -> None:
        world = World()
        peer = world.client()
        peer.connection.disconnect(ReasonCode.BAD_USER_NAME_OR_PASSWORD, "", world.now)
        assert (peer.take(), peer.carrier.closed) == ([], True)
        assert world.logged("cannot be a reason for DISCONNECT") == [{"reason": "BAD_USER_NAME_OR_PASSWORD"}]

    def test_the_end_comes_once(self) -> None:
        world = World()
        peer = world.client()
        for _ in range(2):
            peer.connection.disconnect(ReasonCode.ADMINISTRATIVE_ACTION, "", world.now)
            peer.connection.lost(world.now)
            peer.connection.fail(MalformedPacket(), world.now)
            peer.connection.writable(True, world.now)
            peer.connection.writable(False, world.now)
        assert len(world.logged("disconnected")) == 1
        assert peer.connection.due(world.now) == 0.0


class TestBackPressure:
    def test_a_full_socket_stops_reading_and_sending(self) -> None:
        world = World()
        peer, other = world.client("a"), world.client("b")
        peer.subscribe("t", qos=1)
        peer.congest()
        assert not peer.reads()
        other.publish("t", b"0")
        other.publish("t", b"1", qos=1)
        assert peer.take() == []
        peer.relieve()
        assert peer.reads()
        assert peer.payloads() == [b"1"]
        assert world.session("a").dropped == {Drop.CONGESTED: 1}

    def test_what_expired_while_it_was_full_is_not_sent(self) -> None:
        world = World()
        peer, other = world.client("a"), world.client("b")
        peer.subscribe("t", qos=1)
        peer.congest()
        other.publish("t", b"0", qos=1, properties=Properties(message_expiry_interval=3))
        other.publish("t", b"1", qos=1)
        world.advance(3)
        peer.relieve()
        assert peer.payloads() == [b"1"]

    def test_each_client_that_takes_nothing_is_disconnected(self) -> None:
        world = World(Limits(stalled_timeout=10.0))
        peers = [world.client(client_id) for client_id in ("a", "b", "c")]
        world.advance(11)  # By now nothing is left of the deadline of their CONNECT.
        for peer in peers[:2]:
            peer.congest()
        world.advance(11)
        assert [peer.carrier.aborted for peer in peers] == [True, True, False]

    def test_answers_are_written_all_the_same(self) -> None:
        peer = World().client()
        peer.congest()
        assert peer.send(PingReq()) == [PingResp()]

    def test_a_client_that_takes_nothing_is_disconnected(self) -> None:
        world = World(Limits(stalled_timeout=60.0))
        peer = world.client()
        peer.congest(1_000)
        world.advance(59)
        assert not peer.carrier.ended
        world.advance(1)
        assert peer.carrier.aborted
        assert world.logged("client takes nothing") == [
            {"client": "client", "user": None, "address": "192.0.2.1:50001", "waiting_bytes": 1_000}
        ]
        assert "client" not in world.core.registry.sessions

    def test_a_slow_client_is_not(self) -> None:
        world = World(Limits(stalled_timeout=60.0))
        peer = world.client()
        peer.congest(1_000)
        for waiting in range(900, 0, -100):
            peer.carrier.waiting_bytes = waiting
            world.advance(60)
            assert not peer.carrier.ended
        peer.relieve()
        world.advance(120)
        assert not peer.carrier.ended
        assert len(world.core.wheel) == 0

    def test_while_it_is_full_the_keep_alive_waits(self) -> None:
        world = World()
        peer = world.client(keep_alive=10)
        peer.congest(1_000)
        world.advance(30)
        peer.relieve()
        world.advance(14)
        assert not peer.carrier.ended
        world.advance(1)
        assert peer.carrier.closed

    def test_an_early_check_while_it_is_full(self) -> None:
        world = World(Limits(stalled_timeout=60.0))
        peer = world.client()
        peer.congest(1_000)
        assert peer.connection.due(world.now + 1) == world.now + 60

    def test_before_connack_a_free_socket_opens_nothing(self) -> None:
        peer = World().opened()
        peer.congest()
        peer.relieve()
        assert not peer.connection.outbox.open


class TestKeepAlive:
    """[MQTT-3.1.2-22]"""

    @pytest.mark.parametrize("keep_alive", [1, 2, 10, 60], ids=str)
    def test_silence_for_one_and_a_half_times_ends_the_connection(self, keep_alive: int) -> None:
        world = World()
        peer = world.client(keep_alive=keep_alive)
        world.advance(1.5 * keep_alive - 0.5)
        assert not peer.carrier.ended
        world.advance(1.5)
        (answer,) = peer.take()
        assert isinstance(answer, Disconnect)
        assert answer.reason_code == ReasonCode.KEEP_ALIVE_TIMEOUT
        assert world.logged("connection failed")[0]["reason"] == "keep_alive_timeout"
        assert len(world.core.wheel) == 0

    def test_any_byte_counts(self) -> None:
        world = World()
        peer = world.client(keep_alive=10)
        for part in (b"\xc0", b"\x00") * 5:
            world.advance(14)
            peer.feed(part)
        assert not peer.carrier.ended

    def test_zero_turns_it_off(self) -> None:
        world = World()
        peer = world.client(keep_alive=0)
        world.advance(1_000)
        assert not peer.carrier.ended
        assert len(world.core.wheel) == 0

    def test_it_does_not_run_while_reading_is_paused(self) -> None:
        world = World()
        peer = world.client(keep_alive=10)
        peer.connection.pause_reading()
        world.advance(100)
        assert not peer.carrier.ended
        peer.connection.resume_reading(world.now)
        world.advance(14)
        assert not peer.carrier.ended
        world.advance(2)
        assert peer.carrier.closed


class TestConnectTimeout:
    @pytest.mark.parametrize(
        "sent",
        [
            pytest.param(b"", id="nothing"),
            pytest.param(encode(Connect("client", V5), V5)[:-1], id="most of a CONNECT"),
        ],
    )
    def test_who_does_not_send_connect_in_time_is_disconnected(self, sent: bytes) -> None:
        world = World(Limits(connect_timeout=10.0))
        peer = world.opened()
        peer.feed(sent)
        world.advance(9)
        assert not peer.carrier.ended
        world.advance(1)
        assert peer.carrier.closed
        assert peer.carrier.sent == []
        assert world.core.connections == set()
        assert len(world.core.wheel) == 0

    def test_bytes_that_trickle_do_not_help(self) -> None:
        world = World()
        peer = world.opened()
        packet = encode(Connect("client" * 10, V5), V5)
        for at in range(10):
            peer.feed(packet[at : at + 1])
            world.advance(1)
        assert peer.carrier.closed

    def test_a_look_before_the_time(self) -> None:
        world = World(Limits(connect_timeout=10.0))
        assert world.opened().connection.due(START + 1) == START + 10


class TestRefusals:
    def test_a_client_that_goes_on_is_not_logged_for_ever(self) -> None:
        world = World()
        peer = world.client(version=V311)
        for _ in range(100):
            peer.publish("$SYS/x")
        assert len(world.logged("refused")) == 49
        assert len(world.logged("refused many times; not logged further for this connection")) == 1
        assert world.core.counters.publish_denied == 100

    def test_a_long_topic_is_logged_short(self) -> None:
        world = World()
        world.client().publish("$" + "x" * 1_000)
        (line,) = world.logged("refused")
        assert line["topic"] == "$" + "x" * 255 + "... (1001 characters)"


class TestTheEnd:
    @pytest.mark.parametrize(
        "end",
        [
            pytest.param(lambda peer: peer.disconnect(), id="DISCONNECT"),
            pytest.param(lambda peer: peer.lose(), id="loss"),
            pytest.param(lambda peer: peer.feed(b"\x00\x00"), id="error"),
        ],
    )
    def test_nothing_is_left(self, end: Callable[[Peer], None]) -> None:
        world = World()
        peer = world.client(keep_alive=10)
        peer.subscribe("a/#", "$share/g/b", qos=1)
        end(peer)
        assert peer.connection.state == State.CLOSED
        assert peer.carrier.ended
        core = world.core
        assert (core.connections, core.registry.sessions, core.registry.online) == (set(), {}, {})
        assert (len(core.wheel), len(core.router)) == (0, 0)
        peer.feed(b"\xc0\x00")

    def test_what_waited_to_be_written_is_written_before_the_close(self) -> None:
        world = World()
        peer = world.client()
        peer.connection.feed(encode(PingReq(), V5) + encode(PingResp(), V5), world.now)
        taken = peer.take()
        assert taken[0] == PingResp()
        assert isinstance(taken[1], Disconnect)

    def test_what_waited_when_the_connection_was_lost_is_forgotten(self) -> None:
        world = World()
        peer = world.client()
        peer.connection.feed(encode(PingReq(), V5), world.now)
        before = peer.connection.accepted
        peer.lose()
        assert (before, peer.connection.accepted) == (True, False)
        assert peer.carrier.sent == []
