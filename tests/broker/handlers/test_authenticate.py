"""AUTH: enhanced authentication by a toy method (section 4.12)."""

from __future__ import annotations

import pytest

from mqttbroker.broker import Accepted, Challenge, Credentials, Limits, Refused, VerdictCallback
from mqttbroker.broker.state import State
from mqttbroker.protocol import Auth, ConnAck, Disconnect, Packet, PingReq, PingResp, Properties, ReasonCode, encode
from tests.broker.challenge import METHOD, Toy, auth, with_method
from tests.broker.support import V5, Patient, Peer, World, one

AGAIN = ReasonCode.RE_AUTHENTICATE


def begun(steps: int = 1) -> Peer:
    """A client that was sent the first challenge."""
    peer = World(authenticator=Toy(steps)).opened()
    assert peer.connect(properties=with_method()) == [auth(f"challenge {steps}".encode())]
    return peer


def done() -> Peer:
    """A client that is connected."""
    peer = begun()
    peer.send(auth(b"1 egnellahc"))
    assert peer.connection.state == State.CONNECTED
    return peer


def reason(packets: list[Packet]) -> ReasonCode:
    packet = one(packets)
    assert isinstance(packet, ConnAck | Disconnect | Auth)
    return packet.reason_code


class TestConnecting:
    def test_step_by_step(self) -> None:
        """[MQTT-4.12.0-2] [MQTT-4.12.0-5] [MQTT-4.12.0-6]"""
        peer = begun(3)
        assert peer.send(auth(b"3 egnellahc")) == [auth(b"challenge 2")]
        assert peer.send(auth(b"2 egnellahc")) == [auth(b"challenge 1")]
        connack = one(peer.send(auth(b"1 egnellahc")))
        assert isinstance(connack, ConnAck)
        assert connack.reason_code == ReasonCode.SUCCESS
        assert (connack.properties.authentication_method, connack.properties.authentication_data) == (
            METHOD,
            b"welcome",
        )
        assert peer.connection.identity.username == "user"

    def test_a_wrong_answer(self) -> None:
        """[MQTT-4.12.0-4]"""
        peer = begun()
        assert peer.send(auth(b"wrong")) == [ConnAck(False, ReasonCode.NOT_AUTHORIZED)]
        assert peer.carrier.closed
        assert peer.world.log == [
            (
                "warning",
                "authentication refused",
                {"client": "client", "user": None, "address": "192.0.2.1:50001", "reason": "wrong answer"},
            )
        ]

    def test_an_unknown_method(self) -> None:
        peer = World(authenticator=Toy()).opened()
        peer.connect(properties=with_method(method="other"))
        assert peer.connack == ConnAck(False, ReasonCode.BAD_AUTHENTICATION_METHOD)

    @pytest.mark.parametrize(
        "packet",
        [
            pytest.param(auth(b"1 egnellahc", method="other"), id="another method"),
            pytest.param(auth(b"1 egnellahc", AGAIN), id="re-authentication too early"),
            pytest.param(Auth(), id="success from a client"),
            pytest.param(PingReq(), id="something else"),
        ],
    )
    def test_a_protocol_error(self, packet: Packet) -> None:
        peer = begun()
        assert reason(peer.send(packet)) == ReasonCode.PROTOCOL_ERROR
        assert peer.carrier.closed
        assert peer.world.core.registry.sessions == {}

    def test_the_client_may_give_up(self) -> None:
        peer = begun()
        peer.disconnect()
        assert peer.take() == []
        assert peer.world.core.registry.sessions == {}
        assert peer.world.log == [
            (
                "debug",
                "closed before CONNECT was accepted",
                {"client": "client", "user": None, "address": "192.0.2.1:50001", "reason": "disconnected"},
            )
        ]

    def test_it_must_be_done_in_time(self) -> None:
        peer = begun(3)
        peer.world.advance(9)
        peer.send(auth(b"3 egnellahc"))
        peer.world.advance(1)
        assert reason(peer.take()) == ReasonCode.UNSPECIFIED_ERROR

    def test_everything_in_one_piece(self) -> None:
        peer = begun(2)
        taken = peer.send(auth(b"2 egnellahc"), auth(b"1 egnellahc"), PingReq())
        assert [type(each) for each in taken] == [Auth, ConnAck, PingResp]

    def test_a_slow_authenticator(self) -> None:
        patient = Patient()
        world = World(authenticator=patient)
        peer = world.opened()
        peer.connect(properties=with_method())
        waiting: list[tuple[bytes | None, VerdictCallback]] = []
        patient.answer(Challenge(b"?", lambda data, done: waiting.append((data, done))))
        world.flush()
        assert peer.take() == [auth(b"?")]
        assert peer.send(auth(b"!"), PingReq()) == []
        assert not peer.reads()
        ((data, answer),) = waiting
        assert data == b"!"
        answer(Accepted("somebody"))
        world.flush()
        assert [type(each) for each in peer.take()] == [ConnAck, PingResp]
        assert peer.reads()


class TestAgain:
    """Section 4.12.1"""

    def test_with_a_challenge(self) -> None:
        peer = done()
        assert peer.send(auth(b"user", AGAIN)) == [auth(b"challenge 1")]
        # Meanwhile the connection is as before.
        assert peer.send(PingReq()) == [PingResp()]
        assert peer.send(auth(b"1 egnellahc")) == [auth(b"welcome", ReasonCode.SUCCESS)]
        toy = peer.world.entrance.authenticator
        assert isinstance(toy, Toy)
        assert (toy.asked[-1].client_id, toy.asked[-1].username, toy.asked[-1].method) == ("client", None, METHOD)

    def test_it_fails(self) -> None:
        """[MQTT-4.12.1-2]"""
        peer = done()
        peer.send(auth(b"user", AGAIN))
        assert reason(peer.send(auth(b"wrong"))) == ReasonCode.NOT_AUTHORIZED
        assert peer.carrier.closed

    def test_nobody_becomes_somebody_else(self) -> None:
        peer = done()
        peer.send(auth(b"another", AGAIN))
        assert reason(peer.send(auth(b"1 egnellahc"))) == ReasonCode.NOT_AUTHORIZED

    @pytest.mark.parametrize(
        "packet",
        [
            pytest.param(auth(b"", method="other"), id="another method"),
            pytest.param(auth(b""), id="an answer to no question"),
            pytest.param(Auth(), id="success from a client"),
        ],
    )
    def test_a_protocol_error(self, packet: Packet) -> None:
        assert reason(done().send(packet)) == ReasonCode.PROTOCOL_ERROR

    def test_without_a_method_in_connect(self) -> None:
        """[MQTT-4.12.0-7]"""
        peer = World().client()
        assert reason(peer.send(auth(b"", AGAIN))) == ReasonCode.PROTOCOL_ERROR

    def test_a_reason_that_disconnect_has_not(self) -> None:
        patient = Patient()
        world = World(authenticator=patient)
        peer = world.opened()
        peer.connect(properties=with_method())
        patient.answer(Accepted())
        world.flush()
        peer.take()
        peer.send(auth(b"", AGAIN))
        patient.answer(Refused(ReasonCode.BAD_USER_NAME_OR_PASSWORD))
        assert reason(peer.take()) == ReasonCode.NOT_AUTHORIZED

    def test_an_authenticator_that_raises(self) -> None:
        class Broken(Toy):
            def authenticate(self, credentials: Credentials, done: VerdictCallback) -> None:
                if self.asked:
                    raise RuntimeError("broken")
                super().authenticate(credentials, done)

        world = World(authenticator=Broken(0))
        peer = world.client(properties=with_method())
        assert reason(peer.send(auth(b"", AGAIN))) == ReasonCode.UNSPECIFIED_ERROR
        assert len(world.logged("authenticator failed")) == 1


class TestSize:
    def test_auth_is_held_to_the_size_of_a_connect(self) -> None:
        world = World(Limits(max_connect_size=300), authenticator=Toy())
        peer = world.opened()
        peer.connect(properties=with_method())
        peer.feed(encode(auth(b"x" * 300), V5)[:5])
        assert reason(peer.take()) == ReasonCode.PACKET_TOO_LARGE

    def test_a_challenge_that_the_client_cannot_take_is_not_sent(self) -> None:
        peer = World(authenticator=Toy()).opened()
        properties = Properties(authentication_method=METHOD, authentication_data=b"u", maximum_packet_size=10)
        assert peer.connect(properties=properties) == []
