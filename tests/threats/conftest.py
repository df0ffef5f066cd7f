"""What every test here shares: a broker, a bystander who must not notice a thing, and a look at the whole log.

The bystander completes an exchange before the test and one after it, on one connection. After the test, no line of
the log may be an error or hold what is secret: tests put :data:`~tests.threats.attack.SECRET` into every payload and
password.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from mqttbroker.testing.plugin import BrokerFactory
from mqttbroker.testing.running import RunningBroker
from tests.support.raw import RawClient
from tests.threats.attack import PASSWORD, SECRET, Attack

__all__: list[str] = []


@pytest.fixture
def broker(request: pytest.FixtureRequest, mqtt_broker_factory: BrokerFactory) -> RunningBroker:
    """The broker under attack.

    A test asks for limits by ``@pytest.mark.parametrize("broker", [{"max_qos": 1}], indirect=True)``.
    """
    return mqtt_broker_factory(**getattr(request, "param", {}))


@pytest_asyncio.fixture(autouse=True)
async def bystander(broker: RunningBroker, caplog: pytest.LogCaptureFixture) -> AsyncIterator[RawClient]:
    """A client that has nothing to do with the attack."""
    async with RawClient(broker.host, broker.port) as client:
        await client.connect("bystander", username="bystander", password=PASSWORD)
        await client.subscribe("bystander/+", qos=2)
        await _exchange(client, b"before")
        yield client
        await client.expect_silence()
        await _exchange(client, b"after")
    assert [line for line in broker.logged if line[0] == "error"] == []
    for form in (SECRET.decode(), SECRET.hex()):
        assert [line for line in broker.logged if form in repr(line)] == []
    # What leaves the task of a connection ends in the event loop's own log.
    assert [record.getMessage() for record in caplog.get_records("call") if record.name == "asyncio"] == []


async def _exchange(client: RawClient, payload: bytes) -> None:
    for qos in (0, 1, 2):
        await client.publish(f"bystander/{qos}", payload, qos=qos)
        received = await client.expect_publish()
        assert (received.topic, received.payload, received.qos) == (f"bystander/{qos}", payload, qos)


@pytest.fixture
def attack(broker: RunningBroker) -> Attack:
    """Makes clients that misbehave, and reads what the broker says about them."""
    return Attack(broker)


@pytest_asyncio.fixture
async def overhearing(broker: RunningBroker, bystander: RawClient) -> AsyncIterator[RawClient]:
    """A client that is subscribed to everything, the server's own topics included: what it hears was forwarded."""
    async with RawClient(broker.host, broker.port) as client:
        await client.connect("overhearing", username="overhearing", password=PASSWORD)
        await client.subscribe("#", "$SYS/#", "$CONTROL/#", "$foo/#", "$foo", qos=2)
        yield client
