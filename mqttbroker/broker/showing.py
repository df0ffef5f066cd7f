"""What is shown of one client, session, subscription or message: the state of the core, as values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mqttbroker.broker.views import (
    ClientDetail,
    ClientSummary,
    Outcome,
    QueuedSummary,
    RetainedDetail,
    SessionSummary,
    SubscriptionSummary,
    WillDetail,
)
from mqttbroker.protocol import Properties, PropertyContext, ProtocolVersion, decode_properties
from mqttbroker.protocol.wire import encode_varint
from mqttbroker.sessions import Session, Subscription, Waiting
from mqttbroker.storage import Message, QueuedMessage
from mqttbroker.topics import split_share

if TYPE_CHECKING:
    from mqttbroker.broker.connection import Connection

__all__ = [
    "client_detail",
    "client_summary",
    "dropped",
    "oldest_at",
    "outcome",
    "queued",
    "queued_summary",
    "retained_detail",
    "session_summary",
    "subscription_summary",
]

VERSIONS = {ProtocolVersion.V31: "3.1", ProtocolVersion.V311: "3.1.1", ProtocolVersion.V5: "5.0"}


def dropped(session: Session) -> int:
    """Messages that the session did not get."""
    return sum(session.dropped.values()) if session.dropped else 0


def queued(session: Session) -> int:
    """Messages that wait to be sent for the first time; for a client that is away, all."""
    return session.load - len(session.inflight)


def oldest_at(session: Session, exact: bool = True) -> float:
    """About when the oldest message came that waits; 0.0 where none waits, or it is not known.

    Where it is not the one that began the queue, it is read from the store, unless it need not be ``exact``.
    """
    waiting = session.waiting
    if waiting is None or not queued(session):
        return 0.0
    if session.queue:
        return waiting.came_at(session.queue[0].sequence)
    if not exact or (waiting.whole and session.dropped is None):
        return waiting.first_at if waiting.whole else 0.0
    owed = session.limits.store.read_queue(session.client_id, session.loaded, 1)
    return waiting.came_at(owed[0].sequence) if owed else 0.0


def last_seen(session: Session, connection: Connection | None) -> float:
    """When something came from the client, or its connection ended; 0.0 where that is not known."""
    if connection is not None:
        return connection.last_received
    return session.expires_at - session.expiry_interval if session.expires_at else 0.0


def client_summary(connection: Connection) -> ClientSummary:
    """One line about a connected client."""
    session = connection.session
    identity = connection.identity
    return ClientSummary(
        client_id=identity.client_id,
        mount_point=session.mount_point,
        username=identity.username,
        address=identity.address,
        listener=identity.listener,
        version=VERSIONS[connection.version],
        connected_at=connection.opened_at,
        last_received=connection.last_received,
        messages_received=connection.messages_received,
        received_bytes=connection.received_bytes,
        sent_bytes=connection.outbox.sent_bytes,
        keep_alive=connection.keep_alive,
        persistent=session.persistent,
        subscriptions=len(session.subscriptions),
        inflight=len(session.inflight),
        queued=queued(session),
        owed_bytes=session.owed_bytes,
        dropped=dropped(session),
        waiting_bytes=connection.carrier.waiting(),
        congested=connection.stalled_at > 0.0,
    )


def session_summary(session: Session, connection: Connection | None, exact: bool = True) -> SessionSummary:
    """One line about a session; ``exact`` as with :func:`oldest_at`."""
    return SessionSummary(
        client_id=session.name,
        mount_point=session.mount_point,
        username=session.username,
        listener=session.listener,
        connected=session.online,
        persistent=session.persistent,
        expiry_interval=session.expiry_interval,
        expires_at=session.expires_at,
        subscriptions=len(session.subscriptions),
        inflight=len(session.inflight),
        queued=queued(session),
        oldest_at=oldest_at(session, exact),
        owed_bytes=session.owed_bytes,
        incoming=len(session.incoming),
        dropped={cause.value: count for cause, count in (session.dropped or {}).items()},
        has_will=session.will is not None,
        last_seen=last_seen(session, connection),
    )


def client_detail(session: Session, connection: Connection | None) -> ClientDetail:
    """All that is known of a client."""
    will = session.will
    peer = None if connection is None else connection.peer
    certificate = None if peer is None else peer.certificate
    return ClientDetail(
        session=session_summary(session, connection),
        connection=None if connection is None else client_summary(connection),
        will=None
        if will is None
        else WillDetail(
            will.message.topic,
            len(will.message.payload),
            will.message.qos,
            will.message.retain,
            will.delay,
            will.due_at,
        ),
        receive_maximum=0 if connection is None else session.quota_maximum,
        quota=0 if connection is None else max(session.quota, 0),
        maximum_packet_size=session.wire.maximum_packet_size,
        topic_alias_maximum=session.wire.alias_maximum,
        refusals=0 if connection is None else connection.refusals,
        certificate_name="" if certificate is None else certificate.common_name,
        process_id=None if peer is None else peer.process_id,
    )


def subscription_summary(subscription: Subscription) -> SubscriptionSummary:
    """One line about a subscription."""
    session = subscription.session
    return SubscriptionSummary(
        client_id=session.name,
        mount_point=session.mount_point,
        username=session.username,
        connected=session.online,
        topic_filter=subscription.topic_filter,
        share=split_share(subscription.topic_filter)[0],
        qos=subscription.qos,
        no_local=subscription.no_local,
        retain_as_published=subscription.retain_as_published,
        identifier=subscription.identifier,
    )


def outcome(session: Session, qos: int) -> Outcome:
    """What would become of a message that the session may be sent, at this QoS."""
    if session.outbox.open:
        return "sent" if qos == 0 or session.quota > 0 else "queued"
    return "queued" if qos else "lost"


def retained_detail(message: Message) -> RetainedDetail:
    """All of a retained message."""
    properties = _properties(message)
    return RetainedDetail(
        topic=message.topic,
        payload=message.payload,
        qos=message.qos,
        expires_at=message.expires_at,
        origin=message.origin,
        size=message.size,
        content_type=properties.content_type,
        payload_is_text=properties.payload_format_indicator == 1,
        response_topic=properties.response_topic,
        correlation_data=properties.correlation_data,
        user_properties=properties.user_properties,
    )


def queued_summary(queued_message: QueuedMessage, preview: int, waiting: Waiting | None) -> QueuedSummary:
    """One line about a message in a queue, with the beginning of its payload; ``waiting`` is the session's."""
    message = queued_message.message
    return QueuedSummary(
        sequence=queued_message.sequence,
        topic=message.topic,
        payload=message.payload[:preview],
        payload_size=len(message.payload),
        size=message.size,
        qos=queued_message.qos,
        retain=queued_message.retain,
        packet_id=queued_message.packet_id,
        released=queued_message.released,
        came_at=0.0 if waiting is None else waiting.came_at(queued_message.sequence),
        expires_at=message.expires_at,
        origin=message.origin,
        share=queued_message.share,
    )


def _properties(message: Message) -> Properties:
    data = encode_varint(len(message.properties)) + message.properties
    return decode_properties(data, 0, len(data), PropertyContext.PUBLISH, len(data))[0]
