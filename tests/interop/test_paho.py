"""What Paho does beyond the common suite: its helper functions, reason codes, and its own retransmission."""

from __future__ import annotations

import asyncio

import paho.mqtt.publish
import paho.mqtt.subscribe
import pytest
from paho.mqtt.client import Client, ConnectFlags
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode as PahoReasonCode

from mqttbroker.protocol import ProtocolVersion, ReasonCode
from tests.interop.adapter import TIMEOUT, Adapter, Endpoint, Message
from tests.interop.adapters.paho import PahoAdapter, connect_properties
from tests.interop.matrix import clients
from tests.support.raw import RawClient

paho_versions = pytest.mark.parametrize("version", PahoAdapter.versions, ids=lambda version: version.name)


@clients(of=(PahoAdapter,), versions=(ProtocolVersion.V5,))
async def test_unsubscribe_reason(client: Adapter) -> None:
    assert isinstance(client, PahoAdapter)
    await client.connect()
    await client.subscribe("a", 1)
    assert await client.unsubscribe_reason("a") == ReasonCode.SUCCESS
    assert await client.unsubscribe_reason("a") == ReasonCode.NO_SUBSCRIPTION_EXISTED


# Paho forgets to close its own pair of sockets when its loop is started again.
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
@clients(of=(PahoAdapter,))
async def test_queued_while_away_is_sent_after_reconnecting(client: Adapter, peer: RawClient) -> None:
    """Paho keeps what is published without a connection, and reconnects with the same object."""
    assert isinstance(client, PahoAdapter)
    await peer.subscribe("later", qos=2)
    await client.connect(persistent=True)
    library = client.library
    library.loop_stop()
    await asyncio.to_thread(library.disconnect)
    library.publish("later", b"1", 1)
    library.publish("later", b"2", 2)
    await asyncio.to_thread(library.reconnect)
    library.loop_start()
    assert [(await peer.expect_publish()).payload for _ in range(2)] == [b"1", b"2"]
    await peer.expect_silence()


@paho_versions
async def test_publish_helper(endpoint: Endpoint, peer: RawClient, version: ProtocolVersion) -> None:
    await peer.subscribe("helper/#", qos=2)
    async with asyncio.timeout(TIMEOUT):
        await asyncio.to_thread(
            paho.mqtt.publish.multiple,
            [("helper/0", b"0", 0, False), ("helper/1", b"1", 1, False), ("helper/2", b"2", 2, False)],
            hostname=endpoint.host,
            port=endpoint.port,
            protocol=MQTTProtocolVersion(version),
        )
    received = [await peer.expect_publish() for _ in range(3)]
    assert [(publish.topic, publish.qos) for publish in received] == [("helper/0", 0), ("helper/1", 1), ("helper/2", 2)]


@paho_versions
async def test_subscribe_helper(endpoint: Endpoint, peer: RawClient, version: ProtocolVersion) -> None:
    await peer.publish("helper/kept", b"kept", qos=1, retain=True)
    async with asyncio.timeout(TIMEOUT):
        message = await asyncio.to_thread(
            paho.mqtt.subscribe.simple,
            "helper/#",
            qos=1,
            hostname=endpoint.host,
            port=endpoint.port,
            protocol=MQTTProtocolVersion(version),
        )
    assert (message.topic, message.payload, message.retain) == ("helper/kept", b"kept", True)


async def test_broker_assigns_a_client_identifier(endpoint: Endpoint) -> None:
    loop = asyncio.get_running_loop()
    told: asyncio.Future[str] = loop.create_future()

    def on_connect(
        _: Client, __: object, ___: ConnectFlags, reason: PahoReasonCode, properties: Properties | None
    ) -> None:
        assert properties is not None and not reason.is_failure
        assigned: str = getattr(properties, "AssignedClientIdentifier", "")
        loop.call_soon_threadsafe(told.set_result, assigned)

    client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
    client.on_connect = on_connect
    await asyncio.to_thread(
        client.connect, endpoint.host, endpoint.port, clean_start=True, properties=connect_properties(False)
    )
    client.loop_start()
    try:
        async with asyncio.timeout(TIMEOUT):
            assert await told
    finally:
        client.disconnect()
        await asyncio.to_thread(client.loop_stop)


@clients(of=(PahoAdapter,), versions=(ProtocolVersion.V31, ProtocolVersion.V311))
async def test_many_messages_in_flight(client: Adapter, peer: RawClient) -> None:
    assert isinstance(client, PahoAdapter)
    await peer.subscribe("many", qos=2)
    await client.connect()
    async with asyncio.timeout(TIMEOUT), asyncio.TaskGroup() as group:
        for number in range(100):
            group.create_task(client.publish(Message("many", str(number).encode(), 2)))
    received = [(await peer.expect_publish()).payload for _ in range(100)]
    assert received == [str(number).encode() for number in range(100)]
