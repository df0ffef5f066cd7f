"""The packet loop: from received bytes to handled packets, with the short paths of PUBLISH and its answers.

A short path never builds a packet object. A run of QoS 0 messages that need no rewriting is passed on as one slice of
what was received; a plain QoS 1 or 2 message and what acknowledges it are read in place. Everything else is decoded and
goes to its handler. Which of the two ways a packet takes makes no difference that anybody can see:
``tests/broker/test_short_path.py`` holds them equal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mqttbroker.broker.handlers import TABLE, connect
from mqttbroker.broker.handlers.publish import again
from mqttbroker.broker.route import Route
from mqttbroker.broker.state import State
from mqttbroker.protocol import PacketTooLarge, PacketType, ProtocolViolation, decode, read_remaining_length
from mqttbroker.sessions import NOWHERE, Drop
from mqttbroker.storage import Message

if TYPE_CHECKING:
    from mqttbroker.broker.connection import Connection

__all__ = ["take_packets"]


def take_packets(connection: Connection, data: bytes, now: float) -> int:
    """Handle every whole packet; the number of bytes used."""
    size = len(data)
    position = 0
    cache = connection.core.router.routes
    five = connection.five
    run_route: Route | None = None
    run_begin = run_stop = run_count = 0
    others = message_bytes = 0
    try:
        while size - position >= 2:
            first = data[position]
            length = data[position + 1]
            start = position + 2
            if length > 127:
                length, start = read_remaining_length(data, position + 1)
                if length < 0:
                    break
                if start - position + length > connection.maximum_packet_size:
                    _too_large(connection, first, start - position + length)
            stop = start + length
            if stop > size:
                break
            if first == 0x30 and length > 1:
                # QoS 0, no flags: the bytes of a run of packets for one route are passed on as they are.
                topic_stop = start + 2 + (data[start] << 8) + data[start + 1]
                route = connection.routes.get(data[start + 2 : topic_stop])
                if route is not None and route.version != cache.version:
                    route = again(connection, route)
                if route is not None:
                    if five:
                        plain = route.verbatim5 is not None and topic_stop < stop and data[topic_stop] == 0
                    else:
                        plain = route.verbatim4 is not None and topic_stop <= stop
                    if plain:
                        if route is not run_route:
                            if run_route is not None:
                                _forward(connection, run_route, data[run_begin:run_stop], run_count)
                            run_route = route
                            run_begin = position
                            run_count = 0
                        run_count += 1
                        run_stop = position = stop
                        continue
            if run_route is not None:
                _forward(connection, run_route, data[run_begin:run_stop], run_count)
                run_route = None
            if first == 0x40 and length == 2:
                others += 1
                _puback(connection, (data[start] << 8) + data[start + 1], now)
            elif (first == 0x32 or first == 0x34) and _publish(connection, data, position, start, stop, now):
                message_bytes += stop - position
            elif (first == 0x50 or first == 0x62 or first == 0x70) and length == 2:
                others += 1
                _exactly_once(connection, first, data[start:stop], now)
            else:
                if first & 0xF0 == 0x30:
                    message_bytes += stop - position
                else:
                    others += 1
                _packet(connection, first, data[start:stop], now)
                five = connection.five
            position = stop
            if connection.undecided or connection.state == State.CLOSED:  # [MQTT-3.1.4-6] [3.1.1: MQTT-3.1.4-5]
                break
    finally:
        if run_route is not None:  # Also where the packet after the run was an error.
            _forward(connection, run_route, data[run_begin:run_stop], run_count)
        if others or message_bytes:
            counters = connection.core.counters
            counters.other_packets_received += others
            counters.message_bytes_received += message_bytes
    if position < size:
        _note_needed(connection, data, position, size)
    return position


def _note_needed(connection: Connection, data: bytes, position: int, size: int) -> None:
    """Before another look at a partial packet is worth while, this many bytes must be there."""
    connection.needed = 0
    if connection.undecided:
        return  # It is looked at when there is a verdict: other limits may hold then.
    if connection.state == State.OPENED:
        connect.check_first_byte(data[position])
    if size - position >= 2:
        length, start = read_remaining_length(data, position + 1)
        connection.needed = start - position + length if length >= 0 else 0


def _forward(connection: Connection, route: Route, packets: bytes, count: int) -> None:
    """The short path of QoS 0: one object for everybody."""
    core = connection.core
    counters = core.counters
    connection.messages_received += count
    counters.messages_received += count
    counters.message_bytes_received += len(packets)
    sessions = route.verbatim5 if connection.five else route.verbatim4
    if not sessions:
        counters.messages_unrouted += count
        return
    dirty = core.dirty
    absent = 0
    for session in sessions:
        outbox = session.outbox
        if outbox.open:
            chunks = outbox.chunks
            if not chunks:
                dirty.append(outbox)
            chunks.append(packets)
        else:
            absent += 1
            if outbox is not NOWHERE:
                session.count_drop(Drop.CONGESTED, count)
    reached = len(sessions) - absent
    totals = core.session_limits
    totals.messages_sent += reached * count
    totals.message_bytes_sent += reached * len(packets)
    if count > 1:
        counters.packets_sent += reached * (count - 1)  # Each run is counted as one packet when it leaves.


def _publish(connection: Connection, data: bytes, position: int, start: int, stop: int, now: float) -> bool:
    """The short path of QoS 1 and 2; false where the packet must take the general path."""
    topic_stop = start + 2 + (data[start] << 8) + data[start + 1] if stop - start > 1 else stop
    payload_start = topic_stop + (3 if connection.five else 2)
    if payload_start > stop or (connection.five and data[payload_start - 1] != 0):
        return False
    route = connection.routes.get(data[start + 2 : topic_stop])
    core = connection.core
    if route is not None and route.version != core.router.routes.version:
        route = again(connection, route)
    if route is None:
        return False
    qos = 1 if data[position] == 0x32 else 2
    if qos > connection.plain_qos or connection.inbound >= connection.receive_maximum or not core.store.accepting:
        return False
    identifier = data[topic_stop : topic_stop + 2]
    packet_id = (data[topic_stop] << 8) + data[topic_stop + 1]
    session = connection.session
    if packet_id == 0 or (qos == 2 and packet_id in session.incoming):
        return False
    connection.messages_received += 1
    core.counters.messages_received += 1
    message = Message(route.topic, route.topic_bytes, data[payload_start:stop], qos, False, b"", 0.0, session.client_id)
    message.head = data[position:topic_stop]
    message.kind = 5 if connection.five else 4
    stored = core.router.send(message, route, now)
    if qos == 2:
        session.incoming.add(packet_id)
        connection.inbound += 1
        if session.persistent:
            core.store.put_incoming(session.client_id, packet_id)
            stored = True
    answer = (b"\x40\x02" if qos == 1 else b"\x50\x02") + identifier
    if route.empty:
        core.counters.messages_unrouted += 1
        if connection.five:
            answer = (b"\x40\x03" if qos == 1 else b"\x50\x03") + identifier + b"\x10"
    connection.answer(answer, stored)
    return True


def _puback(connection: Connection, packet_id: int, now: float) -> None:
    """The short path of PUBACK without a reason code."""
    queued = connection.session.inflight.get(packet_id)
    if queued is not None and queued.qos == 1:
        connection.session.acknowledged(packet_id, now)
    else:
        _packet(connection, 0x40, packet_id.to_bytes(2, "big"), now)


def _exactly_once(connection: Connection, first: int, identifier: bytes, now: float) -> None:
    """The short path of PUBREC, PUBREL and PUBCOMP without a reason code."""
    session = connection.session
    packet_id = (identifier[0] << 8) + identifier[1]
    if first == 0x62:
        if packet_id in session.incoming:
            session.incoming.discard(packet_id)
            connection.inbound = max(connection.inbound - 1, 0)
            if session.persistent:
                connection.core.store.delete_incoming(session.client_id, packet_id)
            connection.answer(b"\x70\x02" + identifier, session.persistent)
            return
    else:
        queued = session.inflight.get(packet_id)
        if queued is not None and queued.qos == 2:
            if first == 0x50:
                session.received(packet_id)
                connection.answer(b"\x62\x02" + identifier, session.persistent)
                return
            if queued.released:
                session.acknowledged(packet_id, now)
                return
    _packet(connection, first, identifier, now)


def _packet(connection: Connection, first: int, body: bytes, now: float) -> None:
    """The general path of every packet."""
    if connection.state == State.OPENED:
        connect.check_first_byte(first)
        connect.note_version(connection, body)
    packet_type = first >> 4
    if packet_type and (connection.state, packet_type) not in TABLE:
        # Before it is decoded: what is wrong inside a packet that may not come at all is of no interest.
        raise ProtocolViolation(f"{PacketType(packet_type).name} is not expected here")
    packet = decode(first, body, connection.version, max_user_properties=connection.limits.max_user_properties)
    TABLE[connection.state, packet.type](connection, packet, now)


def _too_large(connection: Connection, first: int, size: int) -> None:
    if connection.state == State.OPENED:
        connect.check_first_byte(first)
    raise PacketTooLarge(f"packet of {size} bytes, the limit is {connection.maximum_packet_size}")
