"""``mqttbroker passwd``: users of a password file, added, changed and removed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from mqttbroker.cli.failure import fail

__all__ = ["passwd"]


def passwd(
    file: Annotated[Path, typer.Argument(help="Password file; made if it is not there.", show_default=False)],
    user: Annotated[str, typer.Argument(help="User name.", show_default=False)],
    delete: Annotated[bool, typer.Option("--delete", help="Remove the user.")] = False,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input, up to the end of its line.")
    ] = False,
) -> None:
    """Set the password of a user, or remove the user. Without --password-stdin the password is asked for."""
    from mqttbroker.security import PasswordFile, SecurityError

    try:
        users = PasswordFile.load(file, allow_empty=True) if file.exists() else PasswordFile(file)
        if delete:
            if not users.delete(user):
                fail(f"{file}: there is no user {user!r}")
        else:
            users.set(user, _read_password(password_stdin))
        users.save()
    except (SecurityError, ValueError) as error:
        fail(error)
    typer.echo(f"{file}: {'removed' if delete else 'set the password of'} user {user!r}")


def _read_password(from_stdin: bool) -> bytes:
    if not from_stdin:
        entered: str = typer.prompt("Password", hide_input=True, confirmation_prompt="The same again", err=True)
        return entered.encode()
    password = sys.stdin.buffer.readline().rstrip(b"\r\n")
    if not password:
        fail("there is no password on standard input")
    return password
