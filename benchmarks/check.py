"""``python -m benchmarks.check``: has a message become more expensive since the release before?

The six loads that goals are set for, both builds, each as a ratio to a reference that is measured in the same run:
Mosquitto, or where there is none the bare relay. So the figures that are kept, in ``benchmarks/baseline.json``, hold on
other machines as well, if not as tightly. ``--update`` keeps those of this run, which belongs to a release.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.certificates import Certificates
from benchmarks.install import prepare
from benchmarks.machine import machine
from benchmarks.peers import OURS, peer
from benchmarks.ratios import Ratio
from benchmarks.results import Measured
from benchmarks.runner import measure
from benchmarks.scenarios import CASES, SCENARIOS

__all__ = ["Ratios", "Verdict", "confirmed", "main", "ratios_of", "verdicts"]

BASELINE = Path(__file__).with_name("baseline.json")
TOLERANCE = 0.10
"""How much worse a median may be."""
REFERENCES = ("mosquitto", "relay")
"""The better one first."""
RELAYED = {5: 1, 6: 2}
"""The relay does not acknowledge: for these, it is measured with the load of the same clients at QoS 0."""

Ratios = Mapping[str, Mapping[int, Ratio]]
"""By build and number of the scenario."""


@dataclass(frozen=True)
class Verdict:
    """One build and one scenario, before and now."""

    build: str
    number: int
    before: Ratio | None
    now: Ratio | None

    @property
    def change(self) -> float | None:
        """By what the median is multiplied."""
        return self.now.middle / self.before.middle if self.now and self.before else None

    @property
    def worse(self) -> bool:
        """Whether the median is too high and no round as good as it was; or there is nothing where something was."""
        if self.now is None or self.before is None:
            return self.before is not None
        return self.now.middle > self.before.middle * (1 + TOLERANCE) and self.now.low > self.before.middle

    def __str__(self) -> str:
        change = "" if self.change is None else f"{self.change - 1:+.0%}"
        word = "WORSE" if self.worse else "new" if self.before is None else "good"
        name = f"{self.number}. {SCENARIOS[self.number - 1].name}"
        return f"{self.build:9} {name:31} {self.before or '-'!s:>22} {self.now or '-'!s:>22} {change:>6}  {word}"


def ratios_of(measured: Sequence[Measured], reference: str) -> Ratios:
    """The ratios to a reference, of what was measured."""
    by_number = {each.number: each for each in measured}
    found: dict[str, dict[int, Ratio]] = {build: {} for build in OURS}
    for build in OURS:
        for number, each in by_number.items():
            beside = by_number[RELAYED.get(number, number)] if reference == "relay" else each
            ours, theirs = each.figures(build, "cpu"), beside.figures(reference, "cpu")
            if ours and len(ours) == len(theirs):
                found[build][number] = Ratio.of(ours, theirs)
    return found


def verdicts(before: Ratios, now: Ratios) -> list[Verdict]:
    """All of them, by build and scenario."""
    numbers = range(1, len(SCENARIOS) + 1)
    every = [
        Verdict(build, number, before.get(build, {}).get(number), now.get(build, {}).get(number))
        for build in OURS
        for number in numbers
    ]
    return [each for each in every if each.before or each.now]


def confirmed(first: Sequence[Verdict], second: Sequence[Verdict]) -> list[Verdict]:
    """The verdicts, where those that were worse give way to the second ones."""
    repeated = {(each.build, each.number): each for each in second}
    return [repeated.get((each.build, each.number), each) if each.worse else each for each in first]


def read(path: Path) -> dict[str, Ratios]:
    """The ratios that were kept, by reference."""
    kept = json.loads(path.read_text(encoding="utf-8"))["ratios"]
    return {
        reference: {
            build: {int(number): Ratio(**ratio) for number, ratio in ratios.items()} for build, ratios in builds.items()
        }
        for reference, builds in kept.items()
    }


def keep(path: Path, ratios: Mapping[str, Ratios], version: str) -> None:
    """Write what :func:`read` reads."""
    kept = {
        reference: {
            build: {str(number): _short(ratio) for number, ratio in each.items()} for build, each in builds.items()
        }
        for reference, builds in ratios.items()
    }
    content = {"version": version, "machine": machine(), "ratios": kept}
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _short(ratio: Ratio) -> dict[str, float]:
    return {key: float(f"{value:.4g}") for key, value in asdict(ratio).items()}


def run(rounds: int, seconds: float, numbers: Collection[int]) -> dict[str, Ratios]:
    """Measure scenarios; the ratios by reference."""
    there, left_out = prepare([*OURS, *REFERENCES])
    for title, why in left_out.items():
        print(f"{title} is left out: {why}", file=sys.stderr)
    # What the relay is measured with comes along with what it stands for.
    wanted = {*numbers, *(RELAYED[number] for number in numbers if number in RELAYED)}
    cases = [case for case in CASES if case.section == "messages" and case.number in wanted]
    with tempfile.TemporaryDirectory() as folder:
        certificates = Certificates.make(Path(folder))
        measured = []
        for case in cases:
            names = [name for name in there if name != "relay" or name in case.further]
            measured.append(measure(case, names, rounds, seconds, certificates, print))
    return {reference: ratios_of(measured, reference) for reference in REFERENCES if reference in there}


def main(words: Sequence[str] | None = None) -> None:
    """Measure and compare; exits with 1 where something is worse, and with 2 where there is nothing to compare."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.check", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each round")
    parser.add_argument("--only", metavar="N,N", help="scenarios, by their numbers")
    parser.add_argument("--update", action="store_true", help="keep the figures of this run")
    parser.add_argument("--baseline", type=Path, default=BASELINE, metavar="FILE")
    options = parser.parse_args(words)
    if options.update and options.only:
        parser.error("all figures are kept together: --update goes without --only")
    if not options.update and not options.baseline.exists():
        parser.exit(2, f"There is no {options.baseline}; --update makes one.\n")
    before = read(options.baseline) if options.baseline.exists() else {}
    numbers = [int(each) for each in options.only.split(",")] if options.only else range(1, len(SCENARIOS) + 1)
    now = run(options.rounds, options.seconds, numbers)
    common = [reference for reference in REFERENCES if reference in now and (reference in before or options.update)]
    if not common:
        parser.exit(2, "There is no reference that the kept figures have as well.\n")
    found = [each for each in verdicts(before.get(common[0], {}), now[common[0]]) if each.number in numbers]
    if not options.update and (again := {verdict.number for verdict in found if verdict.worse}):
        print("Once more, since something is worse:")
        repeated = run(options.rounds, options.seconds, again)
        found = confirmed(found, verdicts(before[common[0]], repeated.get(common[0], {})))
    print(f"\nCPU of a message, as a ratio to {peer(common[0])[0].title}: before, now")
    for verdict in found:
        print(verdict)
    if options.update:
        keep(options.baseline, now, peer("pure")[0].version())
    elif any(verdict.worse for verdict in found):
        sys.exit(1)


if __name__ == "__main__":
    main()
