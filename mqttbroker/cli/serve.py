"""``mqttbroker serve`` and ``mqttbroker check-config``: a configuration, checked, and a broker that runs with it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from mqttbroker.cli.failure import fail
from mqttbroker.config import Config, ConfigError, check_exposure, load_config

__all__ = ["check_config", "serve"]

LevelOption = Literal["debug", "info", "warning", "error"]
FormatOption = Literal["text", "json"]


def serve(
    config: Annotated[Path | None, typer.Option("--config", help="TOML file (or set MQTTBROKER_CONFIG).")] = None,
    host: Annotated[str | None, typer.Option("--host", help="Address of the first listener. [127.0.0.1]")] = None,
    port: Annotated[int | None, typer.Option("--port", help="Port of the first listener, 0 for any. [1883]")] = None,
    data_dir: Annotated[Path | None, typer.Option("--data-dir", help="Directory of what survives a restart.")] = None,
    password_file: Annotated[Path | None, typer.Option("--password-file", help="Users and passwords.")] = None,
    allow_anonymous: Annotated[
        bool | None, typer.Option("--allow-anonymous/--no-allow-anonymous", help="Let in clients without a user name.")
    ] = None,
    log_level: Annotated[LevelOption | None, typer.Option("--log-level", help="Least level to log. [info]")] = None,
    log_format: Annotated[FormatOption | None, typer.Option("--log-format", help="How to log. [text]")] = None,
) -> None:
    """Run a broker until it is told to stop (Ctrl-C or SIGTERM).

    Options override environment variables (MQTTBROKER_LOG__LEVEL=debug), which override the file.
    """
    loaded = _load(
        config,
        {
            "listeners.0.host": host,
            "listeners.0.port": port,
            "data_dir": data_dir,
            "security.password_file": password_file,
            "security.allow_anonymous": allow_anonymous,
            "log.level": log_level,
            "log.format": log_format,
        },
    )
    from mqttbroker import server
    from mqttbroker.logs import configure_logging

    configure_logging(loaded.log.level, loaded.log.format)
    try:
        server.serve(loaded)
    except (ConfigError, OSError, ValueError) as error:
        fail(error)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def check_config(
    file: Annotated[Path | None, typer.Argument(help="TOML file (or set MQTTBROKER_CONFIG).")] = None,
) -> None:
    """Check a configuration without running it: the file, and the environment variables that override it."""
    config = _load(file, {})
    for listener in config.listeners:
        typer.echo(f"listener {listener.name}: {listener.type} on {listener.host} port {listener.port}")
    security = config.security
    typer.echo(f"without a user name: {'may connect' if security.anonymous else 'may not connect'}")
    typer.echo(f"password file: {security.password_file or 'none'}, rules: {security.acl_file or 'none, all is allowed'}")
    typer.echo(f"data directory: {config.data_dir or 'none, everything is kept in memory'}")
    typer.echo("The configuration is correct.")


def _load(path: Path | None, overrides: dict[str, object]) -> Config:
    try:
        config = load_config(path, overrides=overrides)
        check_exposure(config)
    except ConfigError as error:
        fail(error)
    return config
