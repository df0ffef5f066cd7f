"""Section 4.8: handling errors."""

from __future__ import annotations

import asyncio

import pytest

from mqttbroker.protocol import ConnAck, PubAck, Publish, PubRec
from mqttbroker.testing.running import RunningBroker
from tests.conformance.conftest import Connector, Opener
from tests.conformance.v311.handmade import (
    connect_packet,
    expect_end,
    expect_rejected,
    field,
    packet,
    publish_packet,
    subscribe_packet,
    u16,
    unsubscribe_packet,
)
from tests.support.raw import RawClient

FROM_CLIENTS = {
    "PUBLISH": publish_packet("a", b"x", first=0x31),
    "PUBLISH at QoS 1": publish_packet("a", b"x", first=0x32, packet_id=1),
    "PUBLISH at QoS 2": publish_packet("a", b"x", first=0x34, packet_id=1),
    "PUBACK": packet(0x40, u16(1)),
    "PUBREC": packet(0x50, u16(1)),
    "PUBREL": packet(0x62, u16(1)),
    "PUBCOMP": packet(0x70, u16(1)),
    "SUBSCRIBE": subscribe_packet(1, ("#", 0)),
    "UNSUBSCRIBE": unsubscribe_packet(1, "#"),
    "PINGREQ": packet(0xC0),
    "DISCONNECT": packet(0xE0),
    "a text protocol": b"GET / HTTP/1.1\r\n\r\n",
}
FROM_SERVERS = {
    "CONNACK": packet(0x20, b"\0\0"),
    "SUBACK": packet(0x90, u16(1), b"\0"),
    "UNSUBACK": packet(0xB0, u16(1)),
    "PINGRESP": packet(0xD0),
}
RESERVED = {
    "type 0": packet(0x00),
    "type 0 with a body": packet(0x00, b"\0\0"),
    "type 15": packet(0xF0),
    "type 15 as AUTH of MQTT 5": packet(0xF0, b"\x18\0"),
}
BROKEN = {
    "remaining length of five bytes": b"\x30\x80\x80\x80\x80\x01",
    "remaining length without end": b"\x30\xff\xff\xff\xff",
    "PUBLISH without topic": packet(0x30),
    "PUBLISH with half a length": packet(0x30, b"\0"),
    "PUBLISH with a topic longer than the packet": packet(0x30, b"\0\x05a"),
    "PUBLISH at QoS 1 without identifier": packet(0x32, field("a")),
    "PUBLISH at QoS 1 with half an identifier": packet(0x32, field("a"), b"\0"),
    "PUBACK without identifier": packet(0x40),
    "PUBACK with half an identifier": packet(0x40, b"\0"),
    "PUBACK with a reason code of MQTT 5": packet(0x40, u16(1), b"\0"),
    "PUBREC with identifier 0": packet(0x50, u16(0)),
    "PUBREL with half an identifier": packet(0x62, b"\0"),
    "PUBCOMP with a byte too many": packet(0x70, u16(1), b"\0"),
}


@pytest.mark.normative("MQTT-4.8.0-1")
@pytest.mark.parametrize(
    "data",
    [*FROM_CLIENTS.values(), *FROM_SERVERS.values(), *RESERVED.values()],
    ids=[*FROM_CLIENTS, *FROM_SERVERS, *RESERVED],
)
async def test_any_packet_before_connect_ends_the_connection(
    open_client: Opener, connect: Connector, watcher: RawClient, data: bytes
) -> None:
    await expect_rejected(await open_client(), data + connect_packet(field("c")))
    await watcher.expect_silence()
    late = await connect()
    await late.subscribe("#")
    await late.expect_silence()


@pytest.mark.normative("MQTT-4.8.0-1")
@pytest.mark.parametrize(
    "data",
    [*FROM_SERVERS.values(), *RESERVED.values(), *BROKEN.values()],
    ids=[*FROM_SERVERS, *RESERVED, *BROKEN],
)
async def test_a_violation_ends_the_connection_on_which_it_happens_and_no_other(
    connect: Connector, watcher: RawClient, data: bytes
) -> None:
    client, other = await connect(), await connect()
    await client.publish("a", b"x", qos=1)
    await watcher.expect_publish()
    await expect_rejected(client, data + publish_packet("a", b"behind it"))
    await watcher.expect_silence()
    await other.publish("a", b"x", qos=1)
    assert (await watcher.expect_publish()).payload == b"x"


@pytest.mark.normative("MQTT-4.8.0-1")
async def test_what_came_before_a_violation_has_been_done(connect: Connector, watcher: RawClient) -> None:
    client = await connect()
    client.send_bytes(publish_packet("a", b"x", first=0x32, packet_id=1) + packet(0xD0))
    await client.expect(PubAck)
    await expect_end(client)
    assert (await watcher.expect_publish()).payload == b"x"


@pytest.mark.normative("MQTT-4.8.0-1")
@pytest.mark.parametrize(
    ("qos", "wrong"),
    [(2, packet(0x40, u16(1))), (2, packet(0x70, u16(1))), (1, packet(0x50, u16(1))), (1, packet(0x70, u16(1)))],
    ids=["PUBACK at QoS 2", "PUBCOMP before PUBREC", "PUBREC at QoS 1", "PUBCOMP at QoS 1"],
)
async def test_an_acknowledgement_that_does_not_fit_completes_nothing(
    connect: Connector, qos: int, wrong: bytes
) -> None:
    client, publisher = await connect("c", clean_start=False), await connect()
    await client.subscribe("a", qos=2)
    await publisher.publish("a", b"x", qos=qos)
    assert (await client.expect(Publish)).packet_id == 1
    await expect_rejected(client, wrong)
    client = await connect("c", clean_start=False)
    message = await client.expect(Publish)
    assert (message.packet_id, message.payload, message.qos, message.dup) == (1, b"x", qos, True)


@pytest.mark.normative("MQTT-4.8.0-2")
@pytest.mark.parametrize("broker", [{"max_packet_size": 512, "max_connect_size": 512}], indirect=True, ids=["512"])
async def test_a_packet_too_large_ends_its_connection(
    connect: Connector, open_client: Opener, broker: RunningBroker, watcher: RawClient
) -> None:
    other = await connect()
    fits = publish_packet("a", b"x" * (512 - 6))
    assert len(fits) == 512
    for qos in (0, 1, 2):
        client = await connect()
        client.send_bytes(fits)
        assert len((await watcher.expect_publish()).payload) == 506
        too_large = publish_packet("a", b"x" * 507, first=0x30 | qos << 1, packet_id=1 if qos else None)
        await expect_rejected(client, too_large)
        # The first bytes are enough.
        await expect_rejected(await connect(), too_large[:10])
        await watcher.expect_silence()
    await expect_rejected(await open_client(), connect_packet(field("c" * 600)))
    await other.publish("a", b"x", qos=1)
    assert (await watcher.expect_publish()).payload == b"x"


@pytest.mark.normative("MQTT-4.8.0-2")
@pytest.mark.parametrize("broker", [{"max_connections": 2}], indirect=True, ids=["two connections"])
async def test_a_connection_too_many_is_closed(connect: Connector, open_client: Opener, broker: RunningBroker) -> None:
    first, second = await connect(), await connect()
    third = await open_client()
    third.send_bytes(connect_packet(field("c")))
    answers = await third.expect_closed()
    assert all(isinstance(answer, ConnAck) and answer.reason_code for answer in answers)
    await first.subscribe("a", qos=1)
    await second.publish("a", b"x", qos=1)
    assert (await first.expect_publish()).payload == b"x"
    await second.disconnect()
    await second.close()
    async with asyncio.timeout(5):
        # It counts until the broker has let go of its socket.
        while broker.call(lambda running: running.core.gate.connections) > 1:
            await asyncio.sleep(0)
    await connect()


@pytest.mark.normative("MQTT-4.8.0-2")
@pytest.mark.parametrize("broker", [{"max_qos": 1}], indirect=True, ids=["QoS up to 1"])
async def test_a_qos_that_the_broker_does_not_serve_ends_the_connection(
    connect: Connector, broker: RunningBroker
) -> None:
    watcher = await connect()
    await watcher.subscribe("#", qos=1)
    await expect_rejected(await connect(), publish_packet("a", b"x", first=0x34, packet_id=1))
    await watcher.expect_silence()
    assert not [packet for packet in await watcher.drain() if isinstance(packet, PubRec)]
