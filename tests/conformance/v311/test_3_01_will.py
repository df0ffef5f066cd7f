"""Section 3.1.2.5 to 3.1.2.7: the will."""

from __future__ import annotations

import pytest

from mqttbroker.protocol import Disconnect, Publish, Will
from mqttbroker.testing.running import RunningBroker
from tests.conformance.conftest import Connector
from tests.conformance.v311.handmade import expect_end, packet
from tests.support.raw import RawClient

WILL = Will("will", b"bye", qos=1)


@pytest.mark.normative("MQTT-3.1.2-8", "MQTT-3.1.2-10")
@pytest.mark.parametrize("clean", [True, False], ids=["clean", "kept"])
@pytest.mark.parametrize(
    "ending", ["reset", "end of stream", "keep alive", "malformed packet", "protocol violation", "takeover"]
)
async def test_a_will_is_published_once_however_the_connection_is_lost(
    connect: Connector, broker: RunningBroker, watcher: RawClient, clean: bool, ending: str
) -> None:
    client = await connect("c", clean_start=clean, keep_alive=60, will=WILL)
    await watcher.expect_silence()
    match ending:
        case "reset":
            client.abort()
        case "end of stream":
            client.send_eof()
        case "keep alive":
            broker.advance(91)
        case "malformed packet":
            client.send_bytes(packet(0xC1))
        case "protocol violation":
            client.send_bytes(packet(0xD0))
        case _:
            await connect("c", clean_start=clean)
    message = await watcher.expect_publish()
    assert (message.topic, message.payload, message.qos, message.retain) == ("will", b"bye", 1, False)
    await expect_end(client) if ending != "reset" else None
    again = await connect("c", clean_start=clean)
    again.abort()
    await (await connect("c", clean_start=clean)).ping()
    await watcher.expect_silence()


@pytest.mark.normative("MQTT-3.1.2-8", "MQTT-3.14.4-3")
@pytest.mark.parametrize("clean", [True, False], ids=["clean", "kept"])
async def test_disconnect_discards_the_will(connect: Connector, watcher: RawClient, clean: bool) -> None:
    client = await connect("c", clean_start=clean, will=WILL)
    client.send(Disconnect())
    await expect_end(client)
    await watcher.expect_silence()
    client = await connect("c", clean_start=clean)
    client.abort()
    await connect("c", clean_start=clean)
    await watcher.expect_silence()


@pytest.mark.normative("MQTT-3.1.2-10")
@pytest.mark.parametrize("clean", [True, False], ids=["clean", "kept"])
async def test_every_connection_has_its_own_will(connect: Connector, watcher: RawClient, clean: bool) -> None:
    client = await connect("c", clean_start=clean, will=Will("will", b"first"))
    client.abort()
    assert (await watcher.expect_publish()).payload == b"first"
    client = await connect("c", clean_start=clean, will=Will("will", b"second"))
    client.abort()
    assert (await watcher.expect_publish()).payload == b"second"
    client = await connect("c", clean_start=clean)
    client.send_bytes(packet(0xC1))
    await expect_end(client)
    await watcher.expect_silence()


@pytest.mark.normative("MQTT-3.1.2-10")
@pytest.mark.parametrize("taken_back", [True, False], ids=["taken back", "published"])
async def test_the_end_of_a_kept_session_does_not_bring_its_will_back(
    connect: Connector, watcher: RawClient, taken_back: bool
) -> None:
    client = await connect("c", clean_start=False, will=WILL)
    if taken_back:
        await client.disconnect()
    else:
        client.abort()
        await watcher.expect_publish()
    client = await connect("c", clean_start=True)
    await watcher.expect_silence()
    client.abort()
    await connect("c", clean_start=True)
    await watcher.expect_silence()


@pytest.mark.normative("MQTT-3.1.2-12")
@pytest.mark.parametrize("clean", [True, False], ids=["clean", "kept"])
async def test_without_a_will_nothing_is_published(connect: Connector, watcher: RawClient, clean: bool) -> None:
    client = await connect("c", clean_start=clean)
    client.send_eof()
    await expect_end(client)
    await watcher.expect_silence()


@pytest.mark.normative("MQTT-3.1.2-16", "MQTT-3.1.2-17", "MQTT-3.1.2-14")
@pytest.mark.parametrize("retain", [False, True], ids=["not retained", "retained"])
@pytest.mark.parametrize("qos", [0, 1, 2], ids="QoS {}".format)
async def test_a_will_is_retained_as_its_flag_says(
    connect: Connector, watcher: RawClient, qos: int, retain: bool
) -> None:
    client = await connect("c", will=Will("will", b"bye", qos, retain))
    client.abort()
    live = await watcher.expect_publish()
    assert (live.payload, live.qos, live.retain) == (b"bye", qos, False)
    late = await connect()
    await late.subscribe("will", qos=2)
    if retain:
        message = await late.expect_publish()
        assert (message.payload, message.qos, message.retain) == (b"bye", qos, True)
    await late.expect_silence()


@pytest.mark.normative("MQTT-3.1.2-16")
async def test_a_will_that_is_not_retained_leaves_the_retained_message_alone(connect: Connector) -> None:
    client = await connect(will=Will("a", b"will"))
    await client.publish("a", b"retained", retain=True)
    watcher = await connect()
    await watcher.subscribe("a")
    assert (await watcher.expect(Publish)).payload == b"retained"
    client.abort()
    assert (await watcher.expect(Publish)).payload == b"will"
    late = await connect()
    await late.subscribe("a")
    assert (await late.expect(Publish)).payload == b"retained"
    await late.expect_silence()


@pytest.mark.normative("MQTT-3.1.2-17")
async def test_an_empty_will_to_be_retained_removes_the_retained_message(connect: Connector) -> None:
    client = await connect(will=Will("a", b"", retain=True))
    await client.publish("a", b"retained", retain=True)
    watcher = await connect()
    await watcher.subscribe("a")
    await watcher.expect(Publish)
    client.abort()
    assert (await watcher.expect(Publish)).payload == b""
    late = await connect()
    await late.subscribe("a")
    await late.expect_silence()


@pytest.mark.normative("MQTT-3.1.2-8", "MQTT-3.1.2-5")
async def test_a_will_waits_for_a_subscriber_that_is_away(connect: Connector, watcher: RawClient) -> None:
    away = await connect("away", clean_start=False)
    await away.subscribe("will", qos=1)
    await away.disconnect()
    client = await connect(will=WILL)
    client.abort()
    await watcher.expect_publish()
    away = await connect("away", clean_start=False)
    message = await away.expect_publish()
    assert (message.topic, message.payload) == ("will", b"bye")


@pytest.mark.normative("MQTT-3.1.2-8")
async def test_a_will_of_any_bytes(connect: Connector, watcher: RawClient) -> None:
    payload = bytes(range(256)) * 16
    client = await connect(will=Will("will", payload, qos=2))
    client.abort()
    assert (await watcher.expect_publish()).payload == payload
