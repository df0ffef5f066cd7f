"""How bytes travel: one module for each transport. They know sockets, timers and back-pressure, and nothing of MQTT."""

from mqttbroker.listeners.host import Clock, Host
from mqttbroker.listeners.stream import StreamListener
from mqttbroker.listeners.tcp import tcp_listener
from mqttbroker.listeners.websocket import WebSocketSettings, websocket_listener

__all__ = ["Clock", "Host", "StreamListener", "WebSocketSettings", "tcp_listener", "websocket_listener"]
