"""MQTT over TCP (section 4.2): the bytes are the packets [MQTT-4.2.0-1]."""

from __future__ import annotations

from mqttbroker.listeners.stream import StreamListener, StreamProtocol

__all__ = ["tcp_listener"]


class TcpProtocol(StreamProtocol):
    """One TCP connection."""

    def received(self, data: bytes) -> None:
        """Hand the bytes on."""
        if self.connection is not None:
            self.connection.feed(data, self.host.clock())


def tcp_listener(name: str, host: str, port: int) -> StreamListener:
    """A listener for plain MQTT over TCP."""
    return StreamListener(name, host, port, TcpProtocol)
