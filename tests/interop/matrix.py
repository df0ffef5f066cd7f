"""Which clients a test is for: each library in each version of the protocol that it speaks, over each transport."""

from __future__ import annotations

import os
from collections.abc import Collection

import pytest

from mqttbroker.protocol import ProtocolVersion
from tests.interop.adapter import Adapter, Feature, Scheme
from tests.interop.adapters.aiomqtt import AiomqttAdapter
from tests.interop.adapters.amqtt import AmqttAdapter
from tests.interop.adapters.gmqtt import GmqttAdapter
from tests.interop.adapters.mosquitto import MosquittoAdapter
from tests.interop.adapters.mqttjs import MqttJsAdapter
from tests.interop.adapters.paho import PahoAdapter

__all__ = ["ADAPTERS", "MOSQUITTO", "clients", "only_this_broker"]

MOSQUITTO = os.environ.get("MQTTBROKER_INTEROP_BROKER") == "mosquitto"
"""Whether the tests run against Mosquitto."""

only_this_broker = pytest.mark.skipif(MOSQUITTO, reason="only the broker under test is configured for this")

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
    schemes: Collection[Scheme] = (Scheme.MQTT,),
) -> pytest.MarkDecorator:
    """Run the test with each of these clients, in each of these versions, that has all the features it needs.

    Schemes other than ``mqtt`` need a fixture ``endpoints``. Where there are several, each client speaks only the
    newest of the versions that it can: what carries the packets does not know what is in them.
    """
    several = len(schemes) > 1
    chosen = [
        (adapter, version, scheme)
        for adapter in of
        if adapter.features.issuperset(needs)
        for scheme in schemes
        if scheme in adapter.schemes
        for version in ([max(adapter.versions)] if several else adapter.versions)
        if version in versions
    ]
    names = [
        f"{adapter.name}-{version.name}" + (f"-{scheme.value}" if several else "")
        for adapter, version, scheme in chosen
    ]
    return pytest.mark.parametrize("client", chosen, ids=names, indirect=True)
