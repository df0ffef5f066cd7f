"""What a load is, and what comes out of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["BenchError", "Result", "Scenario"]


class BenchError(Exception):
    """The load cannot go on; the text is one line for a person."""


@dataclass(frozen=True)
class Scenario:
    """Who publishes to whom. ``window`` is the number of messages under way for each publisher."""

    name: str
    publishers: int
    subscribers: int
    qos: int
    window: int
    fan: bool = False
    """Whether every subscriber gets the messages of every publisher; otherwise they are pairs."""
    payload: int = 64
    """Bytes of a message."""
    version5: bool = False
    """Whether clients speak MQTT 5.0; otherwise it is 3.1.1."""
    slow_readers: int = 0
    """Further subscribers, to everything, that do not keep up. What they get is not counted."""
    persistent: bool = False
    """Whether subscribers have sessions that last, and are away while each publisher sends one window of messages;
    then they come back and take them, and so on.
    """
    slow_rate: int = 0
    """Bytes that a slow reader reads in a second; 0 for none."""
    topic: str = "bench"
    """What the topics begin with."""

    @property
    def copies(self) -> int:
        """Subscribers that a message is delivered to, but for slow readers."""
        return self.subscribers if self.fan else 1


@dataclass(frozen=True)
class Result:
    """Messages delivered, and the wall and CPU seconds (of the broker's process) that it took."""

    messages: int
    seconds: float
    cpu: float
    latency: Mapping[str, float] | None = None
    """Seconds from when a message was due until it was delivered, by percentile: ``p50``, ``p99``, ``p99.9`` and
    ``max``; ``None`` where there was no fixed rate.
    """
    published: int = 0
    """Messages that were handed to the system to be sent."""

    @property
    def microseconds(self) -> float:
        """CPU time of the broker for one delivered message."""
        return self.cpu / self.messages * 1e6 if self.messages else float("nan")
