"""Vectors of PUBLISH and its acknowledgements (sections 3.3 to 3.7), and of property lists as such."""

from __future__ import annotations

from mqttbroker.protocol import Properties, PubAck, PubComp, Publish, PubRec, PubRel, ReasonCode
from tests.protocol.vector import MALFORMED, V5, V31, V311, VIOLATION, Vector, accept, everywhere, refuse

__all__ = ["ACKNOWLEDGEMENTS", "PROPERTY_LISTS", "PUBLISH"]

_OLD = (V31, V311)
_LONG = "x" * 321

PUBLISH: list[Vector] = [
    *everywhere("publish", "30 .. <a/b> 'hi'", Publish("a/b", b"hi"), _OLD),
    accept("publish", V5, "30 .. <a/b> [] 'hi'", Publish("a/b", b"hi")),
    accept("publish in plain bytes", V311, "3007 0003612F62 6869", Publish("a/b", b"hi")),
    *everywhere("publish without payload", "31 .. <a>", Publish("a", retain=True), _OLD),
    accept("publish without payload", V5, "31 .. <a> []", Publish("a", retain=True)),
    *everywhere("publish qos 1", "32 .. <a> 0001 'x'", Publish("a", b"x", 1, packet_id=1), _OLD),
    accept("publish qos 1", V5, "32 .. <a> 0001 [] 'x'", Publish("a", b"x", 1, packet_id=1)),
    *everywhere("publish qos 2 dup", "3C .. <a> FFFF 'x'", Publish("a", b"x", 2, dup=True, packet_id=65535), _OLD),
    accept("publish everything", V5, "3D .. <a> FFFF [] 'x'", Publish("a", b"x", 2, True, True, 65535)),
    *everywhere("publish two length bytes", f"30 .. <a> '{_LONG}'", Publish("a", _LONG.encode()), _OLD),
    accept("publish two length bytes", V5, f"30 .. <a> [] '{_LONG}'", Publish("a", _LONG.encode())),
    accept("publish three length bytes", V5, f"30 .. <a> [] '{'y' * 20000}'", Publish("a", b"y" * 20000)),
    accept("publish wildcard is left to topics", V311, "30 .. <a/#>", Publish("a/#")),
    accept("publish alias", V5, "30 .. <> [23 0001]", Publish("", properties=Properties(topic_alias=1))),
    accept(
        "publish topic and alias", V5, "30 .. <a> [23 FFFF]", Publish("a", properties=Properties(topic_alias=65535))
    ),
    accept("publish emoji", V5, "30 .. <a/\U0001f600> []", Publish("a/\U0001f600")),
    accept("publish byte order mark", V311, "30 .. 0004 EFBBBF61", Publish("\ufeffa")),
    accept(
        "publish properties",
        V5,
        "30 .. <a> [01 00 02 00000000 03 <> 08 <r> 09 0000 0B 01 0B FFFFFF7F 0B 8001 23 0002 26 <> <> 26 <b> <a>] 'x'",
        Publish(
            "a",
            b"x",
            properties=Properties(
                payload_format_indicator=0,
                message_expiry_interval=0,
                content_type="",
                response_topic="r",
                correlation_data=b"",
                subscription_identifiers=(1, 268_435_455, 128),
                topic_alias=2,
                user_properties=(("", ""), ("b", "a")),
            ),
        ),
    ),
    *everywhere("publish qos 3", "36 .. <a> 0001 00", MALFORMED),
    *everywhere("publish dup with qos 0", "38 .. <a> 00", MALFORMED),
    *everywhere("publish packet id 0", "32 .. <a> 0000 00", VIOLATION),
    *everywhere("publish empty topic", "30 .. <> 00", VIOLATION),
    *everywhere("publish empty body", "3000", MALFORMED),
    *everywhere("publish topic cut short", "30 .. 0005 'abc'", MALFORMED),
    *everywhere("publish topic not utf-8", "30 .. 0002 C328 00", MALFORMED),
    *everywhere("publish topic surrogates", "30 .. 0006 EDA080EDB080 00", MALFORMED),
    *everywhere("publish topic nul", "30 .. 0003 610061 00", MALFORMED),
    *everywhere("publish without packet id", "32 .. <a>", MALFORMED),
    *everywhere("publish packet id cut short", "34 .. <a> 01", MALFORMED),
    refuse("publish without properties", V5, "30 .. <a>", MALFORMED),
    refuse("publish topic alias 0", V5, "30 .. <a> [23 0000]", ReasonCode.TOPIC_ALIAS_INVALID),
    refuse("publish subscription identifier 0", V5, "30 .. <a> [0B 00]", VIOLATION),
    refuse("publish payload format 2", V5, "30 .. <a> [01 02]", VIOLATION),
    refuse("publish response topic wildcard", V5, "30 .. <a> [08 <a/#>]", VIOLATION),
    refuse("publish response topic plus", V5, "30 .. <a> [08 <+>]", VIOLATION),
    refuse("publish two aliases", V5, "30 .. <a> [23 0001 23 0001]", VIOLATION),
    refuse("publish two content types", V5, "30 .. <a> [03 <x> 03 <x>]", VIOLATION),
    refuse("publish reason string", V5, "30 .. <a> [1F <x>]", MALFORMED),
    refuse("publish will delay", V5, "30 .. <a> [18 00000000]", MALFORMED),
]

PROPERTY_LISTS: list[Vector] = [
    accept(
        "property length of two bytes",
        V5,
        f"30 .. <a> [26 <k> <{'v' * 200}>]",
        Publish("a", properties=Properties(user_properties=(("k", "v" * 200),))),
    ),
    refuse("property length beyond the packet", V5, "30 .. <a> 05 0100", MALFORMED),
    refuse("property length not shortest", V5, "30 .. <a> 8000", MALFORMED),
    refuse("property length of five bytes", V5, "30 .. <a> FFFFFFFF01", MALFORMED),
    refuse("property length cut short", V5, "30 .. <a> 80", MALFORMED),
    refuse("property identifier unknown", V5, "30 .. <a> [04 00]", MALFORMED),
    refuse("property identifier zero", V5, "30 .. <a> [00]", MALFORMED),
    refuse("property identifier of two bytes", V5, "30 .. <a> [8101 00]", MALFORMED),
    refuse("property identifier not shortest", V5, "30 .. <a> [8100 00]", MALFORMED),
    refuse("property identifier cut short", V5, "30 .. <a> [81] 01", MALFORMED),
    refuse("property byte missing", V5, "30 .. <a> [01]", MALFORMED),
    refuse("property byte outside the list", V5, "30 .. <a> [01] 01", MALFORMED),
    refuse("property four byte integer cut short", V5, "30 .. <a> [02 000000] 00", MALFORMED),
    refuse("property two byte integer cut short", V5, "30 .. <a> [23 00] 01", MALFORMED),
    refuse("property variable byte integer cut short", V5, "30 .. <a> [0B 80] 01", MALFORMED),
    refuse("property variable byte integer not shortest", V5, "30 .. <a> [0B 8100]", MALFORMED),
    refuse("property string beyond the list", V5, "30 .. <a> [03 0003 'ab'] 'c'", MALFORMED),
    refuse("property string length cut short", V5, "30 .. <a> [03 00] 00", MALFORMED),
    refuse("property string not utf-8", V5, "30 .. <a> [03 0001 80]", MALFORMED),
    refuse("property binary beyond the list", V5, "30 .. <a> [09 0002 00] 00", MALFORMED),
    refuse("property pair without value", V5, "30 .. <a> [26 <k>]", MALFORMED),
    refuse("property pair key with nul", V5, "30 .. <a> [26 0001 00 <v>]", MALFORMED),
    refuse("property pair value not utf-8", V5, "30 .. <a> [26 <k> 0001 FF]", MALFORMED),
]


def _acknowledgements() -> list[Vector]:
    rows: list[Vector] = []
    for first, packet in (("40", PubAck), ("50", PubRec), ("62", PubRel), ("70", PubComp)):
        name = packet.type.name.lower()
        failure = ReasonCode.UNSPECIFIED_ERROR if packet in (PubAck, PubRec) else ReasonCode.PACKET_IDENTIFIER_NOT_FOUND
        wrong = ReasonCode.PACKET_IDENTIFIER_NOT_FOUND if packet in (PubAck, PubRec) else ReasonCode.UNSPECIFIED_ERROR
        both = Properties(reason_string="no", user_properties=(("k", "v"),))
        rows += everywhere(name, f"{first} 02 0001", packet(1))
        rows += everywhere(f"{name} greatest id", f"{first} 02 FFFF", packet(65535))
        rows += everywhere(f"{name} packet id 0", f"{first} 02 0000", VIOLATION)
        rows += everywhere(f"{name} empty", f"{first} 00", MALFORMED)
        rows += everywhere(f"{name} id cut short", f"{first} 01 01", MALFORMED)
        rows += everywhere(f"{name} flags 1", f"{int(first, 16) ^ 1:02X} 02 0001", MALFORMED)
        rows += everywhere(f"{name} flags with qos", f"{int(first, 16) ^ 4:02X} 02 0001", MALFORMED)
        rows += everywhere(f"{name} trailing byte", f"{first} 03 0001 00", MALFORMED, _OLD)
        rows += [
            accept(f"{name} with code", V5, f"{first} 03 0001 {failure:02X}", packet(1, failure)),
            accept(f"{name} success spelt out", V5, f"{first} 03 0001 00", packet(1), canonical=False),
            accept(f"{name} success and no properties", V5, f"{first} .. 0001 00 []", packet(1), canonical=False),
            accept(
                f"{name} code and no properties",
                V5,
                f"{first} .. 0001 {failure:02X} []",
                packet(1, failure),
                canonical=False,
            ),
            accept(
                f"{name} with properties", V5, f"{first} .. 0001 00 [1F <no> 26 <k> <v>]", packet(1, properties=both)
            ),
            refuse(f"{name} code that does not exist", V5, f"{first} 03 0001 7F", VIOLATION),
            refuse(f"{name} code of another packet", V5, f"{first} 03 0001 {wrong:02X}", VIOLATION),
            refuse(f"{name} trailing byte", V5, f"{first} .. 0001 00 [] 00", MALFORMED),
            refuse(f"{name} two reason strings", V5, f"{first} .. 0001 00 [1F <a> 1F <a>]", VIOLATION),
            refuse(f"{name} property of another packet", V5, f"{first} .. 0001 00 [23 0001]", MALFORMED),
            refuse(f"{name} property length too long", V5, f"{first} .. 0001 00 05", MALFORMED),
        ]
    return rows


ACKNOWLEDGEMENTS: list[Vector] = [
    *_acknowledgements(),
    accept("puback no matching subscribers", V5, "4003 0001 10", PubAck(1, ReasonCode.NO_MATCHING_SUBSCRIBERS)),
    accept("pubrec quota exceeded", V5, "5003 0001 97", PubRec(1, ReasonCode.QUOTA_EXCEEDED)),
    accept("pubrel repeated", V31, "6A02 0001", PubRel(1), canonical=False),
    *everywhere("pubrel repeated", "6A02 0001", MALFORMED, (V311, V5)),
    *everywhere("pubrel without flags", "6002 0001", MALFORMED),
    *everywhere("puback with dup", "4802 0001", MALFORMED),
]
