"""Runs the conformance tests and writes ``docs/conformance.md``: what was shown, statement by statement.

``python -m tests.conformance.report`` (or ``make conformance``). With ``--check`` the file is compared instead of
written, and the run fails if it would change. What is written depends on the tests and their results alone: no dates,
no times, no machine. Further arguments go to pytest; a run of a part of the tests writes nothing.
"""

from __future__ import annotations

import ast
import inspect
import itertools
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path

import pytest

from tests.conformance.choices import CHOICES, Choice
from tests.conformance.statements import BY_THE_OTHERS, FOLDER, MARK, TABLES, TITLES, Statement, load

__all__ = ["Results", "main", "render"]

ROOT = FOLDER.parent.parent
REPORT = ROOT / "docs" / "conformance.md"
HEAD = """# Conformance

<!-- Written by `make conformance`; do not edit. -->

Every numbered statement of the standards, in our words, with the tests that hold a running broker to it over real
sockets. A statement is listed as **passed** if all tests that name it pass. Those that bind clients alone need no test;
where there is one, it shows what the broker does with a client that breaks the rule.
"""


@dataclass(slots=True)
class Results:
    """What a run has shown; a plug-in for pytest that looks at reports, so that it works with pytest-xdist too."""

    tests: dict[str, dict[str, dict[str, set[str]]]] = field(default_factory=dict)
    """By version, statement and name of a test: the outcomes of the test and its variants."""
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(TABLES, 0))
    """Tests that were run, each variant for itself, by version."""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note the outcome of a test."""
        if report.when != "call" and report.outcome == "passed":
            return
        path, _, name = report.nodeid.partition("::")
        parts = Path(path).parts
        version = parts[parts.index(FOLDER.name) + 1] if FOLDER.name in parts else ""
        if version not in TABLES:
            return
        if report.when == "call":
            self.counts[version] += 1
        test = f"{version}/{parts[-1]}::{name.partition('[')[0]}"
        for key, statement in report.user_properties:
            if key == MARK:
                outcomes = self.tests.setdefault(version, {}).setdefault(str(statement), {})
                # A failure that is expected is a failure all the same.
                outcome = "failed" if hasattr(report, "wasxfail") else report.outcome
                outcomes.setdefault(test, set()).add(outcome)

    def of(self, version: str, statement: Statement) -> dict[str, set[str]]:
        """The tests of a statement with their outcomes."""
        return self.tests.get(version, {}).get(statement.id, {})

    def verdict(self, version: str, statement: Statement) -> str:
        """One word for a statement."""
        outcomes = set[str]().union(*self.of(version, statement).values())
        if "failed" in outcomes:
            return "**failed**"
        if statement.check == BY_THE_OTHERS:
            return "by the others"
        if "passed" in outcomes:
            return "passed"
        return "**no test**" if statement.needs_test else "client only"


def render(results: Results) -> str:
    """The whole report."""
    parts = [HEAD, *_totals(results)]
    for version in TABLES:
        parts += [f"\n## {TITLES[version]}\n", *_table(results, version)]
    parts += _choices()
    parts += _limits()
    return "\n".join(parts) + "\n"


def _totals(results: Results) -> Iterator[str]:
    yield "| | statements | bind a server | passed | failed | without a test | client only | tests run |"
    yield "|---|---:|---:|---:|---:|---:|---:|---:|"
    for version in TABLES:
        rows = list(load(version).values())
        needed = [row for row in rows if row.role != "client"]
        verdicts = [results.verdict(version, row) for row in needed]
        yield (
            "| "
            + " | ".join(
                (
                    TITLES[version],
                    str(len(rows)),
                    str(len(needed)),
                    str(sum(verdict in ("passed", "by the others") for verdict in verdicts)),
                    str(verdicts.count("**failed**")),
                    str(verdicts.count("**no test**")),
                    str(len(rows) - len(needed)),
                    str(results.counts[version]),
                )
            )
            + " |"
        )


def _table(results: Results, version: str) -> Iterator[str]:
    sections: dict[str, list[Statement]] = defaultdict(list)
    for row in load(version).values():
        sections[_chapter(row.id)].append(row)
    for chapter, rows in sections.items():
        yield f"\n### {chapter}\n"
        yield "| statement | binds | in our words | tests | result |"
        yield "|---|---|---|---|---|"
        for row in rows:
            tests = "<br>".join(_link(test) for test in sorted(results.of(version, row))) or "-"
            yield f"| {row.id} | {row.role} | {_cell(row.statement)} | {tests} | {results.verdict(version, row)} |"


def _chapter(statement: str) -> str:
    numbers = statement.split("-")[1].split(".")
    return f"Section {numbers[0]}.{numbers[1]}"


def _link(test: str) -> str:
    path, *_, name = test.split("::")
    return f"[{name.removeprefix('test_').replace('_', ' ')}](../tests/conformance/{path})"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def _choices() -> Iterator[str]:
    yield "\n## What the standard leaves to a server\n"
    yield "| section | left open | this broker |"
    yield "|---|---|---|"
    defaults = {name: value for name, value, _ in _defaults()}
    for choice in CHOICES:
        yield f"| {choice.section} | {_cell(choice.left_open)} | {_cell(_filled(choice, defaults))} |"


def _filled(choice: Choice, defaults: dict[str, object]) -> str:
    return choice.behaviour.format_map(defaults)


def _limits() -> Iterator[str]:
    yield "\n## Limits\n"
    yield "| limit | default | meaning |"
    yield "|---|---:|---|"
    for name, value, meaning in _defaults():
        shown = f'"{value}"' if isinstance(value, str) else str(value).lower()
        yield f"| `{name}` | {shown} | {_cell(meaning)} |"


def _defaults() -> Iterator[tuple[str, object, str]]:
    """Name, default and docstring of each limit. The docstrings are in the source alone: Python does not keep them."""
    # The broker is a plug-in of pytest, which must be the first to import it, so that it can rewrite assertions.
    from mqttbroker.broker import Limits, limits

    tree = ast.parse(inspect.getsource(limits))
    body = next(node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Limits")
    meanings: dict[str, str] = {}
    for statement, following in itertools.pairwise(body):
        match statement, following:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                meanings[name] = " ".join(text.split())
    defaults = Limits()
    for item in fields(Limits):
        yield item.name, getattr(defaults, item.name), meanings[item.name]


def main(arguments: list[str]) -> int:
    """Run the tests, and write the report or compare it; the exit status."""
    check = "--check" in arguments
    rest = [argument for argument in arguments if argument != "--check"]
    results = Results()
    status = int(pytest.main([str(FOLDER), "-q", *rest], plugins=[results]))
    if status not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        return status
    if rest and any(argument in ("-k", "-m", "-x", "--lf") for argument in rest):
        print("only a part of the tests was asked for: no report", file=sys.stderr)
        return status
    report = render(results)
    if not check:
        REPORT.write_text(report, encoding="utf-8")
        print(f"wrote {REPORT.relative_to(ROOT)}")
    elif not REPORT.exists() or REPORT.read_text(encoding="utf-8") != report:
        print(f"{REPORT.relative_to(ROOT)} is out of date: run `make conformance`", file=sys.stderr)
        return status or 1
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
