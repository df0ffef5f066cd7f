"""What ``mqttbroker bench`` shows: a line that changes while it runs, and a report, for people or as JSON."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from mqttbroker.bench import Progress, Result

__all__ = ["connections_document", "live", "messages_document", "report"]

REFRESH: Final = 4
"""Times a second that the line changes."""


@contextmanager
def live(wanted: bool, noun: str) -> Iterator[Callable[[Progress], None] | None]:
    """Show a line on the terminal, for as long as this lasts; gives what it is to be told."""
    if not wanted:
        yield None
        return
    from rich.live import Live
    from rich.text import Text

    before, total, speed = time.monotonic(), 0, 0.0

    with Live(Text("connecting ..."), refresh_per_second=REFRESH, transient=True) as shown:

        def show(progress: Progress) -> None:
            nonlocal before, total, speed
            now = time.monotonic()
            if now - before >= 1 / REFRESH:
                speed = (progress.messages - total) / (now - before)
                before, total = now, progress.messages
            text = f"{speed:,.0f} {noun}/s now, {progress.messages:,} in all"
            if progress.p50:
                text += f", latency p50 {_time(progress.p50)}, p99 {_time(progress.p99)}"
            shown.update(Text(text))

        yield show


def messages_document(
    shape: str, settings: Mapping[str, object], result: Result, payload: int, pid: int | None, interrupted: bool
) -> dict[str, object]:
    """The result of a load of messages, as ``--json`` has it; docs/bench.md says what each key means."""
    seconds = result.seconds
    return {
        "format": 1,
        "shape": shape,
        "settings": dict(settings),
        "interrupted": interrupted,
        "seconds": round(seconds, 6),
        "published": result.published,
        "delivered": result.messages,
        "published_per_second": _per(result.published, seconds),
        "delivered_per_second": _per(result.messages, seconds),
        "delivered_bytes_per_second": _per(result.messages * payload, seconds),
        "latency_ms": _milliseconds(result.latency),
        "broker": _broker(pid, result),
    }


def connections_document(
    settings: Mapping[str, object], results: list[Result], pid: int | None, interrupted: bool
) -> dict[str, object]:
    """The result of connecting, as ``--json`` has it."""
    return {
        "format": 1,
        "shape": "connect",
        "settings": dict(settings),
        "interrupted": interrupted,
        "rounds": [
            {
                "seconds": round(each.seconds, 6),
                "connections": each.messages,
                "connections_per_second": _per(each.messages, each.seconds),
                "latency_ms": _milliseconds(each.latency),
                "broker": _broker(pid, each),
            }
            for each in results
        ],
    }


def _per(count: int, seconds: float) -> float:
    return round(count / seconds, 1) if seconds > 0 else 0.0


def _milliseconds(latency: Mapping[str, float] | None) -> dict[str, float] | None:
    return None if latency is None else {name: round(value * 1e3, 4) for name, value in latency.items()}


def _broker(pid: int | None, result: Result) -> dict[str, object] | None:
    if pid is None:
        return None
    share = result.cpu / result.seconds if result.seconds > 0 else 0.0
    return {
        "pid": pid,
        "cpu_seconds": round(result.cpu, 3),
        "cpu_share": round(share, 3),
        "cpu_us_each": round(result.microseconds, 3) if result.messages else None,
    }


def report(shape: str, results: list[Result], payload: int, pid: int | None, interrupted: bool) -> str:
    """The result in words, some lines."""
    lines = ["Ended early; this is what there was until then."] if interrupted else []
    for number, result in enumerate(results):
        if shape == "connect":
            lines += [f"Round {number}, all at once again"] if number else []
            lines += [
                f"connections   {result.messages:,} in {result.seconds:.2f} s, "
                f"{_per(result.messages, result.seconds):,.0f}/s"
            ]
        else:
            sent, came = _per(result.published, result.seconds), _per(result.messages, result.seconds)
            lines += [
                f"published     {result.published:,} in {result.seconds:.2f} s, {sent:,.0f}/s",
                f"delivered     {result.messages:,}, {came:,.0f}/s, {came * payload / 1e6:,.1f} MB/s",
            ]
        if result.latency is not None:
            times = ", ".join(f"{name} {_time(value)}" for name, value in result.latency.items())
            lines += [f"latency       {times}"]
        if pid is not None and result.messages:
            noun = "connection" if shape == "connect" else "delivered message"
            share = result.cpu / result.seconds if result.seconds > 0 else 0.0
            lines += [f"broker        {result.microseconds:.2f} µs CPU per {noun}, {share:.0%} of a core (PID {pid})"]
    return "\n".join(lines)


def _time(seconds: float) -> str:
    if seconds < 1e-3:
        return f"{seconds * 1e6:.0f} µs"
    return f"{seconds * 1e3:.2f} ms" if seconds < 1 else f"{seconds:.2f} s"
