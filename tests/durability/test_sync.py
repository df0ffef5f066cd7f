"""D7, D8: syncs that fail, and syncs that take their time."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from mqttbroker.protocol import PubAck, Publish
from tests.durability.process import BrokerProcess
from tests.durability.shim import Shim
from tests.durability.support import V4, connect, keep, kept
from tests.support.raw import ConnectionClosed, RawClient

FAILED = "the store has failed and takes no more"
PIPED = 64
BLOCK = 65_536
MOST = 200 * 1_024 * 1_024


@pytest.mark.parametrize("fault", ("failing_syncs", "failing_writes"))
async def test_d7_after_a_failed_sync_nothing_is_acknowledged(store: Path, shim: Shim, fault: str) -> None:
    async with BrokerProcess(store, environment=shim.environment) as broker:
        await keep(broker, "keeper", "a")
        async with connect(broker) as sender:
            await sender.publish("a", b"before", qos=1)
            shim[fault] = 1
            sender.send(Publish("a", b"lost or not", 1, packet_id=9))
            packets = await sender.expect_closed()
            assert not any(isinstance(each, PubAck) for each in packets)
        assert await broker.wait() == 1
        assert len(broker.events(FAILED)) == 1
        # Not the last line for sure: the log has a thread of its own.
        assert any("the store has failed" in line for line in broker.lines)
        assert not any("Traceback" in line for line in broker.lines)
    async with BrokerProcess(store, environment=shim.environment) as broker:
        async with connect(broker) as sender:
            await sender.publish("a", b"after", qos=1)
        async with connect(broker, "keeper", lasting=True, present=True) as keeper:
            found = [(await keeper.expect_publish()).payload]
            while found[-1] != b"after":
                found.append((await keeper.expect_publish()).payload)
        assert [each for each in found if each != b"lost or not"] == [b"before", b"after"]


async def test_d7_nothing_is_acknowledged_after_it_either(store: Path, shim: Shim) -> None:
    async with BrokerProcess(store, environment=shim.environment) as broker:
        await keep(broker, "keeper", "a")
        async with connect(broker) as sender:
            shim["failing_syncs"] = 1
            for number in range(1, PIPED):
                sender.send(Publish("a", b"x", 1, packet_id=number))
            packets = await sender.expect_closed()
            assert not any(isinstance(each, PubAck) for each in packets)
        assert await broker.wait() == 1


async def wait_for_sync(shim: Shim, count: int) -> None:
    """Until so many syncs have begun."""
    async with asyncio.timeout(10):
        while shim["syncing"] < count:
            await asyncio.sleep(0.01)


async def test_d8_acknowledgements_wait_and_nothing_else_does(store: Path, shim: Shim) -> None:
    async with BrokerProcess(store, environment=shim.environment) as broker:
        await keep(broker, "keeper", "a")
        async with connect(broker, version=V4, keep_alive=1) as sender, connect(broker) as other:
            await other.subscribe("b")
            shim["slow_sync_ms"] = 60_000
            sender.send(Publish("a", b"slow", 1, packet_id=9))
            await wait_for_sync(shim, shim["syncs"] + 1)
            for _ in range(3):
                # Far more than a keep alive of 1 s, and its client is answered all the time.
                await sender.ping(timeout=2)
                await other.publish("b", b"quick")
                assert (await other.expect_publish(timeout=2)).payload == b"quick"
                with pytest.raises(TimeoutError):
                    await sender.receive(timeout=0.8)
            shim["slow_sync_ms"] = 0
            assert (await sender.expect(PubAck)).packet_id == 9


@pytest.mark.timeout(120)
async def test_d8_memory_is_bounded_by_back_pressure(store: Path, shim: Shim) -> None:
    async with BrokerProcess(store, environment=shim.environment) as broker:
        await keep(broker, "keeper", "a", qos=1)
        async with connect(broker, version=V4) as sender:
            before = memory_of(broker.pid)
            shim["slow_sync_ms"] = 60_000
            sent = await flood(sender)
            grown = memory_of(broker.pid) - before
            assert sent < 10_000, "the broker took everything"
            assert grown < MOST
            shim["slow_sync_ms"] = 0
            for _ in range(sent):
                await sender.expect(PubAck, timeout=30)


async def flood(sender: RawClient) -> int:
    """Publish until the broker takes no more for a second; how many messages that were."""
    sent = 0
    sender.timeout = 1.0
    while sent < 10_000:
        sent += 1
        sender.send(Publish("a", bytes(BLOCK), 1, packet_id=sent))
        try:
            await sender.flush()
        except TimeoutError:
            break
    sender.timeout = 15.0
    return sent


def memory_of(pid: int) -> int:
    """Resident bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1_024
    raise ConnectionClosed("VmRSS", [], b"")


async def test_d21_told_to_stop_during_a_slow_sync(store: Path, shim: Shim) -> None:
    async with BrokerProcess(store, environment=shim.environment) as broker:
        await keep(broker, "keeper", "a")
        async with connect(broker) as sender:
            await sender.publish("a", b"kept", qos=1)
            shim["slow_sync_ms"] = 60_000
            sender.send(Publish("a", b"perhaps", 1, packet_id=9))
            await wait_for_sync(shim, shim["syncs"] + 1)
            broker.signal(15)
            await sender.expect_closed()
            shim["slow_sync_ms"] = 0
            assert await broker.wait() == 0
    async with BrokerProcess(store) as broker:
        assert [each.payload for each in await kept(broker, "keeper", 2)] == [b"kept", b"perhaps"]
