"""The pytest plugin: ``mqtt_broker`` is a broker for one test, ``mqtt_broker_factory`` makes as many as are wanted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import pytest

from mqttbroker.broker import Authenticator, Authorizer, Limits
from mqttbroker.config import Config
from mqttbroker.storage import Store
from mqttbroker.testing.running import RunningBroker

__all__ = ["BrokerFactory", "mqtt_broker", "mqtt_broker_factory"]


class BrokerFactory(Protocol):
    """Starts a broker that is stopped after the test. Keyword arguments that are fields of ``Limits`` set those."""

    def __call__(
        self,
        *,
        config: Config | None = None,
        store: Store | None = None,
        authenticator: Authenticator | None = None,
        authorizer: Authorizer | None = None,
        **limits: object,
    ) -> RunningBroker: ...


@pytest.fixture
def mqtt_broker_factory() -> Iterator[BrokerFactory]:
    """A function that starts a broker on a free port; see :class:`BrokerFactory`."""
    running: list[RunningBroker] = []

    def make(
        *,
        config: Config | None = None,
        store: Store | None = None,
        authenticator: Authenticator | None = None,
        authorizer: Authorizer | None = None,
        **limits: object,
    ) -> RunningBroker:
        chosen = Limits(**limits) if limits else None  # type: ignore[arg-type]  # Limits checks them itself.
        broker = RunningBroker(chosen, config=config, store=store, authenticator=authenticator, authorizer=authorizer)
        running.append(broker.start())
        return broker

    yield make
    for broker in running:
        broker.stop()


@pytest.fixture
def mqtt_broker(mqtt_broker_factory: BrokerFactory) -> RunningBroker:
    """A broker with its defaults on a free port of the loopback interface: ``mqtt_broker.host``,
    ``mqtt_broker.port``.
    """
    return mqtt_broker_factory()
