"""Messages are printed as asked, and cannot act upon a terminal."""

from __future__ import annotations

import json

import pytest

from mqttbroker.cli.output import DEFAULT_FORMAT, VERBOSE_FORMAT, check_format, format_message
from mqttbroker.protocol import Properties, Publish

MESSAGE = Publish("a/b", b"21.5", 1, True, packet_id=7)
HOSTILE = Publish("a\x1b[2J\u202e", b"\x1b]0;title\x07\xff\tcolumn\nline\x00")


@pytest.mark.parametrize(
    ("template", "written"),
    [
        (DEFAULT_FORMAT, b"21.5"),
        (VERBOSE_FORMAT, b"a/b 21.5"),
        ("%t|%p|%q|%r|%l|%x|%X", b"a/b|21.5|1|1|4|32312e35|32312E35"),
        ("100%% %%t %t", b"100% %t a/b"),
        ("%%", b"%"),
        ("\\n\\t\\0", b"\n\t\0"),
        ("", b""),
        ("größe", "größe".encode()),
    ],
    ids=["default", "verbose", "each", "percent", "only percent", "escapes", "nothing", "text"],
)
def test_format(template: str, written: bytes) -> None:
    check_format(template)
    assert format_message(template, MESSAGE, False) == written


@pytest.mark.parametrize("template", ["%", "%y", "%t%", "%%%", "%p %d"], ids=str)
def test_unknown_conversions(template: str) -> None:
    with pytest.raises(ValueError, match=r"expected one of %t, %p, .*, found %"):
        check_format(template)


def test_into_a_pipe_goes_what_was_sent() -> None:
    assert format_message("%t %p", HOSTILE, False) == HOSTILE.topic.encode() + b" " + HOSTILE.payload


def test_on_a_terminal_what_does_not_print_is_escaped() -> None:
    written = format_message("%t %p", HOSTILE, True).decode()
    assert written == "a\\x1b[2J\\u202e \\x1b]0;title\\x07\\xff\tcolumn\nline\\x00"
    assert format_message("%p", Publish("a", "größe 温度".encode()), True).decode() == "größe 温度"


def test_json() -> None:
    properties = Properties(content_type="text/plain", correlation_data=b"\xff", user_properties=(("a", "b"),))
    message = Publish("größe\x7f", b"21.5\xff", 1, True, packet_id=7, properties=properties)
    written = format_message("%j", message, False)
    assert written.isascii()
    assert b"\x7f" not in written
    document = json.loads(written)
    assert document.pop("tst")
    assert document == {
        "topic": "größe\x7f",
        "qos": 1,
        "retain": 1,
        "payloadlen": 5,
        "payload": "21.5\\xff",
        "mid": 7,
        "properties": {
            "content-type": "text/plain",
            "correlation-data": "\\xff",
            "user-properties": [["a", "b"]],
        },
    }


def test_json_leaves_out_what_is_not_there() -> None:
    document = json.loads(format_message("%j", Publish("a"), True))
    assert set(document) == {"tst", "topic", "qos", "retain", "payloadlen", "payload"}
