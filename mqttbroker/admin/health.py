"""Whether the broker can serve clients, and if not, why."""

from __future__ import annotations

from mqttbroker.admin.context import Administered

__all__ = ["not_ready"]


def not_ready(broker: Administered) -> list[str]:
    """What keeps clients from being served, one sentence each; empty where nothing does.

    It is shown to strangers: it names listeners, and no files.
    """
    reasons = []
    if not broker.core.store.accepting:
        reasons.append("the store takes nothing: its disk is full, or it has failed")
    elif broker.core.store.congested:
        reasons.append("the store cannot keep up with what is to be written")
    addresses = broker.addresses
    reasons += [
        f"the listener {each.name} does not listen" for each in broker.config.listeners if not addresses.get(each.name)
    ]
    return reasons
