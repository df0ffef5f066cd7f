"""What the broker's core shows of itself, in the types of the HTTP API."""

from __future__ import annotations

from base64 import b64encode
from typing import Any, TypeVar

from msgspec import Struct

from mqttbroker import broker
from mqttbroker.admin import types
from mqttbroker.admin.feed import Event, Feed
from mqttbroker.admin.ids import path_id
from mqttbroker.admin.payloads import shown_payload
from mqttbroker.sessions import mounted_client_id

__all__ = [
    "PREVIEW",
    "client",
    "client_detail",
    "happened",
    "level",
    "queued",
    "receiver",
    "retained",
    "session",
    "subscription",
]

PREVIEW = 1_024
"""Bytes shown of a payload in a list."""
LEVEL_PREVIEW = 64
"""Bytes shown in the tree of topics."""
MOST = 262_144
"""Bytes shown of the payload of one message."""
FOR_EVER = 0xFFFF_FFFF

S = TypeVar("S", bound=Struct)


def _like(kind: type[S], view: object, **own: Any) -> S:
    """A value of ``kind`` with the fields of ``view``, and those that are given here."""
    return kind(**{name: own[name] if name in own else getattr(view, name) for name in kind.__struct_fields__})


def _id(view: Any) -> str:
    return path_id(mounted_client_id(view.mount_point, view.client_id))


def client(view: broker.ClientSummary) -> types.Client:
    """A client that is connected."""
    return _like(types.Client, view, id=_id(view))


def session(view: broker.SessionSummary, feed: Feed) -> types.Session:
    """A session; the feed may know when its client was there."""
    return _like(
        types.Session,
        view,
        id=_id(view),
        expiry_interval=None if view.expiry_interval == FOR_EVER else view.expiry_interval,
        expires_at=view.expires_at or None,
        oldest_at=view.oldest_at or None,
        last_seen=view.last_seen or _last_end(view, feed),
    )


def _last_end(view: broker.SessionSummary, feed: Feed) -> float | None:
    ended = last_disconnect(feed, mounted_client_id(view.mount_point, view.client_id))
    return None if ended is None else ended.at


def last_disconnect(feed: Feed, known: str) -> Event | None:
    """The last end of a connection of the client that is known by this identifier."""
    return next((each for each in feed.history(known) if each.kind == "disconnected"), None)


def client_detail(view: broker.ClientDetail, feed: Feed) -> types.ClientDetail:
    """All that is known of a client."""
    will = view.will
    ended = last_disconnect(feed, mounted_client_id(view.session.mount_point, view.session.client_id))
    return _like(
        types.ClientDetail,
        view,
        session=session(view.session, feed),
        connection=None if view.connection is None else client(view.connection),
        last_disconnect=None if ended is None else happened(ended, feed.run),
        will=None if will is None else _like(types.Will, will, due_at=will.due_at or None),
    )


def queued(view: broker.QueuedSummary) -> types.Queued:
    """A message that a session is owed, with the beginning of its payload."""
    return _like(
        types.Queued,
        view,
        payload=shown_payload(view.payload, PREVIEW),
        packet_id=view.packet_id or None,
        came_at=view.came_at or None,
        expires_at=view.expires_at or None,
        origin=view.origin or None,
        share=view.share or None,
    )


def subscription(view: broker.SubscriptionSummary) -> types.Subscription:
    """A subscription."""
    return _like(types.Subscription, view, id=_id(view), share=view.share or None, identifier=view.identifier or None)


def receiver(view: broker.Receiver) -> types.Receiver:
    """A session that would receive a message, or would not."""
    return _like(types.Receiver, view, id=_id(view), share=view.share or None)


def level(view: broker.TopicLevel) -> types.Level:
    """A level of the tree of topics."""
    payload = shown_payload(view.payload, LEVEL_PREVIEW) if view.retained else None
    return _like(types.Level, view, payload=payload)


def retained(view: broker.RetainedDetail, now: float) -> types.Retained:
    """A retained message."""
    correlation = view.correlation_data
    properties = types.Properties(
        content_type=view.content_type,
        response_topic=view.response_topic,
        correlation_data=None if correlation is None else b64encode(correlation).decode(),
        payload_format_indicator=1 if view.payload_is_text else None,
        message_expiry_interval=max(0, round(view.expires_at - now)) if view.expires_at else None,
        user_properties=view.user_properties,
    )
    return _like(
        types.Retained,
        view,
        payload=shown_payload(view.payload, MOST),
        payload_size=len(view.payload),
        properties=properties,
        expires_at=view.expires_at or None,
        origin=view.origin or None,
    )


def happened(event: Event, run: str) -> types.Happened:
    """An event; ``run`` is that of its feed."""
    return types.Happened(
        id=f"{run}-{event.number}",
        kind=event.kind,
        at=event.at,
        client=path_id(event.known) if event.known else None,
        client_id=event.client_id,
        details=event.details,
    )
