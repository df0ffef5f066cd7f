"""A broker with more than one way in: TCP for the bystander, and TLS, WebSocket and both for the attacker."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mqttbroker.broker import Limits, ListenerLimits
from mqttbroker.config import Config, ListenerConfig, SysConfig, TlsConfig
from mqttbroker.testing.running import RunningBroker

__all__ = ["Door", "door", "several_ways"]


@dataclass(frozen=True)
class Door:
    """Where one listener is."""

    host: str
    port: int


def several_ways(
    tls: TlsConfig | None = None,
    limits: ListenerLimits | None = None,
    origins: Iterable[str] = (),
    **of_the_broker: object,
) -> Config:
    """Listeners ``tcp`` and ``ws``, and with ``tls`` also ``tls`` and ``wss``. ``limits`` are for all but the first."""
    own, allowed = limits or ListenerLimits(), tuple(origins)
    listeners = [ListenerConfig(port=0), ListenerConfig("ws", "websocket", port=0, limits=own, origins=allowed)]
    if tls is not None:
        listeners += [
            ListenerConfig("tls", port=0, limits=own, tls=tls),
            ListenerConfig("wss", "websocket", port=0, limits=own, tls=tls, origins=allowed),
        ]
    limited = Limits(**of_the_broker)  # type: ignore[arg-type]
    return Config(listeners=tuple(listeners), limits=limited, sys=SysConfig(interval=0))


def door(broker: RunningBroker, name: str) -> Door:
    """Where the listener of this name is."""
    ((host, port),) = broker.call(lambda inner: inner.addresses[name])
    return Door(host, port)
