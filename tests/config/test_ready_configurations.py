"""The configurations that are there to be used are used: copied into a directory, with what the commands in their
heads make, served by a real process, by real clients.
"""

from __future__ import annotations

import re
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.config.served import PASSWORD, PROGRAM, TIMEOUT, Served, Transport, environment, mqtt_client, run, serving
from tests.support.proxy import proxy_v2

FOLDER = Path(__file__).parents[2] / "config"
READY = ("home.toml", "tls.toml", "edge.toml", "proxy.toml")

# Where nobody is trusted, on the loopback interface.
ELSEWHERE = "127.0.0.2"

NOT_AUTHORIZED, WRONG_PASSWORD = "Not authorized", "Bad user name or password"


def commands(file: str) -> list[str]:
    """The commands in the head of a configuration, in their order."""
    head = (FOLDER / file).read_text(encoding="utf-8").partition("\n\n")[0]
    return re.findall(r"^#   (mqttbroker .+)$", head, re.MULTILINE)


def prepare(file: str, directory: Path) -> None:
    """Do what the head of a configuration says, up to starting the broker."""
    for name in (file, "acl.toml"):
        shutil.copy(FOLDER / name, directory)
    for command in commands(file):
        if command.split()[1] in ("passwd", "certs"):
            run(directory, command)


@pytest.fixture(scope="module", params=READY)
def prepared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A configuration and the directory where it is ready to be served."""
    directory = tmp_path_factory.mktemp("prepared")
    prepare(request.param, directory)
    return request.param, directory


class TestHeads:
    def test_the_broker_is_started_with_the_file_itself(self, prepared: tuple[str, Path]) -> None:
        file, _ = prepared
        assert f"mqttbroker serve --config {file}" in commands(file)

    def test_the_configuration_is_correct(self, prepared: tuple[str, Path]) -> None:
        file, directory = prepared
        assert run(directory, f"mqttbroker check-config {file}").endswith("\nThe configuration is correct.\n")

    def test_what_the_commands_make_is_what_it_needs(self, prepared: tuple[str, Path], tmp_path: Path) -> None:
        file, _ = prepared
        shutil.copy(FOLDER / file, tmp_path)
        done = subprocess.run(
            [*PROGRAM, "check-config", file],
            cwd=tmp_path,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
        )
        assert (done.returncode, done.stdout) == (1, "")
        assert re.fullmatch(r"mqttbroker: \S+: cannot be read: No such file or directory\n", done.stderr)

    def test_it_is_short(self, prepared: tuple[str, Path]) -> None:
        file, _ = prepared
        assert len((FOLDER / file).read_text(encoding="utf-8").splitlines()) <= 90


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    directory = tmp_path_factory.mktemp("home")
    prepare("home.toml", directory)
    with serving("home.toml", directory) as served:
        yield served


class TestHome:
    def test_a_device_a_dashboard_and_a_program_here(self, home: Served) -> None:
        with (
            mqtt_client(username="lamp") as lamp,
            mqtt_client("websockets", "dashboard") as dashboard,
            mqtt_client() as automation,
        ):
            assert lamp.connect("127.0.0.1", home.ports["lan"]) == "Success"
            assert dashboard.connect("127.0.0.1", home.ports["dashboards"]) == "Success"
            assert automation.connect("127.0.0.1", home.ports["local"]) == "Success"
            assert lamp.subscribe("devices/lamp/commands/#") == "Granted QoS 1"
            assert dashboard.subscribe("#") == "Granted QoS 1"
            assert automation.publish("devices/lamp/commands/power", "off") == "Success"
            assert lamp.receive() == dashboard.receive() == ("devices/lamp/commands/power", "off")
            assert lamp.publish("devices/lamp/state/power", "off") == "Success"
            assert dashboard.receive() == ("devices/lamp/state/power", "off")

    @pytest.mark.parametrize(("listener", "transport"), [("lan", "tcp"), ("dashboards", "websockets")], ids=str)
    def test_the_network_needs_a_password(self, home: Served, listener: str, transport: Transport) -> None:
        for username, password, reason in (
            (None, "", NOT_AUTHORIZED),
            ("lamp", "wrong", WRONG_PASSWORD),
            ("nobody", PASSWORD, WRONG_PASSWORD),
        ):
            with mqtt_client(transport, username, password) as client:
                assert client.connect("127.0.0.1", home.ports[listener]) == reason

    def test_a_device_keeps_to_its_topics(self, home: Served) -> None:
        with mqtt_client(username="lamp") as lamp:
            assert lamp.connect("127.0.0.1", home.ports["lan"]) == "Success"
            assert lamp.subscribe("#") == NOT_AUTHORIZED
            assert lamp.publish("devices/heater/state/power", "on") == NOT_AUTHORIZED


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    directory = tmp_path_factory.mktemp("tls")
    prepare("tls.toml", directory)
    with serving("tls.toml", directory) as served:
        yield served


class TestTls:
    def test_a_certificate_or_a_password(self, tls: Served) -> None:
        certs = tls.directory / "certs"
        authority = certs / "ca.pem"
        with (
            mqtt_client(tls=[authority, certs / "client-lamp.pem", certs / "client-lamp-key.pem"]) as lamp,
            mqtt_client(username="dashboard", tls=[authority]) as plain,
            mqtt_client("websockets", "dashboard", tls=[authority]) as browser,
            mqtt_client(username="dashboard") as local,
        ):
            assert lamp.connect("localhost", tls.ports["tls"]) == "Success"
            for client, listener in ((plain, "tls"), (browser, "wss"), (local, "local")):
                assert client.connect("localhost", tls.ports[listener]) == "Success"
                assert client.subscribe("devices/#") == "Granted QoS 1"
            assert lamp.publish("devices/lamp/state/power", "on") == "Success"
            for client in (plain, browser, local):
                assert client.receive() == ("devices/lamp/state/power", "on")

    @pytest.mark.parametrize("listener", ["tls", "wss"])
    def test_without_tls_nobody_gets_in(self, tls: Served, listener: str) -> None:
        with mqtt_client(username="dashboard") as client:
            assert client.connect("127.0.0.1", tls.ports[listener]).startswith("closed: ")

    @pytest.mark.parametrize(("listener", "transport"), [("tls", "tcp"), ("wss", "websockets")], ids=str)
    def test_a_password_is_needed_where_there_is_no_certificate(
        self, tls: Served, listener: str, transport: Transport
    ) -> None:
        authority = tls.directory / "certs" / "ca.pem"
        with mqtt_client(transport, tls=[authority]) as client:
            assert client.connect("localhost", tls.ports[listener]) == NOT_AUTHORIZED
        with mqtt_client(transport, "dashboard", "wrong", tls=[authority]) as client:
            assert client.connect("localhost", tls.ports[listener]) == WRONG_PASSWORD

    def test_who_does_not_know_the_authority_does_not_trust_the_broker(self, tls: Served, tmp_path: Path) -> None:
        run(tmp_path, "mqttbroker certs init others")
        context = ssl.create_default_context(cafile=tmp_path / "others" / "ca.pem")
        with (
            socket.create_connection(("127.0.0.1", tls.ports["tls"]), TIMEOUT) as connected,
            pytest.raises(ssl.SSLCertVerificationError),
        ):
            context.wrap_socket(connected, server_hostname="localhost")

    @pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGHUP")
    def test_a_revoked_certificate_counts_no_more(self, tls: Served) -> None:
        certs = tls.directory / "certs"
        shown = [certs / "ca.pem", certs / "client-guest.pem", certs / "client-guest-key.pem"]
        run(tls.directory, "mqttbroker certs client certs guest")
        with mqtt_client(tls=shown) as guest:
            assert guest.connect("localhost", tls.ports["tls"]) == "Success"
        run(tls.directory, "mqttbroker certs revoke certs guest")
        tls.reload()
        tls.logs(lambda line: line["event"] == "certificates replaced")
        with mqtt_client(tls=shown) as guest:
            # With TLS 1.3 a client is told when it believes to be in already.
            assert guest.connect("localhost", tls.ports["tls"]).startswith("closed: ")
        refused = tls.logs(lambda line: line["event"] == "TLS hand-shake failed")
        assert "certificate revoked" in refused["reason"]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("edge")
    prepare("edge.toml", directory)
    return directory


@pytest.fixture
def edge(gateway: Path) -> Iterator[Served]:
    with serving("edge.toml", gateway) as served:
        yield served


class TestEdge:
    def test_a_program_here_sees_what_a_device_reports(self, edge: Served, monkeypatch: pytest.MonkeyPatch) -> None:
        # A path of a Unix socket must be short, and that of a test's directory is not.
        monkeypatch.chdir(edge.directory)
        with mqtt_client("unix") as program, mqtt_client(username="sensor") as sensor:
            assert program.connect("mqttbroker.sock") == "Success"
            assert program.subscribe("#") == "Granted QoS 1"
            assert sensor.connect("127.0.0.1", edge.ports["lan"]) == "Success"
            assert sensor.publish("devices/sensor/state/temperature", "21.5") == "Success"
            assert program.receive() == ("devices/sensor/state/temperature", "21.5")

    def test_what_was_acknowledged_is_there_after_a_restart(
        self, gateway: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(gateway)
        with serving("edge.toml", gateway) as served, mqtt_client(username="sensor") as sensor:
            assert sensor.connect("127.0.0.1", served.ports["lan"]) == "Success"
            sensor.publish("devices/sensor/state/battery", "87", retain=True)
        with serving("edge.toml", gateway), mqtt_client("unix") as program:
            assert program.connect("mqttbroker.sock") == "Success"
            program.subscribe("devices/sensor/state/battery")
            assert program.receive() == ("devices/sensor/state/battery", "87")

    def test_the_network_needs_a_password(self, edge: Served) -> None:
        with mqtt_client(username="sensor", password="wrong") as sensor:
            assert sensor.connect("127.0.0.1", edge.ports["lan"]) == WRONG_PASSWORD

    def test_a_device_sends_no_large_messages(self, edge: Served) -> None:
        with mqtt_client(username="sensor") as sensor:
            assert sensor.connect("127.0.0.1", edge.ports["lan"]) == "Success"
            sensor.paho.publish("devices/sensor/state/picture", bytes(65_537))
            assert sensor.ended() == "closed: Packet too large"


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    directory = tmp_path_factory.mktemp("proxy")
    prepare("proxy.toml", directory)
    with serving("proxy.toml", directory) as served:
        yield served


class TestProxy:
    def test_the_client_is_where_the_header_says(self, proxy: Served) -> None:
        with mqtt_client(username="lamp", header=proxy_v2(("192.0.2.1", 4_711))) as lamp:
            assert lamp.connect("127.0.0.1", proxy.ports["mqtt"]) == "Success"
            assert lamp.subscribe("devices/lamp/commands/#") == "Granted QoS 1"
        assert proxy.logs(lambda line: line["event"] == "connected")["address"] == "192.0.2.1:4711"

    def test_the_browser_is_where_x_forwarded_for_says(self, proxy: Served) -> None:
        headers = {"X-Forwarded-For": "198.51.100.1, 203.0.113.7"}
        with mqtt_client("websockets", "lamp", headers=headers) as lamp:
            assert lamp.connect("127.0.0.1", proxy.ports["websocket"]) == "Success"
        assert proxy.logs(lambda line: line["event"] == "connected")["address"] == "203.0.113.7"

    def test_a_wrong_password_is_that_of_the_client(self, proxy: Served) -> None:
        with mqtt_client(username="lamp", password="wrong", header=proxy_v2(("192.0.2.2", 4_711))) as lamp:
            assert lamp.connect("127.0.0.1", proxy.ports["mqtt"]) == WRONG_PASSWORD
        assert proxy.logs(lambda line: line["event"] == "authentication refused")["address"] == "192.0.2.2:4711"

    def test_no_connection_is_without_a_header(self, proxy: Served) -> None:
        with mqtt_client(username="lamp") as lamp:
            assert lamp.connect("127.0.0.1", proxy.ports["mqtt"]).startswith("closed: ")
        refused = proxy.logs(lambda line: line["event"] == "connection failed")
        assert refused["reason"].startswith("no PROXY protocol header")

    @pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is one loopback address")
    def test_a_header_from_nobody_is_not_believed(self, proxy: Served) -> None:
        with mqtt_client(username="lamp", header=proxy_v2(("192.0.2.1", 4_711))) as lamp:
            assert lamp.connect("127.0.0.1", proxy.ports["mqtt"], ELSEWHERE).startswith("closed: ")
        refused = proxy.logs(lambda line: line["event"].startswith("connection refused"))
        assert refused["address"] == ELSEWHERE

    @pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is one loopback address")
    def test_x_forwarded_for_of_nobody_is_not_believed(self, proxy: Served) -> None:
        with mqtt_client("websockets", "lamp", headers={"X-Forwarded-For": "203.0.113.7"}) as lamp:
            assert lamp.connect("127.0.0.1", proxy.ports["websocket"], ELSEWHERE) == "Success"
        connected = proxy.logs(lambda line: line["event"] == "connected")
        assert connected["address"].startswith(f"{ELSEWHERE}:")
