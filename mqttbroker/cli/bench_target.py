"""Where ``mqttbroker bench`` connects: what its options come to."""

from __future__ import annotations

from typing import Final
from urllib.parse import unquote, urlsplit

from mqttbroker.bench import Address, Link, Transport
from mqttbroker.cli.endpoint import Endpoint
from mqttbroker.cli.options import ConnectionOptions, wrong

__all__ = ["make_link"]

_SCHEMES: Final = {
    "mqtt": (Transport.TCP, 1_883),
    "mqtts": (Transport.TLS, 8_883),
    "ws": (Transport.WS, 80),
    "wss": (Transport.WSS, 443),
}


def make_link(options: ConnectionOptions, url: str | None) -> tuple[Endpoint, Link]:
    """Return the place to connect to, for messages, and the way there. Leave with exit code 2 if they cannot be."""
    transport, path = Transport.TCP, "/mqtt"
    if url is not None:
        options, transport, path = _from_url(options, url)
    target = options.read()
    endpoint, tls = target.endpoint, target.endpoint.tls
    if endpoint.path is not None:
        transport = Transport.UNIX
    elif transport is Transport.TCP and tls is not None:
        transport = Transport.TLS
    address: Address = str(endpoint.path) if endpoint.path is not None else (endpoint.host, endpoint.port)
    if tls is not None:
        # It says which file is wrong.
        tls.context()
    link = Link(
        address,
        transport,
        authority=tls.cafile if tls else None,
        certificate=tls.certificate if tls else None,
        key=tls.key if tls else None,
        check_name=tls.check_name if tls else True,
        path=path,
        username=target.connect.username,
        password=target.connect.password,
    )
    return endpoint, link


def _from_url(options: ConnectionOptions, url: str) -> tuple[ConnectionOptions, Transport, str]:
    if options.host is not None or options.port is not None or options.unix is not None:
        wrong("cannot be together with --host, --port and --unix", "--url")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        wrong(str(error), "--url")
    if parts.scheme not in _SCHEMES or not parts.hostname:
        wrong("expected mqtt://HOST:PORT, mqtts://, ws:// or wss://", "--url")
    transport, usual = _SCHEMES[parts.scheme]
    if not transport.tls and (options.cafile is not None or options.tls_use_os_certs):
        wrong(f"is without TLS; expected {parts.scheme}s://", "--url")
    path = (parts.path or "/mqtt") + (f"?{parts.query}" if parts.query else "")
    if not transport.websocket and parts.path not in ("", "/"):
        wrong("only ws:// and wss:// have a path", "--url")
    return (
        ConnectionOptions(
            host=parts.hostname,
            port=port or usual,
            cafile=options.cafile,
            tls_use_os_certs=options.tls_use_os_certs or (transport.tls and options.cafile is None),
            cert=options.cert,
            key=options.key,
            insecure=options.insecure,
            username=unquote(parts.username) if parts.username and options.username is None else options.username,
            password=unquote(parts.password) if parts.password and options.password is None else options.password,
            version=options.version,
        ),
        transport,
        path,
    )
