"""Loads against a real broker: each message that is published arrives, and is counted once."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from mqttbroker.bench import BenchError, Link, Progress, Result, Scenario, Transport, run
from mqttbroker.bench.connecting import connect_many
from mqttbroker.bench.poller import SelectorPoller
from mqttbroker.testing import RunningBroker
from mqttbroker.testing.plugin import BrokerFactory
from tests.support.logged import until
from tests.support.pki import Pki
from tests.transports.site import Site, TransportName

MOST_SECONDS = 30.0

PAIRS = Scenario("pairs", 3, 3, 0, 5)
SHAPES = [
    pytest.param(PAIRS, id="pairs"),
    pytest.param(Scenario("one pair", 1, 1, 0, 100), id="one pair"),
    pytest.param(Scenario("fan-out", 1, 7, 0, 10, fan=True), id="fan-out"),
    pytest.param(Scenario("fan-in", 7, 1, 0, 10, fan=True), id="fan-in"),
    pytest.param(Scenario("everybody to everybody", 3, 2, 0, 4, fan=True), id="all to all"),
]


def link_to(broker: RunningBroker) -> Link:
    return Link((broker.host, broker.port))


def no_clock() -> float:
    return 0.0


async def send(link: Link, scenario: Scenario, messages: int, rate: float | None = None, processes: int = 1) -> Result:
    """Publish so many messages."""
    return await run(scenario, link, MOST_SECONDS, no_clock, rate, messages=messages, processes=processes)


class TestCounts:
    """What is published is delivered: exactly so many messages."""

    @pytest.mark.parametrize("version5", [False, True], ids=["3.1.1", "5.0"])
    @pytest.mark.parametrize("qos", [0, 1, 2], ids="qos{}".format)
    @pytest.mark.parametrize("scenario", SHAPES)
    async def test_of_each_shape(
        self, mqtt_broker: RunningBroker, scenario: Scenario, qos: int, version5: bool
    ) -> None:
        scenario = replace(scenario, qos=qos, version5=version5)
        result = await send(link_to(mqtt_broker), scenario, 1_000)
        assert (result.published, result.messages, result.latency) == (1_000, 1_000 * scenario.copies, None)

    @pytest.mark.parametrize("qos", [0, 1, 2], ids="qos{}".format)
    @pytest.mark.parametrize("size", [0, 8, 100, 5_000, 70_000, 1_048_576], ids="{} bytes".format)
    async def test_of_each_size(self, mqtt_broker: RunningBroker, size: int, qos: int) -> None:
        result = await send(link_to(mqtt_broker), replace(PAIRS, qos=qos, payload=size, window=1), 30)
        assert (result.published, result.messages) == (30, 30)

    @pytest.mark.parametrize("transport", ["tls", "ws", "wss", "unix"])
    @pytest.mark.parametrize("size", [64, 70_000], ids="{} bytes".format)
    @pytest.mark.parametrize("qos", [0, 2], ids="qos{}".format)
    async def test_over_each_transport(
        self, pki: Pki, tmp_path: Path, transport: TransportName, size: int, qos: int
    ) -> None:
        site = Site(transport, "asyncio", pki, tmp_path)
        try:
            broker = site.start()
            kind = {"tls": Transport.TLS, "ws": Transport.WS, "wss": Transport.WSS, "unix": Transport.UNIX}[transport]
            address = str(tmp_path / "mqtt.sock") if transport == "unix" else ("localhost", broker.port)
            link = Link(address, kind, authority=pki.ca)
            # At QoS 0 the broker drops what is too much for a connection.
            window = 20 if size < 1_000 else 5
            result = await send(link, replace(PAIRS, qos=qos, payload=size, window=window), 300)
        finally:
            site.stop()
        assert (result.published, result.messages) == (300, 300)

    @pytest.mark.parametrize("scenario", [SHAPES[0], SHAPES[2]])
    async def test_with_two_processes(self, mqtt_broker: RunningBroker, scenario: Scenario) -> None:
        result = await send(link_to(mqtt_broker), scenario, 1_001, processes=2)
        assert (result.published, result.messages) == (1_001, 1_001 * scenario.copies)

    @pytest.mark.parametrize("qos", [1, 2], ids="qos{}".format)
    @pytest.mark.parametrize("version5", [False, True], ids=["3.1.1", "5.0"])
    async def test_of_clients_that_come_and_go(self, mqtt_broker: RunningBroker, qos: int, version5: bool) -> None:
        scenario = replace(PAIRS, qos=qos, version5=version5, persistent=True)
        result = await send(link_to(mqtt_broker), scenario, 60)
        assert (result.published, result.messages) == (60, 60)
        # Nothing is left behind.
        await until(lambda: not mqtt_broker.call(lambda broker: len(broker.core.registry.sessions)))

    async def test_beside_those_that_do_not_read(self, mqtt_broker: RunningBroker) -> None:
        scenario = replace(PAIRS, payload=1_000, slow_readers=2)
        result = await send(link_to(mqtt_broker), scenario, 3_000)
        assert (result.published, result.messages) == (3_000, 3_000)

    async def test_with_what_other_systems_have_for_epoll(
        self, mqtt_broker: RunningBroker, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("mqttbroker.bench.load.new_poller", SelectorPoller)
        result = await send(link_to(mqtt_broker), replace(PAIRS, qos=1, payload=200_000), 60)
        assert (result.published, result.messages) == (60, 60)


class TestRate:
    """Messages that are due at a time."""

    @pytest.mark.parametrize("scenario", [SHAPES[0], SHAPES[2], SHAPES[3]])
    async def test_has_latencies(self, mqtt_broker: RunningBroker, scenario: Scenario) -> None:
        result = await send(link_to(mqtt_broker), replace(scenario, qos=1), 200, rate=2_000)
        assert (result.published, result.messages) == (200, 200 * scenario.copies)
        assert result.latency is not None
        assert list(result.latency) == ["p50", "p99", "p99.9", "max"]
        assert 0 < result.latency["p50"] <= result.latency["p99"] <= result.latency["p99.9"] <= result.latency["max"]
        # The last one was not due before.
        assert result.seconds >= 199 / 2_000


class TestEnds:
    """When a load ends, and what it tells until then."""

    async def test_after_its_time(self, mqtt_broker: RunningBroker) -> None:
        used = iter(range(100))
        seen: list[Progress] = []
        began = time.monotonic()
        result = await run(PAIRS, link_to(mqtt_broker), 0.3, lambda: next(used), progress=seen.append, warm_up=0.0)
        assert time.monotonic() >= began + 0.3
        assert (result.cpu, result.messages > 0) == (1, True)
        assert seen[-1].messages >= result.messages

    async def test_when_it_is_stopped(self, mqtt_broker: RunningBroker) -> None:
        stop = threading.Event()

        def count(progress: Progress) -> None:
            if progress.messages > 100:
                stop.set()

        waiting = run(PAIRS, link_to(mqtt_broker), 1_000, no_clock, progress=count, warm_up=0.0, stop=stop)
        result = await asyncio.wait_for(waiting, MOST_SECONDS)
        assert result.messages > 100

    async def test_when_it_is_cancelled(self, mqtt_broker: RunningBroker) -> None:
        task = asyncio.create_task(run(PAIRS, link_to(mqtt_broker), 1_000, no_clock))
        await asyncio.wait((task,), timeout=0.2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, MOST_SECONDS)

    async def test_when_the_broker_stops(self, mqtt_broker: RunningBroker) -> None:
        def stop(progress: Progress) -> None:
            if progress.messages > 100:
                mqtt_broker.stop()

        with pytest.raises(BenchError, match="the broker closed a connection"):
            await asyncio.wait_for(
                run(PAIRS, link_to(mqtt_broker), 1_000, no_clock, progress=stop, warm_up=0.0), MOST_SECONDS
            )


class TestMistakes:
    """What cannot be."""

    @pytest.mark.parametrize(
        ("scenario", "rate", "message"),
        [
            (replace(PAIRS, publishers=0), None, "a publisher and a subscriber"),
            (replace(PAIRS, publishers=2), None, "as many publishers"),
            (replace(PAIRS, payload=7), 10.0, "at least 8 bytes"),
            (replace(PAIRS, persistent=True), None, "nothing is kept"),
            (replace(PAIRS, persistent=True, qos=1), 10.0, "no fixed rate"),
        ],
        ids=["nobody", "no pairs", "no room", "QoS 0", "rate"],
    )
    async def test_of_a_scenario(self, scenario: Scenario, rate: float | None, message: str) -> None:
        with pytest.raises(BenchError, match=message):
            await run(scenario, Link(("127.0.0.1", 1)), 1, no_clock, rate)

    @pytest.mark.parametrize("processes", [1, 2])
    async def test_nobody_is_there(self, mqtt_broker: RunningBroker, processes: int) -> None:
        mqtt_broker.stop()
        with pytest.raises(ConnectionRefusedError):
            await send(link_to(mqtt_broker), PAIRS, 10, processes=processes)

    async def test_a_lower_qos_is_granted(self, mqtt_broker_factory: BrokerFactory) -> None:
        broker = mqtt_broker_factory(max_qos=1)
        with pytest.raises(BenchError, match="grants only QoS 1"):
            await send(link_to(broker), replace(PAIRS, qos=2), 10)


class TestConnecting:
    """Connections alone."""

    async def test_a_storm_and_another(self, mqtt_broker: RunningBroker) -> None:
        first, again = await connect_many(link_to(mqtt_broker), 50, 8, no_clock, hold=0.05, again=1, version5=True)
        for each in (first, again):
            assert each.messages == 50
            assert each.latency is not None

    async def test_at_a_rate(self, mqtt_broker: RunningBroker) -> None:
        (result,) = await connect_many(link_to(mqtt_broker), 20, 4, no_clock, rate=200)
        assert result.messages == 20
        assert result.seconds >= 19 / 200

    async def test_more_than_the_broker_wants(self, mqtt_broker_factory: BrokerFactory) -> None:
        broker = mqtt_broker_factory(max_connections_per_address=10)
        with pytest.raises(BenchError, match=r"after 10 connections: the broker closed .* may limit connections"):
            await connect_many(link_to(broker), 20, 1, no_clock)
