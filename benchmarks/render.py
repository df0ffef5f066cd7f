"""The report as Markdown, from what was measured and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from benchmarks.goals import goals_of
from benchmarks.peers import OURS
from benchmarks.plots import plots
from benchmarks.ratios import rounded
from benchmarks.results import Cell, Measured, Report, Table
from benchmarks.scenarios import SECTIONS, Section

__all__ = ["losses", "markdown", "write"]

BEGINNING = """\
# Benchmarks

`make bench` measures, and writes this page, [its figures](benchmarks/results.json) and its plots; `python -m benchmarks
--render` writes it again from these figures. [performance.md](performance.md) has what connections and transports cost,
and what was tried to make them cheap.

What counts are ratios of brokers that took turns on one machine, in the same minutes: a ratio below 1 is better for
this broker. It is the median of the rounds, with the lowest and the highest in brackets. Absolute figures are of one
machine, and another has others.
"""

METHOD = """\
## How it was measured

Each broker is a process of its own, a new one for each round of each load. It keeps everything in memory, is open to
everybody, has limits that the load does not reach, and runs otherwise as it comes. The load is another process, and
warms up for a fifth of the time before it counts. CPU time is that of all threads of the broker's process and of its
children. Both builds of this broker run with the same interpreter and dependencies.
"""


def write(report: Report, folder: Path) -> list[Path]:
    """Write the page, its figures and its plots; their paths."""
    files = {Path("benchmarks.md"): markdown(report)}
    files |= {Path("benchmarks") / name: plot for name, plot in plots(report).items()}
    (folder / "benchmarks").mkdir(parents=True, exist_ok=True)
    for old in (folder / "benchmarks").glob("*.svg"):
        old.unlink()
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    report.write(folder / "benchmarks/results.json")
    return [folder / name for name in files]


def markdown(report: Report) -> str:
    """The page."""
    notes = Notes()
    parts = [BEGINNING]
    if report.quick:
        parts.append("**This is a quick run: its figures say no more than that everything works.**\n")
    parts += [_goals(report), _losses(report)]
    for section in SECTIONS:
        measured = report.of(section.key)
        if measured:
            parts.append(f"## {section.title}\n\n{section.text}\n")
            parts.append(_TABLES.get(section.key, _loads)(report, section, notes))
    parts += [_table(each) for each in report.tables]
    parts += [_method(report), notes.text()]
    return "\n".join(part for part in parts if part)


class Notes:
    """Footnotes; the same text has one."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}

    def dash(self, measured: Measured, broker: str, title: str) -> str:
        """What a table has in the place of a figure."""
        why = measured.failures.get(broker)
        if why is None:
            return "–"
        number = self.numbers.setdefault(f"{title}: {why}", len(self.numbers) + 1)
        return f"–[^{number}]"

    def text(self) -> str:
        """All of them."""
        return "\n".join(f"[^{number}]: {text}" for text, number in self.numbers.items()) + (
            "\n" if self.numbers else ""
        )


def grid(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table. The first column is text, the others are figures."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"


def _goals(report: Report) -> str:
    goals = goals_of(report.measured)
    if not goals:
        return ""
    rows = []
    for goal in goals:
        verdict = {True: "met", False: "**not met**", None: "not measured"}[goal.met]
        title = report.brokers[goal.build].title if goal.build in report.brokers else goal.build
        reached = str(goal.reached) if goal.reached else "–"
        rows.append([f"{title}: {goal.number}. {goal.name}", rounded(goal.wanted), reached, verdict])
    text = "## Goals\n\nCPU time of the broker for one delivered message, as a ratio to Mosquitto's.\n\n"
    plot = "\n![CPU time beside Mosquitto](benchmarks/ratio.svg)\n" if any(goal.reached for goal in goals) else ""
    return text + grid(["scenario", "goal", "ratio", ""], rows) + plot


def losses(report: Report) -> list[tuple[float, str]]:
    """Where one of our builds needs more CPU time for a message than another broker, the worst first."""
    found = []
    for each in report.measured:
        if each.section in ("options", "latency"):
            continue
        for build in OURS:
            for name, broker in report.brokers.items():
                ratio = each.ratio(build, name) if name not in (*OURS, "relay") else None
                if ratio and ratio.middle > 1:
                    title = report.brokers[build].title
                    found.append((ratio.middle, f"{each.name}: {title} to {broker.title} {ratio}"))
    return sorted(found, reverse=True)


def _losses(report: Report) -> str:
    if not report.measured:
        return ""
    lines = [f"- {text}" for _, text in losses(report)]
    text = "\n".join(lines) if lines else "Nowhere in this run."
    return f"## Where this broker loses\n\nRatios of CPU time for one message above 1, the worst first.\n\n{text}\n"


def _loads(report: Report, section: Section, notes: Notes) -> str:
    """CPU time, ratios and rates of a section."""
    measured = report.of(section.key)
    names = _measured_brokers(report, measured)
    titles = [report.brokers[name].title for name in names]

    def table(what: str, figure: str, text: Callable[[float], str]) -> str:
        rows = []
        for each in measured:
            middles = [(name, each.middle(name, figure)) for name in names]
            cells = [
                notes.dash(each, name, report.brokers[name].title) if value is None else text(value)
                for name, value in middles
            ]
            rows.append([_label(each), *cells])
        return grid([what, *titles], rows)

    plots_of = {"messages": ("cpu", "rate")}.get(section.key, (section.key,) if section.key != "slow" else ())
    parts = [table("CPU of the broker for a delivered message, µs", "cpu", significant)]
    parts += [_ratios(report, measured, build, names) for build in OURS if build in names]
    parts.append(table("messages delivered in a second", "rate", lambda rate: f"{rate:,.0f}"))
    parts += [f"![{section.title}: {plot}](benchmarks/{plot}.svg)\n" for plot in plots_of]
    if section.key == "messages":
        parts.append(_floor(report, measured))
    return "\n".join(part for part in parts if part)


def _ratios(report: Report, measured: list[Measured], build: str, names: list[str]) -> str:
    others = [name for name in names if name not in OURS]
    if not others:
        return ""
    rows = []
    for each in measured:
        ratios = [each.ratio(build, name) for name in others]
        rows.append([_label(each), *("–" if ratio is None else str(ratio) for ratio in ratios)])
    title = f"{report.brokers[build].title}: ratio of CPU time to"
    return grid([title, *(report.brokers[name].title for name in others)], rows)


def _floor(report: Report, measured: list[Measured]) -> str:
    rows = []
    names = [name for name in (*OURS, "mosquitto") if name in report.brokers]
    for each in measured:
        floor = each.middle("relay", "cpu")
        if floor is not None:
            ratios = [each.ratio(name, "relay") for name in names]
            rows.append([_label(each), significant(floor), *(str(ratio) if ratio else "–" for ratio in ratios)])
    if not rows:
        return ""
    text = (
        "### The floor\n\nA relay in C copies bytes from publishers to subscribers and looks at none of them: what the "
        "system alone costs. Its CPU time, and the brokers' as a ratio to it:\n\n"
    )
    return text + grid(["scenario", "relay, µs", *(report.brokers[name].title for name in names)], rows)


def _latency(report: Report, section: Section, notes: Notes) -> str:
    measured = report.of(section.key)
    names = _measured_brokers(report, measured)
    rows = []
    for each in measured:
        cells = []
        for name in names:
            values = [each.middle(name, figure) for figure in ("p50", "p99", "p99.9")]
            known = [significant(value) for value in values if value is not None]
            cells.append(" / ".join(known) or notes.dash(each, name, report.brokers[name].title))
        rows.append([_label(each), *cells])
    head = ["ms: p50 / p99 / p99.9", *(report.brokers[name].title for name in names)]
    return grid(head, rows) + "\n![Latency](benchmarks/latency.svg)\n"


def _options(report: Report, section: Section, notes: Notes) -> str:
    measured = report.of(section.key)
    names = sorted({name for each in measured for name in (*each.rounds, *each.failures) if "+" in name})
    rows = []
    for each in measured:
        ratios = [(name, each.ratio(name, name.partition("+")[0])) for name in names]
        rows.append([_label(each), *(str(ratio) if ratio else notes.dash(each, name, name) for name, ratio in ratios)])
    heads = [f"{report.brokers[name.partition('+')[0]].title}: {name.partition('+')[2]}" for name in names]
    return grid(["ratio of CPU time, with to without", *heads], rows)


_TABLES = {"latency": _latency, "options": _options}


def _table(table: Table) -> str:
    heads = list(dict.fromkeys(head for row in table.rows for head in row))
    rows = [[_cell(row.get(head)) for head in heads] for row in table.rows]
    text = f"{table.text}\n\n" if table.text else ""
    return f"## {table.title}\n\n{text}" + (grid(heads, rows) if rows else "")


def _cell(cell: Cell) -> str:
    if cell is None:
        return "–"
    if isinstance(cell, int):
        return f"{cell:,}"
    return significant(cell) if isinstance(cell, float) else cell


def significant(value: float) -> str:
    """A figure with two or three digits that count."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _method(report: Report) -> str:
    lines = [f"- {name}: {value}" for name, value in report.machine.items()]
    lines += [f"- {broker.title}: {broker.version}" for broker in report.brokers.values()]
    lines += [f"- {title} is left out: {why}" for title, why in report.left_out.items()]
    rounds = []
    for section in SECTIONS:
        if measured := report.of(section.key):
            most = max((len(each) for one in measured for each in one.rounds.values()), default=0)
            rounds.append(f"{section.title} {most}")
    if rounds:
        lines.append(f"- Rounds: {', '.join(rounds)}")
    return f"{METHOD}\n" + "\n".join(lines) + "\n"


def _label(measured: Measured) -> str:
    return f"{measured.number}. {measured.name}" if measured.section == "messages" else measured.name


def _measured_brokers(report: Report, measured: list[Measured]) -> list[str]:
    """In the order of the report, without the relay."""
    present = {name for each in measured for name in (*each.rounds, *each.failures)}
    return [name for name in report.brokers if name in present and name != "relay"]
