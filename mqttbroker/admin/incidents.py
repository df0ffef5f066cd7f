"""What goes wrong with clients again and again, as the broker's events tell it: the ground for alarms.

:meth:`Incidents.tell` listens to the events of one broker. Without an admin server nobody listens, and there are none.
"""

from __future__ import annotations

from typing import Final

from mqttbroker.admin.repeated import MOST, Repeated
from mqttbroker.broker import BrokerCore, host_of
from mqttbroker.sessions import mounted_client_id

__all__ = ["Incidents"]

FIGHT: Final = 5
"""Takeovers in about a minute that are a fight."""
REFUSED: Final = 10
"""Refusals in about a minute that are too many."""


class Incidents:
    """Of one broker."""

    def __init__(self) -> None:
        self.takeovers: Repeated = Repeated(FIGHT)
        """By the client identifier that the broker knows."""
        self.refusals: Repeated = Repeated(REFUSED)
        """By the address of whoever is refused, the user where there is no address."""
        self._slow: dict[str, None] = {}

    def tell(self, kind: str, client_id: str, now: float, details: dict[str, object]) -> None:
        """An event has happened: a listener of the broker's core."""
        if kind == "takeover":
            known = mounted_client_id(str(details.get("mount_point", "")), client_id)
            addresses = tuple(_host(details, each) for each in ("address", "by"))
            self.takeovers.add(known, now, 1, tuple(each for each in addresses if each))
        elif kind == "refused":
            count = details.get("count", 1)
            who = _host(details, "address") or str(details.get("user") or client_id)
            what = f"{details.get('action', '')} ({details.get('rule', '')})"
            self.refusals.add(who, now, count if isinstance(count, int) else 1, (), what)
        elif kind == "slow":
            self._slow[mounted_client_id(str(details.get("mount_point", "")), client_id)] = None
            if len(self._slow) > MOST:
                del self._slow[next(iter(self._slow))]

    def slow(self, core: BrokerCore) -> list[tuple[str, int]]:
        """Clients that take nothing of what they are sent, and the bytes that wait for each."""
        found = []
        for known in list(self._slow):
            connection = core.registry.online.get(known)
            if connection is None or not connection.stalled_at:
                del self._slow[known]
            else:
                found.append((known, connection.carrier.waiting()))
        return found


def _host(details: dict[str, object], key: str) -> str:
    address = details.get(key)
    if not isinstance(address, str):
        return ""
    # Of a connection that was not let in there is no port.
    return address if address.count(":") > 1 and not address.startswith("[") else host_of(address)
