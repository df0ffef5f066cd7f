"""PUBACK, PUBREC, PUBCOMP and PINGREQ from a client."""

from __future__ import annotations

import pytest

from mqttbroker.protocol import (
    Disconnect,
    Packet,
    PingReq,
    PingResp,
    Properties,
    ProtocolVersion,
    PubAck,
    PubComp,
    PubRec,
    PubRel,
    ReasonCode,
)
from tests.broker.support import V5, V31, V311, Peer, World, one

versions = pytest.mark.parametrize("version", [V31, V311, V5], ids=["3.1", "3.1.1", "5"])


def owed(qos: int, version: ProtocolVersion = V5) -> tuple[World, Peer]:
    """A client that was sent one message of this QoS, under the packet identifier 1."""
    world = World()
    peer = world.client(version=version)
    peer.subscribe("t", qos=2)
    world.client("p").publish("t", qos=qos)
    (message,) = peer.published()
    assert (message.qos, message.packet_id) == (qos, 1)
    return world, peer


class TestPubAck:
    @versions
    def test_it_ends_the_message(self, version: ProtocolVersion) -> None:
        world, peer = owed(1, version)
        assert peer.send(PubAck(1)) == []
        assert world.session().load == 0

    @pytest.mark.parametrize(
        "packet",
        [
            PubAck(1, ReasonCode.QUOTA_EXCEEDED),
            PubAck(1, properties=Properties(reason_string="fine")),
        ],
        ids=["refusal", "with a reason string"],
    )
    def test_whatever_it_says(self, packet: PubAck) -> None:
        """[MQTT-4.8.2-6]"""
        world, peer = owed(1)
        assert peer.send(packet) == []
        assert world.session().load == 0

    @pytest.mark.parametrize(
        "reason", [ReasonCode.SUCCESS, ReasonCode.UNSPECIFIED_ERROR], ids=["acknowledged", "refused"]
    )
    def test_it_makes_room_for_what_waits_and_has_not_expired(self, reason: ReasonCode) -> None:
        world = World()
        peer = world.client(properties=Properties(receive_maximum=1))
        peer.subscribe("t", qos=1)
        talker = world.client("p")
        talker.publish("t", b"first", qos=1)
        talker.publish("t", b"expires", qos=1, properties=Properties(message_expiry_interval=3))
        talker.publish("t", b"stays", qos=1)
        (first,) = peer.published()
        world.advance(3)
        peer.early += peer.send(PubAck(first.packet_id or 0, reason))
        assert peer.payloads() == [b"stays"]

    @versions
    def test_of_nothing(self, version: ProtocolVersion) -> None:
        peer = World().client(version=version)
        assert peer.send(PubAck(9)) == []
        assert not peer.carrier.closed


class TestPubRec:
    @versions
    def test_the_whole_hand_shake(self, version: ProtocolVersion) -> None:
        """[MQTT-4.3.3-5] [MQTT-4.3.3-6]"""
        world, peer = owed(2, version)
        for _ in range(2):
            assert peer.send(PubRec(1)) == [PubRel(1)]
        assert world.session().load == 1
        assert peer.send(PubComp(1)) == []
        assert world.session().load == 0

    def test_a_refusal_ends_the_message(self) -> None:
        """[MQTT-4.3.3-4]"""
        world, peer = owed(2)
        assert peer.send(PubRec(1, ReasonCode.QUOTA_EXCEEDED)) == []
        assert world.session().load == 0

    @versions
    def test_of_nothing(self, version: ProtocolVersion) -> None:
        peer = World().client(version=version)
        expected = ReasonCode.PACKET_IDENTIFIER_NOT_FOUND if version is V5 else ReasonCode.SUCCESS
        assert peer.send(PubRec(9)) == [PubRel(9, expected)]
        assert peer.send(PubComp(9)) == []


class TestWrongOnes:
    @pytest.mark.parametrize(
        ("qos", "packet", "detail"),
        [
            pytest.param(2, PubAck(1), "PUBACK for packet identifier 1, whose message is of QoS 2", id="PUBACK"),
            pytest.param(1, PubRec(1), "PUBREC for packet identifier 1, whose message is of QoS 1", id="PUBREC"),
            pytest.param(1, PubComp(1), "PUBCOMP for packet identifier 1, whose message is of QoS 1", id="PUBCOMP"),
            pytest.param(2, PubComp(1), "PUBCOMP before PUBREC for packet identifier 1", id="PUBCOMP too early"),
            pytest.param(
                1,
                PubAck(1, ReasonCode.NO_MATCHING_SUBSCRIBERS),
                "PUBACK with reason 0x10 from a client",
                id="a reason of servers",
            ),
        ],
    )
    def test_a_protocol_error(self, qos: int, packet: Packet, detail: str) -> None:
        world, peer = owed(qos)
        answer = one(peer.send(packet))
        assert isinstance(answer, Disconnect)
        assert (answer.reason_code, answer.properties.reason_string) == (ReasonCode.PROTOCOL_ERROR, detail)
        assert world.logged("connection failed")[0]["detail"] == detail


class TestPing:
    @versions
    def test_it_is_answered(self, version: ProtocolVersion) -> None:
        """[MQTT-3.12.4-1]"""
        assert World().client(version=version).send(PingReq(), PingReq()) == [PingResp()] * 2
