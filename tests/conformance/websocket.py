"""Chapter 6, MQTT over WebSocket, which is the same in MQTT 3.1.1 and 5.0: the tests of both folders."""

from __future__ import annotations

from typing import ClassVar

import pytest

from mqttbroker.protocol import (
    ConnAck,
    Connect,
    Packet,
    PacketReader,
    ProtocolVersion,
    Publish,
    SubAck,
    Subscribe,
    SubscriptionRequest,
    encode,
)
from mqttbroker.testing import RunningBroker
from mqttbroker.testing.plugin import BrokerFactory
from tests.support.websocket import BINARY, CONTINUATION, TEXT, Ended, WebSocket, serve, websocket

__all__ = ["WebSocketChapter"]


class WebSocketChapter:
    """Inherit, and say which version."""

    version: ClassVar[ProtocolVersion]

    @pytest.fixture
    def server(self, mqtt_broker_factory: BrokerFactory) -> RunningBroker:
        return serve(mqtt_broker_factory)

    @property
    def hello(self) -> list[bytes]:
        """CONNECT, SUBSCRIBE and a PUBLISH to oneself."""
        packets: list[Packet] = [
            Connect("c", self.version),
            Subscribe(1, (SubscriptionRequest("a"),)),
            Publish("a", b"x" * 300),
        ]
        return [encode(packet, self.version) for packet in packets]

    async def receive(self, client: WebSocket, *kinds: type[Packet]) -> None:
        """Receive packets of these types, in binary frames."""
        reader = PacketReader(self.version)
        received: list[Packet] = []
        while len(received) < len(kinds):
            opcode, data = await client.receive()
            assert opcode == BINARY
            received += reader.feed(data)
        assert [type(packet) for packet in received] == list(kinds)

    @pytest.mark.normative("MQTT-6.0.0-1")
    async def test_packets_come_in_binary_frames(self, server: RunningBroker) -> None:
        async with websocket(server) as client:
            for packet, answer in zip(self.hello, (ConnAck, SubAck, Publish), strict=True):
                client.send(packet)
                await self.receive(client, answer)

    @pytest.mark.normative("MQTT-6.0.0-1")
    @pytest.mark.parametrize("when", ["first", "later"])
    async def test_a_text_frame_ends_the_connection(self, server: RunningBroker, when: str) -> None:
        connect, subscribe, publish = self.hello
        async with websocket(server) as client:
            if when == "later":
                client.send(connect + subscribe)
                await self.receive(client, ConnAck, SubAck)
            client.send(connect if when == "first" else publish, TEXT)
            with pytest.raises(Ended, match="1003"):
                await client.receive()

    @pytest.mark.normative("MQTT-6.0.0-2")
    @pytest.mark.parametrize("size", [1, 3, 7], ids="frames of {}".format)
    async def test_a_packet_may_be_split_over_frames(self, server: RunningBroker, size: int) -> None:
        stream = b"".join(self.hello)
        async with websocket(server) as client:
            for start in range(0, len(stream), size):
                client.send(stream[start : start + size])
            await self.receive(client, ConnAck, SubAck, Publish)

    @pytest.mark.normative("MQTT-6.0.0-2")
    async def test_a_frame_may_hold_several_packets(self, server: RunningBroker) -> None:
        async with websocket(server) as client:
            client.send(b"".join(self.hello) + self.hello[-1])
            await self.receive(client, ConnAck, SubAck, Publish, Publish)

    @pytest.mark.normative("MQTT-6.0.0-2")
    async def test_a_message_may_be_split_over_continuation_frames(self, server: RunningBroker) -> None:
        connect, subscribe, _ = self.hello
        async with websocket(server) as client:
            client.send(connect[:5], BINARY, final=False)
            client.send(connect[5:] + subscribe[:2], CONTINUATION, final=True)
            client.send(subscribe[2:])
            await self.receive(client, ConnAck, SubAck)

    @pytest.mark.normative("MQTT-6.0.0-4")
    @pytest.mark.parametrize("offered", ["mqtt", "chat, mqtt", "mqtt, chat", "mqttv3.1, mqtt"])
    async def test_the_subprotocol_is_mqtt(self, server: RunningBroker, offered: str) -> None:
        async with websocket(server, offered) as client:
            assert client.headers["sec-websocket-protocol"] == "mqtt"
