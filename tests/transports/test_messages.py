"""Messages: every version and QoS, large and small, in one piece and in thousands."""

from __future__ import annotations

import pytest

from mqttbroker.protocol import (
    ConnAck,
    Connect,
    Packet,
    PingReq,
    PingResp,
    ProtocolVersion,
    PubAck,
    Publish,
    ReasonCode,
    SubAck,
    Subscribe,
    SubscriptionRequest,
    encode,
)
from tests.support.streams import Cut, each_byte, in_fragments, whole
from tests.transports.site import Site

V5 = ProtocolVersion.V5
MANY = 5_000


@pytest.mark.parametrize("version", ProtocolVersion, ids=lambda version: version.name)
async def test_connect_and_leave(site: Site, version: ProtocolVersion) -> None:
    async with site.client(version) as client:
        answer = await client.connect()
        assert (answer.reason_code, answer.session_present) == (ReasonCode.SUCCESS, False)
        await client.ping()
        assert await client.disconnect() == []
        assert client.stream.ended_in_order
    await site.until(lambda: site.counted() == (0, 0))


@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_both_ways(site: Site, qos: int) -> None:
    async with site.client() as one, site.client(ProtocolVersion.V311) as other:
        for client, topic in ((one, "to one"), (other, "to other")):
            await client.connect()
            await client.subscribe(topic, qos=qos)
        for sender, receiver, topic in ((one, other, "to other"), (other, one, "to one")):
            await sender.publish(topic, topic.encode(), qos=qos)
            message = await receiver.expect_publish()
            assert (message.topic, message.payload, message.qos) == (topic, topic.encode(), qos)
        await one.expect_silence()
        await other.expect_silence()


async def test_big_messages(site: Site) -> None:
    payload = bytes(range(256)) * (5 << 12)
    async with site.client() as client:
        await client.connect()
        await client.subscribe("big", qos=1)
        for _ in range(2):
            await client.publish("big", payload, qos=1)
            assert (await client.expect_publish()).payload == payload


async def test_many_small_packets_in_one_write(site: Site) -> None:
    async with site.client() as subscriber, site.client() as publisher:
        await subscriber.connect()
        await subscriber.subscribe("a")
        await publisher.connect()
        packet = encode(Publish("a", b"x"), V5)
        publisher.send_bytes(packet * MANY + encode(PingReq(), V5))
        await publisher.expect(PingResp)
        assert await subscriber.receive_bytes(len(packet) * MANY) == packet * MANY


@pytest.mark.parametrize(("cut", "trickle"), [(whole, True), (each_byte, False), (in_fragments, False)])
async def test_split_at_every_byte(site: Site, cut: Cut, trickle: bool) -> None:
    """By the network, hand-shakes included; and over WebSocket into messages and into fragments."""
    if cut is not whole and not site.framed:
        pytest.skip("no frames")
    packets: list[Packet] = [
        Connect("split", V5),
        Subscribe(1, (SubscriptionRequest("a", 1),)),
        Publish("a", b"hello", 1, packet_id=2),
        PingReq(),
    ]
    async with site.client(cut=cut, trickle=trickle) as client:
        for packet in packets:
            client.send(packet)
        received = [await client.receive() for _ in range(5)]
        assert [type(packet) for packet in received[:2]] == [ConnAck, SubAck]
        assert {type(packet) for packet in received[2:]} == {PubAck, Publish, PingResp}


async def test_packets_of_one_client_in_one_piece(site: Site) -> None:
    """Also what comes right behind CONNECT, before it is answered."""
    async with site.client() as client:
        packets = (Connect("eager", V5), Subscribe(1, (SubscriptionRequest("a"),)), Publish("a", b"x"), PingReq())
        client.send_bytes(b"".join(encode(packet, V5) for packet in packets))
        received = [await client.receive() for _ in packets]
        assert sorted(type(packet).__name__ for packet in received) == ["ConnAck", "PingResp", "Publish", "SubAck"]


async def test_retained_messages(site: Site) -> None:
    async with site.client() as client:
        await client.connect()
        for number in range(100):
            await client.publish(f"retained/{number}", b"x" * 1_000, qos=1, retain=True)
        await client.subscribe("retained/#", qos=0)
        topics = {(await client.expect(Publish)).topic for _ in range(100)}
        assert topics == {f"retained/{number}" for number in range(100)}
