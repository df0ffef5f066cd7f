"""Listening sockets: over TCP, of one or both IP versions, and of the Unix kind."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import stat
import sys
from contextlib import suppress
from pathlib import Path
from typing import cast

from mqttbroker.broker import Peer

__all__ = ["UnixAddress", "format_address", "tcp_sockets", "unix_peer", "unix_socket"]

BACKLOG = 4_096
_CREDENTIALS = 12
"""Bytes of the ``ucred`` structure: process, user and group, of four bytes each."""


class UnixAddress:
    """Where a Unix socket is and who may use it."""

    __slots__ = ("group", "mode", "path", "user")

    def __init__(self, path: Path, mode: int = 0o660, user: str | None = None, group: str | None = None) -> None:
        self.path: Path = path
        self.mode: int = mode
        self.user: str | None = user
        self.group: str | None = group


async def tcp_sockets(host: str, port: int, reuse_port: bool) -> list[socket.socket]:
    """Sockets that listen on every address that the host has. Raises ``OSError``."""
    found = await _resolve(host, port)
    sockets: list[socket.socket] = []
    try:
        for family, kind, protocol, _, address in dict.fromkeys(found):
            sockets.append(_listen(socket.socket(family, kind, protocol), address, reuse_port))
    except BaseException:
        for each in sockets:
            each.close()
        raise
    return sockets


async def _resolve(host: str, port: int) -> list[tuple[int, int, int, str, object]]:
    numeric = socket.AI_PASSIVE | socket.AI_NUMERICHOST
    with suppress(socket.gaierror):
        return list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=numeric))
    # A name: the answer may take its time, in another thread.
    loop = asyncio.get_running_loop()
    return list(await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE))


def _listen(listening: socket.socket, address: object, reuse_port: bool) -> socket.socket:
    try:
        if os.name == "posix":
            # Elsewhere this would let a second broker listen on the same port.
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if listening.family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listening.setblocking(False)
        listening.bind(cast("tuple[str, int]", address))
        listening.listen(BACKLOG)
    except BaseException:
        listening.close()
        raise
    return listening


def unix_socket(address: UnixAddress) -> socket.socket:
    """A Unix socket that listens. Raises ``OSError``, and ``LookupError`` for a user or group that does not exist.

    What a broker that was killed has left at the path is taken away; a socket that somebody listens on is not.
    """
    path = str(address.path)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listening.setblocking(False)
        _remove_stale(path)
        # Until it has its owner and mode, nobody else may connect.
        before = os.umask(0o177)
        try:
            listening.bind(path)
        finally:
            os.umask(before)
        _give_away(address)
        listening.listen(BACKLOG)
    except BaseException:
        listening.close()
        raise
    return listening


def _remove_stale(path: str) -> None:
    try:
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            raise OSError(errno.EADDRINUSE, "there is a file of this name")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        with suppress(ConnectionRefusedError):
            probe.connect(path)
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
    os.unlink(path)


def _give_away(address: UnixAddress) -> None:
    import grp
    import pwd

    try:
        user = -1 if address.user is None else pwd.getpwnam(address.user).pw_uid
    except KeyError:
        raise LookupError(f"there is no user {address.user!r}") from None
    try:
        group = -1 if address.group is None else grp.getgrnam(address.group).gr_gid
    except KeyError:
        raise LookupError(f"there is no group {address.group!r}") from None
    if user != -1 or group != -1:
        os.chown(address.path, user, group)
    os.chmod(address.path, address.mode)


def unix_peer(connected: socket.socket) -> Peer:
    """Who is at the other end of a Unix socket, as far as the system tells."""
    if sys.platform != "linux":
        return Peer("unix")
    credentials = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS)
    process, user, group = (int.from_bytes(credentials[at : at + 4], sys.byteorder) for at in (0, 4, 8))
    return Peer("unix", None, user, group, process)


def format_address(address: object) -> str:
    """An address as logs show it: ``192.0.2.1:1883``, ``[2001:db8::1]:1883``."""
    if isinstance(address, tuple) and len(address) >= 2:
        host, port = address[0], address[1]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return str(address or "unknown")
