"""``mqttbroker bench``: what it prints, and what it says when it cannot."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from mqttbroker.bench.process import cpu_clock, listener
from mqttbroker.broker import Credentials, Refused, VerdictCallback
from mqttbroker.cli.app import app
from mqttbroker.protocol import ConnAck, ReasonCode
from mqttbroker.testing import RunningBroker
from mqttbroker.testing.plugin import BrokerFactory
from tests.cli.server import Peer, scripted_broker
from tests.support.logged import until
from tests.support.pki import Pki
from tests.support.raw import RawClient
from tests.transports.site import Site


async def bench(*arguments: object, port: int | None = None) -> Result:
    """Run the command as a person does."""
    words = ["bench", *map(str, arguments), *(("-h", "127.0.0.1", "-p", str(port)) if port else ())]
    return await asyncio.to_thread(CliRunner().invoke, app, words, prog_name="mqttbroker", env={"COLUMNS": "200"})


async def as_json(*arguments: object, port: int | None = None) -> dict[str, Any]:
    """What it prints with ``--json``."""
    result = await bench(*arguments, "--json", port=port)
    assert (result.exit_code, result.stderr) == (0, "")
    document: dict[str, Any] = json.loads(result.stdout)
    return document


class TestReports:
    """What comes out."""

    @pytest.mark.parametrize(
        ("words", "delivered"),
        [
            (("pairs",), 60),
            (("pairs", "--publishers", 3, "-q", 2, "-V", 5), 60),
            (("fanout", "--subscribers", 5, "--payload", 100), 300),
            (("fanin", "--publishers", 5, "-q", 1), 60),
            (("offline", "--window", 10), 60),
            (("pairs", "--slow-readers", 1, "--slow-rate", 1000), 60),
        ],
        ids=["pairs", "pairs at QoS 2", "fan-out", "fan-in", "offline", "slow"],
    )
    async def test_counts(self, mqtt_broker: RunningBroker, words: tuple[object, ...], delivered: int) -> None:
        document = await as_json(*words, "--messages", 60, port=mqtt_broker.port)
        assert (document["format"], document["shape"], document["interrupted"]) == (1, words[0], False)
        assert (document["published"], document["delivered"]) == (60, delivered)
        assert document["latency_ms"] is None
        assert document["delivered_per_second"] > 0

    async def test_latencies_and_the_broker(self, mqtt_broker: RunningBroker) -> None:
        words = ("pairs", "--messages", 50, "--rate", 1000, "--pid", os.getpid())
        document = await as_json(*words, port=mqtt_broker.port)
        assert list(document["latency_ms"]) == ["p50", "p99", "p99.9", "max"]
        assert document["broker"]["pid"] == os.getpid()
        result = await bench(*words, port=mqtt_broker.port)
        assert result.exit_code == 0
        assert [line.split()[0] for line in result.stdout.splitlines()] == [
            "published",
            "delivered",
            "latency",
            "broker",
        ]

    async def test_connections(self, mqtt_broker: RunningBroker) -> None:
        words = ("connect", "--connections", 20, "--at-once", 4, "--again", 1, "--hold", 0.01)
        document = await as_json(*words, port=mqtt_broker.port)
        assert [each["connections"] for each in document["rounds"]] == [20, 20]
        result = await bench(*words, port=mqtt_broker.port)
        assert result.exit_code == 0
        assert "Round 1, all at once again" in result.stdout

    @pytest.mark.parametrize("transport", ["tcp", "tls", "ws", "wss"])
    async def test_urls(self, pki: Pki, tmp_path: Path, transport: Any) -> None:
        site = Site(transport, "asyncio", pki, tmp_path)
        try:
            port = site.start().port
            scheme = {"tcp": "mqtt", "tls": "mqtts"}.get(transport, transport)
            trust = ("--cafile", pki.ca) if transport in ("tls", "wss") else ()
            document = await as_json("pairs", "--messages", 20, "--url", f"{scheme}://localhost:{port}", *trust)
        finally:
            site.stop()
        assert document["delivered"] == 20

    async def test_a_unix_socket(self, pki: Pki, tmp_path: Path) -> None:
        site = Site("unix", "asyncio", pki, tmp_path)
        try:
            site.start()
            document = await as_json("pairs", "--messages", 20, "--socket", tmp_path / "mqtt.sock")
        finally:
            site.stop()
        assert document["delivered"] == 20


class TestFailures:
    """One line, and an exit code; never a traceback."""

    async def expect(self, message: str, *arguments: object, port: int | None = None) -> None:
        result = await bench(*arguments, port=port)
        assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (1, "", 1)
        assert message in result.stderr

    @pytest.mark.parametrize("shape", ["pairs", "connect"])
    async def test_nobody_is_there(self, mqtt_broker: RunningBroker, shape: str) -> None:
        mqtt_broker.stop()
        await self.expect("connection refused (is a broker running there?)", shape, port=mqtt_broker.port)

    @pytest.mark.parametrize("shape", ["pairs", "connect"])
    async def test_a_wrong_password(self, mqtt_broker_factory: BrokerFactory, shape: str) -> None:
        class Nobody:
            """Lets nobody in."""

            def authenticate(self, credentials: Credentials, done: VerdictCallback) -> None:
                assert (credentials.username, credentials.password) == ("me", b"wrong")
                done(Refused(ReasonCode.BAD_USER_NAME_OR_PASSWORD))

        broker = mqtt_broker_factory(authenticator=Nobody())
        words = (shape, "-u", "me", "-P", "wrong")
        await self.expect("the broker refused the connection: Bad User Name or Password", *words, port=broker.port)

    @pytest.mark.parametrize("shape", ["pairs", "connect"])
    async def test_a_broker_that_closes(self, shape: str) -> None:
        async def close(peer: Peer) -> None:
            await peer.receive()

        async with scripted_broker(close) as port:
            await self.expect("closed the connection in the place of an answer to CONNECT", shape, port=port)

    async def test_a_broker_that_closes_later(self) -> None:
        async def close(peer: Peer) -> None:
            await peer.accept(ConnAck(False, ReasonCode.SUCCESS))
            await peer.receive()

        async with scripted_broker(close) as port:
            await self.expect("the broker closed", "pairs", port=port)

    async def test_what_is_no_websocket(self, mqtt_broker: RunningBroker) -> None:
        await self.expect("WebSocket", "pairs", "--url", f"ws://127.0.0.1:{mqtt_broker.port}")

    async def test_no_tls(self, mqtt_broker: RunningBroker, pki: Pki) -> None:
        words = ("pairs", "--cafile", pki.ca)
        await self.expect("cannot connect to 127.0.0.1", *words, port=mqtt_broker.port)

    async def test_a_process_that_is_not_there(self, mqtt_broker: RunningBroker) -> None:
        await self.expect("there is no process 99999999", "pairs", "--pid", 99_999_999, port=mqtt_broker.port)

    async def test_no_room_for_the_time(self) -> None:
        words = ("pairs", "--payload", "7", "--rate", "1")
        await self.expect("at least 8 bytes", *words, port=1)

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (("pairs", "--url", "http://localhost"), "expected mqtt://HOST:PORT"),
            (("pairs", "--url", "mqtt://localhost/path"), "have a path"),
            (("pairs", "--url", "mqtt://localhost:x"), "Invalid value for --url"),
            (("pairs", "--url", "mqtt://localhost", "-p", "1"), "cannot be together"),
            (("pairs", "--url", "mqtt://localhost", "--tls-use-os-certs"), "expected mqtts://"),
            (("pairs", "--publishers", "2", "--subscribers", "3"), "since they are pairs"),
            (("pairs", "-V", "31"), "expected 5 or 311"),
            (("pairs", "--topic", "a/#"), "Invalid value for --topic"),
            (("circle",), "Invalid value for"),
        ],
    )
    async def test_of_the_command_line(self, words: tuple[str, ...], message: str) -> None:
        result = await bench(*words)
        assert result.exit_code == 2
        assert message in " ".join(result.stderr.split())


@pytest.mark.skipif(sys.platform == "win32", reason="a signal is sent")
@pytest.mark.parametrize(
    "words", [("pairs",), ("pairs", "--processes", "2", "--publishers", "2"), ("connect", "--hold", "60")]
)
async def test_an_interrupt_ends_it_with_a_report(mqtt_broker: RunningBroker, words: tuple[str, ...]) -> None:
    client = RawClient(mqtt_broker.host, mqtt_broker.port)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "mqttbroker", "bench", *words, "-p", str(mqtt_broker.port), "--json"),
        *("--seconds", "60", "--connections", "10"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(30):
        if words[0] == "connect":
            await until(lambda: mqtt_broker.call(lambda broker: broker.core.gate.connections) == 10)
        else:
            async with client:
                await client.connect("watcher")
                await client.subscribe("bench/#")
                await client.expect_publish()
        process.send_signal(signal.SIGINT)
        stdout, stderr = await process.communicate()
    assert (process.returncode, stderr) == (130, b"")
    document = json.loads(stdout)
    assert document["interrupted"]
    assert document.get("delivered", 1) > 0


class TestProcess:
    """The broker's process."""

    def test_who_listens(self, mqtt_broker: RunningBroker) -> None:
        assert listener(("127.0.0.1", mqtt_broker.port)) == os.getpid()
        mqtt_broker.stop()
        assert listener(("127.0.0.1", mqtt_broker.port)) is None
        assert listener(("192.0.2.1", mqtt_broker.port)) is None

    def test_its_time(self) -> None:
        clock = cpu_clock(os.getpid())
        assert clock is not None
        assert clock() > 0
        assert cpu_clock(99_999_999) is None
