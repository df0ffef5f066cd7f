"""From the configuration of listeners to listeners: their limits, their address, their TLS, their transport."""

from __future__ import annotations

import socket
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mqttbroker.access import Access
from mqttbroker.broker import Entrance, Log
from mqttbroker.config import Config, ConfigError, ListenerConfig, TlsConfig
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

if TYPE_CHECKING:
    from mqttbroker.listeners.tls import TlsFiles

__all__ = ["admin_tls", "make_listener", "with_sockets"]


def make_listener(listener: ListenerConfig, config: Config, access: Access, log: Log) -> Listener:
    """A listener as it is configured. Raises :class:`TlsError` and :class:`SecurityError`."""
    entrance = Entrance(
        listener.name, listener.limits.over(config.limits), access.authenticator(listener), listener.mount_point
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


def admin_tls(config: Config, log: Log) -> TlsFiles | None:
    """The certificate of the admin server, where it has one. Raises :class:`TlsError`."""
    tls = config.admin.tls
    if tls is None or not config.admin.enabled:
        return None
    return _tls(TlsConfig(tls.certificate, tls.key), ("http/1.1",), log)


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
