"""Hypothesis strategies for every packet that may exist, by version. Other test packages may use them.

`packets(version)` draws any packet, `packets_of(packet_type, version)` one of a type, and
`properties(context)` a property list; they follow the package's tables, so that a new row is drawn too.
"""

from __future__ import annotations

from hypothesis import strategies as st

from mqttbroker.protocol import (
    LEGAL,
    NO_PROPERTIES,
    PROPERTIES,
    Auth,
    ConnAck,
    Connect,
    Disconnect,
    Packet,
    PacketType,
    PingReq,
    PingResp,
    Properties,
    PropertyContext,
    PropertyDefinition,
    ProtocolVersion,
    PubAck,
    PubComp,
    Publish,
    PubRec,
    PubRel,
    ReasonCode,
    SubAck,
    Subscribe,
    SubscriptionRequest,
    UnsubAck,
    Unsubscribe,
    Will,
    WireType,
)

__all__ = ["packet_ids", "packets", "packets_of", "packets_with_versions", "properties", "texts", "topics", "versions"]

_V5 = ProtocolVersion.V5
_V31 = ProtocolVersion.V31
_CONNACK_V311 = (0x00, 0x84, 0x85, 0x86, 0x87, 0x88)

texts: st.SearchStrategy[str] = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
"""Any string that MQTT can carry."""

topics: st.SearchStrategy[str] = st.text(
    st.characters(exclude_characters="\0+#", exclude_categories=["Cs"]), min_size=1, max_size=20
)
"""Any topic name."""

versions: st.SearchStrategy[ProtocolVersion] = st.sampled_from(ProtocolVersion)
packet_ids: st.SearchStrategy[int] = st.integers(1, 0xFFFF)
_payloads = st.binary(max_size=300)
_qos = st.integers(0, 2)


def _values(definition: PropertyDefinition) -> st.SearchStrategy[object]:
    if definition.name == "response_topic":
        return topics
    match definition.wire_type:
        case WireType.UTF8_STRING:
            return texts
        case WireType.UTF8_STRING_PAIR:
            return st.tuples(texts, texts)
        case WireType.BINARY_DATA:
            return st.binary(max_size=20)
    return st.integers(definition.minimum, definition.maximum)


@st.composite
def properties(draw: st.DrawFn, context: PropertyContext) -> Properties:
    """A legal property list of `context`."""
    if draw(st.booleans()):
        return NO_PROPERTIES
    legal = [definition for definition in PROPERTIES.values() if context in definition.contexts]
    chosen: dict[str, object] = {}
    for definition in draw(st.lists(st.sampled_from(legal), unique_by=lambda row: row.identifier)):
        values = _values(definition)
        if definition.repeatable:
            most = 3 if context in definition.repeatable else 1
            chosen[definition.name] = tuple(draw(st.lists(values, max_size=most)))
        else:
            chosen[definition.name] = draw(values)
    if "authentication_data" in chosen or context is PropertyContext.AUTH:
        chosen.setdefault("authentication_method", "method")
    # The table pairs every field name with a value of its type.
    return Properties(**chosen)  # type: ignore[arg-type]


def _list(context: PropertyContext, version: ProtocolVersion) -> st.SearchStrategy[Properties]:
    return properties(context) if version is _V5 else st.just(NO_PROPERTIES)


def _reasons(packet_type: PacketType, version: ProtocolVersion) -> st.SearchStrategy[ReasonCode]:
    """Reason codes that survive the way there and back in `version`."""
    if version is _V5:
        return st.sampled_from(sorted(LEGAL[packet_type]))
    match packet_type:
        case PacketType.CONNACK:
            return st.sampled_from([ReasonCode(code) for code in _CONNACK_V311])
        case PacketType.SUBACK:
            return st.sampled_from([ReasonCode(code) for code in (0x00, 0x01, 0x02, 0x80)])
    return st.just(ReasonCode.SUCCESS)


@st.composite
def _connects(draw: st.DrawFn, version: ProtocolVersion) -> Connect:
    will = st.builds(Will, topics, _payloads, _qos, st.booleans(), _list(PropertyContext.WILL, version))
    username = draw(st.none() | texts)
    # Only MQTT 5 has a password without a user name.
    password = draw(st.none() | st.binary(max_size=20)) if version is _V5 or username is not None else None
    return Connect(
        draw(texts),
        version,
        draw(st.booleans()),
        draw(st.integers(0, 0xFFFF)),
        username,
        password,
        draw(st.none() | will),
        draw(_list(PropertyContext.CONNECT, version)),
    )


@st.composite
def _connacks(draw: st.DrawFn, version: ProtocolVersion) -> ConnAck:
    reason = draw(_reasons(PacketType.CONNACK, version))
    present = version is not _V31 and not reason and draw(st.booleans())
    return ConnAck(present, reason, draw(_list(PropertyContext.CONNACK, version)))


@st.composite
def _publishes(draw: st.DrawFn, version: ProtocolVersion) -> Publish:
    listed = draw(_list(PropertyContext.PUBLISH, version))
    qos = draw(_qos)
    return Publish(
        draw(topics if listed.topic_alias is None else st.just("") | topics),
        draw(_payloads),
        qos,
        draw(st.booleans()),
        bool(qos) and draw(st.booleans()),
        draw(packet_ids) if qos else None,
        listed,
    )


def _subscribes(version: ProtocolVersion) -> st.SearchStrategy[Subscribe]:
    if version is _V5:
        # "$share/" is left out: it may not be combined with No Local.
        filters = texts.filter(lambda text: not text.startswith("$share/"))
        request = st.builds(SubscriptionRequest, filters, _qos, st.booleans(), st.booleans(), st.integers(0, 2))
    else:
        request = st.builds(SubscriptionRequest, texts, _qos)
    requests = st.lists(request, min_size=1, max_size=4).map(tuple)
    return st.builds(Subscribe, packet_ids, requests, _list(PropertyContext.SUBSCRIBE, version))


def packets_of(packet_type: PacketType, version: ProtocolVersion) -> st.SearchStrategy[Packet]:
    """A legal packet of `packet_type`; AUTH exists in MQTT 5 alone."""
    match packet_type:
        case PacketType.CONNECT:
            return _connects(version)
        case PacketType.CONNACK:
            return _connacks(version)
        case PacketType.PUBLISH:
            return _publishes(version)
        case PacketType.SUBSCRIBE:
            return _subscribes(version)
        case PacketType.PINGREQ:
            return st.just(PingReq())
        case PacketType.PINGRESP:
            return st.just(PingResp())
    listed = _list(PropertyContext(packet_type), version)
    if packet_type is PacketType.UNSUBSCRIBE:
        filters = st.lists(texts, min_size=1, max_size=4).map(tuple)
        return st.builds(Unsubscribe, packet_ids, filters, listed)
    reason = _reasons(packet_type, version)
    reasons = st.lists(reason, min_size=1, max_size=4).map(tuple)
    match packet_type:
        case PacketType.PUBACK:
            return st.builds(PubAck, packet_ids, reason, listed)
        case PacketType.PUBREC:
            return st.builds(PubRec, packet_ids, reason, listed)
        case PacketType.PUBREL:
            return st.builds(PubRel, packet_ids, reason, listed)
        case PacketType.PUBCOMP:
            return st.builds(PubComp, packet_ids, reason, listed)
        case PacketType.SUBACK:
            return st.builds(SubAck, packet_ids, reasons, listed)
        case PacketType.UNSUBACK:
            return st.builds(UnsubAck, packet_ids, reasons if version is _V5 else st.just(()), listed)
        case PacketType.DISCONNECT:
            return st.builds(Disconnect, reason, listed)
        case PacketType.AUTH:
            method = listed.filter(lambda some: some.authentication_method is not None)
            return st.just(Auth()) | st.builds(Auth, reason, method)
    raise AssertionError(packet_type)


def packets(version: ProtocolVersion) -> st.SearchStrategy[Packet]:
    """Any legal packet of `version`."""
    types = [packet_type for packet_type in PacketType if version is _V5 or packet_type is not PacketType.AUTH]
    return st.one_of([packets_of(packet_type, version) for packet_type in types])


packets_with_versions: st.SearchStrategy[tuple[Packet, ProtocolVersion]] = versions.flatmap(
    lambda version: st.tuples(packets(version), st.just(version))
)
"""Any legal packet of any version, with the version."""
