"""The oracle: what the broker has acknowledged, what it has delivered, and where the two do not fit.

A message is named by its topic and a sequence number, which is its payload. Topics end in ``/q0``, ``/q1`` or
``/q2``: the QoS at which they are published. A sequence number counts as acknowledged from PUBACK or PUBREC on.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable

__all__ = ["Ledger", "Receipts", "check_receipts", "check_retained", "qos_of"]

TRACE_LENGTH = 4_000
DELETED = ""


def qos_of(topic: str) -> int:
    """The QoS at which the topic is published."""
    return int(topic[-1])


class Ledger:
    """What all publishers know together; and the trace of what everybody did, for who reads about a failure."""

    def __init__(self) -> None:
        self.sent: dict[str, int] = {}
        """Last sequence number sent, by topic."""
        self.acknowledged: dict[str, set[int]] = {}
        self.deletions: dict[str, set[int]] = {}
        """Sequence numbers that were sent with an empty payload, to remove what is retained."""
        self.violations: list[str] = []
        self.trace: deque[str] = deque(maxlen=TRACE_LENGTH)
        self.began = time.monotonic()

    def note(self, who: str, what: str) -> None:
        """Add a line to the trace."""
        self.trace.append(f"{time.monotonic() - self.began:9.4f} {who:18} {what}")

    def violation(self, who: str, what: str) -> None:
        """The broker has broken its word."""
        self.violations.append(f"{who}: {what}")
        self.note(who, f"VIOLATION {what}")

    def next_sequence(self, topic: str) -> int:
        """The number of the next message to the topic, which is being sent."""
        self.sent[topic] = self.sent.get(topic, 0) + 1
        return self.sent[topic]

    def acknowledge(self, topic: str, sequence: int) -> None:
        """PUBACK or PUBREC came."""
        self.acknowledged.setdefault(topic, set()).add(sequence)

    @property
    def total(self) -> int:
        """Messages acknowledged."""
        return sum(map(len, self.acknowledged.values()))


class Receipts:
    """What one subscriber, or one shared subscription, was given; QoS 2 duplicates on the wire are not in it."""

    def __init__(self) -> None:
        self.by_topic: dict[str, list[int]] = {}
        self.seen: dict[str, set[int]] = {}
        self.disorder: dict[str, str] = {}

    def add(self, topic: str, sequence: int) -> None:
        """A message was delivered to the application."""
        received = self.by_topic.setdefault(topic, [])
        seen = self.seen.setdefault(topic, set())
        if sequence not in seen:
            highest = max(seen, default=0)
            if sequence < highest:
                self.disorder[topic] = f"{sequence} came for the first time after {highest}"
            seen.add(sequence)
        received.append(sequence)

    def lacks(self, ledger: Ledger, topics: Iterable[str]) -> bool:
        """Whether something acknowledged is still to come."""
        nothing: set[int] = set()
        return any(ledger.acknowledged.get(topic, nothing) - self.seen.get(topic, nothing) for topic in topics)


def check_receipts(ledger: Ledger, who: str, receipts: Receipts, topics: Iterable[str], qos: int, order: bool) -> None:
    """Hold what was delivered at up to this QoS against the ledger."""
    for topic in topics:
        received = receipts.by_topic.get(topic, [])
        seen = receipts.seen.get(topic, set())
        granted = min(qos, qos_of(topic))
        if granted:
            missing = ledger.acknowledged.get(topic, set()) - seen
            if missing:
                ledger.violation(who, f"{topic}: acknowledged and lost: {_short(missing)}")
        if granted != 1 and len(received) != len(seen):
            repeated = {each for each in seen if received.count(each) > 1}
            ledger.violation(who, f"{topic}: delivered more than once at QoS {granted}: {_short(repeated)}")
        invented = {each for each in seen if not 0 < each <= ledger.sent.get(topic, 0)}
        if invented:
            ledger.violation(who, f"{topic}: never sent: {_short(invented)}")
        if order and topic in receipts.disorder:
            ledger.violation(who, f"{topic}: out of order: {receipts.disorder[topic]}")


def check_retained(ledger: Ledger, found: dict[str, int], topics: Iterable[str]) -> None:
    """The retained message of each topic is the last acknowledged, or one sent later."""
    for topic in topics:
        last = max(ledger.acknowledged.get(topic, ()), default=0)
        deletions = ledger.deletions.get(topic, set())
        allowed = {0 if each in deletions else each for each in range(last, ledger.sent.get(topic, 0) + 1)}
        if found.get(topic, 0) not in allowed:
            ledger.violation("retained", f"{topic}: found {found.get(topic, 0)}, expected one of {_short(allowed)}")


def _short(numbers: set[int]) -> str:
    ordered = sorted(numbers)
    return f"{ordered[:12]}{' ...' if len(ordered) > 12 else ''} ({len(ordered)})"
