"""How bytes travel: listening sockets, what comes before MQTT on a connection, and one module for each transport.

They know sockets, timers and back-pressure, and nothing of MQTT. What TLS needs (``tls.py``) is only loaded where a
listener has it.
"""

from mqttbroker.listeners.acceptor import Listener
from mqttbroker.listeners.host import Clock, Host
from mqttbroker.listeners.sockets import UnixAddress
from mqttbroker.listeners.tcp import TcpProtocol
from mqttbroker.listeners.trust import TrustedNetworks
from mqttbroker.listeners.websocket import WebSocketProtocol, WebSocketSettings

__all__ = [
    "Clock",
    "Host",
    "Listener",
    "TcpProtocol",
    "TrustedNetworks",
    "UnixAddress",
    "WebSocketProtocol",
    "WebSocketSettings",
]
