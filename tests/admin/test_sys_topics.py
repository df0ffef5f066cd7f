"""``$SYS`` topics: for a core with a clock that the test moves, and for a running broker and those who read them."""

from __future__ import annotations

import asyncio
import re
import subprocess
from pathlib import Path

import pytest
from paho.mqtt.subscribe import simple

from mqttbroker.admin.queues import QueueSurvey
from mqttbroker.admin.sys_topics import SysTopics
from mqttbroker.broker import Limits
from mqttbroker.config import Config, ListenerConfig, SysConfig
from mqttbroker.protocol import SubscriptionRequest
from mqttbroker.server import Broker
from mqttbroker.testing.running import RunningBroker
from tests.broker.support import Peer, World
from tests.support.mosquitto import running_mosquitto
from tests.support.tools import require_tool

NAMES = {
    "version",
    "uptime",
    *(f"clients/{name}" for name in ("total", "maximum", "connected", "active", "disconnected", "inactive", "expired")),
    *(
        f"load/{name}/{minutes}min"
        for name in (
            *("messages/received", "messages/sent", "publish/received", "publish/sent", "publish/dropped"),
            *("bytes/received", "bytes/sent", "sockets", "connections"),
        )
        for minutes in (1, 5, 15)
    ),
    *("messages/stored", "messages/received", "messages/sent", "store/messages/count", "store/messages/bytes"),
    *("subscriptions/count", "shared_subscriptions/count", "retained messages/count"),
    *("publish/messages/dropped", "publish/messages/received", "publish/messages/sent"),
    *("publish/bytes/received", "publish/bytes/sent", "bytes/received", "bytes/sent"),
}
"""Without those of the heap, which not every system has."""


def begun(world: World, interval: float = 10.0) -> SysTopics:
    topics = SysTopics(world.core, QueueSurvey(world.core.registry.sessions), interval, world.now)
    topics.start(world.now)
    return topics


def figures(peer: Peer) -> dict[str, str]:
    return {each.topic.removeprefix("$SYS/broker/"): each.payload.decode() for each in peer.published()}


def test_a_new_subscriber_gets_them_all_at_once() -> None:
    world = World()
    begun(world)
    peer = world.client()
    peer.subscribe("$SYS/#", qos=2)
    messages = peer.published()
    assert {each.topic.removeprefix("$SYS/broker/") for each in messages} >= NAMES
    assert all(each.retain and each.qos == 0 for each in messages)


def test_what_has_changed_follows() -> None:
    world = World()
    begun(world)
    peer = world.client()
    peer.subscribe("$SYS/#")
    assert figures(peer)["uptime"] == "0 seconds"
    world.advance(10)
    messages = {each.topic: each for each in peer.published()}
    assert messages["$SYS/broker/uptime"].payload == b"10 seconds"
    assert not messages["$SYS/broker/uptime"].retain
    assert "$SYS/broker/version" not in messages
    world.advance(9)
    assert not peer.published()


@pytest.mark.parametrize("topic_filter", ["#", "+/broker/uptime", "+/+/+"])
def test_wildcards_in_front_do_not_match_them(topic_filter: str) -> None:
    world = World()
    begun(world)
    peer = world.client()
    peer.subscribe(topic_filter)
    world.advance(10)
    assert not peer.published()


def test_they_are_neither_stored_nor_limited_nor_queued() -> None:
    world = World(Limits(max_retained_messages=1))
    begun(world)
    peer = world.client(expiry=1_000)
    peer.subscribe("$SYS/#", qos=2)
    peer.lose()
    world.advance(10)
    assert not list(world.store.retained())
    assert not len(world.core.retained)
    assert not world.session().load
    writer = world.client("writer")
    writer.publish("t", b"x", retain=True)
    assert len(world.core.retained) == 1


def test_the_values() -> None:
    world = World()
    begun(world)
    reader = world.client("reader")
    reader.subscribe("t", "$share/g/u", "$share/h/u", qos=1)
    away = world.client("away", expiry=1_000)
    away.subscribe(SubscriptionRequest("t", 1))
    away.lose()
    world.client("short", expiry=2).lose()
    writer = world.client("writer")
    for _ in range(3):
        writer.publish("t", b"x", qos=1)
    writer.publish("kept", b"x", retain=True)
    world.advance(10)
    peer = world.client("peer")
    peer.subscribe("$SYS/#")
    found = figures(peer)
    assert found["clients/total"] == "3"
    assert (found["clients/connected"], found["clients/disconnected"], found["clients/expired"]) == ("2", "1", "1")
    assert (found["subscriptions/count"], found["shared_subscriptions/count"]) == ("2", "2")
    assert (found["publish/messages/received"], found["publish/messages/sent"]) == ("4", "3")
    assert found["retained messages/count"] == "1"
    # Three for the client that is away, three that the reader has not acknowledged, and what is retained.
    assert found["messages/stored"] == "7"
    # As Mosquitto works it out: four in ten seconds are 24 in a minute, of which 15 % count after ten seconds.
    assert found["load/publish/received/1min"] == "3.68"


def test_the_forms_of_values_are_those_of_mosquitto() -> None:
    world = World()
    begun(world)
    peer = world.client()
    peer.subscribe("$SYS/#")
    for name, text in figures(peer).items():
        form = r"\d+\.\d\d" if name.startswith("load/") else r"\d+"
        if name == "version":
            form = r"mqttbroker version \S+"
        elif name == "uptime":
            form = r"\d+ seconds"
        assert re.fullmatch(form, text), (name, text)


def test_consumers_made_for_mosquitto() -> None:
    names = ["version", "load/bytes/received/1min", "retained messages/count"]
    with RunningBroker(config=Config(listeners=(ListenerConfig(port=0),))) as broker:
        command = [require_tool("mosquitto_sub"), "-h", broker.host, "-p", str(broker.port), "-F", "%t=%p"]
        for name in names:
            command += ["-t", f"$SYS/broker/{name}"]
        done = subprocess.run([*command, "-C", str(len(names))], capture_output=True, text=True, timeout=20, check=True)
        topics = [f"$SYS/broker/{name}" for name in names]
        by_paho = simple(topics, msg_count=3, hostname=broker.host, port=broker.port)  # type: ignore[no-untyped-call]
    found = dict(line.removeprefix("$SYS/broker/").split("=", 1) for line in done.stdout.splitlines())
    assert found["version"].startswith("mqttbroker version ")
    assert (found["load/bytes/received/1min"], found["retained messages/count"]) == ("0.00", "0")
    assert {each.topic.removeprefix("$SYS/broker/"): each.payload.decode() for each in by_paho} == found


def form(text: str) -> str:
    """What a value looks like: its digits and its version made alike."""
    return re.sub(r"\d+", "1", re.sub(r"^\w+ version \S+$", "NAME version X", text))


async def heard(port: int, names: set[str]) -> dict[str, str]:
    """What ``mosquitto_sub`` has printed of all that a broker says of itself, when these names are among it."""
    command = [require_tool("mosquitto_sub"), "-p", str(port), "-t", "$SYS/broker/#", "-F", "%t=%p"]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    found: dict[str, str] = {}
    try:
        async with asyncio.timeout(30):
            while names - found.keys():
                line = (await process.stdout.readline()).decode().rstrip("\n")
                assert line, f"mosquitto_sub has ended, and not seen {names - found.keys()}"
                name, _, value = line.removeprefix("$SYS/broker/").partition("=")
                found[name] = value
    finally:
        process.kill()
        await process.wait()
    return found


async def test_all_that_mosquitto_has_is_there_and_looks_alike(tmp_path: Path) -> None:
    async with running_mosquitto(tmp_path) as port:
        theirs = await heard(port, NAMES | {"heap/current", "heap/maximum"})
    async with Broker(Config(listeners=(ListenerConfig(port=0),))) as broker:
        ours = await heard(broker.port, set(theirs))
    assert theirs.keys() - ours.keys() == set()
    assert {name: form(ours[name]) for name in theirs} == {name: form(value) for name, value in theirs.items()}


def test_none_where_they_are_turned_off() -> None:
    config = Config(listeners=(ListenerConfig(port=0),), sys=SysConfig(interval=0))
    with RunningBroker(config=config) as broker:
        assert broker.call(lambda inner: not list(inner.core.retained.match("$SYS/#", inner.core.now)))
