"""Properties: the table against the standard's, and every row of it in both directions."""

from __future__ import annotations

import csv
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mqttbroker.protocol import (
    NO_PROPERTIES,
    PROPERTIES,
    InvalidPacket,
    MalformedPacket,
    MQTTError,
    Properties,
    PropertyContext,
    PropertyDefinition,
    ProtocolViolation,
    QuotaExceeded,
    ReasonCode,
    WireType,
    check_properties,
    decode_properties,
    encode_properties,
    encode_property_list,
)
from tests.protocol.notation import assemble, varint
from tests.protocol.strategies import properties

TABLE = Path(__file__).parent / "data" / "properties.tsv"
INTEGERS = {
    WireType.BYTE: 1,
    WireType.TWO_BYTE_INTEGER: 2,
    WireType.FOUR_BYTE_INTEGER: 4,
}
RESPONSE_TOPIC = 0x08

rows = pytest.mark.parametrize("row", PROPERTIES.values(), ids=lambda row: row.name)
contexts = pytest.mark.parametrize("context", PropertyContext, ids=lambda context: context.name)


def samples(row: PropertyDefinition) -> list[tuple[Any, bytes]]:
    """Legal values of a property with their bytes, the least and the greatest among them."""
    match row.wire_type:
        case WireType.UTF8_STRING:
            return [("", b"\0\0"), ("a/b", b"\0\3a/b")]
        case WireType.UTF8_STRING_PAIR:
            return [(("", ""), b"\0\0\0\0"), (("k", "v"), b"\0\1k\0\1v")]
        case WireType.BINARY_DATA:
            return [(b"", b"\0\0"), (b"\0\xff", b"\0\2\0\xff")]
        case WireType.VARIABLE_BYTE_INTEGER:
            return [(value, varint(value)) for value in (row.minimum, row.maximum)]
    size = INTEGERS[row.wire_type]
    return [(value, value.to_bytes(size, "big")) for value in (row.minimum, row.maximum)]


def with_value(row: PropertyDefinition, *values: Any) -> Properties:
    chosen: dict[str, Any] = {row.name: values if row.repeatable else values[0]}
    if row.name == "authentication_data":
        chosen["authentication_method"] = "m"
    return Properties(**chosen)


def raw(row: PropertyDefinition, *values: bytes) -> bytes:
    """A property list of one property, and of what it cannot be without."""
    body = b"".join(bytes((row.identifier,)) + value for value in values)
    if row.name == "authentication_data":
        body = b"\x15\0\1m" + body
    return varint(len(body)) + body


def reason_of(data: bytes, context: PropertyContext) -> ReasonCode:
    with pytest.raises(MQTTError) as caught:
        decode_properties(data, 0, len(data), context)
    return caught.value.reason


class TestTable:
    """Section 2.2.2.2, table 2-4."""

    def test_equals_the_standards(self) -> None:
        with TABLE.open(encoding="utf-8", newline="") as file:
            listed = {
                int(line["id"], 16): (line["name"], line["type"], set(line["packets"].upper().split(",")))
                for line in csv.DictReader(file, delimiter="\t")
            }
        assert listed == {
            row.identifier: (row.title, row.wire_type.value, {context.name for context in row.contexts})
            for row in PROPERTIES.values()
        }

    def test_occurrences_equal_the_standards(self) -> None:
        with TABLE.open(encoding="utf-8", newline="") as file:
            for line in csv.DictReader(file, delimiter="\t"):
                row = PROPERTIES[int(line["id"], 16)]
                match line["occurs"]:
                    case "once":
                        assert not row.repeatable
                    case "many":
                        assert row.repeatable == row.contexts
                    case _:
                        assert row.repeatable == {PropertyContext.PUBLISH}

    def test_ranges_equal_the_standards(self) -> None:
        with TABLE.open(encoding="utf-8", newline="") as file:
            for line in csv.DictReader(file, delimiter="\t"):
                row = PROPERTIES[int(line["id"], 16)]
                if found := re.match(r"(\d+)\.\.(\d+)", line["constraint"]):
                    assert (row.minimum, row.maximum) == (int(found[1]), int(found[2]))
                elif line["constraint"].startswith("0 or 1"):
                    assert (row.minimum, row.maximum) == (0, 1)

    def test_each_row_has_a_field(self) -> None:
        assert [row.name for row in PROPERTIES.values()] == [field.name for field in fields(Properties)]

    def test_identifiers_rise(self) -> None:
        assert list(PROPERTIES) == sorted(PROPERTIES)


class TestEachProperty:
    @rows
    @contexts
    def test_in_each_context(self, row: PropertyDefinition, context: PropertyContext) -> None:
        for value, encoded in samples(row):
            data = raw(row, encoded)
            wanted = with_value(row, value)
            if context in row.contexts:
                assert decode_properties(b"\xff" + data + b"\xff", 1, len(data) + 2, context) == (wanted, len(data) + 1)
                assert encode_properties(wanted, context) == data
                check_properties(wanted, context)
            else:
                assert reason_of(data, context) is ReasonCode.MALFORMED_PACKET
                with pytest.raises(InvalidPacket):
                    encode_properties(wanted, context)
                with pytest.raises(MalformedPacket):
                    check_properties(wanted, context)

    @rows
    def test_twice(self, row: PropertyDefinition) -> None:
        (value, encoded), *_ = samples(row)
        for context in row.contexts:
            data = raw(row, encoded, encoded)
            if context in row.repeatable:
                wanted = with_value(row, value, value)
                assert decode_properties(data, 0, len(data), context)[0] == wanted
                assert encode_properties(wanted, context) == data
            else:
                assert reason_of(data, context) is ReasonCode.PROTOCOL_ERROR
                if row.repeatable:
                    with pytest.raises(InvalidPacket):
                        encode_properties(with_value(row, value, value), context)

    @rows
    def test_cut_short(self, row: PropertyDefinition) -> None:
        for context in row.contexts:
            for _, encoded in samples(row):
                for size in range(len(encoded)):
                    assert reason_of(raw(row, encoded[:size]), context) is ReasonCode.MALFORMED_PACKET

    @rows
    def test_out_of_range(self, row: PropertyDefinition) -> None:
        if not row.maximum:
            return
        context = min(row.contexts)
        error = ReasonCode.TOPIC_ALIAS_INVALID if row.name == "topic_alias" else ReasonCode.PROTOCOL_ERROR
        if row.minimum:
            zero = b"\0" * INTEGERS.get(row.wire_type, 1)
            assert reason_of(raw(row, zero), context) is error
        if row.wire_type is WireType.BYTE:
            for value in (2, 255):
                assert reason_of(raw(row, bytes((value,))), context) is ReasonCode.PROTOCOL_ERROR
        for beyond in (row.minimum - 1, row.maximum + 1):
            with pytest.raises(InvalidPacket):
                encode_properties(with_value(row, beyond), context)


class TestList:
    def test_empty(self) -> None:  # [MQTT-2.2.2-1]
        assert decode_properties(b"\0", 0, 1, PropertyContext.PUBLISH) == (NO_PROPERTIES, 1)
        assert decode_properties(b"\0", 0, 1, PropertyContext.PUBLISH)[0] is NO_PROPERTIES
        assert encode_properties(NO_PROPERTIES, PropertyContext.PUBLISH) == b"\0"
        assert encode_properties(Properties(), PropertyContext.PUBLISH) == b"\0"
        check_properties(NO_PROPERTIES, PropertyContext.PUBLISH)

    def test_without_the_prefix(self) -> None:
        some = Properties(content_type="x" * 200)
        body = encode_property_list(some, PropertyContext.WILL)
        assert encode_properties(some, PropertyContext.WILL) == varint(len(body)) + body
        assert encode_property_list(NO_PROPERTIES, PropertyContext.WILL) == b""

    @pytest.mark.parametrize(
        ("text", "error"),
        [
            ("", ReasonCode.MALFORMED_PACKET),
            ("01", ReasonCode.MALFORMED_PACKET),
            ("8000", ReasonCode.MALFORMED_PACKET),
            ("[7F 00]", ReasonCode.MALFORMED_PACKET),
            ("[16 0000]", ReasonCode.PROTOCOL_ERROR),
        ],
        ids=["nothing", "beyond", "not-shortest", "unknown", "data-without-method"],
    )
    def test_refused(self, text: str, error: ReasonCode) -> None:
        assert reason_of(assemble(text), PropertyContext.CONNECT) is error

    def test_does_not_pass_the_stop(self) -> None:
        data = assemble("[26 <k> <v>]")
        with pytest.raises(MalformedPacket):
            decode_properties(data, 0, len(data) - 1, PropertyContext.CONNECT)

    @pytest.mark.parametrize("topic", ["+", "#", "a/+/b", "a#"], ids=["plus", "hash", "level", "inside"])
    def test_response_topic_without_wildcards(self, topic: str) -> None:  # [MQTT-3.3.2-14]
        wildcard = Properties(response_topic=topic)
        for context in PROPERTIES[RESPONSE_TOPIC].contexts:
            with pytest.raises(ProtocolViolation):
                check_properties(wildcard, context)
            with pytest.raises(InvalidPacket):
                encode_properties(wildcard, context)

    def test_authentication_data_needs_the_method(self) -> None:
        with pytest.raises(ProtocolViolation):
            check_properties(Properties(authentication_data=b""), PropertyContext.AUTH)

    def test_limit_of_user_properties(self) -> None:
        data = encode_properties(Properties(user_properties=(("k", "v"),) * 3), PropertyContext.PUBLISH)
        decode_properties(data, 0, len(data), PropertyContext.PUBLISH, 3)
        with pytest.raises(QuotaExceeded) as caught:
            decode_properties(data, 0, len(data), PropertyContext.PUBLISH, 2)
        assert caught.value.reason is ReasonCode.QUOTA_EXCEEDED

    @contexts
    @given(data=st.data())
    def test_round_trip(self, context: PropertyContext, data: st.DataObject) -> None:
        some = data.draw(properties(context))
        check_properties(some, context)
        encoded = encode_properties(some, context)
        assert decode_properties(encoded, 0, len(encoded), context) == (some, len(encoded))
