"""The ends of connections: by the client, by the broker, by the network, and before they have begun."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import pytest

from mqttbroker.listeners import stream
from mqttbroker.protocol import (
    ConnAck,
    Connect,
    Disconnect,
    Packet,
    PingReq,
    PingResp,
    ProtocolVersion,
    PubAck,
    Publish,
    ReasonCode,
    Will,
    encode,
)
from tests.support.frames import PING, frame
from tests.support.raw import RawClient
from tests.transports.site import Site

V5, V311 = ProtocolVersion.V5, ProtocolVersion.V311
WILL = Will("will", b"gone")
SECOND_CONNECT = encode(Connect("again", V5), V5)


def reset(client: RawClient) -> None:
    """The network breaks."""
    client.abort()


def hang_up(client: RawClient) -> None:
    """The socket is closed, and no layer above it is told."""
    client.stream.socket.end()


def take_leave(client: RawClient) -> None:
    """Every layer but MQTT says good-bye."""
    client.send_eof()


def told(packets: list[Packet]) -> list[ReasonCode]:
    """The reasons in packets that must all be DISCONNECT."""
    assert all(isinstance(packet, Disconnect) for packet in packets), packets
    return [packet.reason_code for packet in packets if isinstance(packet, Disconnect)]


async def ended(client: RawClient, *reasons: ReasonCode) -> None:
    """The broker gives these reasons, and ends the connection as one does over this transport."""
    assert told(await client.expect_closed()) == list(reasons)
    assert client.stream.ended_in_order


class TestByTheClient:
    @pytest.mark.parametrize("end", [reset, hang_up, take_leave])
    async def test_without_disconnect_the_will_is_published(self, site: Site, end: Callable[[RawClient], None]) -> None:
        async with site.client() as watcher, site.client() as client:
            await watcher.connect()
            await watcher.subscribe("will")
            await client.connect(will=WILL)
            end(client)
            assert (await watcher.expect(Publish)).payload == b"gone"
            await site.until(lambda: site.counted() == (1, 1))

    @pytest.mark.parametrize("end", [reset, hang_up, take_leave])
    async def test_after_disconnect_it_is_not(self, site: Site, end: Callable[[RawClient], None]) -> None:
        async with site.client() as watcher, site.client() as client:
            await watcher.connect()
            await watcher.subscribe("will")
            await client.connect(will=WILL)
            client.send(Disconnect())
            await client.flush()
            end(client)
            await site.until(lambda: site.counted() == (1, 1))
            await watcher.expect_silence()

    @pytest.mark.parametrize("version", [V311, V5], ids=lambda version: version.name)
    @pytest.mark.parametrize("end", [hang_up, take_leave])
    async def test_half_an_end_is_answered_to(
        self, site: Site, version: ProtocolVersion, end: Callable[[RawClient], None]
    ) -> None:
        """A client that sends no more still takes what was sent to it."""
        if site.framed and end is take_leave:
            pytest.skip("who has sent a Close frame takes nothing any more")
        async with site.client(version) as client:
            await client.connect()
            for number in range(1, 11):
                client.send(Publish("a", b"x", 1, packet_id=number))
            client.send(PingReq())
            end(client)
            packets = await client.expect_closed()
            assert [packet.packet_id for packet in packets if isinstance(packet, PubAck)] == list(range(1, 11))
            assert isinstance(packets[-1], PingResp)
        await site.until(lambda: site.counted() == (0, 0))

    async def test_what_no_layer_understands(self, site: Site) -> None:
        """The end of TLS or WebSocket is the end of MQTT, will and all."""
        async with site.client() as watcher, site.client() as client:
            await watcher.connect()
            await watcher.subscribe("will")
            await client.connect("spoilt", will=WILL)
            client.stream.socket.write(b"\xff" * 100)
            assert (await watcher.expect(Publish)).payload == b"gone"
            with contextlib.suppress(OSError):
                await client.expect_closed()
            assert site.broker.call(lambda inner: "spoilt" not in inner.core.registry.online)
        lines = [line for line in site.broker.logged if line[2].get("client") == "spoilt" and line[1] != "connected"]
        assert len(lines) == 1, lines

    async def test_in_the_middle_of_a_packet(self, site: Site) -> None:
        async with site.client() as watcher, site.client() as client:
            await watcher.connect()
            await watcher.subscribe("will")
            await client.connect(will=WILL)
            client.send_bytes(encode(Publish("a", b"x" * 100_000), V5)[:-1])
            take_leave(client)
            assert (await watcher.expect(Publish)).payload == b"gone"

    async def test_reset_by_many_at_once(self, site: Site) -> None:
        clients = [site.client() for _ in range(20)]
        async with site.client() as bystander:
            await bystander.connect()
            for client in clients:
                await client.open()
                await client.connect()
                client.send_bytes(encode(Publish("a", b"x" * 10_000), V5) * 10)
            for client in clients:
                client.abort()
            await site.until(lambda: site.counted() == (1, 1))
            await bystander.ping()


class TestByTheBroker:
    async def test_take_over(self, site: Site) -> None:
        async with site.client() as old, site.client() as new:
            await old.connect("same")
            await new.connect("same")
            await ended(old, ReasonCode.SESSION_TAKEN_OVER)
            await new.ping()

    async def test_take_over_of_an_old_version(self, site: Site) -> None:
        async with site.client(V311) as old, site.client(V311) as new:
            await old.connect("same")
            await new.connect("same")
            await ended(old)
            await new.ping()

    async def test_keep_alive(self, site: Site) -> None:
        async with site.client() as quiet, site.client() as watcher:
            await watcher.connect()
            await watcher.subscribe("will")
            await quiet.connect(keep_alive=10, will=WILL)
            site.broker.advance(14)
            await quiet.ping()
            site.broker.advance(16)
            await ended(quiet, ReasonCode.KEEP_ALIVE_TIMEOUT)
            assert (await watcher.expect(Publish)).payload == b"gone"

    @pytest.mark.parametrize(
        ("data", "reason"),
        [
            pytest.param(SECOND_CONNECT, ReasonCode.PROTOCOL_ERROR, id="second CONNECT"),
            pytest.param(b"\x31\x00", ReasonCode.MALFORMED_PACKET, id="no topic"),
            pytest.param(b"\x30\xff\xff\xff\x7f", ReasonCode.PACKET_TOO_LARGE, id="too large"),
        ],
    )
    async def test_an_error_is_explained(self, site: Site, data: bytes, reason: ReasonCode) -> None:
        async with site.client() as watcher, site.client() as client:
            await watcher.connect()
            await watcher.subscribe("will")
            await client.connect(will=WILL)
            client.send_bytes(data)
            await ended(client, reason)
            assert (await watcher.expect(Publish)).payload == b"gone"

    async def test_an_error_is_explained_to_a_client_that_goes_on_sending(self, site: Site) -> None:
        """What is behind the error is not read, and takes nothing away from the answer."""
        async with site.client() as client:
            await client.connect()
            client.send_bytes(SECOND_CONNECT)
            for _ in range(64):
                client.send_bytes(encode(Publish("a", b"x" * 65_000), V5))
                await asyncio.sleep(0)
            await ended(client, ReasonCode.PROTOCOL_ERROR)

    async def test_a_refusal_is_explained(self, site: Site) -> None:
        site.start(max_client_id_length=30)
        async with site.client() as client:
            client.send(Connect("c" * 31, V5))
            (answer,) = await client.expect_closed()
            assert isinstance(answer, ConnAck)
            assert answer.reason_code == ReasonCode.CLIENT_IDENTIFIER_NOT_VALID
            assert client.stream.ended_in_order

    async def test_what_was_sent_before_the_end_arrives(self, site: Site) -> None:
        """A client that reads slowly gets everything that was on its way, and the reason last."""
        site.start(max_outbound_buffer=8 << 20)
        payload = b"x" * (3 << 20)
        async with site.client() as slow, site.client() as other:
            await slow.connect("slow")
            await slow.subscribe("a")
            await other.connect()
            for _ in range(2):
                await other.publish("a", payload)
            async with site.client() as new:
                await new.connect("slow")
                packets = await slow.expect_closed()
        assert [type(packet) for packet in packets] == [Publish, Publish, Disconnect]
        assert slow.stream.ended_in_order

    async def test_who_has_much_to_take_is_given_time(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        """Whatever layer it waits in, it waits: the short time is for clients that have taken everything."""
        monkeypatch.setattr(stream, "DRAIN", 0.0)
        site.start(max_packet_size=64 << 20)
        async with site.client() as slow, site.client() as other:
            await slow.connect("slow")
            await slow.subscribe("a")
            await other.connect()
            await other.publish("a", b"x" * (32 << 20))
            async with site.client() as new:
                await new.connect("slow")
                await new.ping()
                packets = await slow.expect_closed()
        assert [type(packet) for packet in packets] == [Publish, Disconnect]

    async def test_who_still_talks_when_the_end_has_come_does_no_harm(self, site: Site) -> None:
        async with site.client() as old, site.client() as new:
            await old.connect("same")
            await new.connect("same")
            # Not read yet: the client does not know.
            for _ in range(10):
                old.send(Publish("a", b"x"))
                old.send(PingReq())
                if site.framed:
                    old.stream.below.write(frame(b"?", PING))
                await old.flush()
                await new.ping()
            await ended(old, ReasonCode.SESSION_TAKEN_OVER)


class TestStop:
    @pytest.mark.parametrize("version", [V311, V5], ids=lambda version: version.name)
    async def test_everybody_is_told(self, site: Site, version: ProtocolVersion) -> None:
        clients = [site.client(version) for _ in range(10)]
        for client in clients:
            await client.open()
            await client.connect()
        stopping = asyncio.create_task(asyncio.to_thread(site.broker.stop))
        for client in clients:
            await ended(client, *([ReasonCode.SERVER_SHUTTING_DOWN] if version == V5 else []))
            await client.close()
        await stopping

    async def test_those_who_are_talking_too(self, site: Site) -> None:
        clients = [site.client() for _ in range(5)]
        for client in clients:
            await client.open()
            await client.connect()
        stopping = asyncio.create_task(asyncio.to_thread(site.broker.stop))
        running = True

        async def talk(client: RawClient) -> None:
            while running:
                client.send_bytes(encode(Publish("a", b"x" * 10_000), V5) * 10)
                await client.flush()
                await asyncio.sleep(0)

        talks = [asyncio.create_task(talk(client)) for client in clients]
        try:
            for client in clients:
                await ended(client, ReasonCode.SERVER_SHUTTING_DOWN)
        finally:
            running = False
            await asyncio.gather(*talks)
            for client in clients:
                await client.close()
            await stopping

    async def test_with_hand_shakes_in_progress(self, site: Site) -> None:
        broker = site.start()
        async with site.below() as silent, site.below() as begun, site.client() as client:
            await client.connect()
            begun.send_bytes(b"\x16\x03\x01" if site.encrypted else b"GET / HT" if site.framed else b"\x10")
            await begun.flush()
            await site.until(lambda: site.counted()[0] == 3)
            stopping = asyncio.create_task(asyncio.to_thread(broker.stop))
            await ended(client, ReasonCode.SERVER_SHUTTING_DOWN)
            await client.close()
            for each in (silent, begun):
                await each.expect_closed()
                await each.close()
            await asyncio.wait_for(stopping, 3)

    async def test_with_connections_arriving(self, site: Site) -> None:
        """Whatever moment they have come to, they end, and nothing is left behind that somebody complains about."""
        broker = site.start()
        clients = [site.below() for _ in range(100)]
        arriving = [asyncio.create_task(client.open()) for client in clients]
        await arriving[0]
        await asyncio.gather(asyncio.to_thread(broker.stop), *arriving, return_exceptions=True)
        for client in clients:
            with contextlib.suppress(RuntimeError):  # It never got in.
                await client.expect_closed()
            await client.close()


class TestBeforeConnect:
    async def test_a_client_that_never_says_connect(self, site: Site) -> None:
        site.start(connect_timeout=5.0)
        async with site.client() as other, site.client() as silent, site.client() as begun:
            await other.connect()
            begun.send_bytes(SECOND_CONNECT[:-1])
            await begun.flush()
            await site.until(lambda: site.counted() == (3, 3))
            site.broker.advance(4)
            await other.ping()
            assert site.counted() == (3, 3)
            site.broker.advance(2)
            for client in (silent, begun):
                assert await client.expect_closed() == []
                assert client.stream.ended_in_order
                await client.close()
            await other.ping()
            await site.until(lambda: site.counted() == (1, 1))

    async def test_a_hand_shake_that_never_ends(self, site: Site) -> None:
        if not site.encrypted and not site.framed:
            pytest.skip("no hand-shake")
        site.start(connect_timeout=1.0)
        start = b"\x16\x03\x01" if site.encrypted else b"GET /mqtt HTTP/1.1\r\n"
        async with site.client() as other, site.below() as silent, site.below() as begun:
            await other.connect()
            begun.send_bytes(start)
            for client in (silent, begun):
                assert await client.expect_closed(timeout=4) == []
                await client.close()
            await other.ping()
            await site.until(lambda: site.counted() == (1, 1))
        # Where only WebSocket was waited for, it was a connection that has not sent its CONNECT.
        if site.encrypted:
            assert [line["reason"] for line in site.refusals()]

    async def test_a_hand_shake_that_is_cut_off(self, site: Site) -> None:
        async with site.client() as other:
            await other.connect()
            for _ in range(20):
                async with site.below() as client:
                    client.send_bytes(b"\x16\x03\x01" if site.encrypted else b"G")
                    await client.flush()
                    client.abort()
            await site.until(lambda: site.counted() == (1, 1))
            await other.ping()
