"""``mqttbroker clients``: who is connected to a running broker."""

from __future__ import annotations

import json
import shutil
import sys
import time
from typing import Annotated, Any

import typer

from mqttbroker.broker import ClientOrder
from mqttbroker.cli.admin_client import (
    AdminClient,
    AdminError,
    CafileOption,
    DataDirOption,
    TokenFileOption,
    UrlOption,
    access,
)
from mqttbroker.cli.columns import Column, ago, rows_of, size
from mqttbroker.cli.failure import fail

__all__ = ["CLIENT_COLUMNS", "client_row", "clients"]

PAGE = 500

CLIENT_COLUMNS = (
    Column("CLIENT", most=32),
    Column("RECEIVED", number=True),
    Column("SENT", number=True),
    Column("QUEUED", number=True),
    Column("IN FLIGHT", number=True),
    Column("OWED", number=True),
    Column("LOST", number=True),
    Column("SUBSCR.", number=True),
    Column("HEARD", number=True),
    Column("CONNECTED", number=True),
    Column("ADDRESS", most=24),
    Column("USER", most=16),
    Column("MQTT"),
    Column("LISTENER", most=12),
)


def clients(
    search: Annotated[str, typer.Option("--search", help="Part of identifier, user name or address.")] = "",
    sort: Annotated[
        ClientOrder, typer.Option("--sort", help="By what; where it is a figure, the greatest first.")
    ] = "client_id",
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many, at most.")] = 100,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object for each line, with all there is.")] = False,
    url: UrlOption = None,
    token_file: TokenFileOption = None,
    data_dir: DataDirOption = None,
    cafile: CafileOption = None,
) -> None:
    """Show who is connected to a running broker."""
    try:
        client = AdminClient(access(url, token_file, data_dir), cafile)
        found, total = _fetch(client, search, sort, limit)
    except AdminError as error:
        fail(error)
    if as_json:
        for each in found:
            typer.echo(json.dumps(each))
        return
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    now = time.time()
    for line in rows_of(CLIENT_COLUMNS, [client_row(each, now) for each in found], width):
        typer.echo(line)
    if len(found) < total:
        typer.echo(f"{len(found):,} of {total:,} clients", err=True)


def client_row(client: dict[str, Any], now: float, traffic: tuple[str, str] | None = None) -> list[str]:
    """A client, in the order of :data:`CLIENT_COLUMNS`; ``traffic`` is what came from it and went to it, if that is not
    to be the bytes since it connected.
    """
    traffic = traffic or (size(client["received_bytes"]), size(client["sent_bytes"]))
    return [
        client["client_id"],
        *traffic,
        f"{client['queued']:,}",
        f"{client['inflight']:,}",
        size(client["owed_bytes"]),
        f"{client['dropped']:,}",
        f"{client['subscriptions']:,}",
        ago(client["last_received"], now),
        ago(client["connected_at"], now),
        client["address"],
        client["username"] or "",
        client["version"],
        client["listener"],
    ]


def _fetch(client: AdminClient, search: str, sort: ClientOrder, limit: int) -> tuple[list[dict[str, Any]], int]:
    """The first clients in that order, and how many there are."""
    found: list[dict[str, Any]] = []
    after: str | None = None
    while True:
        page = client.get(
            "clients",
            search=search or None,
            sort=sort,
            descending="false" if sort == "client_id" else "true",
            limit=min(PAGE, limit - len(found)),
            after=after,
        )
        found += page["items"]
        after = page["next"]
        if after is None or len(found) >= limit:
            return found, len(found) if search else int(page["total"])
