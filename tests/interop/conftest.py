"""The broker, the client under test and a raw client to play its counterpart.

With ``MQTTBROKER_INTEROP_BROKER=mosquitto`` in the environment the suite runs against Mosquitto, which tells a
mistake in a test from one in the broker. (Mosquitto 2.0 fails ``test_takeover_is_told``: it closes without a
DISCONNECT.)
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from mqttbroker.protocol import ProtocolVersion
from mqttbroker.testing import RunningBroker
from tests.interop.adapter import Adapter, Clock, Endpoint
from tests.interop.adapters.mqttjs import MqttJsAdapter
from tests.support.mosquitto import running_mosquitto
from tests.support.raw import RawClient
from tests.support.tools import missing, require_tool

_NODE = Path(__file__).parent / "node"
_INSTALL_TIMEOUT = 50.0
_MOSQUITTO = os.environ.get("MQTTBROKER_INTEROP_BROKER") == "mosquitto"


@pytest_asyncio.fixture
async def endpoint(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Endpoint]:
    """Where the broker listens."""
    if _MOSQUITTO:
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
    if _MOSQUITTO:
        pytest.skip("only the broker under test has a clock that can be advanced")
    broker: RunningBroker = request.getfixturevalue("mqtt_broker")
    return broker.advance


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
        with tempfile.TemporaryDirectory(dir=cache) as aside:
            folder = Path(aside, "installed")
            folder.mkdir()
            _install(npm, folder)
            if not wanted.exists():
                folder.rename(wanted)
    return wanted / "node_modules"


def _install(npm: str, folder: Path) -> None:
    for name in ("package.json", "package-lock.json"):
        shutil.copy(_NODE / name, folder)
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, timeout=_INSTALL_TIMEOUT)
    except subprocess.CalledProcessError as error:
        missing(f"npm cannot install the client: {error.stderr[-500:]}")
    except subprocess.TimeoutExpired:
        missing(f"npm did not install the client within {_INSTALL_TIMEOUT} s")


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
