"""``python -m benchmarks``: measure this broker, compiled and pure, beside others, and write the report.

A whole run writes ``docs/benchmarks.md``. What is measured in part, or quickly, goes to ``build/bench/report``; with
``--again``, to its place in the whole.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.certificates import Certificates
from benchmarks.further import FURTHER, tables
from benchmarks.install import prepare
from benchmarks.machine import machine
from benchmarks.peers import BUILDS, OURS, ROOT, add_command, peer
from benchmarks.render import write
from benchmarks.results import Broker, Report
from benchmarks.runner import measure
from benchmarks.scenarios import BROKERS, CASES, SECTIONS

__all__ = ["main"]

PARTS = BUILDS / "report"
"""Where the report of a run goes that is not whole."""


def main(words: Sequence[str] | None = None) -> None:
    """Measure, or write the report again."""
    options = _parser().parse_args(words)
    whole = not (options.quick or options.only or options.peers)
    folder = options.output or (ROOT / "docs" if whole or options.render or options.again else PARTS)
    kept = folder / "benchmarks/results.json"
    report = Report.read(kept) if options.render or options.again else run(options)
    if options.again:
        report.replace(run(options))
    for path in write(report, folder):
        print(path)


def run(options: argparse.Namespace) -> Report:
    """Measure everything that is asked for."""
    own = [_add(each) for each in options.broker]
    wanted = [name for name in BROKERS if name in (*OURS, *(options.peers or BROKERS))]
    there, left_out = prepare([*wanted, *own, "relay"])
    brokers = {name: Broker(peer(name)[0].title, peer(name)[0].version()) for name in there}
    report = Report(machine(), options.quick, brokers, left_out)
    sections = {section.key: section for section in SECTIONS}
    with tempfile.TemporaryDirectory() as folder:
        certificates = Certificates.make(Path(folder))
        for case in CASES:
            if options.only and case.number not in options.only:
                continue
            candidates = [*case.brokers, *(own if case.brokers == BROKERS else ()), *case.further]
            taking_part = [name for name in candidates if name.partition("+")[0] in brokers]
            section = sections[case.section]
            rounds = options.rounds or (1 if options.quick else section.rounds)
            seconds = options.seconds or (0.5 if options.quick else section.seconds)
            report.measured.append(measure(case, taking_part, rounds, seconds, certificates, _say))
    report.tables += tables(options.only, options.quick, there, _say)
    return report


def _add(text: str) -> str:
    name, _, command = text.partition("=")
    try:
        add_command(name, command)
    except ValueError as error:
        sys.exit(f"--broker: {error}")
    return name


def _say(text: str) -> None:
    print(text, flush=True)


def _numbers(text: str) -> list[int]:
    return [int(each) for each in text.split(",")]


def _peers(text: str) -> list[str]:
    names = text.split(",")
    if unknown := set(names) - set(BROKERS):
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(BROKERS)}")
    return names


def _parser() -> argparse.ArgumentParser:
    lines = [f"  {number:2}  {title}" for number, title in sorted(_titles().items())]
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        epilog="numbers:\n" + "\n".join(lines),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="one round of half a second each")
    parser.add_argument("--only", type=_numbers, metavar="N,N", help="numbers of what is measured")
    others = ", ".join(name for name in BROKERS if name not in OURS)
    parser.add_argument("--peers", type=_peers, metavar="NAME,NAME", help=f"others to measure; all are {others}")
    parser.add_argument(
        "--broker", action="append", default=[], metavar="NAME=COMMAND", help="another one; {port} is replaced"
    )
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=float, help="of each round")
    parser.add_argument("--output", type=Path, metavar="DIR", help="where the report goes")
    parser.add_argument("--again", action="store_true", help="put what is measured into the report that there is")
    parser.add_argument("--render", action="store_true", help="write the report again, and measure nothing")
    return parser


def _titles() -> dict[int, str]:
    titles = {case.number: case.name for case in CASES}
    sections = {section.key: section.title for section in SECTIONS}
    titles |= {case.number: sections[case.section] for case in CASES if case.section != "messages"}
    for each in FURTHER:
        titles[each.number] = f"{titles[each.number]}; {each.title}" if each.number in titles else each.title
    return titles


if __name__ == "__main__":
    main()
