"""The password file."""

from __future__ import annotations

import errno
import os
import re
import stat
from pathlib import Path

import pytest
from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import VerificationError

from mqttbroker.security import PasswordFile, SecurityError

CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
POSIX = pytest.mark.skipif(os.name != "posix", reason="modes and owners of files as POSIX knows them")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "passwords"


@pytest.fixture(scope="module")
def line() -> str:
    """A good line for the user "alice" with the password "secret"."""
    return f"alice:{CHEAP.hash(b'secret')}"


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    path.chmod(0o600)
    return path


def load_error(path: Path) -> str:
    with pytest.raises(SecurityError) as caught:
        PasswordFile.load(path)
    assert caught.value.path == str(path)
    return str(caught.value)


class TestLoading:
    def test_users_in_order(self, path: Path, line: str) -> None:
        passwords = PasswordFile.load(write(path, f"# The first\n{line}\n\n  \n{line.replace('alice', 'bob')}\n"))
        assert list(passwords) == ["alice", "bob"]
        assert len(passwords) == 2
        assert "alice" in passwords
        assert "carol" not in passwords
        assert passwords.verify("alice", b"secret")

    @pytest.mark.parametrize(
        "content", ["{line}", "{line}\r\n", "\ufeff{line}\n"], ids=["no end of line", "Windows", "byte order mark"]
    )
    def test_what_editors_leave(self, path: Path, line: str, content: str) -> None:
        assert list(PasswordFile.load(write(path, content.format(line=line)))) == ["alice"]

    def test_user_name_with_separators_of_unicode(self, path: Path, line: str) -> None:
        name = "a\u2028b \U0001f600"
        assert list(PasswordFile.load(write(path, line.replace("alice", name) + "\n"))) == [name]

    @pytest.mark.parametrize("content", ["", "\n\n", "# alice\n"], ids=["no bytes", "blank lines", "comments"])
    def test_file_without_users_is_refused(self, path: Path, content: str) -> None:
        message = load_error(write(path, content))
        assert message == f"{path}: expected at least one line username:$argon2id$..., found none"

    def test_file_without_users_is_accepted_to_add_some(self, path: Path) -> None:
        assert len(PasswordFile.load(write(path, "# Users\n"), allow_empty=True)) == 0

    def test_missing_file(self, path: Path) -> None:
        assert load_error(path) == f"{path}: cannot be read: No such file or directory"

    def test_directory(self, tmp_path: Path) -> None:
        assert load_error(tmp_path).startswith(f"{tmp_path}: cannot be read: ")

    def test_unreadable_file(self, path: Path, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(self: Path) -> bytes:
            raise PermissionError(errno.EACCES, "Permission denied")

        write(path, line)
        monkeypatch.setattr(Path, "read_bytes", refuse)
        assert load_error(path) == f"{path}: cannot be read: Permission denied"

    def test_line_without_colon(self, path: Path, line: str) -> None:
        message = load_error(write(path, f"{line}\nbob\n"))
        assert message == f"{path}: line 2: expected username:$argon2id$..., found no colon"

    def test_text_that_is_not_utf8(self, path: Path, line: str) -> None:
        message = load_error(write(path, line.encode() + b"\n\n\xff:x\n"))
        assert message == f"{path}: line 3: expected text in UTF-8"

    def test_user_twice(self, path: Path, line: str) -> None:
        message = load_error(write(path, f"{line}\n#\n{line}\n"))
        assert message == f"{path}: line 3: expected each user once, found 'alice' again"

    @pytest.mark.parametrize(
        ("name", "problem"),
        [
            ("", "found an empty one"),
            ("*", "found the reserved word '*'"),
            ("anonymous", "found the reserved word 'anonymous'"),
            (" alice", "without spaces around it"),
            ("alice\t", "without spaces around it"),
            ("a\x01b", "without control characters"),
            ("a\rb", "without control characters"),
        ],
        ids=["empty", "everybody", "anonymous", "leading space", "trailing tab", "control", "carriage return"],
    )
    def test_user_name_that_cannot_be(self, path: Path, line: str, name: str, problem: str) -> None:
        message = load_error(write(path, line.replace("alice", name)))
        assert message.startswith(f"{path}: line 1: expected a user name")
        assert problem in message

    def test_hash_that_is_cut_off_anywhere(self, path: Path, line: str) -> None:
        """A malformed line must not make a user without a password, or one whom nobody can tell from a typing error."""
        shortest = len(line) - 43 + 22  # 32 bytes of digest are 43 characters, 16 bytes are 22.
        for length in range(len("alice:"), shortest):
            assert load_error(write(path, line[:length])).startswith(f"{path}: line 1: expected a whole $argon2id$")

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ("$argon2id$", "$argon2i$"),
            ("$argon2id$", "$argon2d$"),
            ("$argon2id$", "$2b$"),
            ("$argon2id$", "argon2id$"),
            ("v=19$", ""),
            ("m=8,", ""),
            ("m=8", "m=-8"),
            ("m=8", "m=8x"),
            ("m=8", "m=10000000"),
            ("t=1", "t=\u0661"),
            ("t=1,p=1", "p=1,t=1"),
            ("alice:", "alice:!"),
            ("alice:", "alice: "),
            ("alice:", "alice:alice:"),
        ],
        ids=[
            "argon2i",
            "argon2d",
            "bcrypt",
            "no dollar",
            "no version",
            "no memory",
            "negative",
            "no number",
            "huge",
            "digit of another script",
            "order",
            "locked",
            "space",
            "two colons",
        ],
    )
    def test_malformed_hash(self, path: Path, line: str, old: str, new: str) -> None:
        message = load_error(write(path, line.replace(old, new)))
        assert message == f"{path}: line 1: expected a whole $argon2id$... hash for user 'alice'"

    @pytest.mark.parametrize(
        "end", ["", "!", " ", "$", "=", "ab"], ids=["cut", "sign", "space", "field", "padding", "over"]
    )
    def test_malformed_digest(self, path: Path, line: str, end: str) -> None:
        broken = line[:-2] if end == "" else line + end
        assert "expected a whole $argon2id$... hash" in load_error(write(path, broken))

    def test_message_holds_no_hash(self, path: Path, line: str) -> None:
        encoded = line.partition(":")[2]
        for content in (f"{line}\n{line}", encoded, f"alice:{encoded}!", f"*:{encoded}", f"x\n{line}"):
            message = load_error(write(path, content))
            assert encoded[-20:] not in message

    @POSIX
    def test_file_that_everybody_can_read_is_logged(
        self, path: Path, line: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        write(path, line)
        PasswordFile.load(path)
        assert caplog.messages == []
        path.chmod(0o644)
        PasswordFile.load(path)
        assert caplog.messages == [f"{path} can be read by every local user; expected mode 0600"]


class TestVerifying:
    @pytest.fixture
    def passwords(self) -> PasswordFile:
        passwords = PasswordFile(hasher=CHEAP)
        passwords.set("alice", b"secret")
        return passwords

    @pytest.mark.parametrize(
        ("username", "password", "expected"),
        [
            ("alice", b"secret", True),
            ("alice", b"Secret", False),
            ("alice", b"secret\0", False),
            ("alice", b"", False),
            ("Alice", b"secret", False),
            ("alice ", b"secret", False),
            ("", b"secret", False),
            ("*", b"secret", False),
            ("bob", b"secret", False),
        ],
        ids=["right", "wrong", "longer", "empty", "capital", "space", "no name", "star", "unknown"],
    )
    def test_verify(self, passwords: PasswordFile, username: str, password: bytes, expected: bool) -> None:
        assert passwords.verify(username, password) is expected

    @pytest.mark.parametrize("password", [b"", b"\x00\xff", b"x" * 65_535], ids=["empty", "binary", "longest"])
    def test_any_bytes_are_a_password(self, passwords: PasswordFile, password: bytes) -> None:
        passwords.set("bob", password)
        assert passwords.verify("bob", password)
        assert not passwords.verify("bob", password + b"x")

    def test_change_and_deletion(self, passwords: PasswordFile) -> None:
        passwords.set("alice", b"new")
        assert not passwords.verify("alice", b"secret")
        assert passwords.verify("alice", b"new")
        assert passwords.delete("alice")
        assert not passwords.delete("alice")
        assert not passwords.verify("alice", b"new")

    @pytest.mark.parametrize("name", ["", "*", "anonymous", "a:b", "#a", "a\nb", " a"])
    def test_user_name_that_cannot_be_set(self, passwords: PasswordFile, name: str) -> None:
        with pytest.raises(ValueError, match="expected a user name"):
            passwords.set(name, b"x")
        assert list(passwords) == ["alice"]

    def test_failure_to_compute_is_not_a_match(self, path: Path, line: str) -> None:
        """Costs that argon2 cannot work with: the exception goes to the caller, who refuses."""
        passwords = PasswordFile.load(write(path, line.replace("p=1", "p=999")))
        with pytest.raises(VerificationError):
            passwords.verify("alice", b"secret")


class RecordingHasher(PasswordHasher):
    """Notes against which hashes passwords were verified."""

    def __init__(self) -> None:
        super().__init__(time_cost=2, memory_cost=16, parallelism=1)
        self.verified: list[str] = []

    def verify(self, hash: str | bytes, password: str | bytes) -> bool:  # type: ignore[override]  # It narrows the result.
        assert isinstance(hash, str)
        self.verified.append(hash)
        return super().verify(hash, password)


class TestUnknownUser:
    """An unknown user costs what a wrong password costs."""

    def test_is_verified_against_a_hash_of_the_same_costs(self) -> None:
        hasher = RecordingHasher()
        passwords = PasswordFile(hasher=hasher)
        passwords.set("alice", b"secret")
        assert not passwords.verify("alice", b"wrong")
        assert not passwords.verify("bob", b"wrong")
        known, dummy = hasher.verified
        assert known != dummy
        assert extract_parameters(known) == extract_parameters(dummy)

    def test_is_verified_where_there_are_no_users(self) -> None:
        hasher = RecordingHasher()
        assert not PasswordFile(hasher=hasher).verify("bob", b"")
        assert len(hasher.verified) == 1
        assert extract_parameters(hasher.verified[0]).memory_cost == 16

    def test_is_verified_at_the_costs_of_the_file(self, path: Path, line: str) -> None:
        """The file's hashes may be dearer or cheaper than what this program would write."""
        hasher = RecordingHasher()
        dearer = PasswordHasher(time_cost=3, memory_cost=32, parallelism=2, salt_len=20, hash_len=24).hash(b"x")
        passwords = PasswordFile.load(write(path, f"{line}\nbob:{dearer}\n"), hasher=hasher)
        assert not passwords.verify("carol", b"x")
        assert extract_parameters(hasher.verified.pop()) == extract_parameters(dearer)
        passwords.delete("bob")
        assert not passwords.verify("carol", b"x")
        assert extract_parameters(hasher.verified.pop()).memory_cost == 8

    def test_dummy_differs_from_one_file_to_the_next(self) -> None:
        first, second = RecordingHasher(), RecordingHasher()
        PasswordFile(hasher=first).verify("x", b"")
        PasswordFile(hasher=second).verify("x", b"")
        assert first.verified != second.verified

    def test_is_refused_even_if_the_dummy_matched(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(RecordingHasher, "verify", lambda *arguments: True)
        assert not PasswordFile(hasher=RecordingHasher()).verify("bob", b"x")


class TestSaving:
    def test_round_trip(self, path: Path) -> None:
        passwords = PasswordFile(path, CHEAP)
        passwords.set("alice", b"secret")
        passwords.set("b\u00f6b", b"other")
        passwords.save()
        again = PasswordFile.load(path)
        assert list(again) == ["alice", "b\u00f6b"]
        assert again.verify("b\u00f6b", b"other")

    def test_comments_and_order_are_kept(self, path: Path, line: str) -> None:
        lines = [
            "# Users",
            "",
            line,
            "# The second",
            line.replace("alice", "bob"),
            line.replace("alice", "carol"),
            "# End",
        ]
        passwords = PasswordFile.load(write(path, "\n".join(lines)), hasher=CHEAP)
        passwords.delete("bob")
        passwords.set("carol", b"new")
        passwords.set("dave", b"x")
        passwords.save()
        shown = [re.sub(r":\$.*", "", it) for it in path.read_text().split("\n")]
        assert shown == ["# Users", "", "alice", "# The second", "carol", "# End", "dave", ""]
        passwords.set("erin", b"x")
        passwords.save()
        again = PasswordFile.load(path)
        assert list(again) == ["alice", "carol", "dave", "erin"]
        assert again.verify("carol", b"new")
        assert again.verify("dave", b"x")

    @POSIX
    @pytest.mark.parametrize("mask", [0o000, 0o022, 0o777], ids=["none", "usual", "all"])
    def test_mode(self, path: Path, mask: int) -> None:
        passwords = PasswordFile(path, CHEAP)
        passwords.set("alice", b"secret")
        write(path, "").chmod(0o644)
        before = os.umask(mask)
        try:
            passwords.save()
        finally:
            os.umask(before)
        assert stat.S_IMODE(path.stat().st_mode) & ~0o600 == 0

    @POSIX
    def test_owner_is_kept(self, path: Path, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """An administrator who changes a password must not take the file away from the broker's account."""
        chowned: list[tuple[int, int]] = []
        monkeypatch.setattr(os, "chown", lambda path, user, group: chowned.append((user, group)))
        PasswordFile.load(write(path, line)).save()
        assert chowned == [(path.stat().st_uid, path.stat().st_gid)]

    @pytest.mark.parametrize("problem", ["refused", "unknown"])
    def test_owner_that_cannot_be_kept(
        self, path: Path, line: str, monkeypatch: pytest.MonkeyPatch, problem: str
    ) -> None:
        def refuse(path: Path, user: int, group: int) -> None:
            raise PermissionError(errno.EPERM, "Operation not permitted")

        if problem == "refused":
            monkeypatch.setattr(os, "chown", refuse, raising=False)
        else:
            monkeypatch.delattr(os, "chown", raising=False)
        PasswordFile.load(write(path, line)).save()
        assert path.read_text() == f"{line}\n"

    def test_symbolic_link_stays(self, tmp_path: Path, line: str) -> None:
        target = write(tmp_path / "target", line)
        link = tmp_path / "link"
        link.symlink_to(target)
        passwords = PasswordFile.load(link, hasher=CHEAP)
        passwords.set("bob", b"x")
        passwords.save()
        assert link.is_symlink()
        assert list(PasswordFile.load(target)) == ["alice", "bob"]

    def test_failure_leaves_the_old_file_and_nothing_else(
        self, path: Path, line: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(handle: int) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        passwords = PasswordFile.load(write(path, line), hasher=CHEAP)
        passwords.set("bob", b"x")
        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(SecurityError, match=re.escape(f"{path}: cannot be written: No space left on device")):
            passwords.save()
        assert path.read_text() == line
        assert list(path.parent.iterdir()) == [path]

    def test_directory_that_is_missing(self, tmp_path: Path) -> None:
        passwords = PasswordFile(tmp_path / "missing" / "passwords", CHEAP)
        with pytest.raises(SecurityError, match="cannot be written: No such file or directory"):
            passwords.save()

    def test_without_a_path(self) -> None:
        with pytest.raises(ValueError, match="without a path"):
            PasswordFile(hasher=CHEAP).save()
