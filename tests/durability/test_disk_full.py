"""D5, D6: no room on the disk, and no room in the map. Nothing is acknowledged that is not stored; everything else goes
on; and when there is room again, so does the rest.
"""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from mqttbroker.protocol import PubAck, Publish, PubRec, ReasonCode
from tests.durability.process import BrokerProcess
from tests.durability.shim import Shim
from tests.durability.support import V4, V5, as_root, connect, keep, kept
from tests.support.raw import ConnectionClosed, RawClient
from tests.support.tools import missing, require_tool

PAYLOAD = bytes(16_000)
MANY = 200
FULL = "the disk is full: nothing more is acknowledged"
ROOM = "the store has room again"


async def fill(broker: BrokerProcess, topic: str, qos: int = 1) -> int:
    """Publish until it is not acknowledged any more; the number of messages acknowledged."""
    done = 0
    async with connect(broker) as client:
        with pytest.raises((ConnectionClosed, AssertionError)):
            for _ in range(MANY):
                answer = await client.publish(topic, PAYLOAD, qos=qos)
                assert answer is not None and answer.reason_code == ReasonCode.SUCCESS
                done += 1
    assert done < MANY
    await broker.wait_for_log(FULL)
    return done


async def publish_again(broker: BrokerProcess, topic: str) -> int:
    """Wait for the line that says that there is room, and publish; how many messages that is."""
    await broker.wait_for_log(ROOM)
    async with connect(broker) as client:
        answer = await client.publish(topic, b"again", qos=1)
        assert answer is not None and answer.reason_code == ReasonCode.SUCCESS
    return 1


async def receive_all(client: RawClient) -> list[Publish]:
    """Take and acknowledge messages until one says that it is the last."""
    messages: list[Publish] = []
    while not messages or messages[-1].payload != b"again":
        messages.append(await client.expect_publish())
    return messages


def limit(shim: Shim, store: Path) -> None:
    """No more room than for a few messages."""
    shim["full_at"] = (store / "data.mdb").stat().st_size + 256 * 1_024


class TestDiskFull:
    async def test_d5_publishers_are_refused_and_service_resumes(self, store: Path, shim: Shim) -> None:
        async with BrokerProcess(store, environment=shim.environment) as broker:
            await keep(broker, "keeper", "kept/#")
            limit(shim, store)
            done = await fill(broker, "kept/1")
            async with connect(broker) as five, connect(broker, version=V4) as four:
                for qos, kind in ((1, PubAck), (2, PubRec)):
                    five.send(Publish("kept/1", PAYLOAD, qos, packet_id=7))
                    answer = await five.receive()
                    assert isinstance(answer, kind) and isinstance(answer, PubAck | PubRec)
                    assert answer.reason_code == ReasonCode.QUOTA_EXCEEDED
                    four.send(Publish("kept/1", PAYLOAD, qos, packet_id=7))
                    await four.expect_silence()
            shim["full_at"] = 0
            await publish_again(broker, "kept/1")
            async with connect(broker, "keeper", lasting=True, present=True) as keeper:
                messages = await receive_all(keeper)
            # The message that was not acknowledged may have been kept.
            assert len(messages) - 1 in (done, done + 1)

    async def test_d5_what_needs_no_room_goes_on(self, store: Path, shim: Shim) -> None:
        async with (
            BrokerProcess(store, environment=shim.environment) as broker,
            connect(broker, "live", lasting=False) as live,
        ):
            await keep(broker, "keeper", "kept/#")
            await live.subscribe("live/#", qos=2)
            limit(shim, store)
            await fill(broker, "kept/1")
            async with connect(broker) as sender:
                for qos in (0, 1, 2):
                    await sender.publish(f"live/{qos}", b"goes on", qos=qos)
            assert [(await live.expect_publish()).qos for _ in range(3)] == [0, 1, 2]
            await live.unsubscribe("live/#")

    async def test_d5_taking_messages_makes_room(self, store: Path, shim: Shim) -> None:
        """An online session acknowledges what waits for the disk: then it need not be written any more."""
        async with BrokerProcess(store, environment=shim.environment) as broker:
            await keep(broker, "keeper", "kept/#", qos=1)
            async with connect(broker, "keeper", lasting=True, present=True) as keeper:
                limit(shim, store)
                done = await fill(broker, "kept/1")
                for _ in range(done):
                    await keeper.expect_publish()
                await keeper.ack(await keeper.expect(Publish))  # The one that has no room.
                await publish_again(broker, "kept/1")
                assert (await keeper.expect_publish()).payload == b"again"

    async def test_d5_qos_2_deliveries_resume(self, store: Path, shim: Shim) -> None:
        async with BrokerProcess(store, environment=shim.environment) as broker:
            await keep(broker, "keeper", "kept/#")
            async with connect(broker, "keeper", lasting=True, present=True) as keeper:
                limit(shim, store)
                done = await fill(broker, "kept/1", qos=2)
                shim["full_at"] = 0
                await publish_again(broker, "kept/1")
                received = 0
                for _ in range(done + 2):
                    message = await keeper.expect_publish()
                    received += message.qos == 2
                assert received >= done

    async def test_d5_a_store_that_was_full_can_be_killed(self, store: Path, shim: Shim) -> None:
        async with BrokerProcess(store, environment=shim.environment) as broker:
            await keep(broker, "keeper", "kept/#")
            limit(shim, store)
            done = await fill(broker, "kept/1")
            await broker.kill()
        shim["full_at"] = 0
        async with BrokerProcess(store, environment=shim.environment) as broker:
            assert len(await kept(broker, "keeper", done)) == done


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MiB."""
    if not as_root():
        pytest.skip("only root may mount a file system")
    mount = require_tool("mount")
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run([mount, "-t", "tmpfs", "-o", "size=2m", "tmpfs", place], timeout=10, check=False)
    if mounted.returncode:
        missing("mounting a tmpfs is not possible here")
    yield place
    subprocess.run(["umount", "--lazy", place], timeout=10, check=True)


async def test_d5_a_real_disk_that_is_full(small_disk: Path) -> None:
    """Unlike the shim, a file system cuts off the write that does not fit."""
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(512 * 1_024))
    async with BrokerProcess(small_disk / "store") as broker:
        await keep(broker, "keeper", "kept/#")
        done = await fill(broker, "kept/1")
        ballast.unlink()
        await publish_again(broker, "kept/1")
        async with connect(broker, "keeper", lasting=True, present=True) as keeper:
            assert len(await receive_all(keeper)) - 1 in (done, done + 1)


async def test_d6_the_map_grows_under_load(store: Path) -> None:
    """A map of 256 KiB for some megabytes, while queues are read."""
    count = 60
    async with BrokerProcess(store, environment={"TEST_FIRST_MAP_SIZE": str(1 << 18)}, point="none") as broker:
        await keep(broker, "keeper", "kept/#")
        async with connect(broker, "reader", lasting=True) as reader, connect(broker, version=V5) as sender:
            await reader.subscribe("kept/#", qos=1)

            async def read() -> None:
                for _ in range(count):
                    await reader.expect_publish()

            reading = asyncio.ensure_future(read())
            for number in range(count):
                sender.send(Publish("kept/1", number.to_bytes(4, "big") * 16_000, 1, packet_id=number + 1))
            for _ in range(count):
                assert (await sender.expect(PubAck)).reason_code == ReasonCode.SUCCESS
            await reading
        await broker.kill()
    assert (store / "data.mdb").stat().st_size > 1 << 20
    async with BrokerProcess(store, environment={"TEST_FIRST_MAP_SIZE": str(1 << 18)}, point="none") as broker:
        messages = await kept(broker, "keeper", count)
        assert [each.payload[:4] for each in messages] == [number.to_bytes(4, "big") for number in range(count)]
