"""Messages as the HTTP API shows and takes them: payloads in text, base64 or JSON, and properties by name."""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from typing import Any, Literal

import msgspec

from mqttbroker.admin import types
from mqttbroker.admin.problems import bad_request
from mqttbroker.protocol import Properties

__all__ = ["bytes_of", "properties_of", "shown_payload"]

Encoding = Literal["text", "base64", "json"]


def shown_payload(payload: bytes, most: int) -> types.Payload:
    """A payload, or its first ``most`` bytes."""
    part = payload[:most]
    cut = len(part) < len(payload)
    try:
        return types.Payload(encoding="text", data=_text(part, cut), truncated=cut)
    except UnicodeDecodeError:
        return types.Payload(encoding="base64", data=b64encode(part).decode(), truncated=cut)


def _text(part: bytes, cut: bool) -> str:
    """UTF-8 to text, without the beginning of a character that was cut off. Raises ``UnicodeDecodeError``."""
    try:
        return part.decode()
    except UnicodeDecodeError as error:
        if cut and error.start >= len(part) - 3 and error.reason == "unexpected end of data":
            return part[: error.start].decode()
        raise


def bytes_of(payload: Any, encoding: Encoding, field: str) -> bytes:
    """The bytes that a request means; ``field`` names it where it is wrong. Raises a problem."""
    if encoding == "json":
        return msgspec.json.encode(payload)
    if not isinstance(payload, str):
        raise bad_request(f"with the encoding {encoding!r}, the payload is a string", field)
    if encoding == "text":
        return _encoded(payload, field)
    return _unpacked(payload, field)


def _encoded(text: str, field: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise bad_request("half a surrogate pair is no text", field) from error


def _unpacked(text: str, field: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise bad_request(f"not base64: {error}", field) from error


def properties_of(given: types.Properties, field: str) -> Properties:
    """The properties that a request means. Raises a problem."""
    correlation = given.correlation_data
    return Properties(
        content_type=given.content_type,
        response_topic=given.response_topic,
        correlation_data=None if correlation is None else _unpacked(correlation, f"{field}.correlation_data"),
        payload_format_indicator=given.payload_format_indicator,
        message_expiry_interval=given.message_expiry_interval,
        user_properties=given.user_properties,
    )
