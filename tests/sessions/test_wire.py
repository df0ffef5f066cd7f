"""How a PUBLISH is written for one connection."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mqttbroker.protocol import Packet, PacketReader, Properties, ProtocolVersion, Publish
from mqttbroker.sessions.wire import Wire
from mqttbroker.storage import Message
from tests.broker.support import START
from tests.sessions.support import make_message


def read(packet: bytes | None, version: ProtocolVersion = ProtocolVersion.V5) -> Publish:
    assert packet is not None
    packets: list[Packet] = PacketReader(version).feed(packet)
    assert len(packets) == 1
    assert isinstance(packets[0], Publish)
    return packets[0]


def write(wire: Wire, message: Message, now: float = START, identifiers: tuple[int, ...] = ()) -> bytes | None:
    return wire.publish(message, 1, False, False, 7, identifiers, now)


class TestKind:
    @pytest.mark.parametrize(
        ("wire", "kind"),
        [
            pytest.param(Wire(False), 4, id="MQTT 3"),
            pytest.param(Wire(True), 5, id="MQTT 5"),
            pytest.param(Wire(True, maximum_packet_size=100), 0, id="Maximum Packet Size"),
            pytest.param(Wire(True, alias_maximum=1), 0, id="Topic Alias Maximum"),
        ],
    )
    def test_only_connections_without_wishes_share_an_encoding(self, wire: Wire, kind: int) -> None:
        assert wire.kind == kind


class TestPublish:
    def test_mqtt_3_is_given_no_properties(self) -> None:
        message = Message("t", b"t", b"x", 1, properties=b"\x01\x01", expires_at=START + 10)
        packet = Wire(False).publish(message, 1, True, True, 7, (3,), START)
        assert read(packet, ProtocolVersion.V311) == Publish("t", b"x", 1, True, True, 7)

    def test_mqtt_5_is_given_what_the_publisher_sent(self) -> None:
        message = Message("t", b"t", b"x", 1, properties=b"\x01\x01")
        packet = Wire(True).publish(message, 2, True, True, 7, (), START)
        assert read(packet) == Publish("t", b"x", 2, True, True, 7, Properties(payload_format_indicator=1))

    @pytest.mark.parametrize("identifier", [1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152, 268_435_455], ids=str)
    def test_subscription_identifiers(self, identifier: int) -> None:
        packet = read(write(Wire(True), make_message(), identifiers=(identifier, 5)))
        assert packet.properties.subscription_identifiers == (identifier, 5)


class TestExpiry:
    """[MQTT-3.3.2-6]"""

    @pytest.mark.parametrize(
        ("waited", "left"),
        [
            pytest.param(0.0, 10, id="at once"),
            pytest.param(0.5, 10, id="half a second"),
            pytest.param(1.0, 9, id="a second"),
            pytest.param(9.5, 1, id="nearly all"),
            pytest.param(10.0, 0, id="all"),
            pytest.param(11.0, 0, id="more"),
        ],
    )
    def test_the_interval_counts_down(self, waited: float, left: int) -> None:
        packet = read(write(Wire(True), make_message(expires_at=START + 10), START + waited))
        assert packet.properties.message_expiry_interval == left

    @given(st.floats(1.5e9, 4e9), st.integers(1, 0xFFFF_FFFF))
    def test_without_waiting_the_interval_stays_as_it_was(self, now: float, interval: int) -> None:
        packet = read(write(Wire(True), make_message(expires_at=now + interval), now))
        assert packet.properties.message_expiry_interval == interval

    def test_the_longest_interval_does_not_overflow(self) -> None:
        # Added to this time, and the time taken off again, it gives a little more than four bytes hold.
        now = 1715146562.806438
        assert now + 0xFFFF_FFFF - now > 0xFFFF_FFFF
        packet = read(write(Wire(True), make_message(expires_at=now + 0xFFFF_FFFF), now))
        assert packet.properties.message_expiry_interval == 0xFFFF_FFFF


class TestMaximumPacketSize:
    """[MQTT-3.1.2-24]"""

    def test_the_limit_itself_fits(self) -> None:
        size = len(write(Wire(True), make_message()) or b"")
        assert write(Wire(True, maximum_packet_size=size), make_message()) is not None
        assert write(Wire(True, maximum_packet_size=size - 1), make_message()) is None


class TestAliases:
    def test_the_first_packet_sets_the_alias_and_the_next_uses_it(self) -> None:
        wire = Wire(True, alias_maximum=2)
        first, second = read(write(wire, make_message())), read(write(wire, make_message()))
        assert (first.topic, first.properties.topic_alias) == ("t", 1)
        assert (second.topic, second.properties.topic_alias) == ("", 1)

    def test_past_the_maximum_topics_are_written_out(self) -> None:
        wire = Wire(True, alias_maximum=2)
        packets = [read(write(wire, make_message(topic=topic))) for topic in ("a", "b", "c", "a", "c")]
        assert [(each.topic, each.properties.topic_alias) for each in packets] == [
            ("a", 1),
            ("b", 2),
            ("c", None),
            ("", 1),
            ("c", None),
        ]

    def test_an_alias_that_makes_the_packet_too_large_is_not_set(self) -> None:
        size = len(write(Wire(True), make_message()) or b"")
        wire = Wire(True, maximum_packet_size=size, alias_maximum=5)
        assert read(write(wire, make_message())).properties.topic_alias is None
        assert wire.aliases == {}

    def test_a_packet_that_fits_only_by_its_alias(self) -> None:
        topic = "a topic of some length"
        wire = Wire(True, alias_maximum=1)
        write(wire, make_message(b"", topic))
        wire.maximum_packet_size = 40
        assert read(write(wire, make_message(b"x" * 20, topic))).topic == ""
        assert write(wire, make_message(b"x" * 40, topic)) is None

    def test_the_alias_follows_the_other_properties(self) -> None:
        wire = Wire(True, alias_maximum=1)
        message = make_message(expires_at=START + 5)
        for topic in ("t", ""):
            packet = read(write(wire, message, identifiers=(9,)))
            assert packet.topic == topic
            assert packet.properties == Properties(
                message_expiry_interval=5, subscription_identifiers=(9,), topic_alias=1
            )
