"""D20, and D2 for the commands that replace the file: copies of a store in use, and replacements that are cut short."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mqttbroker.storage.lmdb import maintenance
from tests.durability.process import ROOT, BrokerProcess
from tests.durability.support import connect, keep, kept
from tests.support.raw import RawClient

DYING = """
import os, signal, sys
from pathlib import Path
from mqttbroker.storage.lmdb import maintenance
point, function, *arguments = sys.argv[1:]
replace = maintenance._replace
def dying(fresh, present):
    if point == "after":
        replace(fresh, present)
    os.kill(os.getpid(), signal.SIGKILL)
maintenance._replace = dying
getattr(maintenance, function)(*map(Path, arguments), **({"force": True} if function == "restore" else {}))
"""
POINTS = pytest.mark.parametrize("point", ("before", "after"))


def die(point: str, function: str, *arguments: Path) -> None:
    """Call a function of ``maintenance`` in a process that is killed as it puts a new file in the place of the old."""
    command = [sys.executable, "-c", DYING, point, function, *map(str, arguments)]
    assert subprocess.run(command, cwd=ROOT, timeout=60, check=False).returncode == -signal.SIGKILL


async def publish_numbers(sender: RawClient, acknowledged: list[int]) -> None:
    for number in range(100_000):
        await sender.publish("a", b"%d" % number, qos=1)
        acknowledged.append(number)


async def test_d20_a_backup_under_load_is_one_commit_point(store: Path, tmp_path: Path) -> None:
    acknowledged: list[int] = []
    async with BrokerProcess(store) as broker:
        await keep(broker, "keeper", "a", qos=1)
        await keep(broker, "fellow", "a", qos=1)
        async with connect(broker) as sender:
            publishing = asyncio.ensure_future(publish_numbers(sender, acknowledged))
            async with asyncio.timeout(30):
                while len(acknowledged) < 50:
                    await asyncio.wait([publishing], timeout=0.05)
            before = len(acknowledged)
            await asyncio.to_thread(maintenance.backup, store, tmp_path / "backup")
            publishing.cancel()
            await asyncio.gather(publishing, return_exceptions=True)
    assert maintenance.verify(tmp_path / "backup") == []
    elsewhere = tmp_path / "elsewhere"
    maintenance.restore(tmp_path / "backup", elsewhere)
    async with BrokerProcess(elsewhere) as broker:
        found = []
        for name in ("keeper", "fellow"):
            async with connect(broker, name, lasting=True, present=True) as client:
                packets = []
                while more := await client.drain():
                    for packet in more:
                        packets.append(int(packet.payload))  # type: ignore[union-attr]
                        await client.ack(packet)  # type: ignore[arg-type]
                found.append(packets)
    assert found[0] == found[1] == list(range(len(found[0])))
    assert len(found[0]) >= before


@POINTS
async def test_d2_killed_in_a_compaction(store: Path, point: str) -> None:
    async with BrokerProcess(store) as broker:
        await keep(broker, "keeper", "a", qos=1)
        async with connect(broker) as sender:
            await sender.publish("a", b"kept", qos=1)
    die(point, "compact", store)
    maintenance.compact(store)
    async with BrokerProcess(store) as broker:
        assert [each.payload for each in await kept(broker, "keeper", 1)] == [b"kept"]


@POINTS
async def test_d2_killed_in_a_restore(store: Path, tmp_path: Path, point: str) -> None:
    """It is the one store or the other, and never an empty one."""
    async with BrokerProcess(store) as broker:
        await keep(broker, "keeper", "a", qos=1)
        maintenance.backup(store, tmp_path / "backup")
        async with connect(broker) as sender:
            await sender.publish("a", b"since", qos=1)
    die(point, "restore", tmp_path / "backup", store)
    async with BrokerProcess(store) as broker:
        assert len(await kept(broker, "keeper", 1 if point == "before" else 0)) == (point == "before")
