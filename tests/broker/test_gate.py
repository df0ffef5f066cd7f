"""The gate: how many connections there may be, from where, and how fast they may come."""

from __future__ import annotations

import pytest

from mqttbroker.broker import Entrance, EveryoneWelcome, Gate, Limits, ListenerLimits, host_of
from mqttbroker.broker.counters import Counters
from mqttbroker.broker.quiet import LINES, THINGS, QuietLog

START = 1_000_000.0
HERE = "192.0.2.1"
THERE = "192.0.2.2"


class World:
    """A gate with its log."""

    def __init__(self, limits: Limits) -> None:
        self.log: list[tuple[str, dict[str, object]]] = []
        self.quiet = QuietLog(self._note)
        self.counters = Counters()
        self.limits = limits
        self.gate = Gate(limits.max_connections, self.counters, self.quiet)
        self.entrance = self.listener("tcp", ListenerLimits())

    def listener(self, name: str, own: ListenerLimits) -> Entrance:
        return Entrance(name, own.over(self.limits), EveryoneWelcome())

    def enter(self, address: str = HERE, now: float = START, entrance: Entrance | None = None) -> bool:
        return self.gate.enter(entrance or self.entrance, address, now)

    def leave(self, address: str = HERE, now: float = START, entrance: Entrance | None = None) -> None:
        self.gate.leave(entrance or self.entrance, address, now)

    def tick(self, now: float) -> None:
        self.gate.tick(now)
        self.quiet.tick(now)

    def _note(self, level: str, event: str, /, **details: object) -> None:
        self.log.append((event, details))


class TestNumbers:
    def test_of_the_broker(self) -> None:
        world = World(Limits(max_connections=2))
        other = world.listener("other", ListenerLimits())
        assert [world.enter(), world.enter(THERE, entrance=other), world.enter("192.0.2.3")] == [True, True, False]
        assert world.log == [
            ("connection refused", {"listener": "tcp", "address": "192.0.2.3", "limit": "max_connections"})
        ]
        assert (world.counters.connections_accepted, world.counters.connections_refused) == (2, 1)
        world.leave()
        assert world.enter()

    def test_of_one_listener(self) -> None:
        world = World(Limits())
        small = world.listener("small", ListenerLimits(max_connections=1))
        assert [world.enter(entrance=small), world.enter(entrance=small), world.enter()] == [True, False, True]
        world.leave(entrance=small)
        assert world.enter(entrance=small)
        assert (world.entrance.connections, small.connections, world.gate.connections) == (1, 1, 2)

    def test_of_one_address(self) -> None:
        world = World(Limits(max_connections_per_address=2))
        assert [world.enter(), world.enter(), world.enter(), world.enter(THERE)] == [True, True, False, True]
        world.leave()
        assert world.gate.connections_of(HERE) == 1
        assert world.enter()

    def test_of_one_network(self) -> None:
        world = World(Limits(max_connections_per_address=1))
        addresses = ["2001:db8::1", "2001:db8::2", "2001:db8:0:1::1", HERE, f"::ffff:{HERE}", "fe80::1%eth0"]
        assert [world.enter(each) for each in addresses] == [True, False, True, True, False, True]
        for each in ("2001:db8::9", "2001:db8:0:1::9", f"::ffff:{HERE}", "fe80::2%eth0"):
            world.leave(each)
        assert not any(world.gate.connections_of(each) for each in addresses)

    def test_a_proxy_is_not_counted_by_its_address(self) -> None:
        world = World(Limits(max_connections_per_address=1, max_connections=3))
        assert [world.enter("") for _ in range(4)] == [True, True, True, False]
        assert world.gate.identify(world.entrance, HERE, START)
        assert not world.gate.identify(world.entrance, HERE, START)
        world.leave(HERE)
        world.leave("")
        assert world.gate.identify(world.entrance, HERE, START)

    def test_a_refusal_leaves_nothing(self) -> None:
        world = World(Limits(max_connections_per_address=1))
        world.enter()
        assert not world.enter()
        assert (world.gate.connections, world.entrance.connections) == (1, 1)


class TestRate:
    def test_a_burst_is_ten_seconds_worth(self) -> None:
        world = World(Limits(max_connection_rate=2))
        assert [world.enter() for _ in range(21)] == [True] * 20 + [False]
        assert world.enter(THERE)
        assert [world.enter(now=START + 1) for _ in range(3)] == [True, True, False]

    def test_closing_does_not_make_up_for_it(self) -> None:
        world = World(Limits(max_connection_rate=1))
        for _ in range(10):
            assert world.enter()
            world.leave()
        assert not world.enter()
        world.tick(START + 5)
        assert [world.enter(now=START + 5) for _ in range(6)] == [True] * 5 + [False]

    def test_it_is_forgotten_when_the_burst_is_whole_again(self) -> None:
        world = World(Limits(max_connection_rate=1))
        for number in range(1_000):
            address = f"198.51.{number // 250}.{number % 250}"
            world.enter(address)
            world.leave(address)
        world.tick(START + 10)
        assert not world.gate._idle
        assert not world.gate._origins

    def test_zero_is_no_limit(self) -> None:
        world = World(Limits(max_connection_rate=0))
        assert all(world.enter() for _ in range(20_000))


class TestLog:
    def test_a_flood_is_summed_up(self) -> None:
        world = World(Limits(max_connections=1))
        world.enter()
        for _ in range(LINES + 95):
            world.enter(THERE)
        assert [event for event, _ in world.log] == ["connection refused"] * LINES
        world.tick(START + 5)
        assert len(world.log) == LINES
        world.tick(START + 10)
        assert world.log[LINES:] == [
            ("connection refused, repeatedly", {"about": "max_connections at tcp", "not_logged": 95})
        ]
        world.enter(THERE, START + 11)
        assert len(world.log) == LINES + 2

    def test_what_is_little_is_not_summed_up(self) -> None:
        world = World(Limits(max_connections=1))
        world.enter()
        world.enter(THERE)
        world.tick(START + 20)
        assert len(world.log) == 1

    def test_things_are_bounded(self) -> None:
        lines: list[str] = []
        quiet = QuietLog(lambda level, event, /, **details: lines.append(event))
        for number in range(5_000):
            quiet(START, f"{number}", "warning", "failed")
        assert len(lines) == THINGS + LINES
        quiet.tick(START + 10)
        assert lines[THINGS + LINES :] == ["failed, repeatedly"]


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("192.0.2.1:1883", "192.0.2.1"),
        ("192.0.2.1", "192.0.2.1"),
        ("[2001:db8::1]:1883", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("unix", "unix"),
        ("", ""),
    ],
)
def test_the_host_of_an_address(address: str, host: str) -> None:
    assert host_of(address) == host
