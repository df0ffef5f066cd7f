"""What ``pub`` and ``sub`` have in common: where to connect, as whom, and with which Will.

The options are those of ``mosquitto_pub`` and ``mosquitto_sub``, so that ``-h`` is the host and help is ``--help``.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import os
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn

import typer

from mqttbroker.cli.endpoint import PLAIN_PORT, TLS_PORT, ClientError, Endpoint, Tls
from mqttbroker.cli.failure import fail
from mqttbroker.cli.properties import parse_properties
from mqttbroker.protocol import Connect, InvalidPacket, Properties, ProtocolVersion, Will, encode
from mqttbroker.topics import InvalidTopicFilter, InvalidTopicName, check_topic_filter, check_topic_name

__all__ = [
    "Connection",
    "ConnectionOptions",
    "QosOption",
    "check_filter",
    "check_name",
    "run",
    "with_connection_options",
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

QosOption = Annotated[int, typer.Option("--qos", "-q", min=0, max=2, help="Quality of service.")]


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
class Connection:
    """What the options come to."""

    endpoint: Endpoint
    connect: Connect
    properties: Mapping[str, Properties]
    """Of each packet, by its name in lower case."""


@dataclass(frozen=True, slots=True)
class ConnectionOptions:
    """The options of a connection, as they were given: each field is one. A command gets them by
    :func:`with_connection_options`.
    """

    host: Annotated[
        str | None, typer.Option("--host", "-h", help="The broker's host name or address. (default: localhost)")
    ] = None
    port: Annotated[
        int | None,
        typer.Option("--port", "-p", min=1, max=65_535, help=f"Its port. (default: {PLAIN_PORT}, with TLS {TLS_PORT})"),
    ] = None
    unix: Annotated[
        Path | None, typer.Option("--unix", help="Path of the broker's Unix socket, in the place of host and port.")
    ] = None
    cafile: Annotated[
        Path | None,
        typer.Option("--cafile", help="Use TLS, and trust the authorities whose certificates are in this PEM file."),
    ] = None
    tls_use_os_certs: Annotated[
        bool, typer.Option("--tls-use-os-certs", help="Use TLS, and trust the authorities of the system.")
    ] = False
    cert: Annotated[Path | None, typer.Option("--cert", help="Client certificate, a PEM file.")] = None
    key: Annotated[Path | None, typer.Option("--key", help="The client certificate's key, a PEM file.")] = None
    insecure: Annotated[
        bool,
        typer.Option(
            "--insecure",
            help="Do not check that the broker's certificate is for this host: "
            "whoever has one of the same authority can pretend to be the broker.",
        ),
    ] = False
    username: Annotated[str | None, typer.Option("--username", "-u", help="User name.")] = None
    password: Annotated[
        str | None, typer.Option("--pw", "-P", help="Password. Other users of this machine can see it while this runs.")
    ] = None
    client_id: Annotated[str | None, typer.Option("--id", "-i", help="Client identifier; the broker's choice.")] = None
    version: Annotated[
        str,
        typer.Option("--protocol-version", "-V", metavar="5|311|31", help="MQTT version; mqttv5 and so on do as well."),
    ] = "5"
    keep_alive: Annotated[
        int, typer.Option("--keepalive", "-k", min=0, max=65_535, help="Keep Alive in seconds, 0 for none.")
    ] = 60
    resume: Annotated[
        bool, typer.Option("--disable-clean-session", "-c", help="Take up a session, and leave it behind. Needs -i.")
    ] = False
    session_expiry: Annotated[
        int | None,
        typer.Option(
            "--session-expiry-interval",
            "-x",
            help="Seconds that the session lasts, -1 for ever. (default: with -c -1, else 0)",
        ),
    ] = None
    property_words: Annotated[
        list[str] | None,
        typer.Option(
            "--property", "-D", metavar="PACKET NAME VALUE", help="Property, e.g. -D publish content-type text/plain."
        ),
    ] = None
    will_topic: Annotated[str | None, typer.Option("--will-topic", help="Topic of a Will.")] = None
    will_payload: Annotated[str, typer.Option("--will-payload", help="Payload of the Will.")] = ""
    will_qos: Annotated[int, typer.Option("--will-qos", min=0, max=2, help="Quality of service of the Will.")] = 0
    will_retain: Annotated[bool, typer.Option("--will-retain", help="Let the Will be retained.")] = False

    def read(self) -> Connection:
        """Return what they come to. Leave with exit code 2 if they cannot be so."""
        endpoint = self._endpoint()
        version = _VERSIONS.get(self.version.lower())
        if version is None:
            wrong(f"expected one of {', '.join(_VERSIONS)}, got {self.version!r}", "-V")
        if self.property_words and version is not ProtocolVersion.V5:
            wrong("properties need MQTT 5", "-D")
        if self.session_expiry is not None and version is not ProtocolVersion.V5:
            wrong("needs MQTT 5", "-x")
        if self.resume and not self.client_id:
            wrong("a session that lasts needs a client identifier (-i)", "-c")
        properties = parse_properties(self.property_words or ())
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
        return Connection(endpoint, connect, properties)

    def _endpoint(self) -> Endpoint:
        uses_tls = self.cafile is not None or self.tls_use_os_certs
        if not uses_tls:
            for option, given in (("--cert", self.cert), ("--key", self.key), ("--insecure", self.insecure)):
                if given:
                    wrong("needs TLS: --cafile or --tls-use-os-certs", option)
        if (self.cert is None) != (self.key is None):
            wrong("a certificate and its key belong together", "--cert and --key")
        if self.unix is not None:
            if self.host is not None or self.port is not None or uses_tls:
                wrong("cannot be together with --host, --port and TLS", "--unix")
            return Endpoint(path=self.unix)
        host = "localhost" if self.host is None else self.host
        if not host:
            wrong("expected a name or an address", "--host")
        port = self.port or (TLS_PORT if uses_tls else PLAIN_PORT)
        tls = Tls(self.cafile, self.tls_use_os_certs, self.cert, self.key, not self.insecure) if uses_tls else None
        return Endpoint(host, port, tls=tls)

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


def with_connection_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of :class:`ConnectionOptions`, behind its own. It takes them as one parameter,
    ``connection``.

    typer makes an option of each parameter in a function's signature. So what it gets is a function whose signature has
    the fields of the class in the place of ``connection``.
    """
    own = dict(inspect.signature(command, eval_str=True).parameters)
    del own["connection"]
    shared = inspect.signature(ConnectionOptions, eval_str=True).parameters

    @functools.wraps(command)
    def with_connection(**given: Any) -> None:
        connection = ConnectionOptions(**{name: given.pop(name) for name in shared})
        command(connection=connection, **given)

    # They are given by name, so that one without a default may follow one that has it.
    by_name = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in (*own.values(), *shared.values())]
    with_connection.__signature__ = inspect.Signature(by_name)  # type: ignore[attr-defined]
    return with_connection


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
