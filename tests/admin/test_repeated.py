"""What happens again and again, and what does so no more."""

from __future__ import annotations

from mqttbroker.admin.repeated import ADDRESSES, MOST, Repeated


def names(things: Repeated, now: float) -> list[str]:
    return [name for name, _ in things.repeated(now)]


def test_often_enough_in_a_short_time() -> None:
    things = Repeated(5)
    for second in range(4):
        things.add("a", second)
        assert names(things, second) == []
    things.add("a", 4.0)
    things.add("b", 4.0)
    assert names(things, 4.0) == ["a"]


def test_every_ten_seconds_is_often_once_a_minute_is_not() -> None:
    things = Repeated(5)
    for second in range(600):
        if second % 10 == 0:
            things.add("often", second)
        if second % 60 == 0:
            things.add("seldom", second)
        found = names(things, second)
    assert found == ["often"]


def test_it_ends_and_is_forgotten() -> None:
    things = Repeated(5)
    things.add("a", 0.0, count=1_000)
    assert names(things, 60.0) == ["a"]
    assert names(things, 150.0) == []
    things.add("a", 151.0)
    assert names(things, 151.0) == []


def test_what_is_known_of_it() -> None:
    things = Repeated(5)
    for number in range(20):
        things.add("a", 0.0, addresses=(f"10.0.0.{number}",), detail=str(number))
    ((_, found),) = things.repeated(0.0)
    assert (found.count, found.detail) == (20, "19")
    assert list(found.addresses) == [f"10.0.0.{number}" for number in range(20 - ADDRESSES, 20)]


def test_it_does_not_grow() -> None:
    things = Repeated(1)
    for number in range(MOST + 10):
        things.add(str(number), 0.0)
    found = names(things, 0.0)
    assert len(found) == MOST
    assert found[0] == "10"
