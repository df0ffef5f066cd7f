"""From a TOML file, environment variables and command-line options to one checked, frozen configuration.

``load_config`` reads and checks; ``check_exposure`` refuses what would be open to strangers by accident.
"""

from __future__ import annotations

from mqttbroker.config.admin import LOCAL_TOKEN_FILE, AdminConfig, AdminTlsConfig
from mqttbroker.config.exposure import check_exposure
from mqttbroker.config.listener import CertificateConfig, ListenerConfig, TlsConfig, is_loopback
from mqttbroker.config.loading import ConfigError, load_config
from mqttbroker.config.managed import is_there, managed_password_file, managed_rules_file
from mqttbroker.config.schema import Config, LogConfig, LogFormat, LogLevel, SysConfig
from mqttbroker.config.security import SecurityConfig

__all__ = [
    "LOCAL_TOKEN_FILE",
    "AdminConfig",
    "AdminTlsConfig",
    "CertificateConfig",
    "Config",
    "ConfigError",
    "ListenerConfig",
    "LogConfig",
    "LogFormat",
    "LogLevel",
    "SecurityConfig",
    "SysConfig",
    "TlsConfig",
    "check_exposure",
    "is_loopback",
    "is_there",
    "load_config",
    "managed_password_file",
    "managed_rules_file",
]
