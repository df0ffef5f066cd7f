"""Long lists that are sorted in slices, as an administrator has them sorted."""

from __future__ import annotations

import pytest

from mqttbroker.broker import SESSION_ORDERS, Inspection, ordering
from tests.broker.support import World
from tests.broker.test_inspection import everything, ids


@pytest.fixture(name="world")
def _world() -> World:
    return World()


@pytest.fixture(name="look")
def _look(world: World) -> Inspection:
    return Inspection(world.core)


class TestSortingInSlices:
    """What is done with lists that take long to be sorted, here with slices of few names."""

    @pytest.fixture(autouse=True)
    def short(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ordering, "FEW", 2)
        monkeypatch.setattr(ordering, "SLICE", 7)

    @pytest.mark.parametrize("sort", SESSION_ORDERS)
    @pytest.mark.parametrize("descending", [False, True])
    def test_comes_to_the_same(self, world: World, look: Inspection, sort: str, descending: bool) -> None:
        for number in range(100):
            peer = world.client(f"{number * 37 % 100:02}", expiry=1_000 + number % 5)
            peer.subscribe("t", *[f"t/{number % 3}"] * (number % 2), qos=1)
            if number % 4:
                peer.lose()
        publisher = world.client("p")
        for number in range(6):
            world.now += 1.0
            publisher.publish(f"t/{number % 3}", qos=1)
        at_once = everything(lambda cursor: Inspection(world.core).sessions(cursor, 1_000, "", sort, descending))
        turns = 0
        while look.sort_sessions(sort):
            turns += 1
        assert turns >= 100 // 7
        assert everything(lambda cursor: look.sessions(cursor, 9, "", sort, descending)) == at_once

    def test_nothing_is_left_to_do(self, world: World, look: Inspection) -> None:
        """A page after that sorts nothing, and neither does a second request before it is old."""
        for number in range(30):
            world.client(f"{number:02}")
        assert look.sort_clients()
        while look.sort_clients():
            pass
        assert not look.sort_clients()
        world.client("31")
        assert len(look.clients().items) == 30
        world.advance(1.0)
        assert look.sort_clients()

    def test_who_comes_and_goes_meanwhile(self, world: World, look: Inspection) -> None:
        peers = [world.client(f"{number:02}") for number in range(40)]
        assert look.sort_clients("connected_at")
        for peer in peers[::2]:
            peer.lose()
        world.client("new")
        while look.sort_clients("connected_at"):
            pass
        assert ids(everything(lambda cursor: look.clients(cursor, 7, sort="connected_at"))) == [
            f"{number:02}" for number in range(1, 40, 2)
        ]

    def test_two_do_the_same_work(self, world: World, look: Inspection) -> None:
        for number in range(60):
            world.client(f"{number:02}")
        alone = 1
        other = Inspection(world.core)
        while other.sort_clients():
            alone += 1
        both = 0
        going = [True, True]
        while any(going):
            for each in (0, 1):
                if going[each]:
                    going[each] = look.sort_clients()
                    both += 1
        assert both <= alone + 1

    def test_given_up(self, world: World, look: Inspection) -> None:
        for number in range(30):
            world.client(f"{number:02}", keep_alive=0)
        world.advance(world.core.limits.connect_timeout + 1.0)
        assert look.sort_clients()
        assert len(world.core.wheel) == 1
        world.advance(2 * ordering.LIFE + 2.0)
        assert not len(world.core.wheel)

    def test_few_and_too_many_are_not_sorted(
        self, world: World, look: Inspection, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in "cab":
            world.client(name)
        monkeypatch.setattr(ordering, "FEW", 3)
        assert not look.sort_clients()
        monkeypatch.setattr(ordering, "FEW", 2)
        monkeypatch.setattr(ordering, "SORTED", 2)
        assert not look.sort_clients()
        assert ids(look.clients().items) == ["c", "a", "b"]

    def test_other_lists(self, world: World, look: Inspection) -> None:
        publisher = world.client("p")
        for number in range(30):
            publisher.publish(f"{number * 7 % 30:02}", b"1", retain=True)
        assert look.sort_retained_levels()
        while look.sort_retained_levels():
            pass
        assert [each.level for each in look.retained_levels().items] == [f"{number:02}" for number in range(30)]
