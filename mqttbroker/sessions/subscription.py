"""A subscription of one session, as the subscription tree and the shared groups hold it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mqttbroker.storage.records import SubscriptionRecord

if TYPE_CHECKING:
    from mqttbroker.sessions.session import Session

__all__ = ["Subscription"]


class Subscription:
    """Session, topic filter and options (section 3.8.3.1).

    Replaced, never changed, by a new SUBSCRIBE [MQTT-3.8.4-3].
    """

    __slots__ = ("identifier", "no_local", "qos", "retain_as_published", "session", "topic_filter")

    def __init__(
        self,
        session: Session,
        topic_filter: str,
        qos: int,
        no_local: bool = False,
        retain_as_published: bool = False,
        identifier: int = 0,
    ) -> None:
        self.session: Session = session
        self.topic_filter: str = topic_filter
        self.qos: int = qos
        self.no_local: bool = no_local
        self.retain_as_published: bool = retain_as_published
        self.identifier: int = identifier

    def record(self) -> SubscriptionRecord:
        """The subscription as a store keeps it."""
        return SubscriptionRecord(self.topic_filter, self.qos, self.no_local, self.retain_as_published, self.identifier)
