"""docs/listeners.md is right: its configurations are correct, its commands work with them, and so do the proxies."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mqttbroker.config import load_config
from mqttbroker.security import AccessList
from tests.config.page import Block, blocks, commands
from tests.config.served import PASSWORD, PROGRAM, TIMEOUT, Client, Served, environment, mqtt_client, run, serving
from tests.support.tools import require_tool

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "listeners.md"
BLOCKS = blocks(PAGE)
CONFIGURATIONS = [each for each in BLOCKS if each.language == "toml" and not each.file]
RULES = [each for each in BLOCKS if each.language == "toml" and each.file]

PUBLISHERS = ("mqttbroker pub ", "mosquitto_pub ")
SUBSCRIBERS = ("mqttbroker sub ", "mosquitto_sub ")
WITH_CLIENTS = [each for each in CONFIGURATIONS if any(line.startswith(PUBLISHERS) for line in each.commands)]

# Where nobody is trusted, on the loopback interface.
ELSEWHERE = "127.0.0.2"

STREAM_MODULE = Path("/usr/lib/nginx/modules/ngx_stream_module.so")


def name(block: Block) -> str:
    """What a test of this block is called."""
    number = [each for each in BLOCKS if each.section == block.section and each.language == block.language].index(block)
    return f"{block.section} {number + 1}"


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with all that the page tells people to make."""
    directory = tmp_path_factory.mktemp("page")
    shutil.copy(ROOT / "config" / "acl.toml", directory)
    for line in [*commands(PAGE), *(line for each in CONFIGURATIONS for line in each.commands)]:
        if not line.startswith((*PUBLISHERS, *SUBSCRIBERS)):
            run(directory, line)
    for block in RULES:
        (directory / block.file).write_text(block.text, encoding="utf-8")
    return directory


@contextmanager
def served(directory: Path, block: Block) -> Iterator[Served]:
    """A broker that runs with this block, on free ports."""
    (directory / "broker.toml").write_text(block.text, encoding="utf-8")
    with serving("broker.toml", directory) as broker:
        yield broker


def with_ports(text: str, directory: Path, broker: Served, pattern: str) -> str:
    """A text with the ports in the configuration replaced by those that are in use, where the pattern has them."""
    ports = {each.port: broker.ports[each.name] for each in load_config(directory / "broker.toml", {}).listeners}
    return re.sub(pattern, lambda found: f"{found[1]}{ports[int(found[2])]}", text)


class TestConfigurations:
    @pytest.mark.parametrize("block", CONFIGURATIONS, ids=name)
    def test_is_correct(self, directory: Path, block: Block) -> None:
        (directory / "page.toml").write_text(block.text, encoding="utf-8")
        assert run(directory, "mqttbroker check-config page.toml").endswith("\nThe configuration is correct.\n")

    @pytest.mark.parametrize("block", RULES, ids=lambda block: block.file)
    def test_rules_are_correct(self, directory: Path, block: Block) -> None:
        AccessList.load(directory / block.file)

    def test_every_kind_of_listener_is_there(self, tmp_path: Path) -> None:
        kinds: set[str] = set()
        for block in CONFIGURATIONS:
            (tmp_path / "page.toml").write_text(block.text, encoding="utf-8")
            for listener in load_config(tmp_path / "page.toml", {}).listeners:
                kinds.add(listener.type)
                kinds |= {"TLS"} if listener.tls else set()
                kinds |= {"mount point"} if listener.mount_point else set()
                kinds |= {"PROXY protocol"} if listener.proxy_protocol else set()
        assert kinds == {"tcp", "websocket", "unix", "TLS", "mount point", "PROXY protocol"}


class TestClients:
    @pytest.mark.parametrize("block", WITH_CLIENTS, ids=name)
    def test_commands_work(self, directory: Path, block: Block) -> None:
        with served(directory, block) as broker:
            for line in block.commands:
                subscribes = line.startswith(SUBSCRIBERS)
                if not subscribes and not line.startswith(PUBLISHERS):
                    continue
                program, *arguments = shlex.split(with_ports(line, directory, broker, r"(-p )(\d+)"))
                command = PROGRAM if program == "mqttbroker" else (require_tool(program),)
                done = subprocess.run(
                    [*command, *(PASSWORD if each == "PASSWORD" else each for each in arguments)],
                    cwd=directory,
                    capture_output=True,
                    text=True,
                    timeout=TIMEOUT,
                )
                assert done.returncode == 0, done.stderr
                assert (done.stdout != "") == subscribes
                if subscribes and block.section == "Mount points":
                    assert done.stdout == "site-7/boiler/temperature 71\n"

    def test_the_python_program_works(self, directory: Path) -> None:
        [program] = [each for each in BLOCKS if each.language == "python"]
        [configuration] = [each for each in CONFIGURATIONS if each.section == program.section]
        with served(directory, configuration) as broker, mqtt_client("websockets", "alice") as alice:
            assert alice.connect("127.0.0.1", broker.ports["browsers"]) == "Success"
            assert alice.publish("devices/alice/state/power", "on", retain=True) == "No matching subscribers"
            text = with_ports(program.text, directory, broker, r'(connect\("127.0.0.1", )(\d+)')
            with subprocess.Popen(
                [sys.executable, "-c", text.replace("PASSWORD", PASSWORD)], stdout=subprocess.PIPE, text=True
            ) as running:
                try:
                    assert running.stdout is not None
                    assert running.stdout.readline() == "devices/alice/state/power on\n"
                finally:
                    running.kill()


def address_of(client: Client) -> str:
    """Where a client really is."""
    connected = client.paho.socket()
    assert isinstance(connected, socket.socket)
    return "{}:{}".format(*connected.getsockname())


@pytest.fixture
def behind(directory: Path) -> Iterator[Served]:
    """The broker that the page puts behind proxies."""
    [block] = [each for each in CONFIGURATIONS if each.section == "Behind a proxy"]
    with served(directory, block) as broker:
        yield broker


def proxy_configuration(language: str, number: int, directory: Path, broker: Served) -> str:
    """What the page says of a proxy, for this broker and the certificates in the directory."""
    certificate, key = (directory / "certs" / name for name in ("server.pem", "server-key.pem"))
    (directory / "broker.pem").write_bytes(certificate.read_bytes() + key.read_bytes())
    shutil.copy(key, directory / "broker-key.pem")
    shutil.copy(directory / "certs" / "ca.pem", directory)
    text = [each for each in BLOCKS if each.language == language][number].text
    text = with_ports(text, directory, broker, r"(127\.0\.0\.1:)(\d+)")
    return text.replace(f"/etc/{language}/", f"{directory}/")


@contextmanager
def running(command: list[str], *sockets: socket.socket, **variables: str) -> Iterator[None]:
    """A proxy, which takes over sockets that listen already."""
    with subprocess.Popen(
        command,
        env=environment(**variables),
        pass_fds=[each.fileno() for each in sockets],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.STDOUT,
        process_group=0,
    ) as process:
        try:
            yield
        finally:
            # With the processes that it has made.
            os.killpg(process.pid, signal.SIGKILL)


@contextmanager
def nginx(directory: Path, context: str, text: str, port: socket.socket) -> Iterator[None]:
    """nginx with a server in a context, ``http`` or ``stream``."""
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi") if context == "http" else ()
    lines = [
        f"load_module {STREAM_MODULE};" if context == "stream" else "",
        f"daemon off; pid {directory}/nginx.pid; error_log stderr; events {{}}",
        f"{context} {{ access_log off;",
        *(f"{kind}_temp_path {directory}/{kind};" for kind in kinds),
        text.replace("listen ", "listen 127.0.0.1:"),
        "}",
    ]
    (directory / "nginx.conf").write_text("\n".join(lines), encoding="utf-8")
    command = [require_tool("nginx"), "-e", "stderr", "-p", str(directory), "-c", str(directory / "nginx.conf")]
    # This is how nginx hands its sockets to the nginx that takes its place.
    with running(command, port, NGINX=f"{port.fileno()};"):
        yield


@pytest.fixture
def port() -> Iterator[socket.socket]:
    """A socket that listens, for a proxy."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        yield listening


second_port = port


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is one loopback address")
class TestProxies:
    def test_haproxy(self, directory: Path, behind: Served, port: socket.socket, second_port: socket.socket) -> None:
        text = proxy_configuration("haproxy", 0, directory, behind)
        text = text.replace("bind :8883", f"bind fd@{port.fileno()}").replace(
            "bind :8084", f"bind fd@{second_port.fileno()}"
        )
        (directory / "haproxy.cfg").write_text(text, encoding="utf-8")
        command = [require_tool("haproxy"), "-db", "-f", str(directory / "haproxy.cfg")]
        certs = directory / "certs"
        shown = [certs / "ca.pem", certs / "client-alice.pem", certs / "client-alice-key.pem"]
        with (
            running(command, port, second_port),
            mqtt_client(tls=shown) as alice,
            mqtt_client("websockets", "dashboard", tls=shown[:1]) as dashboard,
            mqtt_client(tls=shown[:1]) as nobody,
        ):
            assert dashboard.connect("localhost", second_port.getsockname()[1], ELSEWHERE) == "Success"
            line = behind.logs(lambda line: line["event"] == "connected")
            # HAProxy tells the address in X-Forwarded-For, and not the port.
            assert (line["user"], line["address"]) == ("dashboard", ELSEWHERE)
            assert dashboard.subscribe("devices/#") == "Granted QoS 1"
            assert alice.connect("localhost", port.getsockname()[1]) == "Success"
            line = behind.logs(lambda line: line["event"] == "connected")
            assert (line["user"], line["address"]) == ("alice", address_of(alice))
            assert alice.publish("devices/alice/state/power", "on") == "Success"
            assert dashboard.receive() == ("devices/alice/state/power", "on")
            assert nobody.connect("localhost", port.getsockname()[1]) == "Not authorized"

    def test_nginx_for_websocket(self, directory: Path, behind: Served, port: socket.socket) -> None:
        text = proxy_configuration("nginx", 0, directory, behind)
        text = text.replace("8084", str(port.getsockname()[1]))
        # What the client says of itself stands before what nginx says.
        headers = {"X-Forwarded-For": "192.0.2.1"}
        with (
            nginx(directory, "http", text, port),
            mqtt_client("websockets", "alice", tls=[directory / "certs" / "ca.pem"], headers=headers) as alice,
        ):
            assert alice.connect("localhost", port.getsockname()[1], ELSEWHERE) == "Success"
            assert behind.logs(lambda line: line["event"] == "connected")["address"] == ELSEWHERE

    @pytest.mark.skipif(not STREAM_MODULE.exists(), reason="nginx, if it is here, has no module for TCP")
    def test_nginx_for_tcp(self, directory: Path, behind: Served, port: socket.socket) -> None:
        text = proxy_configuration("nginx", 1, directory, behind)
        text = text.replace("8883", str(port.getsockname()[1]))
        with (
            nginx(directory, "stream", text, port),
            mqtt_client(username="alice", tls=[directory / "certs" / "ca.pem"]) as alice,
        ):
            assert alice.connect("localhost", port.getsockname()[1]) == "Success"
            assert behind.logs(lambda line: line["event"] == "connected")["address"] == address_of(alice)
