"""Much that is asked of the admin server leaves the loop to others for most of the time."""

from __future__ import annotations

import asyncio

import pytest

from mqttbroker.admin import turns
from mqttbroker.admin.resources import paging
from mqttbroker.admin.turns import MUCH, Turns
from tests.admin.console import console


class Broker:
    """Has so many messages to handle; each time that somebody asks, some were."""

    def __init__(self, messages: int, each_time: int = 2 * MUCH) -> None:
        self.left = messages
        self._each_time = each_time
        self._handled = 0

    def handled(self) -> int:
        some = min(self.left, self._each_time)
        self.left -= some
        self._handled += some
        return self._handled


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test depends on how fast the machine is."""
    monkeypatch.setattr(turns, "PAUSE", 1_000.0)
    monkeypatch.setattr(turns, "STEP", 0.0)


async def test_who_asks_for_one_thing_does_not_wait() -> None:
    broker = Broker(1_000)
    shared = Turns(broker.handled)
    shared._last = -1e9
    await shared.others()
    assert broker.left == 1_000


async def test_between_two_pieces_messages_go_first() -> None:
    broker = Broker(1_000)
    shared = Turns(broker.handled)
    await shared.others()
    await shared.others()
    assert broker.left == 0


async def test_few_messages_keep_nobody() -> None:
    broker = Broker(1_000, each_time=MUCH - 1)
    shared = Turns(broker.handled)
    await shared.others()
    await shared.others()
    assert broker.left > 900


async def test_those_who_ask_at_the_same_time_have_to_share() -> None:
    broker = Broker(1_000)
    shared = Turns(broker.handled)
    await shared.others()
    seen: list[int] = []

    async def ask() -> None:
        await shared.others()
        seen.append(broker.left)
        broker.left += 500

    await asyncio.gather(*(ask() for _ in range(3)))
    assert seen == [0, 0, 0]


async def test_nobody_waits_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    broker = Broker(1_000)
    shared = Turns(broker.handled)
    await shared.others()
    broker.left = 1_000
    monkeypatch.setattr(turns, "PAUSE", 0.0)
    await shared.others()
    assert broker.left == 1_000


async def test_a_long_page_is_made_a_part_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paging, "AT_ONCE", 10)
    async with console() as somebody:
        for number in range(25):
            await somebody.broker.publish(f"t/{number}", b"x", retain=True)
        asked = 0
        others = Turns.others

        async def counted(self: Turns) -> None:
            nonlocal asked
            asked += 1
            await others(self)

        monkeypatch.setattr(Turns, "others", counted)
        page = await somebody.get("/api/v1/retained/levels?prefix=t/&limit=25")
        assert len({each["topic"] for each in page["items"]}) == len(page["items"]) == 25
        assert page["next"] is None
        # For the request, and between three parts.
        assert asked == 3
