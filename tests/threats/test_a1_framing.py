"""Fixed headers, lengths that lie, packets cut short, and packets that may not come where they come."""

from __future__ import annotations

import asyncio
from itertools import count, islice

import pytest

from mqttbroker.protocol import (
    Auth,
    ConnAck,
    Connect,
    Disconnect,
    PacketType,
    PingReq,
    PingResp,
    ProtocolVersion,
    PubAck,
    PubComp,
    PubRec,
    PubRel,
    ReasonCode,
    SubAck,
    UnsubAck,
    encode,
)
from mqttbroker.testing.running import RunningBroker
from tests.conformance.v311 import handmade as v311
from tests.conformance.wire import connect_packet, cut, packet, pair, prefixed, publish_packet, varint
from tests.support.raw import RawClient
from tests.threats.attack import (
    MALFORMED,
    MALFORMED_OR_VIOLATION,
    PASSWORD,
    SECRET,
    V5,
    V31,
    V311,
    VIOLATION,
    Attack,
    Doorkeeper,
    census,
    ended,
    growth,
    leaves_nothing,
    restored,
)

VERSIONS = pytest.mark.parametrize("version", [V311, V5], ids=["v311", "v5"])
LARGEST = b"\xff\xff\xff\x7f"
"""The remaining length 268,435,455."""


def hidden(version: ProtocolVersion) -> bytes:
    """A PUBLISH that is to be found inside of something else."""
    return publish_packet("hidden", SECRET) if version == V5 else v311.publish_packet("hidden", SECRET)


class TestLengthsBeforeConnect:
    async def test_cve_2017_7651_mosquitto_memory_by_declared_length(
        self, broker: RunningBroker, attack: Attack
    ) -> None:
        """Mosquitto allocated what an unauthenticated client declared as its remaining length."""

        async def one() -> None:
            async with attack.open() as client:
                client.send_bytes(b"\x10" + LARGEST + prefixed(b"MQTT") + b"\x05\x02")
                assert await client.expect_closed() == []

        before = census(broker)
        await one()
        await restored(broker, before)
        with growth(broker) as found:
            for _ in range(10):
                await asyncio.gather(*(one() for _ in range(50)))
            assert [line[:2] for line in broker.logged] == [("warning", "connection failed")] * 500
            assert {line[2]["code"] for line in broker.logged} == {"0x95"}
            await restored(broker, before)
        # Five hundred of them at 256 MiB each; what is allowed here is the test's own sockets and log.
        assert found.peak < 20_000_000
        assert found.size < 1_000_000

    async def test_cve_2017_7651_mosquitto_memory_within_the_limit(self, broker: RunningBroker, attack: Attack) -> None:
        """As above, with a length that is just within what is taken before authentication: it must arrive in time."""
        broker.advance(20)  # So that the deadline for the bystander's CONNECT has passed.
        before = census(broker)
        clients = [RawClient(broker.host, broker.port) for _ in range(200)]
        with growth(broker) as found:
            for client in clients:
                await client.open()
                client.send_bytes(b"\x10" + varint(262_000) + prefixed(b"MQTT"))
            await attack.accepted(*clients)
            broker.advance(8)
            broker.advance(8)
            for client in clients:
                assert await client.expect_closed() == []
                attack.failure(client, ReasonCode.UNSPECIFIED_ERROR)
                await client.close()
            await restored(broker, before)
        assert found.peak < 200 * 50_000

    @pytest.mark.parametrize("kind", [0, *range(2, 16)], ids="type {}".format)
    async def test_cve_2023_0809_mosquitto_first_packet_is_not_connect(self, attack: Attack, kind: int) -> None:
        """A first packet that is not CONNECT made Mosquitto allocate for it before it was refused."""
        for flags in (0, 2):
            for header in (b"", b"\xff", LARGEST, b"\x02"):
                async with attack.open() as client:
                    await attack.rejected(client, bytes((kind << 4 | flags,)) + header, *MALFORMED_OR_VIOLATION)


class TestOverlongLengths:
    @pytest.mark.parametrize("version", [V311, V5], ids=["v311", "v5"])
    @pytest.mark.parametrize("first", [0x10, 0x30, 0x32, 0x82, 0xC0], ids="0x{:02x}".format)
    async def test_cve_2025_66168_activemq_hidden_packet(
        self, attack: Attack, overhearing: RawClient, version: ProtocolVersion, first: int
    ) -> None:
        """ActiveMQ let the remaining length overflow, lost its place in the stream and obeyed what was hidden there.

        The fault came back as CVE-2026-40046.
        """
        lengths = (
            b"\xff\xff\xff\xff\x01",
            b"\x80\x80\x80\x80\x00",
            b"\x80\x80\x80\x80\x10",
            b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            b"\x80\x80\x80\x00",
            b"\x80\x80\x00",
            b"\x80\x00",
        )
        for length in lengths:
            async with attack.connected(version) as client:
                await attack.rejected(client, bytes((first,)) + length + hidden(version), MALFORMED)
            async with attack.open(version) as client:
                connect = connect_packet(prefixed(b"c"), level=version)
                client.send_bytes(bytes((first,)) + length + connect + hidden(version))
                assert await client.expect_closed() == []
                attack.failure(client, *MALFORMED_OR_VIOLATION)
        await overhearing.expect_silence()

    @VERSIONS
    async def test_cve_2025_66168_activemq_nothing_is_read_after_an_error(
        self, attack: Attack, overhearing: RawClient, version: ProtocolVersion
    ) -> None:
        """As above: behind a packet that is refused nothing is obeyed, whatever was wrong with it."""
        for bad in (packet(0x00, b""), packet(0x36, prefixed(b"a") + b"\x00\x01"), packet(0xC1, b"")):
            async with attack.connected(version) as client:
                await attack.rejected(client, bad + hidden(version), MALFORMED)
        await overhearing.expect_silence()


def corpus(version: ProtocolVersion) -> dict[str, tuple[int, bytes, set[int]]]:
    """Packets of a connected client: the first byte, the body, and those shorter lengths of it that are legal too."""
    five = version == V5
    none = b"\x00" if five else b""
    listed = varint(14) + pair("name", "value") if five else b""
    topic = prefixed(b"a/b")
    publish0, publish1 = topic + listed, topic + b"\x00\x07" + listed
    filters = b"\x00\x08" + none + prefixed(b"a/b") + b"\x01", prefixed(b"c") + b"\x02"
    names = b"\x00\x09" + none + prefixed(b"a/b"), prefixed(b"c")
    # A reason code, or the property list after it, may be left out.
    reason = b"\x00" + listed if five else b""
    optional = {2, 3} if five else set()
    return {
        "PUBLISH QoS 0": (0x30, publish0 + SECRET, {len(publish0) + more for more in range(len(SECRET))}),
        "PUBLISH QoS 1": (0x32, publish1 + SECRET, {len(publish1) + more for more in range(len(SECRET))}),
        "PUBLISH QoS 2": (0x34, publish1 + SECRET, {len(publish1) + more for more in range(len(SECRET))}),
        "PUBACK": (0x40, b"\x00\x07" + reason, optional),
        "PUBREC": (0x50, b"\x00\x07" + reason, optional),
        "PUBREL": (0x62, b"\x00\x07" + reason, optional),
        "PUBCOMP": (0x70, b"\x00\x07" + reason, optional),
        "SUBSCRIBE": (0x82, b"".join(filters), {len(filters[0])}),
        "UNSUBSCRIBE": (0xA2, b"".join(names), {len(names[0])}),
    }


class TestTruncatedPackets:
    @VERSIONS
    @pytest.mark.parametrize("name", corpus(V5))
    async def test_nanomq_2270_mochi_501_truncated_packet(
        self, attack: Attack, version: ProtocolVersion, name: str
    ) -> None:
        """A QoS 1 PUBLISH that ends behind its topic, a SUBSCRIBE that ends behind its filter: NanoMQ (2270, 2268) read
        past the end, and mochi-mqtt (501) ended as a whole.
        """
        first, body, legal = corpus(version)[name]
        for length in range(len(body)):
            data = packet(first, body[:length])
            async with attack.connected(version) as client:
                if length in legal:
                    client.send_bytes(data)
                    await client.drain()
                else:
                    await attack.rejected(client, data, *MALFORMED_OR_VIOLATION)

    @pytest.mark.parametrize("version", [V31, V311, V5], ids=["v31", "v311", "v5"])
    async def test_aedes_612_truncated_connect(self, attack: Attack, version: ProtocolVersion) -> None:
        """A CONNECT that ends inside of a length raised what nobody caught, and ended aedes."""
        five = version == V5
        listed = varint(14) + pair("name", "value") if five else b""
        fields = (prefixed(b"c"), listed + prefixed(b"w"), prefixed(SECRET), prefixed(b"mallory"), prefixed(PASSWORD))
        name = b"MQIsdp" if version == V31 else b"MQTT"
        whole = connect_packet(*fields, flags=0xC6, name=name, level=version, properties=pair("name", "value"))
        start = 2 if len(whole) < 130 else 3
        body = whole[start:]
        # MQTT 3.1 lets the length overrule the flags: user name and password may be missing.
        without = sum(map(len, fields[4:])), sum(map(len, fields[3:]))
        legal = {len(body) - missing for missing in without} if version == V31 else set()
        for length in range(len(body)):
            async with attack.open(version) as client:
                client.send_bytes(packet(0x10, body[:length]))
                if length in legal:
                    assert (await client.expect(ConnAck)).reason_code == ReasonCode.SUCCESS
                else:
                    packets = await ended(client, *MALFORMED_OR_VIOLATION)
                    assert five or not packets
                    attack.failure(client, MALFORMED, VIOLATION, ReasonCode.UNSUPPORTED_PROTOCOL_VERSION)
        async with attack.open(version) as client:
            client.send_bytes(whole)
            assert (await client.expect(ConnAck)).reason_code == ReasonCode.SUCCESS


class TestPacketsInTheWrongPlace:
    @VERSIONS
    @pytest.mark.parametrize(
        "data",
        [
            encode(ConnAck(False, ReasonCode.SUCCESS), V311),
            encode(ConnAck(True, ReasonCode.SUCCESS), V5),
            encode(SubAck(1, (ReasonCode.SUCCESS,)), V5),
            encode(UnsubAck(1), V311),
            encode(PingResp(), V5),
            b"\x20\x00",
            b"\x90\x00",
        ],
        ids=["CONNACK", "CONNACK of 5.0", "SUBACK", "UNSUBACK", "PINGRESP", "empty CONNACK", "empty SUBACK"],
    )
    async def test_cve_2021_28166_mosquitto_packet_of_a_server(
        self, attack: Attack, version: ProtocolVersion, data: bytes
    ) -> None:
        """A CONNACK from a client, which only a server sends, crashed Mosquitto 2.0.0 to 2.0.9."""
        async with attack.connected(version) as client:
            await attack.rejected(client, data, VIOLATION)

    @pytest.mark.parametrize(
        "data",
        [encode(kind(1), V311) for kind in (PubAck, PubRec, PubRel, PubComp)]
        + [encode(each, V5) for each in (PingReq(), Disconnect(), Auth(), Disconnect(ReasonCode.SERVER_BUSY))],
        ids=["PUBACK", "PUBREC", "PUBREL", "PUBCOMP", "PINGREQ", "DISCONNECT", "AUTH", "DISCONNECT with a reason"],
    )
    async def test_sol_15_flashmq_104_packet_before_connect(self, attack: Attack, data: bytes) -> None:
        """A PUBACK before CONNECT crashed codepr/sol, which had no session yet; FlashMQ answered a PINGREQ."""
        async with attack.open() as client:
            client.send_bytes(data + connect_packet())
            assert await client.expect_closed() == []
            attack.failure(client, VIOLATION)

    @VERSIONS
    @pytest.mark.parametrize(
        "second",
        [
            encode(Connect("twice"), V5),
            encode(Connect("twice", V311), V311),
            encode(Connect("another"), V5),
            connect_packet(prefixed(b"twice"), level=9),
            connect_packet(prefixed(b"twice"), name=b"HTTP"),
            b"\x10\x00",
        ],
        ids=["same", "same of 3.1.1", "another identifier", "unknown level", "unknown protocol", "empty"],
    )
    async def test_moquette_969_second_connect(
        self, broker: RunningBroker, attack: Attack, version: ProtocolVersion, second: bytes
    ) -> None:
        """A second CONNECT on a connection left it open and its session behind in Moquette."""
        before = census(broker)
        async with attack.connected(version, "twice") as client:
            await attack.rejected(client, second, VIOLATION)
        await restored(broker, before)

    @VERSIONS
    @pytest.mark.parametrize("broker", [{"authenticator": Doorkeeper()}], indirect=True, ids=["with passwords"])
    async def test_cve_2025_63235_sol_session_left_by_failed_authentication(
        self, broker: RunningBroker, attack: Attack, version: ProtocolVersion
    ) -> None:
        """A refused CONNECT left its session allocated in codepr/sol; it must leave nothing, and log no password."""

        before = census(broker)
        numbers = count()

        async def refused(times: int) -> None:
            for number in islice(numbers, times):
                async with attack.open(version) as client:
                    connack = await client.connect(
                        f"c{number}", clean_start=False, username="mallory", password=b"wrong:" + SECRET
                    )
                    assert connack.reason_code == ReasonCode.BAD_USER_NAME_OR_PASSWORD
                    assert await client.expect_closed() == []
                    details = attack.line(client, "warning", "authentication refused")
                    assert details["user"] is None and details["client"] == f"c{number}"
            await restored(broker, before)

        await refused(100)
        await leaves_nothing(broker, lambda: refused(150), objects=75, size=150 * 200)


class TestFirstBytes:
    async def test_flashmq_170_reserved_flags_of_connect(self, attack: Attack) -> None:
        """FlashMQ accepted a CONNECT with the reserved flags of its fixed header set."""
        connect = connect_packet(prefixed(b"c"))
        for first in range(256):
            async with attack.open() as client:
                client.send_bytes(bytes((first,)) + connect[1:])
                if first == 0x10:
                    assert (await client.expect(ConnAck)).reason_code == ReasonCode.SUCCESS
                    await cut(client)
                else:
                    assert await client.expect_closed() == []
                    attack.failure(client, *MALFORMED_OR_VIOLATION)

    def test_every_type_of_the_standard_is_among_them(self) -> None:
        """The tables above leave no packet type out."""
        assert set(range(1, 16)) == set(PacketType)
