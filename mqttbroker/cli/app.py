"""The commands, and what ``mqttbroker`` alone shows."""

from __future__ import annotations

from typing import Annotated

import typer

import mqttbroker
from mqttbroker.cli.admin_password import admin_password
from mqttbroker.cli.bench import bench
from mqttbroker.cli.certs import certs
from mqttbroker.cli.clients import clients
from mqttbroker.cli.passwd import passwd
from mqttbroker.cli.properties import PropertyCommand
from mqttbroker.cli.publish import pub
from mqttbroker.cli.serve import check_config, serve
from mqttbroker.cli.store import store
from mqttbroker.cli.subscribe import sub
from mqttbroker.cli.top import top
from mqttbroker.cli.trace import trace

__all__ = ["app"]

app = typer.Typer(
    help="An MQTT 3.1, 3.1.1 and 5.0 broker, and tools to talk to one.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(serve)
app.command("check-config")(check_config)
app.command()(passwd)
app.command("admin-password")(admin_password)
app.add_typer(certs, name="certs")
app.add_typer(store, name="store")
app.command(cls=PropertyCommand)(pub)
app.command(cls=PropertyCommand)(sub)
app.command()(clients)
app.command()(top)
app.command()(trace)
app.command()(bench)


def _show_version(wanted: bool) -> None:
    if wanted:
        build = "compiled" if mqttbroker.is_compiled() else "pure Python"
        typer.echo(f"mqttbroker {mqttbroker.__version__} ({build})")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """An MQTT 3.1, 3.1.1 and 5.0 broker, and tools to talk to one."""
