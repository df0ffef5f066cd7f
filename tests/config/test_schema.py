"""Configurations that are built in a program are held to the rules of those that are read."""

from __future__ import annotations

from pathlib import Path

import pytest

from mqttbroker.config import Config, ListenerConfig, SecurityConfig, is_loopback


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.8.8.8", "::1", "localhost", "LOCALHOST", "::ffff:127.0.0.1"], ids=str
)
def test_is_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "192.0.2.1", "::ffff:192.0.2.1", "broker.example", "", "127.1"], ids=repr
)
def test_is_not_loopback(host: str) -> None:
    assert not is_loopback(host)


def test_wrong_values_are_refused_on_construction() -> None:
    with pytest.raises(ValueError, match="port: expected 0 to 65535, got 65536"):
        ListenerConfig(port=65_536)
    with pytest.raises(ValueError, match="listeners: expected at least one"):
        Config(listeners=())


@pytest.mark.parametrize(
    ("security", "anonymous"),
    [
        (SecurityConfig(), True),
        (SecurityConfig(password_file=Path("users")), False),
        (SecurityConfig(password_file=Path("users"), allow_anonymous=True), True),
        (SecurityConfig(allow_anonymous=False), False),
    ],
    ids=["nothing set", "password file", "password file and anonymous", "not anonymous"],
)
def test_anonymous(security: SecurityConfig, anonymous: bool) -> None:
    assert security.anonymous is anonymous
