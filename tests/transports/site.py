"""A broker and its clients, with one transport between them."""

from __future__ import annotations

import asyncio
import ssl
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest

from mqttbroker.broker import Limits
from mqttbroker.config import Config, ListenerConfig, TlsConfig
from mqttbroker.protocol import ProtocolVersion
from mqttbroker.server import Broker
from mqttbroker.testing import RunningBroker
from tests.support.pki import Pki
from tests.support.raw import RawClient
from tests.support.streams import Cut, whole
from tests.support.transports import Transport

__all__ = ["LOOPS", "TRANSPORTS", "LoopName", "Site", "TransportName"]

TransportName = Literal["tcp", "tls", "ws", "wss", "unix"]
LoopName = Literal["asyncio", "uvloop", "asyncio-transports"]
TRANSPORTS: tuple[TransportName, ...] = ("tcp", "tls", "ws", "wss", "unix")
LOOPS: tuple[LoopName, ...] = ("asyncio", "uvloop", "asyncio-transports")


class Site:
    """One listener, and what a client needs to reach it. ``directory`` is for a Unix socket."""

    def __init__(self, transport: TransportName, loop: LoopName, pki: Pki, directory: Path) -> None:
        if sys.platform == "win32" and (transport == "unix" or loop == "uvloop"):
            pytest.skip("not there on Windows")
        self.name: TransportName = transport
        self.loop: LoopName = loop
        self.encrypted: bool = transport in ("tls", "wss")
        self.framed: bool = transport in ("ws", "wss")
        self._unix = transport == "unix"
        self._socket = directory / "mqtt.sock"
        self._tls = pki.tls_config() if self.encrypted else None
        self.context: ssl.SSLContext | None = pki.client_context() if self.encrypted else None
        """The client's side of TLS; may be replaced."""
        self._running: list[RunningBroker] = []

    def start(self, tls: TlsConfig | None = None, **limits: object) -> RunningBroker:
        """Start a broker. Keyword arguments are fields of :class:`Limits`; ``tls`` is in the place of what there is."""
        listener = ListenerConfig(
            self.name,
            "unix" if self._unix else "websocket" if self.framed else "tcp",
            port=0,
            socket=self._socket if self._unix else None,
            tls=tls or self._tls,
        )
        chosen = Limits(**limits)  # type: ignore[arg-type]  # Limits checks them itself.
        config = Config(listeners=(listener,), limits=chosen)
        broker = RunningBroker(config=config, loop_factory=_factory(self.loop))
        self._running.append(broker.start())
        return broker

    def stop(self) -> None:
        """Stop what was started."""
        for broker in self._running:
            broker.stop()

    @property
    def logged(self) -> list[tuple[str, str, dict[str, object]]]:
        """The lines of the log of all brokers that were started."""
        return [line for broker in self._running for line in broker.logged]

    @property
    def broker(self) -> RunningBroker:
        """The broker; one with its defaults is started where there is none."""
        return self._running[-1] if self._running else self.start()

    def client(
        self, version: ProtocolVersion = ProtocolVersion.V5, cut: Cut = whole, trickle: bool = False
    ) -> RawClient:
        """A client, not yet open. ``cut`` says how packets are cut into frames where there are any; with ``trickle``
        every byte is sent for itself.
        """
        transport = Transport(self._unix, self.context, websocket=cut if self.framed else None, trickle=trickle)
        return RawClient(self.broker.host, self.broker.port, version=version, transport=transport)

    def below(self) -> RawClient:
        """A connection without what this transport shakes hands about, TLS and WebSocket: bytes that go nowhere near
        MQTT.
        """
        return RawClient(self.broker.host, self.broker.port, transport=Transport(self._unix))

    def counted(self) -> tuple[int, int]:
        """Connections as the gate counts them, and as the core does."""

        def count(broker: Broker) -> tuple[int, int]:
            return broker.core.gate.connections, len(broker.core.connections)

        return self.broker.call(count)

    async def until(self, condition: Callable[[], bool], timeout: float = 5.0) -> None:
        """Wait for something of the broker's that no packet tells of."""
        async with asyncio.timeout(timeout):
            while not condition():
                await asyncio.sleep(0)

    def refusals(self) -> list[dict[str, object]]:
        """What the log says of connections that came to nothing."""
        return [details for level, _, details in self.broker.logged if level == "warning"]


def _factory(loop: LoopName) -> Callable[[], asyncio.AbstractEventLoop] | None:
    if loop != "uvloop":
        return None
    import uvloop

    return uvloop.new_event_loop
