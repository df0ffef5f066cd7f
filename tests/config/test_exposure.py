"""A broker that strangers can reach must know its users, unless its owner says that it need not."""

from __future__ import annotations

from pathlib import Path

import pytest

from mqttbroker.config import Config, ConfigError, ListenerConfig, SecurityConfig, TlsConfig, check_exposure

USERS = SecurityConfig(password_file=Path("users"))
OPEN = SecurityConfig(allow_anonymous=True)
NOBODY = SecurityConfig(allow_anonymous=False)
PEM = Path("a.pem")
OPTIONAL = TlsConfig(PEM, client_certificates="optional", client_ca=PEM)
REQUIRED = TlsConfig(PEM, client_certificates="required", client_ca=PEM)
PROXIES = ("127.0.0.1",)

INSIDE = ListenerConfig("inside")
OUTSIDE = ListenerConfig("outside", host="0.0.0.0")
SOCKET = ListenerConfig("socket", "unix", socket=Path("mqtt.sock"))

ALLOWED = {
    "the defaults": Config(),
    "loopback, anonymous": Config(listeners=(INSIDE,), security=OPEN),
    "outside, users": Config(listeners=(OUTSIDE,), security=USERS),
    "outside, users, not anonymous": Config(
        listeners=(OUTSIDE,), security=SecurityConfig(allow_anonymous=False, password_file=Path("users"))
    ),
    "outside, said to be open": Config(listeners=(OUTSIDE,), security=OPEN),
    "outside, users of its own": Config(listeners=(INSIDE, ListenerConfig("out", host="::", security=USERS))),
    "outside, said of itself to be open": Config(
        listeners=(INSIDE, ListenerConfig("out", host="::", security=OPEN)), security=NOBODY.over(USERS)
    ),
    "outside, certificates": Config(listeners=(ListenerConfig(host="::", tls=REQUIRED),)),
    "outside, names in certificates": Config(
        listeners=(ListenerConfig(host="::", tls=OPTIONAL, username_from="common_name"),)
    ),
    "nobody but those with certificates": Config(
        listeners=(ListenerConfig(tls=OPTIONAL, username_from="common_name"),), security=NOBODY
    ),
    "a Unix socket": Config(listeners=(SOCKET,)),
    "proxies, users": Config(listeners=(ListenerConfig(proxy_protocol=True, trusted_proxies=PROXIES),), security=USERS),
    "proxies, said to be open": Config(listeners=(ListenerConfig(trusted_proxies=PROXIES, security=OPEN),)),
}

REFUSED = {
    "outside": OUTSIDE,
    "outside, encrypted": ListenerConfig("outside", host="0.0.0.0", tls=TlsConfig(PEM)),
    "outside, certificates for those who like": ListenerConfig("outside", host="0.0.0.0", tls=OPTIONAL),
    "outside, rules": ListenerConfig("outside", host="0.0.0.0", security=SecurityConfig(acl_file=Path("acl"))),
}


@pytest.mark.parametrize("config", ALLOWED.values(), ids=ALLOWED)
def test_allowed(config: Config) -> None:
    check_exposure(config)


@pytest.mark.parametrize("listener", REFUSED.values(), ids=REFUSED)
def test_an_open_listener_is_refused_and_the_ways_out_are_named(listener: ListenerConfig) -> None:
    with pytest.raises(ConfigError) as caught:
        check_exposure(Config(listeners=(INSIDE, listener)))
    message = str(caught.value)
    for word in (
        "'outside'",
        "0.0.0.0",
        "password_file in [security] or [listeners.security]",
        'client_certificates = "required"',
        'host = "127.0.0.1"',
        "allow_anonymous = true",
    ):
        assert word in message
    assert "\n" not in message


@pytest.mark.parametrize(
    "listener",
    [
        ListenerConfig("behind", proxy_protocol=True, trusted_proxies=PROXIES),
        ListenerConfig("behind", "websocket", trusted_proxies=PROXIES),
        ListenerConfig("behind", "unix", socket=Path("mqtt.sock"), proxy_protocol=True),
    ],
    ids=["PROXY protocol", "X-Forwarded-For", "Unix socket"],
)
def test_whoever_reaches_a_proxy_reaches_what_is_behind_it(listener: ListenerConfig) -> None:
    with pytest.raises(ConfigError) as caught:
        check_exposure(Config(listeners=(INSIDE, listener)))
    message = str(caught.value)
    assert message.startswith("listener 'behind' could be used by anybody who reaches the proxy in front of it. Set a ")
    assert "password_file" in message
    assert "allow_anonymous = true" in message
    assert "127.0.0.1" not in message


def test_rules_do_not_stand_for_users() -> None:
    with pytest.raises(ConfigError):
        check_exposure(Config(listeners=(OUTSIDE,), security=SecurityConfig(acl_file=Path("acl"))))


@pytest.mark.parametrize(
    "config",
    [
        Config(listeners=(INSIDE,), security=NOBODY),
        Config(listeners=(SOCKET, ListenerConfig("inside", security=NOBODY))),
        Config(listeners=(ListenerConfig("inside", security=NOBODY, tls=REQUIRED),)),
    ],
    ids=["everywhere", "there", "with certificates that name nobody"],
)
def test_a_listener_that_lets_nobody_in_is_refused(config: Config) -> None:
    with pytest.raises(ConfigError) as caught:
        check_exposure(config)
    message = str(caught.value)
    assert message.startswith("listener 'inside' would let nobody in: ")
    assert "mqttbroker passwd FILE USER" in message
    assert "username_from" in message
