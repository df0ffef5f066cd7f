"""From a TOML file, environment variables and command-line options to one checked, frozen configuration.

``load_config`` reads and checks; ``check_exposure`` refuses what would be open to strangers by accident.
"""

from __future__ import annotations

from mqttbroker.config.exposure import check_exposure
from mqttbroker.config.loading import ConfigError, load_config
from mqttbroker.config.schema import Config, ListenerConfig, LogConfig, LogFormat, LogLevel, SecurityConfig, is_loopback

__all__ = [
    "Config",
    "ConfigError",
    "ListenerConfig",
    "LogConfig",
    "LogFormat",
    "LogLevel",
    "SecurityConfig",
    "check_exposure",
    "is_loopback",
    "load_config",
]
