"""Many connections that come to nothing, slowly or fast, and TLS that is asked for more than it is worth."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Literal

import pytest

from mqttbroker.broker import ListenerLimits
from mqttbroker.protocol import Connect, Disconnect, ProtocolVersion, Publish, ReasonCode, encode
from mqttbroker.server import Broker
from mqttbroker.testing.plugin import BrokerFactory
from mqttbroker.testing.running import RunningBroker
from tests.support.frames import frame, request
from tests.support.pki import Pki
from tests.support.raw import RawClient
from tests.support.streams import TlsStream, whole
from tests.support.tools import missing
from tests.support.transports import Transport
from tests.threats.attack import PASSWORD, Attack, growth, restored
from tests.threats.attack import census as take_census
from tests.threats.doors import door, several_ways

V5 = ProtocolVersion.V5
CONNECT = encode(Connect("slow", V5, username="mallory", password=PASSWORD), V5)
CLIENT_HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100)
MIB = 1 << 20
LINES = 100
"""Lines of the log about one thing, before they are only counted."""

Opener = Callable[..., contextlib.AbstractAsyncContextManager[RawClient]]


@pytest.fixture
def broker(request: pytest.FixtureRequest, mqtt_broker_factory: BrokerFactory, pki: Pki) -> RunningBroker:
    """Has all kinds of listeners, with a short patience on all but the bystander's."""
    limits = ListenerLimits(connect_timeout=1.0, max_keep_alive=60)
    return mqtt_broker_factory(config=several_ways(pki.tls_config(), limits, **getattr(request, "param", {})))


@pytest.fixture
def to(broker: RunningBroker, pki: Pki) -> Opener:
    """Connects to a listener; with ``below`` without TLS and WebSocket, whatever it wants."""

    @asynccontextmanager
    async def connect(
        name: str, below: bool = False, version: Literal["1.2", "1.3"] | None = None
    ) -> AsyncIterator[RawClient]:
        where = door(broker, name)
        tls = pki.client_context(version=version) if name in ("tls", "wss") and not below else None
        transport = Transport(tls=tls, websocket=whole if name in ("ws", "wss") and not below else None)
        async with RawClient(where.host, where.port, transport=transport) as client:
            yield client

    return connect


def log_little(broker: Broker) -> None:
    """As it is in earnest: ``attack`` has asked for every line."""
    broker.core.quiet_log.lines = LINES


class TestSlowly:
    async def test_cve_2020_13849_slowite(self, broker: RunningBroker, attack: Attack, to: Opener) -> None:
        """Hundreds of sockets that have said half of something: all are gone when their time is up, and meanwhile
        others come and go.
        """
        before = take_census(broker)
        begun = {
            "tls": (b"", CLIENT_HELLO),
            "wss": (b"", CLIENT_HELLO[:1]),
            "ws": (b"", request("h")[:-1], request("h"), request("h") + frame(CONNECT[:5]), frame(CONNECT)[:7]),
        }
        clients: list[RawClient] = []
        broker.call(log_little)
        async with AsyncExitStack() as stack:
            for name, beginnings in begun.items():
                for data in beginnings:
                    for _ in range(25):
                        client = await stack.enter_async_context(to(name, below=True))
                        client.send_bytes(data)
                        clients.append(client)
            assert len(clients) == 225
            async with attack.connected() as good:
                await good.ping()
            # A hand-shake is timed by the loop's clock, MQTT by the broker's.
            for client in clients:
                while await client.receive_some():
                    pass
            async with attack.connected() as good:
                await good.ping()
        await restored(broker, before)
        lines = Counter(line[1] for line in broker.logged if line[0] == "warning")
        assert max(lines.values()) == LINES

    async def test_cve_2020_13849_slowite_one_byte_at_a_time(self, broker: RunningBroker, attack: Attack) -> None:
        """The time is for the whole CONNECT, and does not begin again with every byte."""
        broker.advance(11)  # The bystander's own is over.
        before = take_census(broker)
        async with attack.open() as client:
            await attack.accepted(client)
            for at in range(9):
                client.send_bytes(CONNECT[at : at + 1])
                await client.flush()
                broker.advance(1)
            assert take_census(broker).connections == before.connections + 1
            broker.advance(2)
            assert await client.expect_closed() == []
        await restored(broker, before)

    @pytest.mark.parametrize("name", ["tls", "ws", "wss"])
    async def test_cve_2020_13849_slowite_keep_alive_for_hours(
        self, broker: RunningBroker, to: Opener, name: str
    ) -> None:
        """The broker's own bound counts, and is announced; half a packet does not lengthen it."""
        async with to(name) as client:
            answer = await client.connect(username="mallory", password=PASSWORD, keep_alive=65_535)
            assert answer.properties.server_keep_alive == 60
            client.send_bytes(encode(Publish("a", b"x" * 1_000), V5)[:-1])
            await client.flush()
            async with asyncio.timeout(5):
                while broker.call(lambda inner: all(each.partial is None for each in inner.core.connections)):
                    await asyncio.sleep(0)
            broker.advance(89)
            assert broker.call(lambda inner: len(inner.core.connections)) == 2
            broker.advance(2)
            (last,) = await client.expect_closed()
            assert isinstance(last, Disconnect)
            assert last.reason_code == ReasonCode.KEEP_ALIVE_TIMEOUT


class TestFast:
    @pytest.mark.parametrize("broker", [{"max_connection_rate": 30}], indirect=True)
    async def test_harper_345_flood_of_attempts(
        self, broker: RunningBroker, attack: Attack, bystander: RawClient, to: Opener
    ) -> None:
        """Of what is refused, most is refused before TLS has cost anything; the log stays short, and who is in stays
        in.
        """
        before = take_census(broker)
        broker.call(log_little)
        attempts = 0

        async def attempt(name: str, below: bool, data: bytes) -> None:
            with contextlib.suppress(OSError):
                async with to(name, below) as client:
                    client.send_bytes(data)
                    while await client.receive_some():
                        pass

        kinds: list[tuple[str, bool, bytes]] = [
            ("tcp", False, b"\x10\x02\0\0"),
            ("tls", False, b"\x10\x02\0\0"),
            ("tls", True, b"\x10\x02\0\0\0\0\0"),
            ("ws", False, b"\x10\x02\0\0"),
            ("wss", False, b"\x10\x02\0\0"),
            ("wss", True, b"GET / HTTP/1.1\r\n\r\n"),
        ]
        for _ in range(10):
            batch = [attempt(*kind) for kind in kinds for _ in range(10)]
            attempts += len(batch)
            await asyncio.gather(*batch, bystander.ping())
        counters = broker.call(lambda inner: inner.core.counters)
        assert counters.connections_refused > 100
        assert counters.connections_accepted + counters.connections_refused >= attempts
        await restored(broker, before)
        lines = Counter(line[1] for line in broker.logged if line[0] == "warning")
        assert max(lines.values()) <= 4 * LINES  # Each listener keeps count of its own refusals.
        # They are of one origin; when it has waited it may come again.
        broker.advance(11)
        async with attack.connected() as good:
            await good.ping()


class Native:
    """What OpenSSL can do and Python's ``ssl`` has no word for."""

    KEY_UPDATE_REQUESTED = 1

    def __init__(self, stream: TlsStream) -> None:
        loaded = {line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines() if "libssl" in line}
        if not loaded:
            missing("Python is not linked with a libssl of its own")
        self._library = ctypes.CDLL(loaded.pop())
        # The object of CPython has its type and count, then two pointers: its owner, and the SSL structure.
        inside = getattr(stream.tls, "_sslobj")  # noqa: B009
        self._ssl = ctypes.c_void_p.from_address(id(inside) + 3 * ctypes.sizeof(ctypes.c_void_p))

    def update_keys(self) -> None:
        """Have new keys for what is sent, and ask the other end for the same."""
        assert self._library.SSL_key_update(self._ssl, self.KEY_UPDATE_REQUESTED) == 1
        self._library.SSL_do_handshake(self._ssl)

    def renegotiate(self) -> None:
        """Begin the hand-shake anew."""
        assert self._library.SSL_renegotiate(self._ssl) == 1
        self._library.SSL_do_handshake(self._ssl)


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs Linux")
class TestTls:
    @pytest.mark.parametrize("broker", [{"max_outbound_buffer": 65_536}], indirect=True)
    async def test_cve_2026_39304_activemq_key_update_flood(
        self, broker: RunningBroker, bystander: RawClient, to: Opener
    ) -> None:
        """Every update wants an answer. A client that takes none is not read from; what waits for it is bounded."""

        def state(inner: Broker) -> tuple[int, bool]:
            connection = inner.core.registry.online["updater"]
            return connection.carrier.waiting(), connection.reading

        async with to("tls", version="1.3") as client:
            await client.connect("updater", username="mallory", password=PASSWORD)
            assert isinstance(client.stream, TlsStream)
            native = Native(client.stream)
            await client.subscribe("fill")
            while not broker.call(state)[0]:
                # What the system would hold of the answers, it holds of this.
                await bystander.publish("fill", b"x" * 30_000)
            with growth(broker, sizes=False) as grown:
                updates = 0
                while broker.call(state)[1]:
                    for _ in range(100):
                        native.update_keys()
                    updates += 100
                    client.stream.transmit()
                    await bystander.ping()
                    assert updates < 10_000
                assert broker.call(state)[0] < MIB
            assert grown.objects < 1_000

    async def test_mosquitto_1257_renegotiation(self, broker: RunningBroker, bystander: RawClient, to: Opener) -> None:
        """It costs the server much more than the client, and is not done."""
        before = take_census(broker)
        async with to("tls", version="1.2") as client:
            await client.connect("renegotiator", username="mallory", password=PASSWORD)
            assert isinstance(client.stream, TlsStream)
            Native(client.stream).renegotiate()
            client.stream.transmit()
            with contextlib.suppress(ssl.SSLError):
                # An alert that says no, which ends it for some clients.
                await client.receive_some()
            await bystander.ping()
        await restored(broker, before)
