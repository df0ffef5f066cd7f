"""Draw a sample of mutants, have mutmut test each, and report which survived.

All mutants of the four packages would take days, so a sample is drawn: from each package in proportion to its mutants,
with a seed, from a list in a fixed order. The same tree and the same seed give the same sample.

Everything happens in a copy of the tree, so that nobody who works in it is disturbed. Mutants are made and tested by
mutmut as ``[tool.mutmut]`` in pyproject.toml says; a copy that is there is used again, and mutmut then makes only those
anew whose functions have changed.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from random import Random

__all__ = ["PACKAGES", "draw", "main", "package", "verdicts"]

ROOT = Path(__file__).parents[2]
COPIED = ["mqttbroker", "tests", "pyproject.toml"]
PACKAGES = ["protocol", "topics", "sessions", "broker"]
ANY = "mqttbroker.topics.names.x_filter_matches*"
"""A few mutants, to have mutmut make all of them."""
COUNTED = ["killed", "timeout", "survived", "no tests"]


def mutmut(workdir: Path, *arguments: str) -> str:
    """Run mutmut in the copy; what it printed."""
    command = [str(Path(sys.executable).with_name("mutmut")), *arguments]
    done = subprocess.run(command, cwd=workdir, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command[:4])} ... failed:\n{done.stdout[-5_000:]}{done.stderr[-5_000:]}")
    return done.stdout


def copy(workdir: Path) -> None:
    """Bring the copy up to date; times of files are kept, by which mutmut sees what has changed."""
    workdir.mkdir(parents=True, exist_ok=True)
    for name in COPIED:
        source, target = ROOT / name, workdir / name
        if source.is_dir():
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, target)
    shutil.rmtree(workdir / "mutants" / "tests", ignore_errors=True)


def verdicts(printed: str) -> dict[str, str]:
    """Mutants and what is known of each, from the output of ``mutmut results``."""
    return dict(re.findall(r"^ +(mqttbroker\.\S+): (.+)$", printed, re.MULTILINE))


def package(mutant: str) -> str:
    """The package that a mutant is of."""
    return mutant.split(".")[1]


def draw(mutants: list[str], size: int, seed: int) -> list[str]:
    """A sample in proportion to the packages, with at least one of each."""
    rng = Random(seed)
    chosen: list[str] = []
    for name in PACKAGES:
        there = sorted(each for each in mutants if package(each) == name)
        chosen += rng.sample(there, min(len(there), max(1, round(size * len(there) / len(mutants)))))
    return chosen


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="make mutation", description="Mutation testing of a random sample.")
    parser.add_argument("--size", type=int, default=400, help="mutants to test (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the sample (%(default)s)")
    parser.add_argument("--jobs", type=int, default=2, help="processes (%(default)s)")
    parser.add_argument("--workdir", type=Path, default=ROOT / "build" / "mutation", help="where to work")
    parser.add_argument("--only", nargs="*", metavar="MUTANT", help="test these instead of a sample")
    arguments = parser.parse_args()
    jobs = f"--max-children={arguments.jobs}"

    copy(arguments.workdir)
    print("Making mutants, and finding out which test reaches which function ...", flush=True)
    mutmut(arguments.workdir, "run", jobs, ANY)
    known = verdicts(mutmut(arguments.workdir, "results", "--all", "true"))
    sample = arguments.only or draw(list(known), arguments.size, arguments.seed)
    print(f"Testing {len(sample)} of {len(known)} mutants ...", flush=True)
    mutmut(arguments.workdir, "run", jobs, *sample)
    known = verdicts(mutmut(arguments.workdir, "results", "--all", "true"))

    print(f"\n{'':10}{'mutants':>10}{'tested':>10}" + "".join(f"{each:>10}" for each in COUNTED))
    for name in [*PACKAGES, ""]:
        everything = [each for each in known if name in ("", package(each))]
        count = Counter(known[each] for each in sample if name in ("", package(each)))
        numbers = [len(everything), count.total(), *(count[each] for each in COUNTED)]
        print(f"{name or 'all':10}" + "".join(f"{number:>10}" for number in numbers))
    for mutant in sample:
        if known[mutant] not in ("killed", "timeout"):
            print("\n" + mutmut(arguments.workdir, "show", mutant).strip())


if __name__ == "__main__":
    main()
