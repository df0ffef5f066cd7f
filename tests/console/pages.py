"""The console as it is built from what is in the tree now."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
from pathlib import Path

import pytest

from build_console import WEB, digest
from tests.support import npm
from tests.support.tools import require_tool

__all__ = ["axe", "built", "workshop"]

BUILD_TIMEOUT = 50.0
_NO_SOURCES = shutil.ignore_patterns("node_modules")


def workshop(config: pytest.Config, folder: Path) -> Path:
    """A copy of the console's sources in a new folder, with all that builds and checks them."""
    installed = npm.node_modules(config, WEB)
    shutil.copytree(WEB, folder, ignore=_NO_SOURCES)
    (folder / "node_modules").symlink_to(installed)
    return folder


def built(config: pytest.Config, folder: Path) -> Path:
    """The built console, from pytest's cache where it has these sources already. ``folder`` is a new one to work in.

    Types are not checked here, so that tests of one page do not depend on another that is half written.
    """
    node = require_tool("node")
    copy = workshop(config, folder)
    assert config.cache is not None, "the cache plugin is off"
    cache = config.cache.mkdir("console")
    wanted = cache / digest(copy)[:16]
    # Processes of one run all come at once; one builds, and the others take what it has built.
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not wanted.exists():
            command = [node, "node_modules/vite/bin/vite.js", "build", "--outDir", "built"]
            ended = subprocess.run(command, cwd=copy, capture_output=True, text=True, timeout=BUILD_TIMEOUT)
            assert ended.returncode == 0, ended.stdout + ended.stderr
            shutil.move(copy / "built", wanted)
    return wanted


def axe(config: pytest.Config) -> str:
    """The script that looks for what keeps people from using a page."""
    return (npm.node_modules(config, WEB) / "axe-core" / "axe.min.js").read_text(encoding="utf-8")
