"""WebSocket: hand-shakes, frames that should not be, bounds, and back-pressure."""

from __future__ import annotations

import asyncio

import pytest
from websockets.asyncio.client import connect as open_websocket

from mqttbroker.broker import Accepted, Credentials, VerdictCallback
from mqttbroker.config import Config, ListenerConfig
from mqttbroker.listeners.websocket import MAX_FRAGMENTS, origin_allowed
from mqttbroker.protocol import Connect, ProtocolVersion, Publish, Subscribe, SubscriptionRequest, encode
from mqttbroker.testing import RunningBroker
from mqttbroker.testing.plugin import BrokerFactory
from tests.support.raw import RawClient
from tests.support.websocket import (
    BINARY,
    CLOSE,
    CONTINUATION,
    MASK,
    PING,
    PONG,
    Ended,
    WebSocket,
    serve,
    shake_hands,
    websocket,
)

V311 = ProtocolVersion.V311
CONNECT = encode(Connect("c", V311), V311)
CONNACK = b"\x20\x02\0\0"
PINGREQ, PINGRESP = b"\xc0\0", b"\xd0\0"


class Deliberate:
    """An authenticator that lets everybody in, but not at once."""

    def authenticate(self, credentials: Credentials, done: VerdictCallback) -> None:
        asyncio.get_running_loop().call_soon(done, Accepted())


@pytest.fixture
def server(mqtt_broker_factory: BrokerFactory) -> RunningBroker:
    return serve(mqtt_broker_factory)


async def connected(client: WebSocket) -> None:
    client.send(CONNECT)
    assert await client.receive_bytes(4) == CONNACK


class TestHandshake:
    @pytest.mark.parametrize("path", ["/mqtt", "/", "/mqtt?token=1"])
    async def test_paths_that_are_served(self, server: RunningBroker, path: str) -> None:
        status, _, _, writer = await shake_hands(server, path)
        writer.transport.abort()
        assert status == 101

    async def test_another_path_is_not_found(self, server: RunningBroker) -> None:
        status, _, reader, writer = await shake_hands(server, "/other")
        assert status == 404
        assert b"/mqtt" in await reader.read()
        writer.close()

    async def test_a_path_of_ones_own(self, mqtt_broker_factory: BrokerFactory) -> None:
        server = serve(mqtt_broker_factory, path="/ws")
        for path, expected in (("/ws", 101), ("/mqtt", 404)):
            status, _, _, writer = await shake_hands(server, path)
            writer.transport.abort()
            assert status == expected

    async def test_a_plain_request_is_told_what_to_do(self, server: RunningBroker) -> None:
        status, headers, reader, writer = await shake_hands(server, "/", Upgrade="", Connection="close")
        assert (status, headers["upgrade"]) == (426, "websocket")
        assert b"MQTT over WebSocket" in await reader.read()
        writer.close()

    @pytest.mark.parametrize(
        "headers",
        [
            pytest.param({"Sec_WebSocket_Key": ""}, id="no key"),
            pytest.param({"Sec_WebSocket_Key": "c2hvcnQ="}, id="short key"),
            pytest.param({"Sec_WebSocket_Version": "12"}, id="old version"),
            pytest.param({"Sec_WebSocket_Protocol": "chat"}, id="other subprotocol"),
            pytest.param({"Sec_WebSocket_Protocol": ""}, id="no subprotocol"),
        ],
    )
    async def test_bad_requests(self, server: RunningBroker, headers: dict[str, str]) -> None:
        status, _, reader, writer = await shake_hands(server, **headers)
        assert status == 400
        await reader.read()
        writer.close()

    async def test_no_subprotocol_where_that_is_allowed(self, mqtt_broker_factory: BrokerFactory) -> None:
        server = serve(mqtt_broker_factory, require_subprotocol=False)
        for offered, status_expected in (("", 101), ("mqttv3.1", 101)):
            status, headers, _, writer = await shake_hands(server, **{"Sec_WebSocket_Protocol": offered})
            writer.transport.abort()
            assert (status, headers.get("sec-websocket-protocol", "")) == (status_expected, offered)

    async def test_compression_is_not_agreed_to(self, server: RunningBroker) -> None:
        headers = {"Sec_WebSocket_Extensions": "permessage-deflate; client_max_window_bits"}
        _, received, _, writer = await shake_hands(server, **headers)
        writer.transport.abort()
        assert "sec-websocket-extensions" not in received

    async def test_something_that_is_not_http_is_closed(self, server: RunningBroker) -> None:
        reader, writer = await asyncio.open_connection(server.host, server.port)
        writer.write(CONNECT + b"\r\n\r\n" * 3)
        async with asyncio.timeout(5):
            assert CONNACK not in await reader.read()
        writer.close()

    @pytest.mark.parametrize("line", [b"GET /mqtt HTTP/1.0", b"OPTIONS * HTTP/1.0", b"HEAD / HTTP/1.1"])
    async def test_a_request_that_cannot_be_read_is_answered(self, server: RunningBroker, line: bytes) -> None:
        """As of nginx and of HAProxy's health checks, unless they are told otherwise."""
        async with RawClient(server.host, server.port) as client:
            client.send_bytes(line + b"\r\nHost: localhost\r\n\r\n")
            answer = await client.receive_some()
            assert answer.startswith(b"HTTP/1.1 4")
            assert await client.receive_some() == b""

    async def test_a_hand_shake_that_takes_too_long_is_closed(self, server: RunningBroker) -> None:
        async with RawClient(server.host, server.port) as client:
            client.send_bytes(b"GET /mqtt HTTP/1.1\r\n")
            async with asyncio.timeout(5):
                while not server.call(lambda broker: len(broker.core.connections)):
                    await asyncio.sleep(0)
            server.advance(11)
            assert await client.expect_closed() == []


class TestOrigin:
    @pytest.mark.parametrize(
        ("origin", "host", "allowed", "expected"),
        [
            # The web console of the same broker, by each name and address that it may be opened with.
            ("http://broker.example:8080", "broker.example:8083", (), True),
            ("https://broker.example", "broker.example:8084", (), True),
            ("https://BROKER.example:8080", "broker.example:8083", (), True),
            ("http://192.0.2.7:8080", "192.0.2.7:8083", (), True),
            ("http://[2001:db8::7]:8080", "[2001:db8::7]:8083", (), True),
            ("http://192.0.2.8:8080", "192.0.2.7:8083", (), False),
            ("http://localhost:5173", "broker.example:8083", (), True),
            ("http://127.0.0.1", "broker.example", (), True),
            ("http://[::1]:80", "broker.example", (), True),
            ("https://evil.example", "broker.example", (), False),
            ("https://broker.example.evil.example", "broker.example", (), False),
            ("https://127.0.0.1.evil.example", "127.0.0.1:8083", (), False),
            ("null", "broker.example", (), False),
            ("", "broker.example", (), False),
            ("http://[", "broker.example", (), False),
            ("https://panel.example", "broker.example", ("https://panel.example",), True),
            ("https://panel.example" + "x" * 65_536, "broker.example", ("https://panel.example",), False),
            ("https://evil.example", "broker.example", ("*",), True),
        ],
    )
    def test_who_may_connect(self, origin: str, host: str, allowed: tuple[str, ...], expected: bool) -> None:
        assert origin_allowed(origin, host, allowed) is expected

    @pytest.mark.parametrize(("origin", "expected"), [("https://evil.example", 403), ("http://127.0.0.1:1", 101)])
    async def test_over_the_wire(self, server: RunningBroker, origin: str, expected: int) -> None:
        status, _, _, writer = await shake_hands(server, Origin=origin)
        writer.transport.abort()
        assert status == expected

    async def test_two_origins_are_refused(self, server: RunningBroker) -> None:
        status, _, _, writer = await shake_hands(server, Origin="http://127.0.0.1\r\nOrigin: https://evil.example")
        writer.transport.abort()
        assert status == 400


class TestFrames:
    async def test_a_ping_is_answered_between_fragments(self, server: RunningBroker) -> None:
        async with websocket(server) as client:
            await connected(client)
            client.send(PINGREQ[:1], BINARY, final=False)
            client.send(b"hello", PING)
            assert await client.receive() == (PONG, b"hello")
            client.send(PINGREQ[1:], CONTINUATION)
            assert await client.receive_bytes(2) == PINGRESP

    async def test_an_unsolicited_pong_is_ignored(self, server: RunningBroker) -> None:
        async with websocket(server) as client:
            await connected(client)
            client.send(b"?", PONG)
            client.send(PINGREQ)
            assert await client.receive_bytes(2) == PINGRESP

    @pytest.mark.parametrize(
        ("frame", "code"),
        [
            pytest.param(bytes((0x82, 2)) + PINGREQ, 1002, id="no mask"),
            pytest.param(bytes((0xC2, 0x82)) + MASK + PINGREQ, 1002, id="reserved bit"),
            pytest.param(bytes((0x83, 0x80)) + MASK, 1002, id="reserved opcode"),
            pytest.param(bytes((0x8B, 0x80)) + MASK, 1002, id="reserved control opcode"),
            pytest.param(bytes((0x09, 0x80)) + MASK, 1002, id="control frame in fragments"),
            pytest.param(bytes((0x89, 0xFE, 0, 126)) + MASK + bytes(126), 1002, id="long control frame"),
            pytest.param(bytes((0x80, 0x80)) + MASK, 1002, id="continuation of nothing"),
            pytest.param(bytes((0x82, 0xFF)) + (1 << 63).to_bytes(8, "big") + MASK, 1009, id="2^63 bytes"),
            pytest.param(bytes((0x82, 0xFF)) + b"\xff" * 8 + MASK, 1009, id="2^64-1 bytes"),
            pytest.param(bytes((0x82, 0xFF)) + (1 << 28).to_bytes(8, "big") + MASK, 1009, id="larger than a packet"),
        ],
    )
    async def test_what_should_not_be_ends_the_connection(self, server: RunningBroker, frame: bytes, code: int) -> None:
        async with websocket(server) as bystander, websocket(server) as client:
            bystander.send(encode(Connect("bystander", V311), V311))
            assert await bystander.receive_bytes(4) == CONNACK
            await connected(client)
            client.send_raw(frame)
            with pytest.raises(Ended) as ended:
                await client.receive()
            assert ended.value.code == code
            bystander.send(PINGREQ)
            assert await bystander.receive_bytes(2) == PINGRESP

    async def test_a_message_of_very_many_fragments_ends_the_connection(self, server: RunningBroker) -> None:
        async with websocket(server) as client:
            await connected(client)
            client.send(b"", BINARY, final=False)
            for _ in range(MAX_FRAGMENTS):
                client.send(b"", CONTINUATION, final=False)
            with pytest.raises(Ended, match="1008"):
                await client.receive()

    async def test_before_connect_a_message_is_small(self, server: RunningBroker) -> None:
        async with websocket(server) as client:
            client.send_raw(bytes((0x82, 0xFF)) + (1 << 20).to_bytes(8, "big") + MASK)
            with pytest.raises(Ended, match="1009"):
                await client.receive()

    async def test_close_is_answered(self, server: RunningBroker) -> None:
        async with websocket(server) as client:
            await connected(client)
            client.send((1000).to_bytes(2, "big"), CLOSE)
            with pytest.raises(Ended, match="1000"):
                await client.receive()
        assert ("info", "disconnected") in [line[:2] for line in server.logged]

    async def test_a_packet_that_is_cut_off_waits(self, server: RunningBroker) -> None:
        async with websocket(server) as client:
            await connected(client)
            client.send(b"\x30\x80\x20abc")
            client.send(b"?", PING)
            assert (await client.receive())[0] == PONG


class TestMessages:
    async def test_between_websocket_and_tcp(self, mqtt_broker_factory: BrokerFactory) -> None:
        listeners = (ListenerConfig(port=0), ListenerConfig("websocket", "websocket", port=0))
        broker = mqtt_broker_factory(config=Config(listeners=listeners))
        ((host, port),) = broker.call(lambda inner: inner.addresses["websocket"])
        payload = bytes(range(256)) * 8_192
        async with (
            RawClient(broker.host, broker.port) as tcp,
            open_websocket(f"ws://{host}:{port}/mqtt", subprotocols=["mqtt"], max_size=None) as client,  # type: ignore[list-item]
        ):
            await tcp.connect()
            await tcp.subscribe("up")
            await client.send(CONNECT + encode(Subscribe(1, (SubscriptionRequest("down"),)), V311))
            received = b""
            while len(received) < 9:
                received += await client.recv(decode=False)
            await tcp.publish("down", payload)
            expected = encode(Publish("down", payload), V311)
            received = b""
            while len(received) < len(expected):
                received += await client.recv(decode=False)
            assert received == expected
            await client.send(encode(Publish("up", payload), V311))
            assert (await tcp.expect(Publish)).payload == payload

    async def test_many_messages_share_a_frame(self, server: RunningBroker) -> None:
        async with websocket(server) as client:
            await connected(client)
            client.send(encode(Subscribe(1, (SubscriptionRequest("a"),)), V311))
            await client.receive_bytes(5)
            message = encode(Publish("a", b"x"), V311)
            client.send(message * 50)
            assert await client.receive() == (BINARY, message * 50)

    async def test_after_a_verdict_that_took_its_time_a_message_may_be_large(
        self, mqtt_broker_factory: BrokerFactory
    ) -> None:
        config = Config(listeners=(ListenerConfig("websocket", "websocket", port=0),))
        server = mqtt_broker_factory(config=config, authenticator=Deliberate(), max_connect_size=1_000)
        async with websocket(server) as client:
            await connected(client)
            client.send(encode(Publish("a", bytes(2_000)), V311))
            client.send(PINGREQ)
            assert await client.receive_bytes(2) == PINGRESP

    async def test_a_stopping_broker_closes_the_websocket(self, server: RunningBroker) -> None:
        async with websocket(server) as client:
            await connected(client)
            server.call(lambda broker: broker.core.shut_down(broker.core.now))
            with pytest.raises(Ended, match="1000"):
                await client.receive()
