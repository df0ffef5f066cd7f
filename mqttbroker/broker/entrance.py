"""An entrance: what the clients of one listener have in common.

Limits, users and rules of a listener are those of the whole broker where it has none of its own. A mount point keeps
its clients in a part of the tree of topics: it is put in front of every topic that comes from them, and taken away from
every topic that goes to them.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from mqttbroker.broker.authority import Authenticator
from mqttbroker.broker.limits import Limits
from mqttbroker.topics import InvalidTopicName, check_topic_name

__all__ = ["Entrance", "ListenerLimits", "check_mount_point"]

MOUNT_POINT_LENGTH = 1_024


@dataclass(frozen=True, slots=True)
class ListenerLimits:
    """Limits of one listener's connections: as those of the same name in :class:`Limits`, which hold where one is
    ``None``.
    """

    max_connections: int | None = None
    max_connections_per_address: int | None = None
    max_connection_rate: int | None = None
    connect_timeout: float | None = None
    max_connect_size: int | None = None
    max_packet_size: int | None = None
    max_user_properties: int | None = None
    max_topic_levels: int | None = None
    max_topic_length: int | None = None
    max_subscriptions: int | None = None
    receive_maximum: int | None = None
    max_inflight: int | None = None
    topic_alias_maximum: int | None = None
    max_session_expiry: int | None = None
    max_keep_alive: int | None = None
    max_qos: int | None = None
    retain_available: bool | None = None
    wildcard_subscriptions: bool | None = None
    shared_subscriptions: bool | None = None

    def __post_init__(self) -> None:
        self.over(Limits())

    def over(self, default: Limits) -> Limits:
        """These limits, and those of ``default`` where nothing is set. Raises ``ValueError`` as :class:`Limits` does.

        A CONNECT is no larger than any other packet, so that the one limit lowers the other.
        """
        own = {each.name: getattr(self, each.name) for each in fields(self)}
        own = {name: value for name, value in own.items() if value is not None}
        if "max_packet_size" in own:
            own.setdefault("max_connect_size", min(default.max_connect_size, own["max_packet_size"]))
        return replace(default, **own)


class Entrance:
    """What the connections of one listener have in common."""

    __slots__ = ("authenticator", "connections", "limits", "mount_point", "name")

    def __init__(self, name: str, limits: Limits, authenticator: Authenticator, mount_point: str = "") -> None:
        self.name: str = name
        self.limits: Limits = limits
        self.authenticator: Authenticator = authenticator
        self.mount_point: str = mount_point
        self.connections: int = 0
        """Connections at this time, counted from the moment that they are accepted until their sockets are closed."""


def check_mount_point(mount_point: str) -> None:
    """Raise :class:`ValueError` unless topics can begin with this."""
    if not mount_point:
        return
    try:
        check_topic_name(mount_point, 0, MOUNT_POINT_LENGTH)
    except InvalidTopicName as error:
        raise ValueError(f"mount_point: {error}") from error
    if not mount_point.endswith("/") or mount_point.startswith("$"):
        raise ValueError(f'mount_point: expected to end with "/" and not to begin with "$", got {mount_point!r}')
