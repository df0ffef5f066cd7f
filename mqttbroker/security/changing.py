"""An authenticator that stands for another one, which may be replaced while the broker runs."""

from __future__ import annotations

from mqttbroker.broker.authority import Authenticator, Credentials, VerdictCallback

__all__ = ["ChangingAuthenticator"]


class ChangingAuthenticator:
    """Asks whoever decides now."""

    def __init__(self, authenticator: Authenticator) -> None:
        self.current: Authenticator = authenticator

    def authenticate(self, credentials: Credentials, done: VerdictCallback) -> None:
        """Call ``done`` with the verdict."""
        self.current.authenticate(credentials, done)
