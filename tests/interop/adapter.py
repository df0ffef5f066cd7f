"""What every client library can do, in one vocabulary, so that one suite serves them all.

An :class:`Adapter` stands for one client with one client identifier. It may connect, lose its connection and
connect again. All its waits are bounded by :data:`TIMEOUT`. Messages are compared whole, so an adapter must
fill in each field that its library shows.
"""

from __future__ import annotations

import ssl
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import ClassVar

from mqttbroker.protocol import ProtocolVersion

__all__ = ["SESSION_EXPIRY_INTERVAL", "TIMEOUT", "Adapter", "Clock", "Endpoint", "Feature", "Message", "Scheme"]

TIMEOUT = 10.0
"""Seconds after which any wait for a client library gives up."""

SESSION_EXPIRY_INTERVAL = 300
"""Seconds for which a persistent MQTT 5 session is to be kept."""


class Feature(Enum):
    """What not every library can do, or not every library tells."""

    SESSION_PRESENT = auto()
    """Tells whether the broker resumed a session."""
    UNSUBSCRIBE = auto()
    """Can unsubscribe without reconnecting."""
    CONNECT_ALONE = auto()
    """Connects without subscribing."""
    PUBLISH_WHILE_CONNECTED = auto()
    """Publishes on the same connection that receives."""
    NORMAL_DISCONNECT = auto()
    """Says a DISCONNECT that removes the will."""
    NO_LOCAL = auto()
    TOPIC_ALIAS = auto()
    """Can send a PUBLISH with a topic alias instead of a topic name."""
    RECEIVES_TOPIC_ALIAS = auto()
    """Takes messages whose topic the broker has replaced by an alias."""
    PUBLISH_REASON = auto()
    """Tells the reason code of PUBACK or PUBREC."""
    DISCONNECT_REASON = auto()
    """Tells the reason code of a DISCONNECT from the broker."""
    WILL_PROPERTIES = auto()


Clock = Callable[[float], None]
"""Lets this many seconds pass for the broker."""


class Scheme(Enum):
    """What carries the packets, as URLs have it: TCP, TLS, WebSocket with and without TLS, a Unix socket."""

    MQTT = "mqtt"
    MQTTS = "mqtts"
    WS = "ws"
    WSS = "wss"
    UNIX = "mqtt+unix"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the broker listens, and how a client gets there."""

    host: str
    """Also the path of a Unix socket."""
    port: int
    """1 or more, since some libraries want to be told a port of a Unix socket too."""
    scheme: Scheme = Scheme.MQTT
    ca: Path | None = None
    """What the broker's certificate was signed with, where the transport is encrypted."""
    certificate: Path | None = None
    """The certificate that the client shows."""
    key: Path | None = None
    source: str = ""
    """The address that the client connects from, if it can choose."""

    @property
    def is_encrypted(self) -> bool:
        """Whether the transport is, or is inside of, TLS."""
        return self.scheme in (Scheme.MQTTS, Scheme.WSS)

    @property
    def is_websocket(self) -> bool:
        """Whether the transport is WebSocket, with or without TLS."""
        return self.scheme in (Scheme.WS, Scheme.WSS)

    def tls_context(self) -> ssl.SSLContext | None:
        """What a client in Python needs where the transport is encrypted."""
        if not self.is_encrypted:
            return None
        context = ssl.create_default_context(cafile=self.ca)
        if self.certificate is not None:
            context.load_cert_chain(self.certificate, self.key)
        return context


@dataclass(frozen=True, slots=True)
class Message:
    """A message as an application sees it. The fields after ``retain`` exist in MQTT 5 only."""

    topic: str
    payload: bytes = b""
    qos: int = 0
    retain: bool = False
    content_type: str | None = None
    response_topic: str | None = None
    correlation_data: bytes | None = None
    message_expiry_interval: int | None = None
    payload_format_indicator: int | None = None
    user_properties: tuple[tuple[str, str], ...] = ()
    subscription_identifiers: tuple[int, ...] = ()
    topic_alias: int | None = None
    """For sending only."""


class Adapter(ABC):
    """One client of some library. Made by the ``client`` fixture, which also closes it."""

    name: ClassVar[str]
    versions: ClassVar[tuple[ProtocolVersion, ...]]
    schemes: ClassVar[frozenset[Scheme]] = frozenset(Scheme)
    features: ClassVar[frozenset[Feature]] = frozenset(Feature)

    def __init__(self, endpoint: Endpoint, version: ProtocolVersion, client_id: str) -> None:
        self.endpoint = endpoint
        self.version = version
        self.client_id = client_id

    @property
    def is_five(self) -> bool:
        """Whether this client speaks MQTT 5."""
        return self.version is ProtocolVersion.V5

    def tells(self, feature: Feature) -> bool:
        """Whether the library has this feature, and this version of the protocol too."""
        if feature is Feature.SESSION_PRESENT and self.version is ProtocolVersion.V31:
            return False
        return feature in self.features

    @abstractmethod
    async def connect(
        self, *, persistent: bool = False, will: Message | None = None, topic_alias_maximum: int = 0
    ) -> bool | None:
        """Connect, resuming the session if ``persistent``.

        Returns Session Present, or None where the library does not tell.
        """

    @abstractmethod
    async def subscribe(
        self, topic_filter: str, qos: int = 0, *, no_local: bool = False, identifier: int | None = None
    ) -> int:
        """Subscribe and return the reason code of the SUBACK."""

    @abstractmethod
    async def unsubscribe(self, topic_filter: str) -> None:
        """Unsubscribe and wait for the UNSUBACK."""

    @abstractmethod
    async def publish(self, message: Message) -> int | None:
        """Publish and wait for the end of the exchange. Returns the reason code where the library tells it."""

    @abstractmethod
    async def next_message(self) -> Message:
        """Return the next message received. Raises :class:`TimeoutError`."""

    @abstractmethod
    async def disconnect(self) -> None:
        """Say DISCONNECT and close the connection."""

    @abstractmethod
    async def kill(self) -> None:
        """Cut the connection without a DISCONNECT, as when the process dies."""

    @abstractmethod
    async def close(self) -> None:
        """Give back everything that the client holds, in whatever state it is."""

    async def disconnect_reason(self) -> int:
        """Wait until the broker has ended the connection and return the reason code that it gave."""
        raise NotImplementedError
