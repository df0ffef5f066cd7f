"""``mqttbroker serve`` in a process of its own, and what keeps it from starting."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from mqttbroker import server
from mqttbroker.config import AdminConfig, Config, ListenerConfig, LogConfig, SecurityConfig
from mqttbroker.security import SecurityError
from mqttbroker.storage import StoreError
from tests.cli.conftest import Command
from tests.support.pki import Pki
from tests.support.raw import RawClient


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Config]:
    """The configurations that a broker would be run with; none is run, and no logging is set up."""
    configs: list[Config] = []
    monkeypatch.setattr(server, "serve", configs.append)
    monkeypatch.setattr("mqttbroker.logs.configure_logging", lambda *_, **__: None)
    return configs


class TestConfiguration:
    """Options, environment and file reach the broker."""

    def test_nothing_said(self, command: Command, served: list[Config]) -> None:
        assert command("serve").exit_code == 0
        assert served == [Config()]

    def test_every_option(self, command: Command, served: list[Config], tmp_path: Path) -> None:
        file = tmp_path / "broker.toml"
        file.write_text("[limits]\nmax_qos = 1\n[log]\nlevel = 'debug'\n", encoding="utf-8")
        result = command(
            *("serve", "--config", file, "--host", "0.0.0.0", "--port", 0, "--data-dir", "store"),
            *("--log-level", "error", "--log-format", "json", "--password-file", "users", "--no-allow-anonymous"),
            *("--acl-file", "acl", "--admin-port", 8081),
        )
        assert result.exit_code == 0
        [config] = served
        assert config.limits.max_qos == 1
        assert config == Config(
            data_dir=Path("store"),
            listeners=(ListenerConfig(host="0.0.0.0", port=0),),
            limits=config.limits,
            security=SecurityConfig(False, Path("users"), Path("acl")),
            log=LogConfig("error", "json"),
            admin=AdminConfig(enabled=True, port=8081),
        )

    def test_the_environment(self, command: Command, served: list[Config], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MQTTBROKER_LISTENERS__0__PORT", "1884")
        assert command("serve").exit_code == 0
        assert served == [Config(listeners=(ListenerConfig(port=1884),))]

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("--port", 70_000), "option listeners.0.port: expected 0 to 65535, got 70000"),
            (("--config", "none.toml"), "none.toml: cannot be read: No such file or directory"),
            (("--host", "0.0.0.0"), "listener 'tcp' on 0.0.0.0 could be used by anybody who reaches this machine. "),
        ],
        ids=["value", "file", "exposure"],
    )
    def test_mistakes(
        self, command: Command, served: list[Config], arguments: tuple[object, ...], message: str
    ) -> None:
        result = command("serve", *arguments)
        assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
        assert result.stderr.startswith(f"mqttbroker: {message}")
        assert not served

    def test_an_option_that_is_none(self, command: Command, served: list[Config]) -> None:
        assert command("serve", "--log-level", "loud").exit_code == 2
        assert not served

    @pytest.mark.parametrize(
        ("error", "code", "message"),
        [
            (StoreError("the disk is full"), 1, "mqttbroker: the disk is full\n"),
            (SecurityError("users", "line 1", "no colon"), 1, "mqttbroker: users: line 1: no colon\n"),
            (OSError(98, "Address already in use"), 1, "mqttbroker: Address already in use\n"),
            (OSError("no address"), 1, "mqttbroker: no address\n"),
            (KeyboardInterrupt(), 130, ""),
        ],
        ids=["store", "users", "address in use", "no number", "interrupted"],
    )
    def test_a_broker_that_does_not_start(
        self, command: Command, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, message: str
    ) -> None:
        def fail(_config: Config) -> None:
            raise error

        monkeypatch.setattr(server, "serve", fail)
        monkeypatch.setattr("mqttbroker.logs.configure_logging", lambda *_, **__: None)
        result = command("serve")
        assert (result.exit_code, result.stderr) == (code, message)


class TestCheckConfig:
    """``mqttbroker check-config`` says what would be so, or what is wrong."""

    def test_the_admin_server(self, command: Command, tmp_path: Path) -> None:
        file = tmp_path / "broker.toml"
        file.write_text("[admin]\nenabled = true\naccounts_file = 'admin.json'\n", encoding="utf-8")
        result = command("check-config", file)
        assert result.exit_code == 0
        assert "\nadmin server: 127.0.0.1 port 8080\n" in result.stdout
        (tmp_path / "admin.json").write_text("{}", encoding="utf-8")
        result = command("check-config", file)
        assert result.exit_code == 1
        assert "admin.json: expected accounts of the admin server" in result.stderr

    def test_the_defaults(self, command: Command) -> None:
        result = command("check-config")
        assert result.exit_code == 0
        assert result.stdout.splitlines() == [
            "listener tcp: tcp on 127.0.0.1 port 1883",
            "without a user name: may connect",
            "password file: none",
            "rules: none, so that everybody may publish and subscribe to everything",
            "data directory: none, everything is kept in memory",
            "The configuration is correct.",
        ]

    def test_a_file(self, command: Command, tmp_path: Path) -> None:
        file = tmp_path / "broker.toml"
        file.write_text(
            "data_dir = 'data'\nsecurity = {password_file = 'users'}\n[[listeners]]\nhost = '::'\n", encoding="utf-8"
        )
        command("passwd", tmp_path / "users", "alice", "--password-stdin", input="secret")
        result = command("check-config", file)
        assert result.exit_code == 0
        assert result.stderr == (
            "mqttbroker: warning: no acl_file: with a password file and no rules, nobody may publish or subscribe, "
            f"password_file {tmp_path / 'users'}\n"
        )
        assert "without a user name: may not connect" in result.stdout
        assert "rules: none, so that nobody may publish or subscribe (set security.acl_file)" in result.stdout
        assert f"password file: {tmp_path / 'users'}" in result.stdout
        assert f"data directory: {tmp_path / 'data'}, durability fsync" in result.stdout

    def test_listeners_that_differ(self, command: Command, tmp_path: Path) -> None:
        file = tmp_path / "broker.toml"
        file.write_text(
            """
            [[listeners]]
            [[listeners]]
            name = "site"
            type = "websocket"
            socket = "s.sock"
            proxy_protocol = true
            mount_point = "site-7/"
            username_from = "unix_user"
            [listeners.security]
            allow_anonymous = true
            acl_file = "acl"
            """,
            encoding="utf-8",
        )
        (tmp_path / "acl").write_text('rules = [{who = "*", action = "both", topics = ["#"], effect = "allow"}]')
        result = command("check-config", file)
        assert result.exit_code == 0
        assert result.stdout.splitlines() == [
            "listener tcp: tcp on 127.0.0.1 port 1883",
            "  without a user name: may connect",
            "  password file: none",
            "  rules: none, so that everybody may publish and subscribe to everything",
            f"listener site: websocket on {tmp_path / 's.sock'} behind a proxy, topics below site-7/, "
            "user name from unix_user",
            "  without a user name: may connect",
            "  password file: none",
            f"  rules: {tmp_path / 'acl'}",
            "data directory: none, everything is kept in memory",
            "The configuration is correct.",
        ]

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("[security]\npassword_file = 'none'\n", "{0}/none: cannot be read: No such file or directory"),
            ("[security]\nacl_file = 'none'\n", "{0}/none: cannot be read: No such file or directory"),
            (
                "[[listeners]]\n[listeners.tls]\ncertificate = 'none'\n",
                "{0}/none: cannot be read: No such file or directory",
            ),
            (
                "[[listeners]]\ntype = 'websocket'\npages = 'none'\n",
                "pages in '{0}/none' cannot be served: No such file or directory",
            ),
        ],
        ids=["users", "rules", "certificate", "pages"],
    )
    def test_files_that_are_not_there(self, command: Command, tmp_path: Path, text: str, message: str) -> None:
        file = tmp_path / "broker.toml"
        file.write_text(text, encoding="utf-8")
        result = command("check-config", file)
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr == f"mqttbroker: {message.format(tmp_path)}\n"

    def test_what_has_run_out_is_a_warning(self, command: Command, tmp_path: Path, pki: Pki) -> None:
        file = tmp_path / "broker.toml"
        tls = f"certificate = '{pki.certificate('expired-server')}'\nkey = '{pki.key('expired-server')}'"
        file.write_text(f"[[listeners]]\n[listeners.tls]\n{tls}\n", encoding="utf-8")
        result = command("check-config", file)
        assert result.exit_code == 0
        assert "listener tcp: tcp with TLS on 127.0.0.1 port 1883" in result.stdout
        assert result.stderr.startswith("mqttbroker: warning: ")
        assert f"has expired, file {pki.certificate('expired-server')}" in result.stderr

    def test_a_mistake(self, command: Command, tmp_path: Path) -> None:
        file = tmp_path / "broker.toml"
        file.write_text("[limits]\nmax_quos = 1\n", encoding="utf-8")
        result = command("check-config", file)
        message = f"mqttbroker: {file}: limits.max_quos: unknown key; did you mean limits.max_qos?\n"
        assert (result.exit_code, result.stdout, result.stderr) == (1, "", message)


@asynccontextmanager
async def running(*arguments: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, list[str], int]]:
    """``mqttbroker serve`` on a free port: its process, the log lines up to the one that names the port, the port."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("MQTTBROKER_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "mqttbroker", "serve", "--port", "0", *arguments),
        stderr=asyncio.subprocess.PIPE,
        env=environ,
    )
    assert process.stderr is not None
    lines: list[str] = []
    try:
        async with asyncio.timeout(20):
            while not (match := re.search(r"""port["=: ]+(\d+)""", lines[-1] if lines else "")):
                line = (await process.stderr.readline()).decode()
                assert line, f"the broker has ended: {lines}"
                lines.append(line)
        yield process, lines, int(match[1])
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


class TestProcess:
    """A broker as a person runs it."""

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
    async def test_it_serves_and_stops_when_told(self, number: signal.Signals) -> None:
        async with running() as (process, _, port), RawClient("127.0.0.1", port) as client:
            await client.connect()
            process.send_signal(number)
            await client.expect_closed()
            async with asyncio.timeout(10):
                assert await process.wait() == 0

    async def test_what_a_client_sends_cannot_forge_a_log_line(self) -> None:
        async with running("--log-level", "debug") as (process, lines, port):
            assert process.stderr is not None
            async with RawClient("127.0.0.1", port) as client:
                await client.connect("a\r\n2026 info forged \x1b[2J\u202e", username="b\nforged\x1b[2J")
            process.terminate()
            async with asyncio.timeout(10):
                log = "".join(lines) + (await process.stderr.read()).decode()
            assert "forged" in log
            for line in log.splitlines():
                assert line.isprintable()
                assert re.match(r"\d{4}-\d\d-\d\dT[\d:.]+Z (debug|info|warning|error) ", line), line

    async def test_a_port_in_use_is_one_line(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "mqttbroker", "serve", "--port", str(taken.getsockname()[1])),
                stderr=asyncio.subprocess.PIPE,
            )
            async with asyncio.timeout(20):
                _, output = await process.communicate()
        assert process.returncode == 1
        [line] = output.decode().splitlines()
        assert line.startswith("mqttbroker: ")
        assert line.lower().endswith("address already in use")
