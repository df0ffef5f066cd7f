"""DISCONNECT: the client goes, and says how (section 3.14)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mqttbroker.protocol import SERVER_ONLY, Disconnect, PacketType, ProtocolViolation, ReasonCode

if TYPE_CHECKING:
    from mqttbroker.broker.connection import Connection

__all__ = ["disconnect"]


def disconnect(connection: Connection, packet: Disconnect, now: float) -> None:
    """Change the session's expiry if asked to, drop the will unless told otherwise, and close [MQTT-3.14.4-3]."""
    if (PacketType.DISCONNECT, packet.reason_code) in SERVER_ONLY:
        raise ProtocolViolation(f"DISCONNECT with reason 0x{packet.reason_code:02x} from a client")  # [MQTT-3.14.2-1]
    expiry = packet.properties.session_expiry_interval
    session = connection.session
    if expiry is not None and connection.core.is_connected(connection):
        if expiry and not connection.expiry_asked:
            raise ProtocolViolation("Session Expiry Interval in DISCONNECT where CONNECT had none")
        session.expiry_interval = min(expiry, connection.limits.max_session_expiry)
    # [MQTT-3.14.4-3] Only a normal disconnection takes the will back; [3.1.1: MQTT-3.14.4-3] has no other.
    normal = packet.reason_code == ReasonCode.NORMAL_DISCONNECTION
    detail = "disconnected" if normal else f"disconnected with reason 0x{packet.reason_code:02x}"
    connection.close(now, detail, normal)
