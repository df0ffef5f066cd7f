"""D17, D19, D21, D22: many who come back at once, other layouts, orderly ends, and readers that have died."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mqttbroker.protocol import PubAck, Publish
from tests.durability.process import BrokerProcess
from tests.durability.support import V4, V5, connect, keep, kept
from tests.durability.test_directory import refused
from tests.support.raw import ConnectionClosed

MANY = 150
EACH = 5
WITHIN = 30.0


@pytest.mark.timeout(180)
async def test_d17_all_come_back_at_once(store: Path) -> None:
    """Ten thousand belong to the benchmarks; here it is that each gets what it is owed, and in which time."""
    async with BrokerProcess(store) as broker:
        await asyncio.gather(*(keep(broker, f"client-{number}", "all", qos=1) for number in range(MANY)))
        async with connect(broker) as sender:
            for number in range(EACH):
                await sender.publish("all", b"%d" % number, qos=1)
        await broker.kill()
    async with BrokerProcess(store) as broker:
        began = time.monotonic()
        found = await asyncio.gather(*(kept(broker, f"client-{number}", EACH) for number in range(MANY)))
        assert time.monotonic() - began < WITHIN
    assert all([each.payload for each in messages] == [b"%d" % n for n in range(EACH)] for messages in found)


@pytest.mark.parametrize("step", (0, 1, 2), ids=("not killed", "killed in step 1", "killed in step 2"))
async def test_d19_a_layout_is_migrated_even_if_that_is_cut_short(store: Path, step: int) -> None:
    async with BrokerProcess(store) as broker:
        await keep(broker, "keeper", "a")
        async with connect(broker) as sender:
            await sender.publish("a", b"kept", qos=1)
    if step:
        dying = BrokerProcess(store, environment={"TEST_MIGRATION_DIES_IN": str(step)}, point="none")
        with pytest.raises(Exception, match="ended with -9"):
            await dying.start()
    async with BrokerProcess(store, environment={"TEST_MIGRATION_DIES_IN": "0"}, point="none") as broker:
        assert [each.payload for each in await kept(broker, "keeper", 1)] == [b"kept"]
    # The version before it knows when it does not know.
    assert "newer version" in await refused(store)


@pytest.mark.parametrize("times", (1, 2), ids=("once", "twice"))
async def test_d21_told_to_stop_under_load(store: Path, times: int) -> None:
    acknowledged = 0
    async with BrokerProcess(store) as broker:
        await keep(broker, "keeper", "a", qos=1)
        # A client that takes nothing would keep the broker waiting, if it were not told twice.
        async with connect(broker, version=V4) as sender, connect(broker, version=V5):
            for number in range(1, 400):
                sender.send(Publish("a", b"%d" % number, 1, packet_id=number))
            with pytest.raises(ConnectionClosed) as caught:
                while True:
                    assert isinstance(await sender.receive(), PubAck)
                    acknowledged += 1
                    if acknowledged == 20:
                        for _ in range(times):
                            broker.signal(signal.SIGTERM)
            assert not caught.value.packets
        assert await broker.wait() == 0
    async with BrokerProcess(store) as broker, connect(broker, "keeper", lasting=True, present=True) as keeper:
        found = [int((await keeper.expect_publish()).payload) for _ in range(acknowledged)]
        assert found == list(range(1, acknowledged + 1))


READER = """
import lmdb, os, signal, sys
environment = lmdb.open(sys.argv[1], max_dbs=1, readonly=True)
transaction = environment.begin()
os.kill(os.getpid(), signal.SIGKILL)
"""


async def test_d22_a_reader_that_died_keeps_no_pages(store: Path) -> None:
    async with BrokerProcess(store) as broker:
        await keep(broker, "keeper", "a", qos=1)
        await broker.stop()
    assert subprocess.run([sys.executable, "-c", READER, store], timeout=30, check=False).returncode == -signal.SIGKILL
    async with (
        BrokerProcess(store) as broker,
        connect(broker, "keeper", lasting=True, present=True) as keeper,
        connect(broker) as sender,
    ):
        sizes = []
        for _ in range(4):
            for _ in range(40):
                await sender.publish("a", bytes(50_000), qos=1)
                await keeper.expect_publish()
            sizes.append((store / "data.mdb").stat().st_size)
        assert sizes[-1] <= max(2 * sizes[0], 1 << 20)
