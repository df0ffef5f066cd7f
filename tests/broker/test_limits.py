"""Limits and their bounds."""

from __future__ import annotations

import pytest

from mqttbroker.broker import Limits


class TestLimits:
    def test_the_defaults_are_within_their_bounds(self) -> None:
        Limits().check()

    @pytest.mark.parametrize(
        ("name", "value", "expected"),
        [
            ("max_connections", 0, "1 to 9007199254740992"),
            ("receive_maximum", 65_536, "1 to 65535"),
            ("max_client_id_length", 22, "23 to 65535"),
            ("max_qos", 3, "0 to 2"),
            ("connect_timeout", 0.0, "1.0 to 3600.0"),
            ("max_session_expiry", 2**32, "0 to 4294967295"),
        ],
    )
    def test_the_first_value_out_of_its_bounds_is_named(self, name: str, value: int, expected: str) -> None:
        with pytest.raises(ValueError, match=f"^{name}: expected {expected}, got {value}$"):
            Limits(**{name: value})  # type: ignore[arg-type]

    def test_a_connect_cannot_be_larger_than_any_packet(self) -> None:
        with pytest.raises(ValueError, match=r"^max_connect_size: expected at most max_packet_size$"):
            Limits(max_connect_size=1_000, max_packet_size=999)
