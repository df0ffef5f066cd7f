"""MQTT over TCP (section 4.2), TLS and Unix sockets: the bytes are the packets [MQTT-4.2.0-1]."""

from __future__ import annotations

from mqttbroker.listeners.stream import StreamProtocol

__all__ = ["TcpProtocol"]


class TcpProtocol(StreamProtocol):
    """One connection that carries nothing but MQTT."""

    def data_received(self, data: bytes) -> None:
        """Hand the bytes on."""
        if self.connection is not None:
            self.connection.feed(data, self.host.clock())
        self.host.read(len(data))
