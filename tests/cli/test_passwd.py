"""Users are added, changed and removed, and the file is one that the broker reads."""

from __future__ import annotations

from pathlib import Path

from mqttbroker.security import PasswordFile
from tests.cli.conftest import Command


def test_a_user_is_added_and_changed_and_removed(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "users.txt"
    result = command("passwd", file, "alice", "--password-stdin", input="first\nrest\n")
    assert (result.exit_code, result.stdout) == (0, f"{file}: set the password of user 'alice'\n")
    assert command("passwd", file, "bob", "--password-stdin", input="other").exit_code == 0
    assert PasswordFile.load(file).verify("alice", b"first")

    assert command("passwd", file, "alice", "--password-stdin", input="second\r\n").exit_code == 0
    assert PasswordFile.load(file).verify("alice", b"second")
    assert PasswordFile.load(file).verify("bob", b"other")

    result = command("passwd", file, "alice", "--delete")
    assert (result.exit_code, result.stdout) == (0, f"{file}: removed user 'alice'\n")
    assert list(PasswordFile.load(file)) == ["bob"]
    assert file.stat().st_mode & 0o777 == 0o600


def test_the_password_is_asked_for_twice_and_not_shown(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "users.txt"
    result = command("passwd", file, "alice", input="secret\nsecret\n")
    assert result.exit_code == 0
    assert "secret" not in result.output
    assert PasswordFile.load(file).verify("alice", b"secret")


def test_a_user_that_is_not_there(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "users.txt"
    result = command("passwd", file, "alice", "--delete")
    assert (result.exit_code, result.stderr) == (1, f"mqttbroker: {file}: there is no user 'alice'\n")
    assert not file.exists()


def test_no_password(command: Command, tmp_path: Path) -> None:
    result = command("passwd", tmp_path / "users.txt", "alice", "--password-stdin", input="\n")
    assert (result.exit_code, result.stderr) == (1, "mqttbroker: there is no password on standard input\n")


def test_a_name_that_cannot_be(command: Command, tmp_path: Path) -> None:
    result = command("passwd", tmp_path / "users.txt", "a:b\x1b", "--password-stdin", input="secret")
    assert result.exit_code == 1
    assert result.stderr[:-1].isprintable()


def test_a_file_that_is_none(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "users.txt"
    file.write_text("alice:secret\n", encoding="utf-8")
    result = command("passwd", file, "bob", "--password-stdin", input="secret")
    assert result.exit_code == 1
    assert result.stderr.startswith(f"mqttbroker: {file}: line 1: ")
    assert file.read_text(encoding="utf-8") == "alice:secret\n"
