"""Configurations that are built in a program are held to the rules of those that are read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mqttbroker.broker import ListenerLimits
from mqttbroker.config import (
    AdminConfig,
    CertificateConfig,
    Config,
    ListenerConfig,
    SecurityConfig,
    TlsConfig,
    is_loopback,
)


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


@pytest.mark.parametrize("name", ["", "a b", "broker.example:8080", "https://broker.example", "*.example"], ids=repr)
def test_names_of_the_admin_server_are_names(name: str) -> None:
    with pytest.raises(ValueError, match="trusted_hosts: expected names"):
        AdminConfig(trusted_hosts=(name,))


def test_the_admin_server_needs_a_place() -> None:
    with pytest.raises(ValueError, match="port: expected 0 to 65535, got 65536"):
        AdminConfig(port=65_536)
    with pytest.raises(ValueError, match="host: expected an address or a name"):
        AdminConfig(host="")


PEM = Path("a.pem")
CLIENTS = TlsConfig(PEM, client_certificates="optional", client_ca=PEM)
SOCKET = Path("mqtt.sock")
NEEDS_CERTIFICATES = "needs tls.client_certificates"

LISTENER_MISTAKES: dict[str, tuple[Callable[[], object], str]] = {
    "a path without its slash": (lambda: ListenerConfig(path="mqtt"), 'path: expected a path that begins with "/"'),
    "a Unix listener without a socket": (
        lambda: ListenerConfig(type="unix"),
        'socket: expected a path in quotes, since type is "unix"',
    ),
    "a TCP listener with a socket": (
        lambda: ListenerConfig(socket=SOCKET),
        'type: expected "unix" or "websocket" where there is a socket',
    ),
    "pages without WebSocket": (lambda: ListenerConfig(pages=Path("pages")), 'type: expected "websocket"'),
    "origins without WebSocket": (lambda: ListenerConfig(origins=("*",)), 'type: expected "websocket"'),
    "permissions of other digits": (lambda: ListenerConfig(socket_mode="0680"), "socket_mode: expected octal digits"),
    "permissions of other characters": (lambda: ListenerConfig(socket_mode="rw-"), "socket_mode: expected octal"),
    "permissions that are too many": (lambda: ListenerConfig(socket_mode="1777"), "socket_mode: expected octal digits"),
    "no permissions": (lambda: ListenerConfig(socket_mode=""), "socket_mode: expected octal digits"),
    "a proxy that is no address": (
        lambda: ListenerConfig(trusted_proxies=("proxy.example",)),
        "trusted_proxies: expected addresses and networks like 10.0.0.0/8: 'proxy.example' does not",
    ),
    "a network with bits behind its prefix": (
        lambda: ListenerConfig(trusted_proxies=("10.0.0.1/8",)),
        "trusted_proxies: expected addresses and networks like 10.0.0.0/8: 10.0.0.1/8 has host bits set",
    ),
    "a header of anybody": (
        lambda: ListenerConfig(proxy_protocol=True),
        "trusted_proxies: expected at least one where proxy_protocol is true",
    ),
    "a mount point without its slash": (
        lambda: ListenerConfig(mount_point="a"),
        'mount_point: expected to end with "/"',
    ),
    "a mount point of the broker's own": (lambda: ListenerConfig(mount_point="$a/"), "mount_point: expected to end"),
    "a mount point with a wildcard": (lambda: ListenerConfig(mount_point="a/+/"), "mount_point: "),
    "a mount point that is too long": (lambda: ListenerConfig(mount_point="a" * 1024 + "/"), "mount_point: "),
    "the name in no certificate": (
        lambda: ListenerConfig(username_from="common_name"),
        f'username_from: "common_name" {NEEDS_CERTIFICATES}',
    ),
    "the name in a certificate that nobody asks for": (
        lambda: ListenerConfig(username_from="common_name", tls=TlsConfig(PEM)),
        f'username_from: "common_name" {NEEDS_CERTIFICATES}',
    ),
    "a name that proxies do not pass on": (
        lambda: ListenerConfig(username_from="alternative_name", proxy_protocol=True, trusted_proxies=("127.0.0.1",)),
        f'username_from: "alternative_name" {NEEDS_CERTIFICATES}',
    ),
    "a user of another machine": (
        lambda: ListenerConfig(username_from="unix_user"),
        'username_from: "unix_user" needs a Unix socket',
    ),
    "a limit out of its bounds": (
        lambda: ListenerConfig(limits=ListenerLimits(max_qos=3)),
        "max_qos: expected 0 to 2, got 3",
    ),
    "limits that contradict": (
        lambda: ListenerLimits(max_connect_size=2048, max_packet_size=1024),
        "max_connect_size: expected at most max_packet_size",
    ),
    "TLS without a certificate": (TlsConfig, "certificate: expected a path in quotes"),
    "a further certificate that is none": (CertificateConfig, "certificate: expected a path in quotes"),
    "clients whom nobody has signed": (
        lambda: TlsConfig(PEM, client_certificates="optional"),
        'client_ca: expected a path in quotes, since client_certificates is "optional"',
    ),
    "an authority of no clients": (
        lambda: TlsConfig(PEM, client_ca=PEM),
        'client_certificates: expected "optional" or "required" where there is a client_ca or crl',
    ),
    "a list of no clients": (
        lambda: TlsConfig(PEM, crl=PEM),
        'client_certificates: expected "optional" or "required" where there is a client_ca or crl',
    ),
}


@pytest.mark.parametrize(("make", "message"), LISTENER_MISTAKES.values(), ids=LISTENER_MISTAKES)
def test_a_listener_that_cannot_be_is_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError) as caught:
        make()
    assert str(caught.value).startswith(message)


def test_listeners_that_can_be() -> None:
    ListenerConfig(type="unix", socket=SOCKET, username_from="unix_user")
    ListenerConfig(type="websocket", socket=SOCKET, username_from="unix_user", pages=Path("pages"), origins=("*",))
    ListenerConfig(type="unix", socket=SOCKET, proxy_protocol=True)
    ListenerConfig(proxy_protocol=True, trusted_proxies=("10.0.0.0/8", "fd00::/8"), username_from="common_name")
    ListenerConfig(tls=CLIENTS, username_from="alternative_name")
    ListenerConfig(socket_mode="777", mount_point="a/b/", path="/")


def test_who_can_reach_a_listener() -> None:
    assert ListenerConfig().local
    assert ListenerConfig(type="unix", socket=SOCKET, host="0.0.0.0").local
    assert not ListenerConfig(host="0.0.0.0").local


def test_a_listener_has_the_users_and_rules_of_the_broker_where_it_has_none() -> None:
    everywhere = SecurityConfig(True, Path("users"), Path("acl"))
    assert SecurityConfig().over(everywhere) == everywhere
    assert SecurityConfig(acl_file=Path("own")).over(everywhere) == SecurityConfig(True, Path("users"), Path("own"))
    assert SecurityConfig(False, Path("own")).over(everywhere) == SecurityConfig(False, Path("own"), Path("acl"))


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
