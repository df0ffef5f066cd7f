"""Alarms: each is raised when something is wrong, and cleared when it is so no more."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from mqttbroker.admin import alarms
from mqttbroker.admin.alarms import CHECKS, DAY, KINDS, RESERVE, Alarm, Alarms, Facts
from mqttbroker.admin.figures import Disk, Figures, StoreFigures
from mqttbroker.admin.incidents import Incidents
from mqttbroker.admin.memory import Ceiling, Usage
from mqttbroker.admin.queues import QueueSurvey
from mqttbroker.admin.repeated import Repeated
from mqttbroker.broker import EventListener, Limits
from mqttbroker.certs import CertificateInfo
from mqttbroker.storage.lmdb.commits import Commits
from tests.broker.support import Deny, Peer, World

GIB = 2**30
START = 1_700_000_000.0


class Watched:
    """A world with alarms, whose facts the test sets."""

    def __init__(self, limits: Limits | None = None, authorizer: Deny | None = None) -> None:
        self.world = World(limits, authorizer=authorizer)
        self.events: list[tuple[str, str, dict[str, object]]] = []
        self.logged: list[tuple[str, str, dict[str, object]]] = []
        self.facts = Facts(
            core=self.world.core,
            now=self.world.now,
            figures=Figures(),
            incidents=Incidents(),
            late=Repeated(3),
            long_commits=Repeated(3),
        )
        self.alarms = Alarms(self._log)
        self.survey = QueueSurvey(self.world.core.registry.sessions)
        self.world.core.events.listen(self._tell)
        self.world.core.events.listen(self.facts.incidents.tell)

    def _log(self, level: str, event: str, /, **details: object) -> None:
        self.logged.append((level, event, details))

    def _tell(self, kind: str, client_id: str, now: float, details: dict[str, object]) -> None:
        if kind == "alarm":
            self.events.append((str(details["state"]), client_id, details))

    def look(self, seconds: float = 1.0) -> list[Alarm]:
        """The alarms after so many seconds."""
        for _ in range(int(seconds)):
            self.world.advance(1.0)
        self.facts.now = self.world.now
        self.facts.figures.depths = self.survey.depths
        self.alarms.look(self.facts)
        return list(self.alarms)

    def one(self, seconds: float = 1.0) -> Alarm:
        """The only alarm there is."""
        (found,) = self.look(seconds)
        return found

    def listener(self) -> EventListener:
        return self._tell


def test_every_kind_has_its_check() -> None:
    assert tuple(CHECKS) == KINDS


def test_a_broker_that_does_well_has_none() -> None:
    watched = Watched()
    watched.world.client("a").subscribe("t")
    watched.facts.figures = Figures(
        memory=Usage(GIB, GIB),
        ceiling=Ceiling(16 * GIB),
        store=StoreFigures(Commits()),
        disk=Disk(50 * GIB, 100 * GIB),
    )
    watched.facts.certificates = {"tls": [certificate(START + 365 * DAY)]}
    assert watched.look(100) == []
    assert (watched.logged, watched.events) == ([], [])


def test_what_is_told_when_one_is_raised_and_cleared() -> None:
    watched = Watched()
    watched.world.store.accepting = False
    alarm = watched.one()
    assert (alarm.kind, alarm.id, alarm.since) == ("store_failed", "store_failed", watched.world.now)
    assert watched.one().since == alarm.since
    watched.world.store.accepting = True
    assert watched.look() == []
    watched.look()
    assert [(level, event) for level, event, _ in watched.logged] == [
        ("error", "alarm raised"),
        ("info", "alarm cleared"),
    ]
    assert watched.logged[0][2] == {
        "alarm": "store_failed",
        "severity": "critical",
        "what": "The disk is full: messages that must be stored are not acknowledged.",
    }
    assert [(state, details["alarm"]) for state, _, details in watched.events] == [
        ("raised", "store_failed"),
        ("cleared", "store_failed"),
    ]


def test_there_are_not_too_many(monkeypatch: Any) -> None:
    monkeypatch.setattr(alarms, "MOST", 3)
    watched = Watched()
    for number in range(10):
        watched.facts.incidents.refusals.add(f"10.0.0.{number}", watched.world.now, 50)
    assert len(watched.look()) == 3
    assert len(watched.look()) == 3
    assert watched.alarms.count("refused") == 3


def test_what_is_critical_comes_first() -> None:
    watched = Watched()
    watched.facts.figures.disk = Disk(RESERVE - 1, 100 * GIB)
    watched.look()
    watched.facts.certificates = {"tls": [certificate(watched.world.now + DAY)]}
    assert [each.kind for each in watched.look()] == ["disk_low", "certificate"]


# Each of them.


def test_a_store_that_has_failed() -> None:
    watched = Watched()
    watched.facts.failure = OSError("Input/output error")
    alarm = watched.one()
    assert alarm.finding.text == "The store has failed and takes nothing more: Input/output error."


def test_a_disk_that_is_nearly_full() -> None:
    watched = Watched()
    for free, severity in ((20 * GIB, ""), (9 * GIB, "warning"), (RESERVE - 1, "critical"), (10.5 * GIB, "warning")):
        watched.facts.figures.disk = Disk(int(free), 100 * GIB)
        assert [each.finding.severity for each in watched.look()] == ([severity] if severity else [])
    watched.facts.figures.disk = Disk(12 * GIB, 100 * GIB)
    assert watched.look() == []
    # Severity that rises is told again; that it falls, too.
    assert [level for level, _, _ in watched.logged] == ["warning", "error", "warning", "info"]


def test_a_large_disk_has_enough_though_it_is_a_small_part() -> None:
    watched = Watched()
    watched.facts.figures.disk = Disk(40 * GIB, 4_000 * GIB)
    assert watched.look() == []


def test_memory_near_its_ceiling() -> None:
    watched = Watched()
    for part, severity in ((0.84, ""), (0.86, "warning"), (0.81, "warning"), (0.96, "critical"), (0.79, "")):
        watched.facts.figures.memory = Usage(GIB, int(part * GIB))
        watched.facts.figures.ceiling = Ceiling(GIB, "control group")
        assert [each.finding.severity for each in watched.look()] == ([severity] if severity else [])
    assert "its control group allows 1.0 GiB" in str(watched.logged[0][2]["what"])


def test_commits_that_take_long() -> None:
    watched = Watched()
    for _ in range(3):
        assert watched.look() == []
        watched.facts.long_commits.add("", watched.world.now)
    assert watched.one().finding.text == "The store's commits take longer than a second, 3 times lately."
    assert watched.look(300) == []


def test_a_commit_that_hangs() -> None:
    now = 0.0
    commits = Commits(lambda: now)
    watched = Watched()
    watched.facts.figures.store = StoreFigures(commits)
    commits.begin()
    now = 1.0
    assert watched.look() == []
    now = 7.0
    alarm = watched.one()
    assert (alarm.kind, alarm.finding.severity) == ("slow_commits", "critical")
    assert alarm.finding.text == "A commit of the store has been under way for 7 seconds."
    commits.end(True)
    assert watched.look() == []


def test_an_event_loop_that_lags() -> None:
    watched = Watched()
    for _ in range(3):
        assert watched.look() == []
        watched.facts.late.add("", watched.world.now)
    assert watched.one().kind == "event_loop_lag"
    assert watched.look(300) == []


def test_a_queue_near_its_limit() -> None:
    watched = Watched(Limits(max_queued_messages=10))
    away = watched.world.client("a \u202e name", expiry=1_000)
    away.subscribe("t", qos=1)
    away.lose()
    writer = watched.world.client("writer")
    for _ in range(7):
        writer.publish("t", b"x", qos=1)
    assert watched.look() == []
    writer.publish("t", b"x", qos=1)
    alarm = watched.one()
    assert (alarm.kind, alarm.finding.client, alarm.finding.place) == ("queue_near_limit", "a \u202e name", "sessions")
    assert alarm.finding.text == "The queue of a \ufffd name is 80 % full."
    watched.world.client("a \u202e name", expiry=1_000, clean=True)
    assert watched.look() == []


def test_all_queues_and_retained_messages_near_their_limits() -> None:
    watched = Watched(Limits(max_total_queued_bytes=100, max_retained_messages=2))
    away = watched.world.client("away", expiry=1_000)
    away.subscribe("t", qos=1)
    away.lose()
    writer = watched.world.client("writer")
    writer.publish("t", b"x" * 85, qos=1)
    writer.publish("a", b"x", retain=True)
    assert [each.finding.text for each in watched.look()] == [
        "All queues together have reached 86 % of max_total_queued_bytes."
    ]
    writer.publish("b", b"x", retain=True)
    assert {each.finding.text for each in watched.look()} == {
        "All queues together have reached 86 % of max_total_queued_bytes.",
        "Retained messages have reached 100 % of their limit.",
    }
    writer.publish("b", b"", retain=True)
    watched.world.client("away", clean=True)
    assert watched.look() == []


def certificate(not_after: float) -> CertificateInfo:
    return CertificateInfo(Path("server.pem"), "CN=broker.example", "CN=ca", ("broker.example",), START, not_after, "1")


def test_a_certificate_that_runs_out() -> None:
    watched = Watched()
    for days, severity in ((22, ""), (20.5, "warning"), (-1, "critical"), (365, "")):
        watched.facts.certificates = {"tls": [certificate(watched.world.now + days * DAY)]}
        assert [each.finding.severity for each in watched.look()] == ([severity] if severity else [])
    assert watched.logged[0][2]["what"] == ("The certificate CN=broker.example of the listener tls expires in 20 days.")
    assert str(watched.logged[1][2]["what"]).endswith("has expired.")


def test_two_that_fight_for_an_identifier() -> None:
    watched = Watched()
    for number in range(5):
        assert watched.look(0) == []
        watched.world.opened(address=f"10.0.0.{number % 2}:1234").connect("sensor")
    assert watched.look(0) == []  # The first took nothing over.
    watched.world.opened(address="10.0.0.1:1234").connect("sensor")
    alarm = watched.one(0)
    assert (alarm.kind, alarm.finding.client) == ("identifier_fight", "sensor")
    assert alarm.finding.text == "The client identifier sensor was taken over 5 times, from 10.0.0.0 and 10.0.0.1."
    assert watched.events[-1][1] == "sensor"
    assert watched.look(200) == []


def test_a_fight_below_a_mount_point() -> None:
    watched = Watched()
    entrance = watched.world.listener("customer", mount_point="customer/")
    for _ in range(6):
        watched.world.opened(address="10.0.0.1:1", entrance=entrance).connect("sensor")
    alarm = watched.one()
    assert alarm.finding.client == "customer/\0sensor"
    assert alarm.finding.text == "The client identifier sensor was taken over 5 times, from 10.0.0.1."
    assert watched.events[-1][1:] == ("sensor", watched.events[-1][2])
    assert watched.events[-1][2]["mount_point"] == "customer/"


def test_one_that_is_refused_again_and_again() -> None:
    watched = Watched(authorizer=Deny(("publish", "secret")))
    peer: Peer = watched.world.opened(address="[2001:db8::1]:1234")
    peer.connect("sensor")
    for _ in range(10):
        peer.publish("secret", b"x")
    alarm = watched.one(2)
    assert (alarm.kind, alarm.finding.key, alarm.finding.place) == ("refused", "2001:db8::1", "access")
    assert alarm.finding.text.startswith("2001:db8::1 was refused 10 times, last: publish (")
    assert watched.look(300) == []


def test_addresses_that_were_not_let_in() -> None:
    watched = Watched()
    for address in ("2001:db8::1", "10.0.0.1"):
        details: dict[str, object] = {"user": None, "address": address, "action": "connect", "rule": "max_connections"}
        for _ in range(10):
            watched.facts.incidents.tell("refused", "", watched.world.now, details)
    assert {each.finding.key for each in watched.look()} == {"2001:db8::1", "10.0.0.1"}


def test_a_client_that_takes_nothing() -> None:
    watched = Watched()
    peer = watched.world.client("slow")
    peer.congest(2_000)
    alarm = watched.one(3)
    assert (alarm.kind, alarm.finding.client) == ("slow_client", "slow")
    assert alarm.finding.text == "slow takes nothing of what it is sent; 2.0 KiB wait for it."
    peer.relieve()
    assert watched.look() == []


def test_a_slow_client_that_has_gone() -> None:
    watched = Watched()
    peer = watched.world.client("slow")
    peer.congest()
    watched.one(3)
    peer.lose()
    assert watched.look() == []


def test_alarms_are_not_changed_by_what_comes_later() -> None:
    watched = Watched()
    watched.facts.figures.disk = Disk(9 * GIB, 100 * GIB)
    before = watched.one()
    watched.facts.figures = replace(watched.facts.figures, disk=Disk(8 * GIB, 100 * GIB))
    after = watched.one()
    assert "9.0 GiB" in before.finding.text
    assert "8.0 GiB" in after.finding.text
