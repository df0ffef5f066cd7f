"""How a command fails: one line for a person on standard error, and exit code 1."""

from __future__ import annotations

from typing import NoReturn

import typer

from mqttbroker.logs import escape

__all__ = ["fail"]


def fail(message: object, code: int = 1) -> NoReturn:
    """Print the message, made safe for a terminal, and leave."""
    typer.echo(f"mqttbroker: {escape(str(message))}", err=True)
    raise typer.Exit(code)
