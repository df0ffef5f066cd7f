"""The two interfaces through which the broker asks who a client is and what it may do."""

from __future__ import annotations

from mqttbroker.broker import (
    Accepted,
    Action,
    Credentials,
    Decision,
    EveryoneWelcome,
    EverythingAllowed,
    Identity,
    Peer,
    Refused,
    Verdict,
)
from mqttbroker.protocol import PubAck, ReasonCode
from tests.broker.support import World


class TestCredentials:
    def test_the_password_stays_out_of_logs(self) -> None:
        shown = repr(Credentials("c", "u", b"secret", Peer("192.0.2.1:1"), "tcp", "m", b"secret"))
        assert shown == "Credentials(client_id='c', username='u', address='192.0.2.1:1')"


class TestEveryoneWelcome:
    def test_a_user_name_that_was_not_proved_counts_for_nothing(self) -> None:
        verdicts: list[Verdict] = []
        EveryoneWelcome().authenticate(Credentials("c", "admin", b"x"), verdicts.append)
        assert verdicts == [Accepted(None)]

    def test_there_is_no_method(self) -> None:
        verdicts: list[Verdict] = []
        EveryoneWelcome().authenticate(Credentials("c", method="SCRAM"), verdicts.append)
        assert verdicts == [Refused(ReasonCode.BAD_AUTHENTICATION_METHOD, "unknown method 'SCRAM'")]


class TestEverythingAllowed:
    def test_everything(self) -> None:
        for action in ("publish", "subscribe", "receive"):
            assert EverythingAllowed().decide(Identity("c"), action, "t").allowed


def test_an_authoriser_that_raises_refuses_and_disturbs_nobody() -> None:
    class Broken:
        def decide(self, identity: Identity, action: Action, topic: str) -> Decision:
            if topic == "broken":
                raise RuntimeError("no rules")
            return Decision(True)

    world = World(authorizer=Broken())
    listener, talker = world.client("listener"), world.client("talker")
    assert listener.subscribe("#", "broken") == (0, ReasonCode.NOT_AUTHORIZED)
    (answer,) = talker.publish("broken", qos=1)
    assert isinstance(answer, PubAck)
    assert answer.reason_code == ReasonCode.NOT_AUTHORIZED
    talker.publish("whole", b"x")
    assert listener.payloads() == [b"x"]
