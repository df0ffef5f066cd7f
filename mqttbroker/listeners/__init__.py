"""How bytes travel: one module for each transport. They know sockets, timers and back-pressure, and nothing of MQTT."""

from mqttbroker.listeners.host import Host
from mqttbroker.listeners.tcp import TcpListener

__all__ = ["Host", "TcpListener"]
