"""``mqttbroker trace``: packets of a client, of a topic or from an address of a running broker, as they come."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from mqttbroker.cli.admin_client import (
    AdminClient,
    AdminError,
    CafileOption,
    DataDirOption,
    TokenFileOption,
    UrlOption,
    access,
)
from mqttbroker.cli.failure import fail
from mqttbroker.cli.trace_output import shown

__all__ = ["trace"]

SPARE = 30.0
"""Seconds after the end of a trace within which its last line must have come."""


def trace(
    client: Annotated[str | None, typer.Option("--client", help="Client identifier; connected or not.")] = None,
    topic: Annotated[str | None, typer.Option("--topic", help="Topic filter. All connections are read for it.")] = None,
    address: Annotated[str | None, typer.Option("--address", help="IP address, or network: 192.0.2.0/24.")] = None,
    seconds: Annotated[int, typer.Option("--seconds", min=1, max=3_600, help="For how long.")] = 300,
    packets: Annotated[int, typer.Option("--packets", min=1, max=1_000_000, help="How many, at most.")] = 10_000,
    payload: Annotated[int, typer.Option("--payload", min=0, max=65_536, help="Bytes shown of each payload.")] = 256,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object for each line, with all fields.")] = False,
    url: UrlOption = None,
    token_file: TokenFileOption = None,
    data_dir: DataDirOption = None,
    cafile: CafileOption = None,
) -> None:
    """Show the packets of a client, of a topic, or from an address, as they come; give one of the three.

    "->" is from the client, "<-" to it. Passwords are never shown. Ctrl-C ends it.
    """
    if sum(each is not None for each in (client, topic, address)) != 1:
        raise typer.BadParameter("give one of --client, --topic and --address")
    query = {"client": client, "topic": topic, "address": address}
    try:
        asked = AdminClient(access(url, token_file, data_dir), cafile)
        lines = asked.lines(
            "trace", seconds + SPARE, **query, seconds=seconds, packets=packets, payload=payload, format="jsonl"
        )
        for line in lines:
            if as_json:
                typer.echo(json.dumps(line))
            elif line["kind"] == "begin":
                typer.echo(f"Tracing for up to {seconds} s or {packets:,} packets; Ctrl-C ends it.", err=True)
            elif line["kind"] == "end":
                typer.echo(shown(line), err=True)
            else:
                typer.echo(shown(line))
            sys.stdout.flush()
    except AdminError as error:
        fail(error)
    except KeyboardInterrupt:
        raise typer.Exit(0) from None
