"""Every pair of a state and a packet type: what the table has is handled, what it has not is a Protocol Error."""

from __future__ import annotations

import pytest

from mqttbroker.broker.handlers import TABLE
from mqttbroker.broker.state import State
from mqttbroker.protocol import (
    Auth,
    ConnAck,
    Connect,
    Disconnect,
    Packet,
    PacketType,
    PingReq,
    PingResp,
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
    encode,
)
from tests.broker.challenge import Toy, auth, with_method
from tests.broker.support import V5, V311, Peer, World

GIVEN: dict[PacketType, Packet] = {
    PacketType.CONNECT: Connect("other"),
    PacketType.CONNACK: ConnAck(False),
    PacketType.PUBLISH: Publish("t", qos=1, packet_id=1),
    PacketType.PUBACK: PubAck(9),
    PacketType.PUBREC: PubRec(9),
    PacketType.PUBREL: PubRel(9),
    PacketType.PUBCOMP: PubComp(9),
    PacketType.SUBSCRIBE: Subscribe(1, (SubscriptionRequest("t"),)),
    PacketType.SUBACK: SubAck(1, (ReasonCode.SUCCESS,)),
    PacketType.UNSUBSCRIBE: Unsubscribe(1, ("t",)),
    PacketType.UNSUBACK: UnsubAck(1, (ReasonCode.SUCCESS,)),
    PacketType.PINGREQ: PingReq(),
    PacketType.PINGRESP: PingResp(),
    PacketType.DISCONNECT: Disconnect(),
    PacketType.AUTH: auth(b"", ReasonCode.RE_AUTHENTICATE),
}

LEGAL = {
    State.OPENED: {PacketType.CONNECT},
    State.AUTHENTICATING: {PacketType.AUTH, PacketType.DISCONNECT},
    State.CONNECTED: {
        PacketType.PUBLISH,
        PacketType.PUBACK,
        PacketType.PUBREC,
        PacketType.PUBREL,
        PacketType.PUBCOMP,
        PacketType.SUBSCRIBE,
        PacketType.UNSUBSCRIBE,
        PacketType.PINGREQ,
        PacketType.DISCONNECT,
        PacketType.AUTH,
    },
    State.CLOSED: set(),
}

pairs = pytest.mark.parametrize(
    ("state", "packet_type"),
    [
        pytest.param(state, packet_type, id=f"{state.name}-{packet_type.name}")
        for state in State
        for packet_type in PacketType
    ],
)


def peer_in(state: State) -> Peer:
    world = World(authenticator=Toy())
    peer = world.opened()
    if state >= State.AUTHENTICATING:
        peer.connect(properties=with_method())
    if state >= State.CONNECTED:
        peer.send(auth(b"1 egnellahc"))
    if state == State.CLOSED:
        peer.disconnect()
    assert peer.connection.state == state
    peer.take()
    return peer


class TestTable:
    def test_it_has_nothing_else(self) -> None:
        assert set(TABLE) == {(state, packet_type) for state, types in LEGAL.items() for packet_type in types}

    @pairs
    def test_every_pair(self, state: State, packet_type: PacketType) -> None:
        peer = peer_in(state)
        before = len(peer.world.log)
        peer.feed(encode(GIVEN[packet_type], V5))
        failures = [details for _, event, details in peer.world.log[before:] if event == "connection failed"]
        if state == State.CLOSED:
            assert peer.world.log[before:] == []
            assert peer.carrier.sent == []
        elif packet_type in LEGAL[state]:
            assert not any("expected" in str(details["detail"]) for details in failures)
        else:
            (failure,) = failures
            assert failure["reason"] == "protocol_error"
            assert peer.carrier.closed
            assert peer.connection.state == State.CLOSED

    @pytest.mark.parametrize("packet_type", sorted(set(PacketType) - {PacketType.CONNECT}), ids=lambda each: each.name)
    def test_before_connect_nothing_is_answered(self, packet_type: PacketType) -> None:
        """[MQTT-3.1.0-1]"""
        peer = peer_in(State.OPENED)
        assert peer.send(GIVEN[packet_type]) == []
        assert peer.carrier.closed

    def test_a_second_connect(self) -> None:
        """[MQTT-3.1.0-2]"""
        peer = World().client()
        (answer,) = peer.send(Connect("client"))
        assert isinstance(answer, Disconnect)
        assert answer.reason_code == ReasonCode.PROTOCOL_ERROR

    def test_what_only_a_server_sends_is_answered_with_disconnect(self) -> None:
        peer = World().client()
        (answer,) = peer.send(SubAck(1, (ReasonCode.SUCCESS,)))
        assert isinstance(answer, Disconnect)
        assert answer.reason_code == ReasonCode.PROTOCOL_ERROR

    def test_while_authenticating_the_answer_is_connack(self) -> None:
        (answer,) = peer_in(State.AUTHENTICATING).send(PingReq())
        assert isinstance(answer, ConnAck)
        assert answer.reason_code == ReasonCode.PROTOCOL_ERROR

    def test_mqtt_3_is_closed_without_a_word(self) -> None:
        peer = World().client(version=V311)
        assert peer.send(PingResp()) == []
        assert peer.carrier.closed

    def test_type_0_is_malformed(self) -> None:
        peer = World().client()
        peer.feed(b"\x00\x00")
        (answer,) = peer.take()
        assert isinstance(answer, Disconnect)
        assert answer.reason_code == ReasonCode.MALFORMED_PACKET

    def test_auth_does_not_exist_in_mqtt_3(self) -> None:
        peer = World().client(version=V311)
        peer.feed(encode(Auth(), V5))
        assert peer.carrier.closed
