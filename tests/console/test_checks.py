"""What the console's own tools say of it, and that its types of the API are those of the API."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from mqttbroker.admin.openapi import describe
from mqttbroker.admin.server import endpoints
from tests.console import pages
from tests.support.tools import require_tool

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

TIMEOUT = 150.0


@pytest.fixture(scope="module")
def web(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sources, in which npm can be run."""
    return pages.workshop(pytestconfig, tmp_path_factory.mktemp("checks") / "web")


def npm(web: Path, *arguments: str) -> None:
    """Run a script of package.json, which must find nothing."""
    command = [require_tool("npm"), "run", "--silent", *arguments]
    ended = subprocess.run(command, cwd=web, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_style(web: Path) -> None:
    npm(web, "lint")


def test_units(web: Path) -> None:
    npm(web, "test")


def test_types(web: Path) -> None:
    npm(web, "types")


def test_size_and_nothing_inline(web: Path, build: Path) -> None:
    command = [require_tool("node"), "tools/check-dist.mjs", f"{build}/"]
    ended = subprocess.run(command, cwd=web, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_types_of_the_api_are_up_to_date(web: Path) -> None:
    """``make console-types`` writes them."""
    (web.parent / "build").mkdir()
    (web.parent / "build" / "openapi.json").write_text(json.dumps(describe(endpoints())), encoding="utf-8")
    schema = web / "src" / "api" / "schema.d.ts"
    written = schema.read_text(encoding="utf-8")
    npm(web, "api")
    assert schema.read_text(encoding="utf-8") == written
