"""The encoder, beyond the vectors: the short path, and what it refuses to write."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mqttbroker.protocol import (
    MAX_REMAINING_LENGTH,
    Auth,
    ConnAck,
    Connect,
    Disconnect,
    InvalidPacket,
    Packet,
    PacketType,
    Properties,
    PropertyContext,
    ProtocolVersion,
    PubAck,
    PubComp,
    Publish,
    PubRec,
    PubRel,
    ReasonCode,
    SubAck,
    Subscribe,
    SubscriptionRequest,
    UnsubAck,
    Unsubscribe,
    Will,
    encode,
    encode_property_list,
    encode_publish,
)
from tests.protocol.notation import varint
from tests.protocol.strategies import packets_of, versions

V31 = ProtocolVersion.V31
V311 = ProtocolVersion.V311
V5 = ProtocolVersion.V5
USER = Properties(user_properties=(("k", "v"),))


class TestEncodePublish:
    """The short path gives what `encode` gives."""

    @given(version=versions, data=st.data())
    def test_equals_encode(self, version: ProtocolVersion, data: st.DataObject) -> None:
        packet = data.draw(packets_of(PacketType.PUBLISH, version))
        assert isinstance(packet, Publish)
        # The general path ends in the short one, so the bytes are put together here a second time.
        topic = packet.topic.encode()
        listed = encode_property_list(packet.properties, PropertyContext.PUBLISH)
        body = len(topic).to_bytes(2, "big") + topic
        if packet.packet_id is not None:
            body += packet.packet_id.to_bytes(2, "big")
        if version is V5:
            body += varint(len(listed)) + listed
        body += packet.payload
        expected = bytes((0x30 | packet.dup << 3 | packet.qos << 1 | packet.retain,)) + varint(len(body)) + body
        assert encode(packet, version) == expected
        short = encode_publish(
            version is V5,
            topic,
            packet.payload,
            listed,
            packet.qos,
            packet.retain,
            packet.dup,
            packet.packet_id or 0,
        )
        assert short == expected

    @pytest.mark.parametrize("remaining", [127, 128, 16_383, 16_384, 2_097_151, 2_097_152], ids=str)
    @pytest.mark.parametrize("qos", [0, 1], ids=["qos-0", "qos-1"])
    def test_edges_of_the_remaining_length(self, remaining: int, qos: int) -> None:
        for five in (False, True):
            payload = b"x" * (remaining - 3 - 2 * qos - five)
            data = encode_publish(five, b"t", payload, b"", qos, False, False, 7)
            assert data[1:].startswith(varint(remaining))
            assert len(data) == 1 + len(varint(remaining)) + remaining
            packet = Publish("t", payload, qos, packet_id=7 if qos else None)
            assert data == encode(packet, V5 if five else V311)

    def test_packet_id_is_ignored_with_qos_0(self) -> None:
        assert encode_publish(False, b"t", b"", b"", 0, False, False, 99) == b"\x30\x03\x00\x01t"


REFUSED: list[tuple[str, Packet, tuple[ProtocolVersion, ...]]] = [
    ("keep alive below", Connect("c", keep_alive=-1), (V5,)),
    ("keep alive above", Connect("c", V311, keep_alive=65_536), (V5,)),
    ("will qos 3", Connect("c", will=Will("w", qos=3)), (V5,)),
    ("will qos below", Connect("c", V31, will=Will("w", qos=-1)), (V5,)),
    ("password alone", Connect("c", V311, password=b""), (V5,)),
    ("connect properties", Connect("c", V311, properties=USER), (V5,)),
    ("will properties", Connect("c", V31, will=Will("w", properties=USER)), (V5,)),
    ("will payload too long", Connect("c", will=Will("w", b"x" * 65_536)), (V5,)),
    ("client id with nul", Connect("a\0"), (V5,)),
    ("client id with surrogate", Connect("\udc80"), (V5,)),
    ("session present in 3.1", ConnAck(True), (V31,)),
    ("session present in a refusal", ConnAck(True, ReasonCode.BANNED), (V5, V311, V31)),
    ("connack code of another packet", ConnAck(False, ReasonCode.SESSION_TAKEN_OVER), (V5, V311)),
    ("connack code without a return code", ConnAck(False, ReasonCode.MALFORMED_PACKET), (V31, V311)),
    ("connack properties", ConnAck(False, properties=USER), (V31, V311)),
    ("dup with qos 0", Publish("t", dup=True), (V31, V311, V5)),
    ("packet id with qos 0", Publish("t", packet_id=1), (V31, V311, V5)),
    ("no packet id with qos 1", Publish("t", qos=1), (V31, V311, V5)),
    ("packet id 0", Publish("t", qos=1, packet_id=0), (V31, V311, V5)),
    ("packet id above", Publish("t", qos=2, packet_id=65_536), (V31, V311, V5)),
    ("qos 3", Publish("t", qos=3, packet_id=1), (V31, V311, V5)),
    ("qos below", Publish("t", qos=-1, packet_id=1), (V31, V311, V5)),
    ("no topic", Publish(""), (V31, V311, V5)),
    ("alias in mqtt 3", Publish("", properties=Properties(topic_alias=1)), (V31, V311)),
    ("alias 0", Publish("t", properties=Properties(topic_alias=0)), (V5,)),
    ("topic with nul", Publish("a\0b"), (V31, V311, V5)),
    ("topic too long", Publish("x" * 65_536), (V31, V311, V5)),
    ("puback packet id 0", PubAck(0), (V31, V311, V5)),
    ("puback code of another packet", PubAck(1, ReasonCode.PACKET_IDENTIFIER_NOT_FOUND), (V5,)),
    ("puback code in mqtt 3", PubAck(1, ReasonCode.NOT_AUTHORIZED), (V31, V311)),
    ("pubrec properties in mqtt 3", PubRec(1, properties=USER), (V31, V311)),
    ("pubrel property of another packet", PubRel(1, properties=Properties(topic_alias=1)), (V5,)),
    ("pubcomp packet id above", PubComp(65_536), (V31, V311, V5)),
    ("subscribe nothing", Subscribe(1, ()), (V31, V311, V5)),
    ("subscribe packet id 0", Subscribe(0, (SubscriptionRequest("a"),)), (V31, V311, V5)),
    ("subscribe qos 3", Subscribe(1, (SubscriptionRequest("a", 3),)), (V31, V311, V5)),
    ("subscribe retain handling 3", Subscribe(1, (SubscriptionRequest("a", retain_handling=3),)), (V31, V311, V5)),
    ("subscribe no local", Subscribe(1, (SubscriptionRequest("a", no_local=True),)), (V31, V311)),
    ("subscribe as published", Subscribe(1, (SubscriptionRequest("a", retain_as_published=True),)), (V31, V311)),
    ("subscribe shared no local", Subscribe(1, (SubscriptionRequest("$share/g/a", no_local=True),)), (V5,)),
    ("subscribe properties", Subscribe(1, (SubscriptionRequest("a"),), USER), (V31, V311)),
    (
        "subscribe identifiers",
        Subscribe(1, (SubscriptionRequest("a"),), Properties(subscription_identifiers=(1, 2))),
        (V5,),
    ),
    ("suback nothing", SubAck(1, ()), (V31, V311, V5)),
    ("suback packet id 0", SubAck(0, (ReasonCode.SUCCESS,)), (V31, V311, V5)),
    ("suback code of another packet", SubAck(1, (ReasonCode.NO_SUBSCRIPTION_EXISTED,)), (V31, V311, V5)),
    ("suback properties", SubAck(1, (ReasonCode.SUCCESS,), USER), (V31, V311)),
    ("unsubscribe nothing", Unsubscribe(1, ()), (V31, V311, V5)),
    ("unsubscribe packet id 0", Unsubscribe(0, ("a",)), (V31, V311, V5)),
    ("unsubscribe properties", Unsubscribe(1, ("a",), USER), (V31, V311)),
    ("unsuback nothing", UnsubAck(1), (V5,)),
    ("unsuback packet id 0", UnsubAck(0, (ReasonCode.SUCCESS,)), (V31, V311, V5)),
    ("unsuback codes", UnsubAck(1, (ReasonCode.SUCCESS,)), (V31, V311)),
    ("unsuback properties", UnsubAck(1, (), USER), (V31, V311)),
    ("unsuback code of another packet", UnsubAck(1, (ReasonCode.GRANTED_QOS_1,)), (V5,)),
    ("disconnect 0x8C", Disconnect(ReasonCode.BAD_AUTHENTICATION_METHOD), (V5,)),
    ("disconnect code in mqtt 3", Disconnect(ReasonCode.SERVER_SHUTTING_DOWN), (V31, V311)),
    ("disconnect properties in mqtt 3", Disconnect(properties=USER), (V31, V311)),
    ("auth in mqtt 3", Auth(), (V31, V311)),
    ("auth without method", Auth(ReasonCode.CONTINUE_AUTHENTICATION), (V5,)),
    ("auth properties without method", Auth(properties=USER), (V5,)),
    ("auth code of another packet", Auth(ReasonCode.NOT_AUTHORIZED), (V5,)),
]


class TestRefusals:
    @pytest.mark.parametrize(
        ("packet", "refusing"),
        [(packet, refusing) for _, packet, refusing in REFUSED],
        ids=[name.replace(" ", "-") for name, _, _ in REFUSED],
    )
    def test_illegal_packets_are_not_written(self, packet: Packet, refusing: tuple[ProtocolVersion, ...]) -> None:
        for version in refusing:
            with pytest.raises(InvalidPacket):
                encode(packet, version)

    def test_a_packet_longer_than_any_can_be(self) -> None:
        with pytest.raises(InvalidPacket, match="longer"):
            encode(Publish("t", bytes(MAX_REMAINING_LENGTH)), V5)

    def test_the_error_names_the_packet(self) -> None:
        with pytest.raises(InvalidPacket, match="SUBSCRIBE"):
            encode(Subscribe(1, ()), V5)


class TestMqtt3:
    """Reason codes where MQTT 3 has fewer of them."""

    @pytest.mark.parametrize("version", [V31, V311], ids=["v31", "v311"])
    def test_refusals_become_return_codes(self, version: ProtocolVersion) -> None:
        assert encode(ConnAck(False, ReasonCode.BANNED), version) == b"\x20\x02\x00\x05"
        assert encode(ConnAck(False, ReasonCode.SERVER_BUSY), version) == b"\x20\x02\x00\x03"

    @pytest.mark.parametrize("version", [V31, V311], ids=["v31", "v311"])
    def test_failed_subscriptions_become_0x80(self, version: ProtocolVersion) -> None:
        codes = (ReasonCode.NOT_AUTHORIZED, ReasonCode.GRANTED_QOS_2, ReasonCode.QUOTA_EXCEEDED)
        assert encode(SubAck(1, codes), version) == b"\x90\x05\x00\x01\x80\x02\x80"

    def test_an_equal_list_without_properties_passes(self) -> None:
        assert encode(PubAck(1, properties=Properties()), V311) == b"\x40\x02\x00\x01"
