"""The two interfaces through which the broker asks who a client is and what it may do."""

from __future__ import annotations

from mqttbroker.broker import (
    Accepted,
    Credentials,
    EveryoneWelcome,
    EverythingAllowed,
    Identity,
    Refused,
    Verdict,
)
from mqttbroker.protocol import ReasonCode


class TestCredentials:
    def test_the_password_stays_out_of_logs(self) -> None:
        shown = repr(Credentials("c", "u", b"secret", "192.0.2.1:1", "tcp", "m", b"secret"))
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
