"""Who may come in at each listener and what they may do, as the configuration says, from files that are read again on
demand.

Where the configuration names no file and there is a data directory, files in that hold as soon as they are there
(``config/managed.py``). A *set* is one file of users or of rules, and the listeners for which it holds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeVar

from mqttbroker.broker import Authenticator, Authorizer, EveryoneWelcome, EverythingAllowed, Log
from mqttbroker.config import (
    Config,
    ConfigError,
    ListenerConfig,
    SecurityConfig,
    check_exposure,
    is_there,
    managed_password_file,
    managed_rules_file,
)
from mqttbroker.security import (
    AccessList,
    ChangingAuthenticator,
    PasswordAuthenticator,
    PasswordFile,
    PeerAuthenticator,
    RulesByListener,
    SecurityError,
    ThreadOffload,
)

__all__ = ["DEFAULT", "Access", "AccessSet"]

DEFAULT: Final = "default"
"""The set of ``[security]``."""

Loaded = TypeVar("Loaded", PasswordFile, AccessList)


@dataclass(frozen=True, slots=True)
class AccessSet:
    """One file of users or of rules."""

    id: str
    """`DEFAULT`, or ``listener:NAME`` after the first listener that names the file."""
    path: Path | None
    """``None``: the configuration names no file, and there is no data directory for one."""
    managed: bool
    """Whether the configuration does not name it."""
    listeners: tuple[str, ...]
    """Those for which it holds."""


class Access:
    """The users and rules of one broker's listeners. A file that several share is read once.

    Raises :class:`SecurityError` when a file is wrong. An ``authenticator`` or ``authorizer`` that a program has given
    stands for all that the configuration says of it.
    """

    def __init__(
        self,
        config: Config,
        authenticator: Authenticator | None,
        authorizer: Authorizer | None,
        loop: asyncio.AbstractEventLoop,
        log: Log,
    ) -> None:
        self._config = config
        self._log = log
        self._given = authenticator
        self._offload: ThreadOffload = ThreadOffload(loop)
        self._users: dict[Path, PasswordFile] = {}
        self._lists: dict[Path, AccessList] = {}
        self._doors: list[tuple[ListenerConfig, ChangingAuthenticator]] = []
        self._by_password: dict[str, PasswordAuthenticator] = {}
        self._warned: set[str] = set()
        """Password files without rules of which the log knows."""
        self._rules: RulesByListener | None = None if authorizer else RulesByListener({}, EverythingAllowed())
        self.authorizer: Authorizer = authorizer or self._rules or EverythingAllowed()
        self._read()
        self._put_in_force()

    def authenticator(self, listener: ListenerConfig) -> Authenticator:
        """Who decides at this listener who a client is."""
        if self._given is not None:
            return self._given
        door = ChangingAuthenticator(self._admission(listener))
        self._doors.append((listener, door))
        return door

    def reload(self) -> None:
        """Read all files again, for connections and messages to come.

        Raises :class:`SecurityError`, and leaves in force what was, when any of them is wrong.
        """
        self._read()
        self._put_in_force()

    def close(self) -> None:
        """End the threads."""
        self._offload.close()

    # What administrators see and change.

    @property
    def decides_who(self) -> bool:
        """Whether users are from files, and not a program's business."""
        return self._given is None

    @property
    def decides_what(self) -> bool:
        """Whether rules are from files, and not a program's business."""
        return self._rules is not None

    @property
    def user_sets(self) -> list[AccessSet]:
        """The password files, the default one first."""
        return self._sets("password_file", managed_password_file(self._config))

    @property
    def rule_sets(self) -> list[AccessSet]:
        """The rule files, the default one first."""
        return self._sets("acl_file", managed_rules_file(self._config))

    def security(self, listener: ListenerConfig) -> SecurityConfig:
        """What holds at a listener now, files in the data directory included."""
        return self._with_managed(listener.security.over(self._config.security))

    def users(self, path: Path) -> PasswordFile | None:
        """The users of a file as they are in force."""
        return self._users.get(path)

    def rules(self, path: Path) -> AccessList | None:
        """The rules of a file as they are in force."""
        return self._lists.get(path)

    def put_users(self, path: Path, users: PasswordFile | None) -> None:
        """Put other users of a file into force; ``None``: the file is gone. What was read of other files stays."""
        self._users = _with(self._users, path, users)
        self._put_in_force()

    def put_rules(self, path: Path, rules: AccessList | None) -> None:
        """Put other rules of a file into force, as above. Whoever remembers decisions must be told."""
        self._lists = _with(self._lists, path, rules)
        self._put_in_force()

    def authorizers(
        self, path: Path | None = None, rules: AccessList | None = None
    ) -> tuple[dict[str, Authorizer], Authorizer]:
        """Who decides at listeners that have rules of their own, and who at all others: now, or with other rules of one
        file.
        """
        lists = self._lists if path is None else _with(self._lists, path, rules)
        default = self._config.security
        of_listeners = {each.name: each.security.over(default) for each in self._config.listeners}
        made = {each: self._authorizer(each, lists) for each in dict.fromkeys([default, *of_listeners.values()])}
        return {name: made[each] for name, each in of_listeners.items() if each != default}, made[default]

    # Within.

    def _read(self) -> None:
        """Read all files; leave everything as it is where one is wrong."""
        wanted_users, wanted_rules = self._wanted()
        users = {} if self._given else {path: PasswordFile.load(path) for path in wanted_users}
        lists = {} if self._rules is None else {path: AccessList.load(path) for path in wanted_rules}
        managed = managed_password_file(self._config)
        if managed in self._users and managed not in users:
            try:
                check_exposure(self._config, managed=False)
            except ConfigError as error:
                raise SecurityError(managed or "", "", f"is gone, and without it: {error}") from error
        self._users, self._lists = users, lists

    def _wanted(self) -> tuple[list[Path], list[Path]]:
        """The files that there must be."""
        users = [each.path for each in self.user_sets if each.path is not None and _holds(each)]
        rules = [each.path for each in self.rule_sets if each.path is not None and _holds(each)]
        return users, rules

    def _sets(self, key: Literal["password_file", "acl_file"], managed: Path | None) -> list[AccessSet]:
        default = self._config.security
        general: Path | None = getattr(default, key) or managed
        holders: dict[Path | None, list[str]] = {general: []}
        named = {getattr(default, key)}
        for listener in self._config.listeners:
            path: Path | None = getattr(listener.security.over(default), key)
            named.add(path)
            holders.setdefault(path or managed, []).append(listener.name)
        return [
            AccessSet(
                DEFAULT if path == general else f"listener:{names[0]}",
                path,
                path not in named,
                tuple(names),
            )
            for path, names in holders.items()
        ]

    def _with_managed(self, security: SecurityConfig) -> SecurityConfig:
        users, rules = managed_password_file(self._config), managed_rules_file(self._config)
        return SecurityConfig(
            security.allow_anonymous,
            security.password_file or (users if users in self._users else None),
            security.acl_file or (rules if rules in self._lists else None),
        )

    def _put_in_force(self) -> None:
        for listener, door in self._doors:
            door.current = self._admission(listener)
        if self._rules is not None:
            self._rules.replace(*self.authorizers())
            self._warn_without_rules()

    def _warn_without_rules(self) -> None:
        default = self._config.security
        everywhere = {
            self._with_managed(each)
            for each in [default, *(it.security.over(default) for it in self._config.listeners)]
        }
        files = {str(each.password_file) for each in everywhere if each.password_file and not each.acl_file}
        for file in sorted(files - self._warned):
            event = "no acl_file: with a password file and no rules, nobody may publish or subscribe"
            self._log("warning", event, password_file=file)
        self._warned = files

    def _admission(self, listener: ListenerConfig) -> Authenticator:
        security = self.security(listener)
        authenticator: Authenticator = EveryoneWelcome()
        if security.password_file is not None:
            users = self._users[security.password_file]
            # The same one as before, which knows what it is busy with.
            by_password = self._by_password.get(listener.name)
            if by_password is None:
                by_password = PasswordAuthenticator(users, security.anonymous, self._offload)
                self._by_password[listener.name] = by_password
            by_password.password_file = users
            by_password.allow_anonymous = security.anonymous
            authenticator = by_password
        if listener.username_from is not None:
            fall_back = security.password_file is not None or security.allow_anonymous is True
            authenticator = PeerAuthenticator(listener.username_from, authenticator if fall_back else None)
        return authenticator

    def _authorizer(self, security: SecurityConfig, lists: Mapping[Path, AccessList]) -> Authorizer:
        path = security.acl_file or managed_rules_file(self._config)
        if path is not None and path in lists:
            return lists[path]
        known = self._with_managed(security).password_file is not None
        return AccessList([], "no acl_file") if known else EverythingAllowed()


def _holds(each: AccessSet) -> bool:
    """Whether a file must be read: one that is managed only if it is there."""
    if not each.managed or each.path is None:
        return True
    try:
        return is_there(each.path)
    except OSError as error:
        raise SecurityError(each.path, "", f"cannot be looked at: {error.strerror}") from error


def _with(loaded: Mapping[Path, Loaded], path: Path, one: Loaded | None) -> dict[Path, Loaded]:
    changed = {each: value for each, value in loaded.items() if each != path}
    return changed if one is None else {**changed, path: one}
