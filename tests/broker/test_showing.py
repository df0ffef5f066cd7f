"""How long messages have been waiting, and when a client was seen, as an administrator is told."""

from __future__ import annotations

import pytest

from mqttbroker.broker import Inspection
from mqttbroker.protocol import Properties
from mqttbroker.sessions import SLICE
from mqttbroker.storage import MemoryStore
from tests.broker.support import START, World

FOREVER = 0xFFFF_FFFF


@pytest.fixture(name="world")
def _world() -> World:
    return World()


@pytest.fixture(name="look")
def _look(world: World) -> Inspection:
    return Inspection(world.core)


class TestTheOldestMessage:
    def ages(self, look: Inspection, name: str = "a") -> list[float]:
        """Of the oldest, by the session, and of each, by the queue."""
        (session,) = (each for each in look.sessions().items if each.client_id == name)
        page = look.queue(name)
        assert page is not None
        return [session.oldest_at, *(each.came_at for each in page.items)]

    @pytest.mark.parametrize("expiry", [0, 60], ids=["in memory", "stored"])
    def test_of_a_client_that_does_not_keep_up(self, expiry: int) -> None:
        world = World(store=MemoryStore())
        look = Inspection(world.core)
        peer = world.client("a", expiry=expiry, properties=Properties(receive_maximum=1))
        peer.subscribe("t", qos=1)
        publisher = world.client("b")
        for _ in range(4):
            publisher.publish("t", qos=1)
            world.now += 10.0
        assert self.ages(look) == [START + 10, 0.0, START + 10, START + 20, START + 30]

    def test_of_a_client_that_is_away(self, world: World, look: Inspection) -> None:
        peer = world.client("a", expiry=1_000)
        peer.subscribe("t", qos=1)
        publisher = world.client("b")
        publisher.publish("t", qos=1)
        world.now += 5.0
        assert self.ages(look) == [0.0, 0.0]
        peer.lose()
        assert self.ages(look) == [START + 5, START + 5]
        world.now += 5.0
        publisher.publish("t", qos=1)
        assert self.ages(look) == [START + 5, START + 5, START + 10]
        assert [each.client_id for each in look.sessions(sort="oldest_at").items] == ["a", "b"]

    def test_where_the_first_have_left(self, look: Inspection, world: World) -> None:
        """It is read from the store, where it lies between the first and the last."""
        peer = world.client("a", expiry=1_000)
        peer.subscribe("t", qos=1)
        peer.lose()
        publisher = world.client("b")
        for _ in range(5):
            publisher.publish("t", qos=1)
            world.now += 10.0
        world.core.registry.sessions["a"].purge(2)
        assert self.ages(look)[0] == START + 20

    def test_it_begins_anew(self, world: World, look: Inspection) -> None:
        peer = world.client("a", expiry=1_000)
        peer.subscribe("t", qos=1)
        peer.lose()
        publisher = world.client("b")
        publisher.publish("t", qos=1)
        world.core.registry.sessions["a"].purge()
        assert self.ages(look) == [0.0]
        world.now += 50.0
        publisher.publish("t", qos=1)
        assert self.ages(look) == [START + 50, START + 50]

    def test_from_before_the_start(self) -> None:
        store = MemoryStore()
        first = World(store=store)
        peer = first.client("a", expiry=1_000)
        peer.subscribe("t", qos=1)
        peer.lose()
        first.client("b").publish("t", qos=1)
        world = World(store=store)
        look = Inspection(world.core)
        assert self.ages(look) == [0.0, 0.0]
        world.now += 7.0
        publisher = world.client("b")
        publisher.publish("t", qos=1)
        assert self.ages(look) == [0.0, 0.0, START + 7]
        world.core.registry.sessions["a"].purge(1)
        assert self.ages(look) == [START + 7, START + 7]


class TestLastSeen:
    def test_connected(self, world: World, look: Inspection) -> None:
        peer = world.client("a")
        world.now += 5.0
        peer.subscribe("t")
        assert look.sessions().items[0].last_seen == START + 5

    @pytest.mark.parametrize(("expiry", "seen"), [(60, START + 5), (FOREVER, 0.0)])
    def test_away(self, world: World, look: Inspection, expiry: int, seen: float) -> None:
        peer = world.client("a", expiry=expiry)
        world.now += 5.0
        peer.lose()
        assert look.sessions().items[0].last_seen == seen


def test_large_messages_of_a_queue_make_short_pages(world: World, look: Inspection) -> None:
    peer = world.client("a", expiry=60)
    peer.subscribe("t", qos=1)
    peer.lose()
    publisher = world.client("b")
    for _ in range(7):
        publisher.publish("t", bytes(SLICE // 4), qos=1)
    first = look.queue("a")
    assert first is not None
    assert len(first.items) == 4
    second = look.queue("a", after=first.next)
    assert second is not None
    assert (len(second.items), second.next) == (3, None)
