"""What ``pub`` and ``sub`` have in common: where to connect, as whom, and with which Will.

The options are those of ``mosquitto_pub`` and ``mosquitto_sub``, so that ``-h`` is the host and help is ``--help``.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Annotated, Any, Final, NoReturn

import typer

from mqttbroker.cli.client import ClientError
from mqttbroker.cli.failure import fail
from mqttbroker.cli.properties import parse_properties
from mqttbroker.protocol import Connect, InvalidPacket, Properties, ProtocolVersion, Will, encode
from mqttbroker.topics import InvalidTopicFilter, InvalidTopicName, check_topic_filter, check_topic_name

__all__ = [
    "CleanSessionOption",
    "ClientIdOption",
    "ConnectionOptions",
    "ExpiryOption",
    "HostOption",
    "KeepAliveOption",
    "PasswordOption",
    "PortOption",
    "PropertyOption",
    "QosOption",
    "UserOption",
    "VersionOption",
    "WillPayloadOption",
    "WillQosOption",
    "WillRetainOption",
    "WillTopicOption",
    "check_filter",
    "check_name",
    "run",
    "wrong",
]

_VERSIONS: Final = {
    "5": ProtocolVersion.V5,
    "mqttv5": ProtocolVersion.V5,
    "311": ProtocolVersion.V311,
    "mqttv311": ProtocolVersion.V311,
    "3.1.1": ProtocolVersion.V311,
    "31": ProtocolVersion.V31,
    "mqttv31": ProtocolVersion.V31,
    "3.1": ProtocolVersion.V31,
}
_FOR_EVER: Final = 0xFFFF_FFFF

HostOption = Annotated[str, typer.Option("--host", "-h", help="The broker's host name or address.")]
PortOption = Annotated[int, typer.Option("--port", "-p", min=1, max=65_535, help="The broker's port.")]
UserOption = Annotated[str | None, typer.Option("--username", "-u", help="User name.")]
PasswordOption = Annotated[
    str | None, typer.Option("--pw", "-P", help="Password. Other users of this machine can see it while this runs.")
]
ClientIdOption = Annotated[str | None, typer.Option("--id", "-i", help="Client identifier; the broker's choice.")]
VersionOption = Annotated[
    str, typer.Option("--protocol-version", "-V", metavar="5|311|31", help="MQTT version, also as mqttv5 and so on.")
]
KeepAliveOption = Annotated[
    int, typer.Option("--keepalive", "-k", min=0, max=65_535, help="Keep Alive in seconds, 0 for none.")
]
CleanSessionOption = Annotated[
    bool, typer.Option("--disable-clean-session", "-c", help="Take up a session, and leave it behind. Needs -i.")
]
ExpiryOption = Annotated[
    int | None,
    typer.Option(
        "--session-expiry-interval", "-x", help="Seconds that the session lasts, -1 for ever. [with -c: -1, else 0]"
    ),
]
QosOption = Annotated[int, typer.Option("--qos", "-q", min=0, max=2, help="Quality of service.")]
PropertyOption = Annotated[
    list[str] | None,
    typer.Option(
        "--property", "-D", metavar="PACKET NAME VALUE", help="Property, e.g. -D publish content-type text/plain."
    ),
]
WillTopicOption = Annotated[str | None, typer.Option("--will-topic", help="Topic of a Will.")]
WillPayloadOption = Annotated[str, typer.Option("--will-payload", help="Payload of the Will.")]
WillQosOption = Annotated[int, typer.Option("--will-qos", min=0, max=2, help="Quality of service of the Will.")]
WillRetainOption = Annotated[bool, typer.Option("--will-retain", help="Let the Will be retained.")]


def wrong(message: str, option: str) -> NoReturn:
    """Say that an option cannot be so: exit code 2."""
    raise typer.BadParameter(message, param_hint=option)


def check_name(topic: str, option: str) -> str:
    """Return a topic name, if it is one."""
    try:
        check_topic_name(topic)
    except InvalidTopicName as error:
        wrong(str(error), option)
    return topic


def check_filter(topic_filter: str, option: str) -> str:
    """Return a topic filter, if it is one."""
    try:
        check_topic_filter(topic_filter)
    except InvalidTopicFilter as error:
        wrong(str(error), option)
    return topic_filter


@dataclass(frozen=True, slots=True)
class ConnectionOptions:
    """The options of a connection, as they were given."""

    host: str
    port: int
    username: str | None
    password: str | None
    client_id: str | None
    version: str
    keep_alive: int
    resume: bool
    session_expiry: int | None
    properties: Sequence[str]
    will_topic: str | None
    will_payload: str
    will_qos: int
    will_retain: bool

    def read(self) -> tuple[Connect, dict[str, Properties]]:
        """Return the CONNECT and the properties of each packet. Leave with exit code 2 if they cannot be so."""
        version = _VERSIONS.get(self.version.lower())
        if version is None:
            wrong(f"expected one of {', '.join(_VERSIONS)}, got {self.version!r}", "-V")
        if self.properties and version is not ProtocolVersion.V5:
            wrong("properties need MQTT 5", "-D")
        if self.session_expiry is not None and version is not ProtocolVersion.V5:
            wrong("needs MQTT 5", "-x")
        if self.resume and not self.client_id:
            wrong("a session that lasts needs a client identifier (-i)", "-c")
        properties = parse_properties(self.properties)
        connect = Connect(
            client_id=self._client_id(version),
            version=version,
            clean_start=not self.resume,
            keep_alive=self.keep_alive,
            username=self.username,
            password=None if self.password is None else self.password.encode(),
            will=self._will(properties["will"]),
            properties=self._connect_properties(version, properties["connect"]),
        )
        try:
            encode(connect, version)
        except InvalidPacket as error:
            wrong(str(error), "connection options")
        return connect, properties

    def _client_id(self, version: ProtocolVersion) -> str:
        if self.client_id is not None:
            return self.client_id
        # MQTT 3.1 has no empty client identifier.
        return f"mqttbroker-{os.getpid()}" if version is ProtocolVersion.V31 else ""

    def _will(self, properties: Properties) -> Will | None:
        if self.will_topic is None:
            return None
        topic = check_name(self.will_topic, "--will-topic")
        return Will(topic, self.will_payload.encode(), self.will_qos, self.will_retain, properties)

    def _connect_properties(self, version: ProtocolVersion, properties: Properties) -> Properties:
        expiry = self.session_expiry
        if expiry is None and self.resume and version is ProtocolVersion.V5:
            # As in mosquitto_sub; one that was given with -D counts.
            expiry = _FOR_EVER if properties.session_expiry_interval is None else None
        if expiry is None:
            return properties
        return replace(properties, session_expiry_interval=_FOR_EVER if expiry == -1 else expiry)


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run a client to its end; whatever ends it early becomes one line and an exit code."""
    try:
        asyncio.run(main)
    except ClientError as error:
        fail(error)
    except BrokenPipeError:
        # Whoever read our output has left, as in `mqttbroker sub ... | head -1`. That is no failure, and the
        # interpreter must not try to flush the rest.
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
