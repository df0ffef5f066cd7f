"""How ``mqttbroker sub`` prints a message.

Topic and payload come from strangers. On a terminal, what does not print is written as escapes, so that a message
cannot move the cursor or change the window; into a file or a pipe goes what was sent, byte for byte.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields
from datetime import UTC, datetime
from typing import Final

from mqttbroker.logs import escape
from mqttbroker.protocol import Properties, Publish

__all__ = ["DEFAULT_FORMAT", "VERBOSE_FORMAT", "check_format", "format_message"]

DEFAULT_FORMAT: Final = "%p"
VERBOSE_FORMAT: Final = "%t %p"

Writer = Callable[[Publish, bool], bytes]


def check_format(template: str) -> None:
    """Raise :class:`ValueError` for a conversion that is not known."""
    parts = template.split("%")[1:]
    while parts:
        part = parts.pop(0)
        if not part and parts:
            parts.pop(0)  # "%%" is split into an empty part and the text behind it.
        elif part[:1] not in _CONVERSIONS:
            known = ", ".join(f"%{letter}" for letter in _CONVERSIONS)
            raise ValueError(f"expected one of {known}, %%, found %{part[:1]}")


def format_message(template: str, message: Publish, terminal: bool) -> bytes:
    """Return what a template makes of a message; ``terminal`` escapes what does not print."""
    written = b""
    rest = template
    while rest:
        text, percent, rest = rest.partition("%")
        written += _unescape(text)
        if percent:
            written += b"%" if rest[0] == "%" else _CONVERSIONS[rest[0]](message, terminal)
            rest = rest[1:]
    return written


def _unescape(text: str) -> bytes:
    for escaped, meant in (("\\n", "\n"), ("\\t", "\t"), ("\\0", "\0")):
        text = text.replace(escaped, meant)
    return text.encode()


def _topic(message: Publish, terminal: bool) -> bytes:
    return (escape(message.topic) if terminal else message.topic).encode()


def _payload(message: Publish, terminal: bool) -> bytes:
    if not terminal:
        return message.payload
    text = message.payload.decode("utf-8", "backslashreplace")
    return "".join(
        character if character.isprintable() or character in "\n\t" else escape(character) for character in text
    ).encode()


def _json(message: Publish, _terminal: bool) -> bytes:
    document: dict[str, object] = {
        "tst": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "topic": message.topic,
        "qos": message.qos,
        "retain": int(message.retain),
        "payloadlen": len(message.payload),
        "payload": message.payload.decode("utf-8", "backslashreplace"),
    }
    if message.packet_id is not None:
        document["mid"] = message.packet_id
    properties = _properties(message.properties)
    if properties:
        document["properties"] = properties
    # JSON in ASCII holds no character that does not print, whatever the message holds.
    return json.dumps(document).replace("\x7f", "\\u007f").encode()


def _properties(properties: Properties) -> dict[str, object]:
    """Return the properties that are there, by the standard's names with hyphens."""
    present = {field.name: getattr(properties, field.name) for field in fields(properties)}
    return {
        name.replace("_", "-"): value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else value
        for name, value in present.items()
        if value is not None and value != ()
    }


_CONVERSIONS: Final[dict[str, Writer]] = {
    "t": _topic,
    "p": _payload,
    "q": lambda message, _: str(message.qos).encode(),
    "r": lambda message, _: str(int(message.retain)).encode(),
    "l": lambda message, _: str(len(message.payload)).encode(),
    "x": lambda message, _: message.payload.hex().encode(),
    "X": lambda message, _: message.payload.hex().upper().encode(),
    "j": _json,
}
