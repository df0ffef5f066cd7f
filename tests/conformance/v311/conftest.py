"""What the tests of MQTT 3.1.1 share: a client that hears everything, brokers with rules, and a look at the log."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import pytest_asyncio

from mqttbroker.broker import Accepted, Action, Credentials, Decision, Identity, Refused, VerdictCallback
from mqttbroker.protocol import ReasonCode
from mqttbroker.testing.plugin import BrokerFactory
from mqttbroker.testing.running import RunningBroker
from tests.conformance.conftest import Connector
from tests.support.raw import RawClient

__all__ = ["Doorkeeper", "Secrets"]


@pytest.fixture(autouse=True)
def no_errors_in_the_log(broker: RunningBroker) -> Iterator[None]:
    """A rule may be broken by a client, and the broker still has no reason to be surprised."""
    yield
    assert [line for line in broker.logged if line[0] == "error"] == []


@pytest_asyncio.fixture
async def watcher(connect: Connector) -> RawClient:
    """A client that is subscribed to everything at QoS 2.

    That it hears nothing shows that nothing was delivered, and that the broker still serves others.
    """
    client = await connect("watcher")
    await client.subscribe("#", qos=2)
    return client


class Doorkeeper:
    """An authenticator that knows one user, ``ann`` with ``secret``, and refuses others for the reason they name."""

    def __init__(self) -> None:
        self.seen: list[Credentials] = []

    def authenticate(self, credentials: Credentials, done: VerdictCallback) -> None:
        """Accept ``ann``, and clients without a name; refuse a user who is called like a reason code for it."""
        self.seen.append(credentials)
        name = credentials.username
        if name is None or (name == "ann" and credentials.password == b"secret"):
            done(Accepted(name))
        elif name in ReasonCode.__members__:
            done(Refused(ReasonCode[name]))
        else:
            done(Refused(ReasonCode.BAD_USER_NAME_OR_PASSWORD))


class Secrets:
    """An authoriser that lets nobody publish to topics whose first level is ``secret``, or subscribe to them.

    Whoever is subscribed by a wildcard may be sent them, so that a message which was let through is heard.
    """

    def decide(self, identity: Identity, action: Action, topic: str) -> Decision:
        """Refuse what begins with ``secret``."""
        return Decision(action == "receive" or topic.split("/")[0] != "secret", "secret")


@pytest.fixture
def doorkeeper() -> Doorkeeper:
    """The authenticator of the broker ``guarded``."""
    return Doorkeeper()


@pytest.fixture
def guarded(mqtt_broker_factory: BrokerFactory, doorkeeper: Doorkeeper) -> RunningBroker:
    """A broker that does not let everybody in."""
    return mqtt_broker_factory(authenticator=doorkeeper)


@pytest.fixture
def secretive(mqtt_broker_factory: BrokerFactory) -> RunningBroker:
    """A broker on which nobody may publish to ``secret/#`` or subscribe to it."""
    return mqtt_broker_factory(authorizer=Secrets())
