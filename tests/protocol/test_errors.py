"""The two trees of errors."""

from __future__ import annotations

import copy
import pickle

import pytest

from mqttbroker.protocol import (
    InvalidPacket,
    MalformedPacket,
    MQTTError,
    PacketTooLarge,
    ProtocolViolation,
    QuotaExceeded,
    ReasonCode,
    TopicAliasInvalid,
    UnsupportedProtocolVersion,
)

ERRORS: list[tuple[MQTTError, int]] = [
    (MalformedPacket("x"), 0x81),
    (ProtocolViolation("x"), 0x82),
    (UnsupportedProtocolVersion("MQTT", 9), 0x84),
    (TopicAliasInvalid("x"), 0x94),
    (PacketTooLarge("x"), 0x95),
    (QuotaExceeded("x"), 0x97),
    (MQTTError(ReasonCode.NOT_AUTHORIZED, "x"), 0x87),
]


@pytest.mark.parametrize(("error", "code"), ERRORS, ids=[type(error).__name__ for error, _ in ERRORS])
def test_reason_text_and_copies(error: MQTTError, code: int) -> None:
    assert error.reason == code
    assert str(error).endswith(error.detail)
    for again in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert type(again) is type(error)
        assert (again.reason, again.detail) == (error.reason, error.detail)


def test_text_without_detail() -> None:
    assert str(MalformedPacket()) == "Malformed Packet"
    assert str(MalformedPacket("cut short")) == "Malformed Packet: cut short"


def test_unsupported_version_says_what_the_client_sent() -> None:
    error = UnsupportedProtocolVersion("X" * 1000, 9)
    assert (error.protocol_name, error.level) == ("X" * 1000, 9)
    assert len(error.detail) < 100


def test_the_trees_do_not_mix() -> None:
    assert not issubclass(InvalidPacket, MQTTError)
    assert not issubclass(MQTTError, ValueError)
