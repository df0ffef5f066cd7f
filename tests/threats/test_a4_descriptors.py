"""More clients than the system has descriptors for. The broker is a process of its own, since this one needs many."""

from __future__ import annotations

import asyncio
import os
import resource
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio

from mqttbroker.protocol import PubAck, Publish, ReasonCode
from tests.durability.process import BrokerProcess
from tests.support.raw import RawClient

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

FILES = 100
TOO_MANY = 2 * FILES
WINDOW = 1.0
"""Seconds in which the broker's processor time is measured."""


@pytest_asyncio.fixture
async def bystander() -> None:
    """Nobody: these tests have a broker and a client of their own."""


@pytest_asyncio.fixture
async def serving(tmp_path: Path) -> AsyncIterator[BrokerProcess]:
    """A broker with a store that may have few files open."""

    def few_files() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, FILES))

    async with BrokerProcess(tmp_path / "store", preexec=few_files) as process:
        yield process


def processor_time(pid: int) -> float:
    """Seconds that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def client_of(process: BrokerProcess) -> RawClient:
    return RawClient("127.0.0.1", process.port, timeout=20.0)


async def test_mosquitto_948_emqx_5858_no_descriptors_left(serving: BrokerProcess) -> None:
    """Accepting was tried again and again, at the price of a whole processor, and for some brokers never worked again.

    Those who wait in the system's queue are let in when there is room.
    """
    async with client_of(serving) as good, AsyncExitStack() as stack:
        await good.connect("good")
        await good.subscribe("a", qos=1)
        crowd = [await stack.enter_async_context(client_of(serving)) for _ in range(TOO_MANY)]
        await serving.wait_for_log("no room for connections, waiting")

        began, used = time.monotonic(), processor_time(serving.pid)
        # Nothing is waited for: this is the stretch that is measured.
        await asyncio.sleep(WINDOW)
        share = (processor_time(serving.pid) - used) / (time.monotonic() - began)
        assert share < 0.2
        assert len(serving.events("no room for connections, waiting")) == 1

        for number in range(5):
            answer = await good.publish("a", b"x", qos=1, retain=True)
            assert isinstance(answer, PubAck)
            assert answer.reason_code == ReasonCode.SUCCESS
            assert isinstance(await good.expect_publish(), Publish), number

        for client in crowd[: TOO_MANY // 2 + FILES // 2]:
            await client.close()
        await serving.wait_for_log("accepting again")
        last = crowd[-1]
        assert (await last.connect("last")).reason_code == ReasonCode.SUCCESS
        await last.publish("a", b"from the last", qos=1)
        assert (await good.expect_publish()).payload == b"from the last"
    assert len(serving.events("accepting again")) == len(serving.events("no room for connections, waiting"))
    assert [
        line for line in serving.logged if line.get("level") == "error" and "no room" not in str(line["event"])
    ] == []


async def test_mosquitto_948_emqx_5858_what_was_stored_meanwhile_is_there(
    serving: BrokerProcess, tmp_path: Path
) -> None:
    async with client_of(serving) as good, AsyncExitStack() as stack:
        await good.connect("good")
        for _ in range(TOO_MANY):
            await stack.enter_async_context(client_of(serving))
        await serving.wait_for_log("no room for connections, waiting")
        await good.publish("kept", b"x", qos=1, retain=True)
        await serving.kill()
    async with BrokerProcess(tmp_path / "store") as again, client_of(again) as client:
        await client.connect("good")
        await client.subscribe("kept")
        assert (await client.expect(Publish)).payload == b"x"
