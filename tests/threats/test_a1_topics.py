"""Topic names and topic filters that have crashed, starved or fooled brokers."""

from __future__ import annotations

import pytest

from mqttbroker.protocol import (
    Connect,
    Disconnect,
    Packet,
    PingReq,
    PingResp,
    ProtocolVersion,
    Publish,
    ReasonCode,
    SubAck,
    Subscribe,
    SubscriptionRequest,
    UnsubAck,
    Unsubscribe,
    Will,
    encode,
)
from mqttbroker.testing.running import RunningBroker
from tests.conformance.v311 import handmade as v311
from tests.conformance.wire import connect_packet, cut, packet, prefixed, publish_packet
from tests.support.raw import ConnectionClosed, RawClient
from tests.threats.attack import MALFORMED_OR_VIOLATION, SECRET, V5, V311, VIOLATION, Attack, ended, growth, subscribed
from tests.threats.sans_io import calls

DEEP = "/" * 65_535
VERSIONS = pytest.mark.parametrize("version", [V311, V5], ids=["v311", "v5"])


class TestDeepTopics:
    @VERSIONS
    async def test_cve_2019_11779_mosquitto_deep_topic(self, attack: Attack, version: ProtocolVersion) -> None:
        """A SUBSCRIBE to some 65,400 slashes overflowed the stack of Mosquitto before 1.6.6: it recursed by level."""
        five = version == V5
        async with attack.connected(version) as client:
            assert await subscribed(client, DEEP) == (
                ReasonCode.TOPIC_FILTER_INVALID if five else ReasonCode.UNSPECIFIED_ERROR
            )
            attack.refusal(client, "subscribe")
        async with attack.connected(version) as client:
            unsuback = await client.unsubscribe(DEEP)
            assert unsuback.reason_codes == ((ReasonCode.TOPIC_FILTER_INVALID,) if five else ())
            attack.refusal(client, "unsubscribe")
        for qos in (0, 1, 2):
            async with attack.connected(version) as client:
                publish = Publish(DEEP, SECRET, qos, packet_id=1 if qos else None)
                await attack.rejected(client, encode(publish, version), ReasonCode.TOPIC_NAME_INVALID)
        async with attack.open(version) as client:
            connack = await client.connect(will=Will(DEEP, SECRET))
            assert connack.reason_code == (ReasonCode.TOPIC_NAME_INVALID if five else ReasonCode.NOT_AUTHORIZED)
            assert await client.expect_closed() == []
            attack.failure(client, ReasonCode.TOPIC_NAME_INVALID)

    @pytest.mark.parametrize("broker", [{"max_topic_levels": 65_535, "max_topic_length": 65_535}], indirect=True)
    async def test_cve_2019_11779_mosquitto_deep_topic_where_it_is_allowed(self, attack: Attack) -> None:
        """As above, on a broker that was told to take the deepest topics there are: nothing recurses by level."""
        one, two = "/" * 65_533 + "a", "/" * 65_533 + "b"
        plus = "/".join("+" * 32_767)
        matched = "/" * 32_766
        async with attack.connected(will=Will(one, b"will")) as client:
            for topic_filter in (one, two, plus, "/" * 65_532 + "+/#"):
                assert await subscribed(client, topic_filter) == ReasonCode.GRANTED_QOS_2
            for topic in (one, two, matched):
                await client.publish(topic, SECRET, qos=1, retain=True)
                assert (await client.expect_publish()).topic == topic
            async with attack.connected() as late:
                await late.subscribe(plus, "/" * 65_532 + "+/b")
                received = [await late.expect_publish() for _ in range(2)]
                assert {each.topic for each in received} == {matched, two}
            unsuback = await client.unsubscribe(one, two, plus)
            assert unsuback.reason_codes == (ReasonCode.SUCCESS,) * 3
            await client.publish(two, SECRET)
            assert (await client.expect_publish()).topic == two
            await client.expect_silence()
            await cut(client)

    @pytest.mark.parametrize("broker", [{"max_cached_topics": 500}], indirect=True)
    async def test_cve_2021_33176_vernemq_topic_depth_memory(self, broker: RunningBroker, attack: Attack) -> None:
        """Topics without a limit of depth let one client inflate the memory of VerneMQ until the system ended it.

        RabbitMQ (CVE-2021-22116) and EMQX (CVE-2021-33175) were inflated by crafted messages too.
        """
        middle = "/xx" * 62
        count = 4_096  # As many routes as a connection remembers.

        def topics(begin: int, end: int) -> bytes:
            # Two topics at a time that part at the last level: the worst case for a tree of levels.
            names = (f"{number // 2}{middle}/{number % 2}" for number in range(begin, end))
            return b"".join(v311.publish_packet(name, SECRET) for name in names)

        async with attack.connected(V311) as client:
            with growth(broker, sizes=False) as first:
                client.send_bytes(topics(0, count))
                await client.ping(30)
            with growth(broker, sizes=False) as second:
                client.send_bytes(topics(count, 2 * count))
                await client.ping(30)
            # What one connection and 500 cached topics of 64 levels may take; it was reached, and it stays.
            assert first.objects < 500 * 64 + 5 * count
            assert second.objects < 1_000
            await attack.rejected(client, v311.publish_packet("/" * 128, SECRET), ReasonCode.TOPIC_NAME_INVALID)

    @pytest.mark.parametrize("broker", [{"max_subscriptions": 100, "max_retained_messages": 100}], indirect=True)
    async def test_cve_2021_33176_vernemq_topic_depth_memory_that_stays(
        self, broker: RunningBroker, attack: Attack
    ) -> None:
        """As above, with what outlives the packet: subscriptions and retained messages. Both have a limit."""
        middle = "/xx" * 126
        async with attack.connected(client_id="keeper") as client:
            with growth(broker) as found:
                codes = await self.keep(client, "", middle)
            assert (
                codes
                == [(ReasonCode.SUCCESS, ReasonCode.NO_MATCHING_SUBSCRIBERS)] * 100
                + [(ReasonCode.QUOTA_EXCEEDED, ReasonCode.QUOTA_EXCEEDED)] * 50
            )
            assert found.size < 150 * 20_000
            with growth(broker) as found:
                codes = await self.keep(client, "more", middle)
            assert codes == [(ReasonCode.QUOTA_EXCEEDED, ReasonCode.QUOTA_EXCEEDED)] * 150
            # Nothing is kept but the routes to these topics, up to as many as are remembered.
            assert found.size < 150 * 20_000
            assert len(attack.lines(client)) <= 50, "a client that goes on and on is not logged for ever"
            await client.disconnect()
        assert broker.call(lambda running: len(running.core.router)) == 1

    async def keep(self, client: RawClient, prefix: str, middle: str) -> list[tuple[ReasonCode, ReasonCode]]:
        """Subscribe to 150 deep topics and retain messages on 150 more; what the broker answers to each pair."""
        codes: list[tuple[ReasonCode, ReasonCode]] = []
        for number in range(150):
            topic = f"{prefix}{number // 2}{middle}/{number % 2}"
            suback = await client.subscribe(topic)
            puback = await client.publish(f"r{topic}", SECRET, qos=1, retain=True)
            assert puback is not None
            codes.append((suback.reason_codes[0], puback.reason_code))
        return codes


class TestEmptyTopics:
    @VERSIONS
    @pytest.mark.parametrize("qos", [0, 1, 2], ids="QoS {}".format)
    async def test_cve_2021_34432_mosquitto_empty_topic(
        self, attack: Attack, overhearing: RawClient, version: ProtocolVersion, qos: int
    ) -> None:
        """A PUBLISH with a topic of no bytes and no topic alias dereferenced NULL in Mosquitto up to 2.0.7."""
        first, packet_id = 0x30 | qos << 1, 1 if qos else None
        five = publish_packet(b"", SECRET, first=first, packet_id=packet_id)
        four = v311.publish_packet(b"", SECRET, first=first, packet_id=packet_id)
        async with attack.connected(version) as client:
            await attack.rejected(client, five if version == V5 else four, VIOLATION)
        await overhearing.expect_silence()

    async def test_cve_2021_34432_mosquitto_empty_topic_with_an_unknown_alias(
        self, attack: Attack, overhearing: RawClient
    ) -> None:
        """As above, with a topic alias that was never set."""
        async with attack.connected() as client:
            await attack.rejected(client, publish_packet(b"", SECRET, properties=b"\x23\x00\x01"), VIOLATION)
        await overhearing.expect_silence()

    @VERSIONS
    async def test_cve_2021_34432_mosquitto_empty_will_topic(self, attack: Attack, version: ProtocolVersion) -> None:
        """As above, in the will."""
        will = (b"\x00" if version == V5 else b"") + prefixed(b"") + prefixed(SECRET)
        async with attack.open(version) as client:
            data = connect_packet(prefixed("c"), will, flags=0x06, level=version)
            client.send_bytes(data)
            await ended(client, ReasonCode.TOPIC_NAME_INVALID)
            attack.failure(client, ReasonCode.TOPIC_NAME_INVALID)


INVALID = {
    "hash behind text": "a#",
    "hash before text": "#a",
    "hash before a level": "#/a",
    "hash in the middle": "a/#/b",
    "hash twice": "#/#",
    "hash four times": "#/#/#/#",
    "plus behind text": "a+",
    "plus before text": "+a",
    "plus twice in a level": "++",
    "plus and hash in a level": "a/+#",
    "share without a group": "$share//x",
    "share without a filter": "$share/g",
    "share with a bad filter": "$share/g/a#",
}
VALID = ("#", "+", "/", "//", "+/+", "+/#", "a/+/b", "/#", "a/#", "$share/g/#", "$share/g//", "$shared", "$SYS/#", " ")


class TestFilters:
    async def test_ghsa_2hjf_7455_w946_amqtt_filter_backtracking(self, broker: RunningBroker, attack: Attack) -> None:
        """amqtt 0.11 made a regular expression of an invalid filter with ``+``, which backtracked for ever."""
        for topic_filter in ("+a" * 2_000, "+a/" * 120 + "+", "#/#/#", "a+" * 2_000 + "!"):
            async with attack.connected() as client:
                assert await subscribed(client, topic_filter) == ReasonCode.TOPIC_FILTER_INVALID
                attack.refusal(client, "subscribe")
                await client.publish("a" * 2_000 + "!", SECRET, qos=1)

    def test_ghsa_2hjf_7455_w946_amqtt_filter_work_is_linear(self) -> None:
        """As above: twice the length is twice the work, whether a filter is refused, kept, matched or not matched."""

        def work(levels: int) -> int:
            topic = "/".join("a" * levels)
            packets: list[Packet] = [
                Connect("c"),
                Subscribe(1, (SubscriptionRequest("+a" * levels), SubscriptionRequest("+/" * levels + "b"))),
                Subscribe(2, (SubscriptionRequest("a/" * levels + "#"), SubscriptionRequest("a/+/" * (levels // 2)))),
                Publish(topic, SECRET),
                Publish(f"{topic}/c", SECRET),
            ]
            return calls(packets, max_topic_levels=65_535, max_topic_length=65_535)

        assert work(8_000) < 2.2 * work(4_000)

    @VERSIONS
    async def test_cve_2024_48080_aedes_filters(self, attack: Attack, version: ProtocolVersion) -> None:
        """aedes was said to crash at a SUBSCRIBE with several ``#`` (its maintainers dispute it); it does take some
        filters that the standard does not have.
        """
        five = version == V5
        async with attack.connected(version) as client:
            suback = await client.subscribe(*INVALID.values(), qos=1)
            code = ReasonCode.TOPIC_FILTER_INVALID if five else ReasonCode.UNSPECIFIED_ERROR
            assert suback.reason_codes == (code,) * len(INVALID)
            unsuback = await client.unsubscribe(*INVALID.values())
            assert unsuback.reason_codes == ((code,) * len(INVALID) if five else ())
            assert len(attack.lines(client)) == 2 * len(INVALID)
        async with attack.connected(version) as client:
            suback = await client.subscribe(*VALID, qos=1)
            assert suback.reason_codes == (ReasonCode.GRANTED_QOS_1,) * len(VALID)
            await client.publish("aedes/topic", SECRET, qos=1)
            # Once for all those that match together, and once for the shared one.
            received = [await client.expect_publish() for _ in range(2)]
            assert {each.topic for each in received} == {"aedes/topic"}

    @VERSIONS
    async def test_cve_2024_48080_aedes_empty_filter(self, attack: Attack, version: ProtocolVersion) -> None:
        """As above, with a filter of no bytes, which no packet may hold."""
        five = version == V5
        none = b"\x00" if five else b""
        for data in (
            packet(0x82, b"\x00\x01" + none + b"\x00\x00" + b"\x00"),
            packet(0xA2, b"\x00\x01" + none + b"\x00\x00"),
        ):
            async with attack.connected(version) as client:
                client.send_bytes(data + encode(PingReq(), version))
                try:
                    answer = await client.receive()
                except ConnectionClosed:
                    attack.failure(client, *MALFORMED_OR_VIOLATION)
                    continue
                if isinstance(answer, Disconnect):
                    assert answer.reason_code in (*MALFORMED_OR_VIOLATION, ReasonCode.TOPIC_FILTER_INVALID)
                    await client.expect_closed()
                    attack.failure(client, answer.reason_code)
                    continue
                assert isinstance(answer, SubAck | UnsubAck)
                invalid = ReasonCode.TOPIC_FILTER_INVALID if five else ReasonCode.UNSPECIFIED_ERROR
                assert set(answer.reason_codes) <= {invalid}
                assert isinstance(await client.receive(), PingResp)
                attack.refusal(client, "subscribe" if isinstance(answer, SubAck) else "unsubscribe")

    @pytest.mark.parametrize("topic_filter", INVALID.values(), ids=INVALID.keys())
    async def test_cve_2024_48080_aedes_one_filter(self, attack: Attack, topic_filter: str) -> None:
        """As above, one filter at a time, with one line of the log for each."""
        async with attack.connected() as client:
            assert await subscribed(client, topic_filter) == ReasonCode.TOPIC_FILTER_INVALID
            attack.refusal(client, "subscribe")
            assert await subscribed(client, "still/served") == ReasonCode.GRANTED_QOS_2

    @pytest.mark.parametrize("topic_filter", ["$share", "$share/", "$share//", "$share/+/x", "$share/#/x", "$share/g/"])
    async def test_moquette_958_957_malformed_share(self, attack: Attack, topic_filter: str) -> None:
        """A malformed ``$share`` filter threw in Moquette, and ended the loop that served many other sessions."""
        async with attack.connected() as client, attack.connected() as other:
            await other.subscribe("$share/g/x", qos=1)
            assert await subscribed(client, topic_filter) == ReasonCode.TOPIC_FILTER_INVALID
            attack.refusal(client, "subscribe")
            assert (await client.unsubscribe(topic_filter)).reason_codes == (ReasonCode.TOPIC_FILTER_INVALID,)
            await client.publish("x", SECRET, qos=1)
            assert (await other.expect_publish()).payload == SECRET


class TestTheServersOwnTopics:
    @VERSIONS
    @pytest.mark.parametrize("topic", ["$SYS/x", "$share/x", "$share/g/x", "$CONTROL/x", "$foo", "$"])
    async def test_cve_2018_12543_mosquitto_dollar_topics(
        self, attack: Attack, overhearing: RawClient, version: ProtocolVersion, topic: str
    ) -> None:
        """A PUBLISH to a topic with ``$`` that is not ``$SYS`` ran into an assertion of Mosquitto 1.5."""
        five = version == V5
        async with attack.connected(version) as client:
            for retain in (False, True):
                await client.publish(topic, SECRET, retain=retain)
                for qos in (1, 2):
                    answer = await client.publish(topic, SECRET, qos=qos, retain=retain)
                    assert answer is not None
                    assert answer.reason_code == (ReasonCode.NOT_AUTHORIZED if five else ReasonCode.SUCCESS)
            lines = attack.lines(client)
            assert [line[1] for line in lines] == ["refused"] * 6
            assert all(line[2]["action"] == "publish" and line[2]["topic"] == topic for line in lines)
        async with attack.open(version) as client:
            connack = await client.connect(will=Will(topic, SECRET, retain=True))
            assert connack.reason_code == ReasonCode.NOT_AUTHORIZED
            assert await client.expect_closed() == []
            attack.refusal(client, "publish will")
        await overhearing.subscribe("$SYS/#", "$CONTROL/#", "$foo/#", "#")
        await overhearing.expect_silence()

    async def test_cve_2018_12543_mosquitto_dollar_topic_by_alias(self, attack: Attack, overhearing: RawClient) -> None:
        """As above: a refused topic does not come in by its alias."""
        async with attack.connected() as client:
            client.send_bytes(publish_packet("$SYS/x", SECRET, properties=b"\x23\x00\x01"))
            client.send_bytes(publish_packet("", SECRET, properties=b"\x23\x00\x01"))
            await client.ping()
        await overhearing.expect_silence()


def test_every_filter_of_the_tables_can_be_written() -> None:
    """The client's encoder does not stand between the tables and the broker."""
    for topic_filter in (*INVALID.values(), *VALID, DEEP):
        encode(Unsubscribe(1, (topic_filter,)), V5)
