"""The broker, the client under test and a raw client to play its counterpart.

With ``MQTTBROKER_INTEROP_BROKER=mosquitto`` in the environment the suite runs against Mosquitto, which tells a
mistake in a test from one in the broker.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from mqttbroker.protocol import ProtocolVersion
from tests.interop.adapter import Adapter, Endpoint
from tests.interop.adapters.mqttjs import MqttJsAdapter
from tests.support.mosquitto import running_mosquitto
from tests.support.raw import RawClient
from tests.support.tools import missing, require_tool

if TYPE_CHECKING:
    from mqttbroker.testing.plugin import RunningBroker

_NODE = Path(__file__).parent / "node"
_INSTALL_TIMEOUT = 50.0

if os.environ.get("MQTTBROKER_INTEROP_BROKER") == "mosquitto":

    @pytest_asyncio.fixture
    async def endpoint(tmp_path: Path) -> AsyncIterator[Endpoint]:
        """Where Mosquitto listens."""
        async with running_mosquitto(tmp_path) as port:
            yield Endpoint("127.0.0.1", port)

else:

    @pytest_asyncio.fixture
    async def endpoint(mqtt_broker: RunningBroker) -> AsyncIterator[Endpoint]:
        """Where the broker under test listens."""
        yield Endpoint(mqtt_broker.host, mqtt_broker.port)


@pytest.fixture(scope="session")
def node_modules(pytestconfig: pytest.Config) -> Path:
    """The folder of the npm packages, installed on first use into pytest's cache."""
    require_tool("node")
    npm = require_tool("npm")
    assert pytestconfig.cache is not None, "the cache plugin is off"
    digest = hashlib.sha256((_NODE / "package-lock.json").read_bytes()).hexdigest()[:16]
    cache = pytestconfig.cache.mkdir("node")
    wanted = cache / digest
    if not wanted.exists():
        # Installed aside and renamed, since another process may be doing the same.
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            for name in ("package.json", "package-lock.json"):
                shutil.copy(_NODE / name, folder)
            try:
                subprocess.run(
                    [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
                    cwd=folder, check=True, capture_output=True, text=True, timeout=_INSTALL_TIMEOUT,
                )  # fmt: skip
            except subprocess.CalledProcessError as error:
                missing(f"npm cannot install the client: {error.stderr[-500:]}")
            except subprocess.TimeoutExpired:
                missing(f"npm did not install the client within {_INSTALL_TIMEOUT} s")
            modules = Path(folder, "node_modules")
            if not wanted.exists():
                modules.rename(wanted)
    return wanted


@pytest_asyncio.fixture
async def client(request: pytest.FixtureRequest, endpoint: Endpoint) -> AsyncIterator[Adapter]:
    """The client under test, not connected. Its class and version come from :func:`tests.interop.matrix.clients`."""
    adapter: type[Adapter]
    version: ProtocolVersion
    adapter, version = request.param
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
