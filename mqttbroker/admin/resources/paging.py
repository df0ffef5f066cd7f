"""What the endpoints have in common: cursors, names of clients, and work that is done in turns."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar

from mqttbroker.admin.ids import session_id
from mqttbroker.admin.problems import bad_request
from mqttbroker.sessions import split_client_id

__all__ = ["checked_cursor", "in_turns", "named", "sorted_in_turns"]

MOST_TURNS = 10_000
"""Turns of one request: others may put back as much as is taken away."""


class Part(Protocol):
    """A part of some work."""

    @property
    def more(self) -> bool:
        """Whether it is to be followed by another."""
        ...


P = TypeVar("P", bound=Part)


@contextmanager
def checked_cursor() -> Iterator[None]:
    """Make a problem of what the inspection says of a wrong cursor."""
    try:
        yield
    except ValueError as error:
        raise bad_request(str(error), "$.after") from error


def named(segment: str) -> tuple[str, str]:
    """Client identifier and mount point, of what stands for a client in paths."""
    mount_point, client_id = split_client_id(session_id(segment))
    return client_id, mount_point


async def in_turns(work: Callable[[], P | None]) -> AsyncIterator[P | None]:
    """Do a part of the work at a time until there is no more, and let others have their turn in between."""
    for _ in range(MOST_TURNS):
        part = work()
        yield part
        if part is None or not part.more:
            return
        await asyncio.sleep(0)


async def sorted_in_turns(sort: Callable[[], bool]) -> None:
    """Let a list be sorted a part at a time, and let others have their turn in between."""
    while sort():
        await asyncio.sleep(0)
