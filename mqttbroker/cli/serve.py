"""``mqttbroker serve`` and ``mqttbroker check-config``: a configuration, checked, and a broker that runs with it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mqttbroker.cli.failure import fail, warn
from mqttbroker.config import Config, ConfigError, ListenerConfig, SecurityConfig, check_exposure, load_config

if TYPE_CHECKING:
    from mqttbroker.access import Access

__all__ = ["check_config", "serve"]

LevelOption = Literal["debug", "info", "warning", "error"]
FormatOption = Literal["text", "json"]


def serve(
    config: Annotated[Path | None, typer.Option("--config", help="TOML file (or set MQTTBROKER_CONFIG).")] = None,
    host: Annotated[str | None, typer.Option("--host", help="Address of the first listener. [127.0.0.1]")] = None,
    port: Annotated[int | None, typer.Option("--port", help="Port of the first listener, 0 for any. [1883]")] = None,
    websocket_port: Annotated[
        int | None, typer.Option("--websocket-port", help="Listen for WebSocket as well, on the same address.")
    ] = None,
    admin_port: Annotated[
        int | None, typer.Option("--admin-port", help="Serve the HTTP API for administration on this port as well.")
    ] = None,
    data_dir: Annotated[Path | None, typer.Option("--data-dir", help="Directory of what survives a restart.")] = None,
    password_file: Annotated[Path | None, typer.Option("--password-file", help="Users and passwords.")] = None,
    acl_file: Annotated[Path | None, typer.Option("--acl-file", help="Rules of who may do what.")] = None,
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
            "admin.port": admin_port,
            "admin.enabled": None if admin_port is None else True,
            "data_dir": data_dir,
            "security.password_file": password_file,
            "security.acl_file": acl_file,
            "security.allow_anonymous": allow_anonymous,
            "log.level": log_level,
            "log.format": log_format,
        },
    )
    if websocket_port is not None:
        loaded = _with_websocket(loaded, websocket_port)
    from mqttbroker import server
    from mqttbroker.logs import configure_logging
    from mqttbroker.security import SecurityError, TlsError
    from mqttbroker.storage import StoreError
    from mqttbroker.systemd import SystemdError

    configure_logging(loaded.log.level, loaded.log.format, in_thread=True)
    try:
        server.serve(loaded)
    except (ConfigError, SecurityError, StoreError, SystemdError, TlsError) as error:
        fail(error)
    except OSError as error:
        fail(error.strerror or error)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def check_config(
    file: Annotated[Path | None, typer.Argument(help="TOML file (or set MQTTBROKER_CONFIG).")] = None,
) -> None:
    """Check a configuration without running it: the file, the environment variables that override it, and the files
    that it names.
    """
    config = _load(file, {})
    access = _read_files(config)
    everywhere = [_who_may(access.security(listener)) for listener in config.listeners]
    alike = all(each == everywhere[0] for each in everywhere)
    for listener, who_may in zip(config.listeners, everywhere, strict=True):
        typer.echo(f"listener {listener.name}: {_described(listener)}")
        if not alike:
            typer.echo("".join(f"  {line}\n" for line in who_may), nl=False)
    if alike:
        typer.echo("\n".join(everywhere[0]))
    if config.admin.enabled:
        tls = " with TLS" if config.admin.tls is not None else ""
        typer.echo(f"admin server{tls}: {config.admin.host} port {config.admin.port}")
    if config.data_dir is None or config.durability == "none":
        typer.echo("data directory: none, everything is kept in memory")
    else:
        typer.echo(f"data directory: {config.data_dir}, durability {config.durability}")
    typer.echo("The configuration is correct.")


def _described(listener: ListenerConfig) -> str:
    where = f"{listener.host} port {listener.port}" if listener.socket is None else str(listener.socket)
    tls = " with TLS" if listener.tls is not None else ""
    proxy = " behind a proxy" if listener.proxy_protocol else ""
    below = f", topics below {listener.mount_point}" if listener.mount_point else ""
    named = f", user name from {listener.username_from}" if listener.username_from is not None else ""
    return f"{listener.type}{tls} on {where}{proxy}{below}{named}"


def _who_may(security: SecurityConfig) -> list[str]:
    return [
        f"without a user name: {'may connect' if security.anonymous else 'may not connect'}",
        f"password file: {security.password_file or 'none'}",
        f"rules: {security.acl_file or 'none, so that ' + _without_rules(security)}",
    ]


def _without_rules(security: SecurityConfig) -> str:
    if security.password_file is None:
        return "everybody may publish and subscribe to everything"
    return "nobody may publish or subscribe (set security.acl_file)"


def _read_files(config: Config) -> Access:
    """Read what a broker reads before it listens: users, rules, certificates, the directories of pages, and who may use
    the admin server. Users and rules as they would be in force.
    """
    import asyncio

    from mqttbroker.access import Access
    from mqttbroker.admin.accounts import Accounts, accounts_path
    from mqttbroker.entrances import admin_tls, make_listener
    from mqttbroker.security import SecurityError, TlsError

    def tell(level: str, event: str, /, **details: object) -> None:
        warn(", ".join([f"{level}: {event}", *(f"{key} {value}" for key, value in details.items())]))

    loop = asyncio.new_event_loop()
    try:
        access = Access(config, None, None, loop, tell)
        for listener in config.listeners:
            make_listener(listener, config, access, tell)
        admin_tls(config, tell)
        accounts = accounts_path(config.admin, config.data_dir)
        if config.admin.enabled and accounts is not None and accounts.exists():
            Accounts(accounts)
        return access
    except (SecurityError, TlsError) as error:
        fail(error)
    except OSError as error:
        fail(error.strerror or error)
    finally:
        loop.close()


def _with_websocket(config: Config, port: int) -> Config:
    try:
        listener = ListenerConfig("websocket", "websocket", config.listeners[0].host, port)
        return replace(config, listeners=(*config.listeners, listener))
    except ValueError as error:
        fail(f"--websocket-port: {error}")


def _load(path: Path | None, overrides: dict[str, object]) -> Config:
    try:
        config = load_config(path, overrides=overrides)
        check_exposure(config)
    except ConfigError as error:
        fail(error)
    return config
