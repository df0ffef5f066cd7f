"""The same clients over everything that carries MQTT: TCP, TLS, WebSocket with and without TLS, and a Unix socket.

The counterpart of the client under test speaks over TCP, so that messages go from one transport to another.
"""

from __future__ import annotations

import getpass
from dataclasses import replace
from pathlib import Path

import pytest

from mqttbroker.config import Config, ListenerConfig, SecurityConfig
from mqttbroker.testing import RunningBroker
from mqttbroker.testing.plugin import BrokerFactory
from tests.interop.adapter import Adapter, Endpoint, Feature, Message, Scheme
from tests.interop.adapters.amqtt import AmqttAdapter
from tests.interop.adapters.mosquitto import MosquittoAdapter
from tests.interop.matrix import ADAPTERS, clients, only_this_broker
from tests.support.logged import lines
from tests.support.pki import Pki
from tests.support.raw import RawClient

LARGE = bytes(range(256)) * 400
TOPIC = "interop/Zähler/1"
ENCRYPTED = (Scheme.MQTTS, Scheme.WSS)
ALL = tuple(Scheme)

pytestmark = only_this_broker


@pytest.fixture
def mqtt_broker(mqtt_broker_factory: BrokerFactory, pki: Pki, tmp_path: Path) -> RunningBroker:
    """A broker that listens in every way there is, first over TCP. Certificates and Unix sockets give user names."""
    tls = pki.tls_config(client_certificates="optional", crl=pki.crl)
    listeners = (
        ListenerConfig("mqtt", port=0),
        ListenerConfig("mqtts", port=0, tls=tls, username_from="common_name"),
        ListenerConfig("ws", "websocket", port=0),
        ListenerConfig("wss", "websocket", port=0, tls=tls, username_from="common_name"),
        ListenerConfig("mqtt+unix", "unix", socket=tmp_path / "mqtt.sock", username_from="unix_user"),
    )
    return mqtt_broker_factory(config=Config(listeners=listeners, security=SecurityConfig(allow_anonymous=True)))


@pytest.fixture
def endpoints(mqtt_broker: RunningBroker, pki: Pki) -> dict[Scheme, Endpoint]:
    """Where it listens."""
    where = {Scheme(name): addresses[0] for name, addresses in mqtt_broker.broker.addresses.items()}
    return {
        scheme: Endpoint(host, port or 1883, scheme, ca=pki.ca if scheme in ENCRYPTED else None)
        for scheme, (host, port) in where.items()
    }


def users(broker: RunningBroker) -> list[object]:
    """The user name of the client under test, each time that it has connected."""
    return [line["user"] for line in lines(broker, "connected") if line["client"] == "under-test"]


@clients(schemes=ALL)
async def test_large_messages_both_ways(client: Adapter, peer: RawClient) -> None:
    """Section 4.3: at each QoS."""
    await peer.subscribe("up", qos=2)
    await client.connect()
    assert await client.subscribe("down", 2) == 2
    for qos in (0, 1, 2):
        await peer.publish("down", LARGE, qos=qos)
        assert await client.next_message() == Message("down", LARGE, qos)
        await client.publish(Message("up", LARGE, qos))
        received = await peer.expect_publish()
        assert (received.topic, received.payload, received.qos) == ("up", LARGE, qos)


@clients(schemes=ALL)
async def test_retained_messages_both_ways(client: Adapter, peer: RawClient) -> None:
    """Section 3.3.1.3."""
    await peer.publish(TOPIC, LARGE, qos=1, retain=True)
    await client.connect()
    await client.subscribe("interop/#", 1)
    assert await client.next_message() == Message(TOPIC, LARGE, 1, retain=True)
    await client.publish(Message("kept", LARGE, 1, retain=True))
    await peer.subscribe("kept", qos=1)
    received = await peer.expect_publish()
    assert (received.payload, received.retain) == (LARGE, True)


@clients(schemes=ALL)
async def test_loss_publishes_the_will(client: Adapter, peer: RawClient) -> None:
    """Section 3.1.2.5."""
    await peer.subscribe("will", qos=1)
    await client.connect(will=Message("will", b"lost", 1))
    await client.subscribe(TOPIC)
    await client.kill()
    assert (await peer.expect_publish()).payload == b"lost"


@clients(Feature.NORMAL_DISCONNECT, schemes=ALL)
async def test_disconnect_removes_the_will(client: Adapter, peer: RawClient) -> None:
    """Section 3.1.2.5."""
    await peer.subscribe("will", qos=1)
    await client.connect(will=Message("will", b"first", 1))
    await client.subscribe(TOPIC)
    await client.disconnect()
    await client.connect(will=Message("will", b"second", 1))
    await client.kill()
    assert (await peer.expect_publish()).payload == b"second"
    await peer.expect_silence()


@clients(schemes=ALL)
@pytest.mark.parametrize("end", ["disconnect", "kill"])
async def test_resumed_session_delivers_what_was_missed(client: Adapter, peer: RawClient, end: str) -> None:
    """Section 4.1."""
    await client.connect(persistent=True)
    await client.subscribe(TOPIC, 2)
    await (client.disconnect() if end == "disconnect" else client.kill())
    for qos in (1, 2):
        await peer.publish(TOPIC, LARGE, qos=qos)
    present = await client.connect(persistent=True)
    assert present is True or not client.tells(Feature.SESSION_PRESENT)
    assert [await client.next_message() for _ in range(2)] == [Message(TOPIC, LARGE, qos) for qos in (1, 2)]


@clients(schemes=ENCRYPTED)
async def test_certificate_names_the_user(client: Adapter, mqtt_broker: RunningBroker, pki: Pki) -> None:
    client.endpoint = replace(client.endpoint, certificate=pki.certificate("alice"), key=pki.key("alice"))
    await client.connect()
    await client.subscribe(TOPIC)
    assert users(mqtt_broker) == ["alice"]


@clients(schemes=ENCRYPTED)
async def test_without_certificate_nobody_is_named(client: Adapter, mqtt_broker: RunningBroker) -> None:
    await client.connect()
    await client.subscribe(TOPIC)
    assert users(mqtt_broker) == [None]


@clients(of=[each for each in ADAPTERS if each is not AmqttAdapter], schemes=(Scheme.UNIX, Scheme.WS))
async def test_system_names_the_user(client: Adapter, mqtt_broker: RunningBroker) -> None:
    """A Unix socket tells who is at its other end; TCP does not."""
    await client.connect()
    await client.subscribe(TOPIC)
    expected = getpass.getuser() if client.endpoint.scheme is Scheme.UNIX else None
    assert users(mqtt_broker) == [expected]


@clients(of=(MosquittoAdapter,), schemes=(Scheme.UNIX,))
async def test_unix_socket_in_each_version(client: Adapter, peer: RawClient) -> None:
    await peer.subscribe("up", qos=1)
    await client.connect()
    await client.subscribe("down", 1)
    await peer.publish("down", LARGE, qos=1)
    assert await client.next_message() == Message("down", LARGE, 1)
    await client.publish(Message("up", LARGE, 1))
    assert (await peer.expect_publish()).payload == LARGE
