"""A broker without sockets, for what must be counted or tried many thousand times."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from random import Random
from types import FrameType

from mqttbroker.broker import BrokerCore, Connection, Entrance, EveryoneWelcome, EverythingAllowed, Limits, Peer
from mqttbroker.protocol import Packet, PacketReader, ProtocolVersion, encode
from mqttbroker.storage import MemoryStore
from tests.threats.attack import Line

__all__ = ["Carrier", "Harness", "calls", "calls_while_feeding"]


class Carrier:
    """Keeps what a connection is sent, and whether it was closed."""

    def __init__(self) -> None:
        self.sent: bytearray = bytearray()
        self.open: bool = True

    def send(self, data: bytes) -> None:
        """Keep it."""
        self.sent += data

    def close(self) -> None:
        """Note it."""
        self.open = False

    def abort(self) -> None:
        """Note it."""
        self.open = False

    def waiting(self) -> int:
        """Everything leaves at once."""
        return 0

    def pause_reading(self) -> None:
        """Whoever feeds decides."""

    def resume_reading(self) -> None:
        """Whoever feeds decides."""


class Harness:
    """One broker core with its log, and a clock that stands still unless it is told to tick."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.logged: list[Line] = []
        self.now: float = 1_000_000.0
        self.core: BrokerCore = BrokerCore(
            limits or Limits(),
            MemoryStore(),
            EverythingAllowed(),
            self._log,
            self.now,
            Random(1),
        )
        self._entrance = Entrance("test", self.core.limits, EveryoneWelcome())
        self._port = 0

    def _log(self, level: str, event: str, /, **details: object) -> None:
        self.logged.append((level, event, details))

    def open(self) -> tuple[Connection, Carrier]:
        """A new connection."""
        carrier = Carrier()
        self._port += 1
        connection = self.core.accept(carrier, Peer(f"192.0.2.1:{self._port}"), self._entrance, self.now)
        return connection, carrier

    def feed(self, connection: Connection, data: bytes) -> None:
        """Bytes arrive, and a turn ends."""
        connection.feed(data, self.now)
        while self.core.flush():
            pass

    def tick(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds
        self.core.tick(self.now)
        while self.core.flush():
            pass


def calls(packets: Iterable[Packet], version: ProtocolVersion = ProtocolVersion.V5, **limits: int) -> int:
    """How many functions are called while these packets are handled; the first opens the connection."""
    return calls_while_feeding([encode(packet, version) for packet in packets], True, **limits)


def calls_while_feeding(pieces: Iterable[bytes], alive: bool = True, **limits: int) -> int:
    """How many functions, of Python or built in, are called while these bytes arrive: a measure of work that is the
    same on every machine.
    """
    harness = Harness(Limits(**limits))  # type: ignore[arg-type]  # Limits checks them itself.
    connection, carrier = harness.open()
    count = 0

    def profile(frame: FrameType, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    former = sys.getprofile()
    sys.setprofile(profile)
    try:
        for piece in pieces:
            connection.feed(piece, harness.now)
    finally:
        sys.setprofile(former)
    assert carrier.open == alive, harness.logged
    harness.core.flush()
    PacketReader().feed(bytes(carrier.sent))
    return count
