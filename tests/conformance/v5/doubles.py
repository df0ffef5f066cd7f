"""An authenticator with riddles, an authoriser with secrets, and short cuts, for the tests of chapters 3.4 to 4.13."""

from __future__ import annotations

from mqttbroker.broker import (
    Accepted,
    Action,
    Challenge,
    Credentials,
    Decision,
    Identity,
    Refused,
    VerdictCallback,
)
from mqttbroker.protocol import Properties, ReasonCode
from tests.conformance.wire import packet, prefixed, varint

__all__ = [
    "AUTH",
    "BAD_STRINGS",
    "KEPT",
    "METHOD",
    "RIDDLE",
    "Riddler",
    "Secrets",
    "answer",
    "auth_packet",
    "unsubscribe_packet",
]

KEPT = Properties(session_expiry_interval=3_600)
METHOD = "riddle"
RIDDLE = Properties(authentication_method=METHOD, authentication_data=b"hello")
AUTH = 0xF0

BAD_STRINGS = {
    "a continuation byte alone": b"a\x80",
    "cut short": b"a\xe2\x82",
    "overlong": b"\xc0\xaf",
    "a surrogate": b"a\xed\xa0\x80",
    "above U+10FFFF": b"\xf4\x90\x80\x80",
    "U+0000": b"a\x00b",
}
"""Bytes that are no UTF-8 encoded string [MQTT-1.5.4-1] [MQTT-1.5.4-2]."""


def answer(data: bytes | None, method: str | None = METHOD) -> Properties:
    """The properties of an AUTH packet."""
    return Properties(authentication_method=method, authentication_data=data)


def auth_packet(code: int, data: bytes = b"", method: str = METHOD, first: int = AUTH) -> bytes:
    """An AUTH packet with this reason code, legal or not."""
    properties = b"\x15" + prefixed(method) + b"\x16" + prefixed(data)
    return packet(first, bytes((code,)) + varint(len(properties)) + properties)


def unsubscribe_packet(*topic_filters: bytes | str, first: int = 0xA2, packet_id: int = 1) -> bytes:
    """An UNSUBSCRIBE of MQTT 5.0 without properties."""
    return packet(first, packet_id.to_bytes(2, "big") + b"\x00" + b"".join(map(prefixed, topic_filters)))


class Riddler:
    """Lets everybody in without a method, and with ``riddle`` whoever answers two riddles.

    The client's data decide: ``hello`` is asked ``one?``, ``first`` is asked ``two?``, ``second`` is ``ann`` and
    told ``welcome``; ``twin`` is ``bob``; ``quick`` is ``ann`` and told nothing; ``refuse 135`` is refused with that
    reason code; ``later`` waits until the test calls :attr:`waiting`; ``burst`` makes the authenticator fail.
    """

    def __init__(self) -> None:
        self.seen: list[tuple[str | None, bytes | None]] = []
        """Method and data of every step."""
        self.waiting: list[VerdictCallback] = []

    def authenticate(self, credentials: Credentials, done: VerdictCallback) -> None:
        """See the class."""
        if credentials.method is None:
            done(Accepted(credentials.username))
        elif credentials.method != METHOD:
            done(Refused(ReasonCode.BAD_AUTHENTICATION_METHOD))
        else:
            self._step(credentials.method, credentials.data, done)

    def _proceed(self, data: bytes | None, done: VerdictCallback) -> None:
        self._step(None, data, done)

    def _step(self, method: str | None, data: bytes | None, done: VerdictCallback) -> None:
        self.seen.append((method, data))
        match (data or b"").split():
            case [b"hello"]:
                done(Challenge(b"one?", self._proceed))
            case [b"first"]:
                done(Challenge(b"two?", self._proceed))
            case [b"silent"]:
                done(Challenge(None, self._proceed))
            case [b"second"]:
                done(Accepted("ann", b"welcome"))
            case [b"twin"]:
                done(Accepted("bob", b"welcome"))
            case [b"quick"]:
                done(Accepted("ann"))
            case [b"refuse", code]:
                done(Refused(ReasonCode(int(code))))
            case [b"later"]:
                self.waiting.append(done)
            case _:
                raise RuntimeError("burst")


class Secrets:
    """An authoriser that keeps topics whose first level is ``secret`` from everybody."""

    def decide(self, identity: Identity, action: Action, topic: str) -> Decision:
        """Refuse what begins with ``secret``."""
        return Decision(topic.split("/")[0] != "secret", "secret")
