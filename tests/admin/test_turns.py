"""Much that is asked of the admin server leaves the loop to others for most of the time."""

from __future__ import annotations

import asyncio

import pytest

from mqttbroker.admin import turns
from mqttbroker.admin.turns import ROUNDS, Turns
from tests.admin.console import console


class Rounds:
    """Counts how often the loop goes round."""

    def __init__(self) -> None:
        self.count = 0
        self._loop = asyncio.get_running_loop()
        self._next = self._loop.call_soon(self._go_on)

    def _go_on(self) -> None:
        self.count += 1
        self._next = self._loop.call_soon(self._go_on)

    def stop(self) -> None:
        self._next.cancel()


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test depends on how fast the machine is."""
    monkeypatch.setattr(turns, "LONGEST", 1_000.0)


async def test_between_two_pieces_others_have_their_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    shared = Turns()
    await shared.others()
    rounds = Rounds()
    await shared.others()
    assert rounds.count >= ROUNDS
    before = rounds.count
    # Those who ask at the same time have to share.
    await asyncio.gather(*(shared.others() for _ in range(5)))
    assert rounds.count - before >= 5 * ROUNDS
    rounds.stop()


async def test_nobody_waits_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    shared = Turns()
    monkeypatch.setattr(turns, "LONGEST", 0.0)
    await shared.others()
    rounds = Rounds()
    await shared.others()
    assert rounds.count == 0
    rounds.stop()


async def test_a_long_page_is_made_a_part_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    async with console() as somebody:
        for number in range(250):
            await somebody.http.put(f"/api/v1/retained?topic=t/{number}", json={"payload": "x"})
        rounds = Rounds()
        page = await somebody.get("/api/v1/retained/levels?prefix=t/&limit=250")
        rounds.stop()
        assert len({each["topic"] for each in page["items"]}) == len(page["items"]) == 250
        assert page["next"] is None
        # One for the request, and two between three parts.
        assert rounds.count >= 3 * ROUNDS
