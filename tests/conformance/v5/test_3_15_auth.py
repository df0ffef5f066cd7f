"""MQTT 5.0 section 3.15: AUTH. The exchange as a whole is section 4.12."""

from __future__ import annotations

import pytest

from mqttbroker.protocol import Auth, Properties, ReasonCode
from mqttbroker.testing.plugin import BrokerFactory
from mqttbroker.testing.running import RunningBroker
from tests.conformance.conftest import Connector, Opener
from tests.conformance.v5.doubles import METHOD, Riddler, answer, auth_packet
from tests.conformance.wire import (
    MALFORMED,
    PINGREQ,
    connect_packet,
    expect_disconnect,
    expect_refusal,
    prefixed,
    varint,
)

QUICK = answer(b"quick")


@pytest.fixture
def broker(mqtt_broker_factory: BrokerFactory) -> RunningBroker:
    """A broker that asks riddles."""
    return mqtt_broker_factory(authenticator=Riddler())


def greeting(data: bytes = b"hello", properties: bytes = b"") -> bytes:
    """A CONNECT with an Authentication Method."""
    return connect_packet(prefixed("c"), properties=b"\x15" + prefixed(METHOD) + b"\x16" + prefixed(data) + properties)


@pytest.mark.normative("MQTT-3.15.1-1")
async def test_other_flags_are_malformed(connect: Connector, open_client: Opener) -> None:
    for flags in range(1, 16):
        client = await connect(properties=QUICK)
        client.send_bytes(auth_packet(0x19, b"quick", first=0xF0 | flags) + PINGREQ)
        await expect_disconnect(client, MALFORMED)
        client = await open_client()
        client.send_bytes(greeting())
        await client.expect(Auth)
        assert client.last_bytes[0] == 0xF0
        client.send_bytes(auth_packet(0x18, b"first", first=0xF0 | flags))
        await expect_refusal(client, MALFORMED)


@pytest.mark.normative("MQTT-3.15.2-1")
async def test_the_reason_codes_of_the_broker(connect: Connector, open_client: Opener) -> None:
    client = await open_client()
    client.send_bytes(greeting())
    assert (await client.expect(Auth)).reason_code == ReasonCode.CONTINUE_AUTHENTICATION
    client = await connect(properties=QUICK)
    client.send(Auth(ReasonCode.RE_AUTHENTICATE, answer(b"hello")))
    assert (await client.expect(Auth)).reason_code == ReasonCode.CONTINUE_AUTHENTICATION
    client.send(Auth(ReasonCode.CONTINUE_AUTHENTICATION, answer(b"second")))
    assert (await client.expect(Auth)).reason_code == ReasonCode.SUCCESS
    await client.expect_silence()


@pytest.mark.normative("MQTT-3.15.2-1")
@pytest.mark.parametrize("code", [0x00, 0x19, 0x01, 0x80, 0x87, 0x8C, 0xFF], ids="0x{:02x}".format)
async def test_other_codes_before_connack_are_protocol_errors(open_client: Opener, code: int) -> None:
    client = await open_client()
    client.send_bytes(greeting())
    await client.expect(Auth)
    client.send_bytes(auth_packet(code, b"second"))
    await expect_refusal(client, ReasonCode.PROTOCOL_ERROR)


@pytest.mark.normative("MQTT-3.15.2-1")
@pytest.mark.parametrize("code", [0x00, 0x18, 0x01, 0x80, 0x87, 0x8C, 0xFF], ids="0x{:02x}".format)
async def test_other_codes_after_connack_are_protocol_errors(connect: Connector, code: int) -> None:
    client = await connect(properties=QUICK)
    client.send_bytes(auth_packet(code, b"quick") + PINGREQ)
    await expect_disconnect(client, ReasonCode.PROTOCOL_ERROR)


@pytest.mark.normative("MQTT-3.15.2-1")
async def test_an_auth_without_a_body_says_success_which_a_client_may_not(connect: Connector) -> None:
    for data in (b"\xf0\x00", b"\xf0\x01\x00", b"\xf0\x02\x00\x00"):
        client = await connect(properties=QUICK)
        client.send_bytes(data + PINGREQ)
        await expect_disconnect(client, ReasonCode.PROTOCOL_ERROR)


@pytest.mark.normative("MQTT-3.15.2-2", "MQTT-3.15.2-3")
async def test_an_auth_fits(connect: Connector, open_client: Opener) -> None:
    room = 45
    client = await open_client()
    client.send_bytes(greeting(properties=b"\x27" + room.to_bytes(4, "big")))
    question = await client.expect(Auth)
    assert question.properties == Properties(authentication_method=METHOD, authentication_data=b"one?")
    # Header, code, property length, and the two properties: there is nothing else in it.
    assert len(client.last_bytes) == 2 + 1 + len(varint(16)) + 3 + len(METHOD) + 3 + 4
    client = await connect(
        properties=Properties(authentication_method=METHOD, authentication_data=b"quick", maximum_packet_size=room)
    )
    words = Properties(authentication_method=METHOD, authentication_data=b"second", reason_string="r" * 99)
    client.send(Auth(ReasonCode.RE_AUTHENTICATE, words))
    done = await client.expect(Auth)
    assert done == Auth(ReasonCode.SUCCESS, answer(b"welcome"))
    assert len(client.last_bytes) <= room
    await client.expect_silence()
