"""A PUBLISH from parts that are encoded already: the trusted short path of the fan-out, which checks nothing."""

from __future__ import annotations

from mqttbroker.protocol.wire import encode_u8, encode_varint

__all__ = ["encode_publish"]


def encode_publish(
    five: bool,
    topic: bytes,
    payload: bytes,
    properties: bytes,
    qos: int,
    retain: bool,
    dup: bool,
    packet_id: int,
) -> bytes:
    """A PUBLISH from encoded parts, unchecked: the short path for messages that were checked before.

    `topic` is UTF-8 without its length, `properties` an encoded property list without its length
    prefix (empty for MQTT 3), `packet_id` is ignored with QoS 0. The result is what `encode` gives
    for the same packet.
    """
    first = 0x30 | dup << 3 | qos << 1 | retain
    topic_length = len(topic)
    remaining = 2 + topic_length + len(payload)
    middle = b""
    if qos:
        middle = packet_id.to_bytes(2, "big")
    if five:
        middle += encode_varint(len(properties)) + properties if properties else b"\0"
    remaining += len(middle)
    # The usual sizes without a call. The payload, which may be large, is copied once.
    if remaining < 0x80:
        header = (first << 24 | remaining << 16 | topic_length).to_bytes(4, "big")
    elif remaining < 0x4000:
        length = (remaining & 0x7F | 0x80) << 8 | remaining >> 7
        header = (first << 32 | length << 16 | topic_length).to_bytes(5, "big")
    else:
        header = encode_u8(first) + encode_varint(remaining) + topic_length.to_bytes(2, "big")
    return header + topic + middle + payload
