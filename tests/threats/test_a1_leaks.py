"""Error paths that leak, and assertions that a packet can reach."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mqttbroker.protocol import ReasonCode
from mqttbroker.testing.running import RunningBroker
from tests.conformance.wire import connect_packet, cut, pair, prefixed, publish_packet, subscribe_packet
from tests.threats.attack import SECRET, V5, V31, V311, Attack, census, leaves_nothing, restored
from tests.threats.corpus import transcript

ROUNDS = 40

BEFORE_CONNECT: dict[str, bytes] = {
    "CONNECT, cut short": b"\x10\x0c" + prefixed(b"MQTT") + b"\x05\xc6\x00\x00" + b"\x00\x00",
    "CONNECT, bytes left over": connect_packet(prefixed(b"c"), SECRET),
    "CONNECT, property twice": connect_packet(prefixed(b"c"), properties=b"\x21\x00\x01" * 2),
    "CONNECT, bad client identifier": connect_packet(prefixed(b"\xff")),
    "will with a property of CONNECT": connect_packet(
        prefixed(b"c"), b"\x03\x21\x00\x01" + prefixed(b"a") + prefixed(SECRET), flags=0x06
    ),
    "will with a wildcard": connect_packet(prefixed(b"c"), b"\x00" + prefixed(b"a/#") + prefixed(SECRET), flags=0x06),
    "will of QoS 3": connect_packet(prefixed(b"c"), b"\x00" + prefixed(b"a") + prefixed(SECRET), flags=0x1E),
    "unknown level": connect_packet(prefixed(b"c"), level=77),
    "unknown method": connect_packet(prefixed(b"c"), properties=b"\x15" + prefixed(b"method")),
}
AFTER_CONNECT: dict[str, bytes] = {
    "PUBLISH with a property of CONNACK": publish_packet("a", SECRET, properties=b"\x24\x01"),
    "PUBLISH, alias out of range": publish_packet("a", SECRET, properties=b"\x23\xff\xff"),
    "PUBLISH, alias unknown": publish_packet("", SECRET, properties=b"\x23\x00\x02"),
    "PUBLISH with a wildcard": publish_packet("a/+", SECRET),
    "PUBLISH, response topic with a wildcard": publish_packet("a", SECRET, properties=b"\x08" + prefixed(b"#")),
    "PUBLISH, user property cut short": publish_packet("a", SECRET, properties=pair("n", "v")[:-1]),
    "PUBLISH of QoS 3": publish_packet("a", SECRET, first=0x36, packet_id=1),
    "SUBSCRIBE, reserved bits": subscribe_packet("a", 0xC0),
    "SUBSCRIBE, no local and shared": subscribe_packet("$share/g/a", 0x04),
    "SUBSCRIBE, nothing": b"\x82\x03\x00\x01\x00",
    "second CONNECT": connect_packet(prefixed(b"d")),
    "unknown reason code": b"\x40\x03\x00\x01\x77",
    "AUTH": b"\xf0\x00",
}


async def round_of(attack: Attack, data: bytes, connected: bool) -> None:
    """One more client that sends this and is gone: with state that goes with it if it was connected."""
    if not connected:
        # Of 3.1.1, because the answer to an unknown level is; nothing here looks at the answers.
        async with attack.open(V311 if data == BEFORE_CONNECT["unknown level"] else V5) as client:
            client.send_bytes(data)
            await client.expect_closed()
        return
    async with attack.connected(client_id="leak") as client:
        client.send_bytes(subscribe_packet("leak/#", 2, properties=b"\x0b\x01"))
        client.send_bytes(publish_packet("leak/a", SECRET, first=0x34, packet_id=1, properties=b"\x23\x00\x01"))
        client.send_bytes(data)
        await client.expect_closed()


@pytest.mark.parametrize(
    ("data", "connected"),
    [pytest.param(data, False, id=name) for name, data in BEFORE_CONNECT.items()]
    + [pytest.param(data, True, id=name) for name, data in AFTER_CONNECT.items()],
)
async def test_cve_2017_7654_mosquitto_error_path_that_leaks(
    broker: RunningBroker, attack: Attack, data: bytes, connected: bool
) -> None:
    """Mosquitto lost memory on the way out of errors: a crafted CONNECT (CVE-2017-7654, CVE-2021-34431), a will with
    properties of the wrong type, a PUBLISH with a bad property (CVE-2023-3592, issue 1774), a SUBSCRIBE (2.0.21).
    """
    broker.advance(20)  # So that the deadline for the bystander's CONNECT has passed.
    before = census(broker)

    async def rounds() -> None:
        broker.logged.clear()
        for _ in range(ROUNDS):
            await round_of(attack, data, connected)
        assert sum(line[1] != "connected" for line in broker.logged) == ROUNDS, "one line for each"
        await restored(broker, before)

    await leaves_nothing(broker, rounds, objects=ROUNDS // 2)  # Not one for each.


async def test_cve_2024_42644_flashmq_retained_messages(attack: Attack) -> None:
    """Crafted retained messages reached assertions of FlashMQ 1.14, which end the process."""
    topics = [" ", "/", "//", "a", "a/", "/a", "\ufeff", "\U0010ffff", "+"[1:] + "b" * 4_000, "/".join("c" * 128)]
    async with attack.connected() as client:
        for topic in topics:
            for payload in (b"", SECRET, b"", b"", SECRET * 100, SECRET):
                for qos in (0, 1, 2):
                    await client.publish(topic, payload, qos=qos, retain=True)
        async with attack.connected(V311) as late:
            await late.subscribe("#", qos=1)
            received = [await late.expect_publish() for _ in topics]
            assert {each.topic for each in received} == set(topics)
            assert all(each.retain and each.payload == SECRET for each in received)
            assert (await late.subscribe("+/#", "#", "/", qos=2)).reason_codes == (ReasonCode.GRANTED_QOS_2,) * 3
            await late.drain()
        for topic in topics:
            await client.publish(topic, b"", qos=1, retain=True)
        async with attack.connected(V31) as late:
            await late.subscribe("#", qos=2)
            await late.expect_silence()


def test_cve_2024_42645_flashmq_same_without_assertions() -> None:
    """As above, for all known packets: a build without assertions answers each of them as one with assertions does,
    so that none of them guards against what a client can send.
    """
    run = subprocess.run(
        [sys.executable, "-O", "-m", "tests.threats.corpus"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert run.stdout.splitlines() == transcript()


async def test_flashmq_174_abrupt_end_at_any_point(broker: RunningBroker, attack: Attack) -> None:
    """As above (issue 174), with a connection that is lost between any two bytes of a session."""
    stream = (
        connect_packet(prefixed(b"c"), b"\x00" + prefixed(b"will") + prefixed(SECRET), flags=0x06)
        + subscribe_packet("a/#", 2)
        + publish_packet("a/b", SECRET, first=0x35, packet_id=2)
        + b"\x62\x02\x00\x02"
        + publish_packet("a/b", b"", first=0x31)
        + b"\xe0\x00"
    )
    broker.advance(20)
    before = census(broker)
    for length in range(len(stream)):
        async with attack.open(V5) as client:
            client.send_bytes(stream[:length])
            await cut(client)
    async with attack.connected() as client:
        await client.publish("a/b", b"", qos=1, retain=True)
    await restored(broker, before)
