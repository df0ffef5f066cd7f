"""Traces: what a tap shows of a connection, whichever path through the broker its packets take."""

from __future__ import annotations

import pytest

from mqttbroker.broker import (
    HIDDEN,
    Found,
    Target,
    TooManyTraces,
    Trace,
    TracedEnd,
    TracedLoss,
    TracedPacket,
    network_of,
)
from mqttbroker.broker import trace as limits_of_traces
from mqttbroker.protocol import (
    ConnAck,
    Connect,
    Properties,
    ProtocolVersion,
    PubAck,
    PubComp,
    Publish,
    PubRec,
    PubRel,
    ReasonCode,
    Will,
    encode,
)
from tests.broker.support import V5, V311, Patient, World

SECRET = b"correct horse"


def traced(world: World, target: Target, seconds: float = 60.0, packets: int = 1_000, preview: int = 256) -> Trace:
    """A trace that has begun."""
    found = Trace(target, world.now, world.now + seconds, packets, preview, lambda: None)
    world.core.tracing.begin(found)
    return found


def shown(trace: Trace) -> list[str]:
    """What a trace has found, in short."""
    return [short(each) for each in trace.take()]


def short(found: Found) -> str:
    if isinstance(found, TracedLoss):
        return f"lost {found.count}"
    if isinstance(found, TracedEnd):
        return f"closed {found.client_id}: {found.reason}"
    return f"{found.direction} {found.name}"


def packets(trace: Trace) -> list[TracedPacket]:
    """The packets that a trace has found."""
    return [each for each in trace.take() if isinstance(each, TracedPacket)]


def one_of(trace: Trace, name: str) -> TracedPacket:
    (found,) = (each for each in packets(trace) if each.name == name)
    return found


class TestClient:
    def test_from_connect_to_the_end(self) -> None:
        world = World()
        trace = traced(world, Target(client="sensor"))
        world.client("other").publish("a", b"1")
        sensor = world.client("sensor", user="u")
        sensor.subscribe("a/#", qos=1)
        sensor.publish("a/b", b"hello", qos=1)
        sensor.disconnect()
        assert shown(trace) == [
            "in CONNECT",
            "out CONNACK",
            "in SUBSCRIBE",
            "out SUBACK",
            "in PUBLISH",
            "out PUBLISH",
            "out PUBACK",
            "in DISCONNECT",
            "closed sensor: disconnected",
        ]

    @pytest.mark.parametrize("version", [V311, V5])
    def test_a_client_that_is_connected_already(self, version: ProtocolVersion) -> None:
        world = World()
        reader, writer = world.client("reader", version=version), world.client("writer", version=version)
        reader.subscribe("a")
        trace = traced(world, Target(client="reader"))
        for number in range(3):
            writer.publish("a", b"%d" % number)  # On the short path, as bytes of one packet for everybody.
        found = packets(trace)
        assert [(each.direction, each.name, each.topic) for each in found] == [("out", "PUBLISH", "a")] * 3
        assert [each.packet.payload for each in found if isinstance(each.packet, Publish)] == [b"0", b"1", b"2"]

    def test_any_split_shows_the_same(self) -> None:
        world = World()
        sensor = world.client("sensor")
        trace = traced(world, Target(client="sensor"))
        data = encode(Publish("a/b", b"x" * 300, 1, packet_id=7), V5) + encode(Publish("c", b"y"), V5)
        for at in range(len(data)):
            sensor.feed(data[at : at + 1])
        assert shown(trace) == ["in PUBLISH", "out PUBACK", "in PUBLISH"]

    def test_one_that_begins_within_a_packet(self) -> None:
        world = World()
        sensor = world.client("sensor")
        data = encode(Publish("a/b", b"payload"), V5)
        sensor.feed(data[:5])
        trace = traced(world, Target(client="sensor"))
        sensor.feed(data[5:])
        assert one_of(trace, "PUBLISH").size == len(data)

    def test_one_that_begins_while_a_connect_is_decided(self) -> None:
        patient = Patient()
        world = World(authenticator=patient)
        peer = world.opened()
        peer.connect("sensor")
        trace = traced(world, Target(client="sensor"))
        other = traced(world, Target(client="other"))
        peer.lose()
        assert (shown(trace), shown(other)) == (["closed sensor: connection lost"], [])

    def test_a_client_that_comes_again(self) -> None:
        world = World()
        trace = traced(world, Target(client="sensor"))
        world.client("sensor")
        world.client("sensor")
        assert shown(trace)[2:] == [
            "in CONNECT",
            "out DISCONNECT",
            "closed sensor: another connection uses this client identifier",
            "out CONNACK",
        ]

    def test_others_keep_no_tap(self) -> None:
        world = World()
        before = world.client("before")
        trace = traced(world, Target(client="sensor"))
        after, sensor = world.client("after"), world.client("sensor")
        assert (before.connection.tap, after.connection.tap) == (None, None)
        assert sensor.connection.tap is not None
        world.core.tracing.end(trace, "stopped")
        assert [each.connection.tap for each in (before, after, sensor)] == [None, None, None]
        assert sensor.connection.outbox.carrier is sensor.carrier

    def test_below_a_mount_point(self) -> None:
        world = World()
        entrance = world.listener("site", mount_point="site/")
        trace = traced(world, Target(client="site/\0sensor"))
        world.client("sensor")
        inside = world.client("sensor", entrance=entrance)
        inside.publish("a/b", qos=1)
        found = packets(trace)
        assert [each.name for each in found] == ["CONNECT", "CONNACK", "PUBLISH", "PUBACK"]
        assert {(each.client_id, each.mount_point) for each in found} == {("sensor", "site/")}
        assert [each.topic for each in found[2:]] == ["site/a/b"] * 2

    def test_everything_in_one_piece(self) -> None:
        """What comes behind a CONNECT is of its version, which the connection does not know yet."""
        world = World()
        trace = traced(world, Target(client="sensor"))
        peer = world.opened(V5)
        properties = Properties(user_properties=(("k", "v"),))
        peer.send(Connect("sensor"), Publish("a", b"1", properties=properties))
        published = [each.packet for each in packets(trace) if each.name == "PUBLISH"]
        assert published == [Publish("a", b"1", properties=properties)]

    def test_a_client_identifier_that_the_broker_gives(self) -> None:
        world = World()
        trace = traced(world, Target(network=network_of("192.0.2.0/24")))
        world.client("")
        world.client("", version=V311)
        names = [each.client_id for each in packets(trace)]
        assert names[0] == names[2] == ""
        assert names[1].startswith("auto-") and names[3].startswith("auto-")


class TestAddress:
    @pytest.mark.parametrize(
        ("network", "address", "included"),
        [
            ("192.0.2.0/24", "192.0.2.7:1234", True),
            ("192.0.2.7", "192.0.2.7:1234", True),
            ("192.0.2.8", "192.0.2.7:1234", False),
            ("2001:db8::/32", "[2001:db8::1]:1234", True),
            ("192.0.2.0/24", "[::ffff:192.0.2.7]:1234", True),
            ("0.0.0.0/0", "unix", False),
            ("::/0", "192.0.2.7:1234", False),
        ],
    )
    def test_which(self, network: str, address: str, included: bool) -> None:
        assert Target(network=network_of(network)).includes(address) is included

    def test_a_refused_connect(self) -> None:
        world = World()
        trace = traced(world, Target(network=network_of("192.0.2.0/24")))
        peer = world.opened(V5)
        peer.send(Connect("a" * 7_000, password=SECRET))
        connect, connack, end = trace.take()
        assert isinstance(connect, TracedPacket) and isinstance(connack, TracedPacket) and isinstance(end, TracedEnd)
        assert isinstance(connack.packet, ConnAck)
        assert connack.packet.reason_code == ReasonCode.CLIENT_IDENTIFIER_NOT_VALID
        assert end.reason == "client identifier of 7000 bytes"

    def test_a_proxy_that_speaks_for_somebody_else(self) -> None:
        world = World()
        one, two = (traced(world, Target(network=network_of(f"198.51.100.{each}"))) for each in (1, 2))
        peer = world.opened(address="198.51.100.1:9")
        peer.connection.speaks_for("198.51.100.2:9")
        peer.connect("sensor")
        assert (shown(one), shown(two)) == ([], ["in CONNECT", "out CONNACK"])

    @pytest.mark.parametrize("data", [b"\x10\x05\x00\x04MQT", b"\x10\xff\xff\xff\xff\x01"])
    def test_what_cannot_be_read(self, data: bytes) -> None:
        world = World()
        trace = traced(world, Target(network=network_of("192.0.2.0/24")))
        world.opened().feed(data)
        found = packets(trace)[0]
        assert (found.packet, found.size > 0) == (None, True)
        assert found.error.startswith("Malformed Packet")

    def test_what_is_no_mqtt(self) -> None:
        world = World()
        trace = traced(world, Target(network=network_of("192.0.2.0/24")))
        world.opened().feed(b"GET / HTTP/1.1\r\n\r\n")
        assert shown(trace) == ["closed : the first packet is not CONNECT, it may be a request of HTTP"]


class TestTopic:
    def test_messages_and_what_belongs_to_them(self) -> None:
        world = World()
        reader, writer = world.client("reader"), world.client("writer")
        reader.subscribe("#", qos=2)
        trace = traced(world, Target(topic_filter="a/+"))
        for topic in ("a/b", "other"):
            number = writer.packet_id()
            writer.send(Publish(topic, b"1", 2, packet_id=number))
            writer.send(PubRel(number))
            (message,) = reader.published()
            assert message.packet_id is not None
            reader.send(PubRec(message.packet_id))
            reader.send(PubComp(message.packet_id))
        found = [f"{each.client_id} {each.direction} {each.name}" for each in packets(trace)]
        assert sorted(found) == [
            "reader in PUBCOMP",
            "reader in PUBREC",
            "reader out PUBLISH",
            "reader out PUBREL",
            "writer in PUBLISH",
            "writer in PUBREL",
            "writer out PUBCOMP",
            "writer out PUBREC",
        ]

    def test_at_least_once(self) -> None:
        world = World()
        reader, writer = world.client("reader"), world.client("writer")
        reader.subscribe("#", qos=1)
        trace = traced(world, Target(topic_filter="a"))
        writer.publish("a", qos=1)
        writer.publish("b", qos=1)
        for message in reader.published():
            assert message.packet_id is not None
            reader.send(PubAck(message.packet_id))
        found = packets(trace)
        assert {each.topic for each in found} == {"a"}
        assert sorted(each.name for each in found) == ["PUBACK", "PUBACK", "PUBLISH", "PUBLISH"]

    def test_topic_aliases(self) -> None:
        world = World()
        reader = world.client("reader", properties=Properties(topic_alias_maximum=5))
        writer = world.client("writer")
        reader.subscribe("#")
        writer.publish("a/b", properties=Properties(topic_alias=1))
        reader.take()
        trace = traced(world, Target(topic_filter="a/#"))
        writer.publish("", b"1", properties=Properties(topic_alias=1))
        found = packets(trace)
        assert [(each.client_id, each.topic) for each in found] == [("writer", "a/b"), ("reader", "a/b")]
        assert [each.packet.topic for each in found if isinstance(each.packet, Publish)] == ["", ""]

    def test_an_alias_that_is_set_while_another_topic_is_traced(self) -> None:
        world = World()
        writer = world.client("writer")
        trace = traced(world, Target(topic_filter="a"))
        writer.publish("a", b"1", properties=Properties(topic_alias=1))
        writer.publish("b", b"2", properties=Properties(topic_alias=1))
        writer.publish("", b"3", properties=Properties(topic_alias=1))
        assert shown(trace) == ["in PUBLISH"]

    def test_subscriptions_that_overlap(self) -> None:
        world = World()
        peer = world.client("reader")
        trace = traced(world, Target(topic_filter="a/b"))
        peer.subscribe("c", "$share/g/a/+")
        peer.subscribe("c")
        peer.unsubscribe("a/#")
        peer.unsubscribe("c")
        assert shown(trace) == ["in SUBSCRIBE", "out SUBACK", "in UNSUBSCRIBE", "out UNSUBACK"]

    def test_a_will(self) -> None:
        world = World()
        trace = traced(world, Target(topic_filter="will/#"))
        world.client("a", will=Will("will/a", b"gone"))
        world.client("b", will=Will("other", b"gone"))
        assert [each.client_id for each in packets(trace)] == ["a"]


class TestSecrets:
    def test_passwords_and_authentication_data(self) -> None:
        world = World()
        trace = traced(world, Target(client="sensor"))
        properties = Properties(authentication_method="m", authentication_data=SECRET)
        peer = world.opened()
        peer.connect("sensor", user="u", password=SECRET, properties=properties)
        connect = one_of(trace, "CONNECT").packet
        assert isinstance(connect, Connect)
        assert (connect.username, connect.password) == ("u", HIDDEN)
        assert connect.properties.authentication_data == HIDDEN
        assert repr(SECRET)[2:-1] not in repr(connect)

    @pytest.mark.parametrize("preview", [0, 3, 100])
    def test_payloads_are_cut(self, preview: int) -> None:
        world = World()
        trace = traced(world, Target(client="sensor"), preview=preview)
        world.client("sensor", will=Will("w", b"0123456789")).publish("a", b"0123456789")
        connect, _, publish = packets(trace)
        assert isinstance(connect.packet, Connect) and connect.packet.will is not None
        assert isinstance(publish.packet, Publish)
        assert connect.packet.will.payload == publish.packet.payload == b"0123456789"[:preview]
        assert (connect.will_size, publish.payload_size) == (10, 10)

    def test_a_large_message_is_not_kept(self) -> None:
        world = World()
        trace = traced(world, Target(client="sensor"))
        world.client("sensor").publish("a", b"x" * 1_000_000)
        found = one_of(trace, "PUBLISH")
        assert (found.payload_size, found.topic, found.error) == (1_000_000, "a", "")

    def test_one_with_monstrous_properties(self) -> None:
        world = World()
        trace = traced(world, Target(client="sensor"))
        properties = Properties(user_properties=(("k", "v" * 60_000),) * 3)
        world.client("sensor").publish("a", properties=properties)
        found = one_of(trace, "PUBLISH")
        assert (found.packet, found.error) == (None, "too large to be shown")


class TestTheEnd:
    def test_after_so_many_packets(self) -> None:
        world = World()
        trace = traced(world, Target(client="sensor"), packets=3)
        world.client("sensor").publish("a")
        assert (shown(trace), trace.ended) == (["in CONNECT", "out CONNACK", "in PUBLISH"], "packets")
        assert (world.core.tracing.on, world.core.tracing.traces) == (False, [])

    def test_after_so_long(self) -> None:
        world = World()
        trace = traced(world, Target(client="sensor"), seconds=5.0)
        world.advance(6.0)
        assert (trace.ended, world.core.tracing.on) == ("time", False)

    def test_nothing_is_found_when_the_time_has_come(self) -> None:
        world = World()
        sensor = world.client("sensor")
        trace = traced(world, Target(client="sensor"), seconds=5.0)
        world.now += 5.0
        sensor.publish("a")
        assert (shown(trace), trace.ended, sensor.connection.tap) == ([], "time", None)

    def test_after_so_many_bytes(self) -> None:
        world = World()
        trace = traced(world, Target(client="sensor"), packets=100_000, preview=65_536)
        sensor = world.client("sensor")
        for _ in range(5_000):
            sensor.publish("a", b"x" * 65_536)
            trace.take()
            if trace.ended:
                break
        assert trace.ended == "bytes"

    def test_a_slow_reader_loses(self) -> None:
        world = World()
        sensor = world.client("sensor")
        trace = traced(world, Target(client="sensor"), packets=10_000)
        for _ in range(limits_of_traces.WAITING + 5):
            sensor.publish("a")
        found = shown(trace)
        assert (len(found), found[-1]) == (limits_of_traces.WAITING + 1, "lost 5")
        sensor.publish("a")
        assert shown(trace) == ["in PUBLISH"]

    def test_a_reader_that_never_reads_costs_no_more_than_so_much(self) -> None:
        world = World()
        sensor = world.client("sensor")
        trace = traced(world, Target(client="sensor"), preview=65_536)
        for _ in range(100):
            sensor.publish("a", b"x" * 65_536)
        found = packets(trace)
        assert len(found) * 65_536 <= limits_of_traces.WAITING_BYTES + 65_536

    def test_there_may_be_so_many(self) -> None:
        world = World()
        for _ in range(8):
            traced(world, Target(topic_filter="#"))
        with pytest.raises(TooManyTraces):
            traced(world, Target(topic_filter="#"))

    def test_two_at_once(self) -> None:
        world = World()
        sensor = world.client("sensor")
        long, short_one = traced(world, Target(client="sensor")), traced(world, Target(topic_filter="a"), packets=1)
        for _ in range(3):
            sensor.publish("a")
        assert (len(packets(long)), len(packets(short_one))) == (3, 1)

    def test_a_trace_that_fails_does_no_harm(self) -> None:
        world = World()
        sensor = world.client("sensor")
        woken: list[None] = []

        def fail_once() -> None:
            woken.append(None)
            if len(woken) == 1:
                raise RuntimeError("no reader")

        trace = Trace(Target(client="sensor"), world.now, world.now + 60.0, 10, 0, fail_once)
        world.core.tracing.begin(trace)
        assert sensor.publish("a", qos=1)
        assert (trace.ended, sensor.connection.tap) == ("failed", None)
        assert len(world.logged("traces failed, and are ended")) == 1
        assert sensor.publish("a", qos=1)


def test_what_a_target_must_be() -> None:
    with pytest.raises(ValueError, match="expected a client, a topic filter or an address"):
        Target()
    with pytest.raises(ValueError, match="expected a client, a topic filter or an address"):
        Target(client="a", topic_filter="b")


def test_a_tap_is_a_carrier_like_any_other() -> None:
    world = World()
    sensor = world.client("sensor")
    traced(world, Target(client="sensor"))
    tap, carrier = sensor.connection.tap, sensor.carrier
    assert tap is not None
    tap.pause_reading()
    assert not sensor.reads()
    tap.resume_reading()
    assert sensor.reads() and tap.waiting() == 0
    tap.abort()
    assert carrier.aborted
