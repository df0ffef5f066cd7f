"""The client behind ``pub`` and ``sub``: exchanges with the real broker, and what a broken one does to it."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import NoReturn

import pytest

from mqttbroker.cli import client as client_module
from mqttbroker.cli.client import Client, open_client
from mqttbroker.cli.endpoint import ClientError, Endpoint
from mqttbroker.protocol import (
    NO_PROPERTIES,
    ConnAck,
    Connect,
    Disconnect,
    Packet,
    PingReq,
    PingResp,
    Properties,
    ProtocolVersion,
    PubAck,
    PubComp,
    Publish,
    PubRec,
    PubRel,
    ReasonCode,
    Subscribe,
    SubscriptionRequest,
    Will,
)
from mqttbroker.testing import RunningBroker
from mqttbroker.testing.plugin import BrokerFactory
from tests.cli.server import Peer, scripted_broker
from tests.support.raw import RawClient

VERSIONS = pytest.mark.parametrize("version", list(ProtocolVersion), ids=lambda version: version.name)
EVERY_QOS = pytest.mark.parametrize("qos", [0, 1, 2], ids="qos{}".format)


async def subscribe(client: Client, topic_filter: str, qos: int = 2) -> tuple[ReasonCode, ...]:
    return await client.subscribe((SubscriptionRequest(topic_filter, qos),), NO_PROPERTIES)


class TestExchange:
    """With the project's own broker."""

    @VERSIONS
    @EVERY_QOS
    async def test_publish_and_receive(self, mqtt_broker: RunningBroker, version: ProtocolVersion, qos: int) -> None:
        connect = Connect("receiver", version)
        async with asyncio.timeout(10), open_client(Endpoint(mqtt_broker.host, mqtt_broker.port), connect) as receiver:
            assert await subscribe(receiver, "a/+", qos) == (ReasonCode(qos),)
            async with open_client(Endpoint(mqtt_broker.host, mqtt_broker.port), Connect("sender", version)) as sender:
                for number in range(5):
                    await sender.publish(Publish("a/b", b"%d" % number, qos))
            for number in range(5):
                message = await receiver.next_message()
                assert (message.topic, message.payload, message.qos) == ("a/b", b"%d" % number, qos)
                await receiver.acknowledge(message)

    async def test_a_message_that_is_not_acknowledged_comes_again(self, mqtt_broker: RunningBroker) -> None:
        connect = Connect("receiver", clean_start=False, properties=Properties(session_expiry_interval=60))
        for qos in (1, 2):
            async with (
                asyncio.timeout(10),
                open_client(Endpoint(mqtt_broker.host, mqtt_broker.port), connect) as receiver,
            ):
                await subscribe(receiver, "a")
                mqtt_broker.publish("a", "first", qos)
                assert (await receiver.next_message()).payload == b"first"
            async with (
                asyncio.timeout(10),
                open_client(Endpoint(mqtt_broker.host, mqtt_broker.port), connect) as receiver,
            ):
                again = await receiver.next_message()
                assert (again.payload, again.dup) == (b"first", True)
                await receiver.acknowledge(again)
                # The next message proves that nothing else is on its way.
                mqtt_broker.publish("a", "second", qos)
                second = await receiver.next_message()
                assert second.payload == b"second"
                await receiver.acknowledge(second)

    async def test_topic_aliases_of_the_broker_are_understood(self, mqtt_broker: RunningBroker) -> None:
        connect = Connect("receiver", properties=Properties(topic_alias_maximum=5))
        async with asyncio.timeout(10), open_client(Endpoint(mqtt_broker.host, mqtt_broker.port), connect) as receiver:
            await subscribe(receiver, "#")
            for payload in ("one", "two", "three"):
                mqtt_broker.publish("a/long/topic/to/be/worth/an/alias", payload)
            for _ in range(3):
                assert (await receiver.next_message()).topic == "a/long/topic/to/be/worth/an/alias"

    @pytest.mark.parametrize("interrupted", [False, True], ids=["at the end", "interrupted"])
    async def test_leaving_says_goodbye_so_that_no_will_is_published(
        self, mqtt_broker: RunningBroker, interrupted: bool
    ) -> None:
        connect = Connect("leaves", will=Will("will", b"lost"))
        opened = asyncio.Event()

        async def visit() -> None:
            async with open_client(Endpoint(mqtt_broker.host, mqtt_broker.port), connect) as client:
                opened.set()
                if interrupted:
                    await client.next_message()

        async with asyncio.timeout(10), RawClient(mqtt_broker.host, mqtt_broker.port) as watcher:
            await watcher.connect("watcher")
            await watcher.subscribe("will")
            visitor = asyncio.create_task(visit())
            await opened.wait()
            if interrupted:
                visitor.cancel()
            await asyncio.gather(visitor, return_exceptions=True)
            mqtt_broker.publish("will", "nobody was lost")
            assert (await watcher.expect_publish()).payload == b"nobody was lost"

    async def test_a_refusal_names_the_reason(self, mqtt_broker_factory: BrokerFactory) -> None:
        broker = mqtt_broker_factory(max_qos=1, retain_available=False)
        async with asyncio.timeout(10), open_client(Endpoint(broker.host, broker.port), Connect("sender")) as sender:
            with pytest.raises(ClientError, match=r"Retain not supported \(0x9A\)"):
                await sender.publish(Publish("a", qos=1, retain=True))


@asynccontextmanager
async def connected(script: Callable[[Peer], Awaitable[None]], connect: Connect) -> AsyncIterator[Client]:
    """A client of a scripted broker."""
    async with (
        asyncio.timeout(10),
        scripted_broker(script) as port,
        open_client(Endpoint("127.0.0.1", port), connect) as client,
    ):
        yield client


async def fails(script: Callable[[Peer], Awaitable[None]], message: str, connect: Connect | None = None) -> None:
    """Run the client against a script until it fails, which must be with this message."""
    with pytest.raises(ClientError) as caught:
        async with connected(script, connect or Connect("client")) as client:
            await client.next_message()
    assert str(caught.value) == message


class TestRefusedConnections:
    """Every way not to get in is one line."""

    @VERSIONS
    async def test_refused(self, version: ProtocolVersion) -> None:
        async def refuse(peer: Peer) -> None:
            await peer.accept(ConnAck(False, ReasonCode.NOT_AUTHORIZED))

        await fails(refuse, "the broker refused the connection: Not authorized (0x87)", Connect("client", version))

    async def test_refused_with_words(self) -> None:
        async def refuse(peer: Peer) -> None:
            await peer.accept(ConnAck(False, ReasonCode.BANNED, Properties(reason_string="until Monday")))

        await fails(refuse, "the broker refused the connection: Banned (0x8A): until Monday")

    async def test_nobody_listens(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        with pytest.raises(ClientError) as caught:
            async with open_client(Endpoint("127.0.0.1", port), Connect("client")):
                pass
        assert (
            str(caught.value) == f"cannot connect to 127.0.0.1:{port}: connection refused (is a broker running there?)"
        )

    async def test_no_such_host(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async def resolve(*_arguments: object, **_options: object) -> NoReturn:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolve)
        with pytest.raises(ClientError, match=r"cannot connect to nowhere.example:1883: no such host"):
            async with open_client(Endpoint("nowhere.example", 1883), Connect("client")):
                pass

    async def test_another_error_of_the_system(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async def refuse(*_arguments: object, **_options: object) -> NoReturn:
            raise OSError(errno.ENETUNREACH, "Network is unreachable")

        monkeypatch.setattr(asyncio, "open_connection", refuse)
        with pytest.raises(ClientError, match=r"cannot connect to 192.0.2.1:1883: Network is unreachable"):
            async with open_client(Endpoint("192.0.2.1", 1883), Connect("client")):
                pass

    async def test_an_address_that_does_not_answer(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async def wait(*_arguments: object, **_options: object) -> NoReturn:
            await asyncio.Event().wait()
            raise AssertionError

        monkeypatch.setattr(asyncio, "open_connection", wait)
        monkeypatch.setattr(client_module, "CONNECT_TIMEOUT", 0.01)
        with pytest.raises(ClientError, match=r"cannot connect to 192.0.2.1:1883: no answer in 0.01 s"):
            async with open_client(Endpoint("192.0.2.1", 1883), Connect("client")):
                pass

    async def test_no_answer_to_connect(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async def say_nothing(peer: Peer) -> None:
            while True:
                await peer.receive()

        monkeypatch.setattr(client_module, "CONNECT_TIMEOUT", 0.2)
        await fails(say_nothing, "the broker did not answer CONNECT in 0.2 s")

    async def test_something_else_than_mqtt(self) -> None:
        async def speak_otherwise(peer: Peer) -> None:
            await peer.receive()
            peer.send(b"\x00\x00")

        async with asyncio.timeout(10), scripted_broker(speak_otherwise) as port:
            with pytest.raises(ClientError, match="the broker sent what is not MQTT: "):
                async with open_client(Endpoint("127.0.0.1", port), Connect("client")):
                    pass


class TestLostConnections:
    """Whoever waits is told, once, and in words."""

    async def test_closed(self) -> None:
        await fails(lambda peer: peer.accept(), "the broker closed the connection")

    async def test_closed_with_a_reason(self) -> None:
        async def take_over(peer: Peer) -> None:
            await peer.accept()
            peer.send(Disconnect(ReasonCode.SESSION_TAKEN_OVER))

        await fails(take_over, "the broker closed the connection: Session taken over (0x8E)")

    async def test_an_error_behind_a_message(self) -> None:
        async def garble(peer: Peer) -> None:
            await peer.accept()
            peer.send(Publish("a"), b"\x00\x00")

        async with asyncio.timeout(10), scripted_broker(garble) as port:
            with pytest.raises(ClientError, match="the broker sent what is not MQTT: "):
                async with open_client(Endpoint("127.0.0.1", port), Connect("client")) as client:
                    assert (await client.next_message()).topic == "a"
                    await client.next_message()

    @pytest.mark.parametrize(
        ("packet", "message"),
        [
            (ConnAck(False, ReasonCode.SUCCESS), "the broker sent an unexpected ConnAck"),
            (PingReq(), "the broker sent an unexpected PingReq"),
            (
                Publish("", properties=Properties(topic_alias=3)),
                "the broker used a topic alias that it had not set",
            ),
        ],
        ids=["second CONNACK", "PINGREQ", "unknown alias"],
    )
    async def test_packets_that_a_broker_may_not_send(self, packet: Packet, message: str) -> None:
        async def send(peer: Peer) -> None:
            await peer.accept()
            peer.send(packet)

        await fails(send, message)

    async def test_while_an_acknowledgement_is_waited_for(self) -> None:
        async def leave(peer: Peer) -> None:
            await peer.accept()
            await peer.receive()

        async with asyncio.timeout(10), scripted_broker(leave) as port:
            with pytest.raises(ClientError, match="the broker closed the connection"):
                async with open_client(Endpoint("127.0.0.1", port), Connect("client")) as client:
                    await client.publish(Publish("a", qos=1))

    async def test_before_anything_more_is_asked(self) -> None:
        async with connected(lambda peer: peer.accept(), Connect("client")) as client:
            with pytest.raises(ClientError, match="the broker closed the connection"):
                await client.unless_lost(asyncio.Event().wait())
            for attempt in (Publish("a"), Publish("a", qos=1)):
                with pytest.raises(ClientError, match="the broker closed the connection"):
                    await client.publish(attempt)

    async def test_a_ping_that_is_not_answered(self, monkeypatch: pytest.MonkeyPatch) -> None:
        pings = asyncio.Semaphore(0)

        async def swallow(peer: Peer) -> None:
            await peer.accept(ConnAck(False, ReasonCode.SUCCESS, Properties(server_keep_alive=1)))
            while True:
                assert isinstance(await peer.receive(), PingReq)
                pings.release()

        monkeypatch.setattr(client_module, "PING_SHARE", 0.01)
        await fails(swallow, "the broker does not answer any more", Connect("client", keep_alive=60))
        assert not pings.locked()

    async def test_pings_that_are_answered(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async def answer(peer: Peer) -> None:
            await peer.accept()
            for _ in range(3):
                assert isinstance(await peer.receive(), PingReq)
                peer.send(PingResp())
            peer.send(Publish("a", b"three"))
            await peer.receive()

        monkeypatch.setattr(client_module, "PING_SHARE", 0.05)
        async with connected(answer, Connect("client", keep_alive=1)) as client:
            assert (await client.next_message()).payload == b"three"


class TestHandshakes:
    """Acknowledgements, in both directions."""

    async def test_a_refused_qos_2_message_ends_with_pubrec(self) -> None:
        async def refuse(peer: Peer) -> None:
            await peer.accept()
            message = await peer.receive()
            assert isinstance(message, Publish)
            peer.send(PubRec(message.packet_id or 0, ReasonCode.QUOTA_EXCEEDED))
            await peer.receive()

        async with connected(refuse, Connect("client")) as client:
            with pytest.raises(ClientError, match=r"the message was refused: Quota exceeded \(0x97\)"):
                await client.publish(Publish("a", qos=2))

    async def test_a_qos_2_message_that_is_sent_twice_is_handed_on_once(self) -> None:
        async def repeat(peer: Peer) -> None:
            await peer.accept()
            peer.send(Publish("a", b"once", 2, packet_id=7), Publish("a", b"once", 2, dup=True, packet_id=7))
            assert [await peer.receive() for _ in range(2)] == [PubRec(7), PubRec(7)]
            peer.send(PubRel(7))
            assert await peer.receive() == PubComp(7)
            peer.send(Publish("a", b"another", 2, packet_id=7))
            await peer.receive()

        async with connected(repeat, Connect("client")) as client:
            first = await client.next_message()
            await client.acknowledge(first)
            assert (first.payload, (await client.next_message()).payload) == (b"once", b"another")

    async def test_the_brokers_receive_maximum_is_kept(self) -> None:
        under_way: list[int] = []

        async def allow_two(peer: Peer) -> None:
            await peer.accept(ConnAck(False, ReasonCode.SUCCESS, Properties(receive_maximum=2)))
            waiting: list[int] = []
            for _ in range(5):
                message = await peer.receive()
                assert isinstance(message, Publish)
                waiting.append(message.packet_id or 0)
                under_way.append(len(waiting))
                if len(waiting) == 2:
                    peer.send(*(PubAck(packet_id) for packet_id in waiting))
                    waiting = []
            peer.send(*(PubAck(packet_id) for packet_id in waiting))
            await peer.receive()

        async with connected(allow_two, Connect("client")) as client:
            await asyncio.gather(*(client.publish(Publish("a", qos=1)) for _ in range(5)))
        assert max(under_way) == 2

    async def test_an_answer_of_another_kind(self) -> None:
        async def answer_wrongly(peer: Peer) -> None:
            await peer.accept()
            request = await peer.receive()
            assert isinstance(request, Subscribe)
            peer.send(PubAck(request.packet_id), PubAck(99))
            await peer.receive()

        async with connected(answer_wrongly, Connect("client")) as client:
            with pytest.raises(ClientError, match="the broker answered SUBSCRIBE with another packet"):
                await subscribe(client, "a")

    async def test_what_cannot_be_encoded_is_an_error_of_the_caller(self, mqtt_broker: RunningBroker) -> None:
        async with (
            asyncio.timeout(10),
            open_client(Endpoint(mqtt_broker.host, mqtt_broker.port), Connect("client")) as client,
        ):
            with pytest.raises(ClientError, match="Will Delay Interval"):
                await client.publish(Publish("a", properties=Properties(will_delay_interval=1)))
