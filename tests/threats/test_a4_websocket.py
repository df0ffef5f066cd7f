"""WebSocket frames and requests that other servers took, before anybody had logged in."""

from __future__ import annotations

import pytest

from mqttbroker.broker import ListenerLimits
from mqttbroker.listeners.websocket import MAX_FRAGMENTS
from mqttbroker.protocol import Connect, ProtocolVersion, PubAck, Publish, encode
from mqttbroker.testing.plugin import BrokerFactory
from mqttbroker.testing.running import RunningBroker
from tests.support.frames import BINARY, CLOSE, CONTINUATION, MASK, PING, TEXT, frame, request
from tests.support.raw import RawClient
from tests.support.websocket import Ended, WebSocket, shake_hands, websocket
from tests.threats.attack import PASSWORD, SECRET, growth, restored
from tests.threats.attack import census as take_census
from tests.threats.doors import Door, door, several_ways

V311 = ProtocolVersion.V311
CONNACK, PINGREQ, PINGRESP = b"\x20\x02\0\0", b"\xc0\0", b"\xd0\0"
CONNECT = encode(Connect("mallory", V311, username="mallory", password=PASSWORD), V311)
PANEL = "https://panel.example"
MIB = 1 << 20


@pytest.fixture
def broker(mqtt_broker_factory: BrokerFactory) -> RunningBroker:
    """Has a WebSocket listener with an origin of its own and a short patience."""
    return mqtt_broker_factory(config=several_ways(limits=ListenerLimits(connect_timeout=5.0), origins=[PANEL]))


@pytest.fixture
def gate(broker: RunningBroker) -> Door:
    """Where WebSockets are served."""
    return door(broker, "ws")


async def code_of(client: WebSocket) -> int | None:
    """How the WebSocket ends."""
    with pytest.raises(Ended) as ended:
        while True:
            await client.receive()
    return ended.value.code


class TestBeforeLogin:
    @pytest.mark.parametrize(
        "offer",
        [
            "permessage-deflate",
            "permessage-deflate; client_max_window_bits; server_no_context_takeover",
            "x-webkit-deflate-frame, permessage-deflate",
            "permessage-bzip2",
        ],
    )
    async def test_cve_2026_27571_nats_compression_bomb(self, broker: RunningBroker, gate: Door, offer: str) -> None:
        """A small message that swells: nothing is agreed to that could, and who compresses all the same is closed."""
        before = take_census(broker)
        status, headers, _, writer = await shake_hands(gate, Sec_WebSocket_Extensions=offer)
        assert status == 101
        assert "sec-websocket-extensions" not in headers
        writer.transport.abort()
        async with websocket(gate) as client:
            client.send_raw(bytes((0xC2, 0xFE)) + (1_000).to_bytes(2, "big") + MASK + bytes(1_000))
            assert await code_of(client) == 1002
        await restored(broker, before)

    async def test_cve_2026_27889_nats_length_with_the_top_bit(self, broker: RunningBroker, gate: Door) -> None:
        """Adding to it, other servers got a negative number, or as much memory as it said."""
        before = take_census(broker)
        with growth(broker) as grown:
            for length in (1 << 63, (1 << 63) + 1, (1 << 64) - 1, (1 << 63) - 1, 1 << 40, MIB):
                for opcode in (BINARY, CONTINUATION, TEXT, CLOSE, PING):
                    async with websocket(gate) as client:
                        client.send_raw(bytes((0x80 | opcode, 0xFF)) + length.to_bytes(8, "big") + MASK + b"x" * 100)
                        assert await code_of(client) in (1002, 1009)
            await restored(broker, before)
        assert grown.peak < 2 * MIB

    async def test_cve_2026_27889_nats_lengths_in_more_bytes_than_they_need(self, gate: Door) -> None:
        """They mean what they say, so that no two readers can see different frames."""
        async with websocket(gate) as client:
            data = frame(CONNECT)
            client.send_raw(data[:1] + b"\xff" + len(CONNECT).to_bytes(8, "big") + data[2:])
            assert await client.receive_bytes(4) == CONNACK
            data = frame(PINGREQ)
            client.send_raw(data[:1] + b"\xfe" + len(PINGREQ).to_bytes(2, "big") + data[2:])
            assert await client.receive_bytes(2) == PINGRESP

    @pytest.mark.parametrize("size", [0, 1])
    async def test_cve_2026_48779_ws_tiny_fragments(self, broker: RunningBroker, gate: Door, size: int) -> None:
        """A message that never ends, in pieces of nothing."""
        before = take_census(broker)
        with growth(broker) as grown:
            async with websocket(gate) as client:
                # The beginning of a CONNECT as large as one may be, so that it is the fragments that are too many.
                client.send(b"\x10\xf0\xfe\x0f", BINARY, final=False)
                client.send_raw(frame(b"x" * size, CONTINUATION, False) * (3 * MAX_FRAGMENTS))
                assert await code_of(client) == 1008
            await restored(broker, before)
        assert grown.peak < MIB

    async def test_cve_2026_48779_ws_many_tiny_messages(self, broker: RunningBroker, gate: Door) -> None:
        """Each is over when it has come in: they only take time, and others have theirs."""
        async with websocket(gate) as client:
            client.send(CONNECT[:1])
            with growth(broker) as grown:
                client.send_raw(frame(b"") * 20_000)
                client.send(b"?", PING)
                assert (await client.receive())[1] == b"?"
            assert grown.size < MIB
            client.send(CONNECT[1:])
            assert await client.receive_bytes(4) == CONNACK


class TestPacketsInFrames:
    async def test_cve_2026_25627_nanomq_packet_longer_than_its_frame(self, broker: RunningBroker, gate: Door) -> None:
        """Remaining Length says 4096, the frame has three bytes of it: the rest is waited for, not read from memory."""
        before = take_census(broker)
        async with websocket(gate) as early, websocket(gate) as late:
            early.send(b"\x10\x80\x20abc")
            late.send(CONNECT)
            assert await late.receive_bytes(4) == CONNACK
            late.send(b"\x30\x80\x20\0\x01a")
            for client in (early, late):
                client.send(b"?", PING)
                assert (await client.receive())[1] == b"?"
            broker.advance(6)
            assert await code_of(early) == 1000
            late.send(b"x" * 4_093)
            late.send(PINGREQ)
            assert await late.receive_bytes(2) == PINGRESP
        await restored(broker, before)

    async def test_cve_2026_25627_nanomq_split_and_merged_at_every_byte(
        self, gate: Door, overhearing: RawClient
    ) -> None:
        packets = CONNECT + encode(Publish("a/b", SECRET, 1, packet_id=1), V311) + PINGREQ
        answers = CONNACK + encode(PubAck(1), V311) + PINGRESP
        for cut in range(1, len(packets)):
            async with websocket(gate) as client:
                client.send(packets[:cut])
                client.send(packets[cut:])
                assert await client.receive_bytes(len(answers)) == answers
            assert (await overhearing.expect(Publish)).payload == SECRET

    @pytest.mark.parametrize(
        "make",
        [
            pytest.param(lambda data: bytes((0x82, len(data))) + data, id="no mask"),
            pytest.param(lambda data: bytes((0x82 | 0x40,)) + frame(data)[1:], id="first reserved bit"),
            pytest.param(lambda data: bytes((0x82 | 0x20,)) + frame(data)[1:], id="second reserved bit"),
            pytest.param(lambda data: bytes((0x82 | 0x10,)) + frame(data)[1:], id="third reserved bit"),
            pytest.param(lambda data: frame(data, TEXT), id="text"),
            pytest.param(lambda data: frame(data, 3), id="reserved opcode"),
            pytest.param(lambda data: frame(data, CONTINUATION), id="continuation of nothing"),
            pytest.param(lambda data: frame(data + bytes(126), PING), id="long Ping"),
            pytest.param(lambda data: frame(data, PING, False), id="Ping in fragments"),
        ],
    )
    async def test_facil_169_bad_frame_is_delivered_once(
        self, gate: Door, overhearing: RawClient, make: object
    ) -> None:
        """What the frame holds is not looked at, whatever it is."""
        assert callable(make)
        async with websocket(gate) as client:
            client.send(CONNECT)
            assert await client.receive_bytes(4) == CONNACK
            client.send_raw(make(encode(Publish("a", SECRET), V311)))
            client.send(encode(Publish("a", SECRET), V311))
            assert await code_of(client) in (1002, 1003)
        await overhearing.expect_silence()


class TestOrigins:
    @pytest.mark.parametrize(
        ("origin", "status"),
        [
            pytest.param("https://evil.example", 403, id="foreign"),
            pytest.param("null", 403, id="null"),
            pytest.param(f"{PANEL}.evil.example", 403, id="begins like an allowed one"),
            pytest.param(f"https://evil.example/{PANEL}", 403, id="ends like an allowed one"),
            pytest.param("https://evil.example#" + PANEL, 403, id="allowed in the fragment"),
            pytest.param(PANEL + "x" * 256, 403, id="257 and more bytes"),
            pytest.param("https://127.0.0.1@evil.example", 403, id="allowed user"),
            pytest.param("https://[::1", 403, id="no address"),
            pytest.param(f"{PANEL}\r\nOrigin: https://evil.example", 400, id="two"),
            pytest.param(PANEL, 101, id="allowed"),
            pytest.param("", 101, id="none, as programs do"),
        ],
    )
    async def test_emqx_4000_cross_site_websocket(self, gate: Door, origin: str, status: int) -> None:
        """A page that somebody looks at must not speak to a broker that only they can reach."""
        answer, _, _, writer = await shake_hands(gate, Origin=origin)
        writer.transport.abort()
        assert answer == status

    async def test_wolfmqtt_555_long_origin_opens_the_gate(self, gate: Door) -> None:
        origin = PANEL + "x" * 65_536
        async with RawClient(gate.host, gate.port) as client:
            client.send_bytes(request("h", headers={"Origin": origin}))
            received = b""
            while piece := await client.receive_some():
                received += piece
        assert received == b"" or received.startswith(b"HTTP/1.1 4")
