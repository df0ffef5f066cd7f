"""The configuration in force key by key, and what each is when nothing is set."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta

from mqttbroker.admin.endpoint import PREFIX, Call, Output, endpoint
from mqttbroker.config import Config, ListenerConfig

__all__ = ["configuration_entries"]


class ConfigEntry(Output):
    """One key."""

    table: Annotated[str, Meta(description="The table that it is in, as ``listeners.0.tls``; empty for none.")]
    key: str
    value: Annotated[Any, Meta(description="Null where nothing is set, and that means something.")]
    default: Annotated[Any, Meta(description="What it is when nothing is set.")]
    changed: Annotated[bool, Meta(description="Whether the two differ.")]


class ConfigEntries(Output):
    entries: list[ConfigEntry]
    """In the order of ``config/mqttbroker.toml``."""


@endpoint(
    "GET", f"{PREFIX}/config/entries", role="admin", tag="broker", summary="The configuration in force, key by key"
)
async def configuration_entries(call: Call[None, None]) -> ConfigEntries:
    """With what each key is when nothing is set. Files with secrets are named, and none is shown."""
    return ConfigEntries(entries=list(_entries("", call.context.broker.config, Config())))


def _entries(table: str, value: Any, default: Any) -> Iterator[ConfigEntry]:
    """The keys of a table, then those of the tables in it. ``default`` is the same table when nothing is set, or
    ``None`` where that has no such table.
    """
    below: list[tuple[str, Any, Any]] = []
    for each in fields(value):
        own = getattr(value, each.name)
        usual = _usual(each) if default is None else getattr(default, each.name)
        if is_dataclass(own):
            below.append((each.name, own, usual))
        elif isinstance(own, tuple) and any(map(is_dataclass, own)):
            entry_default = ListenerConfig() if isinstance(own[0], ListenerConfig) else None
            below += [(f"{each.name}.{number}", entry, entry_default) for number, entry in enumerate(own)]
        else:
            yield ConfigEntry(
                table=table, key=each.name, value=_plain(own), default=_plain(usual), changed=own != usual
            )
    for name, own, usual in below:
        yield from _entries(f"{table}.{name}" if table else name, own, usual)


def _usual(field: Any) -> Any:
    if field.default is not MISSING:
        return field.default
    return field.default_factory() if field.default_factory is not MISSING else None


def _plain(value: object) -> object:
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    return str(value) if isinstance(value, Path) else value
