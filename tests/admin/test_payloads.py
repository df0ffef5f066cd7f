"""Payloads and properties as the API shows and takes them."""

from __future__ import annotations

from typing import Any

import pytest

from mqttbroker.admin import types
from mqttbroker.admin.payloads import bytes_of, properties_of, shown_payload
from mqttbroker.admin.problems import Problem
from mqttbroker.protocol import Properties


class TestShown:
    @pytest.mark.parametrize(
        ("payload", "encoding", "data", "truncated"),
        [
            (b"", "text", "", False),
            ("21.5 °C".encode(), "text", "21.5 °C", False),
            (b"\xff\x00", "base64", "/wA=", False),
            (b"0123456789", "text", "01234567", True),
            ("1234567é".encode(), "text", "1234567", True),
            ("123456€".encode(), "text", "123456", True),
            (b"\xff123456789", "base64", "/zEyMzQ1Njc=", True),
            (b"1234567\xff9", "base64", "MTIzNDU2N/8=", True),
            ("123456€".encode()[:8], "base64", "MTIzNDU24oI=", False),
        ],
    )
    def test_payloads(self, payload: bytes, encoding: Any, data: str, truncated: bool) -> None:
        assert shown_payload(payload, 8) == types.Payload(encoding=encoding, data=data, truncated=truncated)


class TestTaken:
    @pytest.mark.parametrize(
        ("payload", "encoding", "expected"),
        [
            ("21.5 °C", "text", "21.5 °C".encode()),
            ("/wA=", "base64", b"\xff\x00"),
            ({"a": [1, None, "ü"]}, "json", '{"a":[1,null,"ü"]}'.encode()),
            ("text", "json", b'"text"'),
            (None, "json", b"null"),
        ],
    )
    def test_payloads(self, payload: Any, encoding: Any, expected: bytes) -> None:
        assert bytes_of(payload, encoding, "$.payload") == expected

    @pytest.mark.parametrize(
        ("payload", "encoding"), [(5, "text"), (None, "base64"), ("/wA", "base64"), ("ä", "base64"), ("\ud800", "text")]
    )
    def test_what_is_wrong(self, payload: Any, encoding: Any) -> None:
        with pytest.raises(Problem) as caught:
            bytes_of(payload, encoding, "$.payload")
        assert (caught.value.status, caught.value.field) == (400, "$.payload")

    def test_properties(self) -> None:
        given = types.Properties(
            content_type="application/json",
            response_topic="answers",
            correlation_data="/wA=",
            payload_format_indicator=1,
            message_expiry_interval=60,
            user_properties=(("a", "1"), ("a", "2")),
        )
        assert properties_of(given, "$.properties") == Properties(
            content_type="application/json",
            response_topic="answers",
            correlation_data=b"\xff\x00",
            payload_format_indicator=1,
            message_expiry_interval=60,
            user_properties=(("a", "1"), ("a", "2")),
        )

    def test_correlation_data_in_base64_only(self) -> None:
        with pytest.raises(Problem) as caught:
            properties_of(types.Properties(correlation_data="?"), "$.properties")
        assert caught.value.field == "$.properties.correlation_data"
