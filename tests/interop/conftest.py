"""The broker, the client under test and a raw client to play its counterpart.

With ``MQTTBROKER_INTEROP_BROKER=mosquitto`` in the environment the suite runs against Mosquitto, which tells a
mistake in a test from one in the broker. (Mosquitto 2.0 fails ``test_takeover_is_told``: it closes without a
DISCONNECT.)
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from mqttbroker.protocol import ProtocolVersion
from mqttbroker.testing import RunningBroker
from tests.interop.adapter import Adapter, Clock, Endpoint, Scheme
from tests.interop.adapters.mqttjs import MqttJsAdapter
from tests.interop.matrix import MOSQUITTO
from tests.support import npm
from tests.support.mosquitto import running_mosquitto
from tests.support.raw import RawClient


@pytest_asyncio.fixture
async def endpoint(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Endpoint]:
    """Where the broker listens."""
    if MOSQUITTO:
        async with running_mosquitto(tmp_path) as port:
            yield Endpoint("127.0.0.1", port)
    else:
        broker: RunningBroker = request.getfixturevalue("mqtt_broker")
        yield Endpoint(broker.host, broker.port)
        for line in broker.logged:
            print(*line)  # Shown by pytest where the test has failed.
        assert not [line for line in broker.logged if line[0] == "error"]


@pytest.fixture
def broker_clock(request: pytest.FixtureRequest) -> Clock:
    """Lets time pass for the broker under test."""
    if MOSQUITTO:
        pytest.skip("only the broker under test has a clock that can be advanced")
    broker: RunningBroker = request.getfixturevalue("mqtt_broker")
    return broker.advance


@pytest.fixture(scope="session")
def node_modules(pytestconfig: pytest.Config) -> Path:
    """The folder of the npm packages."""
    return npm.node_modules(pytestconfig, Path(__file__).parent / "node")


@pytest_asyncio.fixture
async def client(request: pytest.FixtureRequest, endpoint: Endpoint) -> AsyncIterator[Adapter]:
    """The client under test, not connected. Its class and version come from :func:`tests.interop.matrix.clients`."""
    adapter: type[Adapter]
    version: ProtocolVersion
    scheme: Scheme
    adapter, version, scheme = request.param
    if scheme is not Scheme.MQTT:
        endpoint = request.getfixturevalue("endpoints")[scheme]
    if adapter is MqttJsAdapter:
        MqttJsAdapter.node_modules = request.getfixturevalue("node_modules")
    made = adapter(endpoint, version, "under-test")
    yield made
    await made.close()


@pytest_asyncio.fixture
async def peer(endpoint: Endpoint) -> AsyncIterator[RawClient]:
    """A connected MQTT 5 client that does what the test says."""
    async with RawClient(endpoint.host, endpoint.port) as raw:
        await raw.connect("peer")
        yield raw


@pytest_asyncio.fixture
async def sender(endpoint: Endpoint) -> AsyncIterator[RawClient]:
    """Another one."""
    async with RawClient(endpoint.host, endpoint.port) as raw:
        await raw.connect("sender")
        yield raw
