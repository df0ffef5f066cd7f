"""Rules of the house that no other tool holds: what a newcomer relies on when reading and what a release must say."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

import mqttbroker

ROOT = Path(__file__).parents[1]
MODULES = sorted(ROOT.glob("mqttbroker/**/*.py"))
PYTHON_FILES = [*MODULES, *sorted(ROOT.glob("tests/**/*.py")), *sorted(ROOT.glob("examples/*.py"))]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

# Tables of cases grow with the cases; splitting them would only hide some.
TABLES = {"tests/protocol/vectors.py"}
MOST_LINES = 500


def name(path: Path) -> str:
    """A path as it is shown: from the project's root."""
    return path.relative_to(ROOT).as_posix()


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), name(path))


def public_names(module: ast.Module) -> list[str] | None:
    """What ``__all__`` says, or None where there is none."""
    for statement in module.body:
        target = statement.targets[0] if isinstance(statement, ast.Assign) else getattr(statement, "target", None)
        if (
            isinstance(statement, ast.Assign | ast.AnnAssign)
            and isinstance(target, ast.Name)
            and target.id == "__all__"
        ):
            assert statement.value is not None
            names: list[str] = ast.literal_eval(statement.value)
            return names
    return None


@pytest.mark.parametrize("path", MODULES, ids=name)
class TestModules:
    """Every module of the package."""

    def test_says_what_it_is_for(self, path: Path) -> None:
        assert ast.get_docstring(parse(path))

    def test_says_what_is_public(self, path: Path) -> None:
        names = public_names(parse(path))
        assert names is not None, "no __all__"
        assert len(names) == len(set(names))

    def test_public_names_exist(self, path: Path) -> None:
        module = parse(path)
        defined: set[str] = set()
        for statement in ast.walk(module):
            match statement:
                case ast.FunctionDef(name=own) | ast.AsyncFunctionDef(name=own) | ast.ClassDef(name=own):
                    defined.add(own)
                case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                    defined |= {alias.asname or alias.name for alias in aliases}
                case ast.Name(id=own, ctx=ast.Store()):
                    defined.add(own)
        assert set(public_names(module) or ()) <= defined


@pytest.mark.parametrize("path", PYTHON_FILES, ids=name)
def test_files_can_be_read_in_one_sitting(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").count("\n")
    assert lines <= MOST_LINES or name(path) in TABLES, f"{lines} lines"


def test_every_folder_of_tests_is_a_package() -> None:
    folders = {path.parent for path in ROOT.glob("tests/**/*.py")}
    assert [name(folder) for folder in sorted(folders) if not (folder / "__init__.py").exists()] == []


class TestVersion:
    """One version, everywhere."""

    def test_the_package_and_the_project_agree(self) -> None:
        assert mqttbroker.__version__ == PROJECT["project"]["version"]

    def test_the_changelog_has_it(self) -> None:
        headings = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
        assert headings[0] == "Unreleased"
        assert headings[1] == mqttbroker.__version__

    def test_the_changelog_has_no_other_headings(self) -> None:
        headings = re.findall(r"^### (.+)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
        assert set(headings) <= {"Breaking", "Added", "Changed", "Fixed", "Security"}


class TestDocuments:
    """What the documents point at is there."""

    @pytest.mark.parametrize("document", sorted(ROOT.glob("*.md")) + sorted(ROOT.glob("docs/**/*.md")), ids=name)
    def test_links_lead_somewhere(self, document: Path) -> None:
        links = re.findall(r"\]\(([^)#:]+)\)", document.read_text(encoding="utf-8"))
        assert [link for link in links if not (document.parent / link).exists()] == []

    def test_contributing_names_every_package(self) -> None:
        text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
        packages = {f"`{path.parent.name}/`" for path in ROOT.glob("mqttbroker/*/__init__.py")}
        assert {package for package in packages if package not in text} == set()

    def test_every_decision_is_listed(self) -> None:
        listed = (ROOT / "docs/decisions/README.md").read_text(encoding="utf-8")
        pages = [path.name for path in ROOT.glob("docs/decisions/[0-9]*.md")]
        assert [page for page in pages if page not in listed] == []

    def test_the_readme_names_targets_that_exist(self) -> None:
        targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
        for document in ("README.md", "CONTRIBUTING.md"):
            text = (ROOT / document).read_text(encoding="utf-8")
            # Commands stand in backquotes or on indented lines; elsewhere "make" is a verb.
            named = set(re.findall(r"(?:`|^    )make ([a-z-]+)", text, re.MULTILINE))
            assert named
            assert named <= targets


def test_the_integration_script_is_correct_shell() -> None:
    subprocess.run(["bash", "-n", str(ROOT / ".ci/run")], check=True, timeout=30)
