"""What comes before MQTT on a connection: sockets, the gate, proxies, TLS, and who is at the other end."""

from __future__ import annotations

import asyncio
import os
import pwd
import socket
import ssl
import stat
from pathlib import Path

import pytest

from mqttbroker.broker import Accepted, Credentials, ListenerLimits, Peer, VerdictCallback
from mqttbroker.config import Config, ListenerConfig, SecurityConfig, TlsConfig
from mqttbroker.protocol import Connect, ProtocolVersion, ReasonCode, encode
from mqttbroker.server import Broker
from mqttbroker.testing import RunningBroker
from mqttbroker.testing.plugin import BrokerFactory
from tests.support.pki import Pki
from tests.support.proxy import proxy_v1, proxy_v2, ssl_vector
from tests.support.raw import RawClient

TIMEOUT = 5.0
V311 = ProtocolVersion.V311
CONNECT = encode(Connect("c", V311), V311)
CONNACK = b"\x20\x02\0\0"
CLIENT = ("192.0.2.1", 56_324)


class Notes:
    """An authenticator that lets everybody in and keeps what it was told."""

    def __init__(self) -> None:
        self.peers: list[Peer] = []

    def authenticate(self, credentials: Credentials, done: VerdictCallback) -> None:
        self.peers.append(credentials.peer)
        done(Accepted(credentials.username))


def serve(factory: BrokerFactory, notes: Notes | None = None, **settings: object) -> RunningBroker:
    """A broker with one listener on a free port."""
    listener = ListenerConfig(port=0, **settings)  # type: ignore[arg-type]
    anonymous = SecurityConfig(allow_anonymous=None if listener.username_from else True)
    return factory(config=Config(listeners=(listener,), security=anonymous), authenticator=notes)


def exchange(broker: RunningBroker, data: bytes, expected: int = len(CONNACK)) -> bytes:
    """Send bytes; the first that come back, less when the broker closes."""
    with socket.create_connection((broker.host, broker.port), TIMEOUT) as client:
        client.sendall(data)
        return receive(client, expected)


def receive(client: socket.socket, expected: int) -> bytes:
    """So many bytes, or less when the broker closes."""
    received = b""
    try:
        while len(received) < expected and (piece := client.recv(expected - len(received))):
            received += piece
    except ConnectionResetError:
        pass
    return received


def lines(broker: RunningBroker, event: str) -> list[dict[str, object]]:
    """The details of each line of the log about an event."""
    return [line[2] for line in broker.logged if line[1] == event]


async def nobody_counted(broker: RunningBroker) -> None:
    """Wait until every socket is closed and the gate knows."""
    async with asyncio.timeout(TIMEOUT):
        while broker.call(lambda inner: inner.core.gate.connections):
            await asyncio.sleep(0)


class TestProxyProtocol:
    @pytest.mark.parametrize("header", [proxy_v1(CLIENT), proxy_v2(CLIENT)], ids=["v1", "v2"])
    def test_the_client_is_where_the_proxy_says(self, mqtt_broker_factory: BrokerFactory, header: bytes) -> None:
        notes = Notes()
        broker = serve(mqtt_broker_factory, notes, proxy_protocol=True, trusted_proxies=("127.0.0.1",))
        assert exchange(broker, header + CONNECT) == CONNACK
        assert notes.peers == [Peer("192.0.2.1:56324")]
        assert [line["address"] for line in lines(broker, "connected")] == ["192.0.2.1:56324"]

    def test_in_the_smallest_pieces(self, mqtt_broker_factory: BrokerFactory) -> None:
        notes = Notes()
        broker = serve(mqtt_broker_factory, notes, proxy_protocol=True, trusted_proxies=("127.0.0.1",))
        with socket.create_connection((broker.host, broker.port), TIMEOUT) as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for byte in proxy_v2(("2001:db8::1", 1)) + CONNECT:
                client.sendall(bytes((byte,)))
            assert receive(client, 4) == CONNACK
        assert notes.peers == [Peer("[2001:db8::1]:1")]

    @pytest.mark.parametrize("header", [proxy_v1(None), proxy_v2(local=True)], ids=["unknown", "local"])
    def test_a_client_that_it_does_not_know(self, mqtt_broker_factory: BrokerFactory, header: bytes) -> None:
        notes = Notes()
        broker = serve(mqtt_broker_factory, notes, proxy_protocol=True, trusted_proxies=("127.0.0.1",))
        assert exchange(broker, header + CONNECT) == CONNACK
        assert [each.address.rpartition(":")[0] for each in notes.peers] == ["127.0.0.1"]

    def test_the_name_in_the_certificate(self, mqtt_broker_factory: BrokerFactory) -> None:
        broker = serve(
            mqtt_broker_factory,
            proxy_protocol=True,
            trusted_proxies=("127.0.0.1",),
            username_from="common_name",
        )
        good = ssl_vector(common_name="alice", verify=0)
        bad = ssl_vector(common_name="alice", verify=1)
        assert exchange(broker, proxy_v2(CLIENT, vectors=[good]) + CONNECT) == CONNACK
        assert exchange(broker, proxy_v2(CLIENT, vectors=[bad]) + CONNECT) == b"\x20\x02\0\5"
        assert exchange(broker, proxy_v2(CLIENT) + CONNECT) == b"\x20\x02\0\5"
        assert [line["user"] for line in lines(broker, "connected")] == ["alice"]

    @pytest.mark.parametrize(
        "data",
        [
            pytest.param(CONNECT + bytes(20), id="none at all"),
            pytest.param(b"PROXY TCP4 192.0.2.1 nowhere 1 2\r\n" + CONNECT, id="malformed"),
            pytest.param(proxy_v2(CLIENT)[:13] + b"\xff" + bytes(20), id="of another family"),
        ],
    )
    async def test_what_is_no_header_ends_the_connection(self, mqtt_broker_factory: BrokerFactory, data: bytes) -> None:
        broker = serve(mqtt_broker_factory, proxy_protocol=True, trusted_proxies=("127.0.0.1",))
        assert exchange(broker, data) == b""
        await nobody_counted(broker)
        assert [line["listener"] for line in lines(broker, "connection failed")] == ["tcp"]

    async def test_a_header_that_does_not_end(self, mqtt_broker_factory: BrokerFactory) -> None:
        broker = serve(
            mqtt_broker_factory,
            proxy_protocol=True,
            trusted_proxies=("127.0.0.1",),
            limits=ListenerLimits(connect_timeout=1.0),
        )
        assert exchange(broker, b"PROXY TCP4 192") == b""
        await nobody_counted(broker)
        assert [line["reason"] for line in lines(broker, "connection failed")] == ["took too long"]

    async def test_closed_before_its_end(self, mqtt_broker_factory: BrokerFactory) -> None:
        broker = serve(mqtt_broker_factory, proxy_protocol=True, trusted_proxies=("127.0.0.1",))
        with socket.create_connection((broker.host, broker.port), TIMEOUT) as client:
            client.sendall(b"PROXY")
            client.shutdown(socket.SHUT_WR)
            assert client.recv(1) == b""
        await nobody_counted(broker)

    def test_from_somebody_who_is_not_trusted(self, mqtt_broker_factory: BrokerFactory) -> None:
        broker = serve(mqtt_broker_factory, proxy_protocol=True, trusted_proxies=("192.0.2.0/24",))
        assert exchange(broker, proxy_v1(CLIENT) + CONNECT) == b""
        (line,) = lines(broker, "connection refused: not one of trusted_proxies")
        assert line == {"listener": "tcp", "address": "127.0.0.1"}
        assert broker.call(lambda inner: inner.core.gate.connections) == 0

    def test_limits_are_those_of_the_client(self, mqtt_broker_factory: BrokerFactory) -> None:
        broker = serve(
            mqtt_broker_factory,
            proxy_protocol=True,
            trusted_proxies=("127.0.0.1",),
            limits=ListenerLimits(max_connections_per_address=1),
        )
        with socket.create_connection((broker.host, broker.port), TIMEOUT) as first:
            first.sendall(proxy_v1(CLIENT) + CONNECT)
            assert receive(first, 4) == CONNACK
            assert exchange(broker, proxy_v1(CLIENT) + CONNECT) == b""
            assert exchange(broker, proxy_v1(("192.0.2.2", 1)) + CONNECT) == CONNACK
        assert [line["address"] for line in lines(broker, "connection refused")] == ["192.0.2.1"]

    def test_before_tls(self, mqtt_broker_factory: BrokerFactory, pki: Pki) -> None:
        notes = Notes()
        broker = serve(
            mqtt_broker_factory, notes, proxy_protocol=True, trusted_proxies=("127.0.0.1",), tls=pki.tls_config()
        )
        with socket.create_connection((broker.host, broker.port), TIMEOUT) as client:
            client.sendall(proxy_v2(CLIENT))
            with pki.client_context(None).wrap_socket(client, server_hostname="localhost") as encrypted:
                encrypted.sendall(CONNECT)
                assert receive(encrypted, 4) == CONNACK
        assert notes.peers == [Peer("192.0.2.1:56324")]


class TestTls:
    @staticmethod
    def exchange(broker: RunningBroker, context: ssl.SSLContext) -> bytes:
        with (
            socket.create_connection((broker.host, broker.port), TIMEOUT) as client,
            context.wrap_socket(client, server_hostname="localhost") as encrypted,
        ):
            encrypted.sendall(CONNECT)
            return receive(encrypted, 4)

    def test_the_name_of_a_client_certificate_is_the_user_name(
        self, mqtt_broker_factory: BrokerFactory, pki: Pki
    ) -> None:
        tls = pki.tls_config(client_certificates="optional", client_ca=pki.ca, crl=pki.crl)
        broker = serve(mqtt_broker_factory, tls=tls, username_from="common_name")
        assert self.exchange(broker, pki.client_context("alice")) == CONNACK
        assert self.exchange(broker, pki.client_context(None)) == b"\x20\x02\0\5"
        assert [line["user"] for line in lines(broker, "connected")] == ["alice"]

    async def test_a_hand_shake_that_fails_is_counted_no_more(
        self, mqtt_broker_factory: BrokerFactory, pki: Pki
    ) -> None:
        tls = pki.tls_config(client_certificates="required", client_ca=pki.ca, crl=pki.crl)
        broker = serve(mqtt_broker_factory, tls=tls)
        with pytest.raises((ssl.SSLError, ConnectionError)):
            received = self.exchange(broker, pki.client_context("revoked"))
            raise ConnectionError(received)
        assert exchange(broker, CONNECT, 100)[:1] != b"\x20"
        await nobody_counted(broker)
        assert len(lines(broker, "TLS hand-shake failed")) == 2

    async def test_a_hand_shake_that_does_not_end(self, mqtt_broker_factory: BrokerFactory, pki: Pki) -> None:
        broker = serve(mqtt_broker_factory, tls=pki.tls_config(), limits=ListenerLimits(connect_timeout=1.0))
        assert exchange(broker, b"\x16\x03\x01") == b""
        await nobody_counted(broker)

    async def test_the_gate_is_in_front_of_it(self, mqtt_broker_factory: BrokerFactory, pki: Pki) -> None:
        broker = serve(mqtt_broker_factory, tls=pki.tls_config(), limits=ListenerLimits(max_connections=1))
        with socket.create_connection((broker.host, broker.port), TIMEOUT):
            async with asyncio.timeout(TIMEOUT):
                while not broker.call(lambda inner: inner.core.gate.connections):
                    await asyncio.sleep(0)
            # One that has not even begun with its hand-shake counts.
            assert exchange(broker, b"") == b""
        await nobody_counted(broker)
        assert self.exchange(broker, pki.client_context(None)) == CONNACK

    def test_new_files_are_for_new_connections(
        self, mqtt_broker_factory: BrokerFactory, pki: Pki, tmp_path: Path
    ) -> None:
        mine = pki.copy(tmp_path)
        broker = serve(mqtt_broker_factory, tls=mine.tls_config())
        before = broker.call(lambda inner: inner.certificates)["tcp"][0]
        with (
            socket.create_connection((broker.host, broker.port), TIMEOUT) as client,
            pki.client_context(None).wrap_socket(client, server_hostname="localhost") as encrypted,
        ):
            encrypted.sendall(CONNECT)
            assert receive(encrypted, 4) == CONNACK
            # Half of an update is no certificate.
            mine.certificate("other").replace(mine.certificate("server"))
            assert broker.call(Broker.reload) is False
            assert broker.call(lambda inner: inner.certificates)["tcp"][0] == before
            mine.key("other").replace(mine.key("server"))
            assert broker.call(Broker.reload) is True
            encrypted.sendall(b"\xc0\0")
            assert receive(encrypted, 2) == b"\xd0\0"
        assert "other.example.org" in broker.call(lambda inner: inner.certificates)["tcp"][0].names
        assert [line[:2] for line in broker.logged if "certificates" in line[1]] == [
            ("error", "certificates not replaced"),
            ("info", "certificates replaced"),
        ]
        with pytest.raises(ssl.SSLCertVerificationError):
            self.exchange(broker, pki.client_context(None))

    def test_certificates_that_run_out_are_told_once_a_day(
        self, mqtt_broker_factory: BrokerFactory, pki: Pki, tmp_path: Path
    ) -> None:
        def look(broker: Broker) -> None:
            assert broker._renewal is not None
            broker._renewal.look()

        tls = pki.tls_config(certificate=pki.certificate("expired-server"), key=pki.key("expired-server"))
        broker = serve(mqtt_broker_factory, tls=tls)
        (line,) = lines(broker, "certificate has run out")
        assert (line["listener"], line["file"]) == ("tcp", str(pki.certificate("expired-server")))
        broker.call(look)
        assert len(lines(broker, "certificate has run out")) == 1
        broker.advance(90_000)
        broker.call(look)
        assert len(lines(broker, "certificate has run out")) == 2

    def test_files_that_are_no_good_stop_the_start(self, mqtt_broker_factory: BrokerFactory, tmp_path: Path) -> None:
        with pytest.raises(Exception, match=r"nothing\.pem: cannot be read: No such file"):
            serve(mqtt_broker_factory, tls=TlsConfig(tmp_path / "nothing.pem"))


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="this system has no Unix sockets")
class TestUnix:
    @staticmethod
    def listener(path: Path, **settings: object) -> ListenerConfig:
        return ListenerConfig("unix", "unix", socket=path, **settings)  # type: ignore[arg-type]

    @staticmethod
    def exchange(path: Path) -> bytes:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(TIMEOUT)
            client.connect(str(path))
            client.sendall(CONNECT)
            return receive(client, 4)

    async def test_who_may_use_it_and_who_does(self, tmp_path: Path) -> None:
        path = tmp_path / "mqtt.sock"
        notes = Notes()
        config = Config(listeners=(self.listener(path, socket_mode="0600"),))
        async with Broker(config, authenticator=notes) as broker:
            assert broker.addresses == {"unix": [(str(path), 0)]}
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert await asyncio.to_thread(self.exchange, path) == CONNACK
        assert notes.peers == [Peer("unix", None, os.getuid(), os.getgid(), os.getpid())]
        assert not path.exists()

    async def test_the_name_of_the_systems_user(self, tmp_path: Path) -> None:
        path = tmp_path / "mqtt.sock"
        logged: list[dict[str, object]] = []

        def log(level: str, event: str, /, **details: object) -> None:
            if event == "connected":
                logged.append(details)

        config = Config(listeners=(self.listener(path, username_from="unix_user"),))
        async with Broker(config, log=log):
            assert await asyncio.to_thread(self.exchange, path) == CONNACK
        assert [line["user"] for line in logged] == [pwd.getpwuid(os.getuid()).pw_name]

    async def test_owner_and_group(self, tmp_path: Path) -> None:
        path = tmp_path / "mqtt.sock"
        me = pwd.getpwuid(os.getuid()).pw_name
        async with Broker(Config(listeners=(self.listener(path, socket_user=me, socket_mode="0666"),))):
            assert (path.stat().st_uid, stat.S_IMODE(path.stat().st_mode)) == (os.getuid(), 0o666)

    async def test_a_group_that_does_not_exist_stops_the_start(self, tmp_path: Path) -> None:
        listener = self.listener(tmp_path / "mqtt.sock", socket_group="no such group")
        with pytest.raises(OSError, match=r"listener 'unix' cannot listen on .*no such group"):
            await Broker(Config(listeners=(listener,))).start()

    async def test_what_a_killed_broker_has_left_is_taken_away(self, tmp_path: Path) -> None:
        path = tmp_path / "mqtt.sock"
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(path))
            dead.listen()
        async with Broker(Config(listeners=(self.listener(path),))):
            assert await asyncio.to_thread(self.exchange, path) == CONNACK

    async def test_what_somebody_uses_is_not(self, tmp_path: Path) -> None:
        path = tmp_path / "mqtt.sock"
        async with Broker(Config(listeners=(self.listener(path),))):
            with pytest.raises(OSError, match="Address already in use"):
                await Broker(Config(listeners=(self.listener(path),))).start()
            assert await asyncio.to_thread(self.exchange, path) == CONNACK

    async def test_a_file_is_not_taken_away(self, tmp_path: Path) -> None:
        path = tmp_path / "mqtt.sock"
        path.write_text("precious")
        with pytest.raises(OSError, match="Address already in use"):
            await Broker(Config(listeners=(self.listener(path),))).start()
        assert path.read_text() == "precious"

    async def test_a_proxy_at_the_other_end_is_trusted(self, tmp_path: Path) -> None:
        path = tmp_path / "mqtt.sock"
        notes = Notes()
        config = Config(listeners=(self.listener(path, proxy_protocol=True, username_from="unix_user"),))
        async with Broker(config, authenticator=notes):
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(proxy_v2(CLIENT) + CONNECT)
            async with asyncio.timeout(TIMEOUT):
                assert await reader.readexactly(4) == CONNACK
            writer.close()
        # Nothing is left of the user who runs the proxy.
        assert notes.peers == [Peer("192.0.2.1:56324")]


class TestBinding:
    async def test_it_is_tried_again(self) -> None:
        taken = socket.create_server(("127.0.0.1", 0))
        host, port = taken.getsockname()
        logged: list[str] = []
        listening = asyncio.Event()

        def log(level: str, event: str, /, **details: object) -> None:
            logged.append(event)
            if event == "listening after all":
                listening.set()

        listeners = (ListenerConfig(port=0), ListenerConfig("late", port=port, retry_bind=True))
        async with Broker(Config(listeners=listeners), log=log) as broker:
            assert broker.addresses["late"] == []
            taken.close()
            async with asyncio.timeout(TIMEOUT):
                await listening.wait()
            async with RawClient(host, port) as client:
                assert (await client.connect()).reason_code == ReasonCode.SUCCESS
        assert logged.count("trying again") == 1

    async def test_a_stop_meanwhile(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            async with Broker(
                Config(listeners=(ListenerConfig(port=0), ListenerConfig("b", port=port, retry_bind=True)))
            ):
                pass

    async def test_two_on_one_port(self) -> None:
        async with Broker(Config(listeners=(ListenerConfig(port=0, reuse_port=True),))) as one:
            second = Config(listeners=(ListenerConfig(port=one.port, reuse_port=True),))
            async with Broker(second) as two:
                assert two.port == one.port
            with pytest.raises(OSError, match="in use"):
                await Broker(Config(listeners=(ListenerConfig(port=one.port),))).start()

    async def test_sockets_that_listen_already(self) -> None:
        listening = socket.create_server(("127.0.0.1", 0))
        listening.setblocking(False)
        address = listening.getsockname()
        async with Broker(Config(listeners=(ListenerConfig(),)), sockets={"tcp": [listening]}) as broker:
            assert broker.addresses == {"tcp": [address]}
            async with RawClient(*address) as client:
                assert (await client.connect()).reason_code == ReasonCode.SUCCESS

    async def test_a_stop_drops_who_is_not_ready(self, pki: Pki) -> None:
        broker = Broker(Config(listeners=(ListenerConfig(port=0, tls=pki.tls_config()),)))
        await broker.start()
        reader, writer = await asyncio.open_connection(broker.host, broker.port)
        gate = broker.core.gate
        async with asyncio.timeout(TIMEOUT):
            while not gate.connections:
                await asyncio.sleep(0)
            await broker.stop()
            assert gate.connections == 0
            assert await reader.read() == b""
        writer.close()
