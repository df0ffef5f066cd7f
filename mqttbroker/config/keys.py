"""What can be asked of a key before any value is there: whether it exists, of which type it is, what that is called.

A key is a tuple of names and list positions, ``("listeners", 0, "port")``, written ``listeners.0.port``. Everything
here is derived from the dataclasses of ``schema.py``, so that there is one list of what may be set.
"""

from __future__ import annotations

import types
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from mqttbroker.config.schema import Config

__all__ = [
    "Key",
    "children",
    "decode_path",
    "describe",
    "dotted",
    "every_key",
    "exists",
    "from_text",
    "is_list",
    "is_path",
    "is_table",
    "parse",
]

Key = tuple[str | int, ...]


def parse(text: str) -> Key:
    """Return the key that ``text`` writes; no text is the root."""
    return tuple(int(part) if part.isascii() and part.isdigit() else part for part in text.split(".")) if text else ()


def dotted(key: Key) -> str:
    """Return a key as it is written."""
    return ".".join(map(str, key))


def exists(key: Key) -> bool:
    """Tell whether a key may be set. Any position of a list may."""
    return _type(key) is not None


def is_table(key: Key) -> bool:
    """Tell whether a key names a table, which may be absent."""
    return is_dataclass(_present(_type(key)))


def is_list(key: Key) -> bool:
    """Tell whether a key names a list of tables."""
    return _is_list_of_tables(_type(key))


def is_path(key: Key) -> bool:
    """Tell whether a key names a file or a directory."""
    return Path in _alternatives(_type(key))


def children(key: Key) -> list[str]:
    """Return the names that a table knows."""
    kind = _present(_type(key))
    return [field.name for field in fields(kind)] if is_dataclass(kind) else []


def every_key() -> Iterator[Key]:
    """Return every key that holds a value, with 0 for positions in lists."""
    pending: list[Key] = [()]
    while pending:
        key = pending.pop()
        if is_list(key):
            pending.append((*key, 0))
        elif is_table(key):
            pending.extend((*key, name) for name in reversed(children(key)))
        else:
            yield key


def describe(key: Key) -> str:
    """Return what is expected of a key's value, in the words of TOML."""
    kind = _present(_type(key))
    if is_dataclass(kind):
        return "a table"
    if _is_list_of_tables(kind):
        return f"a list of tables ([[{dotted(tuple(name for name in key if isinstance(name, str)))}]])"
    if get_origin(kind) is tuple:
        return "a list of strings"
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(f'"{choice}"' for choice in get_args(kind))
    names = {int: "an integer", float: "a number", bool: "true or false", str: "a string", Path: "a path in quotes"}
    return next(name for known, name in names.items() if known in _alternatives(kind))


def from_text(key: Key, text: str) -> object:
    """Return the value that a text stands for, by the key's type. Raise :class:`msgspec.ValidationError` if none.

    An empty text unsets a key that may be absent; the strings of a list stand between commas.
    """
    kind = _type(key)
    if not text and type(None) in _alternatives(kind):
        return None
    given: object = [part.strip() for part in text.split(",") if part.strip()] if get_origin(kind) is tuple else text
    value: object = msgspec.convert(given, kind, strict=False, dec_hook=decode_path)
    return value


def decode_path(kind: type, value: object) -> object:
    """Make a path of a string: msgspec's hook for types that it does not know."""
    if kind is Path and isinstance(value, str) and value:
        return Path(value)
    if isinstance(value, kind):
        return value
    raise ValueError("expected a path")


def _type(key: Key) -> Any:
    """Return the type of a key's value, or ``None`` if there is no such key."""
    kind: Any = Config
    for name in key:
        if _is_list_of_tables(kind) and isinstance(name, int):
            kind = get_args(kind)[0]
        elif is_dataclass(table := _present(kind)) and isinstance(table, type) and isinstance(name, str):
            kind = get_type_hints(table).get(name)
        else:
            return None
    return kind


def _is_list_of_tables(kind: Any) -> bool:
    return get_origin(kind) is tuple and is_dataclass(get_args(kind)[0])


def _present(kind: Any) -> Any:
    """The type of a value that is not ``None``."""
    present = [each for each in _alternatives(kind) if each is not type(None)]
    return present[0] if len(present) == 1 else kind


def _alternatives(kind: Any) -> tuple[Any, ...]:
    return get_args(kind) if get_origin(kind) in (Union, types.UnionType) else (kind,)
