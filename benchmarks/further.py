"""What is measured by modules of its own: each gives the rows of a table.

They run in a process of their own for each build, which has that build in its path.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import durability, idle, retained, soak, subscriptions
from benchmarks.peers import BUILDS, OURS, ROOT, peer
from benchmarks.results import Cell, Table

__all__ = ["FURTHER", "Further", "tables"]

TIMEOUT = 600.0
"""Seconds for one table and build."""

Row = dict[str, Cell]


@dataclass(frozen=True)
class Further:
    """A table of the report."""

    number: int
    title: str
    text: str
    rows: Callable[[bool], list[Row]]
    """Measures; takes whether it is to be quick."""


def _durable(quick: bool) -> list[Row]:
    loads = ((100, 1),) if quick else ((1, 1), (1, 100), (100, 1))
    with _on_disk() as base:
        return [
            {
                "publishers": rate.publishers,
                "window": rate.window,
                "durability": rate.mode,
                "subscriber": "online" if rate.online else "offline",
                "messages/s": round(rate.per_second),
                "messages in a commit": rate.per_commit if rate.commits else None,
                "CPU, µs": rate.microseconds,
            }
            for rate in durability.measure_rates(Path(base), ("fsync",), loads)
        ]


def _idle(quick: bool) -> list[Row]:
    with _on_disk() as base:
        found = idle.measure_idle(Path(base), 1_000 if quick else 10_000)
    return [
        {
            "connections": found.connections,
            "KiB each": found.kib,
            "made in a second": round(found.per_second),
            "CPU of each, µs": found.microseconds,
        }
    ]


def _storm(quick: bool) -> list[Row]:
    rows: list[Row] = []
    for persistent in (False, True):
        with _on_disk() as base:
            found = idle.measure_storm(Path(base), persistent, "fsync", 1_000 if quick else 10_000)
        rows.append(
            {
                "connections": found.connections,
                "sessions": "kept" if persistent else "ended",
                "all back after, s": found.seconds,
                "CPU of each, µs": found.microseconds,
                "another waits, ms (p99)": found.pauses.p99 * 1e3,
                "at most, ms": found.pauses.worst * 1e3,
            }
        )
    return rows


def _subscriptions(quick: bool) -> list[Row]:
    rows: list[Row] = []
    for shape in ("exact", "mixed"):
        found = subscriptions.in_new_process(subscriptions.measure, shape, 125_000 if quick else 1_000_000, 1_000)
        rows.append(
            {
                "filters": shape,
                "subscriptions": found.subscriptions,
                "bytes each": round(found.bytes_each),
                "subscribed/s": round(found.subscribed_per_second),
                "unsubscribed/s": round(found.unsubscribed_per_second),
                "route of a new topic, µs": found.uncached_us,
                "of a known one, µs": found.cached_us,
            }
        )
    return rows


def _churn(quick: bool) -> list[Row]:
    rows: list[Row] = []
    topics, seconds = (10_000, 0.5) if quick else (subscriptions.TOPICS, 2.0)
    for change in subscriptions.CHANGES:
        found = subscriptions.traffic(change, topics=topics, seconds=seconds)
        rows.append(
            {
                "what comes and goes": change,
                "changes/s": round(found.changes_per_second),
                "messages/s": round(found.messages_per_second),
                "CPU, µs": found.microseconds,
            }
        )
    return rows


def _retained(quick: bool) -> list[Row]:
    return [
        {
            "filter": f"`{found.name}`",
            "messages": found.messages,
            "messages/s": round(found.messages / found.seconds),
            "another waits, ms (p50)": found.median_ping_ms,
            "at most, ms": found.ping_ms,
            "memory, MB": round(found.resident / 1e6),
        }
        for found in retained.replay(20_000 if quick else 1_000_000)
    ]


def _soak(quick: bool) -> list[Row]:
    with _on_disk() as base:
        found = soak.soak(Path(base), 0.1 if quick else 1.0)
    first, last = found.samples[0], found.samples[-1]
    return [
        {
            "minutes": found.minutes,
            "messages": last.messages,
            "failures": found.failures,
            "memory, MiB, first": first.mib,
            "last": last.mib,
            "steady": "yes" if found.steady else "no",
        }
    ]


FURTHER = (
    Further(
        8,
        "Durable messages",
        "Acknowledged QoS 1 messages for a client that keeps its session, which is connected or away. An "
        "acknowledgement means that the message is on disk. [durability.md](durability.md) has more.",
        _durable,
    ),
    Further(10, "Idle connections", "Connections with a session, which say nothing.", _idle),
    Further(10, "Reconnect storm", "All connections are lost at once, and all clients come back.", _storm),
    Further(11, "Many subscriptions", "Of 1,000 sessions, measured within the process.", _subscriptions),
    Further(
        12,
        "Subscriptions that come and go",
        "QoS 0 messages to many topics, while a client subscribes and unsubscribes.",
        _churn,
    ),
    Further(13, "Many retained messages", "What a new subscriber gets, and how long others wait.", _retained),
    Further(
        16,
        "Soak",
        "Clients that do all kinds of things; a minute shows that it works. `python -m benchmarks.soak` takes an hour.",
        _soak,
    ),
)


def tables(only: Sequence[int] | None, quick: bool, builds: Sequence[str], say: Callable[[str], None]) -> list[Table]:
    """Measure what is asked for, with each build that there is. What fails has the reason in its text."""
    found = []
    for at, each in enumerate(FURTHER):
        if only and each.number not in only:
            continue
        table = Table(each.title, each.text, [])
        for build in (name for name in OURS if name in builds):
            say(f"{each.title}: {build}")
            try:
                table.rows += [{"build": build, **row} for row in _in_process(at, quick, build)]
            except (OSError, subprocess.SubprocessError, ValueError) as error:
                table.text += f"\n\nWith the build {build} this failed: {_last_line(error)}"
        found.append(table)
    return found


def _in_process(at: int, quick: bool, build: str) -> list[Row]:
    command = [sys.executable, "-m", "benchmarks.further", str(at), *(["--quick"] if quick else [])]
    path = os.pathsep.join([peer(build)[0].environment["PYTHONPATH"], str(ROOT)])
    # Not in the root, where Python would find the source before the build.
    done = subprocess.run(
        command,
        cwd=BUILDS,
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=True,
    )
    rows: list[Row] = json.loads(done.stdout.splitlines()[-1])
    return rows


def _last_line(error: Exception) -> str:
    text = error.stderr if isinstance(error, subprocess.CalledProcessError) else str(error)
    return (str(text).strip().splitlines() or [repr(error)])[-1]


def _on_disk() -> tempfile.TemporaryDirectory[str]:
    """Where the process runs, and not where temporary files are: that is often in memory."""
    return tempfile.TemporaryDirectory(dir=Path.cwd(), ignore_cleanup_errors=True)


def main() -> None:
    """Measure one table and print its rows as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.further")
    parser.add_argument("at", type=int)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    print(json.dumps(FURTHER[options.at].rows(options.quick)))


if __name__ == "__main__":
    main()
