"""User names and passwords, checked away from the broker's thread.

Rules:

1. The broker's thread never computes a hash. A check goes through an injected callable, and its result comes back in
   the broker's thread; this module knows neither threads nor an event loop (see ``offload.py``).
2. Checks in progress are bounded. One more is refused at once, so that a flood of logins holds up no others for long
   and takes no memory.
3. Whatever goes wrong is a refusal.
4. An unknown user and a wrong password get the same answer after the same work.

Deliberately absent: a memory of passwords that were right lately, which would have to be guarded like the passwords.
"""

from __future__ import annotations

from collections.abc import Callable

from mqttbroker.broker.authority import Accepted, Credentials, Refused, VerdictCallback
from mqttbroker.protocol import ReasonCode
from mqttbroker.security.passwords import PasswordFile

__all__ = ["PasswordAuthenticator", "RunInThread"]

RunInThread = Callable[[Callable[[], bool], Callable[[bool | Exception], None]], None]
"""``run(work, done)``: run ``work`` in another thread, then ``done`` in the broker's, with the result or the exception.

``done`` is called once, whatever happens: work that cannot be begun is done with the reason as its exception.
"""


class PasswordAuthenticator:
    """Accepts the users of a password file, and clients without a user name where that is allowed.

    ``password_file`` may be replaced at any time. A check in progress finishes against the one that it began with, and
    lets nobody in whose entry is another one by then.
    """

    def __init__(
        self,
        password_file: PasswordFile,
        allow_anonymous: bool,
        run_in_thread: RunInThread,
        max_pending: int = 256,
    ) -> None:
        self.password_file: PasswordFile = password_file
        self.allow_anonymous: bool = allow_anonymous
        self.max_pending: int = max_pending
        self.pending: int = 0
        """Checks in progress."""
        self._run_in_thread: RunInThread = run_in_thread

    def authenticate(self, credentials: Credentials, done: VerdictCallback) -> None:
        """Call ``done`` with the verdict: at once where there is nothing to check, else when the check is over."""
        refused = self._refuse_at_once(credentials)
        if refused is not None:
            done(refused)
            return
        username, password = credentials.username, credentials.password
        if username is None or password is None:
            done(Accepted())
            return
        password_file = self.password_file

        def check() -> bool:
            return password_file.verify(username, password)

        def checked(result: bool | Exception) -> None:
            self.pending -= 1
            if result is True and not self.password_file.has_entry_of(password_file, username):
                result = False
            done(_verdict(username, result))

        self.pending += 1
        self._run_in_thread(check, checked)

    def _refuse_at_once(self, credentials: Credentials) -> Refused | None:
        """The refusal that needs no check of a password, if any."""
        if credentials.method is not None:
            # [MQTT-4.12.0-1]
            return Refused(ReasonCode.BAD_AUTHENTICATION_METHOD, f"unknown method {credentials.method!r}")
        if credentials.username is None:
            # A password alone says nothing about who the client is, so it is nobody, as without one.
            return None if self.allow_anonymous else Refused(ReasonCode.NOT_AUTHORIZED, "no user name")
        if credentials.password is None:
            return Refused(ReasonCode.NOT_AUTHORIZED, f"no password for user {credentials.username!r}")
        if self.pending >= self.max_pending:
            return Refused(ReasonCode.SERVER_BUSY, f"{self.pending} passwords are being checked")
        return None


def _verdict(username: str, result: bool | Exception) -> Accepted | Refused:
    # Anything but True refuses, a result of the wrong type included.
    if result is True:
        return Accepted(username)
    if isinstance(result, Exception):
        return Refused(ReasonCode.UNSPECIFIED_ERROR, f"the password of user {username!r} was not checked: {result!r}")
    return Refused(ReasonCode.BAD_USER_NAME_OR_PASSWORD, f"unknown user or wrong password: {username!r}")
