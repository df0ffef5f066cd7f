"""Clients of these tests speak MQTT 3.1."""

from __future__ import annotations

import pytest

from mqttbroker.protocol import ProtocolVersion

__all__: list[str] = []


@pytest.fixture
def version() -> ProtocolVersion:
    """The version that clients speak unless told otherwise."""
    return ProtocolVersion.V31
