"""What the endpoints have in common: cursors, names of clients, and work that is done in turns."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

from mqttbroker.admin.endpoint import Call
from mqttbroker.admin.ids import session_id
from mqttbroker.admin.problems import bad_request
from mqttbroker.broker import Page
from mqttbroker.sessions import split_client_id

__all__ = ["checked_cursor", "in_turns", "named", "page_in_turns"]

AT_ONCE = 100
"""Entries that are shown before others have their turns."""
MOST_TURNS = 10_000
"""Turns of one request: others may put back as much as is taken away."""


class Part(Protocol):
    """A part of some work."""

    @property
    def more(self) -> bool:
        """Whether it is to be followed by another."""
        ...


P = TypeVar("P", bound=Part)
S = TypeVar("S")
T = TypeVar("T")


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


async def page_in_turns(
    call: Call[Any, Any],
    look: Callable[[str | None, int], Page[T]],
    show: Callable[[T], S],
    sort: Callable[[], bool] | None = None,
) -> tuple[list[S], Page[T]]:
    """What is shown on a page, and the last of the small pages of which it is made; others have their turns in between.

    ``look`` gives what is behind a cursor, ``sort`` sorts a part of the list and says whether another is to follow.
    """
    after, limit = call.query.after, call.query.limit
    shown: list[S] = []
    while True:
        while sort is not None and sort():
            await call.turns.others()
        wanted = min(limit - len(shown), AT_ONCE)
        with checked_cursor():
            page = look(after, wanted)
        shown += [show(each) for each in page.items]
        # Fewer than wanted: it has looked at as much as one page may look at.
        if page.next is None or len(page.items) < wanted or len(shown) == limit:
            return shown, page
        after = page.next
        await call.turns.others()
