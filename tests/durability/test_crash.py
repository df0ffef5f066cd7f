"""D1, D2, D18: brokers that are killed. The long run is ``make crash``; a short one is here, and each step of a QoS 2
exchange by itself.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from mqttbroker.protocol import PubComp, Publish, PubRec, PubRel
from tests.durability.crash import POINTS, Life, run_rounds
from tests.durability.process import BrokerProcess, DidNotStart
from tests.durability.support import V4, V5, connect, keep, kept

ROUNDS = 3
SEED = 20
RECEIVER_STEPS = ("after PUBLISH", "after PUBREC", "after PUBREL", "after PUBCOMP")
SENDER_STEPS = ("after PUBLISH", "after PUBREC", "after PUBREL", "after PUBCOMP")
VERSIONS = pytest.mark.parametrize("version", (V4, V5), ids=("3.1.1", "5.0"))


@pytest.mark.timeout(180)
async def test_d1_killed_at_random_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    assert await run_rounds(ROUNDS, SEED, tmp_path) > 0


@pytest.mark.timeout(120)
@pytest.mark.parametrize("point", ("before-commit", "after-commit", "after-callbacks", "mid-will"))
async def test_d2_killed_at_a_point_nothing_acknowledged_is_lost(tmp_path: Path, point: str) -> None:
    assert point in POINTS
    life = Life(tmp_path, f"{SEED}/{point}")
    life.next_kill = (point, 2)
    try:
        await life.begin()
        await life.play(1)
    finally:
        await life.end()


@pytest.mark.parametrize("point", ("creation-begun", "creation-done"))
async def test_d2_killed_while_the_store_is_made(store: Path, point: str) -> None:
    with pytest.raises(DidNotStart, match="ended with -9"):
        await BrokerProcess(store, point=point).start()
    async with BrokerProcess(store) as broker:
        await keep(broker, "keeper", "a")
        await kept(broker, "keeper", 0)
    assert {each.name for each in store.iterdir()} == {"broker.lock", "data.mdb", "lock.mdb"}


@VERSIONS
@pytest.mark.parametrize("step", SENDER_STEPS)
async def test_d18_a_sender_interrupted_in_qos_2_is_routed_once(store: Path, step: str, version: int) -> None:
    """The client publishes; the broker is killed after one step, and the client goes on from there."""
    async with BrokerProcess(store) as broker:
        await keep(broker, "receiver", "a")
        async with connect(broker, "sender", version=V5 if version == V5 else V4, lasting=True) as sender:
            sender.send(Publish("a", b"once", 2, packet_id=1))
            await sender.expect(PubRec)
            if step in ("after PUBREL", "after PUBCOMP"):
                sender.send(PubRel(1))
            if step == "after PUBCOMP":
                await sender.expect(PubComp)
            await broker.kill()
    async with BrokerProcess(store) as broker:
        async with connect(broker, "sender", version=V5 if version == V5 else V4, lasting=True, present=True) as sender:
            if step == "after PUBLISH":  # As if the PUBREC had been lost.
                sender.send(Publish("a", b"once", 2, dup=True, packet_id=1))
                await sender.expect(PubRec)
            if step != "after PUBCOMP":
                sender.send(PubRel(1))
                await sender.expect(PubComp)
            # The packet identifier is free for another message.
            await sender.publish("a", b"next", qos=2, packet_id=1)
        assert [each.payload for each in await kept(broker, "receiver", 2)] == [b"once", b"next"]


@VERSIONS
@pytest.mark.parametrize("step", RECEIVER_STEPS)
async def test_d18_a_receiver_interrupted_in_qos_2_gets_the_rest(store: Path, step: str, version: int) -> None:
    chosen = V5 if version == V5 else V4
    async with (
        BrokerProcess(store) as broker,
        connect(broker, "receiver", version=chosen, lasting=True) as receiver,
    ):
        await receiver.subscribe("a", qos=2)
        async with connect(broker) as sender:
            await sender.publish("a", b"once", qos=2)
        first = await receiver.expect(Publish)
        number = first.packet_id or 0
        if step != "after PUBLISH":
            receiver.send(PubRec(number))
            await receiver.expect(PubRel)
        if step == "after PUBCOMP":
            receiver.send(PubComp(number))
            # Something that is acknowledged after it shows that it is on disk.
            await receiver.subscribe("b", qos=1)
        await broker.kill()
    async with (
        BrokerProcess(store) as broker,
        connect(broker, "receiver", version=chosen, lasting=True, present=True) as receiver,
    ):
        if step == "after PUBLISH":
            again = await receiver.expect(Publish)
            assert (again.payload, again.dup, again.packet_id) == (b"once", True, number)
            receiver.send(PubRec(number))
        if step != "after PUBCOMP":
            assert (await receiver.expect(PubRel)).packet_id == number
            receiver.send(PubComp(number))
        await receiver.expect_silence()


async def test_d18_taken_over_and_killed_in_turns_is_delivered_once(store: Path) -> None:
    received: list[bytes] = []
    for turn in range(3):
        async with BrokerProcess(store) as broker:
            if not turn:
                await keep(broker, "receiver", "a")
                async with connect(broker) as sender:
                    await sender.publish("a", b"once", qos=2)
            async with (
                connect(broker, "receiver", lasting=True, present=True) as first,
                connect(broker, "receiver", lasting=True, present=True) as second,
            ):
                await first.expect_closed()
                packet = await second.receive()
                if isinstance(packet, Publish):
                    received.append(packet.payload)
                    second.send(PubRec(packet.packet_id or 0))
                    packet = await second.receive()
                assert isinstance(packet, PubRel)
            await broker.kill()
    assert received == [b"once"]
