"""Chapter 6: MQTT over WebSocket."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from mqttbroker.config import Config, ListenerConfig
from mqttbroker.testing.plugin import BrokerFactory
from mqttbroker.testing.running import RunningBroker
from tests.conformance.v311.handmade import connect_packet, field, packet, publish_packet, subscribe_packet

TIMEOUT = 5.0
CONTINUATION, TEXT, BINARY, CLOSE = 0, 1, 2, 8
MASK = b"\x12\x34\x56\x78"


class Ended(Exception):
    """The broker has closed the WebSocket or the connection below it."""


class WebSocket:
    """A WebSocket client that sends the frames it is told to."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, headers: dict[str, str]) -> None:
        self._reader = reader
        self._writer = writer
        self.headers = headers
        """The headers of the broker's answer, with names in lower case."""

    def send(self, data: bytes, opcode: int = BINARY, final: bool = True) -> None:
        """Send one frame of less than 64 KiB."""
        length = bytes((0x80 | len(data),)) if len(data) < 126 else b"\xfe" + len(data).to_bytes(2, "big")
        masked = bytes(byte ^ MASK[index % 4] for index, byte in enumerate(data))
        self._writer.write(bytes((final << 7 | opcode,)) + length + MASK + masked)

    async def receive(self) -> tuple[int, bytes]:
        """Return opcode and payload of the next frame; raises :class:`Ended`."""
        try:
            async with asyncio.timeout(TIMEOUT):
                first, length = await self._reader.readexactly(2)
                assert not length & 0x80, "a server does not mask its frames"
                if length >= 126:
                    length = int.from_bytes(await self._reader.readexactly(2 if length == 126 else 8), "big")
                data = await self._reader.readexactly(length)
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise Ended from error
        if first & 0x0F == CLOSE:
            raise Ended
        return first & 0x0F, data

    async def receive_bytes(self, count: int) -> bytes:
        """Return what the broker sends in binary frames, until there are so many bytes."""
        received = b""
        while len(received) < count:
            opcode, data = await self.receive()
            assert opcode in (BINARY, CONTINUATION)
            received += data
        return received


@asynccontextmanager
async def websocket(broker: RunningBroker, offered: str = "mqtt") -> AsyncIterator[WebSocket]:
    """A WebSocket to the broker; ``offered`` is the list of subprotocols."""
    async with asyncio.timeout(TIMEOUT):
        reader, writer = await asyncio.open_connection(broker.host, broker.port)
    try:
        key = base64.b64encode(b"0123456789abcdef").decode()
        writer.write(
            f"GET /mqtt HTTP/1.1\r\nHost: {broker.host}:{broker.port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Protocol: {offered}\r\n\r\n".encode()
        )
        async with asyncio.timeout(TIMEOUT):
            head = await reader.readuntil(b"\r\n\r\n")
        status, *lines = head.decode("latin-1").strip().split("\r\n")
        assert " 101 " in status
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        yield WebSocket(reader, writer, headers)
    finally:
        writer.transport.abort()


@pytest.fixture
def server(mqtt_broker_factory: BrokerFactory) -> RunningBroker:
    """A broker that listens for WebSockets."""
    listener = ListenerConfig(name="websocket", type="websocket", port=0)  # type: ignore[arg-type]  # Not yet.
    return mqtt_broker_factory(config=Config(listeners=(listener,)))


CONNECT = connect_packet(field("c"))
SUBSCRIBE = subscribe_packet(1, ("a", 0))
PUBLISH = publish_packet("a", b"x" * 300)
CONNACK = packet(0x20, b"\0\0")
SUBACK = packet(0x90, b"\0\x01\0")


@pytest.mark.normative("MQTT-6.0.0-1")
async def test_packets_come_in_binary_frames(server: RunningBroker) -> None:
    async with websocket(server) as client:
        client.send(CONNECT)
        assert await client.receive_bytes(len(CONNACK)) == CONNACK
        client.send(SUBSCRIBE)
        assert await client.receive_bytes(len(SUBACK)) == SUBACK
        client.send(PUBLISH)
        assert await client.receive_bytes(len(PUBLISH)) == PUBLISH


@pytest.mark.normative("MQTT-6.0.0-1")
@pytest.mark.parametrize("when", ["first", "later"])
async def test_a_text_frame_ends_the_connection(server: RunningBroker, when: str) -> None:
    async with websocket(server) as client:
        if when == "later":
            client.send(CONNECT + SUBSCRIBE)
            assert await client.receive_bytes(len(CONNACK + SUBACK)) == CONNACK + SUBACK
        client.send(CONNECT if when == "first" else PUBLISH, TEXT)
        with pytest.raises(Ended):
            await client.receive()


@pytest.mark.normative("MQTT-6.0.0-2")
@pytest.mark.parametrize("size", [1, 3, 7], ids="frames of {}".format)
async def test_a_packet_may_be_split_over_frames(server: RunningBroker, size: int) -> None:
    stream = CONNECT + SUBSCRIBE + PUBLISH
    async with websocket(server) as client:
        for start in range(0, len(stream), size):
            client.send(stream[start : start + size])
        expected = CONNACK + SUBACK + PUBLISH
        assert await client.receive_bytes(len(expected)) == expected


@pytest.mark.normative("MQTT-6.0.0-2")
async def test_a_frame_may_hold_several_packets(server: RunningBroker) -> None:
    async with websocket(server) as client:
        client.send(CONNECT + SUBSCRIBE + PUBLISH + PUBLISH)
        expected = CONNACK + SUBACK + PUBLISH + PUBLISH
        assert await client.receive_bytes(len(expected)) == expected


@pytest.mark.normative("MQTT-6.0.0-2")
async def test_a_message_may_be_split_over_continuation_frames(server: RunningBroker) -> None:
    async with websocket(server) as client:
        client.send(CONNECT[:5], BINARY, final=False)
        client.send(CONNECT[5:] + SUBSCRIBE[:2], CONTINUATION, final=True)
        client.send(SUBSCRIBE[2:])
        expected = CONNACK + SUBACK
        assert await client.receive_bytes(len(expected)) == expected


@pytest.mark.normative("MQTT-6.0.0-4")
@pytest.mark.parametrize("offered", ["mqtt", "chat, mqtt", "mqtt, chat", "mqttv3.1, mqtt"])
async def test_the_subprotocol_is_mqtt(server: RunningBroker, offered: str) -> None:
    async with websocket(server, offered) as client:
        assert client.headers["sec-websocket-protocol"] == "mqtt"
