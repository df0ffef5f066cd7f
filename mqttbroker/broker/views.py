"""What an administrator is shown of a running broker: values, taken at one moment, that hold nothing of the core.

Topics and filters are the broker's: those of a client below a mount point begin with that. All times are seconds since
the epoch on the broker's clock, sizes are in bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Generic, Literal, TypeVar, get_args

__all__ = [
    "CLIENT_ORDERS",
    "SESSION_ORDERS",
    "ClientDetail",
    "ClientOrder",
    "ClientSummary",
    "Deleted",
    "Disconnected",
    "Outcome",
    "Page",
    "Purged",
    "QueuedSummary",
    "Receiver",
    "Receivers",
    "RetainedDetail",
    "SessionOrder",
    "SessionSummary",
    "SubscriptionSummary",
    "TopicLevel",
    "Totals",
    "WillDetail",
]

T = TypeVar("T")

ClientOrder = Literal[
    "client_id",
    "connected_at",
    "last_received",
    "subscriptions",
    "inflight",
    "queued",
    "owed_bytes",
    "dropped",
    "waiting_bytes",
    "messages_received",
    "received_bytes",
    "sent_bytes",
]
SessionOrder = Literal[
    "client_id",
    "expires_at",
    "subscriptions",
    "inflight",
    "queued",
    "oldest_at",
    "owed_bytes",
    "dropped",
]
CLIENT_ORDERS: Final[tuple[str, ...]] = get_args(ClientOrder)
"""What clients can be listed by."""
SESSION_ORDERS: Final[tuple[str, ...]] = get_args(SessionOrder)
"""What sessions can be listed by."""

Outcome = Literal["sent", "queued", "lost", "denied"]
"""What would become of a message: sent at once, kept until the client takes it, dropped because the client is not there
and nothing is kept for it, or not given because the client may not read the topic.
"""


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A part of a list.

    A page may have fewer items than were asked for, or none, and yet not be the last one: a search looks at so many
    entries for each page, and no more.
    """

    items: list[T]
    next: str | None
    """Where the next page begins; ``None`` on the last one."""
    total: int
    """Entries of the whole list, whatever was searched for."""
    ordered: bool = True
    """Whether the order is the one that was asked for; a list too long to be sorted has the order in which its entries
    came.
    """


@dataclass(frozen=True, slots=True)
class Totals:
    """How much of everything there is."""

    connections: int
    """Open connections, those without an accepted CONNECT included."""
    clients: int
    """Clients that are connected."""
    sessions: int
    """Sessions, with a client or without."""
    subscriptions: int
    """Different subscriptions; all members of a shared one are one."""
    retained: int
    retained_bytes: int
    owed_bytes: int
    """Bytes of messages in flight or waiting, of all sessions."""
    cached_topics: int


@dataclass(frozen=True, slots=True)
class ClientSummary:
    """A client that is connected."""

    client_id: str
    mount_point: str
    username: str | None
    address: str
    listener: str
    version: str
    """"3.1", "3.1.1" or "5.0"."""
    connected_at: float
    last_received: float
    """When the last bytes came."""
    messages_received: int
    """PUBLISH packets that came on this connection."""
    received_bytes: int
    """Bytes of MQTT that came on this connection."""
    sent_bytes: int
    keep_alive: int
    """Seconds; 0 for never."""
    persistent: bool
    subscriptions: int
    inflight: int
    """Messages sent to the client and not acknowledged yet."""
    queued: int
    """Messages that wait to be sent for the first time."""
    owed_bytes: int
    """Bytes of both."""
    dropped: int
    """Messages that the session did not get."""
    waiting_bytes: int
    """Bytes written that its socket has not taken yet."""
    congested: bool
    """Whether it is sent nothing more until its socket has taken what waits."""


@dataclass(frozen=True, slots=True)
class SessionSummary:
    """A session, with a client or without."""

    client_id: str
    mount_point: str
    username: str | None
    listener: str
    """Name of the listener through which the client came last."""
    connected: bool
    persistent: bool
    """Whether it is kept in the store."""
    expiry_interval: int
    """Seconds for which it stays without a client; 4294967295 for ever."""
    expires_at: float
    """When it ends; 0.0 while there is a client, or when it never does."""
    subscriptions: int
    inflight: int
    """Messages that were sent and not acknowledged; those of a client that is away count as queued."""
    queued: int
    oldest_at: float
    """About when the oldest of these came; 0.0 where there is none, or it came before the broker was started."""
    owed_bytes: int
    incoming: int
    """QoS 2 messages received from the client and not yet released."""
    dropped: dict[str, int]
    """Messages that it did not get, by cause."""
    has_will: bool
    last_seen: float
    """When something came from the client, or when its connection ended; 0.0 where that is not known."""


@dataclass(frozen=True, slots=True)
class WillDetail:
    """The will of a session."""

    topic: str
    size: int
    """Of the payload."""
    qos: int
    retain: bool
    delay: int
    """Seconds between the end of the connection and its publication."""
    due_at: float
    """When it is published; 0.0 while there is a client."""


@dataclass(frozen=True, slots=True)
class ClientDetail:
    """All that is known of one client."""

    session: SessionSummary
    connection: ClientSummary | None
    """``None`` while the client is away."""
    will: WillDetail | None
    receive_maximum: int
    """Messages that may be in flight to the client; 0 while it is away, as with what follows."""
    quota: int
    """Of these, how many more may be sent now."""
    maximum_packet_size: int
    """Largest packet that the client takes; 0 for no limit."""
    topic_alias_maximum: int
    refusals: int
    """Actions that were refused to this connection."""
    certificate_name: str
    """Common name of the client's certificate; empty where it has none."""
    process_id: int | None
    """Of the process at the other end of a Unix socket."""


@dataclass(frozen=True, slots=True)
class SubscriptionSummary:
    """One subscription of one session."""

    client_id: str
    mount_point: str
    username: str | None
    connected: bool
    topic_filter: str
    """The whole filter, ``$share/<group>/`` included."""
    share: str
    """Name of the group of a shared subscription; empty for any other."""
    qos: int
    no_local: bool
    retain_as_published: bool
    identifier: int
    """Subscription Identifier; 0 where the client gave none."""


@dataclass(frozen=True, slots=True)
class Receiver:
    """A session that would get a message, or would not, and why."""

    client_id: str
    mount_point: str
    username: str | None
    connected: bool
    share: str
    """Name of the shared subscription's group, one of whose members gets the message; empty for any other."""
    filters: list[str]
    """The filters of its subscriptions that match."""
    qos: int
    """The highest QoS that they were granted."""
    outcome: Outcome
    rule: str
    """The rule that lets the client read the topic, or keeps it from that."""


@dataclass(frozen=True, slots=True)
class Receivers:
    """Who would receive a message of one topic."""

    topic: str
    receivers: list[Receiver]
    next: str | None
    total: int
    """Sessions with a matching subscription; one that is also in matching groups counts once for each of them."""
    local: int
    """Subscriptions within the broker's process."""


@dataclass(frozen=True, slots=True)
class TopicLevel:
    """One level of the tree of topics with retained messages."""

    level: str
    topic: str
    """The whole topic name up to this level. What is below it is asked for with ``topic + "/"``."""
    retained: bool
    """Whether a message is retained under just this topic."""
    size: int
    """Bytes of that message, topic and properties included; 0 where there is none."""
    more: bool
    """Whether there are retained messages below."""
    payload: bytes
    """The first bytes of what is retained here."""


@dataclass(frozen=True, slots=True)
class RetainedDetail:
    """A retained message."""

    topic: str
    payload: bytes
    qos: int
    expires_at: float
    """When it expires; 0.0 for never."""
    origin: str
    """Client identifier of the publisher; empty where it did not come from a client."""
    size: int
    content_type: str | None
    payload_is_text: bool
    """Whether the publisher has marked the payload as UTF-8."""
    response_topic: str | None
    correlation_data: bytes | None
    user_properties: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class QueuedSummary:
    """A message that a session is owed."""

    sequence: int
    """Its place in the queue; rising, with gaps."""
    topic: str
    payload: bytes
    """The beginning of it."""
    payload_size: int
    """Of the whole."""
    size: int
    """Of topic, payload and properties."""
    qos: int
    retain: bool
    packet_id: int
    """0 until it is sent."""
    released: bool
    """Whether the client has taken it over, and only the hand-shake of QoS 2 is left."""
    came_at: float
    """About when it came; 0.0 where that is not known."""
    expires_at: float
    origin: str
    share: str
    """The shared subscription through which it came; empty for any other."""


@dataclass(frozen=True, slots=True)
class Purged:
    """Messages that were taken out of a queue."""

    count: int
    more: bool
    """Whether there are more: ask again."""


@dataclass(frozen=True, slots=True)
class Disconnected:
    """Connections that were ended."""

    count: int
    more: bool
    """Whether there are more: ask again."""


@dataclass(frozen=True, slots=True)
class Deleted:
    """Retained messages that were deleted, or would be."""

    count: int
    topics: list[str]
    """The first of them."""
    more: bool
    """Whether there are more than one call looks at: ask again, which a dry run cannot."""
