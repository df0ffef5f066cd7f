"""How clients of the load reach a broker: over TCP, a Unix socket, TLS, and in WebSocket frames over any of them.

A client connects and shakes hands with a socket that blocks. The load then goes on without blocking.
"""

from __future__ import annotations

import socket
import ssl
import time
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final

from mqttbroker.bench.frames import request
from mqttbroker.bench.scenario import BenchError

__all__ = ["TIMEOUT", "Address", "Link", "Transport"]

TIMEOUT: Final = 10.0
"""Seconds until a connection must be open, and within which each answer of its hand-shakes must come."""

Address = tuple[str, int] | str
"""A host and port, or the path of a Unix socket."""


class Transport(Enum):
    """How clients reach a broker; the value is what tables call it."""

    TCP = "TCP"
    UNIX = "Unix"
    WS = "WebSocket"
    TLS = "TLS"
    WSS = "WebSocket, TLS"

    @property
    def websocket(self) -> bool:
        """Whether MQTT is in WebSocket frames."""
        return self in (Transport.WS, Transport.WSS)

    @property
    def tls(self) -> bool:
        """Whether the connection is encrypted."""
        return self in (Transport.TLS, Transport.WSS)


@dataclass(frozen=True)
class Link:
    """The way to one broker, and who comes by it. All files are PEM."""

    address: Address
    transport: Transport = Transport.TCP
    authority: Path | None = None
    """Of the broker's certificate; ``None``: those of the system."""
    certificate: Path | None = None
    """The client's; ``None``: it has none."""
    key: Path | None = None
    """The key of that."""
    check_name: bool = True
    """Whether the broker's certificate must be for the host."""
    path: str = "/mqtt"
    """Of the WebSocket."""
    username: str | None = None
    password: bytes | None = None

    def connect(self) -> socket.socket:
        """Connect, up to where MQTT begins. Raise ``OSError``, or :class:`BenchError` where the answer is no
        WebSocket.
        """
        connection = self._unix(self.address) if isinstance(self.address, str) else self._tcp(*self.address)
        try:
            if self.transport.websocket:
                host = "localhost" if isinstance(self.address, str) else "{}:{}".format(*self.address)
                connection.sendall(request(host, self.path))
                _read_upgrade(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _tcp(self, host: str, port: int) -> socket.socket:
        plain = socket.create_connection(_found.get((host, port), (host, port)), TIMEOUT)
        # A name is looked up once. Looking it up can take longer than to connect.
        _found[host, port] = plain.getpeername()[:2]
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if not self.transport.tls:
            return plain
        try:
            return self.context().wrap_socket(plain, server_hostname=host)
        except BaseException:
            plain.close()
            raise

    def _unix(self, path: str) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(TIMEOUT)
        deadline = time.monotonic() + TIMEOUT
        while True:
            try:
                connection.connect(path)
                return connection
            except BlockingIOError:
                # There is no room among those that wait to be accepted. A TCP connection would wait by itself.
                if time.monotonic() > deadline:
                    connection.close()
                    raise TimeoutError from None
                time.sleep(0.001)
            except BaseException:
                connection.close()
                raise

    def context(self) -> ssl.SSLContext:
        """What a client speaks TLS with. Nothing is resumed. Raise ``OSError`` if a file cannot be used."""
        made_from = self.authority, self.certificate, self.key, self.check_name
        context = _contexts.get(made_from)
        if context is None:
            context = ssl.create_default_context(cafile=self.authority)
            context.check_hostname = self.check_name
            if self.certificate is not None:
                context.load_cert_chain(self.certificate, self.key)
            _contexts[made_from] = context
        return context


_found: dict[tuple[str, int], tuple[str, int]] = {}
_contexts: dict[tuple[Path | None, Path | None, Path | None, bool], ssl.SSLContext] = {}


def _read_upgrade(connection: socket.socket) -> None:
    """Read the answer, byte by byte, so that nothing behind it is taken."""
    answer = b""
    while not answer.endswith(b"\r\n\r\n") and len(answer) < 16_384:
        byte = connection.recv(1)
        if not byte:
            break
        answer += byte
    if not answer.startswith(b"HTTP/1.1 101"):
        with suppress(IndexError):
            raise BenchError(f"the broker answered no WebSocket: {answer.splitlines()[0].decode('latin-1')}")
        raise BenchError("the broker closed the connection during the WebSocket hand-shake")
