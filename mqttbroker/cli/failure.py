"""How a command fails: one line for a person on standard error, and an exit code, 1 unless there is a better one."""

from __future__ import annotations

from typing import NoReturn

import typer

from mqttbroker.logs import escape

__all__ = ["fail", "warn"]


def fail(message: object, code: int = 1) -> NoReturn:
    """Print the message, made safe for a terminal, and leave."""
    warn(message)
    raise typer.Exit(code)


def warn(message: object) -> None:
    """Print the message, made safe for a terminal."""
    typer.echo(f"mqttbroker: {escape(str(message))}", err=True)
