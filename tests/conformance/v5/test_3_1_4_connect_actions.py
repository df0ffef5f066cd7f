"""MQTT 5.0 section 3.1.4: what happens with a CONNECT."""

from __future__ import annotations

import pytest

from mqttbroker.broker import Accepted, Credentials, Refused, VerdictCallback
from mqttbroker.protocol import ConnAck, PingResp, Properties, Publish, ReasonCode
from mqttbroker.testing.plugin import BrokerFactory
from mqttbroker.testing.running import RunningBroker
from tests.conformance.conftest import Connector, Opener
from tests.conformance.wire import (
    MALFORMED,
    PINGREQ,
    connect_packet,
    expect_disconnect,
    expect_refusal,
    packet,
    prefixed,
    publish_packet,
    subscribe_packet,
)


class Guard:
    """An authenticator that lets in whoever knows the password; with ``later``, it needs a while to decide."""

    def __init__(self, reason: ReasonCode = ReasonCode.BAD_USER_NAME_OR_PASSWORD, later: bool = False) -> None:
        self.reason = reason
        self.later = later
        self.waiting: list[tuple[Credentials, VerdictCallback]] = []

    def authenticate(self, credentials: Credentials, done: VerdictCallback) -> None:
        """Decide, or wait for :meth:`decide`."""
        self.waiting.append((credentials, done))
        if not self.later:
            self.decide()

    def decide(self) -> None:
        """Decide on everybody who waits."""
        for credentials, done in self.waiting:
            done(Accepted(credentials.username) if credentials.password == b"right" else Refused(self.reason))
        self.waiting.clear()


@pytest.mark.normative("MQTT-3.1.4-1")
@pytest.mark.parametrize(
    "data",
    [
        connect_packet(prefixed("c"), b"left over"),
        connect_packet(b"\x00\x05c"),
        packet(0x10, prefixed("MQTT") + b"\x05\x02\x00\x00\x05"),
        packet(0x10, prefixed("MQTT") + b"\x05\x02\x00"),
        packet(0x10, prefixed("MQTT") + b"\x05"),
    ],
    ids=["bytes left over", "client id cut off", "properties cut off", "keep alive cut off", "no flags"],
)
async def test_a_malformed_connect_is_refused(open_client: Opener, data: bytes) -> None:
    client = await open_client()
    client.send_bytes(data + PINGREQ)
    await expect_refusal(client, MALFORMED)


@pytest.mark.normative("MQTT-3.1.4-1")
@pytest.mark.parametrize("data", [packet(0x10, b""), packet(0x10, b"\x00\x09MQTT"), b"\x10\xff\xff\xff\xff\x01"])
async def test_a_connect_whose_version_cannot_be_told_is_closed(open_client: Opener, data: bytes) -> None:
    client = await open_client()
    client.send_bytes(data + PINGREQ)
    assert await client.expect_closed() == []


@pytest.mark.normative("MQTT-3.1.4-1")
@pytest.mark.parametrize("sent", [b"", connect_packet(prefixed("c"))[:-1]], ids=["nothing", "all but one byte"])
async def test_a_connect_that_does_not_come_in_time_is_closed(
    open_client: Opener, connect: Connector, broker: RunningBroker, sent: bytes
) -> None:
    client = await open_client()
    client.send_bytes(sent)
    await (await connect()).ping()
    broker.advance(12)
    assert await client.expect_closed() == []


@pytest.mark.normative("MQTT-3.1.4-2", "MQTT-3.2.2-7", "MQTT-3.2.2-6")
@pytest.mark.parametrize("later", [False, True], ids=["at once", "later"])
@pytest.mark.parametrize(
    "reason",
    [
        ReasonCode.BAD_USER_NAME_OR_PASSWORD,
        ReasonCode.NOT_AUTHORIZED,
        ReasonCode.SERVER_UNAVAILABLE,
        ReasonCode.SERVER_BUSY,
        ReasonCode.BANNED,
        ReasonCode.CONNECTION_RATE_EXCEEDED,
    ],
    ids=lambda reason: reason.name,
)
async def test_bad_credentials_are_refused(
    mqtt_broker_factory: BrokerFactory, open_client: Opener, connect: Connector, reason: ReasonCode, later: bool
) -> None:
    guard = Guard(reason)
    broker = mqtt_broker_factory(authenticator=guard)
    watcher = await connect(broker=broker, username="u", password=b"right")
    await watcher.subscribe("#")
    guard.later = later
    client = await open_client(broker=broker)
    client.send_bytes(
        connect_packet(
            prefixed("c"), b"\x00", prefixed("will"), prefixed("x"), prefixed("u"), prefixed("wrong"), flags=0xC6
        )
        + publish_packet("a", b"smuggled")
        + PINGREQ
    )
    if later:
        await watcher.ping()
        while not guard.waiting:
            await watcher.ping()
        broker.call(lambda _: guard.decide())
    await expect_refusal(client, reason)
    # No service: neither the message behind the CONNECT nor the will of a connection that never was.
    await watcher.expect_silence()


@pytest.mark.normative("MQTT-3.1.4-2")
async def test_a_method_that_the_broker_does_not_know_is_refused(open_client: Opener) -> None:
    client = await open_client()
    client.send_bytes(connect_packet(prefixed("c"), properties=b"\x15" + prefixed("SCRAM-SHA-1")) + PINGREQ)
    await expect_refusal(client, ReasonCode.BAD_AUTHENTICATION_METHOD)


@pytest.mark.normative("MQTT-3.1.4-3")
@pytest.mark.parametrize("clean_start", [True, False], ids=["clean", "not clean"])
async def test_a_duplicate_client_identifier_evicts_the_older_connection(connect: Connector, clean_start: bool) -> None:
    old = await connect("c")
    new = await connect("c", clean_start=clean_start)
    await expect_disconnect(old, ReasonCode.SESSION_TAKEN_OVER)
    await new.subscribe("a")
    await new.publish("a", b"x")
    assert (await new.expect_publish()).payload == b"x"
    await new.expect_silence()


@pytest.mark.normative("MQTT-3.1.4-3")
async def test_a_refused_connect_evicts_nobody(
    mqtt_broker_factory: BrokerFactory, connect: Connector, open_client: Opener
) -> None:
    broker = mqtt_broker_factory(authenticator=Guard())
    old = await connect("c", broker=broker, username="u", password=b"right")
    client = await open_client(broker=broker)
    answer = await client.connect("c", username="u", password=b"wrong")
    assert answer.reason_code == ReasonCode.BAD_USER_NAME_OR_PASSWORD
    await old.expect_silence()


@pytest.mark.normative("MQTT-3.1.4-5")
@pytest.mark.parametrize("later", [False, True], ids=["at once", "later"])
async def test_a_valid_connect_is_answered_with_success(
    mqtt_broker_factory: BrokerFactory,
    open_client: Opener,
    connect: Connector,
    monkeypatch: pytest.MonkeyPatch,
    later: bool,
) -> None:
    # The answer must not wait for the next tick of the broker's clock, so there is none.
    monkeypatch.setattr("mqttbroker.listeners.host.TICK", 3_600.0)
    guard = Guard()
    broker = mqtt_broker_factory(authenticator=guard)
    watcher = await connect(broker=broker, username="u", password=b"right")
    guard.later = later
    client = await open_client(broker=broker)
    client.send_bytes(connect_packet(prefixed("c"), prefixed("u"), prefixed("right"), flags=0xC2))
    if later:
        while not guard.waiting:
            await watcher.ping()
        broker.call(lambda _: guard.decide())
    answer = await client.expect(ConnAck)
    assert answer.reason_code == ReasonCode.SUCCESS
    await client.expect_silence()


@pytest.mark.normative("MQTT-3.1.4-5")
async def test_a_client_need_not_wait_for_connack(open_client: Opener) -> None:
    client = await open_client()
    client.send_bytes(
        connect_packet(prefixed("c")) + subscribe_packet("a") + publish_packet("a", b"x") + PINGREQ + PINGREQ
    )
    kinds = [type(await client.receive()).__name__ for _ in range(5)]
    assert kinds == ["ConnAck", "SubAck", "Publish", "PingResp", "PingResp"]


@pytest.mark.normative("MQTT-3.1.4-5")
async def test_a_connect_may_arrive_byte_by_byte(open_client: Opener) -> None:
    client = await open_client()
    for byte in connect_packet(prefixed("c"), prefixed("u"), properties=b"\x11\x00\x00\x00\x10", flags=0x82) + PINGREQ:
        client.send_bytes(bytes((byte,)))
        await client.flush()
    assert (await client.expect(ConnAck)).reason_code == ReasonCode.SUCCESS
    await client.expect(PingResp)


@pytest.mark.normative("MQTT-3.1.4-6", "MQTT-3.2.2-7")
@pytest.mark.parametrize(
    "refused",
    [
        connect_packet(prefixed("x" * 2_000)),
        connect_packet(prefixed("c"), flags=0x03),
        connect_packet(prefixed("c"), b"\x00", prefixed("w/#"), prefixed("x"), flags=0x06),
        connect_packet(prefixed("c"), level=9),
        connect_packet(prefixed("c"), properties=b"\x15" + prefixed("method")),
    ],
    ids=["client id", "reserved flag", "will topic", "version", "method"],
)
async def test_what_follows_a_refused_connect_has_no_effect(
    open_client: Opener, connect: Connector, refused: bytes
) -> None:
    witness = await connect(properties=Properties(session_expiry_interval=100))
    await witness.subscribe("#", qos=2)
    client = await open_client()
    client.version = client.version.V311 if refused[8] == 9 else client.version
    client.send_bytes(
        refused
        + publish_packet("a", b"0")
        + publish_packet("a", b"1", first=0x33, packet_id=1)
        + subscribe_packet("#")
        + connect_packet(prefixed("again"))
        + PINGREQ
    )
    answers = await client.expect_closed()
    assert [type(answer) for answer in answers] == [ConnAck]
    await witness.expect_silence()
    late = await connect()
    await late.subscribe("#")
    await late.expect_silence()
    again = await connect("again", clean_start=False)
    assert not connect.acks[again].session_present


@pytest.mark.normative("MQTT-3.1.4-4")
async def test_clean_start_of_a_refused_connect_has_no_effect(
    mqtt_broker_factory: BrokerFactory, connect: Connector, open_client: Opener
) -> None:
    broker = mqtt_broker_factory(authenticator=Guard())
    kept = Properties(session_expiry_interval=3_600)
    owner = await connect("c", broker=broker, username="u", password=b"right", properties=kept)
    await owner.subscribe("a", qos=1)
    await owner.disconnect()
    intruder = await open_client(broker=broker)
    answer = await intruder.connect("c", username="u", password=b"wrong", clean_start=True)
    assert answer.reason_code == ReasonCode.BAD_USER_NAME_OR_PASSWORD
    publisher = await connect(broker=broker, username="u", password=b"right")
    await publisher.publish("a", b"x", qos=1)
    owner = await connect("c", broker=broker, username="u", password=b"right", clean_start=False)
    assert connect.acks[owner].session_present
    assert (await owner.expect(Publish)).payload == b"x"
