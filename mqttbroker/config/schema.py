"""The shape of a configuration: what may be set, of which type, and what it is when nothing is said.

A configuration is one frozen tree of dataclasses. Each field is one key of the TOML file and one environment
variable, under the same name; nothing else may be set. Limits of the broker belong to
:class:`mqttbroker.broker.limits.Limits`, which is the table ``[limits]``.

Values that no type can express (a port in range, names that differ) are checked on construction, with a
:class:`ValueError` that reads "key: expected ...", so that a configuration built in a program is held to the same
rules as one read from a file. Reading, merging and explaining mistakes is ``loading.py``. The entries of
``[[listeners]]`` are ``listener.py``, users and rules are ``security.py``, the admin server is ``admin.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mqttbroker.broker.limits import Limits
from mqttbroker.config.admin import AdminConfig
from mqttbroker.config.listener import ListenerConfig
from mqttbroker.config.security import SecurityConfig

__all__ = ["Config", "LogConfig", "LogFormat", "LogLevel", "SysConfig"]

LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["text", "json"]


@dataclass(frozen=True, slots=True)
class LogConfig:
    """What is logged and how: the table ``[log]``."""

    level: LogLevel = "info"
    format: LogFormat = "text"


@dataclass(frozen=True, slots=True)
class SysConfig:
    """What the broker publishes about itself below ``$SYS/broker/``: the table ``[sys]``."""

    interval: float = 10.0
    """Seconds between two looks at the figures; those that have changed are published. 0 publishes none at all."""

    def __post_init__(self) -> None:
        if self.interval and not 1.0 <= self.interval <= 86_400.0:
            raise ValueError(f"interval: expected 0, or 1.0 to 86400.0, got {self.interval}")


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
    sys: SysConfig = SysConfig()
    admin: AdminConfig = AdminConfig()

    def __post_init__(self) -> None:
        if not self.listeners:
            raise ValueError("listeners: expected at least one")
        names = [listener.name for listener in self.listeners]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"listeners: expected a different name for each, got {name!r} twice")
