"""What systemd and the broker tell each other: sockets that are open already, readiness, signs of life.

These are the protocols of sd_listen_fds(3), sd_notify(3) and sd_watchdog_enabled(3), which are environment variables
and datagrams; no library is needed. Any other supervisor that keeps to them will do. Where there is none, as always on
Windows, everything here says that there is nothing.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping, MutableMapping
from contextlib import suppress

__all__ = ["SystemdError", "inherited_sockets", "notify", "reloading", "watchdog_interval"]

_FIRST_DESCRIPTOR = 3
_UNNAMED = "unknown"
"""What sd_listen_fds_with_names(3) calls descriptors without a name."""
_LISTEN_VARIABLES = ("LISTEN_PID", "LISTEN_PIDFDID", "LISTEN_FDS", "LISTEN_FDNAMES")
_NOTIFY_TIMEOUT = 0.25
"""Seconds that a message may wait for room at the supervisor. The event loop stands still meanwhile."""
_HAS_SUPERVISORS = os.name == "posix"


class SystemdError(Exception):
    """The supervisor has passed something that the broker cannot use; the text names what to change."""


def inherited_sockets(environ: MutableMapping[str, str] = os.environ) -> list[tuple[str, socket.socket]]:
    """The listening sockets that the supervisor has passed, in its order, with their names (``FileDescriptorName=``).

    They belong to the caller; they do not block, and programs that the broker starts do not get them. A name can be
    there more than once. The variables are removed from ``environ``, so that a second call finds nothing.
    Raises :class:`SystemdError` when one is not a listening stream socket of IP or Unix.
    """
    values = {name: environ.pop(name, "") for name in _LISTEN_VARIABLES}
    if not _HAS_SUPERVISORS or not values["LISTEN_PID"] or not values["LISTEN_FDS"]:
        return []
    # Variables of another process are those of a parent that has not removed them.
    if _number("LISTEN_PID", values["LISTEN_PID"]) != os.getpid():
        return []
    count = _number("LISTEN_FDS", values["LISTEN_FDS"])
    names = values["LISTEN_FDNAMES"].split(":") if values["LISTEN_FDNAMES"] else [_UNNAMED] * count
    if len(names) != count:
        raise SystemdError(f"LISTEN_FDNAMES: expected {count} names, as LISTEN_FDS says, got {len(names)}")
    sockets: list[tuple[str, socket.socket]] = []
    try:
        for descriptor, name in enumerate(names, _FIRST_DESCRIPTOR):
            sockets.append((name, _listening_socket(descriptor, name)))
    except SystemdError:
        for _, each in sockets:
            each.close()
        raise
    return sockets


def _listening_socket(descriptor: int, name: str) -> socket.socket:
    what = f"inherited file descriptor {descriptor} ({name!r})"
    try:
        inherited = socket.socket(fileno=descriptor)
    except OSError as error:
        raise SystemdError(f"{what} is not an open socket: {error.strerror}") from None
    try:
        _check_listening(inherited, what)
        inherited.set_inheritable(False)
        inherited.setblocking(False)
    except BaseException:
        inherited.close()
        raise
    return inherited


def _check_listening(inherited: socket.socket, what: str) -> None:
    if inherited.family not in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX):
        raise SystemdError(f"{what} is of the family {inherited.family!r}, expected IPv4, IPv6 or Unix")
    if inherited.type != socket.SOCK_STREAM:
        raise SystemdError(f"{what} is not a stream socket; use ListenStream= in the socket unit")
    if not inherited.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        raise SystemdError(f"{what} does not listen; use ListenStream= and Accept=no in the socket unit")


def notify(*lines: str, environ: Mapping[str, str] = os.environ) -> bool:
    """Tell the supervisor something, such as ``READY=1``, ``STATUS=...``, ``STOPPING=1`` or ``WATCHDOG=1``.

    The lines go out as one message. Returns whether it was sent; it is not where nobody wants to know, or where the
    supervisor cannot be reached. Never raises for that.
    """
    path = environ.get("NOTIFY_SOCKET", "")
    if not _HAS_SUPERVISORS or not path.startswith(("/", "@")):
        return False
    # A name with "@" is not in the file system.
    address = os.fsencode("\0" + path[1:] if path.startswith("@") else path)
    # A line of ours must not become two.
    message = "\n".join(line.replace("\n", " ") for line in lines).encode(errors="replace")
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
        out.settimeout(_NOTIFY_TIMEOUT)
        out.connect(address)
        out.sendall(message)
        return True
    return False


def reloading() -> tuple[str, str]:
    """Lines for :func:`notify` that say that the configuration is being read again; ``READY=1`` must follow.

    The time is what lets systemd tell this reload from another (``Type=notify-reload``).
    """
    return "RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1_000}"


def watchdog_interval(environ: Mapping[str, str] = os.environ) -> float | None:
    """Seconds between two signs of life (``WATCHDOG=1``): half the time after which the supervisor takes the broker
    for dead. ``None`` where it does not watch.
    """
    wanted = environ.get("WATCHDOG_USEC", "")
    pid = environ.get("WATCHDOG_PID", "")
    if not _HAS_SUPERVISORS or not _is_number(wanted) or int(wanted) == 0:
        return None
    if pid and not (_is_number(pid) and int(pid) == os.getpid()):
        return None
    return int(wanted) / 2_000_000


def _number(variable: str, text: str) -> int:
    if not _is_number(text):
        raise SystemdError(f"{variable}: expected a number, got {text!r}")
    return int(text)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 20
