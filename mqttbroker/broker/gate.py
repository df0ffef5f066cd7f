"""Who may come in, decided before a byte is read: how many connections there are, from where, and how fast they come.

A connection counts from the moment that it is accepted until its socket is closed, whatever happens in between: a TLS
hand-shake, a refusal, a slow farewell. Where a proxy stands in front, :meth:`Gate.enter` counts it without an address,
and :meth:`Gate.identify` adds the client's when it is known.
"""

from __future__ import annotations

import ipaddress

from mqttbroker.broker.counters import Counters
from mqttbroker.broker.entrance import Entrance
from mqttbroker.broker.events import Events
from mqttbroker.broker.quiet import QuietLog

__all__ = ["Gate", "host_of"]

BURST = 10.0
"""Seconds' worth of new connections that one address may make at once."""


class _Origin:
    """One address, or IPv6 network, that connections come from."""

    __slots__ = ("connections", "credit", "seen")

    def __init__(self, credit: float, now: float) -> None:
        self.connections: int = 0
        self.credit: float = credit
        """New connections that may be made at once."""
        self.seen: float = now


class Gate:
    """Counts the connections of one broker, and refuses those that are too many."""

    def __init__(self, max_connections: int, counters: Counters, log: QuietLog, events: Events | None = None) -> None:
        self.max_connections: int = max_connections
        self.connections: int = 0
        self._counters = counters
        self._log = log
        self._events = events
        self._origins: dict[str, _Origin] = {}
        self._idle: dict[str, _Origin] = {}
        """Those without connections, in the order in which the last of these ended; forgotten when the burst is whole
        again.
        """

    def enter(self, entrance: Entrance, address: str, now: float, proxy: str = "") -> bool:
        """A connection was accepted from this address, "" where a proxy will tell it; false when it is one too many.

        Each that is true wants one :meth:`leave`. ``proxy`` is where that proxy is, for the log.
        """
        if self.connections >= self.max_connections:
            return self._refuse(entrance, address or proxy, "max_connections", now)
        if entrance.connections >= entrance.limits.max_connections:
            return self._refuse(entrance, address or proxy, "max_connections of the listener", now)
        if address and not self.identify(entrance, address, now):
            return False
        self.connections += 1
        entrance.connections += 1
        self._counters.connections_accepted += 1
        return True

    def identify(self, entrance: Entrance, address: str, now: float) -> bool:
        """A connection comes from this address; false when that has too many, or makes them too fast."""
        limits = entrance.limits
        name = _origin_of(address)
        rate = limits.max_connection_rate
        origin = self._origins.get(name)
        if origin is None:
            origin = self._idle.pop(name, None) or _Origin(rate * BURST, now)
            self._origins[name] = origin
        if rate:
            origin.credit = min(origin.credit + (now - origin.seen) * rate, rate * BURST)
            origin.seen = now
        reason = ""
        if origin.connections >= limits.max_connections_per_address:
            reason = "max_connections_per_address"
        elif rate and origin.credit < 1.0:
            reason = "max_connection_rate"
        if reason:
            self._rest(name, origin, now)
            return self._refuse(entrance, address, reason, now)
        if rate:
            origin.credit -= 1.0
        origin.connections += 1
        return True

    def leave(self, entrance: Entrance, address: str, now: float) -> None:
        """The socket of a connection is closed; ``address`` as it was counted, "" if it was not."""
        self.connections -= 1
        entrance.connections -= 1
        if address:
            name = _origin_of(address)
            origin = self._origins[name]
            origin.connections -= 1
            self._rest(name, origin, now)

    def connections_of(self, address: str) -> int:
        """Connections from an address at this time."""
        origin = self._origins.get(_origin_of(address))
        return origin.connections if origin is not None else 0

    def _rest(self, name: str, origin: _Origin, now: float) -> None:
        """Take note of an address that has no connection any more."""
        if not origin.connections:
            del self._origins[name]
            origin.seen = now
            self._idle[name] = origin

    def _refuse(self, entrance: Entrance, address: str, limit: str, now: float) -> bool:
        self._counters.connections_refused += 1
        about = f"{limit} at {entrance.name}"
        self._log(now, about, "warning", "connection refused", listener=entrance.name, address=address, limit=limit)
        if self._events is not None and self._events.heard:
            details: dict[str, object] = {"user": None, "address": address, "listener": entrance.name}
            self._events.refused("", now, details | {"action": "connect", "rule": limit})
        return False

    def tick(self, now: float) -> None:
        """Forget addresses that were quiet; to be called about once a second."""
        for name, origin in list(self._idle.items()):
            if now < origin.seen + BURST:
                break
            del self._idle[name]


def host_of(address: str) -> str:
    """An address as :class:`Peer` has it, without port and brackets."""
    host, colon, port = address.rpartition(":")
    return (host if colon and port.isdigit() else address).strip("[]")


def _origin_of(address: str) -> str:
    """What connections are counted by: an IPv4 address, or the /64 network of an IPv6 address, all of which one
    subscriber of a provider has to spend.
    """
    if ":" not in address:
        return address
    try:
        ip = ipaddress.IPv6Address(address)
    except ValueError:
        return address
    if ip.ipv4_mapped is not None:
        return str(ip.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(ip) >> 64 << 64, 64)))
