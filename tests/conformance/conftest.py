"""What the conformance tests share: the mark ``normative``, the check that no statement is left out, and fixtures.

``@pytest.mark.normative("MQTT-3.3.1-5", ...)`` says which statements a test proves. The folder of the test says of
which version: ``v5/`` or ``v311/``. A mark that names a statement which its version does not have stops the run.
``test_traceability.py`` fails if a statement that binds a server has no test; it looks only when every test file of
the version was collected, so that one file can be run on its own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

import pytest
import pytest_asyncio

from mqttbroker.protocol import NO_PROPERTIES, ConnAck, Properties, ProtocolVersion, ReasonCode, Will
from mqttbroker.testing.plugin import BrokerFactory
from mqttbroker.testing.running import RunningBroker
from tests.conformance.referee import Referee
from tests.conformance.statements import MARK, TABLES, load, version_of
from tests.conformance.trace import TRACE, Trace, collected_files, files_of
from tests.support.raw import RawClient

__all__: list[str] = []


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Note which test names which statement, before anything is deselected, and put it into the test's report."""
    named: dict[str, set[str]] = {version: set() for version in TABLES}
    known = {version: load(version) for version in TABLES}
    unknown: list[str] = []
    for item in items:
        version = version_of(item.path)
        if version is None:
            continue
        for mark in item.iter_markers(MARK):
            for statement in mark.args:
                if statement not in known[version]:
                    unknown.append(f"{item.nodeid}: {version} has no statement {statement!r}")
                named[version].add(statement)
                if (MARK, statement) not in item.user_properties:
                    item.user_properties.append((MARK, statement))
    if unknown:
        raise pytest.UsageError("\n".join(unknown))
    files = collected_files(config, items)
    config.stash[TRACE] = {
        version: Trace(complete=files >= files_of(version), named=frozenset(named[version])) for version in TABLES
    }


class Opener(Protocol):
    """Opens a network connection; sends nothing."""

    async def __call__(
        self, *, broker: RunningBroker | None = None, version: ProtocolVersion | None = None
    ) -> RawClient: ...


class Connector(Protocol):
    """Opens a network connection and connects with :meth:`RawClient.connect`; the CONNACK must be a success.

    ``broker`` is another broker than the test's own. The client's ``connack`` is kept in :attr:`acks`.
    """

    acks: dict[RawClient, ConnAck]
    """The CONNACK that each client got."""

    async def __call__(
        self,
        client_id: str | None = None,
        *,
        broker: RunningBroker | None = None,
        version: ProtocolVersion | None = None,
        clean_start: bool = True,
        keep_alive: int = 0,
        username: str | None = None,
        password: bytes | None = None,
        will: Will | None = None,
        properties: Properties = NO_PROPERTIES,
    ) -> RawClient: ...


@pytest.fixture
def version(request: pytest.FixtureRequest) -> ProtocolVersion:
    """The version that clients speak unless told otherwise: that of the test's folder."""
    return ProtocolVersion.V311 if version_of(request.path) == "v311" else ProtocolVersion.V5


@pytest.fixture
def broker(request: pytest.FixtureRequest, mqtt_broker_factory: BrokerFactory) -> RunningBroker:
    """The test's broker, with its defaults.

    A test may ask for limits by ``@pytest.mark.parametrize("broker", [{"max_qos": 1}], indirect=True)``.
    """
    return mqtt_broker_factory(**getattr(request, "param", {}))


@pytest_asyncio.fixture
async def open_client(broker: RunningBroker, version: ProtocolVersion) -> AsyncIterator[Opener]:
    """A function that opens a network connection to the broker; see :class:`Opener`."""
    clients: list[RawClient] = []
    default_broker, default_version = broker, version

    async def make(*, broker: RunningBroker | None = None, version: ProtocolVersion | None = None) -> RawClient:
        to = broker or default_broker
        client = RawClient(to.host, to.port, version=version or default_version)
        client.watch = Referee(client)
        await client.open()
        clients.append(client)
        return client

    yield make
    for client in clients:
        await client.close()


class _Connector:
    def __init__(self, open_client: Opener) -> None:
        self._open = open_client
        self.acks: dict[RawClient, ConnAck] = {}

    async def __call__(
        self,
        client_id: str | None = None,
        *,
        broker: RunningBroker | None = None,
        version: ProtocolVersion | None = None,
        clean_start: bool = True,
        keep_alive: int = 0,
        username: str | None = None,
        password: bytes | None = None,
        will: Will | None = None,
        properties: Properties = NO_PROPERTIES,
    ) -> RawClient:
        client = await self._open(broker=broker, version=version)
        ack = await client.connect(
            client_id,
            clean_start=clean_start,
            keep_alive=keep_alive,
            username=username,
            password=password,
            will=will,
            properties=properties,
        )
        assert ack.reason_code == ReasonCode.SUCCESS
        self.acks[client] = ack
        return client


@pytest.fixture
def connect(open_client: Opener) -> Connector:
    """A function that makes connected clients, all closed after the test; see :class:`Connector`."""
    return _Connector(open_client)
