"""Who may come in at each listener and what they may do, as the configuration says, from files that are read again on
demand.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from mqttbroker.broker import Authenticator, Authorizer, EveryoneWelcome, EverythingAllowed, Log
from mqttbroker.config import Config, ListenerConfig, SecurityConfig
from mqttbroker.security import (
    AccessList,
    PasswordAuthenticator,
    PasswordFile,
    PeerAuthenticator,
    RulesByListener,
    ThreadOffload,
)

__all__ = ["Access"]


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
        self._users: dict[Path, PasswordFile] = {} if authenticator else self._read_users()
        self._by_password: list[tuple[Path, PasswordAuthenticator]] = []
        self._rules: RulesByListener | None = None if authorizer else RulesByListener(*self._read_rules())
        self.authorizer: Authorizer = authorizer or self._rules or EverythingAllowed()

    def authenticator(self, listener: ListenerConfig) -> Authenticator:
        """Who decides at this listener who a client is."""
        if self._given is not None:
            return self._given
        security = listener.security.over(self._config.security)
        authenticator: Authenticator = EveryoneWelcome()
        if security.password_file is not None:
            by_password = PasswordAuthenticator(self._users[security.password_file], security.anonymous, self._offload)
            self._by_password.append((security.password_file, by_password))
            authenticator = by_password
        if listener.username_from is not None:
            fall_back = security.password_file is not None or security.allow_anonymous is True
            authenticator = PeerAuthenticator(listener.username_from, authenticator if fall_back else None)
        return authenticator

    def reload(self) -> None:
        """Read all files again, for connections and messages to come.

        Raises :class:`SecurityError`, and leaves in force what was, when any of them is wrong.
        """
        users = {} if self._given else self._read_users()
        rules = None if self._rules is None else self._read_rules()
        self._users = users
        for path, authenticator in self._by_password:
            authenticator.password_file = users[path]
        if self._rules is not None and rules is not None:
            self._rules.replace(*rules)

    def close(self) -> None:
        """End the threads."""
        self._offload.close()

    def _read_users(self) -> dict[Path, PasswordFile]:
        named = [each.security.over(self._config.security).password_file for each in self._config.listeners]
        return {path: PasswordFile.load(path) for path in dict.fromkeys(named) if path is not None}

    def _read_rules(self) -> tuple[dict[str, Authorizer], Authorizer]:
        """The rules of listeners that have their own, and those of all others."""
        default = self._config.security
        of_listeners = {each.name: each.security.over(default) for each in self._config.listeners}
        made = {each: self._authorizer(each) for each in dict.fromkeys([default, *of_listeners.values()])}
        return {name: made[each] for name, each in of_listeners.items() if each != default}, made[default]

    def _authorizer(self, security: SecurityConfig) -> Authorizer:
        if security.acl_file is not None:
            return AccessList.load(security.acl_file)
        if security.password_file is None:
            return EverythingAllowed()
        self._log(
            "warning",
            "no acl_file: with a password file and no rules, nobody may publish or subscribe",
            password_file=str(security.password_file),
        )
        return AccessList([], "no acl_file")
