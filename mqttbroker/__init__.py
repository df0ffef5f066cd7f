"""An MQTT 3.1, 3.1.1 and 5.0 broker: a server, a library for asyncio programs, and a test fixture.

What a program needs is here: ``from mqttbroker import Broker, Config, ListenerConfig, Limits, Properties, Publish``.
These names are loaded when they are first used, so that ``mqttbroker --version`` does not wait for all of them.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mqttbroker.broker import Limits
    from mqttbroker.config import Config, ListenerConfig, SecurityConfig
    from mqttbroker.protocol import Properties, Publish
    from mqttbroker.server import Broker

__all__ = [
    "Broker",
    "Config",
    "Limits",
    "ListenerConfig",
    "Properties",
    "Publish",
    "SecurityConfig",
    "__version__",
    "is_compiled",
]

__version__ = "0.1.0"

_HOMES = {
    "Broker": "mqttbroker.server",
    "Config": "mqttbroker.config",
    "Limits": "mqttbroker.broker",
    "ListenerConfig": "mqttbroker.config",
    "Properties": "mqttbroker.protocol",
    "Publish": "mqttbroker.protocol",
    "SecurityConfig": "mqttbroker.config",
}


def is_compiled() -> bool:
    """Whether the modules on the way of a message are compiled, or run as the Python that they are written in."""
    spec = find_spec("mqttbroker.broker.packet_loop")
    return spec is not None and not str(spec.origin).endswith(".py")


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(home), name)
