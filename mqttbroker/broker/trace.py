"""One trace: what it is about, what it has found that its reader did not take yet, and when it ends."""

from __future__ import annotations

import ipaddress
from collections import deque
from collections.abc import Callable
from typing import Final

from mqttbroker.broker.gate import host_of
from mqttbroker.broker.traced import Found, TracedLoss

__all__ = ["Network", "Target", "Trace", "network_of"]

WAITING: Final = 2_000
"""Packets that may wait for the reader."""
WAITING_BYTES: Final = 4 * 1_048_576
"""Bytes of packets, as far as they are kept, that may wait for the reader."""
MOST_BYTES: Final = 256 * 1_048_576
"""Bytes of packets, as far as they are kept, after which a trace ends."""

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def network_of(address: str) -> Network:
    """The network of an address or of CIDR notation, in which host bits may be set. Raises ``ValueError``."""
    return ipaddress.ip_network(address, strict=False)


class Target:
    """What a trace is about: just one of a client, a topic filter and a network."""

    __slots__ = ("client", "network", "topic_filter")

    def __init__(
        self, client: str | None = None, topic_filter: str | None = None, network: Network | None = None
    ) -> None:
        if (client is not None) + (topic_filter is not None) + (network is not None) != 1:
            raise ValueError("expected a client, a topic filter or an address")
        self.client: str | None = client
        """The identifier by which the broker knows its session."""
        self.topic_filter: str | None = topic_filter
        """As the broker knows topics: with the mount point in front, where there is one."""
        self.network: Network | None = network

    def includes(self, address: str) -> bool:
        """Whether the address of a connection is in the network."""
        network = self.network
        if network is None:
            return False
        try:
            ip = ipaddress.ip_address(host_of(address))
        except ValueError:
            return False
        if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None and network.version == 4:
            return ip.ipv4_mapped in network
        return ip.version == network.version and ip in network


class Trace:
    """One trace. Whoever reads it is woken by ``wake``, and then calls :meth:`take`."""

    __slots__ = (
        "_bytes",
        "_lost",
        "_lost_at",
        "_waiting",
        "_waiting_bytes",
        "began",
        "ended",
        "ends_at",
        "number",
        "packets",
        "preview",
        "seen",
        "target",
        "wake",
        "who",
    )

    def __init__(
        self,
        target: Target,
        began: float,
        ends_at: float,
        packets: int,
        preview: int,
        wake: Callable[[], None],
        who: str = "",
    ) -> None:
        self.target: Target = target
        self.number: int = 0
        """Given when it begins."""
        self.who: str = who
        """Who has asked for it."""
        self.began: float = began
        self.ends_at: float = ends_at
        """When it ends, in seconds since the epoch."""
        self.packets: int = packets
        """After how many packets it ends."""
        self.preview: int = preview
        """Bytes of each payload that are kept."""
        self.wake: Callable[[], None] = wake
        self.seen: int = 0
        """Packets that it was about."""
        self.ended: str = ""
        """Why it has ended: ``time``, ``packets``, ``bytes``, ``failed``, or what :meth:`Tracing.end` was told."""
        self._waiting: deque[Found] = deque()
        self._waiting_bytes: int = 0
        self._bytes: int = 0
        self._lost: int = 0
        self._lost_at: float = 0.0

    @property
    def full(self) -> bool:
        """Whether there is no room for what is found next, which is lost then."""
        return len(self._waiting) >= WAITING or self._waiting_bytes >= WAITING_BYTES

    def note(self, found: Found | None, size: int, at: float, counts: bool = True) -> bool:
        """Keep what was found, of which ``size`` bytes are kept; true when that was the last that the trace wants.

        ``None`` is something that was not looked at, because there is no room for it.
        """
        if found is None or self.full:
            self._lost += 1
            self._lost_at = at
        else:
            if not self._waiting:
                self.wake()
            self._waiting.append(found)
            self._waiting_bytes += size
            self._bytes += size
        if counts:
            self.seen += 1
        if self.seen >= self.packets:
            self.ended = "packets"
        elif self._bytes >= MOST_BYTES:
            self.ended = "bytes"
        return bool(self.ended)

    def take(self) -> list[Found]:
        """All that waits, the oldest first, and at its end how much was lost."""
        found = list(self._waiting)
        self._waiting.clear()
        self._waiting_bytes = 0
        if self._lost:
            found.append(TracedLoss(self._lost_at, self._lost))
            self._lost = 0
        return found
