"""The timing wheel."""

from __future__ import annotations

from collections.abc import Hashable

from hypothesis import given
from hypothesis import strategies as st

from mqttbroker.broker.timing import Due, TimingWheel


class Calls:
    """What was called, and when."""

    def __init__(self) -> None:
        self.calls: list[tuple[Hashable, float]] = []
        self.failures: list[tuple[Hashable, str]] = []
        self.wheel: TimingWheel = TimingWheel(self.failed)

    def failed(self, key: Hashable, error: Exception) -> None:
        self.failures.append((key, repr(error)))

    def due(self, key: Hashable, again: float = 0.0) -> Due:
        def called(now: float) -> float:
            self.calls.append((key, now))
            return again

        return called

    def add(self, key: Hashable, deadline: float, again: float = 0.0) -> None:
        self.wheel.add(key, deadline, self.due(key, again))


class TestTimingWheel:
    def test_nothing_is_called_early(self) -> None:
        calls = Calls()
        calls.add("a", 10.0)
        calls.wheel.advance(9.999)
        assert calls.calls == []
        calls.wheel.advance(10.0)
        assert calls.calls == [("a", 10.0)]
        calls.wheel.advance(20.0)
        assert len(calls.calls) == 1
        assert len(calls.wheel) == 0

    def test_deadlines_are_rounded_up_to_whole_seconds(self) -> None:
        calls = Calls()
        calls.add("a", 10.2)
        calls.wheel.advance(10.9)
        assert calls.calls == []
        calls.wheel.advance(11.0)
        assert calls.calls == [("a", 11.0)]

    def test_a_key_has_one_deadline(self) -> None:
        calls = Calls()
        calls.add("a", 5.0)
        calls.add("a", 3.0)
        assert len(calls.wheel) == 1
        calls.wheel.advance(9.0)
        assert calls.calls == [("a", 9.0)]

    def test_cancelled(self) -> None:
        calls = Calls()
        calls.add("a", 5.0)
        calls.wheel.cancel("a")
        calls.wheel.cancel("never there")
        calls.wheel.advance(9.0)
        assert calls.calls == []

    def test_it_may_ask_to_be_called_again(self) -> None:
        calls = Calls()
        calls.add("a", 5.0, again=8.0)
        calls.wheel.advance(5.0)
        calls.wheel.advance(7.0)
        assert calls.calls == [("a", 5.0)]
        calls.wheel.advance(8.0)
        assert calls.calls == [("a", 5.0), ("a", 8.0)]

    def test_asking_for_the_past_is_no_endless_loop(self) -> None:
        calls = Calls()
        calls.add("a", 5.0, again=1.0)
        calls.wheel.advance(5.0)
        assert calls.calls == [("a", 5.0)]
        calls.wheel.advance(6.0)
        assert len(calls.calls) == 2

    def test_after_a_long_pause_everything_is_called_in_the_order_of_the_seconds(self) -> None:
        calls = Calls()
        for second in (30, 10, 20):
            calls.add(second, float(second))
        calls.wheel.advance(100.0)
        assert [key for key, _ in calls.calls] == [10, 20, 30]

    def test_deadlines_that_are_added_or_cancelled_meanwhile(self) -> None:
        calls = Calls()

        def busy(now: float) -> float:
            calls.add("new in this second", 10.0)
            calls.add("new in the past", 2.0)
            calls.wheel.cancel("cancelled")
            return 0.0

        calls.add("cancelled", 10.0)
        calls.wheel.add("busy", 10.0, busy)
        calls.wheel.advance(10.0)
        assert {key for key, _ in calls.calls} == {"new in this second", "new in the past"}
        assert len(calls.wheel) == 0

    def test_one_that_fails_keeps_no_other_from_being_called(self) -> None:
        calls = Calls()

        def broken(now: float) -> float:
            raise RuntimeError("broken")

        for key in range(3):
            calls.add(key, 10.0)
        calls.wheel.add("broken", 10.0, broken)
        for key in range(3, 6):
            calls.add(key, 10.0)
        calls.wheel.advance(10.0)
        assert sorted(str(key) for key, _ in calls.calls) == ["0", "1", "2", "3", "4", "5"]
        assert calls.failures == [("broken", "RuntimeError('broken')")]
        assert len(calls.wheel) == 0
        calls.add("later", 10.0)
        calls.wheel.advance(11.0)
        assert calls.calls[-1] == ("later", 11.0)

    @given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 40)), max_size=40), st.lists(st.integers(1, 10)))
    def test_each_key_is_called_once_at_the_first_chance(self, added: list[tuple[int, int]], steps: list[int]) -> None:
        calls = Calls()
        for key, deadline in added:
            calls.add(key, float(deadline))
        last = dict(added)
        now = 0
        expected: list[tuple[int, float]] = []
        for step in [*steps, 100]:
            now += step
            expected += [(key, float(now)) for key, deadline in last.items() if now - step < deadline <= now]
            calls.wheel.advance(float(now))
        assert sorted(calls.calls, key=str) == sorted(expected, key=str)
