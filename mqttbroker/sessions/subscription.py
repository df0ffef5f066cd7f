"""A subscription of one session, as the subscription tree and the shared groups hold it."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from mqttbroker.storage.records import SubscriptionRecord
from mqttbroker.topics import Entry

if TYPE_CHECKING:
    from mqttbroker.sessions.session import Session

__all__ = ["Subscription"]


_QOS = 3
_NO_LOCAL = 4
_RETAIN_AS_PUBLISHED = 8
_IDENTIFIER = 16


class Subscription(Entry):
    """Session, topic filter and options (section 3.8.3.1).

    Replaced, never changed, by a new SUBSCRIBE [MQTT-3.8.4-3]. There may be a million of them, so the options are one
    number: QoS in the two lowest bits, the flags, and the Subscription Identifier above them.
    """

    __slots__ = ("_options",)

    def __init__(
        self,
        session: Session,
        topic_filter: str,
        qos: int,
        no_local: bool = False,
        retain_as_published: bool = False,
        identifier: int = 0,
    ) -> None:
        super().__init__(topic_filter, session)
        options = qos + identifier * _IDENTIFIER
        if no_local:
            options += _NO_LOCAL
        if retain_as_published:
            options += _RETAIN_AS_PUBLISHED
        self._options: int = options

    @property
    def session(self) -> Session:
        """Whose subscription it is."""
        return cast("Session", self.holder)

    @property
    def qos(self) -> int:
        """The highest QoS that was granted."""
        return self._options & _QOS

    @property
    def no_local(self) -> bool:
        """Whether the session is not sent what it published itself."""
        return self._options & _NO_LOCAL != 0

    @property
    def retain_as_published(self) -> bool:
        """Whether a forwarded message keeps its RETAIN flag."""
        return self._options & _RETAIN_AS_PUBLISHED != 0

    @property
    def identifier(self) -> int:
        """Subscription Identifier; 0 when the client gave none."""
        return self._options // _IDENTIFIER

    def copy(self) -> Subscription:
        """Another subscription that says the same."""
        return Subscription(
            self.session, self.topic_filter, self.qos, self.no_local, self.retain_as_published, self.identifier
        )

    def record(self) -> SubscriptionRecord:
        """The subscription as a store keeps it."""
        return SubscriptionRecord(self.topic_filter, self.qos, self.no_local, self.retain_as_published, self.identifier)
