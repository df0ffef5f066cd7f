"""A broker behind a proxy, and its clients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

from mqttbroker.config import Config, ListenerConfig, SecurityConfig
from mqttbroker.protocol import ReasonCode
from mqttbroker.testing import RunningBroker
from tests.proxies.programs import FRONT, Proxy
from tests.support.logged import until, wait_for_lines
from tests.support.raw import ConnectionClosed, RawClient
from tests.support.streams import Refused, whole
from tests.support.transports import TCP, Transport

__all__ = [
    "ANN",
    "BEN",
    "LOOPS",
    "PROXY",
    "Site",
    "accepted",
    "address_of",
    "both_were_refused_a_third",
    "client",
    "counted",
    "is_cut",
    "nobody_is_counted",
    "spoofing",
    "status",
    "user_of",
]

LoopName = Literal["asyncio", "uvloop"]
LOOPS: tuple[LoopName, ...] = ("asyncio", "uvloop")

ANN, BEN = "127.0.0.2", "127.0.0.3"
"""Where clients connect from."""
PROXY = "127.0.0.1"
"""Where the proxy connects from."""


class Site:
    """Brokers in one kind of event loop, which are stopped after the test."""

    def __init__(self, loop: LoopName) -> None:
        self._loop = loop
        self._running: list[RunningBroker] = []

    def serve(self, *listeners: ListenerConfig, security: SecurityConfig | None = None) -> RunningBroker:
        """Start a broker; everybody may come in unless ``security`` says otherwise."""
        config = Config(listeners=listeners, security=security or SecurityConfig(allow_anonymous=True))
        factory = None
        if self._loop == "uvloop":
            import uvloop

            factory = uvloop.new_event_loop
        broker = RunningBroker(config=config, loop_factory=factory)
        self._running.append(broker.start())
        return broker

    def stop(self) -> None:
        """Stop what was started, and check that nothing has gone wrong inside."""
        for broker in self._running:
            broker.stop()
            for line in broker.logged:
                print(*line)  # Shown by pytest where the test has failed.
        assert not [line for broker in self._running for line in broker.logged if line[0] == "error"]


def client(proxy: Proxy, source: str = ANN, transport: Transport = TCP) -> RawClient:
    """A client of the proxy, not yet open."""
    return RawClient(FRONT, proxy.port, transport=replace(transport, source=source))


async def accepted(client: RawClient, client_id: str) -> None:
    """Connect, and be let in."""
    answer = await client.connect(client_id)
    assert answer.reason_code == ReasonCode.SUCCESS


async def user_of(broker: RunningBroker, client_id: str) -> object:
    """The user name of a client, as the log has it."""
    connected = await wait_for_lines(broker, "connected")
    return next(line["user"] for line in connected if line["client"] == client_id)


async def is_cut(client: RawClient) -> bool:
    """Whether the connection ends before a CONNECT is answered, if it can be made at all."""
    try:
        async with client:
            await client.connect("cut")
    except ConnectionError:
        return True
    except ConnectionClosed as closed:
        assert not closed.packets
        return True
    return False


async def status(client: RawClient) -> int:
    """The HTTP status that the request for a WebSocket is answered with."""
    try:
        async with client:
            return 101
    except Refused as refused:
        return refused.status


def spoofing(headers: Mapping[str, str]) -> Transport:
    """WebSocket with such headers as a client may make up."""
    return Transport(websocket=whole, headers=headers)


async def address_of(broker: RunningBroker, client_id: str) -> str:
    """Where a client is, as the log has it."""
    connected = await wait_for_lines(broker, "connected")
    return next(str(line["address"]) for line in connected if line["client"] == client_id)


def counted(broker: RunningBroker, address: str) -> int:
    """Connections that count as those of an address."""
    return broker.call(lambda running: running.core.gate.connections_of(address))


async def both_were_refused_a_third(broker: RunningBroker) -> None:
    """Wait until a connection of each client was refused, and see that two of each count, and none of the proxy."""
    refused = await wait_for_lines(broker, "connection refused", 2)
    assert [(line["address"], line["limit"]) for line in refused] == [
        (ANN, "max_connections_per_address"),
        (BEN, "max_connections_per_address"),
    ]
    assert [counted(broker, each) for each in (ANN, BEN, PROXY)] == [2, 2, 0]


async def nobody_is_counted(broker: RunningBroker) -> None:
    """Wait until every connection has been given back."""
    await until(lambda: broker.call(lambda running: running.core.gate.connections) == 0)
    assert [counted(broker, each) for each in (ANN, BEN, PROXY)] == [0, 0, 0]
