"""``mqttbroker clients``, ``top`` and ``trace`` on a running broker, and how they say what is wrong."""

from __future__ import annotations

import fcntl
import http.server
import json
import os
import select
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from mqttbroker.broker import ClientOrder
from mqttbroker.cli import top
from mqttbroker.cli.admin_client import AdminClient, access
from mqttbroker.config import LOCAL_TOKEN_FILE, AdminConfig, Config, ListenerConfig, SysConfig
from mqttbroker.testing import RunningBroker
from tests.admin.conftest import cheap_hashes
from tests.cli.conftest import Command

__all__ = ["cheap_hashes"]

TIMEOUT = 20.0


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(
        listeners=(ListenerConfig(port=0),),
        data_dir=tmp_path / "data",
        admin=AdminConfig(enabled=True, port=0),
        sys=SysConfig(interval=0),
    )


@pytest.fixture
def broker(config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningBroker]:
    """A broker that was started where the commands are."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MQTTBROKER_TOKEN", raising=False)
    with RunningBroker(config=config) as running:
        yield running


def url_of(broker: RunningBroker) -> str:
    admin = broker.broker.admin
    assert admin is not None
    return admin.url.rstrip("/")


def token_of(tmp_path: Path) -> str:
    return (tmp_path / "data" / LOCAL_TOKEN_FILE).read_text().splitlines()[0]


@pytest.fixture
def device(broker: RunningBroker) -> Iterator[mqtt.Client]:
    """A client with subscriptions."""
    yield from connected(broker, "sensor-1")


def connected(broker: RunningBroker, client_id: str, password: str | None = None) -> Iterator[mqtt.Client]:
    """A client that is connected."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id, protocol=mqtt.MQTTv5, reconnect_on_failure=False)
    there = threading.Event()
    client.on_connect = lambda *_: there.set()
    if password is not None:
        client.username_pw_set("joe", password)
    client.connect(broker.host, broker.port)
    client.loop_start()
    assert there.wait(TIMEOUT)
    yield client
    client.disconnect()
    client.loop_stop()


class TestClients:
    def test_without_a_word(self, command: Command, device: mqtt.Client) -> None:
        """Where the broker was started, its own token is found."""
        result = command("clients")
        assert (result.exit_code, result.stderr) == (0, "")
        head, row = result.stdout.splitlines()
        assert head.split()[:4] == ["CLIENT", "RECEIVED", "SENT", "QUEUED"]
        assert row.split()[0] == "sensor-1"

    def test_for_programs(self, command: Command, device: mqtt.Client, broker: RunningBroker) -> None:
        for _ in connected(broker, "lamp"):
            result = command("clients", "--json", "--search", "sensor", "--sort", "queued")
            (line,) = result.stdout.splitlines()
            assert json.loads(line)["client_id"] == "sensor-1"
            result = command("clients", "--limit", 1)
            assert len(result.stdout.splitlines()) == 2
            assert result.stderr == "1 of 2 clients\n"

    def test_by_a_token_of_a_file_or_the_environment(
        self, command: Command, broker: RunningBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        kept = tmp_path / "token"
        kept.write_text(token_of(tmp_path))
        monkeypatch.chdir("/")
        assert command("clients", "--url", url_of(broker), "--token-file", kept).exit_code == 0
        monkeypatch.setenv("MQTTBROKER_TOKEN", kept.read_text())
        assert command("clients", "--url", url_of(broker)).exit_code == 0


class TestLocalToken:
    def test_it_is_its_owners_and_ends_with_the_broker(self, config: Config, tmp_path: Path) -> None:
        file = tmp_path / "data" / LOCAL_TOKEN_FILE
        secrets: list[str] = []
        for _ in range(2):
            with RunningBroker(config=config) as running:
                assert file.stat().st_mode & 0o777 == 0o600
                secret, url = file.read_text().splitlines()
                assert url == url_of(running)
                headers = {"Authorization": f"Bearer {secret}"}
                answer = httpx.get(f"{url}/api/v1/audit", headers=headers, trust_env=False)
                assert answer.status_code == 200
                if secrets:
                    old = {"Authorization": f"Bearer {secrets[0]}"}
                    assert httpx.get(f"{url}/api/v1/broker", headers=old, trust_env=False).status_code == 401
                assert secret not in (tmp_path / "data" / "admin.json").read_text()
                secrets.append(secret)
            assert not file.exists()
        assert secrets[0] != secrets[1]

    def test_one_that_cannot_be_written(self, config: Config, tmp_path: Path) -> None:
        (tmp_path / "data" / LOCAL_TOKEN_FILE).mkdir(parents=True)
        with RunningBroker(config=config) as running:
            assert [event for _, event, _ in running.logged].count("no token for commands on this machine") == 1

    def test_everywhere_is_here(self, config: Config, tmp_path: Path) -> None:
        config = replace(config, admin=replace(config.admin, host="0.0.0.0"))
        with RunningBroker(config=config):
            url = (tmp_path / "data" / LOCAL_TOKEN_FILE).read_text().splitlines()[1]
            assert url.startswith("http://127.0.0.1:")

    def test_what_somebody_else_has_put_there_stays(self, config: Config, tmp_path: Path) -> None:
        file = tmp_path / "data" / LOCAL_TOKEN_FILE
        with RunningBroker(config=config):
            file.write_text("another")
        assert file.read_text() == "another"


class TestWhatIsWrong:
    def test_no_token(self, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.delenv("MQTTBROKER_TOKEN", raising=False)
        result = command("clients")
        assert result.exit_code == 1
        assert result.stderr.startswith("mqttbroker: no token: give --token-file, set MQTTBROKER_TOKEN, or name")
        result = command("clients", "--data-dir", "elsewhere")
        assert "elsewhere/admin-token: is not there; a broker with an admin server" in result.stderr

    def test_the_token_of_this_machine_is_not_sent_to_another(self, command: Command, broker: RunningBroker) -> None:
        assert "no token" in command("clients", "--url", "http://broker.example:8080").stderr

    def test_nobody_there(self, command: Command, tmp_path: Path) -> None:
        (tmp_path / "token").write_text("mqb_x")
        result = command("clients", "--url", "http://127.0.0.1:1", "--token-file", tmp_path / "token")
        assert result.stderr.startswith("mqttbroker: nobody answers at http://127.0.0.1:1: either no broker runs, or")
        assert result.exit_code == 1

    def test_a_token_that_is_not_good(self, command: Command, broker: RunningBroker, tmp_path: Path) -> None:
        (tmp_path / "token").write_text("mqb_wrong")
        for name in ("clients", "top"):
            result = command(name, "--url", url_of(broker), "--token-file", tmp_path / "token")
            assert "does not know the token of" in result.stderr
            assert "mqb_wrong" not in result.stderr

    @pytest.mark.parametrize("url", ["ftp://x", "http://", "http://a:b"])
    def test_an_address_that_is_none(self, command: Command, tmp_path: Path, url: str) -> None:
        (tmp_path / "token").write_text("mqb_x")
        result = command("clients", "--url", url, "--token-file", tmp_path / "token")
        assert "--url: expected an address such as http://127.0.0.1:8080" in result.stderr

    @pytest.mark.parametrize(("content", "said"), [("", "there is no token in it"), ("é", "this is no token")])
    def test_a_file_without_a_token(self, command: Command, tmp_path: Path, content: str, said: str) -> None:
        (tmp_path / "token").write_text(content)
        assert said in command("clients", "--token-file", tmp_path / "token").stderr

    @pytest.mark.parametrize(("status", "body"), [(200, b"<html>"), (404, b"<html>"), (403, b"{}")])
    def test_another_server(self, command: Command, tmp_path: Path, status: int, body: bytes) -> None:
        class Other(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        (tmp_path / "token").write_text("mqb_x")
        with http.server.HTTPServer(("127.0.0.1", 0), Other) as server:
            thread = threading.Thread(target=server.handle_request)
            thread.start()
            url = f"http://127.0.0.1:{server.server_port}"
            result = command("clients", "--url", url, "--token-file", tmp_path / "token")
            thread.join(TIMEOUT)
        assert result.stderr == f"mqttbroker: {url} is no admin server of mqttbroker, or of another version\n"


class TestTrace:
    def test_one_line_for_each_packet(self, command: Command, broker: RunningBroker) -> None:
        def devices() -> None:
            """As soon as the trace is on."""
            wait_for_trace(broker)
            for client in connected(broker, "sensor-1", "correct horse"):
                client.publish("a/b", b"hello", 1).wait_for_publish(TIMEOUT)

        thread = threading.Thread(target=devices)
        thread.start()
        result = command("trace", "--client", "sensor-1", "--packets", 5)
        thread.join(TIMEOUT)
        assert result.exit_code == 0
        shown = [line.split("  ", 1)[1].split() for line in result.stdout.splitlines()]
        assert [line[:3] for line in shown[:4]] == [
            ["sensor-1", "->", "CONNECT"],
            ["sensor-1", "<-", "CONNACK"],
            ["sensor-1", "->", "PUBLISH"],
            ["sensor-1", "<-", "PUBACK"],
        ]
        assert shown[2][3:] == ["a/b", "q1", "#1", "5", "B", "hello"]
        assert "correct horse" not in result.output
        assert result.stderr.splitlines()[-1] == "5 packets; that was as many packets as were asked for"

    def test_for_programs(self, command: Command, broker: RunningBroker) -> None:
        result = command("trace", "--topic", "a", "--seconds", 1, "--json")
        assert [json.loads(line)["kind"] for line in result.stdout.splitlines()] == ["begin", "end"]

    def test_one_of_three(self, command: Command) -> None:
        for options in ((), ("--client", "a", "--topic", "b")):
            result = command("trace", *options)
            assert (result.exit_code, "give one of --client, --topic and --address" in result.stderr) == (2, True)

    def test_what_the_broker_does_not_take(self, command: Command, broker: RunningBroker) -> None:
        result = command("trace", "--address", "home")
        assert result.stderr == "mqttbroker: expected an IP address, or a network such as 192.0.2.0/24\n"


def wait_for_trace(broker: RunningBroker) -> None:
    for _ in range(100_000):
        if broker.call(lambda inner: inner.core.tracing.on):
            return
    raise TimeoutError


def exchange(client: mqtt.Client, size: int) -> None:
    """Have the client receive a message of its own."""
    done = threading.Event()

    def publish(*_: object) -> None:
        client.publish("own", bytes(size))

    def unsubscribe(*_: object) -> None:
        client.unsubscribe("own")

    client.on_subscribe = publish
    client.on_message = unsubscribe
    client.on_unsubscribe = lambda *_: done.set()
    client.subscribe("own")
    assert done.wait(TIMEOUT)


class TestTop:
    def test_once(self, command: Command, device: mqtt.Client, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(top, "FIRST", 0.01)
        result = command("top", "--once")
        assert (result.exit_code, result.stderr) == (0, "")
        assert result.stdout.startswith("mqttbroker 0.")
        assert "1 clients, by queued" in result.stdout
        assert "sensor-1" in result.stdout

    @pytest.mark.parametrize("sort", ["received_bytes", "sent_bytes"])
    def test_who_has_most_traffic_now(self, command: Command, broker: RunningBroker, sort: ClientOrder) -> None:
        """The first is not the one that had most since it connected; of one that has just come nothing is known yet."""
        admin = AdminClient(access(url_of(broker), None, None), None)

        def sample(at: float) -> top.Sample:
            return top.Sample(at, admin.get("broker"), admin.get("clients")["items"])

        def line(client_id: str) -> list[str]:
            (found,) = (each for each in picture if each.split()[:1] == [client_id])
            return found.split()

        with ExitStack() as stack:
            first, second = (stack.enter_context(contextmanager(connected)(broker, name)) for name in ("a", "b"))
            exchange(first, 50_000)
            before = sample(10.0)
            exchange(second, 20_000)
            stack.enter_context(contextmanager(connected)(broker, "c"))
            picture = top.screen("", before, sample(12.0), sort, 120, 40, "")
        assert [each.split()[0] for each in picture[-3:]] == ["b", "a", "c"]
        assert line("b")[1:5] == ["10", "kB/s", "10", "kB/s"]
        assert line("a")[1:5] == ["0", "B/s", "0", "B/s"]
        assert line("c")[1:3] == ["–", "–"]

    def test_on_a_terminal(self, broker: RunningBroker, device: mqtt.Client) -> None:
        """It fills the window, follows its size, changes the order, and leaves the terminal as it was."""
        with Terminal("top", "--every", "0.5") as terminal:
            terminal.until("by queued")
            terminal.press("s")
            terminal.until("by in flight")
            terminal.resize(10, 40)
            terminal.until("sensor-1")
            terminal.press("q")
            terminal.until("\x1b[?1049l")
            assert terminal.ended() == 0

    def test_a_broker_that_goes_away(self, broker: RunningBroker) -> None:
        with Terminal("top", "--every", "0.5") as terminal:
            terminal.until("by queued")
            broker.stop()
            terminal.until("What is shown is old")
            terminal.press("q")
            assert terminal.ended() == 0


class Terminal:
    """A command on a terminal of its own."""

    def __init__(self, *arguments: str) -> None:
        self._arguments = arguments
        self._seen: str = ""

    def __enter__(self) -> Terminal:
        self._master, slave = os.openpty()
        self.resize(30, 120)
        command = [sys.executable, "-m", "mqttbroker", *self._arguments]
        self._process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave)
        os.close(slave)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait(TIMEOUT)
        os.close(self._master)

    def resize(self, rows: int, columns: int) -> None:
        """Another size of the window."""
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def press(self, key: str) -> None:
        """Press a key."""
        os.write(self._master, key.encode())

    def until(self, text: str) -> None:
        """Wait until the command has written this, after what was waited for before."""
        while text not in self._seen:
            ready, _, _ = select.select([self._master], [], [], TIMEOUT)
            assert ready, self._seen
            self._seen += os.read(self._master, 65_536).decode("utf-8", "replace")
        self._seen = self._seen.partition(text)[2]

    def ended(self) -> int:
        """Wait for the end; the exit code."""
        return self._process.wait(TIMEOUT)
