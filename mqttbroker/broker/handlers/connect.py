"""CONNECT: a list of steps, from the packet to the CONNACK.

:func:`connect` runs the steps that need only the packet, and asks the authenticator. :func:`decided` takes its
verdict, at once or later, and :func:`_accept` is the rest: whoever wants to know what an accepted CONNECT does reads
it from top to bottom.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from mqttbroker.broker.authority import Accepted, Challenge, Credentials, Identity, Refused, Verdict, VerdictCallback
from mqttbroker.broker.handlers.publish import check_response_topic
from mqttbroker.broker.state import State
from mqttbroker.protocol import (
    LEGAL,
    NO_PROPERTIES,
    Auth,
    ConnAck,
    Connect,
    InvalidPacket,
    MQTTError,
    PacketType,
    Properties,
    PropertyContext,
    ProtocolVersion,
    ProtocolViolation,
    ReasonCode,
    UnsupportedProtocolVersion,
    Will,
    encode,
    encode_property_list,
)
from mqttbroker.sessions import mounted_client_id
from mqttbroker.sessions.wire import Wire
from mqttbroker.storage import Message, WillRecord
from mqttbroker.topics import InvalidTopicName, check_topic_name

if TYPE_CHECKING:
    from mqttbroker.broker.connection import Connection

__all__ = ["check_first_byte", "connect", "decided", "note_version", "refuse"]

CONNECT_FIRST_BYTE = 0x10
OTHER_PROTOCOLS = {0x0D: "a PROXY header", 0x16: "TLS", 0x47: "a request of HTTP", 0x50: "a PROXY header"}
"""What comes to a port by mistake, by its first byte."""
NO_MAXIMUM = 65_535
SPOKEN = ("MQTT", "MQIsdp")
UNACCEPTABLE_PROTOCOL_VERSION = b"\x20\x02\x00\x01"


def check_first_byte(first: int) -> None:
    """Raise unless the first packet is a CONNECT [MQTT-3.1.0-1]; its first byte is enough to tell."""
    if first != CONNECT_FIRST_BYTE:
        hint = OTHER_PROTOCOLS.get(first)
        raise ProtocolViolation("the first packet is not CONNECT" + (f", it may be {hint}" if hint else ""))


def note_version(connection: Connection, body: bytes) -> None:
    """Look which version a CONNECT is of, so that an error in the rest of it can be answered in kind."""
    at = 2 + int.from_bytes(body[:2], "big")
    connection.five = body[2:at] == b"MQTT" and len(body) > at and body[at] == ProtocolVersion.V5
    connection.version = ProtocolVersion.V5 if connection.five else ProtocolVersion.V311


def connect(connection: Connection, packet: Connect, now: float) -> None:
    """Take a CONNECT as far as the question to the authenticator."""
    connection.version = packet.version
    connection.five = packet.version == ProtocolVersion.V5
    connection.pending = packet
    connection.state = State.AUTHENTICATING
    properties = packet.properties
    connection.client_maximum = properties.maximum_packet_size or 0
    connection.expiry_asked = properties.session_expiry_interval or 0
    connection.problem_information = properties.request_problem_information != 0
    connection.authentication_method = properties.authentication_method
    connection.identity = Identity(packet.client_id, None, connection.peer.address, connection.entrance.name)
    _check_client_id(connection, packet)
    if packet.will is not None:
        _check_will(connection, packet.will)
    credentials = Credentials(
        packet.client_id,
        packet.username,
        packet.password,
        connection.peer,
        connection.entrance.name,
        properties.authentication_method,
        properties.authentication_data,
    )
    ask(connection, partial(connection.entrance.authenticator.authenticate, credentials))


def ask(connection: Connection, question: Callable[[VerdictCallback], None]) -> None:
    """Put a question to the authenticator, and hold what the client sends until there is a verdict."""
    connection.undecided = True
    try:
        question(partial(decided, connection))
    except MQTTError:
        raise
    except Exception as error:
        # An authenticator that fails lets nobody in.
        connection.undecided = False
        connection.core.log("error", "authenticator failed", **connection.who(), error=repr(error), exception=error)
        connection.explained = True
        raise MQTTError(ReasonCode.UNSPECIFIED_ERROR, "") from error
    if connection.undecided:
        connection.pause_reading()


def decided(connection: Connection, verdict: Verdict) -> None:
    """Go on with what the authenticator says. Called in the broker's thread, within ``ask`` or later."""
    if connection.state == State.CLOSED or not connection.undecided:
        return
    core = connection.core
    connection.undecided = False
    core.wake()
    try:
        _go_on(connection, verdict, core.now)
    except MQTTError as error:
        connection.fail(error, core.now)
        return
    except Exception as error:
        connection.fail_unexpectedly(error, core.now)
        return
    connection.resume_reading(core.now)
    if connection.partial is not None:
        connection.consume(b"", core.now)


def _go_on(connection: Connection, verdict: Verdict, now: float) -> None:
    if isinstance(verdict, Refused):
        core = connection.core
        core.counters.connections_refused += 1
        about = connection.origin
        core.quiet_log(now, about, "warning", "authentication refused", **connection.who(), reason=verdict.detail)
        if core.events.heard:
            connection.tell_refused("connect", verdict.detail or "authentication refused")
        connection.explained = True
        reason = verdict.reason
        if connection.state == State.CONNECTED and reason not in LEGAL[PacketType.DISCONNECT]:
            reason = ReasonCode.NOT_AUTHORIZED  # A re-authentication ends with DISCONNECT, which has fewer codes.
        raise MQTTError(reason, "")  # [MQTT-3.1.4-2] [MQTT-4.12.0-4] [MQTT-4.12.1-2]
    if isinstance(verdict, Challenge):
        # [MQTT-4.12.0-2] [MQTT-4.12.0-5]
        properties = Properties(
            authentication_method=connection.authentication_method, authentication_data=verdict.data
        )
        connection.proceed = verdict.proceed
        connection.send(Auth(ReasonCode.CONTINUE_AUTHENTICATION, properties))
        return
    connection.proceed = None
    if connection.state == State.CONNECTED:
        # Re-authentication (section 4.12.1): the client stays who it is.
        if verdict.username != connection.identity.username:
            raise MQTTError(ReasonCode.NOT_AUTHORIZED, "re-authenticated as somebody else")
        properties = Properties(
            authentication_method=connection.authentication_method, authentication_data=verdict.data
        )
        connection.send(Auth(ReasonCode.SUCCESS, properties))
        return
    _accept(connection, verdict, now)


def _accept(connection: Connection, verdict: Accepted, now: float) -> None:
    packet = connection.pending
    assert packet is not None
    core = connection.core
    entrance = connection.entrance
    client_id = packet.client_id or core.new_client_id(entrance.mount_point)  # [MQTT-3.1.3-6] [MQTT-3.1.3-7]
    connection.identity = Identity(client_id, verdict.username, connection.peer.address, entrance.name)
    known_as = mounted_client_id(entrance.mount_point, client_id)
    core.registry.check_owner(connection, known_as)
    will = None if packet.will is None else _will_record(packet.will, entrance.mount_point, known_as)
    if will is not None:
        _authorize_will(connection, will.message.topic)
    expiry = _expiry_interval(packet, connection.limits.max_session_expiry)
    _set_keep_alive(connection, packet, now)
    properties = _connack_properties(connection, packet, verdict, expiry)
    # Refused before it has any effect if the client cannot take the answer.
    answer = connection.fitting(ConnAck(False, ReasonCode.SUCCESS, properties))
    core.registry.take_over(known_as, now, connection)  # [MQTT-3.1.4-3] [3.1.1: MQTT-3.1.4-2]
    session, present = core.registry.open(known_as, verdict.username, packet.clean_start, expiry, now)
    before = session.listener, session.wire_kind
    session.listener = entrance.name
    connection.session = session
    core.registry.connected(connection, will)
    if present and packet.version != ProtocolVersion.V31:  # Its CONNACK has no place for it.
        answer = encode(ConnAck(True, ReasonCode.SUCCESS, properties), connection.version)
    wire = Wire(
        connection.five,
        connection.client_maximum,
        min(packet.properties.topic_alias_maximum or 0, connection.limits.topic_alias_maximum),
        entrance.mount_point,
    )
    # [MQTT-3.3.4-7] [MQTT-3.3.4-9]
    receive_maximum = min(packet.properties.receive_maximum or 65_535, connection.limits.max_inflight)
    session.attach(connection.outbox, wire, receive_maximum)
    if before != (session.listener, session.wire_kind) and session.subscriptions:
        core.router.session_changed(session)
    connection.state = State.CONNECTED
    connection.maximum_packet_size = connection.limits.max_packet_size
    core.log("info", "connected", **connection.who(), version=connection.version.name, session_present=present)
    if core.events.heard:
        details = {**connection.whereabouts(), "version": connection.version.name, "session_present": present}
        core.events.emit("connected", client_id, now, details)

    def answered(error: Exception | None) -> None:
        connection.pending = None
        connection.outbox.open = not connection.stalled_at
        session.pump(core.now)

    # A session that was there before is on disk. While that is full, its client must be able to come and take what it
    # is owed, which makes room.
    promised = session.persistent and (core.store.accepting or not present)
    connection.answer(answer, promised, answered)  # [MQTT-3.1.4-5]


def refuse(connection: Connection, error: MQTTError) -> None:
    """Answer a CONNECT that fails, where its version has an answer for it (section 4.13.2)."""
    if isinstance(error, UnsupportedProtocolVersion):
        if error.protocol_name in SPOKEN:
            # [MQTT-3.1.2-2] allows silence; [3.1.1: MQTT-3.1.2-2] asks for this answer, which every client can read.
            connection.outbox.write(UNACCEPTABLE_PROTOCOL_VERSION)
    elif connection.five:
        reason = error.reason if error.reason in LEGAL[PacketType.CONNACK] else ReasonCode.PROTOCOL_ERROR
        connection.send(ConnAck(False, reason, connection.reason(error.detail)))  # [MQTT-3.2.2-6]
    elif connection.state == State.AUTHENTICATING:
        # [3.1.1: MQTT-3.2.2-6] What has no return code in MQTT 3 ends the connection without one.
        with suppress(InvalidPacket):
            connection.send(ConnAck(False, error.reason))  # [3.1.1: MQTT-3.2.2-4]


# The steps.


def _check_client_id(connection: Connection, packet: Connect) -> None:
    size = len(packet.client_id.encode())
    if size > connection.limits.max_client_id_length:
        # [MQTT-3.1.3-8] [3.1.1: MQTT-3.1.3-9]
        raise MQTTError(ReasonCode.CLIENT_IDENTIFIER_NOT_VALID, f"client identifier of {size} bytes")
    if (
        not packet.client_id
        and not connection.five
        and (not packet.clean_start or packet.version == ProtocolVersion.V31)
    ):
        # [3.1.1: MQTT-3.1.3-8] MQTT 3.1 has no empty client identifiers at all.
        raise MQTTError(ReasonCode.CLIENT_IDENTIFIER_NOT_VALID, "empty client identifier for a session to be kept")


def _check_will(connection: Connection, will: Will) -> None:
    limits = connection.limits
    try:
        check_topic_name(will.topic, limits.max_topic_levels, limits.max_topic_length)
        if connection.entrance.mount_point:
            check_topic_name(connection.entrance.mount_point + will.topic)
    except InvalidTopicName as error:
        raise MQTTError(ReasonCode.TOPIC_NAME_INVALID, f"will topic: {error}") from error
    if will.qos > limits.max_qos:
        raise MQTTError(ReasonCode.QOS_NOT_SUPPORTED, f"will of QoS {will.qos}")  # [MQTT-3.2.2-12]
    if will.retain and not limits.retain_available:
        raise MQTTError(ReasonCode.RETAIN_NOT_SUPPORTED, "will to be retained")  # [MQTT-3.2.2-13]
    check_response_topic(will.properties)


def _authorize_will(connection: Connection, topic: str) -> None:
    decision = connection.core.may_publish(connection.identity, topic, connection.entrance.mount_point)
    if not decision.allowed:
        connection.refused("publish will", topic, decision.rule)
        connection.explained = True
        raise MQTTError(ReasonCode.NOT_AUTHORIZED, "may not publish to the will topic")


def _will_record(will: Will, mount_point: str, client_id: str) -> WillRecord:
    topic = mount_point + will.topic
    properties = will.properties
    kept = replace(properties, will_delay_interval=None, message_expiry_interval=None)
    encoded = encode_property_list(kept, PropertyContext.PUBLISH)  # [MQTT-3.1.3-10]
    message = Message(topic, topic.encode(), will.payload, will.qos, will.retain, encoded, 0.0, client_id)
    return WillRecord(message, properties.will_delay_interval or 0, properties.message_expiry_interval)


def _expiry_interval(packet: Connect, maximum: int) -> int:
    if packet.version == ProtocolVersion.V5:
        return min(packet.properties.session_expiry_interval or 0, maximum)
    return 0 if packet.clean_start else maximum  # [3.1.1: MQTT-3.1.2-4] [3.1.1: MQTT-3.1.2-6]


def _set_keep_alive(connection: Connection, packet: Connect, now: float) -> None:
    maximum = connection.limits.max_keep_alive
    connection.keep_alive = packet.keep_alive  # [MQTT-3.2.2-22]
    if connection.five and maximum < NO_MAXIMUM and not 0 < packet.keep_alive <= maximum:
        connection.keep_alive = maximum  # [MQTT-3.2.2-21], told in the CONNACK; MQTT 3 clients could not be told
    connection.watch_keep_alive(now)


def _connack_properties(connection: Connection, packet: Connect, verdict: Accepted, expiry: int) -> Properties:
    """What the client must know; whatever is at the standard's default is left out."""
    if not connection.five:
        return NO_PROPERTIES
    limits = connection.limits
    asked = packet.properties
    information = limits.response_information if asked.request_response_information == 1 else ""  # [MQTT-3.1.2-28]
    return Properties(
        session_expiry_interval=expiry if expiry != (asked.session_expiry_interval or 0) else None,
        receive_maximum=limits.receive_maximum if limits.receive_maximum < NO_MAXIMUM else None,
        maximum_qos=limits.max_qos if limits.max_qos < 2 else None,  # [MQTT-3.2.2-9]
        retain_available=None if limits.retain_available else 0,
        maximum_packet_size=limits.max_packet_size,
        assigned_client_identifier=None if packet.client_id else connection.identity.client_id,  # [MQTT-3.2.2-16]
        topic_alias_maximum=limits.topic_alias_maximum or None,
        wildcard_subscription_available=None if limits.wildcard_subscriptions else 0,
        subscription_identifier_available=None if limits.subscription_identifiers else 0,
        shared_subscription_available=None if limits.shared_subscriptions else 0,
        server_keep_alive=connection.keep_alive if connection.keep_alive != packet.keep_alive else None,
        response_information=information.replace("${clientid}", connection.identity.client_id) or None,
        authentication_method=connection.authentication_method,  # [MQTT-4.12.0-5] [MQTT-4.12.0-6]
        authentication_data=verdict.data if connection.authentication_method is not None else None,
    )
