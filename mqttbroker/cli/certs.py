"""``mqttbroker certs``: certificates for development, and what is in those that there are.

For a broker that everybody may reach, a public authority is the better choice; nothing here talks to one.
"""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mqttbroker.cli.failure import fail, warn
from mqttbroker.logs import escape

if TYPE_CHECKING:
    from mqttbroker.certs import CertificateInfo

__all__ = ["certs"]

certs = typer.Typer(help="Make certificates for development and tests, and look at certificates.", no_args_is_help=True)

Directory = Annotated[Path, typer.Argument(metavar="DIR", help="Directory of the authority.", show_default=False)]
ClientName = Annotated[str, typer.Argument(metavar="NAME", help="Name of the client.", show_default=False)]
Days = Annotated[int, typer.Option("--days", min=1, max=36_500, help="How long the certificate is valid.")]

DEFAULT_DAYS = 825
"""As in ``mqttbroker.certs``, which is not loaded before it is needed."""
DAY = 86_400


@contextmanager
def _explained() -> Iterator[None]:
    """Turn what goes wrong into one line."""
    from mqttbroker.certs import CertificateError

    try:
        yield
    except (CertificateError, ValueError) as error:
        fail(error)


@certs.command()
def init(
    directory: Directory,
    name: Annotated[
        list[str] | None,
        typer.Option("--name", help="DNS name or IP address that clients connect to; may be repeated."),
    ] = None,
    days: Days = DEFAULT_DAYS,
    force: Annotated[
        bool, typer.Option("--force", help="Make a new authority; what the old one has signed counts no more.")
    ] = False,
) -> None:
    """Make an authority and a certificate for a broker on this machine.

    Where there is an authority already, only the broker's certificate is renewed, for the names that it had and those
    that are new; clients need not be told.
    """
    from mqttbroker.certs import CertificateDirectory, describe, parse_certificates, read_file

    made = CertificateDirectory(directory.absolute())
    with _explained():
        new = made.init(name or [], days, force)
        server = describe(made.server, parse_certificates(made.server, read_file(made.server))[0])
    if new:
        _say(f"{made.authority}: the authority; clients need it to know the broker")
        _say(f"{made.authority_key}: its key; whoever has it can pretend to be the broker or any client")
    _say(f"{made.server}: the broker's certificate, until {_date(server.not_after)}, for {', '.join(server.names)}")
    _say(f"{made.server_key}: its key")
    _say(f"{made.revocation_list}: the list of revoked client certificates")
    typer.echo(
        _CONFIGURATION.format(
            server=_quoted(made.server),
            server_key=_quoted(made.server_key),
            authority=_quoted(made.authority),
            revocation_list=_quoted(made.revocation_list),
            for_shell=shlex.quote(str(made.authority)),
        )
    )


_CONFIGURATION = """
Lines for the configuration (a broker that runs with this certificate takes the new one by itself):

    [[listeners]]
    name = "tls"
    host = "127.0.0.1"    # "0.0.0.0" for clients on other machines
    port = 8883

    [listeners.tls]
    certificate = {server}
    key = {server_key}
    # For clients with certificates (make one with: mqttbroker certs client DIR NAME):
    # client_certificates = "required"
    # client_ca = {authority}
    # crl = {revocation_list}

To try it:

    mosquitto_pub --cafile {for_shell} -h localhost -p 8883 -t test -m hello
"""


@certs.command()
def client(
    directory: Directory,
    name: ClientName,
    days: Days = DEFAULT_DAYS,
    force: Annotated[bool, typer.Option("--force", help="Replace the one that is there.")] = False,
) -> None:
    """Make a certificate for a client. Its common name is NAME, which may become its user name."""
    from mqttbroker.certs import CertificateDirectory

    with _explained():
        certificate, key = CertificateDirectory(directory).client(name, days, force)
    _say(f"{certificate}: the certificate of client {name!r}")
    _say(f"{key}: its key")


@certs.command()
def revoke(directory: Directory, name: ClientName) -> None:
    """Revoke all certificates of a client. A broker that runs with the list takes it by itself."""
    from mqttbroker.certs import CertificateDirectory

    made = CertificateDirectory(directory)
    with _explained():
        count = made.revoke(name)
    if count:
        _say(f"{made.revocation_list}: revoked client {name!r}, certificates: {count}")
    else:
        _say(f"{made.revocation_list}: client {name!r} was revoked before")


@certs.command()
def show(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="Files of certificates, or of revoked ones.", show_default=False),
    ],
) -> None:
    """Show what is in certificates, and how long they are valid."""
    from mqttbroker.certs import CertificateError

    failed = False
    for file in files:
        try:
            for line in _described(file):
                _say(line)
        except CertificateError as error:
            warn(error)
            failed = True
    if failed:
        raise typer.Exit(1)


def _described(file: Path) -> Iterator[str]:
    from mqttbroker.certs import describe, parse_certificates, parse_revocation_lists, read_file

    content = read_file(file)
    if b"-----BEGIN X509 CRL-----" in content:
        for revoked in parse_revocation_lists(file, content):
            yield f"{file}"
            yield f"  issuer   {revoked.issuer.rfc4514_string()}"
            yield f"  revoked  {len(revoked)}"
            if revoked.next_update_utc is not None:
                yield f"  valid    until {_until(revoked.next_update_utc.timestamp())}"
        return
    for certificate in parse_certificates(file, content):
        yield from _lines(describe(file, certificate))


def _lines(certificate: CertificateInfo) -> Iterator[str]:
    yield f"{certificate.file}"
    yield f"  subject  {certificate.subject}"
    yield f"  issuer   {certificate.issuer}"
    if certificate.names:
        yield f"  names    {', '.join(certificate.names)}"
    yield f"  valid    from {_date(certificate.not_before)} until {_until(certificate.not_after)}"
    yield f"  serial   {certificate.serial}"


def _until(moment: float) -> str:
    left = moment - time.time()
    days = int(abs(left) // DAY)
    return f"{_date(moment)}, {days} {'day' if days == 1 else 'days'} {'left' if left > 0 else 'ago'}"


def _date(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _quoted(path: Path) -> str:
    """Return a path as TOML writes it."""
    return json.dumps(str(path), ensure_ascii=False)


def _say(text: str) -> None:
    """Print a line. What stands in a certificate may come from strangers."""
    typer.echo(escape(text))
