"""Rules that differ from listener to listener, and that can be replaced."""

from __future__ import annotations

from collections.abc import Mapping

from mqttbroker.broker.authority import Action, Authorizer, Decision, Identity

__all__ = ["RulesByListener"]


class RulesByListener:
    """Asks the authoriser of the listener through which a client came, and another one where that has none of its own
    or is not there any more.
    """

    def __init__(self, authorizers: Mapping[str, Authorizer], otherwise: Authorizer) -> None:
        self._authorizers: Mapping[str, Authorizer] = authorizers
        self._otherwise: Authorizer = otherwise

    def replace(self, authorizers: Mapping[str, Authorizer], otherwise: Authorizer) -> None:
        """Ask others from now on. Whoever remembers decisions must be told: see ``BrokerCore.rules_changed``."""
        self._authorizers = authorizers
        self._otherwise = otherwise

    def decide(self, identity: Identity, action: Action, topic: str) -> Decision:
        """Decide as that authoriser does."""
        return self._authorizers.get(identity.listener, self._otherwise).decide(identity, action, topic)
