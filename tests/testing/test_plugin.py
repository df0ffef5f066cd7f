"""The pytest plugin, used as a stranger's project uses it."""

from __future__ import annotations

import pytest

from mqttbroker.config import Config, ListenerConfig
from mqttbroker.testing import RunningBroker
from mqttbroker.testing.plugin import BrokerFactory
from tests.support.raw import RawClient

pytest_plugins = ["pytester"]


def test_a_stranger_needs_nothing_but_the_fixture(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import socket

        def test_something(mqtt_broker):
            with socket.create_connection((mqtt_broker.host, mqtt_broker.port)) as client:
                client.sendall(bytes.fromhex("100c00044d5154540402000000000000")[:14])
                assert client.recv(4) == bytes.fromhex("20020000")

        def test_two(mqtt_broker_factory):
            assert mqtt_broker_factory().port != mqtt_broker_factory(max_packet_size=1000, max_connect_size=500).port
        """
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=2)


def test_each_test_has_its_own_broker_and_port(mqtt_broker_factory: BrokerFactory) -> None:
    one, two = mqtt_broker_factory(), mqtt_broker_factory()
    assert one.port != two.port
    assert one.url == f"mqtt://127.0.0.1:{one.port}"


async def test_publish_call_and_advance(mqtt_broker: RunningBroker) -> None:
    mqtt_broker.publish("a", b"kept", qos=1, retain=True)
    assert mqtt_broker.call(lambda broker: len(broker.core.retained)) == 1
    async with RawClient(mqtt_broker.host, mqtt_broker.port) as client:
        await client.connect(keep_alive=10)
        await client.subscribe("a")
        assert (await client.expect_publish()).payload == b"kept"
        mqtt_broker.advance(16)
        await client.expect_closed()
    assert ("warning", "connection failed") in [line[:2] for line in mqtt_broker.logged]


def test_what_prevents_the_start_is_raised_in_the_test(mqtt_broker: RunningBroker) -> None:
    taken = Config(listeners=(ListenerConfig(port=mqtt_broker.port),))
    with pytest.raises(OSError, match="Address already in use"):
        RunningBroker(config=taken).start()


def test_a_broker_that_does_not_run_says_so() -> None:
    broker = RunningBroker()
    broker.stop()
    with pytest.raises(RuntimeError):
        _ = broker.broker
