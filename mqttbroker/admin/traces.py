"""What a trace has found, as the HTTP API shows it: one line for each packet, with its fields in the standard's words.

Fields that a packet does not have are left out. Payloads are as everywhere: text where they are UTF-8, else base64.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import fields
from typing import Any, Literal

from mqttbroker.admin.endpoint import Output
from mqttbroker.admin.ids import path_id
from mqttbroker.admin.payloads import shown_payload
from mqttbroker.broker import HIDDEN, Found, Network, TracedEnd, TracedLoss, TracedPacket
from mqttbroker.protocol import (
    TEXT,
    Connect,
    Packet,
    PacketType,
    Properties,
    ProtocolVersion,
    Publish,
    ReasonCode,
    SubAck,
    Subscribe,
    UnsubAck,
    to_v311,
)
from mqttbroker.sessions import mounted_client_id

__all__ = ["Begin", "Closed", "End", "Line", "Lost", "PacketLine", "line", "shown_network"]

VERSIONS = {ProtocolVersion.V31: "3.1", ProtocolVersion.V311: "3.1.1", ProtocolVersion.V5: "5.0"}
SHOWN_HIDDEN = HIDDEN.decode()
NAMES_OF_ZERO = {PacketType.DISCONNECT: "Normal disconnection", PacketType.SUBACK: "Granted QoS 0"}


class Begin(Output, tag="begin", tag_field="kind", kw_only=True):
    """The first line: what is traced, and until when."""

    time: float
    client: str | None = None
    topic: str | None = None
    address: str | None = None
    ends_at: float
    packets: int
    """After how many it ends."""
    payload: int
    """Bytes that are shown of each payload."""


class PacketLine(Output, tag="packet", tag_field="kind", kw_only=True):
    """A packet."""

    time: float
    direction: Literal["in", "out"]
    """``in``: from the client."""
    client: str
    """The ``id`` of the client; empty before its CONNECT."""
    client_id: str
    address: str
    version: str
    packet: str
    """Its type."""
    flags: int
    """The lower four bits of its first byte."""
    bytes: int
    """Of the whole packet."""
    topic: str | None
    """The topic that it belongs to, also where an alias or a packet identifier stands for it."""
    fields: dict[str, Any]
    error: str | None
    """Why it cannot be shown."""


class Closed(Output, tag="closed", tag_field="kind", kw_only=True):
    """The end of a connection."""

    time: float
    client: str
    client_id: str
    address: str
    reason: str


class Lost(Output, tag="lost", tag_field="kind", kw_only=True):
    """Packets that are missing here, because the reader was too slow."""

    time: float
    count: int


class End(Output, tag="end", tag_field="kind", kw_only=True):
    """The last line."""

    time: float
    reason: str
    """``time``, ``packets``, ``bytes``, ``stopped``, ``login`` or ``failed``."""
    packets: int


Line = Begin | PacketLine | Closed | Lost | End


def shown_network(network: Network) -> str:
    """A network in CIDR notation, or just the address where it is one."""
    return str(network.network_address if network.num_addresses == 1 else network)


def line(found: Found, preview: int) -> Line:
    """The line for something that a trace has found; ``preview`` is how many bytes of a payload it shows."""
    if isinstance(found, TracedLoss):
        return Lost(time=found.at, count=found.count)
    client = path_id(mounted_client_id(found.mount_point, found.client_id)) if found.client_id else ""
    if isinstance(found, TracedEnd):
        return Closed(
            time=found.at, client=client, client_id=found.client_id, address=found.address, reason=found.reason
        )
    return PacketLine(
        time=found.at,
        direction=found.direction,
        client=client,
        client_id=found.client_id,
        address=found.address,
        version=VERSIONS[found.version],
        packet=found.name,
        flags=found.flags,
        bytes=found.size,
        topic=found.topic or None,
        fields={} if found.packet is None else _fields(found, found.packet, preview),
        error=found.error or None,
    )


def _fields(found: TracedPacket, packet: Packet, preview: int) -> dict[str, Any]:
    if isinstance(packet, Connect):
        shown = _connect(found, packet, preview)
    elif isinstance(packet, Publish):
        shown = {"topic": packet.topic, "qos": packet.qos, "retain": packet.retain, "dup": packet.dup}
        if packet.packet_id is not None:
            shown["packet_id"] = packet.packet_id
        shown |= _payload(packet.payload, found.payload_size, preview)
    elif isinstance(packet, Subscribe):
        shown = {
            "packet_id": packet.packet_id,
            "subscriptions": [_request(each, found) for each in packet.subscriptions],
        }
    else:
        shown = _plain(found, packet)
    properties = _properties(getattr(packet, "properties", None))
    if properties:
        shown["properties"] = properties
    return shown


def _connect(found: TracedPacket, packet: Connect, preview: int) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "client_id": packet.client_id,
        "clean_start": packet.clean_start,
        "keep_alive": packet.keep_alive,
    }
    if packet.username is not None:
        shown["username"] = packet.username
    if packet.password is not None:
        shown["password"] = SHOWN_HIDDEN
    will = packet.will
    if will is not None:
        shown["will"] = {"topic": will.topic, "qos": will.qos, "retain": will.retain}
        shown["will"] |= _payload(will.payload, found.will_size, preview)
        properties = _properties(will.properties)
        if properties:
            shown["will"]["properties"] = properties
    return shown


def _payload(kept: bytes, size: int, preview: int) -> dict[str, Any]:
    """A payload of ``size`` bytes, of which these are kept."""
    if len(kept) == size:
        payload = shown_payload(kept, preview)
    else:
        payload = shown_payload(kept + b"\0", min(preview, len(kept)))
    return {"payload_size": size, "payload": payload}


def _request(request: Any, found: TracedPacket) -> dict[str, Any]:
    options: tuple[str, ...] = ("topic_filter", "qos")
    if found.version == ProtocolVersion.V5:
        options += ("no_local", "retain_as_published", "retain_handling")
    return {name: getattr(request, name) for name in options}


def _plain(found: TracedPacket, packet: Packet) -> dict[str, Any]:
    """The fields of a packet that is shown as it is, its reason codes by number and name."""
    shown: dict[str, Any] = {}
    kind = packet.type
    for each in fields(packet):
        value = getattr(packet, each.name)
        if each.name == "reason_code":
            if found.version == ProtocolVersion.V5 or kind == PacketType.CONNACK:
                shown["reason_code"] = _reason(found, kind, value)
        elif each.name == "reason_codes":
            if isinstance(packet, SubAck | UnsubAck) and value:
                shown["reason_codes"] = [_reason(found, kind, code) for code in value]
        elif each.name != "properties":
            shown[each.name] = value
    return shown


def _reason(found: TracedPacket, kind: PacketType, reason: ReasonCode) -> dict[str, Any]:
    code = int(reason)
    if found.version != ProtocolVersion.V5 and kind in (PacketType.CONNACK, PacketType.SUBACK):
        code = to_v311(kind, reason)
    return {"code": code, "name": TEXT[reason] if reason else NAMES_OF_ZERO.get(kind, TEXT[reason])}


def _properties(properties: Properties | None) -> dict[str, Any]:
    """The properties that are there, by name."""
    if properties is None:
        return {}
    shown: dict[str, Any] = {}
    for each in fields(properties):
        value = getattr(properties, each.name)
        if each.name == "authentication_data":
            value = None if value is None else SHOWN_HIDDEN
        if value is not None and value != ():
            shown[each.name] = b64encode(value).decode() if isinstance(value, bytes) else value
    return shown
