"""What anybody may send to a broker: garbage, half packets, packets too early, too deep, too large.

The promise is the same for all of it: the reason code that the standard names, or the end of the connection; exactly
one line of the log; nobody else notices (which is what the bystander of every test is for).
"""

from __future__ import annotations

import asyncio
from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mqttbroker.broker import Accepted, Credentials, Limits, VerdictCallback
from mqttbroker.protocol import (
    ConnAck,
    Connect,
    Packet,
    PacketReader,
    PacketType,
    PingReq,
    ProtocolVersion,
    Publish,
    ReasonCode,
    Subscribe,
    SubscriptionRequest,
    encode,
)
from mqttbroker.testing.plugin import BrokerFactory
from mqttbroker.testing.running import RunningBroker
from tests.conformance.v311 import handmade as v311
from tests.conformance.wire import connect_packet, cut, packet, prefixed, publish_packet, subscribe_packet
from tests.protocol.strategies import packets_of, versions
from tests.support.raw import RawClient
from tests.threats.attack import MALFORMED_OR_VIOLATION, SECRET, V5, V311, Attack, census, ended, restored, subscribed
from tests.threats.sans_io import Carrier, Harness

VERSIONS = pytest.mark.parametrize("version", [V311, V5], ids=["v311", "v5"])

GARBAGE: dict[str, bytes] = {
    "HTTP": b"GET / HTTP/1.1\r\nHost: example.org\r\nAuthorization: " + SECRET + b"\r\n\r\n",
    "TLS": bytes.fromhex("16030100c8010000c40303") + bytes(range(190)),
    "SSH": b"SSH-2.0-OpenSSH_9.6\r\n",
    "line feeds": b"\r\n\r\n",
    "zeros": bytes(1_000),
    "ones": b"\xff" * 1_000,
    "one zero": b"\x00",
    "one one": b"\xff",
    **{f"random {seed}": b"\xf7\x60" + Random(seed).randbytes(1_000) for seed in range(3)},
}


class TestGarbage:
    @pytest.mark.parametrize("data", GARBAGE.values(), ids=GARBAGE.keys())
    async def test_before_connect(self, attack: Attack, data: bytes) -> None:
        async with attack.open() as client:
            client.send_bytes(data)
            assert await client.expect_closed() == []
            attack.failure(client, *MALFORMED_OR_VIOLATION)

    @VERSIONS
    @pytest.mark.parametrize("data", GARBAGE.values(), ids=GARBAGE.keys())
    async def test_after_connect(
        self, attack: Attack, overhearing: RawClient, version: ProtocolVersion, data: bytes
    ) -> None:
        async with attack.connected(version) as client:
            # What might be the beginning of a packet is looked at when it is whole.
            await attack.rejected(client, data + bytes(300), *MALFORMED_OR_VIOLATION)
        await overhearing.expect_silence()

    async def test_behind_the_connect(self, attack: Attack, overhearing: RawClient) -> None:
        async with attack.open() as client:
            client.send_bytes(connect_packet(prefixed(b"c")) + b"\x0f\x00" + publish_packet("a", SECRET))
            packets = await client.expect_closed()
            assert [getattr(each, "reason_code", None) for each in packets] == [0, ReasonCode.MALFORMED_PACKET]
            attack.failure(client, ReasonCode.MALFORMED_PACKET)
        await overhearing.expect_silence()


def whole_packets(version: ProtocolVersion) -> list[bytes]:
    """One of each kind that is worth cutting in two."""
    if version == V5:
        return [publish_packet("a", SECRET * 20), subscribe_packet("a"), packet(0xA2, b"\x00\x01\x00" + prefixed(b"a"))]
    return [
        v311.publish_packet("a", SECRET * 20),
        v311.subscribe_packet(1, ("a", 0)),
        v311.unsubscribe_packet(1, "a"),
    ]


class TestHalfPackets:
    @VERSIONS
    async def test_half_a_connect_and_the_end(
        self, broker: RunningBroker, attack: Attack, version: ProtocolVersion
    ) -> None:
        connect = connect_packet(prefixed(b"c"), level=version)
        before = census(broker)
        for length in range(len(connect)):
            async with attack.open(version) as client:
                client.send_bytes(connect[:length])
                await cut(client)
                attack.line(client, "debug", "closed before CONNECT was accepted")
        await restored(broker, before)

    @VERSIONS
    async def test_half_a_connect_and_silence(
        self, broker: RunningBroker, attack: Attack, version: ProtocolVersion
    ) -> None:
        connect = connect_packet(prefixed(b"c"), level=version)
        for length in range(0, len(connect), 5):
            async with attack.open(version) as client:
                client.send_bytes(connect[:length])
                await attack.accepted(client)
                broker.advance(9)
                broker.advance(9)
                assert await client.expect_closed() == []
                attack.failure(client)

    @VERSIONS
    async def test_half_a_packet_and_the_end(
        self, attack: Attack, overhearing: RawClient, version: ProtocolVersion
    ) -> None:
        for data in whole_packets(version):
            for length in {1, 2, 3, len(data) // 2, len(data) - 1}:
                async with attack.connected(version) as client:
                    client.send_bytes(data[:length])
                    await cut(client)
                    attack.line(client, "info", "disconnected")
        await overhearing.expect_silence()

    @VERSIONS
    async def test_half_a_packet_and_silence(
        self, broker: RunningBroker, attack: Attack, overhearing: RawClient, version: ProtocolVersion
    ) -> None:
        for data in whole_packets(version):
            async with attack.connected(version, keep_alive=10) as client:
                client.send_bytes(data[:-1])
                await client.flush()
                broker.advance(17)
                broker.advance(17)
                await ended(client, ReasonCode.KEEP_ALIVE_TIMEOUT)
                attack.failure(client, ReasonCode.KEEP_ALIVE_TIMEOUT)
        await overhearing.expect_silence()


class TestTooEarly:
    @pytest.mark.parametrize("kind", [0, *(each.value for each in PacketType if each != PacketType.CONNECT)])
    async def test_first_packet_is_not_connect(self, attack: Attack, overhearing: RawClient, kind: int) -> None:
        for body in (b"", b"\x00\x01", prefixed(b"a") + SECRET, b"\x00\x01\x00" + prefixed(b"a") + b"\x00"):
            async with attack.open() as client:
                client.send_bytes(packet(kind << 4, body) + connect_packet(prefixed(b"c")))
                assert await client.expect_closed() == []
                attack.failure(client, *MALFORMED_OR_VIOLATION)
        await overhearing.expect_silence()


SLASHES = "/" * 65_535


class TestTooDeep:
    async def test_subscribe_and_unsubscribe(self, attack: Attack) -> None:
        async with attack.connected() as client:
            assert await subscribed(client, SLASHES) == ReasonCode.TOPIC_FILTER_INVALID
            attack.refusal(client, "subscribe")
        async with attack.connected() as client:
            assert (await client.unsubscribe(SLASHES)).reason_codes == (ReasonCode.TOPIC_FILTER_INVALID,)
            attack.refusal(client, "unsubscribe")
        async with attack.connected() as client:
            assert await subscribed(client, f"$share/g/{SLASHES[9:]}") == ReasonCode.TOPIC_FILTER_INVALID
            attack.refusal(client, "subscribe")

    async def test_publish(self, attack: Attack, overhearing: RawClient) -> None:
        async with attack.connected() as client:
            await attack.rejected(client, publish_packet(SLASHES, SECRET), ReasonCode.TOPIC_NAME_INVALID)
        await overhearing.expect_silence()

    async def test_one_level_too_many(self, attack: Attack) -> None:
        async with attack.connected() as client:
            assert await subscribed(client, "/" * 127) == ReasonCode.GRANTED_QOS_2
            await client.publish("/" * 127, SECRET, qos=1)
            await client.expect_publish()
            assert await subscribed(client, "/" * 128) == ReasonCode.TOPIC_FILTER_INVALID
            attack.refusal(client, "subscribe")


class TestTooLarge:
    @VERSIONS
    async def test_packet_over_the_maximum(
        self, attack: Attack, overhearing: RawClient, version: ProtocolVersion
    ) -> None:
        async with attack.connected(version) as client:
            await attack.rejected(client, b"\x30\xff\xff\xff\x7f", ReasonCode.PACKET_TOO_LARGE)
        async with attack.connected(version) as client:
            await attack.rejected(client, b"\x30\x80\x80\x80\x04" + bytes(1_000), ReasonCode.PACKET_TOO_LARGE)
        await overhearing.expect_silence()

    async def test_connect_over_the_maximum(self, attack: Attack) -> None:
        async with attack.open() as client:
            client.send_bytes(b"\x10\xff\xff\x7f" + bytes(1_000))
            assert await client.expect_closed() == []
            attack.failure(client, ReasonCode.PACKET_TOO_LARGE)

    async def test_topic_over_the_maximum(self, attack: Attack) -> None:
        async with attack.connected() as client:
            await attack.rejected(client, publish_packet("a" * 4_097, SECRET), ReasonCode.TOPIC_NAME_INVALID)
        async with attack.connected() as client:
            assert await subscribed(client, "a" * 4_097) == ReasonCode.TOPIC_FILTER_INVALID
            attack.refusal(client, "subscribe")

    @VERSIONS
    async def test_client_identifier_over_the_maximum(self, attack: Attack, version: ProtocolVersion) -> None:
        async with attack.open(version) as client:
            connack = await client.connect("c" * 1_025)
            assert connack.reason_code == ReasonCode.CLIENT_IDENTIFIER_NOT_VALID
            assert await client.expect_closed() == []
            attack.failure(client, ReasonCode.CLIENT_IDENTIFIER_NOT_VALID)

    @pytest.mark.parametrize("broker", [{"max_connections": 2}], indirect=True)
    async def test_one_connection_too_many(self, broker: RunningBroker, attack: Attack) -> None:
        async with attack.connected(), attack.open() as client:
            await client.expect_closed()
        assert [(line[1], line[2]["limit"]) for line in broker.logged if line[0] == "warning"] == [
            ("connection refused", "max_connections")
        ]
        # Each counts until its socket is closed; the bystander stays.
        async with asyncio.timeout(5):
            while broker.call(lambda inner: inner.core.gate.connections) > 1:
                await asyncio.sleep(0)
        async with attack.connected():
            pass


class Slow:
    """An authenticator that makes user ``mallory`` wait."""

    def __init__(self) -> None:
        self.waiting: list[VerdictCallback] = []

    def authenticate(self, credentials: Credentials, done: VerdictCallback) -> None:
        """Accept, at once or when :meth:`accept` is called."""
        if credentials.username == "mallory":
            self.waiting.append(done)
        else:
            done(Accepted())

    async def asked(self) -> None:
        """Wait for the question."""
        async with asyncio.timeout(5):
            while not self.waiting:
                await asyncio.sleep(0)

    async def accept(self, broker: RunningBroker) -> None:
        """Wait for the question and answer it."""
        await self.asked()
        broker.call(lambda running: self.waiting.pop()(Accepted()))


class TestWhileAuthenticating:
    """What comes behind a CONNECT waits for the verdict, and is then held against the limits of an accepted client."""

    CONNECT = connect_packet(prefixed(b"c"), prefixed(b"mallory"), flags=0x82)

    @pytest.fixture
    def slow(self) -> Slow:
        """The broker's authenticator."""
        return Slow()

    @pytest.fixture
    def broker(self, slow: Slow, mqtt_broker_factory: BrokerFactory) -> RunningBroker:
        """A broker whose authenticator takes its time."""
        return mqtt_broker_factory(authenticator=slow)

    async def test_too_large(self, broker: RunningBroker, attack: Attack, slow: Slow) -> None:
        async with attack.open() as client:
            client.send_bytes(self.CONNECT + b"\x30\xff\xff\xff\x7f" + SECRET)
            await slow.accept(broker)
            await client.expect(ConnAck)
            await ended(client, ReasonCode.PACKET_TOO_LARGE)
            attack.failure(client, ReasonCode.PACKET_TOO_LARGE)

    async def test_larger_than_before_authentication(
        self, broker: RunningBroker, attack: Attack, overhearing: RawClient, slow: Slow
    ) -> None:
        payload = SECRET * 20_000
        async with attack.open() as client:
            client.send_bytes(self.CONNECT + publish_packet("a", payload) + publish_packet("b", payload))
            await slow.accept(broker)
            await client.expect(ConnAck)
            assert [(await overhearing.expect_publish()).topic for _ in "ab"] == ["a", "b"]

    @pytest.mark.parametrize("data", GARBAGE.values(), ids=GARBAGE.keys())
    async def test_garbage(
        self, broker: RunningBroker, attack: Attack, overhearing: RawClient, slow: Slow, data: bytes
    ) -> None:
        async with attack.open() as client:
            client.send_bytes(self.CONNECT + data + bytes(300))
            await slow.accept(broker)
            await client.expect(ConnAck)
            await ended(client, *MALFORMED_OR_VIOLATION)
            attack.failure(client, *MALFORMED_OR_VIOLATION)
        await overhearing.expect_silence()

    async def test_the_end(self, broker: RunningBroker, attack: Attack, slow: Slow) -> None:
        async with attack.open() as client:
            client.send_bytes(self.CONNECT + publish_packet("a", SECRET)[:-1])
            await slow.asked()
            broker.advance(9)
            broker.advance(9)
            assert [packet.type for packet in await client.expect_closed()] in ([], [PacketType.CONNACK])
            attack.failure(client, ReasonCode.UNSPECIFIED_ERROR)
            await slow.accept(broker)
            attack.failure(client, ReasonCode.UNSPECIFIED_ERROR)


# The invariant.

FROM_A_CLIENT = [
    each
    for each in PacketType
    if each not in (PacketType.CONNACK, PacketType.SUBACK, PacketType.UNSUBACK, PacketType.PINGRESP)
]

RELATED: list[Packet] = [
    Subscribe(1, (SubscriptionRequest("a/+", 2), SubscriptionRequest("$share/g/#", 1))),
    Publish("a/b", b"x"),
    Publish("a/b", b"x", 1, packet_id=1),
    Publish("a/b", b"x", 2, True, packet_id=2),
    Publish("a/c", b"", 1, True, packet_id=3),
]
"""Packets that have to do with one another, which random ones rarely have."""


@st.composite
def sessions(draw: st.DrawFn) -> bytes:
    """What a client might send in one life: a CONNECT and legal packets of its version, of every kind."""
    version = draw(versions)
    connect: st.SearchStrategy[Packet] = packets_of(PacketType.CONNECT, version)
    plain = st.builds(Connect, st.sampled_from(["c", "d", "watching"]), st.just(version), st.booleans())
    kinds = [each for each in FROM_A_CLIENT if version == V5 or each != PacketType.AUTH]
    some: st.SearchStrategy[Packet] = st.sampled_from(kinds).flatmap(lambda kind: packets_of(kind, version))
    packets: list[Packet] = [draw(plain | connect)]
    packets += draw(st.lists(st.sampled_from(RELATED) | some, max_size=8))
    return b"".join(encode(each, version) for each in packets)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A session with bytes overwritten, left out, put in, or repeated."""
    data = bytearray(draw(sessions()))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(data)))
        match draw(st.integers(0, 3)):
            case 0:
                data[at : at + 1] = draw(st.binary(min_size=1, max_size=1))
            case 1:
                del data[at : at + draw(st.integers(1, 8))]
            case 2:
                data[at:at] = draw(st.binary(min_size=1, max_size=8))
            case _:
                data[at:at] = data[at : at + draw(st.integers(1, 40))]
    return bytes(data)


class Trial:
    """One stream, on a broker with somebody who watches."""

    def __init__(self, limits: Limits) -> None:
        self.harness = Harness(limits)
        self.watching, self.watched = self.harness.open()
        watch = Subscribe(1, (SubscriptionRequest("#", 2),))
        self.harness.feed(self.watching, encode(Connect("watching", V5), V5) + encode(watch, V5))
        self.carrier = Carrier()

    def run(self, data: bytes, size: int) -> tuple[bytes, bytes, bool]:
        """Send the stream in pieces of this size; what the sender and the one who watches received, and whether the
        sender is still connected.
        """
        connection, carrier = self.harness.open()
        for at in range(0, len(data), size):
            self.harness.feed(connection, data[at : at + size])
        was_open = carrier.open
        address = connection.identity.address
        self.harness.feed(self.watching, encode(PingReq(), V5))
        received = bytes(carrier.sent), bytes(self.watched.sent), was_open
        # What a broker sends is legal, whatever it was sent.
        PacketReader(connection.version).feed(bytes(carrier.sent))
        PacketReader(V5).feed(bytes(self.watched.sent))
        self.harness.tick(1_000_000)
        connection.lost(self.harness.now)
        self.harness.tick(5_000_000_000)
        logged = self.harness.logged
        assert [line for line in logged if line[0] == "error"] == []
        ends = [line for line in logged if line[2].get("address") == address and line[1] in ENDS]
        assert len(ends) == 1, ends
        return received


ENDS = ("connection failed", "disconnected", "closed before CONNECT was accepted", "authentication refused")
LIMITS = Limits(max_packet_size=2_000, max_connect_size=1_000, max_user_properties=5, max_topic_levels=4)

random_bytes = st.binary(max_size=60)
# CONNECT first, or hardly anything else is reached.
behind_a_connect = st.tuples(versions, random_bytes).map(
    lambda drawn: encode(Connect("c", drawn[0]), drawn[0]) + drawn[1]
)


@settings(max_examples=150, deadline=None)
@given(random_bytes | behind_a_connect | damaged(), st.integers(1, 50))
@example(connect_packet(prefixed(b"c")) + connect_packet(prefixed(b"c"), level=9), 50)
def test_any_bytes_and_nobody_is_surprised(data: bytes, size: int) -> None:
    """Whatever arrives, in whatever pieces: nothing is raised, no error is logged, one line says how it ended, only
    legal packets are sent to anybody, and the pieces make no difference.
    """
    whole = Trial(LIMITS).run(data, len(data) or 1)
    assert Trial(LIMITS).run(data, size) == whole


@settings(max_examples=40, deadline=None)
@given(st.lists(damaged(), min_size=2, max_size=4))
def test_many_bad_clients_one_after_the_other(streams: list[bytes]) -> None:
    """As above, on one broker, whose state outlives the connections: sessions, wills, queues, retained messages."""
    trial = Trial(LIMITS)
    for data in streams:
        connection, _ = trial.harness.open()
        trial.harness.feed(connection, data)
        connection.lost(trial.harness.now)
        trial.harness.tick(1)
    trial.harness.tick(5_000_000_000)
    assert [line for line in trial.harness.logged if line[0] == "error"] == []
    assert len(trial.harness.core.connections) <= 1
