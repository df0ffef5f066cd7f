"""Expired messages of clients that stay away."""

from __future__ import annotations

import pytest

from mqttbroker.broker import Limits
from mqttbroker.broker import sweep as sweep_module
from mqttbroker.protocol import Properties
from mqttbroker.sessions import Drop
from mqttbroker.sessions.limits import PAGE
from mqttbroker.storage import MemoryStore, QueuedMessage
from tests.broker.support import Peer, World

SHORT = Properties(message_expiry_interval=10)


def absent(world: World, name: str = "absent") -> None:
    peer = world.client(name, expiry=10_000)
    peer.subscribe("t", qos=1)
    peer.lose()


def fill(world: World, *, short: int, lasting: int) -> Peer:
    talker = world.client("talker")
    for number in range(max(short, lasting)):
        if number < short:
            talker.publish("t", b"short", qos=1, properties=SHORT)
        if number < lasting:
            talker.publish("t", b"lasting", qos=1)
    return talker


@pytest.mark.parametrize("per_tick", [1, 3, 1_000])
def test_what_has_expired_goes_and_the_rest_stays(monkeypatch: pytest.MonkeyPatch, per_tick: int) -> None:
    monkeypatch.setattr(sweep_module, "PER_TICK", per_tick)
    world = World()
    absent(world)
    absent(world, "another")
    fill(world, short=5, lasting=4)
    for _ in range(40):
        world.advance(1)
    for name in ("absent", "another"):
        session = world.session(name)
        assert session.load == 4
        assert session.dropped == {Drop.EXPIRED: 5}
        peer = world.client(name, clean=False, expiry=10_000)
        assert peer.payloads() == [b"lasting"] * 4
    assert world.core.session_limits.owed_bytes == sum(
        each.owed_bytes for each in world.core.registry.sessions.values()
    )


def test_large_messages_are_looked_at_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    for name in ("absent", "another"):
        absent(world, name)
    payload = bytes(100_000)
    talker = world.client("talker")
    for _ in range(100):
        talker.publish("t", payload, qos=1, properties=SHORT)
    read: list[int] = []
    original = MemoryStore.read_queue

    def read_queue(store: MemoryStore, client_id: str, after: int, limit: int, size: float) -> list[QueuedMessage]:
        slice_ = original(store, client_id, after, limit, size)
        read.append(sum(queued.message.size for queued in slice_))
        return slice_

    monkeypatch.setattr(MemoryStore, "read_queue", read_queue)
    world.advance(11)
    while any(session.backlog for session in world.core.registry.sessions.values()):
        read.clear()
        world.advance(1)
        assert 0 < sum(read) < 2 * len(payload) + sweep_module.PER_TICK * PAGE


def test_nothing_is_looked_at_for_a_client_that_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    peer = world.client("here", expiry=100, properties=Properties(receive_maximum=1))
    peer.subscribe("t", qos=1)
    fill(world, short=3, lasting=0)

    def read_queue(*arguments: object) -> list[QueuedMessage]:
        raise AssertionError("read")

    monkeypatch.setattr(type(world.core.store), "read_queue", read_queue)
    world.advance(20)
    assert world.session("here").load == 3


def test_what_was_sent_stays_until_it_is_acknowledged() -> None:
    world = World()
    peer = world.client("absent", expiry=10_000)
    peer.subscribe("t", qos=1)
    fill(world, short=1, lasting=0)
    (first,) = peer.published()
    peer.lose()
    world.advance(20)
    again = world.client("absent", clean=False, expiry=10_000)
    assert [each.packet_id for each in again.published()] == [first.packet_id]


def test_a_full_queue_of_expired_messages_takes_new_ones_again() -> None:
    world = World(limits=Limits(max_queued_messages=3, queue_policy="refuse"))
    absent(world)
    talker = fill(world, short=3, lasting=0)
    assert talker.publish("t", qos=1)[0].reason_code == 0x97  # type: ignore[union-attr]
    world.advance(11)
    assert talker.publish("t", qos=1)[0].reason_code == 0  # type: ignore[union-attr]
