"""How often something may be tried."""

from __future__ import annotations

from mqttbroker.admin.tries import MOST_BUCKETS, Tries


def test_so_many_at_once_and_then_one_by_one() -> None:
    tries = Tries(3, 10.0)
    for _ in range(3):
        assert tries.wait("a", 0.0) <= 0.0
        tries.take("a", 0.0)
    assert tries.wait("a", 0.0) == 10.0
    assert tries.wait("a", 4.0) == 6.0
    assert tries.wait("a", 10.0) <= 0.0
    tries.take("a", 10.0)
    assert tries.wait("a", 10.0) == 10.0


def test_others_are_not_counted() -> None:
    tries = Tries(1, 10.0)
    tries.take("a", 0.0)
    assert tries.wait("b", 0.0) <= 0.0


def test_after_long_there_are_no_more_than_at_first() -> None:
    tries = Tries(1, 10.0)
    tries.take("a", 0.0)
    tries.take("a", 1_000.0)
    assert tries.wait("a", 1_000.0) == 10.0


def test_forgiven() -> None:
    tries = Tries(1, 10.0)
    tries.take("a", 0.0)
    tries.forgive("a")
    tries.forgive("b")
    assert tries.wait("a", 0.0) <= 0.0


def test_strangers_without_number_take_no_memory_without_bound() -> None:
    tries = Tries(1, 10.0)
    for number in range(MOST_BUCKETS + 1):
        tries.take(str(number), 0.0)
    assert tries.wait("0", 0.0) <= 0.0
    assert tries.wait(str(MOST_BUCKETS), 0.0) == 10.0
