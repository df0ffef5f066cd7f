"""The first thing that a person runs: a sensor that publishes this machine's readings."""

from __future__ import annotations

import asyncio
import runpy
import socket
import sys
from pathlib import Path

import pytest

from mqttbroker.broker import Credentials, Refused, VerdictCallback
from mqttbroker.testing import RunningBroker
from mqttbroker.testing.plugin import BrokerFactory
from tests.support.raw import RawClient

EXAMPLE = Path(__file__).parents[2] / "examples" / "host_sensor.py"


async def run(port: int, *arguments: str) -> tuple[int | None, str]:
    """Run the example to its end; its exit code and what it said on standard error."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(EXAMPLE), "--port", str(port), "--interval", "0.01", "--count", "2", *arguments),
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(30):
        _, errors = await process.communicate()
    return process.returncode, errors.decode()


async def test_readings_arrive(mqtt_broker: RunningBroker) -> None:
    async with RawClient(mqtt_broker.host, mqtt_broker.port) as watcher:
        await watcher.connect()
        await watcher.subscribe("sensors/#")
        assert await run(mqtt_broker.port) == (0, "")
        received: dict[str, list[bytes]] = {}
        while received.get("status", [])[1:] != [b"offline"]:
            message = await watcher.expect_publish()
            prefix, host, reading = message.topic.split("/")
            assert (prefix, host) == ("sensors", socket.gethostname())
            received.setdefault(reading, []).append(message.payload)
    assert received.pop("status") == [b"online", b"offline"]
    assert {"cpu", "memory", "disk"} <= set(received)
    for name, values in received.items():
        assert len(values) == 2
        assert all(-50 <= float(value) <= 150 for value in values), name


async def test_readings_are_kept_for_those_who_come_later(mqtt_broker: RunningBroker) -> None:
    assert await run(mqtt_broker.port) == (0, "")
    async with RawClient(mqtt_broker.host, mqtt_broker.port) as watcher:
        await watcher.connect()
        await watcher.subscribe("sensors/+/memory")
        assert (await watcher.expect_publish()).retain


async def test_no_broker(mqtt_broker: RunningBroker) -> None:
    mqtt_broker.stop()
    code, errors = await run(mqtt_broker.port)
    assert (code, errors.count("\n")) == (1, 1)
    assert errors.startswith(f"cannot connect to 127.0.0.1:{mqtt_broker.port}: ")


class NobodyWelcome:
    """Refuses everybody."""

    def authenticate(self, credentials: Credentials, done: VerdictCallback) -> None:
        done(Refused())


async def test_refused(mqtt_broker_factory: BrokerFactory) -> None:
    code, errors = await run(mqtt_broker_factory(authenticator=NobodyWelcome()).port, "--username", "alice")
    assert (code, errors.count("\n")) == (1, 1)
    assert errors.startswith("the broker refused the connection: ")


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")
def test_without_psutil_readings_come_from_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psutil", None)
    module = runpy.run_path(str(EXAMPLE))
    assert module["psutil"] is None
    readings = module["Readings"]().take()
    assert {"cpu", "memory", "disk"} <= set(readings)
    assert all(0 <= value <= 150 for value in readings.values())
