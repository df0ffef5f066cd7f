"""``mqttbroker sub``: print what arrives. Options and exit codes follow ``mosquitto_sub``."""

from __future__ import annotations

import asyncio
import sys
from typing import Annotated, BinaryIO, Final

import typer

from mqttbroker.cli.client import Client, open_client
from mqttbroker.cli.endpoint import ClientError
from mqttbroker.cli.failure import fail, warn
from mqttbroker.cli.options import (
    Connection,
    ConnectionOptions,
    QosOption,
    check_filter,
    run,
    with_connection_options,
    wrong,
)
from mqttbroker.cli.output import DEFAULT_FORMAT, VERBOSE_FORMAT, check_format, format_message
from mqttbroker.protocol import TEXT, InvalidPacket, Subscribe, SubscriptionRequest, encode
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


@with_connection_options
def sub(
    topic: Annotated[list[str], typer.Option("--topic", "-t", help="Topic filter; may be repeated.")],
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
    *,
    connection: ConnectionOptions,
) -> None:
    """Subscribe, and print the messages that arrive. Help is --help, since -h is the host."""
    target = connection.read()
    template = output if output is not None else VERBOSE_FORMAT if verbose else DEFAULT_FORMAT
    try:
        check_format(template)
    except ValueError as error:
        wrong(str(error), "-F")
    requests = tuple(SubscriptionRequest(check_filter(each, "-t"), qos) for each in topic)
    subscribe = Subscribe(1, requests, target.properties["subscribe"])
    try:
        encode(subscribe, target.connect.version)
    except InvalidPacket as error:
        wrong(str(error), "-t or -D")
    hidden = [check_filter(each, "-T") for each in filter_out or ()]
    printer = Printer(sys.stdout.buffer, template, not no_newline, count, hidden)
    run(_subscribe(target, subscribe, printer, timeout))


async def _subscribe(target: Connection, wanted: Subscribe, printer: Printer, timeout: float | None) -> None:
    async with open_client(target.endpoint, target.connect) as client:
        reasons = await client.subscribe(wanted.subscriptions, wanted.properties)
        refused = [
            f"{request.topic_filter}: {TEXT[reason]} (0x{reason:02X})"
            for request, reason in zip(wanted.subscriptions, reasons, strict=False)
            if reason >= 0x80
        ]
        if len(refused) == len(wanted.subscriptions):
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
