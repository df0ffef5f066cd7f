"""Brokers to put behind a proxy, and clients to put before it.

Clients connect from addresses of their own, :data:`~tests.proxies.site.ANN` and others; the proxy itself connects from
127.0.0.1. So whatever the broker says of 127.0.0.1 it has mistaken the proxy for a client.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import interop
from tests.proxies.site import LOOPS, Site
from tests.support import npm

__all__: list[str] = []

if sys.platform != "linux":
    collect_ignore_glob = ["test_*.py"]
    """Elsewhere there is one loopback address."""


@pytest.fixture(params=LOOPS)
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    """A place for brokers, in both event loops that they run in."""
    made = Site(request.param)
    yield made
    made.stop()


@pytest.fixture(scope="session")
def node_modules(pytestconfig: pytest.Config) -> Path:
    """The folder of the npm packages that the tests of clients use."""
    return npm.node_modules(pytestconfig, Path(interop.__file__).parent / "node")
