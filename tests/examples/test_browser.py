"""What of examples/browser needs no browser; tests/browser has the rest."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mqttbroker.config import check_exposure, load_config

EXAMPLE = Path(__file__).parents[2] / "examples" / "browser"


def test_the_configuration_serves_what_is_built() -> None:
    config = load_config(EXAMPLE / "mqttbroker.toml", environ={})
    check_exposure(config)
    assert [(each.type, each.port, each.pages) for each in config.listeners] == [
        ("tcp", 1883, None),
        ("websocket", 8083, EXAMPLE / "dist"),
    ]


@pytest.mark.parametrize("group", ["dependencies", "devDependencies"])
def test_versions_are_exact(group: str) -> None:
    versions = json.loads((EXAMPLE / "package.json").read_text(encoding="utf-8"))[group]
    locked = json.loads((EXAMPLE / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    assert versions == {name: locked[f"node_modules/{name}"]["version"] for name in versions}


def test_the_page_asks_nobody_else() -> None:
    page = (EXAMPLE / "index.html").read_text(encoding="utf-8") + (EXAMPLE / "style.css").read_text(encoding="utf-8")
    # A name space is no address.
    page = page.replace("http://www.w3.org/2000/svg", "")
    assert "//" not in page
    assert "@import" not in page


def test_what_strangers_write_is_never_html() -> None:
    program = (EXAMPLE / "app.js").read_text(encoding="utf-8")
    for name in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "setHTML", "eval("):
        assert name not in program
