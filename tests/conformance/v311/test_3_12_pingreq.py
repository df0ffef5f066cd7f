"""Section 3.12: PINGREQ, and section 3.13: PINGRESP."""

from __future__ import annotations

import pytest

from mqttbroker.protocol import PingResp, PubAck
from tests.conformance.conftest import Connector
from tests.conformance.v311.handmade import expect_rejected, packet, publish_packet


@pytest.mark.normative("MQTT-3.12.4-1")
async def test_every_pingreq_is_answered_once(connect: Connector) -> None:
    client = await connect()
    client.send_bytes(packet(0xC0) * 3)
    for _ in range(3):
        await client.expect(PingResp)
        assert client.last_bytes == b"\xd0\x00"
    client.send_bytes(publish_packet("a", first=0x32, packet_id=1))
    await client.expect(PubAck)  # And no PINGRESP before it.


@pytest.mark.normative("MQTT-3.12.4-1")
async def test_pingreq_is_answered_in_the_midst_of_others(connect: Connector) -> None:
    client = await connect()
    client.send_bytes(packet(0xC0) + publish_packet("a", first=0x32, packet_id=1) + packet(0xC0))
    assert [type(await client.receive()) for _ in range(3)] == [PingResp, PubAck, PingResp]


@pytest.mark.normative("MQTT-4.8.0-1")
async def test_a_pingreq_with_a_payload_ends_the_connection(connect: Connector) -> None:
    await expect_rejected(await connect(), packet(0xC0, b"\0"))
