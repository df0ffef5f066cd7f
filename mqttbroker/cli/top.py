"""``mqttbroker top``: how a running broker does, on a terminal, anew every two seconds."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Annotated, Any, Final

import typer

from mqttbroker.broker import ClientOrder
from mqttbroker.cli.admin_client import (
    AdminClient,
    AdminError,
    CafileOption,
    DataDirOption,
    TokenFileOption,
    UrlOption,
    access,
)
from mqttbroker.cli.clients import CLIENT_COLUMNS, client_row
from mqttbroker.cli.columns import cut, duration, rows_of, size
from mqttbroker.cli.failure import fail
from mqttbroker.logs import escape

__all__ = ["Sample", "screen", "top"]

LOOK: Final = 0.2
"""Seconds after which a key or another size of the window is noticed."""
MOST_ROWS: Final = 200
FIRST: Final = 0.5
"""Seconds in which rates are measured where there is one picture only."""
SORTS: Final[dict[ClientOrder, str]] = {
    "queued": "queued",
    "inflight": "in flight",
    "owed_bytes": "bytes owed",
    "dropped": "lost",
    "received_bytes": "received",
    "sent_bytes": "sent",
    "subscriptions": "subscriptions",
    "last_received": "heard of last",
    "connected_at": "connected last",
    "client_id": "identifier",
}


@dataclass(slots=True)
class Sample:
    """What the broker has told at one moment."""

    at: float
    """By a clock that never goes back."""
    overview: dict[str, Any]
    clients: list[dict[str, Any]] = field(default_factory=list)
    total: int = 0


def top(
    sort: Annotated[ClientOrder, typer.Option("--sort", help="Which clients come first.")] = "queued",
    every: Annotated[float, typer.Option("--every", min=0.5, help="Seconds between two pictures.")] = 2.0,
    once: Annotated[bool, typer.Option("--once", help="Show one picture and leave; needs no terminal.")] = False,
    url: UrlOption = None,
    token_file: TokenFileOption = None,
    data_dir: DataDirOption = None,
    cafile: CafileOption = None,
) -> None:
    """Watch a running broker: rates, memory, and its clients, those with the longest queues or most traffic first.

    Keys: q quits, s changes the order of the clients.
    """

    def find() -> AdminClient:
        return AdminClient(access(url, token_file, data_dir), cafile)

    try:
        watched = _Watched(find)
        if once or not (sys.stdin.isatty() and sys.stdout.isatty()):
            _once(watched, sort)
        else:
            _watch(watched, sort, every)
    except AdminError as error:
        fail(error)
    except KeyboardInterrupt:
        raise typer.Exit(0) from None


class _Watched:
    """A broker that may be started again, with another token, while it is watched."""

    def __init__(self, find: Callable[[], AdminClient]) -> None:
        self._find = find
        self.client: AdminClient = find()

    def sample(self, sort: ClientOrder, limit: int) -> Sample:
        """Ask. Raises :class:`AdminError`."""
        try:
            return self._sample(sort, limit)
        except AdminError as error:
            if error.status != 401:
                raise
            self.client = self._find()
            return self._sample(sort, limit)

    def _sample(self, sort: ClientOrder, limit: int) -> Sample:
        overview = self.client.get("broker")
        at = time.monotonic()
        descending = "false" if sort == "client_id" else "true"
        page = self.client.get("clients", sort=sort, descending=descending, limit=limit)
        return Sample(at, overview, page["items"], page["total"])


def _once(watched: _Watched, sort: ClientOrder) -> None:
    before = watched.sample(sort, MOST_ROWS)
    time.sleep(FIRST)
    now = watched.sample(sort, MOST_ROWS)
    width, height = shutil.get_terminal_size((100, 40))
    for line in screen(watched.client.access.url, before, now, sort, width, height, ""):
        typer.echo(line)


def _watch(watched: _Watched, sort: ClientOrder, every: float) -> None:
    before = now = watched.sample(sort, MOST_ROWS)
    problem = ""
    with _full_screen() as key:
        while True:
            shown = (0, 0)
            due = time.monotonic() + (min(every, FIRST) if before is now else every)
            while time.monotonic() < due:
                window = tuple(shutil.get_terminal_size())
                if window != shown:
                    shown = (window[0], window[1])
                    _draw(screen(watched.client.access.url, before, now, sort, *shown, problem))
                pressed = key(LOOK)
                if pressed in ("q", "Q", "\x1b", "\x03"):
                    return
                if pressed in ("s", "S"):
                    orders = list(SORTS)
                    sort = orders[(orders.index(sort) + 1) % len(orders)] if sort in SORTS else "queued"
                    break
            try:
                before, now, problem = now, watched.sample(sort, MOST_ROWS), ""
            except AdminError as error:
                problem = str(error)


def _draw(lines: list[str]) -> None:
    sys.stdout.write("\x1b[H" + "\n".join(f"{line}\x1b[K" for line in lines) + "\x1b[J")
    sys.stdout.flush()


@contextmanager
def _full_screen() -> Iterator[Callable[[float], str]]:
    """The whole window, without a cursor; gives what waits for a key."""
    sys.stdout.write("\x1b[?1049h\x1b[?25l\x1b[?7l")
    sys.stdout.flush()
    try:
        with _keys() as key:
            yield key
    finally:
        sys.stdout.write("\x1b[?7h\x1b[?25h\x1b[?1049l")
        sys.stdout.flush()


@contextmanager
def _keys() -> Iterator[Callable[[float], str]]:
    """Keys as they are pressed; where the system cannot tell, only Ctrl-C is left."""
    try:
        import select
        import termios
        import tty
    except ImportError:
        yield _wait
        return
    number = sys.stdin.fileno()
    before = termios.tcgetattr(number)

    def key(timeout: float) -> str:
        ready, _, _ = select.select([number], [], [], timeout)
        return sys.stdin.read(1) if ready else ""

    try:
        tty.setcbreak(number)
        yield key
    finally:
        termios.tcsetattr(number, termios.TCSADRAIN, before)


def _wait(timeout: float) -> str:
    time.sleep(timeout)
    return ""


# What is shown.


def screen(
    url: str, before: Sample, now: Sample, sort: ClientOrder, width: int, height: int, problem: str
) -> list[str]:
    """The lines of one picture, which is no wider and no higher than the window."""
    overview = now.overview
    name = f"mqttbroker {overview['version']}{' (compiled)' if overview['compiled'] else ''}"
    lines = [f"{name}   up {duration(overview['uptime'])}   {url}", ""]
    lines += _figures(before, now, width)
    lines += [f"! {escape(each['text'])}" for each in overview["alarms"][:3]]
    if problem:
        lines += ["", "! What is shown is old. Trying again.", f"! {escape(problem)}"]
    lines += ["", f"{now.total:,} clients, by {SORTS.get(sort, sort)}   (s: another order, q: quit)"]
    lines = [cut(each, width) for each in lines]
    clock = float(overview["now"])
    rows = [client_row(each, clock, traffic) for each, traffic in _with_traffic(before, now, sort)]
    return (lines + rows_of(CLIENT_COLUMNS, rows, width))[: max(height, 1)]


def _with_traffic(before: Sample, now: Sample, sort: ClientOrder) -> list[tuple[dict[str, Any], tuple[str, str]]]:
    """Each client with its bytes a second. Where these are asked for, those with most of them now are the first, of all
    that had most since they connected.
    """
    known = {(each["id"], each["connected_at"]): each for each in before.clients}
    seconds = now.at - before.at
    found = []
    for each in now.clients:
        earlier = known.get((each["id"], each["connected_at"]))
        if earlier is None or seconds <= 0:
            found.append((-1.0, each, ("–", "–")))
            continue
        received, sent = ((each[name] - earlier[name]) / seconds for name in ("received_bytes", "sent_bytes"))
        found.append((sent if sort == "sent_bytes" else received, each, (f"{size(received)}/s", f"{size(sent)}/s")))
    if sort in ("received_bytes", "sent_bytes"):
        found.sort(key=lambda each: -each[0])
    return [(each, traffic) for _, each, traffic in found]


def _figures(before: Sample, now: Sample, width: int) -> list[str]:
    messages, memory = now.overview["messages"], now.overview["memory"]
    ceiling = f" of {size(memory['ceiling'])}" if memory["ceiling"] else ""
    dropped = sum(messages["dropped"].values())
    blocks = [
        [
            ("messages in", _rate(before, now, "received")),
            ("messages out", _rate(before, now, "sent")),
            ("bytes in", _rate(before, now, "received_bytes", True)),
            ("bytes out", _rate(before, now, "sent_bytes", True)),
        ],
        [
            ("connections", f"{now.overview['connections']:,}"),
            ("sessions", f"{now.overview['sessions']:,}"),
            ("subscriptions", f"{now.overview['subscriptions']:,}"),
            ("retained", f"{now.overview['retained_messages']:,}"),
        ],
        [
            ("owed", f"{messages['queued']:,}, {size(messages['queued_bytes'])}"),
            ("lost", f"{dropped:,}"),
            ("memory", size(memory["used"]) + ceiling),
            ("late by", f"{now.overview['loop_lag']['last'] * 1_000:.1f} ms"),
        ],
    ]
    names = [max(len(name) for name, _ in block) for block in blocks]
    values = [max(len(value) for _, value in block) for block in blocks]
    shown = len(blocks)
    while shown > 1 and sum(names[:shown]) + sum(values[:shown]) + 2 * shown + 4 * (shown - 1) > width:
        shown -= 1
    return [
        "    ".join(
            f"{block[row][0]:<{names[at]}}  {block[row][1]:>{values[at]}}" for at, block in enumerate(blocks[:shown])
        )
        for row in range(4)
    ]


def _rate(before: Sample, now: Sample, name: str, in_bytes: bool = False) -> str:
    seconds = now.at - before.at
    counted = now.overview["messages"][name] - before.overview["messages"][name]
    if seconds <= 0 or counted < 0:  # The first picture, or a broker that was started again.
        return "–"
    return f"{size(counted / seconds)}/s" if in_bytes else f"{counted / seconds:,.0f}/s"
