"""The password file: one ``username:$argon2id$...`` on each line.

Rules:

1. A file that is not entirely understood is not used at all: a line that was cut off must not become a user without a
   password, and an empty file must not become a broker without users.
2. Checking the password of an unknown user costs what checking a wrong password costs, so that time does not tell who
   exists. Where entries were hashed with differing costs, the dearest stands for the unknown user.
3. The file is replaced as a whole or not at all, and only its owner can read it.

Blank lines and lines that begin with ``#`` are comments, which saving keeps. A user name holds no colon and no
control character, does not begin with ``#``, and is none of the words that mean more than one user in access rules.

Deliberately absent: other hashes. Argon2id (RFC 9106) is what is written and read.
"""

from __future__ import annotations

import base64
import logging
import os
import re
import secrets
import stat
import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from argon2 import Parameters, PasswordHasher, extract_parameters
from argon2.exceptions import VerifyMismatchError

from mqttbroker.files import replace_file
from mqttbroker.security.errors import SecurityError

__all__ = ["RESERVED_NAMES", "PasswordFile"]

RESERVED_NAMES: Final = frozenset({"*", "anonymous"})
"""Words of access rules that no user may have for a name."""

_log = logging.getLogger(__name__)

_HASH: Final = re.compile(
    r"\$argon2id\$v=(16|19)\$m=[0-9]{1,7},t=[0-9]{1,4},p=[0-9]{1,3}"
    r"\$[A-Za-z0-9+/]{11,}\$(?P<digest>[A-Za-z0-9+/]{22,})"
)
"""Version, costs, a salt of 8 bytes or more and a digest of 16 bytes or more (RFC 9106, section 3.1).

The costs stay below 10 GB, 10,000 passes and 1,000 lanes: beyond that lies a slip, not a wish.
"""


class PasswordFile:
    """Users and the hashes of their passwords.

    ``verify`` may run in another thread than everything else. Without a ``path`` the users are in memory only.
    """

    def __init__(self, path: Path | None = None, hasher: PasswordHasher | None = None) -> None:
        self.path: Path | None = path
        self._hasher: PasswordHasher = hasher if hasher is not None else PasswordHasher()
        self._hashes: dict[str, str] = {}
        self._lines: list[str] = []
        self._dummy: str = ""
        self._choose_dummy()

    @classmethod
    def load(cls, path: Path, *, allow_empty: bool = False, hasher: PasswordHasher | None = None) -> PasswordFile:
        """Read a file. Raise :class:`SecurityError` when any of it is unreadable, malformed or doubled.

        A file without users is an error too, unless ``allow_empty`` says that users are about to be added.
        """
        self = cls(path, hasher)
        self._lines = _read(path)
        for number, line in enumerate(self._lines, 1):
            if not _is_comment(line):
                self._add_line(path, f"line {number}", line)
        if not self._hashes and not allow_empty:
            raise SecurityError(path, "", "expected at least one line username:$argon2id$..., found none")
        self._choose_dummy()
        return self

    @classmethod
    def of(cls, hashes: Mapping[str, str], hasher: PasswordHasher | None = None) -> PasswordFile:
        """Users in memory, whose hashes are kept elsewhere. Raise :class:`ValueError` for unusable names and hashes."""
        self = cls(None, hasher)
        for username, encoded in hashes.items():
            problem = _name_problem(username)
            if problem or not _is_hash(encoded):
                raise ValueError(problem or f"expected a whole $argon2id$... hash for user {username!r}")
            self._hashes[username] = encoded
        self._choose_dummy()
        return self

    def _add_line(self, path: Path, place: str, line: str) -> None:
        username, colon, encoded = line.partition(":")
        if not colon:
            raise SecurityError(path, place, "expected username:$argon2id$..., found no colon")
        problem = _name_problem(username)
        if problem:
            raise SecurityError(path, place, problem)
        if username in self._hashes:
            raise SecurityError(path, place, f"expected each user once, found {username!r} again")
        if not _is_hash(encoded):
            raise SecurityError(path, place, f"expected a whole $argon2id$... hash for user {username!r}")
        self._hashes[username] = encoded

    def __len__(self) -> int:
        return len(self._hashes)

    def __contains__(self, username: object) -> bool:
        return username in self._hashes

    def __iter__(self) -> Iterator[str]:
        """User names, in the order of the file."""
        return iter(list(self._hashes))

    def hash_of(self, username: str) -> str:
        """The hash of a user's password. Raise :class:`KeyError` for a user that is not there."""
        return self._hashes[username]

    def has_entry_of(self, other: PasswordFile, username: str) -> bool:
        """Whether a user of another file is here with the same password."""
        return self is other or self._hashes.get(username) == other._hashes.get(username)

    def set(self, username: str, password: bytes) -> None:
        """Add a user, or change the password. Takes as long as a check. Raise :class:`ValueError` for an unusable name.

        It counts at once here, and in the file after :meth:`save`.
        """
        problem = _name_problem(username)
        if problem:
            raise ValueError(problem)
        self._hashes[username] = self._hasher.hash(password)
        self._choose_dummy()

    def delete(self, username: str) -> bool:
        """Remove a user; false when there is none of that name."""
        if self._hashes.pop(username, None) is None:
            return False
        self._choose_dummy()
        return True

    def verify(self, username: str, password: bytes) -> bool:
        """Tell whether this is the user's password. Takes long, and as long for a user that does not exist.

        Raise :class:`argon2.exceptions.VerificationError` when the hash cannot be computed (no memory, absurd costs).
        """
        encoded = self._hashes.get(username)
        try:
            self._hasher.verify(encoded if encoded is not None else self._dummy, password)
        except VerifyMismatchError:
            return False
        return encoded is not None

    def save(self) -> None:
        """Replace the file, mode 0600, comments kept. Raise :class:`SecurityError` when it cannot be written."""
        if self.path is None:
            raise ValueError("a password file without a path cannot be saved")
        try:
            # Where a link leads, so that it stays one.
            target = Path(os.path.realpath(self.path))
            replace_file(target, "".join(f"{line}\n" for line in self._layout()).encode(), 0o600)
        except OSError as error:
            raise SecurityError(self.path, "", f"cannot be written: {error.strerror}") from error

    def _layout(self) -> list[str]:
        """The lines of the file as it was read, brought up to date, then the new users."""
        unwritten = dict(self._hashes)
        lines: list[str] = []
        for line in self._lines:
            if _is_comment(line):
                lines.append(line)
                continue
            username = line.partition(":")[0]
            encoded = unwritten.pop(username, None)
            if encoded is not None:
                lines.append(f"{username}:{encoded}")
        lines.extend(f"{username}:{encoded}" for username, encoded in unwritten.items())
        self._lines = lines
        return lines

    def _choose_dummy(self) -> None:
        """Make up a hash that no password matches and that costs as much to check as the dearest of the users'."""
        hasher = self._hasher
        dearest = Parameters(
            type=hasher.type,
            version=19,
            salt_len=hasher.salt_len,
            hash_len=hasher.hash_len,
            time_cost=hasher.time_cost,
            memory_cost=hasher.memory_cost,
            parallelism=hasher.parallelism,
        )
        if self._hashes:
            dearest = max(map(extract_parameters, self._hashes.values()), key=lambda it: it.time_cost * it.memory_cost)
        self._dummy = (
            f"$argon2id$v={dearest.version}$m={dearest.memory_cost},t={dearest.time_cost},p={dearest.parallelism}"
            f"${_random_base64(dearest.salt_len)}${_random_base64(dearest.hash_len)}"
        )


def _read(path: Path) -> list[str]:
    try:
        content = path.read_bytes()
        # Windows knows no such modes.
        readable = os.name == "posix" and path.stat().st_mode & stat.S_IROTH
    except OSError as error:
        raise SecurityError(path, "", f"cannot be read: {error.strerror}") from error
    if readable:
        _log.warning("%s can be read by every local user; expected mode 0600", path)
    try:
        # An editor's byte order mark must not become a part of the first user name.
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        number = content.count(b"\n", 0, error.start) + 1
        raise SecurityError(path, f"line {number}", "expected text in UTF-8") from error
    # Only line feeds end a line: str.splitlines() also splits at characters that a user name may hold.
    lines = text.replace("\r\n", "\n").split("\n")
    return lines[:-1] if lines[-1] == "" else lines


def _is_comment(line: str) -> bool:
    return not line.strip() or line.startswith("#")


def _is_hash(encoded: str) -> bool:
    match = _HASH.fullmatch(encoded)
    return match is not None and len(match["digest"]) % 4 != 1  # No number of bytes leaves one character over.


def _name_problem(username: str) -> str:
    """What is wrong with a user name, or nothing."""
    if not username:
        return "expected a user name, found an empty one"
    if username in RESERVED_NAMES:
        return f"expected a user name, found the reserved word {username!r}"
    if ":" in username or username.startswith("#") or username != username.strip():
        return f"expected a user name without ':', without '#' at its start and without spaces around it: {username!r}"
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in username):
        return f"expected a user name without control characters: {username!r}"
    return ""


def _random_base64(length: int) -> str:
    return base64.b64encode(secrets.token_bytes(length)).decode("ascii").rstrip("=")
