"""``mqttbroker admin-password``: a new password for somebody who is locked out of the admin server."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Annotated

import typer

from mqttbroker.cli.failure import fail

__all__ = ["admin_password"]


def admin_password(
    name: Annotated[str, typer.Argument(help="The account.")] = "admin",
    data_dir: Annotated[
        Path | None, typer.Option("--data-dir", help="The broker's data directory, where the accounts are. [data]")
    ] = None,
    accounts: Annotated[
        Path | None, typer.Option("--accounts", help="The file of the accounts, where it is elsewhere.")
    ] = None,
) -> None:
    """Give an account of the admin server a new, random password, and show it.

    A broker that runs goes on with the old one until it is told to reload (SIGHUP) or started again.
    """
    from mqttbroker.admin.accounts import ACCOUNTS_FILE, Accounts
    from mqttbroker.security import SecurityError

    if data_dir is not None and accounts is not None:
        fail("give either --data-dir or --accounts")
    file = accounts if accounts is not None else (data_dir or Path("data")) / ACCOUNTS_FILE
    if not file.exists():
        fail(f"{file}: is not there; a broker makes it when it is started for the first time")
    try:
        found = Accounts(file)
        role = found.roles.get(name)
        if role is None:
            fail(f"{file}: there is no account {name!r}, but {', '.join(map(repr, sorted(found.roles)))}")
        password = secrets.token_urlsafe(15)
        found.set_password(name, password, role)
        found.save()
    except SecurityError as error:
        fail(error)
    typer.echo(f"Account:  {name}\nPassword: {password}")
    typer.echo("It is shown only now. A broker that runs takes it with SIGHUP, or when it is started again.")
