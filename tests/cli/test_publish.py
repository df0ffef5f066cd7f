"""``mqttbroker pub``: what arrives at the broker, and what is refused before it is sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from mqttbroker.broker import Accepted, Credentials, VerdictCallback
from mqttbroker.protocol import Properties, PubAck, Publish, ReasonCode
from mqttbroker.testing import RunningBroker
from mqttbroker.testing.plugin import BrokerFactory
from tests.cli.conftest import Command
from tests.cli.server import Peer, scripted_broker
from tests.support.raw import RawClient


@pytest_asyncio.fixture
async def watcher(mqtt_broker: RunningBroker) -> AsyncIterator[RawClient]:
    """A client that has subscribed to everything."""
    async with RawClient(mqtt_broker.host, mqtt_broker.port) as raw:
        await raw.connect("watcher")
        await raw.subscribe("#", qos=2, retain_as_published=True)
        yield raw


class TestPublishing:
    """Messages as they were asked for."""

    @pytest.mark.parametrize("version", ["5", "mqttv5", "311", "3.1.1", "mqttv311", "31", "3.1", "MQTTv31"], ids=str)
    @pytest.mark.parametrize("qos", [0, 1, 2], ids="qos{}".format)
    async def test_a_message(
        self, mqtt_broker: RunningBroker, watcher: RawClient, command: Command, version: str, qos: int
    ) -> None:
        arguments = ("pub", "-p", mqtt_broker.port, "-V", version, "-t", "a/b", "-m", "größe", "-q", qos)
        result = await asyncio.to_thread(command, *arguments, "-h", mqtt_broker.host)
        assert (result.exit_code, result.output) == (0, "")
        message = await watcher.expect_publish()
        assert (message.topic, message.payload, message.qos) == ("a/b", "größe".encode(), qos)
        assert not message.retain

    async def test_every_source_of_a_payload(
        self, mqtt_broker: RunningBroker, watcher: RawClient, command: Command, tmp_path: Path
    ) -> None:
        file = tmp_path / "payload"
        file.write_bytes(b"\x00\xff\n")
        base = ("pub", "-p", mqtt_broker.port, "-t", "a", "-r")
        for options, payload in (
            (("-f", file), b"\x00\xff\n"),
            (("-n",), b""),
            (("-m", ""), b""),
            (("-s",), b"\xfe\nall\n"),
        ):
            result = await asyncio.to_thread(command, *base, *options, input=b"\xfe\nall\n")
            assert result.exit_code == 0
            message = await watcher.expect_publish()
            assert (message.payload, message.retain) == (payload, True)

    @pytest.mark.parametrize("qos", [0, 1, 2], ids="qos{}".format)
    async def test_a_message_for_each_line_in_order(
        self, mqtt_broker: RunningBroker, watcher: RawClient, command: Command, qos: int
    ) -> None:
        lines = [b"%d" % number for number in range(300)]
        text = b"\n".join(lines[:150]) + b"\r\n" + b"\n".join(lines[150:])
        result = await asyncio.to_thread(command, "pub", "-p", mqtt_broker.port, "-t", "a", "-l", "-q", qos, input=text)
        assert (result.exit_code, result.output) == (0, "")
        assert [(await watcher.expect_publish()).payload for _ in lines] == lines

    async def test_no_lines(self, mqtt_broker: RunningBroker, command: Command) -> None:
        result = await asyncio.to_thread(command, "pub", "-p", mqtt_broker.port, "-t", "a", "-l", "-q", 1, input=b"")
        assert (result.exit_code, result.output) == (0, "")

    async def test_properties(self, mqtt_broker: RunningBroker, watcher: RawClient, command: Command) -> None:
        result = await asyncio.to_thread(
            command,
            *(
                "pub",
                "-p",
                mqtt_broker.port,
                "-t",
                "a",
                "-m",
                "x",
                "--property",
                "publish",
                "content-type",
                "text/plain",
            ),
            *("-D", "PUBLISH", "user-property", "one", "-1", "-q", 1),
        )
        assert (result.exit_code, result.output) == (0, "")
        properties = (await watcher.expect_publish()).properties
        assert properties == Properties(content_type="text/plain", user_properties=(("one", "-1"),))

    async def test_the_connection_is_as_asked(self, mqtt_broker_factory: BrokerFactory, command: Command) -> None:
        shown: list[Credentials] = []

        class Welcome:
            """Lets everybody in, and keeps what they showed."""

            def authenticate(self, credentials: Credentials, done: VerdictCallback) -> None:
                shown.append(credentials)
                done(Accepted(credentials.username))

        broker = mqtt_broker_factory(authenticator=Welcome())
        result = await asyncio.to_thread(
            command,
            *("pub", "-p", broker.port, "-t", "a", "-n", "-i", "me", "-u", "alice", "-P", "secret", "-k", 7, "-c"),
            *("-x", 60, "--will-topic", "will", "--will-payload", "gone", "--will-qos", 1, "--will-retain"),
            *("-D", "will", "will-delay-interval", 5),
        )
        assert (result.exit_code, result.output) == (0, "")
        assert [(each.client_id, each.username, each.password) for each in shown] == [("me", "alice", b"secret")]
        # The session lasts: it is found again.
        async with RawClient(broker.host, broker.port) as raw:
            assert (await raw.connect("me", clean_start=False, username="alice", password=b"secret")).session_present


class TestMistakes:
    """What cannot be is said before anything is sent, with exit code 2; what fails, in one line, with 1."""

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("-t", "a"), "expected one of -m, -f, -n, -l and -s"),
            (("-t", "a", "-m", "x", "-n"), "expected one of -m, -f, -n, -l and -s"),
            (("-m", "x"), "Missing option '--topic'"),
            (("-t", "a/#", "-m", "x"), "Invalid value for -t"),
            (("-t", "", "-m", "x"), "Invalid value for -t"),
            (("-t", "a", "-m", "x", "-q", "3"), "Invalid value for '--qos' / '-q'"),
            (("-t", "a", "-m", "x", "-V", "4"), "expected one of 5, mqttv5, 311"),
            (("-t", "a", "-m", "x", "-c"), "a session that lasts needs a client identifier (-i)"),
            (("-t", "a", "-m", "x", "-V", "311", "-x", "5"), "Invalid value for -x: needs MQTT 5"),
            (("-t", "a", "-n", "-V", "311", "-D", "publish", "content-type", "x"), "properties need MQTT 5"),
            (("-t", "a", "-n", "-D", "publish", "content-typ", "x"), "unknown property 'content-typ'"),
            (("-t", "a", "-n", "-D", "publish"), "expected a packet, a property and a value"),
            (("-t", "a", "-n", "-D", "publish", "receive-maximum", "3"), "Receive Maximum"),
            (("-t", "a", "-n", "-D", "connect", "topic-alias", "3"), "Topic Alias"),
            (("-t", "a", "-n", "--will-topic", "a/+"), "Invalid value for --will-topic"),
            (("-t", "a", "-n", "-x", "-2"), "Session Expiry Interval"),
        ],
        ids=[
            *("no payload", "two payloads", "no topic", "wildcard", "empty topic", "QoS 3", "version", "no client"),
            *("expiry", "properties", "unknown property", "short property", "property of CONNECT"),
            *("property of PUBLISH", "will topic", "negative expiry"),
        ],
    )
    def test_of_the_command_line(self, command: Command, arguments: tuple[str, ...], message: str) -> None:
        result = command("pub", *arguments)
        assert result.exit_code == 2
        assert message in " ".join(result.stderr.split())

    def test_a_file_that_is_not_there(self, command: Command, tmp_path: Path) -> None:
        file = tmp_path / "none"
        result = command("pub", "-t", "a", "-f", file)
        message = f"mqttbroker: {file}: cannot be read: No such file or directory\n"
        assert (result.exit_code, result.stderr) == (1, message)

    async def test_a_broker_that_is_not_there(self, mqtt_broker: RunningBroker, command: Command) -> None:
        mqtt_broker.stop()
        result = await asyncio.to_thread(command, "pub", "-h", "127.0.0.1", "-p", mqtt_broker.port, "-t", "a", "-n")
        assert result.exit_code == 1
        assert result.stderr == (
            f"mqttbroker: cannot connect to 127.0.0.1:{mqtt_broker.port}: "
            "connection refused (is a broker running there?)\n"
        )

    @pytest.mark.parametrize("source", ["-n", "-l"], ids=["one", "a line"])
    async def test_a_message_that_is_refused(
        self, mqtt_broker_factory: BrokerFactory, command: Command, source: str
    ) -> None:
        broker = mqtt_broker_factory(retain_available=False)
        result = await asyncio.to_thread(
            command, "pub", "-p", broker.port, "-t", "a", "-q", 1, "-r", source, input=b"1\n"
        )
        assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
        assert "Retain not supported (0x9A)" in result.stderr

    async def test_the_first_of_many_refused_lines_is_told(self, command: Command) -> None:
        async def refuse(peer: Peer) -> None:
            await peer.accept()
            while True:
                message = await peer.receive()
                if isinstance(message, Publish):
                    peer.send(PubAck(message.packet_id or 0, ReasonCode.QUOTA_EXCEEDED))

        async with scripted_broker(refuse) as port:
            result = await asyncio.to_thread(
                command, "pub", "-h", "127.0.0.1", "-p", port, "-t", "a", "-q", 1, "-l", input=b"1\n" * 500
            )
        assert result.exit_code == 1
        assert result.stderr == "mqttbroker: the message was refused: Quota exceeded (0x97)\n"

    async def test_a_connection_that_is_lost_between_lines_is_told_once(self, command: Command) -> None:
        async def leave(peer: Peer) -> None:
            await peer.accept()
            await peer.receive()

        async with scripted_broker(leave) as port:
            result = await asyncio.to_thread(
                command, "pub", "-h", "127.0.0.1", "-p", port, "-t", "a", "-q", 1, "-l", input=b"1\n" * 500
            )
        assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
        assert result.stderr.startswith("mqttbroker: the ")


def test_a_word_that_is_no_text_goes_out_as_it_came(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Publish] = []

    async def publish(_target: object, packet: Publish) -> None:
        sent.append(packet)

    monkeypatch.setattr("mqttbroker.cli.publish._publish", publish)
    assert command("pub", "-t", "a", "-m", "\udcff").exit_code == 0
    assert [packet.payload for packet in sent] == [b"\xff"]
