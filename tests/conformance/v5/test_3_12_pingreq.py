"""MQTT 5.0 sections 3.12 and 3.13: PINGREQ and PINGRESP."""

from __future__ import annotations

import pytest

from mqttbroker.protocol import PingResp
from tests.conformance.conftest import Connector
from tests.conformance.wire import MALFORMED, PINGREQ, expect_disconnect, packet, publish_packet


@pytest.mark.normative("MQTT-3.12.4-1")
async def test_every_pingreq_is_answered_once(connect: Connector) -> None:
    client = await connect()
    for count in (1, 2, 500):
        client.send_bytes(PINGREQ * count)
        for _ in range(count):
            await client.expect(PingResp)
            assert client.last_bytes == b"\xd0\x00"
        await client.publish("a", b"x", qos=1)
        await client.expect_silence()


@pytest.mark.normative("MQTT-3.12.4-1")
async def test_a_pingreq_among_messages_is_answered(connect: Connector) -> None:
    client = await connect()
    client.send_bytes((publish_packet("a", b"x") + PINGREQ) * 50)
    assert [type(await client.receive()) for _ in range(50)] == [PingResp] * 50
    await client.expect_silence()


@pytest.mark.normative("MQTT-3.12.4-1")
async def test_a_pingreq_with_a_body_is_malformed(connect: Connector) -> None:
    client = await connect()
    client.send_bytes(packet(0xC0, b"\x00") + PINGREQ)
    await expect_disconnect(client, MALFORMED)
