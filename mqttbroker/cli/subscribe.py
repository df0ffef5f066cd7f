"""``mqttbroker sub``: print what arrives. Options and exit codes follow ``mosquitto_sub``."""

from __future__ import annotations

import asyncio
import sys
from typing import Annotated, BinaryIO, Final

import typer

from mqttbroker.cli.client import Client, ClientError, open_client
from mqttbroker.cli.failure import fail, warn
from mqttbroker.cli.options import (
    CleanSessionOption,
    ClientIdOption,
    ConnectionOptions,
    ExpiryOption,
    HostOption,
    KeepAliveOption,
    PasswordOption,
    PortOption,
    PropertyOption,
    QosOption,
    UserOption,
    VersionOption,
    WillPayloadOption,
    WillQosOption,
    WillRetainOption,
    WillTopicOption,
    check_filter,
    run,
    wrong,
)
from mqttbroker.cli.output import DEFAULT_FORMAT, VERBOSE_FORMAT, check_format, format_message
from mqttbroker.protocol import TEXT, Connect, InvalidPacket, Properties, Subscribe, SubscriptionRequest, encode
from mqttbroker.topics import filter_matches

__all__ = ["sub"]

TIMED_OUT: Final = 27
"""Exit code when the time of ``-W`` is over; the one of ``mosquitto_sub``."""


class Printer:
    """Writes messages to a stream, and knows when there have been enough."""

    def __init__(self, stream: BinaryIO, template: str, newline: bool, count: int, filter_out: list[str]) -> None:
        self._stream = stream
        self._template = template
        self._end = b"\n" if newline else b""
        self._left = count
        self._filter_out = filter_out
        self._terminal = stream.isatty()

    async def print_messages(self, client: Client) -> None:
        """Print until there have been enough; with no count, for ever."""
        while True:
            message = await client.next_message()
            shown = not any(filter_matches(topic_filter, message.topic) for topic_filter in self._filter_out)
            if shown:
                self._stream.write(format_message(self._template, message, self._terminal) + self._end)
                self._stream.flush()
            await client.acknowledge(message)
            if shown and self._left:
                self._left -= 1
                if not self._left:
                    return


def sub(
    topic: Annotated[list[str], typer.Option("--topic", "-t", help="Topic filter; may be repeated.")],
    host: HostOption = "localhost",
    port: PortOption = 1883,
    qos: QosOption = 0,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Print the topic before the payload.")] = False,
    count: Annotated[int, typer.Option("-C", min=0, help="Leave after so many messages; 0 for never.")] = 0,
    timeout: Annotated[float | None, typer.Option("-W", min=0, help="Leave after so many seconds, with 27.")] = None,
    output: Annotated[
        str | None,
        typer.Option("-F", help="Format: %t topic, %p payload, %q QoS, %r retain, %l length, %x %X hex, %j JSON."),
    ] = None,
    filter_out: Annotated[list[str] | None, typer.Option("--filter-out", "-T", help="Do not print these.")] = None,
    no_newline: Annotated[bool, typer.Option("-N", help="Print no line end after a message.")] = False,
    username: UserOption = None,
    password: PasswordOption = None,
    client_id: ClientIdOption = None,
    version: VersionOption = "5",
    keep_alive: KeepAliveOption = 60,
    disable_clean_session: CleanSessionOption = False,
    session_expiry: ExpiryOption = None,
    properties: PropertyOption = None,
    will_topic: WillTopicOption = None,
    will_payload: WillPayloadOption = "",
    will_qos: WillQosOption = 0,
    will_retain: WillRetainOption = False,
) -> None:
    """Subscribe, and print the messages that arrive. Help is --help, since -h is the host."""
    options = ConnectionOptions(
        host,
        port,
        username,
        password,
        client_id,
        version,
        keep_alive,
        disable_clean_session,
        session_expiry,
        properties or (),
        will_topic,
        will_payload,
        will_qos,
        will_retain,
    )
    connect, by_packet = options.read()
    template = output if output is not None else VERBOSE_FORMAT if verbose else DEFAULT_FORMAT
    try:
        check_format(template)
    except ValueError as error:
        wrong(str(error), "-F")
    subscribe = Subscribe(
        1, tuple(SubscriptionRequest(check_filter(each, "-t"), qos) for each in topic), by_packet["subscribe"]
    )
    try:
        encode(subscribe, connect.version)
    except InvalidPacket as error:
        wrong(str(error), "-t or -D")
    hidden = [check_filter(each, "-T") for each in filter_out or ()]
    printer = Printer(sys.stdout.buffer, template, not no_newline, count, hidden)
    run(_subscribe(host, port, connect, subscribe.subscriptions, subscribe.properties, printer, timeout))


async def _subscribe(
    host: str,
    port: int,
    connect: Connect,
    subscriptions: tuple[SubscriptionRequest, ...],
    properties: Properties,
    printer: Printer,
    timeout: float | None,
) -> None:
    async with open_client(host, port, connect) as client:
        reasons = await client.subscribe(subscriptions, properties)
        refused = [
            f"{request.topic_filter}: {TEXT[reason]} (0x{reason:02X})"
            for request, reason in zip(subscriptions, reasons, strict=False)
            if reason >= 0x80
        ]
        if len(refused) == len(subscriptions):
            raise ClientError(f"the subscription was refused: {', '.join(refused)}")
        for each in refused:
            warn(f"this subscription was refused: {each}")
        try:
            async with asyncio.timeout(timeout):
                await printer.print_messages(client)
            return
        except TimeoutError:
            pass  # Leave as usual, with a DISCONNECT.
    fail(f"{timeout:g} seconds are over", TIMED_OUT)
