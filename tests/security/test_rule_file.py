"""A rule file that is edited: versions, what is kept of them, and what must not be lost."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from mqttbroker.broker.authority import Identity
from mqttbroker.security import NO_FILE, RuleFile, RulesChangedMeanwhile, SecurityError
from mqttbroker.security.rule_file import KEPT

RULE = '# Ours.\n[[rules]]\nwho = "alice"\naction = "publish"\ntopics = ["a/#"]\neffect = "allow"\n'
NOW = 1_700_000_000.0


@pytest.fixture
def file(tmp_path: Path) -> RuleFile:
    return RuleFile(tmp_path / "data" / "acl.toml", may_be_absent=True)


def write(file: RuleFile, text: str | None, now: float = NOW) -> str:
    """Replace what there is; the version."""
    rules = file.replace(text, file.read()[1], now)
    assert file.read() == (text, NO_FILE if rules is None else rules.version)
    return file.read()[1]


def test_a_file_is_made(file: RuleFile) -> None:
    assert file.read() == (None, NO_FILE)
    rules = file.replace(RULE, NO_FILE, NOW)
    assert rules is not None
    assert rules.decide(Identity("c", "alice"), "publish", "a/b").allowed
    assert file.path.read_text() == RULE
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.path.with_name("acl.toml.versions").stat().st_mode) == 0o700


def test_nothing_is_written_over_what_was_not_seen(file: RuleFile) -> None:
    write(file, RULE)
    file.path.write_text("# By hand.\n")
    with pytest.raises(RulesChangedMeanwhile):
        file.replace(RULE + "# More.\n", NO_FILE, NOW)
    assert file.path.read_text() == "# By hand.\n"


def test_what_is_not_understood_is_not_written(file: RuleFile) -> None:
    version = write(file, RULE)
    with pytest.raises(SecurityError, match="rule 1, efect: unknown key"):
        file.replace(RULE.replace("effect", "efect"), version, NOW)
    assert file.read() == (RULE, version)


def test_mode_and_link_stay(tmp_path: Path) -> None:
    target = tmp_path / "real.toml"
    target.write_text(RULE)
    target.chmod(0o640)
    link = tmp_path / "acl.toml"
    link.symlink_to(target)
    write(RuleFile(link, may_be_absent=False), RULE + "# More.\n")
    assert link.is_symlink()
    assert target.read_text() == RULE + "# More.\n"
    assert stat.S_IMODE(target.stat().st_mode) == 0o640


def test_versions(file: RuleFile) -> None:
    first = write(file, RULE, NOW)
    write(file, RULE + "# More.\n", NOW + 1)
    latest, none = file.former()
    assert (latest.version, latest.until, latest.size) == (first, NOW + 1, len(RULE))
    assert (none.version, none.until) == (NO_FILE, NOW)
    assert file.former_text(latest.id) == RULE
    assert file.former_text(none.id) is None
    write(file, file.former_text(none.id), NOW + 2)
    assert not file.path.exists()
    assert len(file.former()) == 3


def test_the_same_text_is_no_version(file: RuleFile) -> None:
    write(file, RULE)
    write(file, RULE)
    assert len(file.former()) == 1


def test_the_last_versions_are_kept_whatever_the_clock_says(file: RuleFile) -> None:
    for number in range(KEPT + 5):
        write(file, f"# {number}\n", NOW - number)
    former = file.former()
    assert [file.former_text(each.id) for each in former] == [f"# {number}\n" for number in range(KEPT + 3, 3, -1)]


def test_a_file_that_is_named_does_not_go(tmp_path: Path) -> None:
    file = RuleFile(tmp_path / "acl.toml", may_be_absent=False)
    with pytest.raises(SecurityError, match="cannot be read"):
        file.read()
    file.path.write_text(RULE)
    with pytest.raises(SecurityError, match="needs it"):
        file.replace(None, file.read()[1], NOW)


@pytest.mark.parametrize("id", ["", "../acl.toml", "1700000000000-none/../x", "1700000000000-none"])
def test_other_versions_there_are_not(file: RuleFile, id: str) -> None:
    write(file, RULE, NOW + 9)
    with pytest.raises(KeyError):
        file.former_text(id)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_what_cannot_be_written(tmp_path: Path) -> None:
    file = RuleFile(tmp_path / "acl.toml", may_be_absent=True)
    tmp_path.chmod(0o500)
    with pytest.raises(SecurityError, match="cannot be written: Permission denied"):
        file.replace(RULE, NO_FILE, NOW)
