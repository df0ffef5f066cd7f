"""DISCONNECT; what it does to the will and the session is in ``test_wills.py`` and ``test_registry.py``."""

from __future__ import annotations

import pytest

from mqttbroker.broker import Limits
from mqttbroker.protocol import Disconnect, PingReq, Properties, ProtocolVersion, ReasonCode, encode
from tests.broker.support import V5, V31, V311, World, one


class TestDisconnect:
    @pytest.mark.parametrize("version", [V31, V311, V5], ids=["3.1", "3.1.1", "5"])
    def test_nothing_is_answered_and_nothing_more_is_handled(self, version: ProtocolVersion) -> None:
        """[MQTT-3.14.4-1] [MQTT-3.14.4-2]"""
        world = World()
        peer = world.client(version=version)
        peer.feed(encode(Disconnect(), version) + encode(PingReq(), version))
        assert peer.take() == []
        assert peer.carrier.closed
        assert world.log[-1] == (
            "info",
            "disconnected",
            {"client": "client", "user": None, "address": "192.0.2.1:50001", "reason": "disconnected"},
        )

    def test_its_reason_is_logged(self) -> None:
        world = World()
        world.client().disconnect(ReasonCode.UNSPECIFIED_ERROR)
        assert world.logged("disconnected")[0]["reason"] == "disconnected with reason 0x80"

    @pytest.mark.parametrize("reason", [ReasonCode.SERVER_SHUTTING_DOWN, ReasonCode.SESSION_TAKEN_OVER])
    def test_a_reason_that_only_a_server_has(self, reason: ReasonCode) -> None:
        """[MQTT-3.14.2-1]"""
        peer = World().client()
        answer = one(peer.send(Disconnect(reason)))
        assert isinstance(answer, Disconnect)
        assert answer.reason_code == ReasonCode.PROTOCOL_ERROR

    def test_what_was_asked_for_counts_not_what_was_granted(self) -> None:
        world = World(limits=Limits(max_session_expiry=0))
        peer = world.client(expiry=100)
        peer.disconnect(expiry=50)
        assert world.logged("connection failed") == []

    def test_the_servers_has_no_session_expiry_interval(self) -> None:
        """[MQTT-3.14.2-2]"""
        world = World()
        peer = world.client(expiry=100)
        world.core.shut_down(world.now)
        answer = one(peer.take())
        assert answer == Disconnect(ReasonCode.SERVER_SHUTTING_DOWN, Properties(reason_string="the broker stops"))
