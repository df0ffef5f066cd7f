"""Packages of npm that some tests need, installed as a lock file says, outside of the tree."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.support.tools import missing, require_tool

__all__ = ["node_modules"]

_FILES = ("package.json", "package-lock.json")
_TIMEOUT = 50.0


def node_modules(config: pytest.Config, folder: Path) -> Path:
    """Return the ``node_modules`` of a folder with a lock file, installed on first use into pytest's cache.

    Skips the test (fails it, where tools are required) when there is no Node or npm, or npm cannot install.
    """
    require_tool("node")
    npm = require_tool("npm")
    assert config.cache is not None, "the cache plugin is off"
    digest = hashlib.sha256((folder / "package-lock.json").read_bytes()).hexdigest()[:16]
    cache = config.cache.mkdir("node")
    wanted = cache / digest
    if not wanted.exists():
        # Installed aside and renamed, since another process may be doing the same.
        with tempfile.TemporaryDirectory(dir=cache) as aside:
            made = Path(aside, "installed")
            made.mkdir()
            for name in _FILES:
                shutil.copy(folder / name, made)
            _install(npm, made)
            if not wanted.exists():
                made.rename(wanted)
    return wanted / "node_modules"


def _install(npm: str, folder: Path) -> None:
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, timeout=_TIMEOUT)
    except subprocess.CalledProcessError as error:
        missing(f"npm cannot install the packages: {error.stderr[-500:]}")
    except subprocess.TimeoutExpired:
        missing(f"npm did not install the packages within {_TIMEOUT} s")
