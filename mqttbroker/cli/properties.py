"""Properties on the command line: ``-D PUBLISH content-type text/plain``.

The words are those of ``mosquitto_pub`` and ``mosquitto_sub``: the packet's name, the property's name with hyphens,
and the value; ``user-property`` takes a name and a value. Which property may stand in which packet is for the codec
to say, when the packet is encoded.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields
from typing import Any, Final, get_args, get_type_hints

import typer
from typer.core import TyperCommand

from mqttbroker.protocol import Properties

__all__ = ["PropertyCommand", "parse_properties"]

_OPTIONS: Final = ("-D", "--property")
_PACKETS: Final = ("connect", "will", "publish", "subscribe")
_REPEATABLE: Final = {"user-property": "user_properties", "subscription-identifier": "subscription_identifiers"}


class PropertyCommand(TyperCommand):
    """A command with ``-D``, which takes three words or four. They are joined to one before options are parsed."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Join the words behind each ``-D``, then parse as usual."""
        joined: list[str] = []
        rest = list(args)
        while rest:
            word = rest.pop(0)
            joined.append(word)
            if word == "--":
                joined += rest
                break
            if word in _OPTIONS:
                count = 4 if rest[1:2] == ["user-property"] else 3
                joined.append(json.dumps(rest[:count]))
                del rest[:count]
        return super().parse_args(ctx, joined)


def parse_properties(options: Sequence[str]) -> dict[str, Properties]:
    """Return the properties of each packet, by its name in lower case, from the values of ``-D``.

    Raise :class:`typer.BadParameter` for what is not known.
    """
    found: dict[str, dict[str, Any]] = {packet: {} for packet in _PACKETS}
    for option in options:
        words = json.loads(option)
        if len(words) < 3:
            raise typer.BadParameter("expected a packet, a property and a value", param_hint="-D")
        packet, name, *values = words
        if packet.lower() not in found:
            raise typer.BadParameter(f"expected one of {', '.join(_PACKETS)}, got {packet!r}", param_hint="-D")
        _add(found[packet.lower()], name, values)
    return {packet: Properties(**values) for packet, values in found.items()}


def _add(values: dict[str, Any], name: str, words: list[str]) -> None:
    known = {field.name.replace("_", "-"): field.name for field in fields(Properties)}
    known = {word: field for word, field in known.items() if field not in _REPEATABLE.values()} | _REPEATABLE
    field = known.get(name)
    if field is None:
        raise typer.BadParameter(f"unknown property {name!r}", param_hint="-D")
    if name == "user-property":
        if len(words) != 2:
            raise typer.BadParameter("user-property takes a name and a value", param_hint="-D")
        values.setdefault(field, ())
        values[field] += ((words[0], words[1]),)
    elif name == "subscription-identifier":
        values.setdefault(field, ())
        values[field] += (_integer(name, words[0]),)
    else:
        kinds = get_args(get_type_hints(Properties)[field])
        word = words[0]
        values[field] = _integer(name, word) if int in kinds else word.encode() if bytes in kinds else word


def _integer(name: str, word: str) -> int:
    try:
        return int(word)
    except ValueError:
        raise typer.BadParameter(f"{name} takes a number, got {word!r}", param_hint="-D") from None
