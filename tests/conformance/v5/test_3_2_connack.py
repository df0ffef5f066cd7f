"""MQTT 5.0 section 3.2: CONNACK."""

from __future__ import annotations

import pytest

from mqttbroker.broker import Limits
from mqttbroker.protocol import ConnAck, Properties, Publish, ReasonCode, Will
from mqttbroker.testing.running import RunningBroker
from tests.conformance.codes import FROM_SERVER
from tests.conformance.conftest import Connector, Opener
from tests.conformance.wire import (
    PINGREQ,
    connect_packet,
    cut,
    expect_disconnect,
    expect_refusal,
    packet,
    prefixed,
    publish_packet,
)

KEPT = Properties(session_expiry_interval=3_600)
REFUSED = {
    "client id": connect_packet(prefixed("x" * 2_000)),
    "reserved flag": connect_packet(prefixed("c"), flags=0x03),
    "will topic": connect_packet(prefixed("c"), b"\x00", prefixed("w/#"), prefixed("x"), flags=0x06),
    "server's topic": connect_packet(prefixed("c"), b"\x00", prefixed("$SYS/w"), prefixed("x"), flags=0x06),
    "will qos": connect_packet(prefixed("c"), b"\x00", prefixed("w"), prefixed("x"), flags=0x1E),
    "method": connect_packet(prefixed("c"), properties=b"\x15" + prefixed("method")),
    "data without method": connect_packet(prefixed("c"), properties=b"\x16" + prefixed("data")),
    "property twice": connect_packet(prefixed("c"), properties=b"\x21\x00\x01" * 2),
    "unknown property": connect_packet(prefixed("c"), properties=b"\x7f\x00"),
    "user properties": connect_packet(prefixed("c"), properties=b"\x26\x00\x00\x00\x00" * 300),
    "bad string": connect_packet(prefixed(b"\xff")),
    "bytes left over": connect_packet(prefixed("c"), b"\x00"),
    "too large for the client": connect_packet(prefixed("c"), properties=b"\x27\x00\x00\x00\x06"),
}


@pytest.mark.normative("MQTT-3.2.0-1")
@pytest.mark.parametrize("how", ["resumed", "retained", "will"])
async def test_connack_is_the_first_packet(connect: Connector, open_client: Opener, how: str) -> None:
    client = await connect("c", properties=KEPT, will=Will("a", b"will", 1))
    await client.subscribe("a", qos=1)
    await client.publish("a", b"r", retain=True)
    await client.expect_publish()
    if how != "will":
        await client.disconnect()
    publisher = await connect()
    for qos in (1, 2):
        if how == "resumed":
            await publisher.publish("a", b"queued", qos=qos)
    again = await open_client()
    subscribe = packet(0x82, b"\x00\x01\x00" + prefixed("a") + b"\x01") if how == "retained" else b""
    again.send_bytes(connect_packet(prefixed("c"), flags=0, properties=b"\x11\x00\x00\x01\x00") + subscribe)
    first = await again.receive()
    assert isinstance(first, ConnAck)
    assert first.session_present
    # Messages were there to overtake it.
    assert any(isinstance(each, Publish) for each in await again.drain())


@pytest.mark.normative("MQTT-3.2.0-2")
async def test_there_is_one_connack(open_client: Opener) -> None:
    client = await open_client()
    client.send_bytes(connect_packet(prefixed("c")) + PINGREQ + connect_packet(prefixed("c")) + PINGREQ)
    kinds = [type(each).__name__ for each in await client.expect_closed()]
    assert kinds == ["ConnAck", "PingResp", "Disconnect"]


@pytest.mark.normative("MQTT-3.2.2-1", "MQTT-3.2.2-2", "MQTT-3.2.2-3")
async def test_the_flags_are_session_present_alone(connect: Connector, open_client: Opener) -> None:
    flags: list[int] = []
    for clean_start, expiry in [(True, 3_600), (True, 3_600), (False, 3_600), (False, 0), (False, 0), (True, 0)]:
        client = await connect(
            "c", clean_start=clean_start, properties=Properties(session_expiry_interval=expiry), will=Will("w", qos=2)
        )
        flags.append(client.last_bytes[2])
        await client.disconnect()
    assert flags == [0, 0, 1, 1, 0, 0]


@pytest.mark.normative("MQTT-3.2.2-3")
async def test_no_session_is_present_after_its_end(connect: Connector, broker: RunningBroker) -> None:
    for end in ("DISCONNECT", "expiry", "cut"):
        client = await connect("c", properties=KEPT if end != "cut" else Properties())
        match end:
            case "DISCONNECT":
                await client.disconnect(properties=Properties(session_expiry_interval=0))
            case "expiry":
                await client.disconnect()
                broker.advance(3_602)
            case _:
                await cut(client)
        again = await connect("c", clean_start=False)
        assert not connect.acks[again].session_present
        await again.disconnect()


@pytest.mark.normative("MQTT-3.2.2-1", "MQTT-3.2.2-6", "MQTT-3.2.2-7", "MQTT-3.2.2-8")
@pytest.mark.parametrize("broker", [{"max_qos": 2}, {"max_qos": 0, "retain_available": False}], indirect=True, ids=str)
@pytest.mark.parametrize("refused", REFUSED.values(), ids=REFUSED)
async def test_a_refusal_has_a_legal_code_no_session_and_the_end(
    connect: Connector, open_client: Opener, refused: bytes
) -> None:
    # A session is there, which a refusal must not tell.
    await (await connect("c", properties=KEPT)).disconnect()
    client = await open_client()
    client.send_bytes(refused.replace(b"MQTT\x05\x02", b"MQTT\x05\x00") + PINGREQ)
    await client.expect(ConnAck)
    flags, code = client.last_bytes[2:4] if client.last_bytes[1] < 0x80 else client.last_bytes[3:5]
    assert flags == 0
    assert code >= 0x80
    assert code in FROM_SERVER["CONNACK"]
    assert await client.expect_closed() == []


@pytest.mark.normative("MQTT-3.2.2-8")
async def test_a_success_has_the_code_zero(connect: Connector) -> None:
    client = await connect()
    assert client.last_bytes[3] == 0
    assert 0 in FROM_SERVER["CONNACK"]


LIMITED = [{"max_qos": 0}, {"max_qos": 1}]
ABOVE = [({"max_qos": 0}, 1), ({"max_qos": 0}, 2), ({"max_qos": 1}, 2)]


@pytest.mark.normative("MQTT-3.2.2-9")
@pytest.mark.parametrize("broker", [*LIMITED, {"max_qos": 2}], indirect=True, ids=str)
async def test_a_lower_maximum_qos_is_announced(connect: Connector, broker: RunningBroker) -> None:
    client = await connect()
    limit = broker.config.limits.max_qos
    assert connect.acks[client].properties.maximum_qos == (limit if limit < 2 else None)


@pytest.mark.normative("MQTT-3.2.2-10")
@pytest.mark.parametrize("broker", LIMITED, indirect=True, ids=str)
async def test_subscriptions_of_any_qos_are_granted_what_there_is(connect: Connector, broker: RunningBroker) -> None:
    client = await connect()
    limit = broker.config.limits.max_qos
    for qos in (0, 1, 2):
        answer = await client.subscribe("a", qos=qos)
        assert answer.reason_codes == (min(qos, limit),)
    await client.publish("a", b"x", qos=limit)
    assert (await client.expect_publish()).qos == limit


@pytest.mark.normative("MQTT-3.2.2-11")
@pytest.mark.parametrize(("broker", "qos"), ABOVE, indirect=["broker"], ids=str)
@pytest.mark.parametrize("known", [False, True], ids=["first message", "known topic"])
async def test_a_message_above_the_maximum_qos_ends_the_connection(connect: Connector, qos: int, known: bool) -> None:
    client, watcher = await connect(), await connect()
    await watcher.subscribe("#", qos=2)
    if known:
        await client.publish("a", b"known")
        await watcher.expect_publish()
    client.send_bytes(publish_packet("a", b"x", first=0x30 | qos << 1, packet_id=1))
    await expect_disconnect(client, ReasonCode.QOS_NOT_SUPPORTED)
    await watcher.expect_silence()


@pytest.mark.normative("MQTT-3.2.2-12")
@pytest.mark.parametrize(("broker", "qos"), ABOVE, indirect=["broker"], ids=str)
async def test_a_will_above_the_maximum_qos_is_refused(open_client: Opener, qos: int) -> None:
    client = await open_client()
    client.send_bytes(connect_packet(prefixed("c"), b"\x00", prefixed("w"), prefixed("x"), flags=0x06 | qos << 3))
    await expect_refusal(client, ReasonCode.QOS_NOT_SUPPORTED)


@pytest.mark.normative("MQTT-3.2.2-12")
@pytest.mark.parametrize(("broker", "qos"), [({"max_qos": 0}, 0), ({"max_qos": 1}, 1)], indirect=["broker"], ids=str)
async def test_a_will_at_the_maximum_qos_is_accepted(connect: Connector, qos: int) -> None:
    await (await connect(will=Will("w", b"x", qos))).ping()


@pytest.mark.normative("MQTT-3.2.2-13")
@pytest.mark.parametrize("broker", [{"retain_available": False}], indirect=True, ids=str)
async def test_a_retained_will_is_refused_where_nothing_is_retained(open_client: Opener, connect: Connector) -> None:
    accepted = await connect(will=Will("w", b"x", 1))
    assert connect.acks[accepted].properties.retain_available == 0
    client = await open_client()
    client.send_bytes(connect_packet(prefixed("c"), b"\x00", prefixed("w"), prefixed("x"), flags=0x26))
    await expect_refusal(client, ReasonCode.RETAIN_NOT_SUPPORTED)


@pytest.mark.normative("MQTT-3.2.2-14")
@pytest.mark.parametrize("broker", [{"retain_available": False}], indirect=True, ids=str)
async def test_a_retained_message_where_nothing_is_retained_ends_the_connection(connect: Connector) -> None:
    client = await connect()
    client.send(Publish("a", b"x", retain=True))
    await expect_disconnect(client, ReasonCode.RETAIN_NOT_SUPPORTED)


@pytest.mark.normative("MQTT-3.2.2-15")
@pytest.mark.parametrize("broker", [{"max_packet_size": 4_096, "max_connect_size": 4_096}], indirect=True, ids=["4096"])
@pytest.mark.parametrize("known", [False, True], ids=["first message", "known topic"])
async def test_a_packet_above_the_announced_maximum_ends_the_connection(connect: Connector, known: bool) -> None:
    client, watcher = await connect(), await connect()
    assert connect.acks[client].properties.maximum_packet_size == 4_096
    await watcher.subscribe("a")
    if known:
        await client.publish("a", b"x")
        await watcher.expect_publish()
    largest = 4_096 - 3 - len(prefixed("a")) - 1
    await client.publish("a", b"x" * largest)
    await watcher.expect_publish()
    assert len(watcher.last_bytes) == 4_096
    # The fixed header is enough to tell.
    client.send_bytes(publish_packet("a", b"x" * (largest + 1))[:10])
    await expect_disconnect(client, ReasonCode.PACKET_TOO_LARGE)
    await watcher.expect_silence()


@pytest.mark.normative("MQTT-3.2.2-19", "MQTT-3.2.2-20")
@pytest.mark.parametrize(
    ("flags", "fields"),
    [
        (0x02, [prefixed("x" * 2_000)]),
        (0x06, [prefixed("c"), b"\x00", prefixed("w/#"), prefixed("x")]),
        (0x06, [prefixed("c"), b"\x00", prefixed("$SYS/w"), prefixed("x")]),
    ],
    ids=["client id", "will topic", "server's topic"],
)
async def test_a_refusal_stays_within_the_maximum_packet_size(
    open_client: Opener, flags: int, fields: list[bytes]
) -> None:
    async def refusal(maximum: int) -> bytes:
        client = await open_client()
        limit = b"\x27" + maximum.to_bytes(4, "big")
        client.send_bytes(connect_packet(*fields, flags=flags, properties=limit))
        await client.expect(ConnAck)
        raw = client.last_bytes
        assert await client.expect_closed() == []
        return raw

    whole = await refusal(10_000)
    assert len(whole) > 8, "there is a Reason String to leave out"
    assert await refusal(len(whole)) == whole
    for maximum in (len(whole) - 1, 10, 5):
        bare = await refusal(maximum)
        assert bare == packet(0x20, whole[3:4].rjust(2, b"\x00") + b"\x00")


@pytest.mark.normative("MQTT-3.2.2-19", "MQTT-3.2.2-20")
async def test_a_success_stays_within_the_maximum_packet_size(connect: Connector) -> None:
    whole = await connect("")
    size = len(whole.last_bytes)
    exact = await connect("", properties=Properties(maximum_packet_size=size))
    assert len(exact.last_bytes) <= size


@pytest.mark.normative("MQTT-3.2.2-21")
@pytest.mark.parametrize("broker", [{"max_keep_alive": 20, "connect_timeout": 3_600}], indirect=True, ids=["20 s"])
@pytest.mark.parametrize(("asked", "told"), [(0, 20), (21, 20), (60_000, 20), (20, None), (10, None)], ids=str)
async def test_a_server_keep_alive_is_told_and_counts(
    connect: Connector, broker: RunningBroker, asked: int, told: int | None
) -> None:
    client = await connect(keep_alive=asked)
    assert connect.acks[client].properties.server_keep_alive == told
    counts = told or asked
    broker.advance(1.5 * counts - 2)
    await client.ping()
    broker.advance(1.5 * counts + 1.1)
    await expect_disconnect(client, ReasonCode.KEEP_ALIVE_TIMEOUT)


@pytest.mark.normative("MQTT-3.2.2-22")
@pytest.mark.parametrize("asked", [0, 1, 0xFFFF], ids="{} s".format)
async def test_without_a_server_keep_alive_none_is_told(connect: Connector, asked: int) -> None:
    client = await connect(keep_alive=asked)
    assert connect.acks[client].properties.server_keep_alive is None


@pytest.mark.normative("MQTT-3.2.2-9")
async def test_what_the_broker_announces_by_default(connect: Connector) -> None:
    client = await connect("c", keep_alive=60)
    limits = Limits()
    assert connect.acks[client].properties == Properties(
        receive_maximum=limits.receive_maximum,
        maximum_packet_size=limits.max_packet_size,
        topic_alias_maximum=limits.topic_alias_maximum,
    )
