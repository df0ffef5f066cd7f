"""``mqttbroker sub``: what is printed, and when it leaves."""

from __future__ import annotations

import asyncio
import io
import os
import sys
from contextlib import suppress

import pytest

from mqttbroker.broker import Action, Decision, Identity
from mqttbroker.cli.client import open_client
from mqttbroker.cli.endpoint import Endpoint
from mqttbroker.cli.subscribe import TIMED_OUT, Printer
from mqttbroker.protocol import NO_PROPERTIES, Connect, SubscriptionRequest
from mqttbroker.testing import RunningBroker
from mqttbroker.testing.plugin import BrokerFactory
from tests.cli.conftest import Command
from tests.support.raw import RawClient


class TestPrinting:
    """Messages, which are retained here so that they are there when the command comes."""

    @pytest.mark.parametrize("version", ["5", "311", "31"], ids=str)
    @pytest.mark.parametrize(
        ("options", "printed"),
        [
            ((), b"21.5\n"),
            (("-v",), b"a/b 21.5\n"),
            (("-F", "%t=%x r%r q%q"), b"a/b=32312e35 r1 q1\n"),
            (("-v", "-F", "%p"), b"21.5\n"),
            (("-N",), b"21.5"),
        ],
        ids=["payload", "verbose", "format", "format before verbose", "no newline"],
    )
    def test_one_message(
        self, mqtt_broker: RunningBroker, command: Command, version: str, options: tuple[str, ...], printed: bytes
    ) -> None:
        mqtt_broker.publish("a/b", "21.5", qos=2, retain=True)
        result = command("sub", "-p", mqtt_broker.port, "-V", version, "-t", "a/+", "-q", 1, "-C", 1, *options)
        assert (result.exit_code, result.stderr) == (0, "")
        assert result.stdout_bytes == printed

    def test_many_filters_and_those_that_are_left_out(self, mqtt_broker: RunningBroker, command: Command) -> None:
        for topic in ("a/1", "a/2", "b/1", "b/2", "c/1"):
            mqtt_broker.publish(topic, "x", retain=True)
        result = command("sub", "-p", mqtt_broker.port, "-t", "a/#", "-t", "b/+", "-T", "+/2", "-C", 2, "-v")
        assert result.exit_code == 0
        assert sorted(result.stdout.splitlines()) == ["a/1 x", "b/1 x"]

    def test_a_session_that_lasts(self, mqtt_broker: RunningBroker, command: Command) -> None:
        base = ("sub", "-p", mqtt_broker.port, "-t", "a", "-q", 2, "-c", "-i", "me")
        assert command(*base, "-W", 0.2).exit_code == TIMED_OUT
        for number in range(4):
            mqtt_broker.publish("a", str(number), qos=2)
        # What is left unprinted by the first is there for the second.
        assert command(*base, "-C", 1).stdout == "0\n"
        assert command(*base, "-C", 3).stdout == "1\n2\n3\n"

    def test_a_property(self, mqtt_broker: RunningBroker, command: Command) -> None:
        mqtt_broker.publish("a", "x", retain=True)
        options = ("-D", "subscribe", "subscription-identifier", 7, "-F", "%j")
        result = command("sub", "-p", mqtt_broker.port, "-t", "a", "-C", 1, *options)
        assert '"properties": {"subscription-identifiers": [7]}' in result.stdout


class TestLeaving:
    """After so many messages, so many seconds, or when there is nobody to read."""

    def test_after_a_time(self, mqtt_broker: RunningBroker, command: Command) -> None:
        result = command("sub", "-p", mqtt_broker.port, "-t", "a", "-W", 0.2)
        assert (result.exit_code, result.stderr) == (27, "mqttbroker: 0.2 seconds are over\n")

    async def test_a_time_that_is_over_publishes_no_will(self, mqtt_broker: RunningBroker, command: Command) -> None:
        async with RawClient(mqtt_broker.host, mqtt_broker.port) as watcher:
            await watcher.connect("watcher")
            await watcher.subscribe("will")
            options = ("-t", "a", "-W", 0.2, "--will-topic", "will")
            assert (await asyncio.to_thread(command, "sub", "-p", mqtt_broker.port, *options)).exit_code == TIMED_OUT
            mqtt_broker.publish("will", "nobody was lost")
            assert (await watcher.expect_publish()).payload == b"nobody was lost"

    async def test_when_the_broker_leaves(self, mqtt_broker: RunningBroker, command: Command) -> None:
        async with RawClient(mqtt_broker.host, mqtt_broker.port) as watcher:
            await watcher.connect("watcher")
            await watcher.subscribe("will")
            options = ("-t", "a", "-i", "sub", "--will-topic", "will", "--will-payload", "displaced")
            task = asyncio.create_task(asyncio.to_thread(command, "sub", "-p", mqtt_broker.port, *options))
            # Whoever takes its client identifier over ends it; before it has come there is nothing to take over.
            async with asyncio.timeout(10):
                while not any(event == "connected" and d["client"] == "sub" for _, event, d in mqtt_broker.logged):
                    await watcher.ping()
            async with RawClient(mqtt_broker.host, mqtt_broker.port) as thief:
                await thief.connect("sub")
            result = await task
        assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
        assert result.stderr.startswith("mqttbroker: the broker closed the connection: Session taken over (0x8E)")

    @pytest.mark.skipif(sys.platform == "win32", reason="pipes are closed otherwise there")
    async def test_when_the_reader_of_its_output_has_left(self, mqtt_broker: RunningBroker) -> None:
        mqtt_broker.publish("a", "x", retain=True)
        reading, writing = os.pipe()
        os.close(reading)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "mqttbroker", "sub", "-p", str(mqtt_broker.port), "-t", "a"),
            stdout=writing,
            stderr=asyncio.subprocess.PIPE,
        )
        os.close(writing)
        try:
            async with asyncio.timeout(20):
                _, errors = await process.communicate()
        finally:
            with suppress(ProcessLookupError):
                process.kill()
        assert (process.returncode, errors) == (0, b"")


class OnlyA:
    """Rules that allow the topic filter "a"."""

    def decide(self, identity: Identity, action: Action, topic: str) -> Decision:
        return Decision(topic == "a", "only a")


class TestRefusals:
    """What the broker refuses is said."""

    def test_one_of_two_subscriptions(self, mqtt_broker_factory: BrokerFactory, command: Command) -> None:
        broker = mqtt_broker_factory(authorizer=OnlyA())
        broker.publish("a", "x", retain=True)
        result = command("sub", "-p", broker.port, "-t", "a", "-t", "b", "-C", 1)
        assert (result.exit_code, result.stdout) == (0, "x\n")
        assert result.stderr == "mqttbroker: this subscription was refused: b: Not authorized (0x87)\n"

    def test_all_subscriptions(self, mqtt_broker_factory: BrokerFactory, command: Command) -> None:
        broker = mqtt_broker_factory(authorizer=OnlyA())
        result = command("sub", "-p", broker.port, "-t", "b")
        message = "mqttbroker: the subscription was refused: b: Not authorized (0x87)\n"
        assert (result.exit_code, result.stderr) == (1, message)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ((), "Missing option '--topic'"),
            (("-t", "a#"), "Invalid value for -t"),
            (("-t", "a", "-T", "a#"), "Invalid value for -T"),
            (("-t", "a", "-F", "%y"), "Invalid value for -F"),
            (("-t", "a", "-D", "subscribe", "subscription-identifier", "0"), "Subscription Identifier"),
            (("-t", "a", "-D", "subscribe", "topic-alias", "1"), "Topic Alias"),
            (("-t", "a", "-p", "0"), "Invalid value for '--port' / '-p'"),
        ],
        ids=["no filter", "filter", "filter out", "format", "identifier", "property", "port"],
    )
    def test_mistakes_of_the_command_line(self, command: Command, arguments: tuple[str, ...], message: str) -> None:
        result = command("sub", *arguments)
        assert result.exit_code == 2
        assert message in " ".join(result.stderr.split())


class Terminal(io.BytesIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


async def test_a_terminal_is_protected(mqtt_broker: RunningBroker) -> None:
    mqtt_broker.publish("a", b"\x1b[2J", retain=True)
    terminal = Terminal()
    printer = Printer(terminal, "%p", True, 1, [])
    async with asyncio.timeout(10), open_client(Endpoint(mqtt_broker.host, mqtt_broker.port), Connect("sub")) as client:
        await client.subscribe((SubscriptionRequest("a"),), NO_PROPERTIES)
        await printer.print_messages(client)
    assert terminal.getvalue() == b"\\x1b[2J\n"
