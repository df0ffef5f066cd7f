"""Frames that a WebSocket client may send, may not send, and sends too many of (RFC 6455, sections 5 to 7)."""

from __future__ import annotations

import pytest

from mqttbroker.broker import Limits
from mqttbroker.protocol import (
    Connect,
    PingReq,
    ProtocolVersion,
    Publish,
    Subscribe,
    SubscriptionRequest,
    Will,
    encode,
)
from mqttbroker.server import Broker
from mqttbroker.testing import RunningBroker
from mqttbroker.testing.plugin import BrokerFactory
from tests.support.frames import masked
from tests.support.websocket import (
    BINARY,
    CLOSE,
    CONTINUATION,
    MASK,
    PING,
    PONG,
    TEXT,
    Ended,
    WebSocket,
    serve,
    websocket,
)

V311 = ProtocolVersion.V311
CONNECT = encode(Connect("c", V311), V311)
WITH_WILL = encode(Connect("c", V311, will=Will("will", b"gone")), V311)
CONNACK = b"\x20\x02\0\0"
PINGREQ, PINGRESP = encode(PingReq(), V311), b"\xd0\0"
BOUND = 65_536


@pytest.fixture
def server(mqtt_broker_factory: BrokerFactory) -> RunningBroker:
    return serve(mqtt_broker_factory)


async def connected(client: WebSocket, packet: bytes = CONNECT) -> None:
    client.send(packet)
    assert await client.receive_bytes(4) == CONNACK


async def alive(client: WebSocket) -> None:
    """Show that the client is connected, and that nothing was left unread."""
    client.send(PINGREQ)
    assert await client.receive_bytes(2) == PINGRESP


async def ended(client: WebSocket) -> int | None:
    """Wait for the end, and return the code of the Close frame."""
    with pytest.raises(Ended) as end:
        while True:
            await client.receive()
    return end.value.code


async def dead(server: RunningBroker, client: WebSocket, code: int) -> None:
    """The WebSocket fails with this code, and MQTT ends with it."""
    assert await ended(client) == code
    assert server.call(lambda broker: len(broker.core.registry.online)) == 0


def header(first: int, length: int, size: int, mask: bytes = MASK) -> bytes:
    """The beginning of a frame, its length in so many bytes (0: in the second byte)."""
    if not size:
        return bytes((first, 0x80 | length)) + mask
    return bytes((first, 0xFE if size == 2 else 0xFF)) + length.to_bytes(size, "big") + mask


class TestLengthsAndMasks:
    @pytest.mark.parametrize("length", [0, 1, 2, 3, 4, 5, 100, 125, 126, 127, 65_535, 65_536, 65_537])
    async def test_every_length(self, server: RunningBroker, length: int) -> None:
        async with websocket(server) as client:
            await connected(client)
            client.send(encode(Subscribe(1, (SubscriptionRequest("a"),)), V311))
            await client.receive_bytes(5)
            message = encode(Publish("a", bytes(each % 251 for each in range(length))), V311)
            client.send(message)
            assert await client.receive_bytes(len(message)) == message

    @pytest.mark.parametrize("first", [0x82, 0x02], ids=["whole", "fragment"])
    @pytest.mark.parametrize("size", [2, 8])
    async def test_longer_than_need_be_is_as_long_as_it_says(
        self, server: RunningBroker, first: int, size: int
    ) -> None:
        """The sender breaks a rule; as the length is only one thing, nothing can be smuggled past it."""
        async with websocket(server) as client:
            await connected(client)
            client.send_raw(header(first, 2, size) + masked(PINGREQ))
            if not first & 0x80:
                client.send(b"", CONTINUATION)
            assert await client.receive_bytes(2) == PINGRESP
            await alive(client)

    @pytest.mark.parametrize(
        "length", [(1 << 63) - 1, 1 << 63, (1 << 63) + 1, (1 << 64) - 1, 1 << 32, 1 << 31, (1 << 31) - 1]
    )
    async def test_longer_than_anything(self, server: RunningBroker, length: int) -> None:
        async with websocket(server) as client:
            await connected(client)
            client.send_raw(header(0x82, length, 8))
            await dead(server, client, 1009)

    @pytest.mark.parametrize("mask", [bytes(4), b"\xff" * 4, b"\x00\x00\x00\x01"])
    async def test_any_mask_will_do(self, server: RunningBroker, mask: bytes) -> None:
        data = bytes(byte ^ mask[at % 4] for at, byte in enumerate(CONNECT))
        async with websocket(server) as client:
            client.send_raw(header(0x82, len(data), 0, mask) + data)
            assert await client.receive_bytes(4) == CONNACK

    @pytest.mark.parametrize("opcode", [CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG])
    async def test_without_a_mask(self, server: RunningBroker, opcode: int) -> None:
        async with websocket(server) as client:
            await connected(client)
            client.send_raw(bytes((0x80 | opcode, 2)) + PINGREQ)
            await dead(server, client, 1002)

    async def test_nothing_of_a_frame_without_a_mask_reaches_mqtt(self, server: RunningBroker) -> None:
        async with websocket(server) as client:
            client.send_raw(bytes((0x82, len(CONNECT))) + CONNECT)
            await dead(server, client, 1002)
        assert [line for line in server.logged if line[1] == "connected"] == []

    async def test_split_at_every_byte(self, server: RunningBroker) -> None:
        message = encode(Publish("a", b"x" * 200), V311)
        frames = header(0x82, len(message), 2) + masked(message) + header(0x89, 3, 0) + masked(b"abc")
        async with websocket(server) as client:
            await connected(client)
            for at in range(len(frames)):
                client.send_raw(frames[at : at + 1])
            assert await client.receive() == (PONG, b"abc")
            await alive(client)


class TestReserved:
    @pytest.mark.parametrize("bit", [0x40, 0x20, 0x10, 0x70])
    @pytest.mark.parametrize("opcode", [CONTINUATION, BINARY, CLOSE, PING, PONG])
    async def test_bits(self, server: RunningBroker, bit: int, opcode: int) -> None:
        async with websocket(server) as client:
            await connected(client)
            client.send_raw(header(0x80 | bit | opcode, 2, 0) + masked(PINGREQ))
            await dead(server, client, 1002)

    @pytest.mark.parametrize("opcode", [3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
    async def test_opcodes(self, server: RunningBroker, opcode: int) -> None:
        async with websocket(server) as client:
            await connected(client)
            client.send_raw(header(0x80 | opcode, 2, 0) + masked(PINGREQ))
            await dead(server, client, 1002)

    @pytest.mark.parametrize("final", [True, False])
    @pytest.mark.parametrize("data", [b"", b"text", b"\xff"], ids=["empty", "text", "not UTF-8"])
    async def test_text(self, server: RunningBroker, data: bytes, final: bool) -> None:
        async with websocket(server) as client:
            await connected(client)
            client.send(data, TEXT, final)
            await dead(server, client, 1003)


@pytest.mark.parametrize(
    "start",
    [
        pytest.param(b"\x82\x7d", id="no mask"),
        pytest.param(b"\x82\x7f\x00", id="no mask, long"),
        pytest.param(b"\x83\xfd", id="reserved opcode"),
        pytest.param(b"\x8f\xfe\x7f\xff", id="reserved control opcode"),
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", id="another request"),
    ],
)
async def test_the_rest_of_what_cannot_be_a_frame_is_not_waited_for(server: RunningBroker, start: bytes) -> None:
    async with websocket(server) as client:
        await connected(client)
        client.send_raw(start)
        await dead(server, client, 1002)


class TestFragments:
    async def test_control_frames_in_between(self, server: RunningBroker) -> None:
        async with websocket(server) as client:
            await connected(client)
            for number, part in enumerate((b"", PINGREQ[:1], b"")):
                client.send(part, CONTINUATION if number else BINARY, final=False)
                client.send(bytes((number,)), PING)
                client.send(b"unasked", PONG)
                assert await client.receive() == (PONG, bytes((number,)))
            client.send(PINGREQ[1:], CONTINUATION)
            assert await client.receive_bytes(2) == PINGRESP
            await alive(client)

    async def test_packets_are_handled_before_the_message_is_whole(self, server: RunningBroker) -> None:
        async with websocket(server) as client:
            await connected(client)
            client.send(PINGREQ, BINARY, final=False)
            assert await client.receive_bytes(2) == PINGRESP

    @pytest.mark.parametrize("final", [True, False])
    async def test_another_message_in_the_middle_of_one(self, server: RunningBroker, final: bool) -> None:
        async with websocket(server) as client:
            await connected(client)
            client.send(PINGREQ[:1], BINARY, final=False)
            client.send(PINGREQ[1:], BINARY, final)
            await dead(server, client, 1002)

    async def test_the_sum_of_fragments_is_bounded(self, server: RunningBroker) -> None:
        """Before CONNECT as a CONNECT is, whatever each fragment says."""
        async with websocket(server) as client:
            client.send(b"\x10\xf0\xfe\x0f" + bytes(60_000), BINARY, final=False)  # 262 000 bytes.
            for _ in range(5):
                client.send(bytes(60_000), CONTINUATION, final=False)
            await dead(server, client, 1009)


class TestClose:
    @pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999])
    async def test_is_answered_with_its_own_code(self, server: RunningBroker, code: int) -> None:
        async with websocket(server) as client:
            await connected(client)
            client.send(code.to_bytes(2, "big") + "Grüße".encode(), CLOSE)
            await dead(server, client, code)

    @pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535])
    async def test_codes_that_are_none(self, server: RunningBroker, code: int) -> None:
        async with websocket(server) as client:
            await connected(client)
            client.send(code.to_bytes(2, "big"), CLOSE)
            await dead(server, client, 1002)

    @pytest.mark.parametrize(
        ("data", "code"),
        [
            pytest.param(b"", 1005, id="nothing"),
            pytest.param(b"\x03", 1002, id="half a code"),
            pytest.param(b"\x03\xe8" + b"x" * 123, 1000, id="longest reason"),
            pytest.param(b"\x03\xe8\xff\xfe", 1007, id="reason that is not UTF-8"),
            pytest.param(b"\x03\xe8\xed\xa0\x80", 1007, id="reason with a surrogate"),
            pytest.param(b"\x03\xe8" + b"x" * 124, 1002, id="reason too long"),
        ],
    )
    async def test_what_it_says(self, server: RunningBroker, data: bytes, code: int) -> None:
        async with websocket(server) as client:
            await connected(client)
            client.send(data, CLOSE)
            await dead(server, client, code)

    async def test_in_the_middle_of_a_message(self, server: RunningBroker) -> None:
        async with websocket(server) as client:
            await connected(client)
            client.send(PINGREQ[:1], BINARY, final=False)
            client.send(b"\x03\xe8", CLOSE)
            await dead(server, client, 1002)

    async def test_what_comes_behind_it_is_not_read(self, server: RunningBroker) -> None:
        async with websocket(server) as watcher, websocket(server) as client:
            await connected(watcher, encode(Connect("watcher", V311), V311))
            watcher.send(encode(Subscribe(1, (SubscriptionRequest("a"),)), V311))
            await watcher.receive_bytes(5)
            await connected(client)
            client.send(b"\x03\xe8", CLOSE)
            client.send(encode(Publish("a", b"late"), V311))
            client.send(b"?", PING)
            client.send_raw(b"\xff" * 100)
            assert await ended(client) == 1000
            await alive(watcher)

    @pytest.mark.parametrize("data", [b"\x03\xe8", b"\xff\xff"], ids=["closed", "failed"])
    async def test_without_disconnect_the_will_is_published(self, server: RunningBroker, data: bytes) -> None:
        async with websocket(server) as watcher, websocket(server) as client:
            await connected(watcher, encode(Connect("watcher", V311), V311))
            watcher.send(encode(Subscribe(1, (SubscriptionRequest("will"),)), V311))
            await watcher.receive_bytes(5)
            await connected(client, WITH_WILL)
            client.send(data, CLOSE)
            will = encode(Publish("will", b"gone"), V311)
            assert await watcher.receive_bytes(len(will)) == will

    @pytest.mark.parametrize(
        "late",
        [
            pytest.param([(PING, b"?")] * 100, id="pings"),
            pytest.param([(BINARY, PINGREQ)] * 100, id="packets"),
            pytest.param([(CLOSE, b"\x03\xe8")] * 2, id="two Close frames"),
            pytest.param([(CLOSE, b"\x03")], id="a bad Close frame"),
            pytest.param([(TEXT, b"?"), (CONTINUATION, b"?")], id="what is not allowed"),
        ],
    )
    async def test_after_the_brokers_own(self, server: RunningBroker, late: list[tuple[int, bytes]]) -> None:
        """The client has not read it yet."""
        async with websocket(server) as client, websocket(server) as other:
            await connected(client)
            await connected(other)  # With the same client identifier.
            for opcode, data in late:
                client.send(data, opcode)
            await alive(other)
            assert await ended(client) == 1000
            await alive(other)


class TestPings:
    @pytest.mark.parametrize("length", [0, 1, 124, 125])
    async def test_are_answered_with_what_is_in_them(self, server: RunningBroker, length: int) -> None:
        data = bytes(range(length))
        async with websocket(server) as client:
            client.send(data, PING)
            assert await client.receive() == (PONG, data)
            await connected(client)
            client.send(data, PING)
            assert await client.receive() == (PONG, data)

    @pytest.mark.parametrize("opcode", [PING, PONG, CLOSE])
    @pytest.mark.parametrize("length", [126, 127, 1_000, 65_536])
    async def test_are_short(self, server: RunningBroker, opcode: int, length: int) -> None:
        async with websocket(server) as client:
            await connected(client)
            client.send(bytes(length), opcode)
            await dead(server, client, 1002)

    @pytest.mark.parametrize("before", [True, False], ids=["before CONNECT", "after CONNECT"])
    async def test_who_sends_many_and_reads_nothing_is_not_read_from(
        self, mqtt_broker_factory: BrokerFactory, before: bool
    ) -> None:
        """What waits for the client is bounded, and in the end every Ping has its Pong."""
        server = serve(mqtt_broker_factory, Limits(max_outbound_buffer=BOUND))
        data = bytes(125)
        burst = (header(0x89, 125, 0) + masked(data)) * 500

        def waiting(broker: Broker) -> tuple[int, bool]:
            (connection,) = [each for each in broker.core.connections if each.identity.client_id != "bystander"]
            return connection.carrier.waiting(), connection.reading

        async with websocket(server) as bystander, websocket(server) as client:
            await connected(bystander, encode(Connect("bystander", V311), V311))
            if not before:
                await connected(client)
            bursts = 0
            while server.call(waiting)[1]:
                client.send_raw(burst)
                bursts += 1
                await alive(bystander)
                assert bursts < 500
            assert server.call(waiting)[0] < BOUND + 262_144
            for _ in range(bursts * 500):
                assert await client.receive() == (PONG, data)
            client.send(b"?", PING)
            assert await client.receive() == (PONG, b"?")
