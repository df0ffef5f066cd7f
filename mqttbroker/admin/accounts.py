"""Who may use the admin server: accounts with passwords, and tokens for programs, in one file.

The file is JSON, mode 0600, replaced as a whole. Passwords are there as Argon2id hashes, tokens as SHA-256: a token is
256 random bits, which nobody guesses. A file that is not entirely understood is not used at all.

When there is no file yet, an account ``admin`` is made with a random password, which :attr:`Accounts.first_password`
tells, once; :meth:`Accounts.save` then makes the file. There is no default password. Without a path everything is in
memory, and made anew with each start.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from mqttbroker.admin.endpoint import Role, Who
from mqttbroker.config import AdminConfig
from mqttbroker.files import replace_file
from mqttbroker.security import PasswordFile, SecurityError

__all__ = ["ACCOUNTS_FILE", "Account", "Accounts", "Token", "accounts_path"]

ACCOUNTS_FILE: Final = "admin.json"
TOKEN_PREFIX: Final = "mqb_"
"""So that people and scanners of leaked secrets see what it is."""
MOST_TOKENS: Final = 200
MOST_ACCOUNTS: Final = 200


class Account(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Somebody who may log in."""

    name: str
    role: Role
    password: str
    """The Argon2id hash."""


class Token(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A token, without its secret."""

    id: str
    name: str
    """What it is for."""
    role: Role
    digest: str
    """SHA-256 of the token, in hexadecimal."""
    created: float
    created_by: str
    expires: float | None = None
    """Seconds since the epoch; ``None``: never."""


class _File(Struct, frozen=True, forbid_unknown_fields=True):
    accounts: list[Account]
    tokens: list[Token] = []


class Accounts:
    """Accounts and tokens. Raises :class:`SecurityError` where the file is wrong.

    :meth:`verify`, :meth:`set_password` and :meth:`save` take long, and may run in another thread, one at a time.
    """

    def __init__(self, path: Path | None) -> None:
        self.path: Path | None = path
        self.first_password: str | None = None
        """The password of ``admin``, where it was just made."""
        self._roles: dict[str, Role] = {}
        self._passwords: PasswordFile = PasswordFile()
        self._tokens: dict[str, Token] = {}
        self._local: str = ""
        """The digest of the token of this machine, where there is one."""
        self._known: bytes | None = None
        """What was read from the file, or written to it, last."""
        if path is not None and path.exists():
            self._read(path)
        else:
            self._make_first()

    def _read(self, path: Path) -> None:
        try:
            content = path.read_bytes()
            file = msgspec.json.decode(content, type=_File)
            hashes = {each.name: each.password for each in file.accounts}
            passwords = PasswordFile.of(hashes)
        except OSError as error:
            raise SecurityError(path, "", f"cannot be read: {error.strerror}") from error
        except (msgspec.DecodeError, ValueError) as error:
            raise SecurityError(path, "", f"expected accounts of the admin server: {error}") from error
        roles = {each.name: each.role for each in file.accounts}
        if len(hashes) != len(file.accounts):
            raise SecurityError(path, "", "expected each account once")
        if "admin" not in roles.values():
            raise SecurityError(path, "", "expected an account with the role admin; without the file, one is made")
        self._passwords, self._roles, self._known = passwords, roles, content
        self._tokens = {each.digest: each for each in file.tokens}

    def _make_first(self) -> None:
        self.first_password = secrets.token_urlsafe(15)
        self.set_password("admin", self.first_password, "admin")

    def reload(self) -> set[str]:
        """Read the file again, if somebody else has written it; gives the accounts that are others than before.

        Raises :class:`SecurityError` where it is wrong; what there was stays in force.
        """
        path = self.path
        if path is None or not path.exists():
            return set()
        try:
            if path.read_bytes() == self._known:
                return set()
        except OSError:
            pass  # Which the next line tells.
        before = self._entries()
        self._read(path)
        after = self._entries()
        return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}

    def _entries(self) -> dict[str, tuple[Role, str]]:
        return {name: (role, self._passwords.hash_of(name)) for name, role in self._roles.items()}

    # Accounts.

    @property
    def roles(self) -> dict[str, Role]:
        """The role of each account, by name."""
        return dict(self._roles)

    def verify(self, name: str, password: str) -> Role | None:
        """The role of an account, if this is its password. As slow for a name that is not there."""
        good = self._passwords.verify(name, password.encode())
        return self._roles.get(name) if good else None

    def set_password(self, name: str, password: str, role: Role) -> None:
        """Make an account or change it. Raises ``ValueError`` for an unusable name, and for too many."""
        if name not in self._roles and len(self._roles) >= MOST_ACCOUNTS:
            raise ValueError(f"expected at most {MOST_ACCOUNTS} accounts")
        self._passwords.set(name, password.encode())
        self._roles[name] = role

    def delete(self, name: str) -> None:
        """Remove an account and the tokens that it has made. Raises ``ValueError`` for the last of the admins."""
        if [each for each, role in self._roles.items() if role == "admin"] == [name]:
            raise ValueError("expected to keep an account with the role admin")
        self._passwords.delete(name)
        del self._roles[name]
        self._tokens = {digest: each for digest, each in self._tokens.items() if each.created_by != name}

    # Tokens.

    @property
    def tokens(self) -> list[Token]:
        """All of them, the oldest first."""
        return list(self._tokens.values())

    def make_token(
        self, name: str, role: Role, created_by: str, now: float, expires: float | None
    ) -> tuple[Token, str]:
        """A new token, and its secret, which is known only now. Raises ``ValueError`` where there are too many."""
        if len(self._tokens) >= MOST_TOKENS:
            raise ValueError(f"expected at most {MOST_TOKENS} tokens")
        secret = TOKEN_PREFIX + secrets.token_urlsafe(32)
        token = Token(
            id=secrets.token_hex(6),
            name=name,
            role=role,
            digest=_digest(secret),
            created=now,
            created_by=created_by,
            expires=expires,
        )
        self._tokens[token.digest] = token
        return token, secret

    def delete_token(self, id: str) -> Token | None:
        """Remove a token; ``None`` where there is none of that id."""
        found = next((each for each in self._tokens.values() if each.id == id), None)
        return None if found is None else self._tokens.pop(found.digest)

    def make_local_token(self) -> str:
        """A token of an admin, in memory only, so that it ends with the process; the one before is no longer good."""
        secret = TOKEN_PREFIX + secrets.token_urlsafe(32)
        self._local = _digest(secret)
        return secret

    def who(self, secret: str, now: float) -> Who | None:
        """Whose token this is."""
        # The digest is looked up, so that the time it takes says nothing about the secret.
        digest = _digest(secret)
        if self._local and hmac.compare_digest(digest, self._local):
            return Who("this machine", "admin", "token", "local")
        token = self._tokens.get(digest)
        if token is None or (token.expires is not None and token.expires <= now):
            return None
        return Who(token.name, token.role, "token", token.id)

    # The file.

    def save(self) -> None:
        """Write the file, if there is a path. Raises :class:`SecurityError`."""
        if self.path is None:
            return
        accounts = [
            Account(name=name, role=role, password=self._passwords.hash_of(name))
            for name, role in list(self._roles.items())
        ]
        content = msgspec.json.format(msgspec.json.encode(_File(accounts, self.tokens)), indent=2) + b"\n"
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            replace_file(self.path, content, 0o600)
            self._known = content
        except OSError as error:
            raise SecurityError(self.path, "", f"cannot be written: {error.strerror}") from error


def accounts_path(settings: AdminConfig, data_dir: Path | None) -> Path | None:
    """Where the accounts are; ``None``: in memory."""
    if settings.accounts_file is not None or data_dir is None:
        return settings.accounts_file
    return data_dir / ACCOUNTS_FILE


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
