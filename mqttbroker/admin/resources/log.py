"""The log: how much of it there is, and its last lines."""

from __future__ import annotations

import logging
from typing import Annotated

from msgspec import Meta

from mqttbroker.admin.endpoint import PREFIX, Call, Input, Output, endpoint
from mqttbroker.admin.log_lines import LEVELS, Line
from mqttbroker.config import LogLevel

__all__ = ["log_level", "recent_log", "set_log_level"]


class LogSettings(Input):
    level: LogLevel
    """The least level that is logged."""


class LogQuery(Input):
    """Which lines."""

    after: Annotated[str | None, Meta(description="``next`` of the answer before; none for the last lines.")] = None
    limit: Annotated[int, Meta(ge=1, le=1_000, description="Lines, at most.")] = 200
    level: Annotated[LogLevel, Meta(description="The least level.")] = "debug"
    search: Annotated[str, Meta(max_length=256, description="Part of the line.")] = ""


class LogLine(Output):
    """A line of the log. Texts that are long are cut."""

    number: Annotated[int, Meta(description="Counts up by one with each line.")]
    at: Annotated[float, Meta(description="Seconds since the epoch.")]
    level: LogLevel
    event: str
    details: dict[str, str | int | float | bool | None]


class LogPage(Output):
    """Lines of the log, the oldest first."""

    items: list[LogLine]
    next: Annotated[str, Meta(description="``after`` for what comes later.")]
    missed: Annotated[bool, Meta(description="Whether lines that came after ``after`` are forgotten.")]


@endpoint("GET", f"{PREFIX}/log", role="viewer", tag="broker", summary="How much is logged")
async def log_level(call: Call[None, None]) -> LogSettings:
    return LogSettings(level=_level())


@endpoint("PUT", f"{PREFIX}/log", role="admin", tag="broker", summary="Log more or less")
async def set_log_level(call: Call[None, LogSettings]) -> LogSettings:
    """Until the broker ends; the configuration stays as it is."""
    before = _level()
    logging.getLogger("mqttbroker").setLevel(LEVELS[call.body.level])
    call.changed({"level": before}, {"level": call.body.level})
    return call.body


@endpoint("GET", f"{PREFIX}/log/recent", role="admin", tag="broker", summary="The last lines of the log")
async def recent_log(call: Call[LogQuery, None]) -> LogPage:
    """Of the last thousand lines: without ``after`` the newest of them, with it those that came since, from the oldest
    on. Ask again with ``next`` to follow the log.
    """
    query, kept = call.query, call.context.lines
    lines = kept.lines
    after = None if query.after is None else _number(kept.run, query.after)
    missed = query.after is not None and (after is None or bool(lines and after < lines[0].number - 1))
    text = query.search.casefold()
    found = [each for each in lines if (after is None or each.number > after) and _wanted(each, query.level, text)]
    last = lines[-1].number if lines else 0
    if after is None:
        found = found[-query.limit :]
    elif len(found) > query.limit:
        found = found[: query.limit]
        last = found[-1].number
    return LogPage(items=[_shown(each) for each in found], next=f"{kept.run}-{last}", missed=missed)


def _wanted(line: Line, level: LogLevel, text: str) -> bool:
    return LEVELS[line.level] >= LEVELS[level] and (not text or line.has(text))


def _shown(line: Line) -> LogLine:
    level: LogLevel = line.level  # type: ignore[assignment]  # Of LEVELS.
    return LogLine(number=line.number, at=line.at, level=level, event=line.event, details=line.details)


def _number(run: str, cursor: str) -> int | None:
    """The number of a line in a cursor; ``None`` where it is not of these lines."""
    its_run, _, number = cursor.rpartition("-")
    if its_run != run or not number.isascii() or not number.isdecimal() or len(number) > 15:
        return None
    return int(number)


def _level() -> LogLevel:
    number = logging.getLogger("mqttbroker").getEffectiveLevel()
    levels: tuple[LogLevel, ...] = ("debug", "info", "warning")
    return next((name for name in levels if number <= LEVELS[name]), "error")
