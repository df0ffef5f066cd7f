"""From the configuration of listeners to listeners: their users and rules, their TLS, their transport."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mqttbroker.broker import (
    Authenticator,
    Authorizer,
    Entrance,
    EveryoneWelcome,
    EverythingAllowed,
    Log,
)
from mqttbroker.config import Config, ConfigError, ListenerConfig, SecurityConfig, TlsConfig
from mqttbroker.listeners import (
    Listener,
    TcpProtocol,
    TrustedNetworks,
    UnixAddress,
    WebSocketProtocol,
    WebSocketSettings,
)
from mqttbroker.listeners.acceptor import ProtocolFactory
from mqttbroker.listeners.sockets import format_address
from mqttbroker.security import (
    AccessList,
    PasswordAuthenticator,
    PasswordFile,
    PeerAuthenticator,
    RulesByListener,
    ThreadOffload,
)

if TYPE_CHECKING:
    from mqttbroker.listeners.tls import TlsFiles

__all__ = ["Security", "make_listener", "with_sockets"]


class Security:
    """Who may come in at each listener, and what they may do: files are read once, whoever shares them.

    Raises :class:`SecurityError` when one of them is wrong. An ``authenticator`` or ``authorizer`` that a program has
    given stands for all that the configuration says of it.
    """

    def __init__(
        self,
        config: Config,
        authenticator: Authenticator | None,
        authorizer: Authorizer | None,
        loop: asyncio.AbstractEventLoop,
        log: Log,
    ) -> None:
        self._config = config
        self._log = log
        self._given = authenticator
        self._offload: ThreadOffload = ThreadOffload(loop)
        self._password_files: dict[Path, PasswordFile] = {}
        self._rules: dict[Path, AccessList] = {}
        self.authorizer: Authorizer = authorizer or self._make_authorizer()

    def authenticator(self, listener: ListenerConfig) -> Authenticator:
        """Who decides at this listener who a client is."""
        if self._given is not None:
            return self._given
        security = listener.security.over(self._config.security)
        authenticator: Authenticator = EveryoneWelcome()
        if security.password_file is not None:
            users = self._password_files.get(security.password_file) or PasswordFile.load(security.password_file)
            self._password_files[security.password_file] = users
            authenticator = PasswordAuthenticator(users, security.anonymous, self._offload)
        if listener.username_from is not None:
            fall_back = security.password_file is not None or security.allow_anonymous is True
            authenticator = PeerAuthenticator(listener.username_from, authenticator if fall_back else None)
        return authenticator

    def _make_authorizer(self) -> Authorizer:
        config = self._config
        default = self._authorizer(config.security)
        by_listener = {
            each.name: self._authorizer(each.security.over(config.security))
            for each in config.listeners
            if each.security.over(config.security) != config.security
        }
        return RulesByListener(by_listener, default) if by_listener else default

    def _authorizer(self, security: SecurityConfig) -> Authorizer:
        if security.acl_file is not None:
            rules = self._rules.get(security.acl_file) or AccessList.load(security.acl_file)
            self._rules[security.acl_file] = rules
            return rules
        if security.password_file is None:
            return EverythingAllowed()
        self._log("warning", "no acl_file: with a password file and no rules, nobody may publish or subscribe")
        return AccessList([], "no acl_file")

    def close(self) -> None:
        """End the threads."""
        self._offload.close()


def make_listener(listener: ListenerConfig, config: Config, security: Security, log: Log) -> Listener:
    """A listener as it is configured. Raises :class:`TlsError` and :class:`SecurityError`."""
    entrance = Entrance(
        listener.name, listener.limits.over(config.limits), security.authenticator(listener), listener.mount_point
    )
    address: tuple[str, int] | UnixAddress = (listener.host, listener.port)
    if listener.socket is not None:
        mode = int(listener.socket_mode, 8)
        address = UnixAddress(listener.socket, mode, listener.socket_user, listener.socket_group)
    trusted = TrustedNetworks(listener.trusted_proxies)
    protocol: ProtocolFactory = TcpProtocol
    alpn = ("mqtt",)
    if listener.type == "websocket":
        settings = WebSocketSettings(
            listener.path, listener.origins, listener.require_subprotocol, listener.pages, trusted
        )
        protocol = partial(WebSocketProtocol, settings)
        alpn = ("http/1.1",)
    return Listener(
        entrance,
        address,
        protocol,
        tls=None if listener.tls is None else _tls(listener.tls, alpn, log),
        proxy_protocol=listener.proxy_protocol,
        trusted=trusted,
        reuse_port=listener.reuse_port,
    )


def with_sockets(
    config: Config, inherited: list[tuple[str, socket.socket]]
) -> tuple[Config, dict[str, list[socket.socket]]]:
    """Which listener takes over which of the sockets that a supervisor has opened: by name, else by address.

    The configuration that is returned has the addresses of those sockets, so that it is known who can reach them.
    Raises :class:`ConfigError` for a socket that belongs to no listener.
    """
    listeners = {each.name: each for each in config.listeners}
    assigned: dict[str, list[socket.socket]] = {}
    for name, each in inherited:
        owner = name if name in listeners else next((it.name for it in config.listeners if _listens_on(it, each)), "")
        if not owner:
            raise ConfigError(
                f"no listener for the socket {name!r} on {format_address(each.getsockname())}: expected "
                f"FileDescriptorName= one of {', '.join(sorted(listeners))}, or a listener with this address"
            )
        assigned.setdefault(owner, []).append(each)
        listeners[owner] = _on(listeners[owner], each.getsockname(), first=len(assigned[owner]) == 1)
    return replace(config, listeners=tuple(listeners.values())), assigned


def _on(listener: ListenerConfig, address: Any, first: bool) -> ListenerConfig:
    """The listener with the address of a socket; of several, that which most others can reach."""
    if isinstance(address, str):
        if listener.socket is None:
            raise ConfigError(f"listener {listener.name!r}: expected a TCP socket, got the Unix socket {address}")
        return replace(listener, socket=Path(address))
    if listener.socket is not None:
        raise ConfigError(f"listener {listener.name!r}: expected a Unix socket, got {format_address(address)}")
    if first or listener.local:
        return replace(listener, host=address[0], port=address[1])
    return listener


def _listens_on(listener: ListenerConfig, inherited: socket.socket) -> bool:
    address = inherited.getsockname()
    if isinstance(address, str):
        return listener.socket is not None and listener.socket.absolute() == Path(address)
    return listener.socket is None and (listener.host, listener.port) == address[:2]


def _tls(tls: TlsConfig, alpn: tuple[str, ...], log: Log) -> TlsFiles:
    from mqttbroker.listeners.tls import CertificateFiles, TlsFiles, TlsSettings

    assert tls.certificate is not None
    further = [CertificateFiles(each.certificate, each.key) for each in tls.certificates if each.certificate]
    settings = TlsSettings(
        certificates=(CertificateFiles(tls.certificate, tls.key), *further),
        minimum_version=tls.minimum_version,
        ciphers=tls.ciphers,
        client_certificates=tls.client_certificates,
        client_ca=tls.client_ca,
        crl=tls.crl,
        alpn=alpn,
    )
    return TlsFiles(settings, log)
