"""Section 3.6: PUBREL."""

from __future__ import annotations

import pytest

from mqttbroker.protocol import PubComp, PubRec
from tests.conformance.conftest import Connector
from tests.conformance.v311.handmade import expect_rejected, packet, publish_packet, u16
from tests.support.raw import RawClient


@pytest.mark.normative("MQTT-3.6.1-1", "MQTT-2.2.2-2")
@pytest.mark.parametrize("flags", sorted(set(range(16)) - {2}), ids="flags {:#x}".format)
async def test_pubrel_with_wrong_flags_ends_the_connection_and_releases_nothing(
    connect: Connector, watcher: RawClient, flags: int
) -> None:
    client = await connect("c", clean_start=False)
    client.send_bytes(publish_packet("a", b"x", first=0x34, packet_id=9))
    await client.expect(PubRec)
    await watcher.expect_publish()
    await expect_rejected(client, packet(0x60 | flags, u16(9)))
    # The identifier is still in use: the same message again is not a new one.
    client = await connect("c", clean_start=False)
    client.send_bytes(publish_packet("a", b"x", first=0x3C, packet_id=9))
    await client.expect(PubRec)
    await watcher.expect_silence()
    client.send_bytes(packet(0x62, u16(9)))
    await client.expect(PubComp)
    assert client.last_bytes == packet(0x70, u16(9))
