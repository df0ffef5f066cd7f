"""``mqttbroker store``: what an operator does with the files of a broker. ``docs/storage.md`` explains them."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from mqttbroker.cli.failure import fail

__all__ = ["store"]

store = typer.Typer(
    help="Look at, verify, back up, restore, compact, export and import a broker's files.", no_args_is_help=True
)

DataDir = Annotated[Path, typer.Argument(help="The broker's data directory.", show_default=False)]


@contextmanager
def _explained() -> Iterator[None]:
    """Turn what goes wrong into one line."""
    from mqttbroker.storage import StoreError

    try:
        yield
    except StoreError as error:
        fail(error)
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}" if error.filename else error)


@contextmanager
def _busy(what: str) -> Iterator[None]:
    """Show on a terminal that something takes its time."""
    from rich.console import Console

    with Console(stderr=True).status(f"{what} ..."):
        yield


def _counted(lines: Iterable[str], what: str) -> Iterator[str]:
    """Show on a terminal how many lines have passed."""
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TextColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), MofNCompleteColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        yield from bars.track(lines, total=None, description=what)


@store.command()
def stats(data_dir: DataDir, as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False) -> None:
    """Show what is in the store, also of a running broker."""
    from mqttbroker.storage.lmdb.maintenance import statistics

    with _explained():
        found = statistics(data_dir)
    if as_json:
        import json

        typer.echo(json.dumps(asdict(found)))
        return
    typer.echo(f"file                {found.file_size:>14,} bytes, of which {found.used:,} in use")
    typer.echo(f"layout              {found.schema:>14}")
    typer.echo(f"sessions            {found.sessions:>14,}")
    typer.echo(f"subscriptions       {found.subscriptions:>14,}")
    typer.echo(f"queued messages     {found.queued:>14,}, {found.queued_size:,} bytes")
    typer.echo(f"retained messages   {found.retained:>14,}")
    typer.echo(f"wills               {found.wills:>14,}")
    typer.echo(f"ended sessions      {found.doomed:>14,} whose queues are being deleted")
    typer.echo(f"damaged records     {found.quarantined:>14,} set aside")
    for client_id, count, size in found.largest:
        typer.echo(f"queue of {client_id!r}: {count:,} messages, {size:,} bytes")


@store.command()
def verify(data_dir: DataDir) -> None:
    """Read every record and check it, also of a running broker. Exit code 1 if anything is wrong."""
    from rich.console import Console
    from rich.progress import Progress

    from mqttbroker.storage.lmdb import maintenance

    with _explained(), Progress(console=Console(stderr=True), transient=True) as bars:
        tasks: dict[str, object] = {}

        def progress(name: str, done: int, total: int) -> None:
            task = tasks.setdefault(name, bars.add_task(name, total=total or None) if name not in tasks else None)
            bars.update(task, completed=done)  # type: ignore[arg-type]  # A TaskID is an int with a name.

        problems = maintenance.verify(data_dir, progress)
    for problem in problems:
        typer.echo(problem)
    if problems:
        fail(f"{len(problems)} problems")
    typer.echo("Every record is in order.")


@store.command()
def backup(
    data_dir: DataDir,
    destination: Annotated[Path, typer.Argument(help="New directory for the copy.", show_default=False)],
) -> None:
    """Copy the store as it is at one moment, also of a running broker."""
    from mqttbroker.storage.lmdb import maintenance

    with _explained(), _busy("Copying"):
        size = maintenance.backup(data_dir, destination)
    typer.echo(f"{destination}: {size:,} bytes")


@store.command()
def restore(
    source: Annotated[Path, typer.Argument(help="A backup: its directory, or its one file.", show_default=False)],
    data_dir: DataDir,
    force: Annotated[bool, typer.Option("--force", help="Replace the store that is there.")] = False,
) -> None:
    """Put a backup into a data directory that no broker uses. The backup is verified first."""
    from mqttbroker.storage.lmdb import maintenance

    with _explained(), _busy("Verifying and copying"):
        maintenance.restore(source, data_dir, force)
    typer.echo(f"{data_dir}: restored from {source}")


@store.command()
def compact(data_dir: DataDir) -> None:
    """Give back the space that the file does not use. No broker may be running on it."""
    from mqttbroker.storage.lmdb import maintenance

    with _explained(), _busy("Copying"):
        before, after = maintenance.compact(data_dir)
    typer.echo(f"{data_dir}: {before:,} bytes before, {after:,} after")


@store.command("export")
def export_(
    data_dir: DataDir,
    file: Annotated[
        Path | None, typer.Argument(help="Where to; standard output if not given.", show_default=False)
    ] = None,
) -> None:
    """Write every record as a line of JSON. No broker may be running on the store."""
    from mqttbroker.storage.lmdb.transfer import export_lines, open_quietly

    with _explained():
        source = open_quietly(data_dir, create=False)
        try:
            if file is None:
                sys.stdout.writelines(line + "\n" for line in _counted(export_lines(source), "Exporting"))
            else:
                with file.open("w", encoding="utf-8") as target:
                    file.chmod(0o600)
                    target.writelines(line + "\n" for line in _counted(export_lines(source), "Exporting"))
        finally:
            source.close()


@store.command("import")
def import_(
    data_dir: DataDir,
    file: Annotated[
        Path | None, typer.Argument(help="Where from; standard input if not given.", show_default=False)
    ] = None,
) -> None:
    """Read what export has written, into a data directory without a store."""
    from mqttbroker.storage.lmdb.transfer import import_lines, open_quietly

    with _explained():
        target = open_quietly(data_dir)
        try:
            if file is None:
                count = import_lines(target, _counted(sys.stdin, "Importing"))
            else:
                with file.open(encoding="utf-8") as lines:
                    count = import_lines(target, _counted(lines, "Importing"))
        finally:
            target.close()
    typer.echo(f"{data_dir}: {count:,} records")
