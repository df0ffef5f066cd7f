"""MQTT 5.0 sections 4.12 and 4.13: enhanced authentication, and the end of a connection that fails."""

from __future__ import annotations

import pytest

from mqttbroker.broker import Accepted
from mqttbroker.protocol import (
    Auth,
    ConnAck,
    Connect,
    Disconnect,
    PingReq,
    Properties,
    Publish,
    ReasonCode,
    SubAck,
    Subscribe,
    SubscriptionRequest,
)
from mqttbroker.testing.plugin import BrokerFactory
from mqttbroker.testing.running import RunningBroker
from tests.conformance.conftest import Connector, Opener
from tests.conformance.v5.doubles import METHOD, RIDDLE, Riddler, answer, auth_packet
from tests.conformance.wire import PINGREQ, connect_packet, expect_disconnect, expect_refusal, packet, prefixed
from tests.support.raw import RawClient

CONTINUE = ReasonCode.CONTINUE_AUTHENTICATION
AGAIN = ReasonCode.RE_AUTHENTICATE


@pytest.fixture
def riddler() -> Riddler:
    """The broker's authenticator."""
    return Riddler()


@pytest.fixture
def broker(mqtt_broker_factory: BrokerFactory, riddler: Riddler) -> RunningBroker:
    """A broker that asks riddles."""
    return mqtt_broker_factory(authenticator=riddler)


@pytest.fixture
def greet(open_client: Opener) -> Opener:
    """Open a connection and send a CONNECT with the method; the first question is waiting."""

    async def make(*, broker: RunningBroker | None = None, version: object = None) -> RawClient:
        client = await open_client(broker=broker)
        client.send(Connect("c", properties=RIDDLE))
        assert await client.expect(Auth) == Auth(CONTINUE, answer(b"one?"))
        return client

    return make


@pytest.mark.normative("MQTT-4.12.0-2", "MQTT-4.12.0-5")
async def test_a_challenge_and_its_answers(greet: Opener, riddler: Riddler) -> None:
    client = await greet()
    client.send(Auth(CONTINUE, answer(b"first")))
    assert await client.expect(Auth) == Auth(CONTINUE, answer(b"two?"))
    client.send(Auth(CONTINUE, answer(b"silent")))
    assert await client.expect(Auth) == Auth(CONTINUE, answer(None))
    client.send(Auth(CONTINUE, answer(b"second")))
    ack = await client.expect(ConnAck)
    assert ack.reason_code == ReasonCode.SUCCESS
    assert ack.properties.authentication_method == METHOD
    assert ack.properties.authentication_data == b"welcome"
    assert riddler.seen == [(METHOD, b"hello"), (None, b"first"), (None, b"silent"), (None, b"second")]
    await client.expect_silence()


@pytest.mark.normative("MQTT-4.12.0-5")
async def test_one_step_may_be_enough(connect: Connector) -> None:
    client = await connect(properties=answer(b"quick"))
    properties = connect.acks[client].properties
    assert (properties.authentication_method, properties.authentication_data) == (METHOD, None)


@pytest.mark.normative("MQTT-4.12.0-1")
@pytest.mark.parametrize("method", ["unknown", "", "RIDDLE", "riddle "])
async def test_an_unknown_method_is_refused(open_client: Opener, method: str) -> None:
    client = await open_client()
    client.send(Connect("c", properties=answer(b"hello", method)))
    client.send(PingReq())
    await expect_refusal(client, ReasonCode.BAD_AUTHENTICATION_METHOD)


@pytest.mark.normative("MQTT-4.12.0-1")
async def test_a_broker_without_methods_refuses_them_all(
    open_client: Opener, mqtt_broker_factory: BrokerFactory
) -> None:
    client = await open_client(broker=mqtt_broker_factory())
    client.send(Connect("c", properties=RIDDLE))
    await expect_refusal(client, ReasonCode.BAD_AUTHENTICATION_METHOD)


@pytest.mark.normative("MQTT-4.12.0-4", "MQTT-4.13.2-1")
@pytest.mark.parametrize("steps", [0, 1, 2])
@pytest.mark.parametrize("code", [0x80, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x8C], ids="0x{:02x}".format)
async def test_a_refusal_at_any_step_ends_the_connection(
    connect: Connector, open_client: Opener, steps: int, code: int
) -> None:
    client = await open_client()
    data = [b"hello", b"first", b"refuse %d" % code][2 - steps :]
    client.send(Connect("c", properties=answer(data[0])))
    for each in data[1:]:
        await client.expect(Auth)
        client.send(Auth(CONTINUE, answer(each)))
    client.send(PingReq())
    await expect_refusal(client, ReasonCode(code))
    # Nothing is left of the attempt.
    client = await connect("c", clean_start=False)
    assert not connect.acks[client].session_present


@pytest.mark.normative("MQTT-4.12.0-4")
@pytest.mark.parametrize("steps", [0, 1])
async def test_an_authenticator_that_fails_lets_nobody_in(open_client: Opener, steps: int) -> None:
    client = await open_client()
    client.send(Connect("c", properties=answer(b"hello" if steps else b"burst")))
    if steps:
        await client.expect(Auth)
        client.send(Auth(CONTINUE, answer(b"burst")))
    await expect_refusal(client, ReasonCode.UNSPECIFIED_ERROR)


@pytest.mark.normative("MQTT-4.12.0-5")
@pytest.mark.parametrize("method", ["other", "", "Riddle"])
async def test_another_method_in_auth_is_a_protocol_error(greet: Opener, connect: Connector, method: str) -> None:
    client = await greet()
    client.send(Auth(CONTINUE, answer(b"second", method)))
    await expect_refusal(client, ReasonCode.PROTOCOL_ERROR)
    client = await connect(properties=answer(b"quick"))
    client.send(Auth(AGAIN, answer(b"quick", method)))
    client.send(PingReq())
    await expect_disconnect(client, ReasonCode.PROTOCOL_ERROR)


@pytest.mark.normative("MQTT-4.12.0-5")
async def test_an_auth_without_a_method_is_a_protocol_error(greet: Opener, connect: Connector) -> None:
    for body in (b"\x00", b"\x03\x16\x00\x00", b"\x04\x16\x00\x01x"):
        client = await greet()
        client.send_bytes(packet(0xF0, b"\x18" + body))
        await expect_refusal(client, ReasonCode.PROTOCOL_ERROR)
        client = await connect(properties=answer(b"quick"))
        client.send_bytes(packet(0xF0, b"\x19" + body) + PINGREQ)
        await expect_disconnect(client, ReasonCode.PROTOCOL_ERROR)


@pytest.mark.normative("MQTT-4.12.0-5")
async def test_data_without_a_method_is_a_protocol_error(open_client: Opener) -> None:
    client = await open_client()
    client.send_bytes(connect_packet(prefixed("c"), properties=b"\x16" + prefixed("quick")))
    await expect_refusal(client, ReasonCode.PROTOCOL_ERROR)


@pytest.mark.normative("MQTT-4.12.0-6")
@pytest.mark.parametrize("code", [0x00, 0x18, 0x19], ids="0x{:02x}".format)
async def test_without_a_method_there_is_no_enhanced_authentication(connect: Connector, code: int) -> None:
    client = await connect(username="ann", password=b"x")
    assert connect.acks[client].properties.authentication_method is None
    assert connect.acks[client].properties.authentication_data is None
    await client.expect_silence()
    client.send_bytes(auth_packet(code, b"quick") + PINGREQ)
    await expect_disconnect(client, ReasonCode.PROTOCOL_ERROR)


@pytest.mark.normative("MQTT-4.12.0-6")
async def test_a_refusal_without_a_method_names_none(open_client: Opener) -> None:
    client = await open_client()
    client.send(Connect("x" * 2_000))
    refusal = await expect_refusal(client, ReasonCode.CLIENT_IDENTIFIER_NOT_VALID)
    assert refusal.properties.authentication_method is None


@pytest.mark.normative("MQTT-4.12.0-2")
@pytest.mark.parametrize(
    "data",
    [
        PINGREQ,
        connect_packet(prefixed("d")),
        packet(0x82, b"\x00\x01\x00\x00\x01a\x00"),
        packet(0x30, b"\x00\x01a\x00"),
    ],
    ids=["PINGREQ", "CONNECT", "SUBSCRIBE", "PUBLISH"],
)
async def test_nothing_but_auth_and_disconnect_before_connack(greet: Opener, connect: Connector, data: bytes) -> None:
    watcher = await connect()
    await watcher.subscribe("#")
    client = await greet()
    client.send_bytes(data + auth_packet(0x18, b"second"))
    await expect_refusal(client, ReasonCode.PROTOCOL_ERROR)
    client = await greet()
    client.send(Disconnect())
    assert await client.expect_closed() == []
    await watcher.expect_silence()


@pytest.mark.normative("MQTT-4.12.0-2")
async def test_a_session_is_taken_over_only_when_the_client_is_known(greet: Opener, connect: Connector) -> None:
    old = await connect("c", username="ann")
    await old.subscribe("a", qos=1)
    client = await greet()
    await old.ping()
    client.send(Auth(CONTINUE, answer(b"refuse 135")))
    await expect_refusal(client, ReasonCode.NOT_AUTHORIZED)
    await old.publish("a", b"x", qos=1)
    await old.expect_publish()
    client = await greet()
    client.send(Auth(CONTINUE, answer(b"second")))
    assert (await client.expect(ConnAck)).reason_code == ReasonCode.SUCCESS
    await expect_disconnect(old, ReasonCode.SESSION_TAKEN_OVER)


@pytest.mark.normative("MQTT-4.12.0-2")
async def test_what_comes_while_the_authenticator_thinks_is_kept(
    open_client: Opener, broker: RunningBroker, riddler: Riddler
) -> None:
    client = await open_client()
    client.send(Connect("c", properties=answer(b"later")))
    client.send(Subscribe(1, (SubscriptionRequest("a", 1),)))
    client.send(Publish("a", b"early"))
    for _ in range(2):  # The broker has read it by now.
        broker.call(lambda _: None)
    [done] = riddler.waiting

    def decide(_: object) -> None:
        done(Accepted("ann"))
        done(Accepted("bob"))  # Once is enough.

    broker.call(decide)
    broker.advance(0)
    assert (await client.expect(ConnAck)).reason_code == ReasonCode.SUCCESS
    await client.expect(SubAck)
    assert (await client.expect(Publish)).payload == b"early"
    await client.expect_silence()


@pytest.mark.normative("MQTT-4.12.0-2", "MQTT-4.12.0-5", "MQTT-4.12.1-2")
async def test_re_authentication(connect: Connector, riddler: Riddler) -> None:
    client, publisher = await connect(properties=answer(b"quick")), await connect()
    await client.subscribe("a", qos=1)
    for _ in range(3):
        client.send(Auth(AGAIN, RIDDLE))
        assert await client.expect(Auth) == Auth(CONTINUE, answer(b"one?"))
        # Meanwhile the connection works as before.
        await publisher.publish("a", b"x", qos=1)
        await client.expect_publish()
        await client.publish("b", b"x", qos=2)
        client.send(Auth(CONTINUE, answer(b"second")))
        assert await client.expect(Auth) == Auth(ReasonCode.SUCCESS, answer(b"welcome"))
        await client.expect_silence()
    await publisher.publish("a", b"x", qos=1)
    await client.expect_publish()
    assert riddler.seen[1:3] == [(METHOD, b"hello"), (None, b"second")]


@pytest.mark.normative("MQTT-4.12.1-2", "MQTT-4.13.2-1")
@pytest.mark.parametrize("step", [1, 2])
@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"refuse 135", ReasonCode.NOT_AUTHORIZED),
        (b"refuse 128", ReasonCode.UNSPECIFIED_ERROR),
        # These two codes are CONNACK's alone; so a DISCONNECT has to say it in another way.
        (b"refuse 134", ReasonCode.NOT_AUTHORIZED),
        (b"refuse 140", ReasonCode.NOT_AUTHORIZED),
        (b"refuse 138", ReasonCode.NOT_AUTHORIZED),
        (b"burst", ReasonCode.UNSPECIFIED_ERROR),
        (b"twin", ReasonCode.NOT_AUTHORIZED),
    ],
    ids=["not authorised", "unspecified", "bad password", "bad method", "banned", "failure", "somebody else"],
)
async def test_a_failed_re_authentication_ends_the_connection(
    connect: Connector, step: int, data: bytes, expected: ReasonCode
) -> None:
    client = await connect(properties=answer(b"quick"))
    if step == 2:
        client.send(Auth(AGAIN, RIDDLE))
        await client.expect(Auth)
    client.send(Auth(AGAIN if step == 1 else CONTINUE, answer(data)))
    client.send(PingReq())
    await expect_disconnect(client, expected)


@pytest.mark.normative("MQTT-4.13.1-1", "MQTT-4.13.2-1")
@pytest.mark.parametrize(
    ("data", "code"),
    [
        (connect_packet(prefixed(b"\xff")), ReasonCode.MALFORMED_PACKET),
        (connect_packet(prefixed("c"), properties=b"\x21\x00\x00"), ReasonCode.PROTOCOL_ERROR),
        (connect_packet(prefixed("c" * 2_000)), ReasonCode.CLIENT_IDENTIFIER_NOT_VALID),
        (
            connect_packet(prefixed("c"), b"\x00", prefixed("a/+"), prefixed(""), flags=0x06),
            ReasonCode.TOPIC_NAME_INVALID,
        ),
        (
            connect_packet(prefixed("c"), b"\x00", prefixed("$SYS/a"), prefixed(""), flags=0x06),
            ReasonCode.NOT_AUTHORIZED,
        ),
    ],
    ids=["malformed", "protocol error", "client identifier", "will topic", "will not allowed"],
)
async def test_a_refused_connect_is_answered_and_closed(
    open_client: Opener, connect: Connector, data: bytes, code: ReasonCode
) -> None:
    client = await open_client()
    client.send_bytes(data + PINGREQ)
    await expect_refusal(client, code)
    other = await connect("c", clean_start=False, properties=Properties(session_expiry_interval=0))
    assert not connect.acks[other].session_present
