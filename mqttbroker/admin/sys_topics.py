"""What the broker publishes about itself below ``$SYS/broker/``, under the names and in the forms of Mosquitto 2.0.

A figure is published when it has changed. A new subscriber gets all of them at once, as if they were retained; but they
are in no store, and a client that is away gets none of them later. They are published at QoS 0.

Deliberately absent: figures that Mosquitto does not have (the metrics have them), and those that it takes from inside
itself. Its heap is our resident memory; its store is the retained messages and what sessions are owed.
"""

from __future__ import annotations

from math import exp
from typing import Final

from mqttbroker import __version__
from mqttbroker.admin.memory import memory
from mqttbroker.admin.queues import QueueSurvey
from mqttbroker.broker import BrokerCore
from mqttbroker.sessions import Drop

__all__ = ["SysTopics"]

ROOT: Final = "$SYS/broker/"
MINUTES: Final = (1, 5, 15)
"""Over how long the loads are averaged."""
LOADS: Final = {
    "messages/received": "messages/received",
    "messages/sent": "messages/sent",
    "publish/dropped": "publish/messages/dropped",
    "publish/received": "publish/messages/received",
    "publish/sent": "publish/messages/sent",
    "bytes/received": "bytes/received",
    "bytes/sent": "bytes/sent",
    "sockets": "sockets",
    "connections": "connections",
}
"""The total that each load is the growth of, in a minute."""
UNPUBLISHED: Final = ("sockets", "connections")
"""Totals of which there are only loads."""


class SysTopics:
    """The topics of one broker. ``interval`` is in seconds, ``now`` when the broker was started."""

    def __init__(self, core: BrokerCore, survey: QueueSurvey, interval: float, now: float) -> None:
        self._core = core
        self._survey = survey
        self._interval = interval
        self._started = now
        self._most_clients = 0
        self._shown: dict[str, str] = {}
        self._loads: dict[str, _Load] = {name: _Load(now) for name in LOADS}

    def start(self, now: float) -> None:
        """Publish everything, and again every interval what has changed."""
        self._core.wheel.add(("figures", ROOT), self._due(now), self._due)

    def _due(self, now: float) -> float:
        self.publish(now)
        return now + self._interval

    def publish(self, now: float) -> None:
        """Publish what has changed."""
        for name, text in self._figures(now).items():
            if self._shown.get(name) != text:
                self._shown[name] = text
                self._core.show(ROOT + name, text.encode(), now)

    def _figures(self, now: float) -> dict[str, str]:
        totals = _totals(self._core)
        figures = {"version": f"mqttbroker version {__version__}", "uptime": f"{int(now - self._started)} seconds"}
        figures |= {name: str(value) for name, value in self._state().items()}
        figures |= {name: str(value) for name, value in totals.items() if name not in UNPUBLISHED}
        for name, load in self._loads.items():
            load.update(totals[LOADS[name]], now)
            figures |= {
                f"load/{name}/{minutes}min": f"{average:.2f}"
                for minutes, average in zip(MINUTES, load.averages, strict=True)
            }
        return figures

    def _state(self) -> dict[str, int]:
        core = self._core
        clients, connected = len(core.registry.sessions), len(core.registry.online)
        self._most_clients = max(self._most_clients, clients)
        stored = self._survey.depths.messages + len(core.retained)
        state = {
            "clients/total": clients,
            "clients/maximum": self._most_clients,
            "clients/connected": connected,
            "clients/active": connected,
            "clients/disconnected": clients - connected,
            "clients/inactive": clients - connected,
            "clients/expired": core.counters.sessions_expired,
            "subscriptions/count": len(core.router) - core.router.groups,
            "shared_subscriptions/count": core.router.members,
            "retained messages/count": len(core.retained),
            "messages/stored": stored,
            "store/messages/count": stored,
            "store/messages/bytes": core.session_limits.owed_bytes + core.retained.size,
        }
        now, most = memory()
        if most:
            state |= {"heap/current": now, "heap/maximum": most}
        return state


class _Load:
    """How fast one total grows, in a minute, averaged as a system's load is."""

    def __init__(self, now: float) -> None:
        self.averages: list[float] = [0.0] * len(MINUTES)
        self._total = 0
        self._at = now

    def update(self, total: int, now: float) -> None:
        elapsed = now - self._at
        if elapsed <= 0.0:
            return
        rate = (total - self._total) * 60.0 / elapsed
        self._total, self._at = total, now
        for place, minutes in enumerate(MINUTES):
            self.averages[place] = rate + exp(-elapsed / (60.0 * minutes)) * (self.averages[place] - rate)


def _totals(core: BrokerCore) -> dict[str, int]:
    counters, limits = core.counters, core.session_limits
    return {
        "messages/received": counters.messages_received + counters.other_packets_received,
        "messages/sent": counters.packets_sent,
        "publish/messages/received": counters.messages_received,
        "publish/messages/sent": limits.messages_sent,
        "publish/messages/dropped": limits.dropped[Drop.QUEUE_FULL] + limits.dropped[Drop.CONGESTED],
        "publish/bytes/received": counters.message_bytes_received,
        "publish/bytes/sent": limits.message_bytes_sent,
        "bytes/received": counters.bytes_received,
        "bytes/sent": counters.bytes_sent,
        "sockets": counters.connections_accepted,
        "connections": counters.clients_connected,
    }
