"""Who a client is by what its connection shows, without a password: its certificate, or the user of a Unix socket."""

from __future__ import annotations

from mqttbroker.broker.authority import (
    Accepted,
    Authenticator,
    Credentials,
    Peer,
    Refused,
    UsernameSource,
    VerdictCallback,
)
from mqttbroker.protocol import ReasonCode

__all__ = ["PeerAuthenticator"]


class PeerAuthenticator:
    """Accepts clients whose connection names them, and asks another authenticator about the rest.

    Whatever user name such a client sends with CONNECT counts for nothing. Where there is no other authenticator, a
    client without a name is refused; so is one whose certificate has none.
    """

    def __init__(self, source: UsernameSource, otherwise: Authenticator | None) -> None:
        self._source: UsernameSource = source
        self._otherwise: Authenticator | None = otherwise

    def authenticate(self, credentials: Credentials, done: VerdictCallback) -> None:
        """Call ``done`` with the verdict."""
        peer = credentials.peer
        shown = peer.user_id is not None if self._source == "unix_user" else peer.certificate is not None
        if not shown and self._otherwise is not None:
            self._otherwise.authenticate(credentials, done)
            return
        if credentials.method is not None:
            done(Refused(ReasonCode.BAD_AUTHENTICATION_METHOD, f"unknown method {credentials.method!r}"))
            return
        name = _name(peer, self._source)
        if name:
            done(Accepted(name))
        else:
            done(Refused(ReasonCode.NOT_AUTHORIZED, f"the connection shows no {self._source}"))


def _name(peer: Peer, source: UsernameSource) -> str:
    if source == "unix_user":
        return "" if peer.user_id is None else _user_name(peer.user_id)
    if peer.certificate is None:
        return ""
    if source == "common_name":
        return peer.certificate.common_name
    return next(iter(peer.certificate.alternative_names), "")


def _user_name(user_id: int) -> str:
    """The name of a user of this system; its number where it has none, as in a container."""
    import pwd

    try:
        return pwd.getpwuid(user_id).pw_name
    except KeyError:
        return str(user_id)
