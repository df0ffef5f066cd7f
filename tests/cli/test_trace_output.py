"""How a packet is shown on a terminal."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from mqttbroker.admin.traces import line
from mqttbroker.broker import TracedEnd, TracedLoss, TracedPacket
from mqttbroker.broker.traced import without_secrets
from mqttbroker.cli.trace_output import shown
from mqttbroker.protocol import (
    Auth,
    ConnAck,
    Connect,
    Disconnect,
    Packet,
    PingReq,
    Properties,
    ProtocolVersion,
    PubAck,
    Publish,
    PubRel,
    ReasonCode,
    SubAck,
    Subscribe,
    SubscriptionRequest,
    UnsubAck,
    Unsubscribe,
    Will,
)

V5, V311 = ProtocolVersion.V5, ProtocolVersion.V311


def traced(packet: Packet | None, version: ProtocolVersion = V5, topic: str = "", error: str = "") -> dict[str, Any]:
    """A line of a trace with this packet from a client."""
    will = packet.will if isinstance(packet, Connect) else None
    found = TracedPacket(
        1_700_000_000.0,
        "in",
        "c",
        "",
        "192.0.2.1:9",
        version,
        "?" if packet is None else packet.type.name,
        0,
        10,
        None if packet is None else without_secrets(packet, 8),
        len(packet.payload) if isinstance(packet, Publish) else 0,
        0 if will is None else len(will.payload),
        topic,
        error,
    )
    document: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(line(found, 8)))
    return document


@pytest.mark.parametrize(
    ("packet", "topic", "text"),
    [
        (
            Connect("c", V5, False, 30, "u", b"secret", Will("w", b"gone", 1, True)),
            "w",
            "MQTT 5.0  from 192.0.2.1:9  keep alive 30 s  user u  password (hidden)  will w q1 retain 4 B  gone",
        ),
        (Connect("c", V5), "", "MQTT 5.0  from 192.0.2.1:9  clean start  keep alive 0 s  no user"),
        (
            Auth(ReasonCode.CONTINUE_AUTHENTICATION, Properties(authentication_method="m", authentication_data=b"x")),
            "",
            "Continue authentication (0x18)  {authentication method: m, authentication data: hidden}",
        ),
        (ConnAck(True), "", "Success  session present"),
        (ConnAck(False, ReasonCode.NOT_AUTHORIZED), "", "Not authorized (0x87)"),
        (Publish("a/b", b"0123456789", 1, True, True, 7), "a/b", "a/b  q1 retain dup  #7  10 B  01234567..."),
        (Publish("a", b"\xff\x00"), "a", "a  q0  2 B  0xff00"),
        (Publish("a", b"\x1b[2J"), "a", "a  q0  4 B  \\x1b[2J"),
        (
            Publish("", b"", properties=Properties(topic_alias=3, user_properties=(("k", "v"),))),
            "a/b",
            "a/b  (by its alias)  q0  0 B  {topic alias: 3, user properties: k=v}",
        ),
        (Publish("", properties=Properties(topic_alias=3)), "", "unknown topic  q0  0 B  {topic alias: 3}"),
        (PubAck(7), "a/b", "#7  a/b"),
        (PubRel(7, ReasonCode.PACKET_IDENTIFIER_NOT_FOUND), "", "#7  Packet Identifier not found (0x92)"),
        (
            Subscribe(1, (SubscriptionRequest("a/#", 1), SubscriptionRequest("b", 2, True, True, 2))),
            "",
            "#1  a/# q1, b q2 no local retain as published retain handling 2",
        ),
        (SubAck(1, (ReasonCode(0), ReasonCode(1))), "", "#1  Granted QoS 0, Granted QoS 1 (0x01)"),
        (Unsubscribe(2, ("a/#", "b")), "", "#2  a/#, b"),
        (UnsubAck(2, (ReasonCode.NO_SUBSCRIPTION_EXISTED,)), "", "#2  No subscription existed (0x11)"),
        (PingReq(), "", ""),
        (Disconnect(), "", "Normal disconnection"),
    ],
)
def test_packets(packet: Packet, topic: str, text: str) -> None:
    found = shown(traced(packet, topic=topic))
    assert found.partition("c                 ->  ")[2] == f"{packet.type.name:<11}  {text}".rstrip()


@pytest.mark.parametrize(
    ("packet", "text"),
    [
        (ConnAck(False, ReasonCode.BAD_USER_NAME_OR_PASSWORD), "Bad User Name or Password (0x04)"),
        (SubAck(1, (ReasonCode.UNSPECIFIED_ERROR,)), "#1  Unspecified error (0x80)"),
        (Subscribe(1, (SubscriptionRequest("a", 1),)), "#1  a q1"),
        (UnsubAck(1), "#1"),
        (Disconnect(), ""),
        (PubAck(1), "#1"),
    ],
)
def test_packets_of_the_old_version(packet: Packet, text: str) -> None:
    assert shown(traced(packet, V311)).partition(packet.type.name)[2].strip() == text


def test_what_cannot_be_read() -> None:
    assert shown(traced(None, error="Malformed Packet: no")).endswith("?            Malformed Packet: no")


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (
            TracedEnd(0.0, "c", "", "192.0.2.1:9", "connection lost"),
            "c                 --  closed       connection lost",
        ),
        (TracedEnd(0.0, "", "", "192.0.2.1:9", ""), "192.0.2.1:9       --  closed       without a reason"),
        (TracedLoss(0.0, 5_000), "5,000 packets are missing here: they came faster than they were read"),
    ],
)
def test_other_lines(found: TracedEnd | TracedLoss, text: str) -> None:
    assert shown(msgspec.to_builtins(line(found, 8))).partition("  ")[2] == text


def test_the_end() -> None:
    assert shown({"kind": "end", "time": 0.0, "reason": "time", "packets": 1}) == "1 packet; its time is over"
