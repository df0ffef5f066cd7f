"""D14, D15, D16: descriptors run out, peers vanish, subscribers do not acknowledge."""

from __future__ import annotations

import asyncio
import contextlib
import resource
from pathlib import Path

from mqttbroker.protocol import Properties, Publish, Will
from tests.durability.process import BrokerProcess
from tests.durability.support import V4, connect, keep, kept
from tests.support.raw import RawClient

DESCRIPTORS = 64


def few_descriptors() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))


async def test_d14_out_of_descriptors(store: Path) -> None:
    """Those who are connected notice nothing, what is acknowledged is stored, and then there is room again."""
    async with BrokerProcess(store, preexec=few_descriptors) as broker:
        await keep(broker, "keeper", "a", qos=1)
        async with connect(broker) as sender:
            async with contextlib.AsyncExitStack() as crowd:
                for _ in range(DESCRIPTORS + 20):
                    await crowd.enter_async_context(RawClient("127.0.0.1", broker.port))
                for number in range(10):
                    await sender.publish("a", b"%d" % number, qos=1)
            async with asyncio.timeout(30):
                while True:
                    with contextlib.suppress(Exception):
                        async with connect(broker, version=V4):
                            break
            await sender.publish("a", b"10", qos=1)
        await broker.kill()
    async with BrokerProcess(store) as broker:
        assert [int(each.payload) for each in await kept(broker, "keeper", 11)] == list(range(11))


async def test_d15_a_peer_that_vanishes(store: Path) -> None:
    """Its connection ends with its keep alive, its will fires once, and what it had not acknowledged comes again."""
    async with BrokerProcess(store) as broker, connect(broker) as watcher:
        await watcher.subscribe("will", qos=2)
        async with RawClient("127.0.0.1", broker.port) as gone:
            lasting = Properties(session_expiry_interval=600)
            await gone.connect("gone", keep_alive=1, properties=lasting, will=Will("will", b"gone", 1))
            await gone.subscribe("a", qos=1)
            await watcher.publish("a", b"unacknowledged", qos=1)
            assert not (await gone.expect(Publish)).dup
            assert (await watcher.expect_publish(timeout=10)).payload == b"gone"
        await broker.kill()
        async with BrokerProcess(store) as again, connect(again, "gone", lasting=True, present=True) as back:
            message = await back.expect_publish()
            assert (message.payload, message.dup) == (b"unacknowledged", True)
            async with connect(again) as other:
                await other.subscribe("will", qos=2)
                await other.expect_silence()


async def test_d16_a_subscriber_that_never_acknowledges(store: Path) -> None:
    limits = {"MQTTBROKER_LIMITS__MAX_QUEUED_MESSAGES": "10"}
    async with BrokerProcess(store, environment=limits) as broker:
        slow = Properties(receive_maximum=2, session_expiry_interval=600)
        async with connect(broker, "slow", properties=slow) as never, connect(broker, "quick") as other:
            for client in (never, other):
                await client.subscribe("a", qos=1)
            async with connect(broker) as sender:
                for number in range(30):
                    await sender.publish("a", b"%d" % number, qos=1)
                    assert int((await other.expect_publish()).payload) == number
            assert [int(each.payload) for each in await never.drain() if isinstance(each, Publish)] == [0, 1]
        await broker.kill()
    async with BrokerProcess(store, environment=limits) as broker:
        # The two in flight, and the newest of the others: the oldest were dropped, as the policy says.
        found = [int(each.payload) for each in await kept(broker, "slow", 10)]
        assert found == [0, 1, *range(22, 30)]
