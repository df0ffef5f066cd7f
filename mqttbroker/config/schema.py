"""The shape of a configuration: what may be set, of which type, and what it is when nothing is said.

A configuration is one frozen tree of dataclasses. Each field is one key of the TOML file and one environment
variable, under the same name; nothing else may be set. Limits of the broker belong to
:class:`mqttbroker.broker.limits.Limits`, which is the table ``[limits]``.

Values that no type can express (a port in range, names that differ) are checked on construction, with a
:class:`ValueError` that reads "key: expected ...", so that a configuration built in a program is held to the same
rules as one read from a file. Reading, merging and explaining mistakes is ``loading.py``.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mqttbroker.broker.limits import Limits

__all__ = ["Config", "ListenerConfig", "LogConfig", "LogFormat", "LogLevel", "SecurityConfig", "is_loopback"]

LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["text", "json"]


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
class ListenerConfig:
    """One place where clients connect: an entry of ``[[listeners]]``."""

    name: str = "tcp"
    """What logs call it; different for each listener."""
    type: Literal["tcp", "websocket"] = "tcp"
    """``tcp`` is plain MQTT over TCP, ``websocket`` is MQTT over WebSocket."""
    host: str = "127.0.0.1"
    """Address or name to listen on; ``0.0.0.0`` and ``::`` are all addresses of the machine."""
    port: int = 1883
    """TCP port; 0 lets the system choose a free one, which the log names."""
    path: str = "/mqtt"
    """WebSocket only: the path that is served, besides ``/``."""
    origins: tuple[str, ...] = ()
    """WebSocket only: origins of web pages that may connect, besides those of the same host and of the loopback
    interface; ``*`` is any.
    """
    require_subprotocol: bool = True
    """WebSocket only: whether a client must ask for the subprotocol ``mqtt``, or may ask for none."""

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError("name: expected at least one character")
        if not self.host:
            raise ValueError('host: expected an address or a name ("0.0.0.0" and "::" are all addresses)')
        if not self.path.startswith("/"):
            raise ValueError(f'path: expected a path that begins with "/", got {self.path!r}')
        if not 0 <= self.port <= 65_535:
            raise ValueError(f"port: expected 0 to 65535, got {self.port}")


@dataclass(frozen=True, slots=True)
class SecurityConfig:
    """Who may connect and what they may do: the table ``[security]``."""

    allow_anonymous: bool | None = None
    """Whether a client may connect without a user name. ``None``: it may while there is no password file."""
    password_file: Path | None = None
    """Users and the hashes of their passwords, as ``mqttbroker passwd`` writes them."""
    acl_file: Path | None = None
    """Rules of who may publish and subscribe to what. Without them everybody may do everything where there is no
    password file, and nobody may do anything where there is one.
    """

    @property
    def anonymous(self) -> bool:
        """Whether a client may connect without a user name, as it follows from the fields."""
        return self.password_file is None if self.allow_anonymous is None else self.allow_anonymous


@dataclass(frozen=True, slots=True)
class LogConfig:
    """What is logged and how: the table ``[log]``."""

    level: LogLevel = "info"
    format: LogFormat = "text"


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that ``mqttbroker serve`` needs to know."""

    data_dir: Path | None = None
    """Directory of what survives a restart; ``None`` keeps everything in memory."""
    durability: Literal["fsync", "os", "none"] = "fsync"
    """What an acknowledgement promises: on disk; with the operating system; nothing, in memory only."""
    listeners: tuple[ListenerConfig, ...] = (ListenerConfig(),)
    limits: Limits = Limits()
    security: SecurityConfig = SecurityConfig()
    log: LogConfig = LogConfig()

    def __post_init__(self) -> None:
        if not self.listeners:
            raise ValueError("listeners: expected at least one")
        names = [listener.name for listener in self.listeners]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"listeners: expected a different name for each, got {name!r} twice")
