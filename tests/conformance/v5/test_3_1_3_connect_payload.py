"""MQTT 5.0 section 3.1.3: client identifiers, user names, the order of the payload. The will has a file of its own."""

from __future__ import annotations

import string

import pytest

from mqttbroker.broker import Accepted, Credentials, VerdictCallback
from mqttbroker.protocol import ConnAck, Properties, ReasonCode
from mqttbroker.testing.plugin import BrokerFactory
from tests.conformance.conftest import Connector, Opener
from tests.conformance.wire import MALFORMED, PINGREQ, connect_packet, cut, expect_refusal, pair, prefixed, varint

KEPT = Properties(session_expiry_interval=3_600)
ALPHANUMERIC = string.digits + string.ascii_lowercase + string.ascii_uppercase


class Listening:
    """An authenticator that accepts everybody and keeps what they have shown."""

    def __init__(self) -> None:
        self.seen: list[Credentials] = []

    def authenticate(self, credentials: Credentials, done: VerdictCallback) -> None:
        """Accept."""
        self.seen.append(credentials)
        done(Accepted(credentials.username))


@pytest.mark.normative("MQTT-3.1.3-1")
async def test_the_fields_of_the_payload_are_read_in_their_order(
    mqtt_broker_factory: BrokerFactory, open_client: Opener, connect: Connector
) -> None:
    listening = Listening()
    broker = mqtt_broker_factory(authenticator=listening)
    watcher = await connect(broker=broker)
    await watcher.subscribe("will topic")
    client = await open_client(broker=broker)
    content_type = b"\x03" + prefixed("type")
    client.send_bytes(
        connect_packet(
            prefixed("the client"),
            varint(len(content_type)) + content_type,
            prefixed("will topic"),
            prefixed(b"will \x00\xff"),
            prefixed("the name"),
            prefixed(b"\xff\x00"),
            flags=0xC6,
        )
    )
    assert (await client.expect(ConnAck)).reason_code == ReasonCode.SUCCESS
    shown = listening.seen[-1]
    assert (shown.client_id, shown.username, shown.password) == ("the client", "the name", b"\xff\x00")
    await cut(client)
    will = await watcher.expect_publish()
    assert (will.topic, will.payload, will.properties.content_type) == ("will topic", b"will \x00\xff", "type")


@pytest.mark.normative("MQTT-3.1.3-2")
@pytest.mark.parametrize(
    "other", ["C", "c ", " c", "c\u0301", "\u0107", "cc"], ids=["case", "space after", "before", "NFD", "NFC", "twice"]
)
async def test_sessions_belong_to_client_identifiers(connect: Connector, other: str) -> None:
    first = await connect("c", properties=KEPT)
    await first.subscribe("a", qos=1)
    await first.disconnect()
    second = await connect(other, clean_start=False, properties=KEPT)
    assert not connect.acks[second].session_present
    await second.publish("a", b"x", qos=1)
    await second.expect_silence()
    first = await connect("c", clean_start=False)
    assert connect.acks[first].session_present
    assert (await first.expect_publish()).payload == b"x"
    # And the two are not taken for one another while both are there.
    await second.ping()


@pytest.mark.normative("MQTT-3.1.3-4")
@pytest.mark.parametrize("client_id", [b"c\xff", b"\xed\xb0\x80", b"\xc0\xaf", b"c\x00"])
async def test_a_client_identifier_that_is_no_string_is_refused(open_client: Opener, client_id: bytes) -> None:
    client = await open_client()
    client.send_bytes(connect_packet(prefixed(client_id)) + PINGREQ)
    await expect_refusal(client, MALFORMED)


@pytest.mark.normative("MQTT-3.1.3-5")
@pytest.mark.parametrize("client_id", [*ALPHANUMERIC, ALPHANUMERIC[:23], ALPHANUMERIC[23:46], ALPHANUMERIC[-23:]])
async def test_alphanumeric_client_identifiers_are_accepted(connect: Connector, client_id: str) -> None:
    client = await connect(client_id)
    assert connect.acks[client].properties.assigned_client_identifier is None
    await client.ping()


@pytest.mark.normative("MQTT-3.1.3-5")
@pytest.mark.parametrize("broker", [{"max_client_id_length": 23}], indirect=True, ids=["strictest limit"])
async def test_23_bytes_are_accepted_under_the_strictest_limit(connect: Connector) -> None:
    await (await connect("x" * 23)).ping()


@pytest.mark.normative("MQTT-3.1.3-6", "MQTT-3.2.2-16")
@pytest.mark.parametrize("clean_start", [True, False], ids=["clean", "not clean"])
async def test_empty_client_identifiers_are_replaced_by_unique_ones(connect: Connector, clean_start: bool) -> None:
    clients = [await connect("", clean_start=clean_start, properties=KEPT) for _ in range(5)]
    assigned = {connect.acks[client].properties.assigned_client_identifier for client in clients}
    assert len(assigned) == 5
    assert all(assigned)
    await clients[0].subscribe("a")
    for client in clients:
        assert not connect.acks[client].session_present
        await client.publish("a", b"x")
        await clients[0].expect_publish()


@pytest.mark.normative("MQTT-3.1.3-7", "MQTT-3.2.2-16")
async def test_an_assigned_identifier_is_used_as_if_supplied(connect: Connector) -> None:
    client = await connect("", properties=KEPT)
    assigned = connect.acks[client].properties.assigned_client_identifier
    assert assigned
    await client.subscribe("a", qos=1)
    await client.disconnect()
    await (await connect()).publish("a", b"x", qos=1)
    again = await connect(assigned, clean_start=False, properties=KEPT)
    assert connect.acks[again].session_present
    assert connect.acks[again].properties.assigned_client_identifier is None
    assert (await again.expect_publish()).payload == b"x"
    # Whoever comes with an empty one meanwhile does not get it.
    other = await connect("")
    assert connect.acks[other].properties.assigned_client_identifier not in (None, assigned)
    await again.ping()


@pytest.mark.normative("MQTT-3.1.3-8")
@pytest.mark.parametrize("size", [1_025, 65_535], ids="{} bytes".format)
async def test_a_client_identifier_that_is_too_long_is_refused(open_client: Opener, size: int) -> None:
    client = await open_client()
    client.send_bytes(connect_packet(prefixed("x" * size)) + PINGREQ)
    await expect_refusal(client, ReasonCode.CLIENT_IDENTIFIER_NOT_VALID)


@pytest.mark.normative("MQTT-3.1.3-12")
@pytest.mark.parametrize("name", [b"u\xff", b"\xed\xa0\x80", b"\xc0\x80", b"u\x00"])
async def test_a_user_name_that_is_no_string_is_refused(open_client: Opener, name: bytes) -> None:
    client = await open_client()
    client.send_bytes(connect_packet(prefixed("c"), prefixed(name), prefixed("p"), flags=0xC2) + PINGREQ)
    await expect_refusal(client, MALFORMED)


@pytest.mark.normative("MQTT-1.5.7-1", "MQTT-3.1.4-1")
@pytest.mark.parametrize("where", ["CONNECT", "will"])
async def test_a_bad_user_property_is_refused(open_client: Opener, where: str) -> None:
    client = await open_client()
    bad = pair("n", b"\xff")
    if where == "CONNECT":
        client.send_bytes(connect_packet(prefixed("c"), properties=bad))
    else:
        will = varint(len(bad)) + bad + prefixed("w") + prefixed("x")
        client.send_bytes(connect_packet(prefixed("c"), will, flags=0x06))
    await expect_refusal(client, MALFORMED)
