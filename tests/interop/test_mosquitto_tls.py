"""mosquitto_pub and mosquitto_sub with certificates, theirs and the broker's, good and bad."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mqttbroker.config import Config, ListenerConfig, SecurityConfig
from mqttbroker.protocol import ProtocolVersion, ReasonCode
from mqttbroker.testing import RunningBroker
from mqttbroker.testing.plugin import BrokerFactory
from tests.interop.adapter import Adapter, Endpoint, Scheme
from tests.interop.adapters.mosquitto import MosquittoAdapter, run
from tests.interop.matrix import clients, only_this_broker
from tests.support.logged import lines, wait_for_lines
from tests.support.pki import Pki
from tests.support.raw import RawClient

FAILED = "TLS hand-shake failed"
RULES = """
[[rules]]
who = "*"
action = "both"
topics = ["${username}/#"]
effect = "allow"
"""

pytestmark = only_this_broker

each_version = pytest.mark.parametrize("version", ["mqttv31", "mqttv311", "mqttv5"])


@pytest.fixture
def mqtt_broker(mqtt_broker_factory: BrokerFactory, pki: Pki, tmp_path: Path) -> RunningBroker:
    """One listener for whoever is of this machine, and one for those with a certificate, whom it gives a user name."""
    rules = tmp_path / "acl.toml"
    rules.write_text(RULES)
    listeners = (
        ListenerConfig("mqtt", port=0),
        ListenerConfig(
            "mqtts",
            port=0,
            tls=pki.tls_config(client_certificates="required", crl=pki.crl),
            username_from="common_name",
            security=SecurityConfig(acl_file=rules),
        ),
    )
    return mqtt_broker_factory(config=Config(listeners=listeners))


@pytest.fixture
def alice(mqtt_broker: RunningBroker, pki: Pki) -> Endpoint:
    """The way of a client with a good certificate."""
    host, port = mqtt_broker.broker.addresses["mqtts"][0]
    return Endpoint(host, port, Scheme.MQTTS, pki.ca, pki.certificate("alice"), pki.key("alice"))


@pytest.fixture
def endpoints(alice: Endpoint) -> dict[Scheme, Endpoint]:
    """What clients of the matrix use."""
    return {Scheme.MQTTS: alice}


async def failure(broker: RunningBroker) -> str:
    """Why the one hand-shake has failed, as the log has it."""
    (line,) = await wait_for_lines(broker, FAILED)
    return str(line["reason"])


@each_version
async def test_rules_know_the_name_in_the_certificate(alice: Endpoint, peer: RawClient, version: str) -> None:
    await peer.subscribe("#", qos=1)
    await run("mosquitto_pub", alice, "-V", version, "-q", "1", "-t", "alice/a", "-m", "allowed")
    await run("mosquitto_pub", alice, "-V", version, "-q", "1", "-t", "bob/a", "-m", "not allowed")
    assert (await peer.expect_publish()).payload == b"allowed"
    await peer.expect_silence()


@clients(of=(MosquittoAdapter,), schemes=(Scheme.MQTTS,))
async def test_rules_for_subscribing(client: Adapter, peer: RawClient) -> None:
    await client.connect()
    assert await client.subscribe("alice/#", 1) == 1
    await peer.publish("alice/a", b"x", qos=1)
    assert (await client.next_message()).payload == b"x"
    refused = {
        ProtocolVersion.V31: 1,  # It knows no refusal.
        ProtocolVersion.V311: ReasonCode.UNSPECIFIED_ERROR,
        ProtocolVersion.V5: ReasonCode.NOT_AUTHORIZED,
    }
    assert await client.subscribe("bob/#", 1) == refused[client.version]


@each_version
async def test_user_name_of_a_connect_counts_for_nothing(
    mqtt_broker: RunningBroker, alice: Endpoint, peer: RawClient, version: str
) -> None:
    await peer.subscribe("#", qos=1)
    await run("mosquitto_pub", alice, "-V", version, "-u", "bob", "-P", "x", "-q", "1", "-t", "bob/a", "-m", "x")
    await peer.expect_silence()
    assert [line["user"] for line in lines(mqtt_broker, "connected")] == [None, "alice"]


@each_version
@pytest.mark.parametrize(
    ("name", "reason"),
    [("foreign", "unable to get local issuer"), ("revoked", "revoked"), ("expired", "expired"), ("", "did not return")],
    ids=["foreign", "revoked", "expired", "none"],
)
async def test_client_is_refused(
    mqtt_broker: RunningBroker, alice: Endpoint, pki: Pki, peer: RawClient, name: str, reason: str, version: str
) -> None:
    await peer.subscribe("#", qos=1)
    certificate, key = (pki.certificate(name), pki.key(name)) if name else (None, None)
    refused = replace(alice, certificate=certificate, key=key)
    await run("mosquitto_pub", refused, "-V", version, "-t", "alice/a", "-m", "x", succeeds=False)
    await peer.expect_silence()
    assert reason in await failure(mqtt_broker)


@pytest.mark.parametrize("version", ["tlsv1.2", "tlsv1.3"])
async def test_versions_of_tls(alice: Endpoint, peer: RawClient, version: str) -> None:
    await peer.subscribe("#", qos=1)
    options = ("--tls-version", version, "--tls-alpn", "mqtt")
    await run("mosquitto_pub", alice, *options, "-q", "1", "-t", "alice/a", "-m", "x")
    assert (await peer.expect_publish()).payload == b"x"


async def test_client_that_does_not_know_the_authority(mqtt_broker: RunningBroker, alice: Endpoint, pki: Pki) -> None:
    stranger = replace(alice, ca=pki.certificate("foreign-ca"))
    await run("mosquitto_pub", stranger, "-t", "alice/a", "-m", "x", succeeds=False)
    assert "unknown ca" in await failure(mqtt_broker)


async def test_client_that_is_not_encrypted(mqtt_broker: RunningBroker, alice: Endpoint) -> None:
    plain = Endpoint(alice.host, alice.port)
    await run("mosquitto_pub", plain, "-t", "alice/a", "-m", "x", succeeds=False)
    assert "wrong version number" in await failure(mqtt_broker)


async def test_client_that_is_encrypted_where_nothing_is(mqtt_broker: RunningBroker, alice: Endpoint) -> None:
    wrong = replace(alice, port=mqtt_broker.port)
    await run("mosquitto_pub", wrong, "-t", "alice/a", "-m", "x", succeeds=False)
    (line,) = await wait_for_lines(mqtt_broker, "connection failed")
    assert "not CONNECT" in str(line["detail"])


async def test_broker_of_another_name(mqtt_broker_factory: BrokerFactory, pki: Pki) -> None:
    """Mosquitto's clients compare the name, unless they are told not to."""
    tls = replace(pki.tls_config(), certificate=pki.certificate("other"), key=pki.key("other"))
    broker = mqtt_broker_factory(config=Config(listeners=(ListenerConfig(port=0, tls=tls),)))
    endpoint = Endpoint(broker.host, broker.port, Scheme.MQTTS, pki.ca)
    await run("mosquitto_pub", endpoint, "-t", "a", "-m", "x", succeeds=False)
    await run("mosquitto_pub", endpoint, "-t", "a", "-m", "x", "--insecure")
