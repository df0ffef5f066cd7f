"""Section 3.14: DISCONNECT."""

from __future__ import annotations

import pytest

from mqttbroker.protocol import Will
from tests.conformance.conftest import Connector
from tests.conformance.v311.handmade import expect_end, expect_rejected, packet, publish_packet
from tests.support.raw import RawClient

WILL = Will("will", b"bye", qos=1)


@pytest.mark.normative("MQTT-3.14.1-1", "MQTT-3.1.2-8")
@pytest.mark.parametrize("flags", range(1, 16), ids="flags {:#x}".format)
async def test_disconnect_with_wrong_flags_is_none(connect: Connector, watcher: RawClient, flags: int) -> None:
    client = await connect(will=WILL)
    await expect_rejected(client, packet(0xE0 | flags))
    assert (await watcher.expect_publish()).payload == b"bye"


@pytest.mark.normative("MQTT-3.14.1-1", "MQTT-4.8.0-1")
@pytest.mark.parametrize("body", [b"\0", b"\0\0", b"\x04"], ids=["reason code", "properties", "with will"])
async def test_disconnect_with_a_body_is_none(connect: Connector, watcher: RawClient, body: bytes) -> None:
    client = await connect(will=WILL)
    await expect_rejected(client, packet(0xE0, body))
    assert (await watcher.expect_publish()).payload == b"bye"


@pytest.mark.normative("MQTT-3.14.4-3")
@pytest.mark.parametrize("clean", [True, False], ids=["clean", "kept"])
@pytest.mark.parametrize("retain", [True, False], ids=["retained", "not retained"])
async def test_disconnect_takes_the_will_back(
    connect: Connector, watcher: RawClient, clean: bool, retain: bool
) -> None:
    client = await connect("c", clean_start=clean, will=Will("will", b"bye", 2, retain))
    await expect_rejected(client, packet(0xE0))
    await watcher.expect_silence()
    late = await connect()
    await late.subscribe("#", qos=2)
    await late.expect_silence()


@pytest.mark.normative("MQTT-3.14.4-3")
async def test_what_came_before_disconnect_counts_and_what_comes_behind_it_does_not(
    connect: Connector, watcher: RawClient
) -> None:
    client = await connect(will=WILL)
    client.send_bytes(publish_packet("before", b"x") + packet(0xE0) + publish_packet("behind", b"x") + packet(0xC0))
    await expect_end(client)
    assert (await watcher.expect_publish()).topic == "before"
    await watcher.expect_silence()
