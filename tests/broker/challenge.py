"""A toy method of enhanced authentication: the client must send back what it was sent, reversed, as often as asked."""

from __future__ import annotations

from functools import partial

from mqttbroker.broker import Accepted, Challenge, Credentials, Refused, VerdictCallback
from mqttbroker.protocol import Auth, Properties, ReasonCode

__all__ = ["METHOD", "Toy", "auth", "with_method"]

METHOD = "toy"


class Toy:
    """Accepts whoever reverses ``steps`` challenges. The name is the Authentication Data of CONNECT."""

    def __init__(self, steps: int = 1) -> None:
        self.steps: int = steps
        self.asked: list[Credentials] = []

    def authenticate(self, credentials: Credentials, done: VerdictCallback) -> None:
        self.asked.append(credentials)
        if credentials.method != METHOD:
            done(Refused(ReasonCode.BAD_AUTHENTICATION_METHOD, f"unknown method {credentials.method!r}"))
            return
        self._challenge((credentials.data or b"").decode(), self.steps, done)

    def _challenge(self, name: str, left: int, done: VerdictCallback) -> None:
        if left:
            done(Challenge(f"challenge {left}".encode(), partial(self._answered, name, left)))
        else:
            done(Accepted(name, b"welcome"))

    def _answered(self, name: str, left: int, data: bytes | None, done: VerdictCallback) -> None:
        if data != f"challenge {left}".encode()[::-1]:
            done(Refused(ReasonCode.NOT_AUTHORIZED, "wrong answer"))
        else:
            self._challenge(name, left - 1, done)


def with_method(name: bytes = b"user", method: str = METHOD) -> Properties:
    """The properties of a CONNECT that begins the authentication."""
    return Properties(authentication_method=method, authentication_data=name)


def auth(
    data: bytes | None, reason: ReasonCode = ReasonCode.CONTINUE_AUTHENTICATION, method: str | None = METHOD
) -> Auth:
    """The client's AUTH."""
    return Auth(reason, Properties(authentication_method=method, authentication_data=data))
