"""Whether the broker can serve clients, and if not, why."""

from __future__ import annotations

from mqttbroker.admin.alarms import RESERVE
from mqttbroker.admin.context import Administered
from mqttbroker.storage.lmdb import LmdbStore

__all__ = ["not_ready"]


def not_ready(broker: Administered) -> list[str]:
    """What keeps clients from being served, one sentence each; empty where nothing does.

    It is shown to strangers: it names listeners, and no files.
    """
    reasons = []
    store = broker.core.store
    disk = None if broker.monitor is None else broker.monitor.figures.disk
    if isinstance(store, LmdbStore) and store.failure is not None:
        reasons.append("the store has failed and takes nothing more")
    elif not store.accepting:
        reasons.append("the store takes nothing: its disk is full")
    elif disk is not None and disk.free < RESERVE:
        reasons.append(f"the disk has less than {RESERVE >> 20} MiB free")
    if store.accepting and store.congested:
        reasons.append("the store cannot keep up with what is to be written")
    addresses = broker.addresses
    reasons += [
        f"the listener {each.name} does not listen" for each in broker.config.listeners if not addresses.get(each.name)
    ]
    return reasons
