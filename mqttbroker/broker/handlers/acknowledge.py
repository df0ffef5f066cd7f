"""PUBACK, PUBREC and PUBCOMP for messages that the broker sent; and PINGREQ.

An acknowledgement of something that is not in flight is no reason to end a connection: after a lost session it is
what an honest client sends. One that does not fit the message's QoS is a Protocol Error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mqttbroker.protocol import PingReq, ProtocolViolation, PubAck, PubComp, PubRec, PubRel, ReasonCode, encode

if TYPE_CHECKING:
    from mqttbroker.broker.connection import Connection

__all__ = ["pingreq", "puback", "pubcomp", "pubrec"]

PINGRESP = b"\xd0\x00"
REFUSED = 0x80


def puback(connection: Connection, packet: PubAck, now: float) -> None:
    """End of a QoS 1 message [MQTT-4.3.2-3]; a refusal ends it just so [MQTT-4.4.0-2] [MQTT-4.8.2-6]."""
    _check_code(packet)
    _check_qos(connection, packet.packet_id, 1, "PUBACK")
    connection.session.acknowledged(packet.packet_id, now)


def pubrec(connection: Connection, packet: PubRec, now: float) -> None:
    """Half of a QoS 2 message, answered PUBREL [MQTT-4.3.3-4]; a refusal ends it [MQTT-4.4.0-2] [MQTT-4.8.2-6]."""
    session = connection.session
    _check_code(packet)
    _check_qos(connection, packet.packet_id, 2, "PUBREC")
    if packet.reason_code >= REFUSED:
        session.acknowledged(packet.packet_id, now)
        return
    known = session.received(packet.packet_id)
    # Without properties [MQTT-3.6.2-2] [MQTT-3.6.2-3].
    reason = ReasonCode.SUCCESS if known or not connection.five else ReasonCode.PACKET_IDENTIFIER_NOT_FOUND
    answer = encode(PubRel(packet.packet_id, reason), connection.version)
    connection.answer(answer, known and session.persistent)


def pubcomp(connection: Connection, packet: PubComp, now: float) -> None:
    """End of a QoS 2 message [MQTT-4.3.3-5]."""
    _check_qos(connection, packet.packet_id, 2, "PUBCOMP")
    queued = connection.session.inflight.get(packet.packet_id)
    if queued is not None and not queued.released:
        raise ProtocolViolation(f"PUBCOMP before PUBREC for packet identifier {packet.packet_id}")
    connection.session.acknowledged(packet.packet_id, now)


def pingreq(connection: Connection, packet: PingReq, now: float) -> None:
    """[MQTT-3.12.4-1]"""
    if connection.pending is None:
        # It says that the broker lives: it does not wait for the disk, as acknowledgements before it may.
        connection.outbox.write(PINGRESP)
    else:
        connection.answer(PINGRESP, False)  # CONNACK comes first [MQTT-3.2.0-1].


def _check_code(packet: PubAck | PubRec) -> None:
    # [MQTT-3.4.2-1] [MQTT-3.5.2-1]
    if packet.reason_code == ReasonCode.NO_MATCHING_SUBSCRIBERS:
        raise ProtocolViolation(f"{packet.type.name} with reason 0x{packet.reason_code:02x} from a client")


def _check_qos(connection: Connection, packet_id: int, qos: int, name: str) -> None:
    queued = connection.session.inflight.get(packet_id)
    if queued is not None and queued.qos != qos:
        raise ProtocolViolation(f"{name} for packet identifier {packet_id}, whose message is of QoS {queued.qos}")
