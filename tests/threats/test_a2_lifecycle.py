"""Wills, sessions and client identifiers whose ends other brokers got wrong, and settings at their extremes."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import fields
from typing import Any

import pytest

from mqttbroker.broker import Action, Decision, Identity, Limits
from mqttbroker.protocol import Disconnect, Properties, ProtocolVersion, PubAck, Publish, ReasonCode, Will, encode
from mqttbroker.testing.plugin import BrokerFactory
from mqttbroker.testing.running import RunningBroker
from tests.support.raw import ConnectionClosed, RawClient
from tests.threats.attack import SECRET, V5, Attack, census

NEVER = 0xFFFF_FFFF
YEAR = 365 * 86_400
WILL_PROPERTIES = Properties(
    payload_format_indicator=1,
    content_type="text/plain",
    response_topic="answer",
    correlation_data=b"\0\x01",
    user_properties=(("k", "v"), ("k", "w")),
)


def will_comes_after(delay: int, expiry: int, ending: str) -> int | None:
    """Seconds after the end of the connection at which its will is due; ``None`` for never (section 3.1.3.2.2)."""
    if ending == "disconnect":
        return None
    if ending == "taken over, clean start" or expiry == 0 or delay == 0:
        return 0
    if ending == "taken over":
        return None
    return delay if expiry == NEVER else min(delay, expiry)


class TestWills:
    @pytest.mark.parametrize("delay", [0, 10, NEVER], ids="delay {}".format)
    @pytest.mark.parametrize("expiry", [0, 5, 20, NEVER], ids="expiry {}".format)
    @pytest.mark.parametrize(
        "ending", ["disconnect", "disconnect with will", "loss", "taken over", "taken over, clean start"]
    )
    async def test_cve_2019_11778_mosquitto_will_delay_and_session_expiry(
        self, attack: Attack, broker: RunningBroker, overhearing: RawClient, delay: int, expiry: int, ending: str
    ) -> None:
        """A Will Delay longer than the Session Expiry Interval made Mosquitto 1.6 use, and free, a will twice."""
        lasting = Properties(session_expiry_interval=expiry)
        will = Will("w", SECRET, 1, False, _with_delay(delay))
        sessions = census(broker).sessions
        async with attack.connected(V5, "mallory", will=will, properties=lasting) as client:
            match ending:
                case "disconnect":
                    client.send(Disconnect())
                case "disconnect with will":
                    client.send(Disconnect(ReasonCode.DISCONNECT_WITH_WILL_MESSAGE))
                case "loss":
                    client.send_eof()
                case _:
                    clean = ending == "taken over, clean start"
                    async with attack.connected(V5, "mallory", clean_start=clean) as successor:
                        await successor.disconnect()
            await client.expect_closed()
        due = will_comes_after(delay, expiry, ending)
        if due:
            if due > 100:
                broker.advance(YEAR)
            broker.advance(due - 2 - (YEAR if due > 100 else 0))
            await overhearing.expect_silence()
            broker.advance(4)
        if due is not None:
            message = await overhearing.expect_publish()
            assert (message.topic, message.payload, message.qos) == ("w", SECRET, 1)
            assert message.properties == WILL_PROPERTIES
        for _ in range(2):
            broker.advance(2 * NEVER)
            await overhearing.expect_silence()
        gone = census(broker)
        assert gone.deadlines == 0
        assert gone.sessions == sessions + (expiry == NEVER and not ending.startswith("taken over"))


class Poison:
    """An authoriser that breaks, once it is told to, over one topic."""

    def __init__(self) -> None:
        self.armed = False

    def decide(self, identity: Identity, action: Action, topic: str) -> Decision:
        """Allow everything else."""
        if self.armed and topic == "poison":
            raise RuntimeError("poisoned")
        return Decision(True)


class TestExpiry:
    @pytest.mark.parametrize("delay", [10, 0], ids=["as it expires", "as it disconnects"])
    async def test_moquette_959_one_that_fails_keeps_all_others_from_expiring(
        self, mqtt_broker_factory: BrokerFactory, delay: int
    ) -> None:
        """An exception over one session ended the task that expires sessions, so that none ever expired again."""
        poison = Poison()
        broker = mqtt_broker_factory(authorizer=poison)
        attack = Attack(broker)
        async with attack.connected(V5) as watcher:
            await watcher.subscribe("#")
            for client_id, topic in (("a", "good/a"), ("b", "poison"), ("c", "good/c")):
                will = Will(topic, SECRET, properties=Properties(will_delay_interval=delay))
                lasting = Properties(session_expiry_interval=10)
                async with attack.connected(V5, client_id, will=will, properties=lasting) as client:
                    poison.armed = True
                    await client.disconnect(ReasonCode.DISCONNECT_WITH_WILL_MESSAGE)
                    broker.call(lambda running: None)  # The client sees the end before the broker is through with it.
                    poison.armed = False
            poison.armed = True
            for _ in range(3):
                broker.advance(11)
            wills = [packet.topic for packet in await watcher.drain() if isinstance(packet, Publish)]
            assert sorted(wills) == ["good/a", "good/c"]
            assert census(broker).sessions == 1
            assert census(broker).deadlines <= 1


class TestClientIdentifiers:
    async def test_moquette_964_identifiers_that_collide(self, attack: Attack) -> None:
        """Two client identifiers became one key of the store, and the queues behind it one queue."""
        identifiers = [
            *("a", "A", "a ", " a", "aa", "a/b", "a_b", "a:b", "a.b", "a%2Fb", "a\\b", "a\u2215b", "../a", "a\x01b"),
            *(
                "caf\u00e9",
                "cafe\u0301",
                "\u0430",
                "\uff41",
                "SUB_a",
                "CL_a",
                "$SYS",
                "#",
                "+",
                "a" * 1_023,
                "a" * 1_024,
            ),
        ]
        lasting = Properties(session_expiry_interval=NEVER)
        for number, client_id in enumerate(identifiers):
            async with attack.connected(V5, client_id, clean_start=False, properties=lasting) as client:
                await client.subscribe(f"to/{number}", qos=2)
                await client.disconnect()
        async with attack.connected(V5) as client:
            for number in range(len(identifiers)):
                for qos in (1, 2):
                    await client.publish(f"to/{number}", b"%d" % number, qos=qos)
        for number, client_id in enumerate(identifiers):
            async with attack.connected(V5, client_id, clean_start=False, properties=lasting) as client:
                for _ in range(2):
                    assert (await client.expect_publish()).payload == b"%d" % number
                await client.expect_silence()
        # The end of one is the end of no other.
        async with attack.connected(V5, "a", clean_start=True):
            pass
        for client_id in identifiers[1:]:
            async with attack.open(V5) as client:
                connack = await client.connect(
                    client_id, clean_start=False, username="mallory", password=b"right:" + SECRET
                )
                assert connack.session_present


class TestTakeover:
    async def test_cve_2026_22040_nanomq_many_connections_fight_for_one_identifier(
        self, attack: Attack, broker: RunningBroker
    ) -> None:
        """Fast reconnections of one client among subscriptions and messages: crashes, and takeovers without end."""
        lasting = Properties(session_expiry_interval=NEVER)
        count = 300
        async with attack.connected(V5, "fought-for", properties=lasting) as client:
            await client.subscribe("a", qos=1)
        heard: set[bytes] = set()
        done = asyncio.Event()

        async def fight(number: int) -> None:
            while not done.is_set():
                try:
                    async with attack.connected(V5, "fought-for", clean_start=False, properties=lasting) as client:
                        await client.subscribe(f"other/{number}", qos=1)
                        messages = [packet for packet in await client.drain() if isinstance(packet, Publish)]
                        heard.update(message.payload for message in messages)
                        client.send_bytes(b"".join(encode(PubAck(each.packet_id or 0), V5) for each in messages))
                        await client.unsubscribe(f"other/{number}")
                except ConnectionClosed as taken:
                    heard.update(packet.payload for packet in taken.packets if isinstance(packet, Publish))

        async def publish() -> None:
            async with attack.connected(V5) as client:
                for number in range(count):
                    acknowledged = await client.publish("a", b"%d" % number, qos=1)
                    assert acknowledged is not None
                    assert acknowledged.reason_code == ReasonCode.SUCCESS
            done.set()

        async with asyncio.timeout(30), asyncio.TaskGroup() as group:
            for number in range(12):
                group.create_task(fight(number))
            group.create_task(publish())

        async with attack.connected(V5, "fought-for", clean_start=False, properties=lasting) as client:
            while messages := [packet for packet in await client.drain() if isinstance(packet, Publish)]:
                for message in messages:
                    heard.add(message.payload)
                    client.send(PubAck(message.packet_id or 0))
            assert heard == {b"%d" % number for number in range(count)}
            await client.publish("a", b"afterwards", qos=1)
            assert (await client.expect_publish()).payload == b"afterwards"
            there = census(broker)
            assert (there.connections, there.online, there.sessions, there.carriers) == (2, 2, 2, 2)


VALUES = (0, 1, 2, 65_535, 2**31, NEVER, 2**53, 2**64)
EXTREMES: dict[str, dict[str, Any]] = {
    f"{field.name}={value}": {field.name: value}
    for field in fields(Limits)
    if isinstance(field.default, int | float) and not isinstance(field.default, bool)
    for value in VALUES
}


class TestSettings:
    @pytest.mark.parametrize("setting", EXTREMES.values(), ids=EXTREMES)
    async def test_cve_2026_42209_flashmq_setting_at_its_extreme(
        self, mqtt_broker_factory: BrokerFactory, setting: dict[str, Any]
    ) -> None:
        """A number that nobody had tried divided by zero in FlashMQ, over a retained message."""
        try:
            broker = mqtt_broker_factory(**setting)
        except ValueError as refused:
            assert "expected " in str(refused)
            return
        for version in ProtocolVersion:
            async with RawClient(broker.host, broker.port, version=version) as client:
                await client.connect("c", keep_alive=10)
                await client.subscribe("a", "a/#", qos=2)
                for retain in (False, True, True):
                    with contextlib.suppress(ConnectionClosed):  # It may be told that no message is kept.
                        await client.publish("a", SECRET, retain=retain)
                with contextlib.suppress(ConnectionClosed):
                    await client.subscribe("a", qos=2)
                    await client.publish("a", SECRET, qos=min(broker.config.limits.max_qos, 1))
                    await client.drain()
            broker.advance(1)
            async with RawClient(broker.host, broker.port, version=version) as client:
                assert (await client.connect("c")).reason_code == ReasonCode.SUCCESS
                await client.ping()
                await client.disconnect()
        assert [line for line in broker.logged if line[0] == "error"] == []


def _with_delay(delay: int) -> Properties:
    return Properties(
        will_delay_interval=delay,
        payload_format_indicator=WILL_PROPERTIES.payload_format_indicator,
        content_type=WILL_PROPERTIES.content_type,
        response_topic=WILL_PROPERTIES.response_topic,
        correlation_data=WILL_PROPERTIES.correlation_data,
        user_properties=WILL_PROPERTIES.user_properties,
    )
