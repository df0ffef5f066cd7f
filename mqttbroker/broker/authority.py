"""Who a client is and what it may do: the two interfaces through which the broker asks.

Implementations live in ``mqttbroker/security/``. An authenticator may take its time (it hashes, it asks another
server), so it answers through a completion; an authoriser decides at once, from memory, because routes hold its
decisions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from mqttbroker.protocol import ReasonCode

__all__ = [
    "Accepted",
    "Action",
    "Authenticator",
    "Authorizer",
    "Challenge",
    "ClientCertificate",
    "Credentials",
    "Decision",
    "EveryoneWelcome",
    "EverythingAllowed",
    "FailsClosed",
    "Identity",
    "Peer",
    "Proceed",
    "Refused",
    "UsernameSource",
    "Verdict",
    "VerdictCallback",
]

Action = Literal["publish", "subscribe", "receive"]
UsernameSource = Literal["common_name", "alternative_name", "unix_user"]
"""What of a :class:`Peer` may be its user name."""


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """The names in a client certificate that was checked, by this broker or by a proxy that it trusts."""

    common_name: str = ""
    alternative_names: tuple[str, ...] = ()
    """DNS names, e-mail addresses and URIs, in the order of the certificate."""


@dataclass(frozen=True, slots=True)
class Peer:
    """What is known of the other end of a connection before it has said anything of MQTT."""

    address: str = ""
    """As logs show it: ``192.0.2.1:1883``, ``[2001:db8::1]:1883``, ``unix``."""
    certificate: ClientCertificate | None = None
    user_id: int | None = None
    """Of the process at the other end of a Unix socket, like the two that follow."""
    group_id: int | None = None
    process_id: int | None = None


@dataclass(frozen=True, slots=True)
class Identity:
    """Who is connected: what rules are held against."""

    client_id: str
    username: str | None = None
    address: str = ""
    listener: str = ""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a client shows of itself in CONNECT or in a re-authentication."""

    client_id: str
    username: str | None = None
    password: bytes | None = None
    peer: Peer = Peer()
    listener: str = ""
    method: str | None = None
    """Authentication Method (section 4.12); ``None`` for user name and password."""
    data: bytes | None = None

    def __repr__(self) -> str:
        # The password stays out of logs and tracebacks.
        return f"Credentials(client_id={self.client_id!r}, username={self.username!r}, address={self.peer.address!r})"


@dataclass(frozen=True, slots=True)
class Accepted:
    """The client is who it says. ``username`` is the name that rules and sessions know it by."""

    username: str | None = None
    data: bytes | None = None
    """Authentication Data for the final CONNACK or AUTH."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The client is refused; ``detail`` is for the log, never for the client."""

    reason: ReasonCode = ReasonCode.NOT_AUTHORIZED
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Challenge:
    """One more step of an enhanced authentication: ``data`` goes out in an AUTH packet, and the answer to
    ``proceed``.
    """

    data: bytes | None
    proceed: Proceed


Verdict = Accepted | Refused | Challenge
VerdictCallback = Callable[[Verdict], None]
"""Takes the verdict, once, in the broker's thread; at once or later."""
Proceed = Callable[[bytes | None, VerdictCallback], None]
"""Takes the client's Authentication Data and what to do with the next verdict."""


class Authenticator(Protocol):
    """Decides who a client is."""

    def authenticate(self, credentials: Credentials, done: VerdictCallback) -> None:
        """Call ``done`` with the verdict. An exception counts as a refusal with 0x80.

        A method that is not known is refused with 0x8C (Bad authentication method).
        """


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether an action is allowed, and the rule that decided, in words for the log."""

    allowed: bool
    rule: str = ""


class Authorizer(Protocol):
    """Decides what a client may do."""

    def decide(self, identity: Identity, action: Action, topic: str) -> Decision:
        """Decide on a topic name ("publish": to send to it; "receive": to be sent it) or a topic filter
        ("subscribe").
        """


class FailsClosed:
    """Asks another authoriser, and takes an exception for a no: a rule that cannot be held is not one that allows."""

    def __init__(self, authorizer: Authorizer, failed: Callable[[Exception], None]) -> None:
        self._authorizer: Authorizer = authorizer
        self._failed: Callable[[Exception], None] = failed

    def decide(self, identity: Identity, action: Action, topic: str) -> Decision:
        """Decide as the other does."""
        try:
            return self._authorizer.decide(identity, action, topic)
        except Exception as error:
            self._failed(error)
            return _FAILED


class EveryoneWelcome:
    """An authenticator that asks nothing, for a broker that only listens on the loopback interface."""

    def authenticate(self, credentials: Credentials, done: VerdictCallback) -> None:
        """Accept.

        A user name that was not proved counts for nothing; an Authentication Method is refused, since there is none.
        """
        if credentials.method is not None:
            done(Refused(ReasonCode.BAD_AUTHENTICATION_METHOD, f"unknown method {credentials.method!r}"))
        else:
            done(Accepted())


class EverythingAllowed:
    """An authoriser that allows everything."""

    def decide(self, identity: Identity, action: Action, topic: str) -> Decision:
        """Allow."""
        return _ALLOWED


_ALLOWED = Decision(True, "everything is allowed")
_FAILED = Decision(False, "the authoriser failed")
