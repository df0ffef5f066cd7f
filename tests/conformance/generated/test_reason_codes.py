"""Every byte as a reason code in every packet from a client that has one."""

from __future__ import annotations

import pytest

from mqttbroker.testing.plugin import BrokerFactory
from tests.conformance.codes import FROM_CLIENT
from tests.conformance.generated.frames import HELLO, METHODICAL
from tests.conformance.generated.outcome import ACCEPTED, ENDED, Case, differences
from tests.conformance.v5.doubles import METHOD, Riddler
from tests.conformance.wire import packet, prefixed, varint

PROTOCOL_ERROR = 0x82
FIRST_BYTES = {"PUBACK": 0x40, "PUBREC": 0x50, "PUBREL": 0x62, "PUBCOMP": 0x70, "DISCONNECT": 0xE0, "AUTH": 0xF0}
WORDS = b"\x1f" + prefixed("why") + b"\x26" + prefixed("k") + prefixed("v")
CONTINUE = 0x18


def cases_of(kind: str) -> dict[str, Case]:
    """All 256 codes: the legal ones in each form that a packet with a code has, the others in turns."""
    legal = FROM_CLIENT[kind]
    number = b"\x00\x09" if kind.startswith("PUB") else b""
    method = b"\x15" + prefixed(METHOD) + b"\x16" + prefixed("quick") + WORDS
    tails = {"code alone": b"", "no properties": b"\x00", "properties": varint(len(WORDS)) + WORDS}
    if kind == "AUTH":
        tails = {"properties": varint(len(method)) + method}
    cases: dict[str, Case] = {}
    for code in range(256):
        expected = PROTOCOL_ERROR
        if code in legal and not (kind == "AUTH" and code == CONTINUE):  # There is nothing to be continued.
            expected = ENDED if kind == "DISCONNECT" else ACCEPTED
        forms = list(tails) if code in legal else [list(tails)[code % len(tails)]]
        for form in forms:
            data = packet(FIRST_BYTES[kind], number + bytes((code,)) + tails[form])
            hello = METHODICAL if kind == "AUTH" else HELLO
            cases[f"0x{code:02x}, {form}"] = Case(hello, data, frozenset({expected}))
    return cases


@pytest.mark.parametrize("kind", FIRST_BYTES)
async def test_every_byte_as_a_reason_code(mqtt_broker_factory: BrokerFactory, kind: str) -> None:
    broker = mqtt_broker_factory(authenticator=Riddler())
    assert not await differences(broker, cases_of(kind))
