"""MQTT 5.0 section 3.14: DISCONNECT, from either side."""

from __future__ import annotations

from typing import Any

import pytest

from mqttbroker.protocol import ConnAck, Disconnect, Properties, ProtocolVersion, Publish, ReasonCode, Will
from mqttbroker.testing.plugin import BrokerFactory
from mqttbroker.testing.running import RunningBroker
from tests.conformance.codes import FROM_CLIENT
from tests.conformance.conftest import Connector, Opener
from tests.conformance.v5.doubles import KEPT, METHOD, Riddler, auth_packet
from tests.conformance.wire import (
    MALFORMED,
    PINGREQ,
    connect_packet,
    cut,
    expect_disconnect,
    packet,
    prefixed,
    publish_packet,
    subscribe_packet,
    varint,
)

TROUBLE: dict[str, tuple[bytes, ReasonCode]] = {
    "malformed": (b"\x00\x00", MALFORMED),
    "a second CONNECT": (connect_packet(prefixed("c")), ReasonCode.PROTOCOL_ERROR),
    "a server's packet": (b"\xd0\x00", ReasonCode.PROTOCOL_ERROR),
    "AUTH": (auth_packet(0x18), ReasonCode.PROTOCOL_ERROR),
    "a wildcard in a topic": (publish_packet("a/+"), ReasonCode.TOPIC_NAME_INVALID),
    "an alias": (publish_packet("a", properties=b"\x23\xff\xff"), ReasonCode.TOPIC_ALIAS_INVALID),
    "too large": (b"\x30\xff\xff\xff\x7f", ReasonCode.PACKET_TOO_LARGE),
    "QoS": (publish_packet("a", first=0x34, packet_id=1), ReasonCode.QOS_NOT_SUPPORTED),
    "QoS of a known topic": (
        publish_packet("a") + publish_packet("a", first=0x34, packet_id=1),
        ReasonCode.QOS_NOT_SUPPORTED,
    ),
    "retain": (publish_packet("a", first=0x31), ReasonCode.RETAIN_NOT_SUPPORTED),
    "too many user properties": (
        publish_packet("a", properties=(b"\x26" + prefixed("k") + prefixed("v")) * 4),
        ReasonCode.QUOTA_EXCEEDED,
    ),
    "receive maximum": (
        b"".join(publish_packet("a", first=0x34, packet_id=number) for number in range(1, 4)),
        ReasonCode.RECEIVE_MAXIMUM_EXCEEDED,
    ),
}


def limits_for(name: str) -> dict[str, Any]:
    """The limits that make it trouble."""
    limits: dict[str, dict[str, Any]] = {
        "QoS": {"max_qos": 1},
        "QoS of a known topic": {"max_qos": 1},
        "retain": {"retain_available": False},
        "too many user properties": {"max_user_properties": 3},
        "receive maximum": {"receive_maximum": 2},
    }
    return limits.get(name, {})


@pytest.mark.normative(
    "MQTT-3.14.2-1", "MQTT-3.14.2-2", "MQTT-3.14.4-1", "MQTT-3.14.4-2", "MQTT-4.13.1-1", "MQTT-4.13.2-1"
)
@pytest.mark.parametrize("name", TROUBLE)
async def test_the_broker_says_why_and_closes(
    connect: Connector, mqtt_broker_factory: BrokerFactory, name: str
) -> None:
    broker = mqtt_broker_factory(**limits_for(name))
    data, reason = TROUBLE[name]
    publisher, watcher = await connect(broker=broker), await connect(broker=broker)
    await watcher.subscribe("after")
    client = await connect(broker=broker, properties=KEPT)
    await client.subscribe("to the client")
    # What comes behind it is not looked at: neither answered nor obeyed.
    client.send_bytes(data + PINGREQ + publish_packet("after", b"x") + subscribe_packet("after"))
    await publisher.publish("to the client", b"x")
    packets = await client.expect_closed()
    [last] = [each for each in packets if not isinstance(each, Publish) and each.type.name not in ("PUBREC", "PUBACK")]
    assert packets[-1] is last and isinstance(last, Disconnect)
    assert last.reason_code == reason
    assert last.properties.session_expiry_interval is None
    await watcher.expect_silence()


@pytest.mark.normative("MQTT-3.14.2-1", "MQTT-3.14.2-2", "MQTT-3.14.4-1", "MQTT-3.14.4-2")
@pytest.mark.parametrize("how", ["taken over", "keep alive", "shutting down"])
async def test_the_broker_says_why_it_does_not_go_on(connect: Connector, broker: RunningBroker, how: str) -> None:
    client = await connect("c", keep_alive=10, properties=KEPT)
    match how:
        case "taken over":
            await connect("c")
            await expect_disconnect(client, ReasonCode.SESSION_TAKEN_OVER)
        case "keep alive":
            broker.advance(17)
            await expect_disconnect(client, ReasonCode.KEEP_ALIVE_TIMEOUT)
        case _:
            broker.stop()
            await expect_disconnect(client, ReasonCode.SERVER_SHUTTING_DOWN)


@pytest.mark.normative("MQTT-3.14.2-3", "MQTT-3.14.2-4")
async def test_words_are_left_out_where_they_do_not_fit(connect: Connector) -> None:
    async def told(maximum: int | None) -> tuple[Disconnect, int]:
        client = await connect(properties=Properties(maximum_packet_size=maximum))
        client.send_bytes(connect_packet(prefixed("c")))
        return await client.expect(Disconnect), len(client.last_bytes)

    whole, size = await told(None)
    assert whole.properties.reason_string and size > 20
    for maximum, fits in (size + 1, True), (size, True), (size - 1, False), (20, False):
        short, length = await told(maximum)
        assert length <= maximum
        assert short.reason_code == ReasonCode.PROTOCOL_ERROR
        assert short.properties == (whole.properties if fits else Properties())


NEVER_CONNECTED: dict[str, bytes] = {
    "malformed CONNECT": connect_packet(prefixed("c"), flags=0x03),
    "refused user": connect_packet(prefixed("c"), properties=b"\x15" + prefixed("unknown")),
    "refused later": connect_packet(prefixed("c"), properties=b"\x15" + prefixed(METHOD) + b"\x16" + prefixed("hello"))
    + auth_packet(0x18, b"refuse 135"),
    "PINGREQ during authentication": connect_packet(
        prefixed("c"), properties=b"\x15" + prefixed(METHOD) + b"\x16" + prefixed("hello")
    )
    + PINGREQ,
    "malformed during authentication": connect_packet(
        prefixed("c"), properties=b"\x15" + prefixed(METHOD) + b"\x16" + prefixed("hello")
    )
    + b"\x00\x00",
    "DISCONNECT during authentication": connect_packet(
        prefixed("c"), properties=b"\x15" + prefixed(METHOD) + b"\x16" + prefixed("hello")
    )
    + packet(0xE0, b""),
    "no CONNECT": PINGREQ,
    "unknown version": connect_packet(prefixed("c"), level=6),
}


@pytest.mark.normative("MQTT-3.14.0-1")
@pytest.mark.parametrize("data", NEVER_CONNECTED.values(), ids=NEVER_CONNECTED)
async def test_no_disconnect_before_a_connack(
    open_client: Opener, mqtt_broker_factory: BrokerFactory, data: bytes
) -> None:
    client = await open_client(broker=mqtt_broker_factory(authenticator=Riddler()))
    if data == NEVER_CONNECTED["unknown version"]:
        client.version = ProtocolVersion.V311  # In its form comes the answer, see [MQTT-3.1.2-2].
    client.send_bytes(data + PINGREQ)
    packets = await client.expect_closed()
    assert not [each for each in packets if isinstance(each, Disconnect)]
    assert all(each.reason_code >= 0x80 for each in packets if isinstance(each, ConnAck))


@pytest.mark.normative("MQTT-3.14.0-1")
@pytest.mark.parametrize("when", ["before CONNECT", "during authentication"])
@pytest.mark.parametrize("how", ["stop", "time-out"])
async def test_a_broker_that_goes_sends_no_disconnect_before_a_connack(
    open_client: Opener, mqtt_broker_factory: BrokerFactory, when: str, how: str
) -> None:
    broker = mqtt_broker_factory(authenticator=Riddler())
    client = await open_client(broker=broker)
    if when == "during authentication":
        client.send_bytes(
            connect_packet(prefixed("c"), properties=b"\x15" + prefixed(METHOD) + b"\x16" + prefixed("hello"))
        )
        assert (await client.receive()).type.name == "AUTH"
    else:
        broker.call(lambda _: None)
    if how == "stop":
        broker.stop()
    else:
        broker.advance(60)
    assert not [each for each in await client.expect_closed() if isinstance(each, Disconnect)]


@pytest.mark.normative("MQTT-3.14.1-1")
async def test_other_flags_are_malformed(connect: Connector) -> None:
    watcher = await connect()
    await watcher.subscribe("will")
    for flags in range(1, 16):
        client = await connect(will=Will("will", b"%d" % flags))
        client.send_bytes(packet(0xE0 | flags, b"") + PINGREQ)
        await expect_disconnect(client, MALFORMED)
        # It was no DISCONNECT, so the will is published.
        assert (await watcher.expect_publish()).payload == b"%d" % flags


@pytest.mark.normative("MQTT-3.14.2-1", "MQTT-3.14.4-3")
@pytest.mark.parametrize("form", ["code alone", "with a property length", "with properties"])
async def test_every_code_of_a_client_ends_the_connection_in_silence(connect: Connector, form: str) -> None:
    watcher = await connect()
    await watcher.subscribe("will")
    words = b"\x1f" + prefixed("why") + b"\x26" + prefixed("k") + prefixed("v")
    tail = {"code alone": b"", "with a property length": b"\x00"}.get(form, varint(len(words)) + words)
    for code in sorted(FROM_CLIENT["DISCONNECT"]):
        client = await connect(will=Will("will", b"%d" % code))
        client.send_bytes(packet(0xE0, bytes((code,)) + tail) + PINGREQ)
        assert await client.expect_closed() == []
        if code:
            assert (await watcher.expect_publish()).payload == b"%d" % code
        else:
            await watcher.expect_silence()


@pytest.mark.normative("MQTT-3.14.2-1")
@pytest.mark.parametrize("code", [0x8B, 0x8E, 0x8D, 0x87, 0xA0, 0x01, 0x8C, 0x92, 0x03, 0xFF], ids="0x{:02x}".format)
async def test_codes_that_a_client_does_not_have_are_protocol_errors(connect: Connector, code: int) -> None:
    watcher = await connect()
    await watcher.subscribe("will")
    client = await connect(will=Will("will", b"x"))
    client.send_bytes(packet(0xE0, bytes((code,))) + PINGREQ)
    await expect_disconnect(client, ReasonCode.PROTOCOL_ERROR)
    await watcher.expect_publish()


@pytest.mark.normative("MQTT-3.14.4-3")
@pytest.mark.parametrize(
    "data", [b"\xe0\x00", b"\xe0\x01\x00", b"\xe0\x02\x00\x00"], ids=["bare", "code", "properties"]
)
@pytest.mark.parametrize("delay", [0, 10], ids="delay {}".format)
async def test_a_normal_disconnection_discards_the_will(
    connect: Connector, broker: RunningBroker, data: bytes, delay: int
) -> None:
    watcher = await connect()
    await watcher.subscribe("will")
    will = Will("will", b"x", properties=Properties(will_delay_interval=delay))
    client = await connect("c", will=will, properties=Properties(session_expiry_interval=20))
    client.send_bytes(data + PINGREQ)
    assert await client.expect_closed() == []
    broker.advance(15)
    await watcher.expect_silence()
    broker.advance(15)
    await watcher.expect_silence()


@pytest.mark.normative("MQTT-3.14.4-1", "MQTT-3.14.4-2")
async def test_nothing_after_a_clients_disconnect_is_obeyed(connect: Connector) -> None:
    watcher = await connect()
    await watcher.subscribe("#")
    client = await connect("c", properties=KEPT)
    client.send_bytes(b"\xe0\x00" + publish_packet("a", b"x") + subscribe_packet("a") + PINGREQ)
    assert await client.expect_closed() == []
    await watcher.expect_silence()
    client = await connect("c", clean_start=False)
    await client.publish("a", b"x")
    await client.expect_silence()


@pytest.mark.normative("MQTT-4.1.0-2")
@pytest.mark.parametrize(
    ("asked", "changed", "passed", "present"),
    [
        (100, None, 98, True),
        (100, 0, 0, False),
        (100, 1_000, 900, True),
        (100, 1_000, 1_002, False),
        (1_000, 10, 8, True),
        (1_000, 10, 12, False),
        (10, 0xFFFF_FFFF, 1_000_000, True),
        (0, 0, 0, False),
    ],
)
async def test_disconnect_changes_the_session_expiry_interval(
    connect: Connector, broker: RunningBroker, asked: int, changed: int | None, passed: int, present: bool
) -> None:
    client = await connect("c", properties=Properties(session_expiry_interval=asked))
    await client.disconnect(properties=Properties(session_expiry_interval=changed))
    if passed:
        broker.advance(passed)
    client = await connect("c", clean_start=False)
    assert connect.acks[client].session_present == present


@pytest.mark.normative("MQTT-4.13.1-1")
@pytest.mark.parametrize("asked", [None, 0], ids=["none", "zero"])
async def test_disconnect_may_not_begin_a_session_expiry_interval(connect: Connector, asked: int | None) -> None:
    # Section 3.14.2.2.2: a Protocol Error, so the client has not disconnected normally, and its will is published.
    watcher = await connect()
    await watcher.subscribe("will")
    client = await connect("c", will=Will("will", b"x"), properties=Properties(session_expiry_interval=asked))
    client.send(Disconnect(properties=Properties(session_expiry_interval=5)))
    await expect_disconnect(client, ReasonCode.PROTOCOL_ERROR)
    await watcher.expect_publish()
    client = await connect("c", clean_start=False)
    assert not connect.acks[client].session_present


@pytest.mark.normative("MQTT-4.13.2-1")
async def test_a_lost_connection_is_no_disconnect(connect: Connector) -> None:
    watcher = await connect()
    await watcher.subscribe("will")
    client = await connect(will=Will("will", b"x"))
    await cut(client)
    await watcher.expect_publish()
