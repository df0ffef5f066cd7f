"""What a running broker has logged, and waiting for it: its thread may be a moment behind what a test has seen."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from mqttbroker.testing import RunningBroker

__all__ = ["lines", "noise", "until", "wait_for_lines"]

TIMEOUT = 5.0


def lines(broker: RunningBroker, event: str) -> list[dict[str, object]]:
    """The details of each line about an event."""
    return [details for _, logged, details in list(broker.logged) if logged == event]


def noise(broker: RunningBroker) -> list[tuple[str, str, dict[str, object]]]:
    """All lines that somebody should look at: warnings and errors."""
    return [line for line in list(broker.logged) if line[0] in ("warning", "error")]


async def wait_for_lines(broker: RunningBroker, event: str, count: int = 1) -> list[dict[str, object]]:
    """The same as :func:`lines`, when there are so many. Raises :class:`TimeoutError`."""
    await until(lambda: len(lines(broker, event)) >= count)
    return lines(broker, event)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that nobody tells. Raises :class:`TimeoutError`."""
    async with asyncio.timeout(TIMEOUT):
        while not condition():
            await asyncio.sleep(0)
