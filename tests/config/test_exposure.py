"""A broker that strangers can reach must know its users, unless its owner says that it need not."""

from __future__ import annotations

from pathlib import Path

import pytest

from mqttbroker.config import Config, ConfigError, ListenerConfig, SecurityConfig, check_exposure

INSIDE = ListenerConfig("inside")
OUTSIDE = ListenerConfig("outside", host="0.0.0.0")
USERS = Path("users")

ALLOWED = {
    "the defaults": Config(),
    "loopback, anonymous": Config(listeners=(INSIDE,), security=SecurityConfig(allow_anonymous=True)),
    "outside, users": Config(listeners=(OUTSIDE,), security=SecurityConfig(password_file=USERS)),
    "outside, users, not anonymous": Config(
        listeners=(OUTSIDE,), security=SecurityConfig(allow_anonymous=False, password_file=USERS)
    ),
    "outside, said to be open": Config(listeners=(OUTSIDE,), security=SecurityConfig(allow_anonymous=True)),
}


@pytest.mark.parametrize("config", ALLOWED.values(), ids=ALLOWED)
def test_allowed(config: Config) -> None:
    check_exposure(config)


def test_an_open_listener_is_refused_and_the_ways_out_are_named() -> None:
    with pytest.raises(ConfigError) as caught:
        check_exposure(Config(listeners=(INSIDE, OUTSIDE)))
    message = str(caught.value)
    for word in ("'outside'", "0.0.0.0", "password_file", 'host = "127.0.0.1"', "allow_anonymous = true"):
        assert word in message
    assert "\n" not in message


def test_rules_do_not_stand_for_users() -> None:
    with pytest.raises(ConfigError):
        check_exposure(Config(listeners=(OUTSIDE,), security=SecurityConfig(acl_file=Path("acl"))))


def test_a_broker_that_lets_nobody_in_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"nobody could connect: .*mqttbroker passwd FILE USER"):
        check_exposure(Config(security=SecurityConfig(allow_anonymous=False)))
