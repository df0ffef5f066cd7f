"""AUTH: the client's part in an enhanced authentication (section 4.12)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from mqttbroker.broker.authority import Credentials, VerdictCallback
from mqttbroker.broker.handlers.connect import ask
from mqttbroker.broker.state import State
from mqttbroker.protocol import Auth, MQTTError, ProtocolViolation, ReasonCode

if TYPE_CHECKING:
    from mqttbroker.broker.connection import Connection

__all__ = ["auth"]


def auth(connection: Connection, packet: Auth, now: float) -> None:
    """Hand the client's data to the authenticator that asked for it, or begin a re-authentication."""
    method = connection.authentication_method
    if method is None:
        raise ProtocolViolation("AUTH where CONNECT had no Authentication Method")  # [MQTT-4.12.0-7]
    if packet.properties.authentication_method != method:
        raise MQTTError(ReasonCode.PROTOCOL_ERROR, "AUTH with another Authentication Method")  # [MQTT-4.12.0-5]
    data = packet.properties.authentication_data
    if packet.reason_code == ReasonCode.CONTINUE_AUTHENTICATION:
        proceed = connection.proceed
        if proceed is None:
            raise ProtocolViolation("AUTH that continues nothing")
        connection.proceed = None
        ask(connection, partial(proceed, data))
    elif packet.reason_code == ReasonCode.RE_AUTHENTICATE and connection.state == State.CONNECTED:
        credentials = Credentials(
            connection.identity.client_id, None, None, connection.peer, connection.entrance.name, method, data
        )

        def question(done: VerdictCallback) -> None:
            connection.entrance.authenticator.authenticate(credentials, done)

        ask(connection, question)  # [MQTT-4.12.1-1]
    else:
        raise ProtocolViolation(f"AUTH with reason 0x{packet.reason_code:02x}")  # [MQTT-3.15.2-1]
