"""What the HTTP API takes and gives about clients, sessions, subscriptions, messages and events.

The description of the API is made from these types, so that their docstrings and descriptions are what users read.
Times are seconds since the epoch. ``null`` says that something is not there. Lists come in pages: ``next`` of one is
``after`` of the next, and is ``null`` on the last.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from mqttbroker.admin.endpoint import Input, Output
from mqttbroker.broker import ClientOrder, SessionOrder

__all__ = [
    "Batch",
    "Client",
    "ClientDetail",
    "ClientPage",
    "ClientQuery",
    "DeleteRetained",
    "Deleted",
    "Disconnect",
    "EventsQuery",
    "Happened",
    "History",
    "Level",
    "LevelPage",
    "LevelQuery",
    "PageQuery",
    "Payload",
    "Properties",
    "Publish",
    "Published",
    "PublishedBatch",
    "Queued",
    "Receiver",
    "ReceiverPage",
    "ReceiverQuery",
    "RecentQuery",
    "Retained",
    "RetainedState",
    "Session",
    "SessionQuery",
    "SetRetained",
    "Subscription",
    "SubscriptionPage",
    "SubscriptionQuery",
    "TopicQuery",
    "Will",
]

Id = Annotated[
    str,
    Meta(
        description="What stands for the client in paths: its identifier, or ``base64:`` and the identifier in "
        "base64url where a path cannot hold it as it is."
    ),
]
ClientId = Annotated[str, Meta(description="As the client gave it.")]
MountPoint = Annotated[str, Meta(description="What its topics begin with; empty where there is none.")]
Limit = Annotated[int, Meta(ge=1, le=1_000, description="Entries on a page, at most.")]
After = Annotated[str | None, Meta(description="``next`` of the page before; none for the first page.")]
Next = Annotated[str | None, Meta(description="``after`` of the next page; null on the last one.")]
Total = Annotated[int, Meta(description="Entries of the whole list, whatever was searched for.")]
Ordered = Annotated[bool, Meta(description="False where the list is too long to be sorted.")]
SEARCH = "Part of the client identifier, the user name or the address."
Descending = Annotated[bool, Meta(description="The greatest first.")]
Qos = Annotated[int, Meta(ge=0, le=2)]
Topic = Annotated[str, Meta(min_length=1, max_length=65_535)]


# What is common.


class PageQuery(Input):
    """Which page."""

    limit: Limit = 100
    after: After = None


class Payload(Output):
    """The bytes of a message: as text where they are UTF-8, else in base64."""

    encoding: Literal["text", "base64"]
    data: str
    truncated: Annotated[bool, Meta(description="Whether ``data`` is only the beginning.")] = False


class Properties(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The properties of a message that its receivers get."""

    content_type: str | None = None
    response_topic: str | None = None
    correlation_data: Annotated[str | None, Meta(description="In base64.")] = None
    payload_format_indicator: Annotated[int, Meta(ge=0, le=1)] | None = None
    message_expiry_interval: Annotated[
        Annotated[int, Meta(ge=0, le=4_294_967_295)] | None, Meta(description="Seconds that are left.")
    ] = None
    user_properties: tuple[tuple[str, str], ...] = ()


# Clients and sessions.


class Happened(Output):
    """Something that has happened."""

    id: Annotated[str, Meta(description="For ``Last-Event-ID``.")]
    kind: str
    at: float
    client: Annotated[Id | None, Meta(description="The client that it is about.")]
    client_id: ClientId
    details: dict[str, str | int | float | bool | None]


class Will(Output):
    """What is published when the client is lost."""

    topic: str
    size: Annotated[int, Meta(description="Bytes of the payload.")]
    qos: int
    retain: bool
    delay: Annotated[int, Meta(description="Seconds between the end of the connection and its publication.")]
    due_at: Annotated[float | None, Meta(description="When it is published; null while the client is connected.")]


class Session(Output):
    """What is kept for a client, whether it is connected or not."""

    id: Id
    client_id: ClientId
    mount_point: MountPoint
    username: str | None
    listener: Annotated[str, Meta(description="Through which the client came last.")]
    connected: bool
    persistent: Annotated[bool, Meta(description="Whether it outlives the broker.")]
    expiry_interval: Annotated[int | None, Meta(description="Seconds that it outlives the connection; null: for ever.")]
    expires_at: Annotated[float | None, Meta(description="Null while the client is connected, or for never.")]
    subscriptions: int
    inflight: Annotated[int, Meta(description="Messages sent and not acknowledged; of absent clients they are queued.")]
    queued: Annotated[int, Meta(description="Messages that wait to be sent.")]
    oldest_at: Annotated[
        float | None,
        Meta(
            description="When the oldest of these came, estimated where earlier ones have left the queue; null where "
            "none waits, or it came before the broker was started."
        ),
    ]
    owed_bytes: Annotated[int, Meta(description="Bytes of both.")]
    incoming: Annotated[int, Meta(description="QoS 2 messages from the client that it has not released yet.")]
    dropped: Annotated[dict[str, int], Meta(description="Messages that it did not get, by cause.")]
    has_will: bool
    last_seen: Annotated[
        float | None,
        Meta(description="When something came from the client, or its connection ended; null where that is not known."),
    ]


class Client(Output):
    """A client that is connected."""

    id: Id
    client_id: ClientId
    mount_point: MountPoint
    username: str | None
    address: str
    listener: str
    version: Annotated[str, Meta(description="Of MQTT: 3.1, 3.1.1 or 5.0.")]
    connected_at: float
    last_received: Annotated[float, Meta(description="When the last bytes came.")]
    messages_received: Annotated[int, Meta(description="PUBLISH packets that came from it since it connected.")]
    received_bytes: Annotated[int, Meta(description="Bytes of MQTT that came from it since it connected.")]
    sent_bytes: Annotated[int, Meta(description="Bytes of MQTT that it was sent since it connected.")]
    keep_alive: Annotated[int, Meta(description="Seconds; 0 for never.")]
    persistent: Annotated[bool, Meta(description="Whether its session outlives the broker.")]
    subscriptions: int
    inflight: Annotated[int, Meta(description="Messages sent and not acknowledged.")]
    queued: Annotated[int, Meta(description="Messages that wait to be sent.")]
    owed_bytes: Annotated[int, Meta(description="Bytes of both.")]
    dropped: Annotated[int, Meta(description="Messages that the session did not get.")]
    waiting_bytes: Annotated[int, Meta(description="Bytes written that the client has not taken yet.")]
    congested: Annotated[bool, Meta(description="Whether it is sent nothing more until it has taken what waits.")]


class ClientDetail(Output):
    """All that is known of a client."""

    session: Session
    connection: Annotated[Client | None, Meta(description="Null while the client is away.")]
    will: Will | None
    last_disconnect: Annotated[Happened | None, Meta(description="The last one that is remembered.")]
    receive_maximum: Annotated[int, Meta(description="Messages that may be in flight; 0 while the client is away.")]
    quota: Annotated[int, Meta(description="How many of them may still be sent now.")]
    maximum_packet_size: Annotated[int, Meta(description="Bytes that the client takes in a packet; 0 for no limit.")]
    topic_alias_maximum: int
    refusals: Annotated[int, Meta(description="Actions that were refused on this connection.")]
    certificate_name: Annotated[str, Meta(description="Common name of the client's certificate; empty: none.")]
    process_id: Annotated[int | None, Meta(description="Of a process that came through a Unix socket.")]


class ClientPage(Output):
    """Clients that are connected."""

    items: list[Client]
    next: Next
    total: Total
    ordered: Ordered


class ClientQuery(PageQuery):
    """Which clients."""

    search: Annotated[str, Meta(max_length=256, description=SEARCH)] = ""
    sort: ClientOrder = "client_id"
    descending: Descending = False


class SessionQuery(PageQuery):
    """Which sessions."""

    search: Annotated[str, Meta(max_length=256, description=SEARCH)] = ""
    sort: SessionOrder = "client_id"
    descending: Descending = False
    connected: Annotated[bool | None, Meta(description="Only those with, or only those without a client.")] = None


class Disconnect(Input):
    """Why a client is disconnected."""

    reason: Annotated[str, Meta(max_length=256, description="Told to clients of MQTT 5.0.")] = ""


class Queued(Output):
    """A message that a session is owed."""

    sequence: Annotated[int, Meta(description="Its place in the queue: rising, with gaps.")]
    topic: str
    payload: Payload
    payload_size: int
    size: Annotated[int, Meta(description="Bytes of topic, payload and properties.")]
    qos: int
    retain: bool
    packet_id: Annotated[int | None, Meta(description="Null until it is sent.")]
    released: Annotated[bool, Meta(description="Whether only the end of the QoS 2 hand-shake is left.")]
    came_at: Annotated[float | None, Meta(description="About when it came; null where that is not known.")]
    expires_at: float | None
    origin: Annotated[str | None, Meta(description="The client that published it.")]
    share: Annotated[str | None, Meta(description="The shared subscription through which it came.")]


# Subscriptions.


class Subscription(Output):
    """One subscription of one client."""

    id: Id
    client_id: ClientId
    mount_point: MountPoint
    username: str | None
    connected: bool
    topic_filter: Annotated[str, Meta(description="The whole filter, ``$share/`` and group included.")]
    share: Annotated[str | None, Meta(description="The group of a shared subscription.")]
    qos: int
    no_local: bool
    retain_as_published: bool
    identifier: Annotated[int | None, Meta(description="Subscription Identifier.")]


class SubscriptionPage(Output):
    """Subscriptions."""

    items: list[Subscription]
    next: Next
    total: Total


class SubscriptionQuery(PageQuery):
    """Which subscriptions."""

    search: Annotated[str, Meta(max_length=1_024, description="Part of the topic filter.")] = ""
    client: Annotated[str, Meta(description="Only those of this client (``id``).")] = ""


class Receiver(Output):
    """A session that would get a message, or would not, and why."""

    id: Id
    client_id: ClientId
    mount_point: MountPoint
    username: str | None
    connected: bool
    share: Annotated[str | None, Meta(description="The shared group; one of its members gets the message.")]
    filters: Annotated[list[str], Meta(description="Filters of its subscriptions that match.")]
    qos: int
    outcome: Annotated[
        Literal["sent", "queued", "lost", "denied"],
        Meta(
            description="``sent`` at once; ``queued`` until it is back; ``lost`` where it is away and nothing is kept; "
            "``denied`` by the rules."
        ),
    ]
    rule: Annotated[str, Meta(description="The rule that decides.")]


class ReceiverPage(Output):
    """Who would receive a message."""

    topic: str
    items: list[Receiver]
    next: Next
    total: Total
    local: Annotated[int, Meta(description="Subscriptions within the broker's own process.")]


class ReceiverQuery(PageQuery, kw_only=True):
    """Of which topic."""

    topic: Topic
    qos: Annotated[Qos, Meta(description="Of the message.")] = 1


# Retained messages.


class TopicQuery(Input):
    """Which topic."""

    topic: Topic


class Retained(Output):
    """A retained message."""

    topic: str
    payload: Payload
    qos: int
    properties: Properties
    size: Annotated[int, Meta(description="Bytes of topic, payload and properties, which count towards the limit.")]
    payload_size: int
    expires_at: float | None
    origin: Annotated[str | None, Meta(description="The client that published it.")]


class RetainedState(Output):
    """What the audit log has of a retained message."""

    size: int
    qos: int
    origin: str | None


class Level(Output):
    """One level of the tree of topics, below another."""

    level: str
    topic: Annotated[str, Meta(description="The whole topic up to here; with a slash it is the next ``prefix``.")]
    retained: Annotated[bool, Meta(description="Whether a message is retained here.")]
    size: Annotated[int, Meta(description="Bytes of that message.")]
    more: Annotated[bool, Meta(description="Whether there are messages below.")]
    payload: Annotated[Payload | None, Meta(description="The beginning of what is retained here, up to 64 bytes.")]


class LevelPage(Output):
    """What is below a topic."""

    prefix: str
    items: list[Level]
    next: Next
    total: Total


class LevelQuery(PageQuery):
    """Below which topic."""

    prefix: Annotated[str, Meta(max_length=65_536, description="The topic above and a slash; empty for the top.")] = ""


class SetRetained(Input):
    """A message to be kept."""

    payload: Annotated[Any, Meta(description="A string; or any JSON, with the encoding ``json``.")]
    encoding: Literal["text", "base64", "json"] = "text"
    qos: Qos = 0
    properties: Properties = Properties()


class DeleteRetained(Input):
    """Which retained messages are to go."""

    filter: Annotated[Topic, Meta(description="A topic filter.")]
    dry_run: Annotated[bool, Meta(description="Only count. It is on unless it is turned off.")] = True


class Deleted(Output):
    """What was deleted, or would be."""

    dry_run: bool
    count: int
    topics: Annotated[list[str], Meta(description="The first of the topics.")]
    more: Annotated[bool, Meta(description="Whether there are more than were looked at: ask again.")]


# Publishing.


class Publish(Input):
    """A message to be published."""

    topic: Topic
    payload: Annotated[Any, Meta(description="A string; or any JSON, with the encoding ``json``.")] = ""
    encoding: Literal["text", "base64", "json"] = "text"
    qos: Qos = 0
    retain: bool = False
    properties: Properties = Properties()


class Batch(Input):
    """Messages to be published, in this order."""

    messages: Annotated[list[Publish], Meta(min_length=1, max_length=1_000)]


class Published(Output):
    """What became of a message. Above QoS 0 it is stored when this is answered."""

    accepted: bool
    receivers: Annotated[int, Meta(description="Clients and shared groups that it was for.")] = 0
    detail: Annotated[str, Meta(description="Why it was not accepted.")] = ""


class PublishedBatch(Output):
    """What became of each message, in the same order."""

    results: list[Published]


# Events.


class History(Output):
    """What has happened, the newest first."""

    items: list[Happened]
    next: Next


class RecentQuery(PageQuery):
    """Which of the events that are remembered."""

    kind: Annotated[tuple[str, ...], Meta(description="Only these kinds.")] = ()


class EventsQuery(Input):
    """Which events."""

    kind: Annotated[tuple[str, ...], Meta(description="Only these kinds.")] = ()
    client: Annotated[str, Meta(description="Only those of this client (``id``).")] = ""
