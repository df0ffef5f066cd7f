"""What a packet from a client does: one function for each type, and the table that says when each is legal.

The table is the state machine. A packet that it does not have for the connection's state is a Protocol Error: a second
CONNECT [MQTT-3.1.0-2], any packet before CONNECT [MQTT-3.1.0-1], any packet that only a server sends.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mqttbroker.broker.handlers import acknowledge, authenticate, connect, disconnect, publish, subscribe
from mqttbroker.broker.state import State
from mqttbroker.protocol import PacketType

if TYPE_CHECKING:
    from mqttbroker.broker.connection import Connection

__all__ = ["TABLE", "Handler"]

Handler = Callable[["Connection", Any, float], None]
"""Takes the connection, the packet of the type under which it stands in the table, and the time."""

TABLE: dict[tuple[State, PacketType], Handler] = {
    (State.OPENED, PacketType.CONNECT): connect.connect,  # [MQTT-3.2.0-2]
    (State.AUTHENTICATING, PacketType.AUTH): authenticate.auth,
    (State.AUTHENTICATING, PacketType.DISCONNECT): disconnect.disconnect,
    (State.CONNECTED, PacketType.PUBLISH): publish.publish,
    (State.CONNECTED, PacketType.PUBACK): acknowledge.puback,
    (State.CONNECTED, PacketType.PUBREC): acknowledge.pubrec,
    (State.CONNECTED, PacketType.PUBREL): publish.pubrel,
    (State.CONNECTED, PacketType.PUBCOMP): acknowledge.pubcomp,
    (State.CONNECTED, PacketType.SUBSCRIBE): subscribe.subscribe,
    (State.CONNECTED, PacketType.UNSUBSCRIBE): subscribe.unsubscribe,
    (State.CONNECTED, PacketType.PINGREQ): acknowledge.pingreq,
    (State.CONNECTED, PacketType.DISCONNECT): disconnect.disconnect,
    (State.CONNECTED, PacketType.AUTH): authenticate.auth,
}
