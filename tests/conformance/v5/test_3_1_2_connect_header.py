"""MQTT 5.0 section 3.1.2: the variable header of CONNECT, but for the will and the properties."""

from __future__ import annotations

import pytest

from mqttbroker.protocol import ConnAck, Properties, ProtocolVersion, Publish, ReasonCode
from mqttbroker.testing.running import RunningBroker
from tests.conformance.conftest import Connector, Opener
from tests.conformance.wire import (
    MALFORMED,
    PINGREQ,
    connect_packet,
    cut,
    expect_disconnect,
    expect_refusal,
    packet,
    prefixed,
    publish_packet,
    subscribe_packet,
)

KEPT = Properties(session_expiry_interval=3_600)


@pytest.mark.normative("MQTT-3.1.0-1")
@pytest.mark.parametrize(
    "first",
    [PINGREQ, publish_packet("a", b"early", first=0x31), subscribe_packet("a"), packet(0xE0, b""), packet(0xF0, b"")],
    ids=["PINGREQ", "PUBLISH", "SUBSCRIBE", "DISCONNECT", "AUTH"],
)
async def test_a_first_packet_other_than_connect_ends_the_connection(
    open_client: Opener, connect: Connector, first: bytes
) -> None:
    client = await open_client()
    client.send_bytes(first + connect_packet(prefixed("late")))
    assert await client.expect_closed() == []
    witness = await connect()
    await witness.subscribe("#")
    await witness.expect_silence()


@pytest.mark.normative("MQTT-3.1.0-2")
@pytest.mark.parametrize("client_id", ["same", "other"])
async def test_a_second_connect_is_a_protocol_error(connect: Connector, client_id: str) -> None:
    client = await connect("same")
    client.send_bytes(connect_packet(prefixed(client_id)) + PINGREQ)
    await expect_disconnect(client, ReasonCode.PROTOCOL_ERROR)


@pytest.mark.normative("MQTT-3.1.2-1")
@pytest.mark.parametrize("name", [b"", b"mqtt", b"MQTt", b"MQT", b"MQTTT", b"HTTP"])
async def test_another_protocol_name_is_refused(open_client: Opener, name: bytes) -> None:
    client = await open_client()
    client.send_bytes(connect_packet(prefixed("c"), name=name) + PINGREQ)
    for answer in await client.expect_closed():
        assert isinstance(answer, ConnAck)
        assert answer.reason_code == ReasonCode.UNSUPPORTED_PROTOCOL_VERSION


@pytest.mark.normative("MQTT-3.1.2-2")
@pytest.mark.parametrize(
    ("name", "level"),
    [*((b"MQTT", level) for level in (0, 1, 2, 6, 7, 0x7F, 0x83, 0x84, 0x85, 0xFF)), (b"MQIsdp", 5)],
    ids=lambda value: value.decode() if isinstance(value, bytes) else str(value),
)
async def test_another_protocol_version_is_refused(open_client: Opener, name: bytes, level: int) -> None:
    client = await open_client(version=ProtocolVersion.V311)
    client.send_bytes(connect_packet(prefixed("c"), name=name, level=level) + PINGREQ)
    # The optional answer is in the form of MQTT 3.1.1, which demands one: return code 1.
    await client.expect(ConnAck)
    assert client.last_bytes == b"\x20\x02\x00\x01"
    assert await client.expect_closed() == []


@pytest.mark.normative("MQTT-3.1.2-3")
async def test_the_reserved_connect_flag_is_refused(open_client: Opener) -> None:
    client = await open_client()
    client.send_bytes(connect_packet(prefixed("c"), flags=0x03))
    await expect_refusal(client, MALFORMED)


@pytest.mark.normative("MQTT-3.1.2-4", "MQTT-3.1.4-4", "MQTT-3.2.2-2")
@pytest.mark.parametrize("online", [False, True], ids=["left before", "still connected"])
async def test_clean_start_drops_the_old_session(connect: Connector, online: bool) -> None:
    old = await connect("c", properties=KEPT)
    await old.subscribe("a", qos=2)
    publisher = await connect()
    await publisher.publish("a", b"in flight", qos=1)
    await old.expect(Publish)
    if not online:
        await old.disconnect()
        await publisher.publish("a", b"queued", qos=1)
    new = await connect("c", clean_start=True, properties=KEPT)
    assert not connect.acks[new].session_present
    await publisher.publish("a", b"new", qos=1)
    await new.expect_silence()


@pytest.mark.normative("MQTT-3.1.2-4")
async def test_clean_start_forgets_messages_half_received(connect: Connector) -> None:
    old = await connect("c", properties=KEPT)
    old.send(Publish("a", b"1", 2, packet_id=9))
    await old.receive()
    new = await connect("c", clean_start=True)
    watcher = await connect()
    await watcher.subscribe("a")
    await new.publish("a", b"2", qos=2, packet_id=9)
    assert (await watcher.expect_publish()).payload == b"2"


@pytest.mark.normative("MQTT-3.1.2-5", "MQTT-3.1.2-23", "MQTT-3.1.4-4", "MQTT-3.2.2-3")
@pytest.mark.parametrize("how", ["DISCONNECT", "cut", "taken over"])
async def test_a_session_is_resumed(connect: Connector, how: str) -> None:
    old = await connect("c", properties=KEPT)
    await old.subscribe("one", qos=1)
    await old.subscribe("two", qos=2)
    publisher = await connect()
    await publisher.publish("one", b"in flight", qos=1)
    sent = await old.expect(Publish)
    if how == "DISCONNECT":
        await old.disconnect()
    elif how == "cut":
        await cut(old)
    if how != "taken over":
        await publisher.publish("one", b"queued one", qos=1)
        await publisher.publish("two", b"queued two", qos=2)
    new = await connect("c", clean_start=False, properties=KEPT)
    assert connect.acks[new].session_present
    again = await new.expect_publish()
    assert (again.packet_id, again.payload, again.dup) == (sent.packet_id, b"in flight", True)
    if how != "taken over":
        queued = [await new.expect_publish() for _ in range(2)]
        assert [(each.topic, each.payload, each.qos, each.dup) for each in queued] == [
            ("one", b"queued one", 1, False),
            ("two", b"queued two", 2, False),
        ]
    await publisher.publish("two", b"live", qos=2)
    assert (await new.expect_publish()).payload == b"live"
    await new.expect_silence()


@pytest.mark.normative("MQTT-3.1.2-23")
async def test_a_session_remembers_messages_half_received(connect: Connector) -> None:
    watcher = await connect()
    await watcher.subscribe("a", qos=1)
    client = await connect("c", properties=KEPT)
    client.send(Publish("a", b"once", 2, packet_id=9))
    await client.receive()
    await client.disconnect()
    client = await connect("c", clean_start=False, properties=KEPT)
    await client.publish("a", b"once", qos=2, dup=True, packet_id=9)
    assert (await watcher.expect_publish()).payload == b"once"
    await watcher.expect_silence()


@pytest.mark.normative("MQTT-3.1.2-23")
@pytest.mark.parametrize(
    ("interval", "passed", "present"),
    [
        (None, 0, False),
        (0, 0, False),
        (100, 95, True),
        (100, 102, False),
        (0xFFFF_FFFE, 31_000_000, True),
        (0xFFFF_FFFF, 5_000_000_000, True),
    ],
)
async def test_a_session_is_kept_for_its_expiry_interval(
    connect: Connector, broker: RunningBroker, interval: int | None, passed: int, present: bool
) -> None:
    client = await connect("c", properties=Properties(session_expiry_interval=interval))
    await client.subscribe("a", qos=1)
    broker.advance(200)  # The interval begins when the connection ends, not before.
    await client.disconnect()
    if passed:
        broker.advance(passed)
    publisher = await connect()
    await publisher.publish("a", b"x", qos=1)
    client = await connect("c", clean_start=False, properties=KEPT)
    assert connect.acks[client].session_present == present
    if present:
        assert (await client.expect_publish()).payload == b"x"
    await client.expect_silence()


@pytest.mark.normative("MQTT-3.1.2-6", "MQTT-3.1.4-4", "MQTT-3.2.2-3")
async def test_without_a_stored_session_a_new_one_begins(connect: Connector) -> None:
    client = await connect("never seen", clean_start=False, properties=KEPT)
    assert not connect.acks[client].session_present
    await client.subscribe("a", qos=1)
    await client.publish("a", b"x", qos=1)
    assert (await client.expect_publish()).payload == b"x"
    await client.disconnect()
    client = await connect("never seen", clean_start=False)
    assert connect.acks[client].session_present


@pytest.mark.normative("MQTT-3.1.2-11", "MQTT-3.1.2-13")
@pytest.mark.parametrize("flags", [0x08, 0x10, 0x18, 0x20, 0x28], ids="{:08b}".format)
async def test_will_flags_without_a_will_are_refused(open_client: Opener, flags: int) -> None:
    client = await open_client()
    client.send_bytes(connect_packet(prefixed("c"), flags=0x02 | flags))
    await expect_refusal(client, MALFORMED)


@pytest.mark.normative("MQTT-3.1.2-12")
@pytest.mark.parametrize("retain", [0, 0x20], ids=["not retained", "retained"])
async def test_will_qos_3_is_refused(open_client: Opener, retain: int) -> None:
    client = await open_client()
    will = b"\x00" + prefixed("w") + prefixed("x")
    client.send_bytes(connect_packet(prefixed("c"), will, flags=0x02 | 0x04 | 0x18 | retain))
    await expect_refusal(client, MALFORMED)


@pytest.mark.normative("MQTT-3.1.2-9", "MQTT-3.1.2-17", "MQTT-3.1.2-19", "MQTT-3.1.3-3")
@pytest.mark.parametrize(
    ("flags", "fields"),
    [
        (0x00, [b""]),
        (0x04, [prefixed("c")]),
        (0x04, [prefixed("c"), b"\x00"]),
        (0x04, [prefixed("c"), b"\x00", prefixed("w")]),
        (0x80, [prefixed("c")]),
        (0x40, [prefixed("c")]),
        (0xC0, [prefixed("c"), prefixed("u")]),
    ],
    ids=["client id", "will properties", "will topic", "will payload", "user name", "password", "password after name"],
)
async def test_a_missing_field_is_refused(open_client: Opener, flags: int, fields: list[bytes]) -> None:
    client = await open_client()
    client.send_bytes(connect_packet(*fields, flags=0x02 | flags))
    await expect_refusal(client, MALFORMED)


@pytest.mark.normative("MQTT-3.1.2-16", "MQTT-3.1.2-18")
async def test_a_field_too_many_is_refused(open_client: Opener) -> None:
    client = await open_client()
    client.send_bytes(connect_packet(prefixed("c"), prefixed("u")))
    await expect_refusal(client, MALFORMED)


@pytest.mark.normative("MQTT-3.1.2-22", "MQTT-3.2.2-22")
@pytest.mark.parametrize("broker", [{"connect_timeout": 3_600}], indirect=True, ids=["defaults"])
@pytest.mark.parametrize(
    ("keep_alive", "alive_after"), [(2, 2), (10, 14), (60, 89), (0xFFFF, 98_301)], ids=["2 s", "10 s", "60 s", "most"]
)
async def test_silence_for_one_and_a_half_times_keep_alive_closes(
    connect: Connector, broker: RunningBroker, keep_alive: int, alive_after: float
) -> None:
    watcher = await connect()
    await watcher.subscribe("alive")
    client = await connect(keep_alive=keep_alive)
    for _ in range(3):
        broker.advance(alive_after)
        # Any packet counts, a PUBLISH as well as a PINGREQ.
        client.send(Publish("alive", b"x"))
        await watcher.expect_publish()
    broker.advance(1.5 * keep_alive + 1.1)
    await expect_disconnect(client, ReasonCode.KEEP_ALIVE_TIMEOUT)


@pytest.mark.normative("MQTT-3.1.2-22", "MQTT-3.2.2-22")
async def test_keep_alive_0_never_closes(connect: Connector, broker: RunningBroker) -> None:
    client = await connect(keep_alive=0)
    broker.advance(10_000_000)
    await client.ping()
