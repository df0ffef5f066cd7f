"""Which clients a test is for: each library in each version of the protocol that it speaks."""

from __future__ import annotations

from collections.abc import Collection

import pytest

from mqttbroker.protocol import ProtocolVersion
from tests.interop.adapter import Adapter, Feature
from tests.interop.adapters.aiomqtt import AiomqttAdapter
from tests.interop.adapters.amqtt import AmqttAdapter
from tests.interop.adapters.gmqtt import GmqttAdapter
from tests.interop.adapters.mosquitto import MosquittoAdapter
from tests.interop.adapters.mqttjs import MqttJsAdapter
from tests.interop.adapters.paho import PahoAdapter

__all__ = ["ADAPTERS", "clients"]

ADAPTERS: tuple[type[Adapter], ...] = (
    PahoAdapter,
    AiomqttAdapter,
    GmqttAdapter,
    AmqttAdapter,
    MqttJsAdapter,
    MosquittoAdapter,
)


def clients(
    *needs: Feature,
    of: Collection[type[Adapter]] = ADAPTERS,
    versions: Collection[ProtocolVersion] = tuple(ProtocolVersion),
) -> pytest.MarkDecorator:
    """Run the test with each of these clients, in each of these versions, that has all the features it needs."""
    return pytest.mark.parametrize(
        "client",
        [
            pytest.param((adapter, version), id=f"{adapter.name}-{version.name}")
            for adapter in of
            for version in adapter.versions
            if version in versions and adapter.features.issuperset(needs)
        ],
        indirect=True,
    )
