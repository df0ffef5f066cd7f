"""Which sockets can be read or written: ``epoll`` where there is one, with nothing between it and the load."""

from __future__ import annotations

import select
import selectors
from typing import Final, Protocol

__all__ = ["READ", "WRITE", "Poller", "SelectorPoller", "new_poller"]

READ: Final = 1
WRITE: Final = 4


class Poller(Protocol):
    """What the load needs of it: a part of ``select.epoll``."""

    def register(self, fd: int, eventmask: int, /) -> None: ...
    def modify(self, fd: int, eventmask: int, /) -> None: ...
    def unregister(self, fd: int, /) -> None: ...
    def poll(self, timeout: float, /) -> list[tuple[int, int]]: ...
    def close(self) -> None: ...


class SelectorPoller:
    """The same with what the system has in the place of ``epoll``."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()

    def register(self, fd: int, events: int, /) -> None:
        """Watch a socket."""
        self._selector.register(fd, _events(events))

    def modify(self, fd: int, events: int, /) -> None:
        """Watch a socket for something else; it may be nothing."""
        if fd in self._selector.get_map():
            self._selector.unregister(fd)
        if events:
            self._selector.register(fd, _events(events))

    def unregister(self, fd: int, /) -> None:
        """Watch a socket no more."""
        if fd in self._selector.get_map():
            self._selector.unregister(fd)

    def poll(self, timeout: float, /) -> list[tuple[int, int]]:
        """Wait for so many seconds; the sockets that are ready, and for what."""
        return [
            (key.fd, (READ if events & selectors.EVENT_READ else 0) | (WRITE if events & selectors.EVENT_WRITE else 0))
            for key, events in self._selector.select(timeout)
        ]

    def close(self) -> None:
        """Forget everything."""
        self._selector.close()


def _events(mask: int) -> int:
    return (selectors.EVENT_READ if mask & READ else 0) | (selectors.EVENT_WRITE if mask & WRITE else 0)


def new_poller() -> Poller:
    """The best there is."""
    return select.epoll() if hasattr(select, "epoll") else SelectorPoller()
