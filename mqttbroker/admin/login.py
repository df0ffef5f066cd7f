"""Sessions of people in browsers, tokens of programs, and how often somebody may try a password.

A session is a cookie that scripts cannot read and other sites cannot send (HttpOnly, SameSite=Strict). Whoever changes
something with it also sends the token that was given at login, in ``X-CSRF-Token``. Sessions are in memory: they end
with the broker.

Tries are counted by address, and by name for all addresses together. A try that is let through costs a check of a
password, whatever the name; one that is not costs nothing and gets 429.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from mqttbroker.admin.accounts import Accounts
from mqttbroker.admin.endpoint import Who
from mqttbroker.admin.problems import Problem
from mqttbroker.admin.tries import Tries

__all__ = ["COOKIE", "LONGEST", "Login", "Session"]

COOKIE: Final = "mqttbroker_session"
IDLE: Final = 3600.0 * 2
"""Seconds without a request after which a session ends."""
LONGEST: Final = 3600.0 * 12
"""Seconds after which a session ends in any case."""
MOST_SESSIONS: Final = 500
"""Sessions at a time; the one that was not used for longest makes room."""
TRIES: Final = 10
"""Passwords that may be tried at once from one address; ten times as many with one name."""
TRY_AGAIN: Final = 6.0
"""Seconds until there is another try; a tenth of that with one name."""


@dataclass(slots=True)
class Session:
    """Somebody who has logged in."""

    name: str
    csrf: str
    began: float
    used: float


class Login:
    """Who is logged in. ``clock`` gives seconds that never go back."""

    def __init__(self, accounts: Accounts, clock: Callable[[], float]) -> None:
        self._accounts = accounts
        self._clock = clock
        self._sessions: OrderedDict[str, Session] = OrderedDict()
        self._by_address = Tries(TRIES, TRY_AGAIN)
        # More, so that one stranger cannot keep the owner of the name out.
        self._by_name = Tries(10 * TRIES, TRY_AGAIN / 10)

    # Asking.

    def authenticate(self, headers: Mapping[str, str], *, counts: bool = True) -> Who:
        """Who sends a request with these headers. Raises :class:`Problem` 401.

        ``counts`` is whether a session counts as used by that; it does not where nobody has done anything.
        """
        authorization = headers.get("authorization")
        if authorization is not None:
            scheme, _, secret = authorization.partition(" ")
            who = self._accounts.who(secret.strip(), self._clock()) if scheme.lower() == "bearer" else None
            if who is None:
                raise _unknown("this token is none, or none any more")
            return who
        session = self.session(headers, counts=counts)
        role = None if session is None else self._accounts.roles.get(session.name)
        if session is None or role is None:
            raise _unknown("log in by POST /api/v1/login, or send Authorization: Bearer and a token")
        return Who(session.name, role, "session", _key(_cookie(headers)))

    def check_csrf(self, who: Who, headers: Mapping[str, str]) -> None:
        """Raise :class:`Problem` where a session changes something without its token. Tokens need none."""
        if who.by == "session":
            session = self.session(headers)
            given = headers.get("x-csrf-token", "")
            if session is None or not hmac.compare_digest(session.csrf.encode(), given.encode("latin-1")):
                raise Problem(403, "expected X-CSRF-Token with the token that was given at login")

    def session(self, headers: Mapping[str, str], *, counts: bool = True) -> Session | None:
        """The session of a request; ``counts`` is whether it counts as used by that."""
        key = _key(_cookie(headers))
        session = self._sessions.get(key)
        if session is None:
            return None
        now = self._clock()
        if now - session.used > IDLE or now - session.began > LONGEST:
            del self._sessions[key]
            return None
        if counts:
            session.used = now
            self._sessions.move_to_end(key)
        return session

    # Coming and going.

    def open(self, name: str) -> tuple[Session, str]:
        """Begin a session; gives it and the value of its cookie."""
        secret = secrets.token_urlsafe(32)
        now = self._clock()
        session = Session(name, secrets.token_urlsafe(32), now, now)
        self._sessions[_key(secret)] = session
        while len(self._sessions) > MOST_SESSIONS:
            self._sessions.popitem(last=False)
        return session, secret

    def close(self, headers: Mapping[str, str]) -> None:
        """End the session of a request."""
        self._sessions.pop(_key(_cookie(headers)), None)

    def close_all(self, name: str, but: Session | None = None) -> None:
        """End the sessions of an account, ``but`` one: its password or role is another."""
        for key, session in list(self._sessions.items()):
            if session.name == name and session is not but:
                del self._sessions[key]

    # Trying.

    def count_try(self, address: str, name: str) -> None:
        """Count a try of a password. Raises :class:`Problem` 429 when there were too many."""
        key, now = _key(name), self._clock()
        wait = max(self._by_address.wait(address, now), self._by_name.wait(key, now))
        if wait > 0.0:
            seconds = str(int(wait) + 1)
            detail = f"too many passwords were tried; the next may be tried in {seconds} s"
            raise Problem(429, detail, headers={"Retry-After": seconds})
        self._by_address.take(address, now)
        self._by_name.take(key, now)

    def forgive(self, address: str, name: str) -> None:
        """Forget the tries before a password that was right."""
        self._by_address.forgive(address)
        self._by_name.forgive(_key(name))


def _unknown(detail: str) -> Problem:
    return Problem(401, detail, headers={"WWW-Authenticate": "Bearer"})


def _cookie(headers: Mapping[str, str]) -> str:
    for part in headers.get("cookie", "").split(";"):
        name, _, value = part.strip().partition("=")
        if name == COOKIE:
            return value
    return ""


def _key(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
