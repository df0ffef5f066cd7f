"""Where clients connect: the entries of ``[[listeners]]``."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mqttbroker.broker.authority import UsernameSource
from mqttbroker.broker.entrance import ListenerLimits, check_mount_point
from mqttbroker.config.security import SecurityConfig

__all__ = ["CertificateConfig", "ListenerConfig", "TlsConfig", "is_loopback"]


def is_loopback(host: str) -> bool:
    """Tell whether only programs on this machine can reach a listener on ``host``.

    A host name other than ``localhost`` counts as reachable from outside: what it resolves to may change.
    """
    if host.lower() == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


@dataclass(frozen=True, slots=True)
class CertificateConfig:
    """One more certificate of a listener, an entry of ``[[listeners.tls.certificates]]``. It is shown to clients that
    ask for one of the names in it (SNI).
    """

    certificate: Path | None = None
    """The certificate and those that it was signed with, in PEM."""
    key: Path | None = None
    """Its private key, in PEM; ``None``: in the same file."""

    def __post_init__(self) -> None:
        if self.certificate is None:
            raise ValueError("certificate: expected a path in quotes")


@dataclass(frozen=True, slots=True)
class TlsConfig:
    """Encryption of one listener: the table ``[listeners.tls]``, which turns it on."""

    certificate: Path | None = None
    """The certificate and those that it was signed with, in PEM."""
    key: Path | None = None
    """Its private key, in PEM; ``None``: in the same file."""
    certificates: tuple[CertificateConfig, ...] = ()
    """Further certificates, for clients that ask for one of the names in them."""
    minimum_version: Literal["1.2", "1.3"] = "1.2"
    """Oldest version of TLS that is spoken."""
    ciphers: str | None = None
    """Cipher suites of TLS 1.2, as OpenSSL writes them; ``None``: those that Python chooses."""
    client_certificates: Literal["none", "optional", "required"] = "none"
    """Whether clients are asked for a certificate. One that is shown must be good."""
    client_ca: Path | None = None
    """Certificates, in PEM, that those of clients must have been signed with."""
    crl: Path | None = None
    """List of revoked client certificates, in PEM. One that has run out lets nobody in."""

    def __post_init__(self) -> None:
        if self.certificate is None:
            raise ValueError("certificate: expected a path in quotes")
        if self.client_certificates != "none" and self.client_ca is None:
            asked = f'client_certificates is "{self.client_certificates}"'
            raise ValueError(f"client_ca: expected a path in quotes, since {asked}")
        if self.client_certificates == "none" and (self.client_ca or self.crl):
            raise ValueError('client_certificates: expected "optional" or "required" where there is a client_ca or crl')


@dataclass(frozen=True, slots=True)
class ListenerConfig:
    """One place where clients connect."""

    name: str = "tcp"
    """What logs call it; different for each listener."""
    type: Literal["tcp", "websocket", "unix"] = "tcp"
    """``tcp`` is plain MQTT over TCP, ``unix`` the same over a Unix socket, ``websocket`` is MQTT over WebSocket."""
    host: str = "127.0.0.1"
    """Address or name to listen on; ``0.0.0.0`` and ``::`` are all addresses of the machine."""
    port: int = 1883
    """TCP port; 0 lets the system choose a free one, which the log names."""
    reuse_port: bool = False
    """Whether other processes may listen on the same port (SO_REUSEPORT)."""
    retry_bind: bool = False
    """Whether the broker starts when it cannot listen here, and tries again until it can."""
    socket: Path | None = None
    """Path of the Unix socket, for ``unix``; for ``websocket`` in the place of host and port."""
    socket_mode: str = "0660"
    """Permissions of the Unix socket, in octal digits."""
    socket_user: str | None = None
    """User that owns the Unix socket; ``None``: the one that runs the broker."""
    socket_group: str | None = None
    """Group of the Unix socket; ``None``: that of the one that runs the broker."""
    mount_point: str = ""
    """Beginning of all topics of the clients of this listener, which they do not see; ends with ``/``."""
    username_from: UsernameSource | None = None
    """Where the user name comes from, in the place of user name and password: the client certificate's common name or
    first alternative name, or the system's user at the other end of the Unix socket. A client without falls back to
    its password, if that is asked for.
    """
    proxy_protocol: bool = False
    """Whether each connection begins with a PROXY protocol header, version 1 or 2."""
    trusted_proxies: tuple[str, ...] = ()
    """Addresses and networks of proxies that are believed what they say about a client: in a PROXY protocol header, or
    in X-Forwarded-For. A proxy that connects to a Unix socket needs no mention.
    """
    path: str = "/mqtt"
    """WebSocket only: the path that is served, besides ``/``."""
    origins: tuple[str, ...] = ()
    """WebSocket only: origins of web pages that may connect, besides those of the same host and of the loopback
    interface; ``*`` is any.
    """
    require_subprotocol: bool = True
    """WebSocket only: whether a client must ask for the subprotocol ``mqtt``, or may ask for none."""
    pages: Path | None = None
    """WebSocket only: directory whose files browsers may fetch; ``None``: they are told to connect with MQTT."""
    tls: TlsConfig | None = None
    limits: ListenerLimits = ListenerLimits()
    security: SecurityConfig = SecurityConfig()

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError("name: expected at least one character")
        if not self.host:
            raise ValueError('host: expected an address or a name ("0.0.0.0" and "::" are all addresses)')
        if not self.path.startswith("/"):
            raise ValueError(f'path: expected a path that begins with "/", got {self.path!r}')
        if not 0 <= self.port <= 65_535:
            raise ValueError(f"port: expected 0 to 65535, got {self.port}")
        self._check_socket()
        self._check_proxies()
        check_mount_point(self.mount_point)
        self._check_username_from()

    def _check_username_from(self) -> None:
        asked = self.tls is not None and self.tls.client_certificates != "none"
        if self.username_from == "common_name" and not asked and not self.proxy_protocol:
            raise ValueError('username_from: "common_name" needs tls.client_certificates, or a proxy that passes it on')
        if self.username_from == "alternative_name" and not asked:
            # The PROXY protocol has no place for it.
            raise ValueError('username_from: "alternative_name" needs tls.client_certificates')
        if self.username_from == "unix_user" and self.socket is None:
            raise ValueError('username_from: "unix_user" needs a Unix socket')

    def _check_socket(self) -> None:
        if self.type == "unix" and self.socket is None:
            raise ValueError('socket: expected a path in quotes, since type is "unix"')
        if self.type == "tcp" and self.socket is not None:
            raise ValueError('type: expected "unix" or "websocket" where there is a socket')
        if self.type != "websocket" and (self.pages is not None or self.origins):
            raise ValueError('type: expected "websocket" where there are pages or origins')
        octal = bool(self.socket_mode) and all(each in "01234567" for each in self.socket_mode)
        if not (octal and int(self.socket_mode, 8) <= 0o777):
            raise ValueError(f'socket_mode: expected octal digits like "0660", got {self.socket_mode!r}')

    def _check_proxies(self) -> None:
        for each in self.trusted_proxies:
            try:
                if "%" in each:
                    raise ValueError(f"{each!r} names a network interface")
                ipaddress.ip_network(each)
            except ValueError as error:
                raise ValueError(f"trusted_proxies: expected addresses and networks like 10.0.0.0/8: {error}") from None
        if self.proxy_protocol and not self.trusted_proxies and self.socket is None:
            raise ValueError("trusted_proxies: expected at least one where proxy_protocol is true")

    @property
    def local(self) -> bool:
        """Whether only programs on this machine can connect."""
        return self.socket is not None or is_loopback(self.host)
