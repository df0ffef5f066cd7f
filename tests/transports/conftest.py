"""Every test here runs over every transport, in both event loops that a broker may run in, and over an event loop's own
transports: what is asserted may depend on none of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mqttbroker.testing import RunningBroker
from tests.support.pki import Pki
from tests.transports.site import LOOPS, TRANSPORTS, LoopName, Site, TransportName

__all__: list[str] = []


@pytest.fixture(params=LOOPS)
def loop_name(request: pytest.FixtureRequest) -> LoopName:
    name: LoopName = request.param
    return name


@pytest.fixture(params=TRANSPORTS)
def transport_name(request: pytest.FixtureRequest) -> TransportName:
    name: TransportName = request.param
    return name


@pytest.fixture
def site(
    transport_name: TransportName,
    loop_name: LoopName,
    pki: Pki,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Site]:
    """One transport in one event loop. Neither the broker nor the loop may find fault with itself."""
    if loop_name == "asyncio-transports":
        # As where the system has no epoll.
        monkeypatch.setattr("mqttbroker.listeners.host.HAS_EPOLL", False)
    site = Site(transport_name, loop_name, pki, tmp_path)
    yield site
    site.stop()
    assert [line for line in site.logged if line[0] == "error"] == []
    assert [record.getMessage() for record in caplog.get_records("call") if record.name == "asyncio"] == []


@pytest.fixture
def broker(site: Site) -> RunningBroker:
    """A broker with its defaults."""
    return site.broker
