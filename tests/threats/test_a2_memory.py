"""Messages and sessions that piled up in other brokers: packet identifiers, queues, aliases, sessions that end.

Not here, because they need a store on disk and a crash of the broker: CVE-2026-8741 (EMQX: a message is published
before its packet identifier is stored) and Mosquitto 3702 (a stored message refers to one that is gone) are in
``tests/durability/test_crash.py``, Mosquitto 3439 (a corrupt file of the store) in ``tests/durability/test_damage.py``.
"""

from __future__ import annotations

import pytest

from mqttbroker.protocol import (
    Disconnect,
    Properties,
    ProtocolVersion,
    PubAck,
    PubComp,
    Publish,
    PubRec,
    PubRel,
    ReasonCode,
    encode,
)
from mqttbroker.server import Broker
from mqttbroker.sessions import Drop, Session
from mqttbroker.testing.running import RunningBroker
from tests.support.raw import RawClient
from tests.threats.attack import SECRET, V5, V311, Attack, census, ended, growth

COUNT = 2_000
KEPT = 100
FOREVER = Properties(session_expiry_interval=0xFFFF_FFFF)
VERSIONS = pytest.mark.parametrize("version", [V311, V5], ids=["v311", "v5"])


def held(broker: RunningBroker, client_id: str) -> tuple[int, int, dict[Drop, int]]:
    """Packet identifiers of incoming messages, messages owed, and drops of a session."""

    def look(running: Broker) -> tuple[int, int, dict[Drop, int]]:
        session: Session = running.core.registry.sessions[client_id]
        return len(session.incoming), session.load, dict(session.dropped or {})

    return broker.call(look)


class TestQoS2:
    @VERSIONS
    async def test_cve_2023_28366_mosquitto_qos2_id_reuse(
        self, attack: Attack, broker: RunningBroker, overhearing: RawClient, version: ProtocolVersion
    ) -> None:
        """One packet identifier used for message after message, never released: each was kept, until memory ran out."""
        async with attack.connected(version, "mallory", clean_start=False, properties=_lasting(version)) as client:
            again = encode(Publish("a", SECRET * 50, 2, dup=True, packet_id=7), version) * 500
            client.send_bytes(again)
            assert await client.drain() == [PubRec(7)] * 500
            with growth(broker) as found:
                for _ in range(6):
                    client.send_bytes(again)
                    assert len(await client.drain()) == 500
            assert found.size < 200_000
            assert held(broker, "mallory") == (1, 0, {})
            assert len([packet for packet in await overhearing.drain() if isinstance(packet, Publish)]) == 1
            client.send(PubRel(7))
            await client.expect(PubComp)
            assert held(broker, "mallory") == (0, 0, {})

    @pytest.mark.parametrize("broker", [{"receive_maximum": 5}], indirect=True, ids=["receive maximum of 5"])
    async def test_emqx_14815_pubrel_slots_of_a_client_that_left(self, attack: Attack, broker: RunningBroker) -> None:
        """A client filled its slots for QoS 2 messages and went away: they stayed taken after it had come back."""
        async with attack.connected(V5, "mallory", properties=FOREVER) as client:
            for packet_id in range(1, 6):
                client.send(Publish("a", SECRET, 2, packet_id=packet_id))
                assert (await client.expect(PubRec)).packet_id == packet_id
            client.send(Publish("a", SECRET, 2, packet_id=6))
            assert await ended(client, ReasonCode.RECEIVE_MAXIMUM_EXCEEDED)
        async with attack.connected(V5, "mallory", clean_start=False, properties=FOREVER) as client:
            assert held(broker, "mallory")[0] == 5
            for packet_id in range(1, 6):
                client.send(PubRel(packet_id))
                assert (await client.expect(PubComp)) == PubComp(packet_id)
            assert held(broker, "mallory")[0] == 0
            for packet_id in range(1, 11):
                assert (await client.publish("a", SECRET, qos=2, packet_id=packet_id)) is not None
            assert held(broker, "mallory")[0] == 0
            for packet_id in range(1, 6):  # As many as before, and not one less.
                client.send(Publish("a", SECRET, 2, packet_id=packet_id))
                await client.expect(PubRec)


class TestQueues:
    """A subscriber that never acknowledges, or never reads, and a fast publisher."""

    @pytest.mark.parametrize(
        "broker",
        [
            {"max_queued_messages": KEPT, "max_inflight": 10, "queue_policy": policy}
            for policy in ("drop_oldest", "drop_newest", "refuse")
        ],
        indirect=True,
        ids=["drop oldest", "drop newest", "refuse"],
    )
    async def test_moquette_session_queue_cap(self, attack: Attack, broker: RunningBroker) -> None:
        """The queue of a client that acknowledged nothing grew without end."""
        policy = broker.config.limits.queue_policy
        async with (
            attack.connected(V5, "slow") as slow,
            attack.connected(V5, "good") as good,
            attack.connected(V5, "fast") as fast,
        ):
            await slow.subscribe("a", qos=1)
            await good.subscribe("a", qos=1)
            codes: list[ReasonCode] = []
            heard: list[bytes] = []
            for start in range(0, COUNT, 50):
                for number in range(start, start + 50):
                    fast.send(Publish("a", b"%d" % number, 1, packet_id=number + 1))
                codes += [packet.reason_code for packet in await fast.drain() if isinstance(packet, PubAck)]
                heard += await _take_all(good)
            _, load, drops = held(broker, "slow")
            assert load == KEPT
            numbers = [b"%d" % number for number in range(COUNT)]
            if policy == "refuse":
                refused = [ReasonCode.QUOTA_EXCEEDED] * (COUNT - KEPT)
                assert codes == [ReasonCode.SUCCESS] * KEPT + refused
                assert heard == numbers[:KEPT]
                assert drops == {}
            else:
                assert codes == [ReasonCode.SUCCESS] * COUNT
                assert heard == numbers
                assert drops == {Drop.QUEUE_FULL: COUNT - KEPT}
            last = numbers[:KEPT] if policy != "drop_oldest" else numbers[:10] + numbers[10 - KEPT :]
            assert await _take_all(slow) == last
            await fast.publish("a", b"afterwards", qos=1)
            assert await _take_all(slow) == [b"afterwards"]

    @pytest.mark.parametrize("broker", [{"max_outbound_buffer": 65_536}], indirect=True, ids=["64 KiB"])
    async def test_moquette_session_queue_cap_for_qos_0(self, attack: Attack, broker: RunningBroker) -> None:
        """The same at QoS 0, with a client that does not even read."""
        payload = bytes(100_000)
        async with attack.connected(V5, "slow") as slow, attack.connected(V5, "fast") as fast:
            await slow.subscribe("a")
            for _ in range(300):
                await fast.publish("a", payload)
            dropped = held(broker, "slow")[2][Drop.CONGESTED]
            assert 0 < dropped < 300

            def waiting(running: Broker) -> int:
                return running.core.registry.online["slow"].carrier.waiting()

            assert broker.call(waiting) < 65_536 + 2 * len(payload)
            received = [packet for packet in await slow.drain() if isinstance(packet, Publish)]
            assert len(received) == 300 - dropped

    async def test_cve_2025_62723_flashmq_sessions_that_expire_with_messages(
        self, attack: Attack, broker: RunningBroker
    ) -> None:
        """Sessions that expired with undelivered messages left these behind in FlashMQ: memory was never freed."""
        expiring = Properties(session_expiry_interval=60)

        async def fill(round_: int) -> None:
            for number in range(50):
                async with attack.connected(V5, f"c{round_}-{number}", properties=expiring) as client:
                    await client.subscribe(f"load/{number}", "load/all", f"load/+/{round_}", qos=2)
                    await client.disconnect()
            async with attack.connected(V5) as client:
                for number in range(50):
                    for qos in (1, 2):
                        await client.publish(f"load/{number}", bytes(2_000), qos=qos)
                for qos in (1, 2):
                    await client.publish("load/all", bytes(2_000), qos=qos)
                await client.disconnect()
            assert held(broker, f"c{round_}-0")[1] == 4
            broker.advance(62)

        await fill(0)  # Whatever is made once is made now.
        before = census(broker)
        assert (before.sessions, before.subscriptions, before.deadlines) == (1, 1, 0)
        with growth(broker) as found:
            await fill(1)
        assert census(broker) == before
        assert found.peak > 200_000
        assert found.size < 50_000


class TestTopicAliases:
    async def test_aedes_1124_alias_table_as_large_as_the_client_likes(
        self, attack: Attack, broker: RunningBroker
    ) -> None:
        """A client that announces 65,535 topic aliases and subscribes to ``#`` made the server keep as many."""
        greedy = Properties(topic_alias_maximum=65_535)
        maximum = broker.config.limits.topic_alias_maximum
        async with attack.connected(V5, "mallory", properties=greedy) as client, attack.connected(V5) as other:
            await client.subscribe("t/#", qos=1)
            for number in range(3 * maximum):
                other.send(Publish(f"t/{number}", SECRET, 1, packet_id=number + 1))
            await other.drain()
            aliases = [packet.properties.topic_alias for packet in await client.drain() if isinstance(packet, Publish)]
            assert len(aliases) == 3 * maximum
            assert {alias for alias in aliases if alias} == set(range(1, maximum + 1))

            def table(running: Broker) -> int:
                return len(running.core.registry.online["mallory"].session.wire.aliases)

            assert broker.call(table) == maximum

    @pytest.mark.parametrize("alias", [0, 257, 65_535], ids="alias {}".format)
    async def test_aedes_1124_alias_that_the_server_does_not_have(
        self, attack: Attack, overhearing: RawClient, alias: int
    ) -> None:
        """An alias of 0, or above the maximum that the server announced, is refused."""
        async with attack.connected(V5) as client:
            data = b"\x30\x08\x00\x01a\x03\x23" + alias.to_bytes(2, "big") + b"x"
            client.send_bytes(data)
            (packet,) = await ended(client, ReasonCode.TOPIC_ALIAS_INVALID)
            assert isinstance(packet, Disconnect)
        await overhearing.expect_silence()


async def _take_all(client: RawClient) -> list[bytes]:
    """Acknowledge until nothing more comes; the payloads."""
    payloads: list[bytes] = []
    while messages := [packet for packet in await client.drain() if isinstance(packet, Publish)]:
        for message in messages:
            payloads.append(message.payload)
            client.send(PubAck(message.packet_id or 0))
    return payloads


def _lasting(version: ProtocolVersion) -> Properties:
    return FOREVER if version == V5 else Properties()
