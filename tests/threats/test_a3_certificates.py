"""Certificates of clients: whoever TLS keeps out must be kept out on every listener that has TLS."""

from __future__ import annotations

import asyncio
import ssl
from typing import Literal

import pytest

from mqttbroker.protocol import ReasonCode
from mqttbroker.testing.plugin import BrokerFactory
from mqttbroker.testing.running import RunningBroker
from tests.support.pki import ClientName, Pki
from tests.support.raw import ConnectionClosed, RawClient
from tests.support.streams import whole
from tests.support.transports import Transport
from tests.threats.doors import door, several_ways

IN = "in"
CLIENTS: tuple[ClientName | None, ...] = (None, "alice", "expired", "foreign", "revoked")


@pytest.fixture
def broker(request: pytest.FixtureRequest, mqtt_broker_factory: BrokerFactory, pki: Pki) -> RunningBroker:
    """Asks clients for certificates on two of its listeners."""
    asked: Literal["optional", "required"] = request.param
    return mqtt_broker_factory(config=several_ways(pki.tls_config(client_certificates=asked, crl=pki.crl)))


async def outcome(broker: RunningBroker, pki: Pki, name: str, client: ClientName | None, version: str) -> str:
    """What comes of it when this client connects to this listener: :data:`IN`, or what it is told."""
    number: Literal["1.2", "1.3"] = "1.2" if version == "1.2" else "1.3"
    context = pki.client_context(client, version=number)
    transport = Transport(tls=context, websocket=whole if name == "wss" else None)
    where = door(broker, name)
    try:
        async with RawClient(where.host, where.port, transport=transport) as raw:
            answer = await raw.connect(f"{client} at {name}")
            assert answer.reason_code == ReasonCode.SUCCESS
            return IN
    except ssl.SSLError as error:
        return str(error.reason)
    except (ConnectionClosed, ConnectionError):
        return "closed"


@pytest.mark.parametrize("version", ["1.2", "1.3"])
@pytest.mark.parametrize("client", CLIENTS, ids=str)
@pytest.mark.parametrize("broker", ["required", "optional"], indirect=True)
async def test_mosquitto_996_websocket_listener_that_checks_no_certificate(
    broker: RunningBroker, pki: Pki, client: ClientName | None, version: str
) -> None:
    """Mosquitto 1.5 left its WebSocket listeners without the checks that the others made."""
    tls = broker.config.listeners[-1].tls
    assert tls is not None
    welcome = client == "alice" or (client is None and tls.client_certificates == "optional")
    outcomes = {name: await outcome(broker, pki, name, client, version) for name in ("tls", "wss")}
    assert outcomes["tls"] == outcomes["wss"]
    assert (outcomes["tls"] == IN) is welcome
    connected = [line[2]["client"] for line in broker.logged if line[1] == "connected"]
    expected = [f"{client} at tls", f"{client} at wss"] if welcome else []
    assert connected == ["bystander", *expected]
    refused = [] if welcome else ["tls", "wss"]
    async with asyncio.timeout(5):
        # The client may know of it before the log does.
        while [line[2]["listener"] for line in broker.logged if line[1] == "TLS hand-shake failed"] != refused:
            await asyncio.sleep(0)
