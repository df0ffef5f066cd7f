"""D11, D12: the machine's clock jumps, and time passes while the broker is down."""

from __future__ import annotations

from pathlib import Path

import pytest

from mqttbroker.protocol import Properties, Will
from tests.durability.process import BrokerProcess
from tests.durability.shim import Shim
from tests.durability.support import V4, connect
from tests.support.raw import RawClient

HOUR = 3_600
YEAR = 365 * 24 * HOUR
JUMPS = pytest.mark.parametrize("jump", (HOUR, -HOUR, YEAR, -YEAR), ids=("+1 h", "-1 h", "+1 y", "-1 y"))


@JUMPS
async def test_d11_a_jump_of_the_clock_while_it_runs(store: Path, shim: Shim, jump: int) -> None:
    """Nobody is disconnected, nothing expires, nothing lives longer."""
    lasting = Properties(session_expiry_interval=HOUR // 2)
    async with (
        BrokerProcess(store, environment=shim.environment) as broker,
        connect(broker, keep_alive=2) as sender,
        connect(broker, version=V4, keep_alive=2) as other,
    ):
        async with connect(broker, "keeper", lasting=True, properties=lasting) as keeper:
            await keeper.subscribe("a", qos=1)
        expiring = Properties(message_expiry_interval=HOUR // 2)
        await sender.publish("a", b"before", qos=1, properties=expiring)
        shim["clock_offset"] = jump
        for _ in range(4):
            # Over more than one tick of the broker's, and one keep alive.
            await sender.ping()
            await other.ping()
            with pytest.raises(TimeoutError):
                await other.receive(timeout=0.6)
        await sender.publish("a", b"after", qos=1, properties=expiring)
        async with connect(broker, "keeper", lasting=True, properties=lasting, present=True) as keeper:
            messages = [await keeper.expect_publish() for _ in range(2)]
        assert [each.payload for each in messages] == [b"before", b"after"]
        for each in messages:
            left = each.properties.message_expiry_interval
            assert left is not None
            assert HOUR // 2 - 60 < left <= HOUR // 2


async def test_d12_sessions_expire_while_the_broker_is_down(store: Path, shim: Shim) -> None:
    async with BrokerProcess(store, environment=shim.environment) as broker:
        for name, expiry in (("short", HOUR), ("long", 3 * HOUR), ("eternal", 0xFFFF_FFFF)):
            async with connect(broker, name, properties=Properties(session_expiry_interval=expiry)) as client:
                await client.subscribe("a", qos=1)
                await client.disconnect()
        await broker.kill()
    shim["clock_offset"] = 2 * HOUR
    async with BrokerProcess(store, environment=shim.environment) as broker:
        for name, present in (("short", False), ("long", True), ("eternal", True)):
            async with connect(broker, name, lasting=True, present=present):
                continue


async def test_d12_a_session_that_was_open_begins_to_expire_at_the_restart(store: Path, shim: Shim) -> None:
    """When its connection ended nobody knows; it must not end too early."""
    lasting = Properties(session_expiry_interval=HOUR)
    async with (
        BrokerProcess(store, environment=shim.environment) as broker,
        connect(broker, "open", properties=lasting),
    ):
        await broker.kill()
    shim["clock_offset"] = 2 * HOUR
    async with BrokerProcess(store, environment=shim.environment) as broker:
        await broker.kill()
    shim["clock_offset"] = 2 * HOUR + HOUR // 2
    async with (
        BrokerProcess(store, environment=shim.environment) as broker,
        connect(broker, "open", lasting=True, present=True),
    ):
        await broker.kill()


async def test_d12_messages_expire_while_the_broker_is_down(store: Path, shim: Shim) -> None:
    async with BrokerProcess(store, environment=shim.environment) as broker:
        async with connect(broker, "keeper", lasting=True) as keeper:
            await keeper.subscribe("a", qos=1)
        async with connect(broker) as sender:
            for payload, expiry in ((b"short", HOUR), (b"long", 3 * HOUR)):
                properties = Properties(message_expiry_interval=expiry)
                await sender.publish("a", payload, qos=1, properties=properties)
                await sender.publish(f"r/{payload.decode()}", payload, qos=1, retain=True, properties=properties)
            await sender.publish("a", b"eternal", qos=1)
        await broker.kill()
    shim["clock_offset"] = 2 * HOUR
    async with BrokerProcess(store, environment=shim.environment) as broker:
        async with connect(broker, "keeper", lasting=True, present=True) as keeper:
            messages = [await keeper.expect_publish() for _ in range(2)]
            await keeper.subscribe("r/#", qos=1)
            messages.append(await keeper.expect_publish())
            await keeper.expect_silence()
        assert [each.payload for each in messages] == [b"long", b"eternal", b"long"]
        left = messages[0].properties.message_expiry_interval
        assert left is not None
        assert HOUR - 120 < left <= HOUR


async def test_d12_a_will_that_is_delayed_comes_after_the_restart(store: Path, shim: Shim) -> None:
    async with BrokerProcess(store, environment=shim.environment) as broker:
        async with connect(broker, "keeper", lasting=True) as keeper:
            await keeper.subscribe("w", qos=1)
        async with RawClient("127.0.0.1", broker.port) as client:
            will = Will("w", b"gone", 1, properties=Properties(will_delay_interval=HOUR))
            await client.connect("willing", will=will, properties=Properties(session_expiry_interval=2 * HOUR))
        await broker.kill()
    async with BrokerProcess(store, environment=shim.environment) as broker:
        async with connect(broker, "keeper", lasting=True, present=True) as keeper:
            await keeper.expect_silence()
        await broker.kill()
    shim["clock_offset"] = HOUR + HOUR // 2
    async with (
        BrokerProcess(store, environment=shim.environment) as broker,
        connect(broker, "keeper", lasting=True, present=True) as keeper,
    ):
        assert (await keeper.expect_publish()).payload == b"gone"
