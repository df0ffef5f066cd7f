"""The library: a broker inside an asyncio program."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
import threading
from pathlib import Path

import pytest

from mqttbroker.config import Config, ConfigError, ListenerConfig, SecurityConfig
from mqttbroker.protocol import InvalidPacket, Properties, Publish, ReasonCode
from mqttbroker.security import PasswordFile, SecurityError
from mqttbroker.server import COLLECT_AFTER, Broker, collect_seldom
from mqttbroker.storage import StoreError
from mqttbroker.topics import InvalidTopicFilter, InvalidTopicName
from tests.storage.deferred import DeferredStore
from tests.support.raw import RawClient

ANYWHERE = Config(listeners=(ListenerConfig(port=0),))
TIMEOUT = 5.0


class TestPublishAndSubscribe:
    async def test_a_message_from_a_client_reaches_the_program(self) -> None:
        async with Broker(ANYWHERE) as broker, RawClient(broker.host, broker.port) as client:
            await client.connect()
            messages = broker.subscribe("sensors/+")
            properties = Properties(user_properties=(("unit", "C"),), content_type="text/plain")
            await client.publish("sensors/one", b"21.5", qos=1, properties=properties)
            message = await asyncio.wait_for(anext(messages), TIMEOUT)
            assert (message.topic, message.payload, message.qos) == ("sensors/one", b"21.5", 1)
            assert message.properties == properties

    async def test_a_message_from_the_program_reaches_clients(self) -> None:
        async with Broker(ANYWHERE) as broker, RawClient(broker.host, broker.port) as client:
            await client.connect()
            await client.subscribe("a", qos=2)
            await broker.publish("a", "text", qos=2, properties=Properties(content_type="text/plain"))
            message = await client.expect_publish()
            assert (message.payload, message.qos, message.properties.content_type) == (b"text", 2, "text/plain")

    async def test_retained_messages_are_given_first(self) -> None:
        async with Broker(ANYWHERE) as broker:
            await broker.publish("a/b", b"kept", retain=True)
            message = await asyncio.wait_for(anext(broker.subscribe("a/#")), TIMEOUT)
            assert (message.payload, message.retain) == (b"kept", True)

    async def test_qos_is_the_lower_of_both(self) -> None:
        async with Broker(ANYWHERE) as broker, broker.subscribe("a", qos=1) as messages:
            await broker.publish("a", qos=2)
            assert (await asyncio.wait_for(anext(messages), TIMEOUT)).qos == 1

    async def test_leaving_the_loop_ends_the_subscription(self) -> None:
        async with Broker(ANYWHERE) as broker:

            async def first() -> Publish:
                async for message in broker.subscribe("a"):
                    return message
                raise AssertionError

            task = asyncio.create_task(first())
            while not len(broker.core.router):
                await asyncio.sleep(0)
            await broker.publish("a", b"x")
            assert (await asyncio.wait_for(task, TIMEOUT)).payload == b"x"
            del task
            gc.collect()
            assert len(broker.core.router) == 0

    async def test_closing_ends_the_iteration(self) -> None:
        async with Broker(ANYWHERE) as broker:
            subscription = broker.subscribe("a")
            await broker.publish("a", b"1")
            waiting = asyncio.create_task(_collect(subscription))
            await asyncio.sleep(0)
            subscription.close()
            assert [message.payload for message in await asyncio.wait_for(waiting, TIMEOUT)] == [b"1"]

    async def test_a_program_that_does_not_read_loses_the_oldest(self) -> None:
        async with Broker(ANYWHERE) as broker:
            subscription = broker.subscribe("a", max_waiting=2)
            for payload in (b"1", b"2", b"3"):
                await broker.publish("a", payload)
            assert subscription.dropped == 1
            assert (await anext(subscription)).payload == b"2"

    async def test_publish_waits_for_the_disk(self) -> None:
        store = DeferredStore()
        async with Broker(ANYWHERE, store=store) as broker:
            publishing = asyncio.create_task(broker.publish("a", b"x", qos=1, retain=True))
            await asyncio.sleep(0)
            assert not publishing.done()
            store.commit()
            await asyncio.wait_for(publishing, TIMEOUT)

            publishing = asyncio.create_task(broker.publish("a", b"y", qos=1, retain=True))
            await asyncio.sleep(0)
            store.fail(StoreError("disk full"))
            with pytest.raises(StoreError, match="disk full"):
                await asyncio.wait_for(publishing, TIMEOUT)
            store.commit()

    async def test_what_may_not_be_published_is_refused(self) -> None:
        async with Broker(ANYWHERE) as broker:
            with pytest.raises(InvalidTopicName):
                await broker.publish("a/+", b"")
            with pytest.raises(InvalidPacket):
                await broker.publish("a", b"", qos=3)
            with pytest.raises(InvalidPacket):
                await broker.publish("a", b"", properties=Properties(topic_alias=1))
            with pytest.raises(InvalidTopicFilter):
                broker.subscribe("a/#/b")
            with pytest.raises(ValueError, match="shared"):
                broker.subscribe("$share/g/a")

    async def test_message_expiry(self) -> None:
        async with Broker(ANYWHERE) as broker, RawClient(broker.host, broker.port) as client:
            await broker.publish("a", b"x", retain=True, properties=Properties(message_expiry_interval=10))
            await client.connect()
            await client.subscribe("a")
            assert (await client.expect(Publish)).properties.message_expiry_interval == 10
            broker.advance_clock(11)
            await client.subscribe("a")
            await client.expect_silence()


class TestLife:
    async def test_start_and_stop_a_thousand_times_leaves_nothing(self) -> None:
        async def once() -> None:
            async with Broker(ANYWHERE) as broker, broker.subscribe("a") as messages:
                await broker.publish("a", b"x")
                await anext(messages)

        await once()
        gc.collect()
        descriptors, threads = len(os.listdir("/proc/self/fd")), threading.active_count()
        objects = len(gc.get_objects())
        for _ in range(1_000):
            await once()
        gc.collect()
        assert len(asyncio.all_tasks()) == 1
        assert threading.active_count() == threads
        # Something else in this process may open a file, and caches of the standard library fill up; what a thousand
        # brokers left would be many times this.
        assert len(os.listdir("/proc/self/fd")) < descriptors + 100
        assert len(gc.get_objects()) < objects + 2_000

    async def test_two_brokers_in_one_program_share_nothing(self) -> None:
        async with Broker(ANYWHERE) as one, Broker(ANYWHERE) as two:
            messages = two.subscribe("a")
            await one.publish("a", b"to one", retain=True)
            await two.publish("a", b"to two")
            assert (await anext(messages)).payload == b"to two"
            assert len(two.core.retained) == 0

    async def test_can_be_started_again(self) -> None:
        broker = Broker(ANYWHERE)
        await broker.start()
        with pytest.raises(RuntimeError):
            await broker.start()
        await broker.stop()
        await broker.stop()
        await broker.start()
        await broker.stop()

    async def test_a_stopped_broker_refuses_calls(self) -> None:
        with pytest.raises(RuntimeError):
            await Broker(ANYWHERE).publish("a")

    async def test_logs_go_to_the_standard_library(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO, "mqttbroker")
        async with Broker(ANYWHERE) as broker:
            port = broker.port
        assert f"listening listener='tcp' host='127.0.0.1' port={port}" in caplog.text


class TestSecurity:
    async def test_does_not_listen_to_the_world_without_authentication(self) -> None:
        broker = Broker(Config(listeners=(ListenerConfig(host="0.0.0.0", port=0),)))
        with pytest.raises(ConfigError, match="password_file"):
            await broker.start()

    async def test_passwords_and_default_deny(self, tmp_path: Path) -> None:
        config = Config(listeners=(ListenerConfig(port=0),), security=SecurityConfig(password_file=_users(tmp_path)))
        async with Broker(config) as broker:
            async with RawClient(broker.host, broker.port) as client:
                connack = await client.connect(username="ann", password=b"wrong")
                assert connack.reason_code == ReasonCode.BAD_USER_NAME_OR_PASSWORD
            async with RawClient(broker.host, broker.port) as client:
                assert (await client.connect()).reason_code == ReasonCode.NOT_AUTHORIZED
            async with RawClient(broker.host, broker.port) as client:
                assert (await client.connect(username="ann", password=b"secret")).reason_code == ReasonCode.SUCCESS
                assert (await client.subscribe("a")).reason_codes == (ReasonCode.NOT_AUTHORIZED,)
                answer = await client.publish("a", b"x", qos=1)
                assert answer is not None
                assert answer.reason_code == ReasonCode.NOT_AUTHORIZED

    async def test_rules(self, tmp_path: Path) -> None:
        rules = tmp_path / "acl.toml"
        rules.write_text(
            '[[rules]]\nwho = "*"\naction = "subscribe"\ntopics = ["a/secret"]\neffect = "deny"\n'
            '[[rules]]\nwho = "ann"\naction = "both"\ntopics = ["a/#"]\neffect = "allow"\n'
        )
        config = Config(
            listeners=(ListenerConfig(port=0),),
            security=SecurityConfig(password_file=_users(tmp_path), acl_file=rules),
        )
        async with Broker(config) as broker, RawClient(broker.host, broker.port) as client:
            await client.connect(username="ann", password=b"secret")
            assert (await client.subscribe("a/#", "b", qos=1)).reason_codes == (1, ReasonCode.NOT_AUTHORIZED)
            await client.publish("a/secret", b"not to be read", qos=1)
            await client.publish("a/open", b"x", qos=1)
            assert (await client.expect_publish()).topic == "a/open"
            await client.expect_silence()

    async def test_a_bad_file_stops_the_start(self, tmp_path: Path) -> None:
        config = Config(
            listeners=(ListenerConfig(port=0),), security=SecurityConfig(password_file=tmp_path / "missing")
        )
        with pytest.raises(SecurityError, match="missing"):
            await Broker(config).start()


class TestProcess:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda each: each.name)
    async def test_a_signal_stops_it_cleanly(self, number: signal.Signals) -> None:
        process, port = await _serve()
        async with RawClient("127.0.0.1", port) as client:
            await client.connect()
            process.send_signal(number)
            (goodbye,) = await client.expect_closed()
            assert "SERVER_SHUTTING_DOWN" in repr(goodbye)
        assert await asyncio.wait_for(process.wait(), TIMEOUT) == 0

    async def test_a_second_signal_stops_it_at_once(self) -> None:
        process, port = await _serve("import mqttbroker.server; mqttbroker.server.STOP_TIMEOUT = 3_600")
        async with RawClient("127.0.0.1", port) as deaf:
            await deaf.connect()
            await deaf.subscribe("a", qos=1)
            async with RawClient("127.0.0.1", port) as publisher:
                await publisher.connect()
                for _ in range(200):
                    await publisher.publish("a", b"x" * 65_536, qos=1)
            process.send_signal(signal.SIGTERM)
            assert process.stderr is not None
            while b"disconnected" not in await asyncio.wait_for(process.stderr.readline(), TIMEOUT):
                pass
            process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(process.wait(), 30.0) == 0


async def _collect(messages: object) -> list[Publish]:
    return [message async for message in messages]  # type: ignore[attr-defined]


def _users(folder: Path) -> Path:
    path = folder / "passwords"
    path.touch(0o600)
    users = PasswordFile.load(path, allow_empty=True)
    users.set("ann", b"secret")
    users.save()
    return path


class TestGarbageCollector:
    async def test_a_broker_in_a_program_leaves_it_alone(self) -> None:
        before = gc.isenabled(), gc.get_threshold(), gc.get_freeze_count()
        async with Broker(ANYWHERE):
            assert (gc.isenabled(), gc.get_threshold(), gc.get_freeze_count()) == before

    def test_a_program_of_its_own_lets_it_look_seldom(self) -> None:
        thresholds = gc.get_threshold()
        gc.disable()
        try:
            collect_seldom()
            assert gc.isenabled()
            assert gc.get_threshold() == COLLECT_AFTER
            assert gc.get_freeze_count() > 0
        finally:
            gc.unfreeze()
            gc.set_threshold(*thresholds)
            gc.enable()


async def _serve(first: str = "pass") -> tuple[asyncio.subprocess.Process, int]:
    """Run ``mqttbroker serve`` on a free port, after a statement; the process and the port."""
    program = f"{first}; from mqttbroker.cli import main; main()"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, "serve", "--port", "0", stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr is not None
    while True:
        line = await asyncio.wait_for(process.stderr.readline(), 10)
        assert line, "the broker has ended"
        if b"listening" in line:
            return process, int(line.rpartition(b"port=")[2])
