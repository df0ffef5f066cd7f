"""What an administrator does to a running broker: end connections and sessions, purge queues, delete retained messages.

Everything takes effect at once. What may concern many messages does so many in one call and says whether there are
more, so that whoever asks lets others have their turn in between. Whatever is written for clients waits for the next
``BrokerCore.flush``; what has to be on disk is so when the store says that.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from mqttbroker.broker.views import Deleted, Disconnected, Purged
from mqttbroker.protocol import ReasonCode
from mqttbroker.sessions import mounted_client_id
from mqttbroker.topics import check_topic_filter

if TYPE_CHECKING:
    from mqttbroker.broker.core import BrokerCore

__all__ = ["Steering"]

AT_ONCE = 2_000
"""Messages purged or deleted in one call."""
COUNTED = 50_000
"""Messages that a dry run counts."""
SHOWN = 100
"""Topics that are named."""


class Steering:
    """Commands to one broker's core."""

    def __init__(self, core: BrokerCore) -> None:
        self._core = core

    def disconnect(self, client_id: str, mount_point: str = "", reason: str = "") -> bool:
        """End a client's connection; false where it has none. Its session stays as if the connection was lost.

        ``reason`` is for the log and, with MQTT 5.0, for the client.
        """
        connection = self._core.registry.online.get(mounted_client_id(mount_point, client_id))
        if connection is None:
            return False
        detail = reason or "disconnected by an administrator"
        connection.disconnect(ReasonCode.ADMINISTRATIVE_ACTION, detail, self._core.now)
        return True

    def disconnect_user(
        self, username: str, listeners: Collection[str], reason_code: ReasonCode, reason: str
    ) -> Disconnected:
        """End connections of a user who came through one of these listeners."""
        core = self._core
        found = [
            each
            for each in core.registry.online.values()
            if each.identity.username == username and each.identity.listener in listeners
        ]
        for connection in found[:AT_ONCE]:
            connection.disconnect(reason_code, reason, core.now)
        return Disconnected(min(len(found), AT_ONCE), len(found) > AT_ONCE)

    def end_session(self, client_id: str, mount_point: str = "") -> bool:
        """End a session and the connection it may have; false where there is none.

        Its will is published, its shared messages go to other members, and the rest is forgotten.
        """
        core = self._core
        session = core.registry.sessions.get(mounted_client_id(mount_point, client_id))
        if session is None:
            return False
        self.disconnect(client_id, mount_point, "session ended by an administrator")
        if core.registry.sessions.get(session.client_id) is session:
            core.log("info", "session ended by an administrator", client=session.name, user=session.username)
            core.registry.end(session, core.now)
        return True

    def purge_queue(self, client_id: str, mount_point: str = "") -> Purged | None:
        """Drop the oldest messages that were never sent; ``None`` where there is no such session."""
        session = self._core.registry.sessions.get(mounted_client_id(mount_point, client_id))
        if session is None:
            return None
        count = session.purge(AT_ONCE)
        return Purged(count, count == AT_ONCE)

    def delete_retained(self, topic_filter: str, dry_run: bool = True) -> Deleted:
        """Delete retained messages that a filter matches; a dry run only counts them. Subscribers are not told.

        Raises ``InvalidTopicFilter``. A filter that begins with a wildcard leaves topics alone that begin with ``$``.
        """
        check_topic_filter(topic_filter)
        retained = self._core.retained
        limit = COUNTED if dry_run else AT_ONCE
        count = 0
        topics: list[str] = []
        for topic in retained.topics(topic_filter):
            if count == limit:
                return Deleted(count, topics, True)
            count += 1
            if len(topics) < SHOWN:
                topics.append(topic)
            if not dry_run:
                retained.remove(topic)
        return Deleted(count, topics, False)
