"""How long commits take, and when there was one last. The writer's thread notes it, and any thread may look."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Final

from mqttbroker.distribution import Distribution

__all__ = ["LONG", "Commits"]

LONG: Final = 1.0
"""Seconds above which a commit keeps clients waiting."""
LATENCIES: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, LONG, 2.5, 10.0)


class Commits:
    """The commits of one store since it was opened."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self.latency: Distribution = Distribution(LATENCIES)
        """Of those that succeeded, from the moment the writer has a batch until that is as durable as it gets."""
        self.last: float = 0.0
        """Seconds that the last one took."""
        self._clock = clock
        self._ended: float | None = None
        self._begun: float | None = None

    def begin(self) -> None:
        """A commit begins."""
        self._begun = self._clock()

    def end(self, succeeded: bool) -> None:
        """The commit that has begun ends."""
        now, begun = self._clock(), self._begun
        self._begun = None
        if succeeded and begun is not None:
            self.last = now - begun
            self.latency.add(self.last)
            self._ended = now

    @property
    def age(self) -> float | None:
        """Seconds since the last one, ``None`` before the first."""
        ended = self._ended
        return None if ended is None else max(0.0, self._clock() - ended)

    @property
    def under_way(self) -> float:
        """Seconds since the one that is under way began, 0.0 where none is."""
        begun = self._begun
        return 0.0 if begun is None else max(0.0, self._clock() - begun)
