"""What other rules would mean for the clients that are connected, told before they are put into force.

Of each client there are its subscriptions, and the topics that it has published to lately, which its connection
remembers (not below mount points). Work is done in short turns, so that messages are not held up, and comes to an end
after a while: what is said then is of a part of the clients.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from mqttbroker.broker import Action, Authorizer, BrokerCore, Connection, Decision, EverythingAllowed, Identity
from mqttbroker.security import AccessList, Rule
from mqttbroker.topics import InvalidTopicFilter, split_share

if TYPE_CHECKING:
    from mqttbroker.access import Access

__all__ = ["Authorizers", "Change", "Changes", "Decider", "changes_for_clients", "every"]

TURN: Final = 0.005
"""Seconds of one turn."""
LONGEST: Final = 2.0
"""Seconds of all turns."""
SHOWN: Final = 20
"""Changes that are told one by one."""

Authorizers = tuple[dict[str, Authorizer], Authorizer]
"""By name of listener, and of all others."""
Kind = Literal["subscription", "part", "publish"]


@dataclass(frozen=True, slots=True)
class Decider:
    """Who decides what, now or with a draft."""

    authorizers: Authorizers

    @classmethod
    def of(cls, access: Access) -> Decider:
        """As it is in force."""
        return cls(access.authorizers())

    def at(self, listener: str) -> Authorizer:
        """Who decides at a listener."""
        by_listener, otherwise = self.authorizers
        return by_listener.get(listener, otherwise)

    def decide(self, identity: Identity, action: Action, topic: str) -> tuple[Decision, Rule | None]:
        """A decision, and the rule that makes it, if one does."""
        authorizer = self.at(identity.listener)
        decision = authorizer.decide(identity, action, topic)
        return decision, authorizer.rule_of(decision) if isinstance(authorizer, AccessList) else None

    def withheld(self, identity: Identity, topic_filter: str) -> dict[str, Rule]:
        """What a subscription that is granted is not sent; see :meth:`AccessList.withheld`."""
        authorizer = self.at(identity.listener)
        if not isinstance(authorizer, AccessList):
            return {}
        try:
            return authorizer.withheld(identity, split_share(topic_filter)[1])
        except InvalidTopicFilter:
            return {}


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that a client could do before and not after, or the other way round."""

    client: str
    """The identifier by which its session is known."""
    identity: Identity
    kind: Kind
    topic: str
    allowed: bool
    """Whether it may, after."""
    decision: Decision
    rule: Rule | None


@dataclass(slots=True)
class Changes:
    """What changes for the clients that are connected."""

    clients: int = 0
    """Those that were looked at."""
    complete: bool = True
    """Whether these are all."""
    lose: int = 0
    """Clients that lose something."""
    gain: int = 0
    """Clients that gain something."""
    shown: list[Change] = field(default_factory=list)
    """The first of them."""

    def take(self, connection: Connection, before: Decider, after: Decider) -> None:
        """Look at one client."""
        self.clients += 1
        listener = connection.identity.listener
        if isinstance(before.at(listener), EverythingAllowed) and isinstance(after.at(listener), EverythingAllowed):
            return
        loses = gains = False
        for change in _changes(connection, before, after):
            loses = loses or not change.allowed
            gains = gains or change.allowed
            if len(self.shown) < SHOWN:
                self.shown.append(change)
        self.lose += loses
        self.gain += gains


async def changes_for_clients(core: BrokerCore, before: Decider, after: Decider) -> Changes:
    """Hold all clients that are connected against both."""
    found = Changes()

    def look(connection: Connection) -> None:
        found.take(connection, before, after)

    found.complete = await every(core, look)
    return found


async def every(core: BrokerCore, look: Callable[[Connection], None]) -> bool:
    """Look at every client that is connected, in turns; false where there was no time for all of them."""
    spent = 0.0
    started = time.perf_counter()
    for connection in list(core.registry.online.values()):
        if not connection.accepted:
            continue  # It has gone meanwhile.
        look(connection)
        took = time.perf_counter() - started
        if took >= TURN:
            spent += took
            if spent >= LONGEST:
                return False
            await asyncio.sleep(0)
            started = time.perf_counter()
    return True


def _changes(connection: Connection, before: Decider, after: Decider) -> Iterator[Change]:
    identity = connection.identity
    client = connection.session.client_id

    def changed(kind: Kind, topic: str, allowed: bool, decision: Decision, rule: Rule | None) -> Change:
        return Change(client, identity, kind, topic, allowed, decision, rule)

    for topic_filter in list(connection.session.subscriptions):
        was, _ = before.decide(identity, "subscribe", topic_filter)
        decision, rule = after.decide(identity, "subscribe", topic_filter)
        if was.allowed != decision.allowed:
            yield changed("subscription", topic_filter, decision.allowed, decision, rule)
        elif decision.allowed:
            kept, lost = before.withheld(identity, topic_filter), after.withheld(identity, topic_filter)
            for part in lost.keys() - kept.keys():
                yield changed("part", part, False, decision, lost[part])
            for part in kept.keys() - lost.keys():
                yield changed("part", part, True, decision, rule)
    for route in list(connection.routes.values()):
        was, _ = before.decide(identity, "publish", route.topic)
        decision, rule = after.decide(identity, "publish", route.topic)
        if was.allowed != decision.allowed:
            yield changed("publish", route.topic, decision.allowed, decision, rule)
