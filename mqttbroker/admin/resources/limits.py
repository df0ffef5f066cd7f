"""Limits in force, and how much of them is used."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Annotated, Final, NamedTuple

from msgspec import Meta

from mqttbroker.admin.context import Administered
from mqttbroker.admin.endpoint import PREFIX, Call, Output, endpoint
from mqttbroker.broker import Limits

__all__ = ["ABOUT", "limits"]

Value = int | float | bool | str


class About(NamedTuple):
    """What a limit is about."""

    unit: str
    text: str
    unlimited: int | None = None
    """The value that stands for no limit."""


NOTHING: Final = ""
ABOUT: Final[dict[str, About]] = {
    "max_connections": About("connections", "Connections at one time."),
    "max_connections_per_address": About("connections", "Connections at one time from one address."),
    "max_connection_rate": About("connections/s", "New connections from one address, over ten seconds.", 0),
    "connect_timeout": About("seconds", "Time in which a new connection must have sent its CONNECT."),
    "max_connect_size": About("bytes", "The largest CONNECT."),
    "max_packet_size": About("bytes", "The largest packet that is accepted."),
    "max_user_properties": About("properties", "User properties in one packet."),
    "max_topic_levels": About("levels", "Levels of a topic name or topic filter."),
    "max_topic_length": About("bytes", "Length of a topic name or topic filter."),
    "max_client_id_length": About("bytes", "Length of a client identifier."),
    "max_subscriptions": About("subscriptions", "Subscriptions of one session."),
    "max_cached_topics": About("topics", "Topics whose routes are remembered."),
    "receive_maximum": About("messages", "QoS 1 and 2 messages from one client that are not acknowledged yet."),
    "max_inflight": About("messages", "QoS 1 and 2 messages to one client that are not acknowledged yet."),
    "topic_alias_maximum": About("aliases", "Topic aliases of a connection, in each direction."),
    "max_outbound_buffer": About("bytes", "What may wait for the socket of one client."),
    "stalled_timeout": About("seconds", "Time for which a client may take nothing from a full socket."),
    "max_queued_messages": About("messages", "Messages that one session may be owed."),
    "max_queued_bytes": About("bytes", "What one session may be owed."),
    "max_total_queued_bytes": About("bytes", "What all sessions together may be owed."),
    "queue_policy": About(NOTHING, "What happens when a session may be owed no more."),
    "queue_window": About("messages", "Messages of a stored queue that are in memory for one session."),
    "max_retained_messages": About("messages", "Retained messages."),
    "max_retained_bytes": About("bytes", "Retained messages together."),
    "max_session_expiry": About("seconds", "The longest Session Expiry Interval that is granted.", 0xFFFF_FFFF),
    "max_keep_alive": About("seconds", "The longest Keep Alive that is granted."),
    "max_qos": About(NOTHING, "The highest QoS."),
    "retain_available": About(NOTHING, "Whether retained messages are kept."),
    "wildcard_subscriptions": About(NOTHING, "Whether topic filters may hold wildcards."),
    "subscription_identifiers": About(NOTHING, "Whether Subscription Identifiers are accepted."),
    "shared_subscriptions": About(NOTHING, "Whether shared subscriptions are accepted."),
    "shared_strategy": About(NOTHING, "How a shared subscription chooses among its members."),
    "response_information": About(NOTHING, "Response Information for clients that ask for it."),
}

_USED: Final[dict[str, Callable[[Administered], int | None]]] = {
    "max_connections": lambda broker: broker.core.gate.connections,
    "max_cached_topics": lambda broker: len(broker.core.router.routes),
    "max_queued_messages": lambda broker: None if broker.monitor is None else broker.monitor.queues.depths.longest,
    "max_total_queued_bytes": lambda broker: broker.core.session_limits.owed_bytes,
    "max_retained_messages": lambda broker: len(broker.core.retained),
    "max_retained_bytes": lambda broker: broker.core.retained.size,
}


class LimitView(Output):
    """A limit, or a choice, that is in force."""

    name: str
    listener: Annotated[str, Meta(description="Whose clients it is for; empty: everybody's, where none has its own.")]
    about: str
    value: Annotated[Value | None, Meta(description="Null where there is no limit.")]
    default: Annotated[Value | None, Meta(description="What it is when nothing is set.")]
    unit: Annotated[str, Meta(description="Empty where there is none.")]
    used: Annotated[
        int | None, Meta(description="Of what one session may have, the most that one has. Null where nobody counts.")
    ]


class LimitList(Output):
    limits: list[LimitView]


@endpoint("GET", f"{PREFIX}/limits", role="viewer", tag="broker", summary="Limits, and how much of them is used")
async def limits(call: Call[None, None]) -> LimitList:
    """Those of the whole broker, then those that listeners have of their own."""
    running = call.context.broker
    config = running.config
    default = Limits()
    shown = [
        _view(each.name, getattr(config.limits, each.name), getattr(default, each.name), _used(each.name, running))
        for each in fields(Limits)
    ]
    for listener in config.listeners:
        for each in fields(listener.limits):
            value = getattr(listener.limits, each.name)
            if value is not None:
                used = running.connections.get(listener.name) if each.name == "max_connections" else None
                shown.append(_view(each.name, value, getattr(config.limits, each.name), used, listener.name))
    return LimitList(limits=shown)


def _used(name: str, running: Administered) -> int | None:
    use = _USED.get(name)
    return None if use is None else use(running)


def _view(name: str, value: Value, default: Value, used: int | None, listener: str = "") -> LimitView:
    about = ABOUT[name]
    return LimitView(
        name=name,
        listener=listener,
        about=about.text,
        value=None if value == about.unlimited else value,
        default=None if default == about.unlimited else default,
        unit=about.unit,
        used=used,
    )
