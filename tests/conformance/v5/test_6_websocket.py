"""Chapter 6: MQTT over WebSocket."""

from __future__ import annotations

from mqttbroker.protocol import ProtocolVersion
from tests.conformance.websocket import WebSocketChapter


class TestWebSocket(WebSocketChapter):
    version = ProtocolVersion.V5
