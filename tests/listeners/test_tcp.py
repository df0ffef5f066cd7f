"""TCP: sockets, back-pressure in both directions, addresses, and the end of connections."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from mqttbroker.config import Config, ListenerConfig
from mqttbroker.listeners.sockets import format_address
from mqttbroker.protocol import Disconnect, Packet, Publish, ReasonCode
from mqttbroker.server import Broker
from mqttbroker.testing import RunningBroker
from mqttbroker.testing.plugin import BrokerFactory
from tests.support.raw import RawClient

BIG = 1 << 20


@pytest.mark.parametrize(
    ("peer", "text"),
    [
        pytest.param(("192.0.2.1", 1883), "192.0.2.1:1883", id="IPv4"),
        pytest.param(("2001:db8::1", 1883, 0, 0), "[2001:db8::1]:1883", id="IPv6"),
        pytest.param(None, "unknown", id="gone"),
    ],
)
def test_addresses_as_logs_show_them(peer: object, text: str) -> None:
    assert format_address(peer) == text


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
async def test_listens_on_the_address_it_is_told(host: str) -> None:
    if host == "::1" and not _has_ipv6():
        pytest.skip("this machine has no IPv6")
    async with Broker(Config(listeners=(ListenerConfig(host=host, port=0),))) as broker:
        for bound, port in broker.addresses["tcp"]:
            assert port > 0
            async with RawClient(bound, port) as client:
                assert (await client.connect()).reason_code == ReasonCode.SUCCESS


async def test_several_listeners_lead_to_one_broker() -> None:
    config = Config(listeners=(ListenerConfig("one", port=0), ListenerConfig("two", port=0)))
    async with Broker(config) as broker:
        (one,), (two,) = broker.addresses["one"], broker.addresses["two"]
        async with RawClient(*one) as subscriber, RawClient(*two) as publisher:
            await subscriber.connect()
            await publisher.connect()
            await subscriber.subscribe("a")
            await publisher.publish("a", b"x")
            assert (await subscriber.expect(Publish)).payload == b"x"


async def test_a_port_in_use_stops_the_start_with_a_clear_message() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        first = ListenerConfig("free", port=0)
        broker = Broker(Config(listeners=(first, ListenerConfig("busy", port=port))))
        with pytest.raises(OSError, match=f"listener 'busy' cannot listen on 127.0.0.1:{port}: Address already in use"):
            await broker.start()
    assert broker.addresses == {}
    with pytest.raises(RuntimeError):
        _ = broker.core


async def test_big_messages_pass_whole(mqtt_broker: RunningBroker) -> None:
    payload = bytes(range(256)) * (BIG // 256)
    async with RawClient(mqtt_broker.host, mqtt_broker.port) as client:
        await client.connect()
        await client.subscribe("big", qos=1)
        await client.publish("big", payload, qos=1)
        assert (await client.expect_publish()).payload == payload


async def test_a_slow_reader_loses_qos_0_and_hurts_nobody(mqtt_broker_factory: BrokerFactory) -> None:
    broker = mqtt_broker_factory(max_outbound_buffer=65_536)
    payload = b"x" * 65_536
    async with (
        RawClient(broker.host, broker.port) as slow,
        RawClient(broker.host, broker.port) as quick,
        RawClient(broker.host, broker.port) as publisher,
    ):
        for client in (slow, quick, publisher):
            await client.connect()
        await slow.subscribe("a")
        await quick.subscribe("a")
        sent = 0
        # The slow client reads nothing until the broker has had to drop something for it.
        while not broker.call(_dropped):
            await publisher.publish("a", payload)
            assert (await quick.expect(Publish)).payload == payload
            sent += 1
            assert sent < 2_000
        dropped = broker.call(_dropped)
        received = [packet for packet in await slow.drain() if isinstance(packet, Publish)]
        assert len(received) == sent - dropped
        await publisher.publish("a", b"afterwards")
        assert (await slow.expect(Publish)).payload == b"afterwards"


async def test_a_slow_reader_gets_every_qos_1_message_in_the_end(mqtt_broker_factory: BrokerFactory) -> None:
    broker = mqtt_broker_factory(max_outbound_buffer=65_536)
    async with RawClient(broker.host, broker.port) as slow, RawClient(broker.host, broker.port) as publisher:
        await slow.connect()
        await publisher.connect()
        await slow.subscribe("a", qos=1)
        payloads = [number.to_bytes(4, "big") * 16_384 for number in range(200)]
        for payload in payloads:
            await publisher.publish("a", payload, qos=1)
        assert [(await slow.expect_publish()).payload for _ in payloads] == payloads


async def test_a_stopping_broker_says_so(mqtt_broker: RunningBroker) -> None:
    async with RawClient(mqtt_broker.host, mqtt_broker.port) as client:
        await client.connect()
        await asyncio.to_thread(mqtt_broker.stop)
        packets: list[Packet] = await client.expect_closed()
        assert [type(packet) for packet in packets] == [Disconnect]
        last = packets[0]
        assert isinstance(last, Disconnect)
        assert last.reason_code == ReasonCode.SERVER_SHUTTING_DOWN


async def test_a_client_that_takes_nothing_does_not_hold_up_the_stop(mqtt_broker_factory: BrokerFactory) -> None:
    broker = mqtt_broker_factory(max_outbound_buffer=4_096)
    async with RawClient(broker.host, broker.port) as deaf, RawClient(broker.host, broker.port) as publisher:
        await deaf.connect()
        await publisher.connect()
        await deaf.subscribe("a", qos=1)
        for _ in range(100):
            await publisher.publish("a", b"x" * 65_536, qos=1)
        await asyncio.to_thread(broker.stop)


async def test_a_connection_that_sends_no_connect_is_closed(mqtt_broker: RunningBroker) -> None:
    async with (
        RawClient(mqtt_broker.host, mqtt_broker.port) as silent,
        RawClient(mqtt_broker.host, mqtt_broker.port) as other,
    ):
        await other.connect()
        silent.send_bytes(b"\x10")
        await other.ping()
        mqtt_broker.advance(11)
        assert await silent.expect_closed() == []
        await other.ping()


def _dropped(broker: Broker) -> int:
    return sum(broker.core.session_limits.dropped.values())


def _has_ipv6() -> bool:
    return Path("/proc/net/if_inet6").exists()
