"""Alarms: what is wrong with a broker, as long as it is so.

An alarm is raised when one of :data:`CHECKS` finds something, and cleared by itself when it does so no more. Each check
is one function from the facts of this second to what it finds; it is told which of its alarms are raised, so that what
is near a border is not raised and cleared all the time. Raising and clearing is one line of the log and one event each
(kind ``alarm``). Of one kind there are at most :data:`MOST` alarms.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Literal, get_args

from mqttbroker.admin.figures import Figures
from mqttbroker.admin.incidents import Incidents
from mqttbroker.admin.repeated import Repeated
from mqttbroker.broker import BrokerCore, Log
from mqttbroker.sessions import split_client_id

if TYPE_CHECKING:
    from mqttbroker.certs import CertificateInfo

__all__ = ["CHECKS", "KINDS", "LATE", "Alarm", "Alarms", "Facts", "Finding", "Kind", "Place", "Severity"]

Kind = Literal[
    "store_failed",
    "disk_low",
    "memory_high",
    "slow_commits",
    "event_loop_lag",
    "queue_near_limit",
    "certificate",
    "identifier_fight",
    "refused",
    "slow_client",
]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
Severity = Literal["warning", "critical"]
Place = Literal["clients", "sessions", "topics", "access", "settings", "overview"]
"""Where in the console there is more."""

MOST: Final = 20
DAY: Final = 86_400.0
EXPIRY: Final = 21 * DAY
"""Seconds before a certificate runs out; the log tells of it from the same day on."""
RESERVE: Final = 64 * 2**20
"""Bytes free on the disk, below which it may be full any moment."""
LOW_PART: Final = 0.1
"""Part of the disk that should be free."""
PLENTY: Final = 32 * 2**30
"""Bytes free that are enough, however large the disk."""
MEMORY_HIGH: Final = 0.85
MEMORY_CRITICAL: Final = 0.95
QUEUE_HIGH: Final = 0.8
RELIEF: Final = 0.05
"""Part of a limit by which a figure must be below the border for its alarm to be cleared."""
LATE: Final = 0.5
"""Seconds by which the event loop is late that clients notice."""
LONGEST_TEXT: Final = 200
"""Characters that are shown of a name that somebody else has chosen."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong now."""

    key: str
    """What it is about, among the alarms of one kind."""
    severity: Severity
    text: str
    """What is so, in a sentence."""
    advice: str
    """What to do, in a sentence."""
    place: Place
    client: str = ""
    """The client that it is about, as the broker knows it."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something that is wrong, and since when."""

    kind: Kind
    finding: Finding
    since: float
    """Seconds since the epoch."""

    @property
    def id(self) -> str:
        """What names it as long as it lasts, and when it comes again."""
        return f"{self.kind}:{self.finding.key}" if self.finding.key else self.kind


@dataclass(slots=True)
class Facts:
    """What the checks look at."""

    core: BrokerCore
    now: float
    figures: Figures
    incidents: Incidents
    late: Repeated
    """Looks of the event loop that were late, under the name ""."""
    long_commits: Repeated
    """Commits that took long, under the name ""."""
    failure: Exception | None = None
    """Of the store."""
    certificates: Mapping[str, Sequence[CertificateInfo]] = field(default_factory=dict)
    """By name of listener."""


Held = Collection[str]
"""Keys of the alarms of one kind that are raised."""
Check = Callable[[Facts, Held], Iterator[Finding]]


class Alarms:
    """The alarms of one broker."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._raised: dict[Kind, dict[str, Alarm]] = {kind: {} for kind in KINDS}

    def __iter__(self) -> Iterator[Alarm]:
        """Those that are raised: what is critical first, of these the newest first."""
        alarms = [each for raised in self._raised.values() for each in raised.values()]
        return iter(sorted(alarms, key=lambda each: (each.finding.severity != "critical", -each.since)))

    def count(self, kind: Kind) -> int:
        """How many of a kind are raised."""
        return len(self._raised[kind])

    def look(self, facts: Facts) -> None:
        """Raise and clear alarms."""
        for kind, check in CHECKS.items():
            raised = self._raised[kind]
            found: dict[str, Finding] = {}
            for each in check(facts, raised):
                if each.key in raised or len(raised) + len(found) < MOST:
                    found[each.key] = each
            for key, finding in found.items():
                before = raised.get(key)
                if before is None:
                    raised[key] = Alarm(kind, finding, facts.now)
                    self._tell(facts, raised[key], "raised")
                else:
                    raised[key] = replace(before, finding=finding)
                    if before.finding.severity != finding.severity:
                        self._tell(facts, raised[key], "raised")
            for key in [each for each in raised if each not in found]:
                self._tell(facts, raised.pop(key), "cleared")

    def _tell(self, facts: Facts, alarm: Alarm, state: Literal["raised", "cleared"]) -> None:
        finding = alarm.finding
        level = "info" if state == "cleared" else "error" if finding.severity == "critical" else "warning"
        self._log(level, f"alarm {state}", alarm=alarm.kind, severity=finding.severity, what=finding.text)
        events = facts.core.events
        if events.heard:
            mount_point, client_id = split_client_id(finding.client)
            details: dict[str, object] = {"alarm": alarm.kind, "state": state, "severity": finding.severity}
            details |= {"text": finding.text} | ({"mount_point": mount_point} if mount_point else {})
            events.emit("alarm", client_id, facts.now, details)


# The checks.


def _store_failed(facts: Facts, held: Held) -> Iterator[Finding]:
    if facts.failure is not None:
        yield Finding(
            "",
            "critical",
            f"The store has failed and takes nothing more: {_cut(str(facts.failure))}.",
            "Look at the disk and the log, then start the broker again; what was acknowledged is on disk.",
            "settings",
        )
    elif not facts.core.store.accepting:
        yield Finding(
            "",
            "critical",
            "The disk is full: messages that must be stored are not acknowledged.",
            "Free some space; the broker goes on by itself.",
            "settings",
        )


def _disk_low(facts: Facts, held: Held) -> Iterator[Finding]:
    disk = facts.figures.disk
    if disk is None or not disk.size:
        return
    border = min((LOW_PART + (RELIEF / 5 if held else 0.0)) * disk.size, PLENTY)
    if disk.free < max(border, RESERVE):
        yield Finding(
            "",
            "critical" if disk.free < RESERVE else "warning",
            f"The disk of the data directory has {_bytes(disk.free)} free of {_bytes(disk.size)}.",
            "Free some space or move the data directory: when it is full, nothing that must be stored is acknowledged.",
            "settings",
        )


def _memory_high(facts: Facts, held: Held) -> Iterator[Finding]:
    used, ceiling = facts.figures.memory.own, facts.figures.ceiling
    if not ceiling.size:
        return
    part = used / ceiling.size
    if part >= MEMORY_HIGH - (RELIEF if held else 0.0):
        yield Finding(
            "",
            "critical" if part >= MEMORY_CRITICAL else "warning",
            f"The broker takes {_bytes(used)} of memory; its {ceiling.set_by} allows {_bytes(ceiling.size)}.",
            "Give it more, or lower the limits of queues and retained messages: at the ceiling the system ends it.",
            "settings",
        )


def _slow_commits(facts: Facts, held: Held) -> Iterator[Finding]:
    store = facts.figures.store
    waiting = 0.0 if store is None else store.commits.under_way
    again = next((thing for _, thing in facts.long_commits.repeated(facts.now)), None)
    if waiting >= STUCK:
        text = f"A commit of the store has been under way for {waiting:.0f} seconds."
    elif again is not None:
        text = f"The store's commits take longer than a second, {_times(again.count)} lately."
    else:
        return
    yield Finding(
        "",
        "critical" if waiting >= STUCK else "warning",
        text,
        "Look at what else writes to this disk, or move the data directory to a faster one: acknowledgements wait.",
        "settings",
    )


def _event_loop_lag(facts: Facts, held: Held) -> Iterator[Finding]:
    for _, again in facts.late.repeated(facts.now):
        yield Finding(
            "",
            "warning",
            f"The broker came to its work more than half a second late, {_times(again.count)} lately.",
            "Its processor is overloaded: look at what else runs on the machine, and who sends most.",
            "clients",
        )


def _queue_near_limit(facts: Facts, held: Held) -> Iterator[Finding]:
    advice = (
        "See whether its client still comes, and purge the queue or raise max_queued_messages and max_queued_bytes."
    )
    for known, part in facts.figures.depths.filling.items():
        if part >= _border(QUEUE_HIGH, known in held):
            text = f"The queue of {_name(known)} is {_percent(part)} full."
            yield Finding(known, "warning", text, advice, "sessions", known)
    core = facts.core
    limits = core.session_limits
    part = limits.owed_bytes / limits.max_total_bytes
    if part >= _border(QUEUE_HIGH, ALL_QUEUES in held):
        text = f"All queues together have reached {_percent(part)} of max_total_queued_bytes."
        yield Finding(
            ALL_QUEUES, "warning", text, "Purge queues that nobody comes for, or raise the limit.", "sessions"
        )
    kept = core.limits
    part = max(
        len(core.retained) / max(kept.max_retained_messages, 1), core.retained.size / max(kept.max_retained_bytes, 1)
    )
    if part >= _border(QUEUE_HIGH, ALL_RETAINED in held):
        text = f"Retained messages have reached {_percent(part)} of their limit."
        advice = "Delete those that nobody wants, or raise max_retained_messages and max_retained_bytes."
        yield Finding(ALL_RETAINED, "warning", text, advice, "topics")


def _certificate(facts: Facts, held: Held) -> Iterator[Finding]:
    for listener, certificates in facts.certificates.items():
        for each in certificates:
            left = each.not_after - facts.now
            if left < EXPIRY:
                when = "has expired" if left <= 0 else f"expires in {_days(left)}"
                yield Finding(
                    f"{listener} {each.file}",
                    "critical" if left <= 0 else "warning",
                    f"The certificate {_cut(each.subject)} of the listener {_cut(listener)} {when}.",
                    "Put a new one in the place of its files; the broker reads them by itself.",
                    "settings",
                )


def _identifier_fight(facts: Facts, held: Held) -> Iterator[Finding]:
    for known, fight in facts.incidents.takeovers.repeated(facts.now):
        addresses = list(fight.addresses)
        yield Finding(
            known,
            "warning",
            f"The client identifier {_name(known)} was taken over {_times(fight.count)}, from {_listed(addresses)}.",
            "Two clients use it and throw each other out: give each an identifier of its own."
            if len(addresses) > 1
            else "Two programs there use it, or one connects anew without need: give each an identifier of its own.",
            "clients",
            known,
        )


def _refused(facts: Facts, held: Held) -> Iterator[Finding]:
    for who, again in facts.incidents.refusals.repeated(facts.now):
        yield Finding(
            who,
            "warning",
            f"{_cut(who)} was refused {_times(again.count)}, last: {_cut(again.detail)}.",
            "If it is one of yours, mend its password or its rules; if not, keep it out.",
            "access",
        )


def _slow_client(facts: Facts, held: Held) -> Iterator[Finding]:
    for known, waiting in facts.incidents.slow(facts.core):
        yield Finding(
            known,
            "warning",
            f"{_name(known)} takes nothing of what it is sent; {_bytes(waiting)} wait for it.",
            "Look at its program and its network: its messages wait or are dropped, and it is disconnected at last.",
            "clients",
            known,
        )


CHECKS: Final[Mapping[Kind, Check]] = {
    "store_failed": _store_failed,
    "disk_low": _disk_low,
    "memory_high": _memory_high,
    "slow_commits": _slow_commits,
    "event_loop_lag": _event_loop_lag,
    "queue_near_limit": _queue_near_limit,
    "certificate": _certificate,
    "identifier_fight": _identifier_fight,
    "refused": _refused,
    "slow_client": _slow_client,
}
STUCK: Final = 5.0
"""Seconds after which a commit that is under way is an alarm by itself."""
# No client identifier that a session has: these are not valid in one.
ALL_QUEUES: Final = "\0all queues"
ALL_RETAINED: Final = "\0retained messages"


# How things are said.


def _border(part: float, held: bool) -> float:
    return part - (RELIEF if held else 0.0)


def _name(known: str) -> str:
    return _cut(split_client_id(known)[1])


def _cut(text: str) -> str:
    shown = "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text[:LONGEST_TEXT])
    return shown if len(text) <= LONGEST_TEXT else f"{shown}…"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"


def _percent(part: float) -> str:
    return f"{min(int(part * 100), 100)} %"


def _days(seconds: float) -> str:
    days = int(seconds / DAY)
    return "less than a day" if not days else "1 day" if days == 1 else f"{days} days"


def _listed(texts: list[str]) -> str:
    if len(texts) > 1:
        return f"{', '.join(texts[:-1])} and {texts[-1]}"
    return texts[0] if texts else "an unknown address"


def _bytes(size: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 100 else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"
