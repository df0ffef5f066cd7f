"""``mqttbroker pub``: send a message, or one for each line of standard input. Options follow ``mosquitto_pub``."""

from __future__ import annotations

import asyncio
import queue
import sys
import threading
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Annotated, Final

import typer

from mqttbroker.cli.client import Client, open_client
from mqttbroker.cli.failure import fail
from mqttbroker.cli.options import (
    Connection,
    ConnectionOptions,
    QosOption,
    check_name,
    run,
    with_connection_options,
    wrong,
)
from mqttbroker.protocol import InvalidPacket, Publish, encode

__all__ = ["pub"]

LINES_AHEAD: Final = 256
"""Lines that are read from standard input before the first of them is sent."""
SENT_AHEAD: Final = 64
"""Messages that may wait for their acknowledgement while lines are read."""


@with_connection_options
def pub(
    topic: Annotated[str, typer.Option("--topic", "-t", help="Topic name.")],
    message: Annotated[str | None, typer.Option("--message", "-m", help="The payload.")] = None,
    file: Annotated[Path | None, typer.Option("--file", "-f", help="Send this file's contents.")] = None,
    null: Annotated[bool, typer.Option("--null-message", "-n", help="Send an empty payload.")] = False,
    lines: Annotated[bool, typer.Option("--stdin-line", "-l", help="Send each line of standard input.")] = False,
    stdin: Annotated[bool, typer.Option("--stdin-file", "-s", help="Send all of standard input as one.")] = False,
    qos: QosOption = 0,
    retain: Annotated[bool, typer.Option("--retain", "-r", help="Let the message be retained.")] = False,
    *,
    connection: ConnectionOptions,
) -> None:
    """Publish a message: one of -m, -f, -n, -l and -s says which. Help is --help, since -h is the host."""
    target = connection.read()
    if sum((message is not None, file is not None, null, lines, stdin)) != 1:
        wrong("expected one of -m, -f, -n, -l and -s", "-m")
    payload = _payload(message, file, stdin)
    packet = Publish(
        check_name(topic, "-t"),
        payload,
        qos,
        retain,
        packet_id=1 if qos else None,
        properties=target.properties["publish"],
    )
    try:
        encode(packet, target.connect.version)
    except InvalidPacket as error:
        wrong(str(error), "-t, -m or -D")
    run(_publish_lines(target, packet) if lines else _publish(target, packet))


def _payload(message: str | None, file: Path | None, stdin: bool) -> bytes:
    if message is not None:
        # What the shell passed on that is no UTF-8 goes out as it came.
        return message.encode("utf-8", "surrogateescape")
    if file is not None:
        try:
            return file.read_bytes()
        except OSError as error:
            fail(f"{file}: cannot be read: {error.strerror}")
    return sys.stdin.buffer.read() if stdin else b""


async def _publish(target: Connection, packet: Publish) -> None:
    async with open_client(target.endpoint, target.connect) as client:
        await client.publish(packet)


async def _publish_lines(target: Connection, packet: Publish) -> None:
    waiting: set[asyncio.Task[None]] = set()
    async with open_client(target.endpoint, target.connect) as client, aclosing(_lines(client)) as lines:
        try:
            async for line in lines:
                message = Publish(packet.topic, line, packet.qos, packet.retain, properties=packet.properties)
                if not packet.qos:
                    await client.publish(message)
                    continue
                # One after the other is sent; their acknowledgements may come later.
                waiting.add(asyncio.create_task(client.publish(message)))
                if len(waiting) >= SENT_AHEAD:
                    done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                    for task in done:
                        waiting.discard(task)
                        task.result()
            for task in list(waiting):
                await task
        finally:
            # After the first error, which is told, those of the others are of no interest.
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)


async def _lines(client: Client) -> AsyncGenerator[bytes, None]:
    """Yield the lines of standard input. A thread reads them, since a terminal or a pipe can be waited for no other
    way on all systems; it is a daemon, so that it cannot keep a finished process alive.
    """
    loop = asyncio.get_running_loop()
    waiting: queue.Queue[bytes | None] = queue.Queue(LINES_AHEAD)
    arrived = asyncio.Event()

    def hand_over(line: bytes | None) -> None:
        waiting.put(line)
        with suppress(RuntimeError):  # The loop has ended: nobody wants more lines.
            loop.call_soon_threadsafe(arrived.set)

    def read() -> None:
        with suppress(ValueError):  # Standard input was closed.
            for line in sys.stdin.buffer:
                hand_over(line.rstrip(b"\r\n"))
        hand_over(None)

    threading.Thread(target=read, name="stdin", daemon=True).start()
    while True:
        arrived.clear()
        try:
            line = waiting.get_nowait()
        except queue.Empty:
            await client.unless_lost(arrived.wait())
            continue
        if line is None:
            return
        yield line
