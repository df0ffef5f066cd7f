"""Reading a configuration: file, then environment, then command line, each overriding the one before.

The three sources are laid into one tree of plain values. For every value the tree remembers where it came from, so
that a mistake is reported by the name that the person used: ``broker.toml: limits.max_qos``,
``MQTTBROKER_LIMITS__MAX_QOS`` or ``--log-level``. Unknown keys are refused as they are laid in; types are checked
once at the end, by msgspec, strictly (``"1883"`` in a file is not a port).

Relative paths in a file are relative to the file; elsewhere they are relative to the working directory.

Deliberately absent: default locations for the file, includes, and interpolation. What is read is what was named.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Final

import msgspec

from mqttbroker.config import keys
from mqttbroker.config.keys import Key
from mqttbroker.config.schema import Config

__all__ = ["ENVIRONMENT_PREFIX", "ConfigError", "load_config"]

ENVIRONMENT_PREFIX: Final = "MQTTBROKER_"
CONFIG_VARIABLE: Final = "MQTTBROKER_CONFIG"

# Variables under the prefix that are no keys: the file's path, and two of the project's own tests.
_OTHER_VARIABLES: Final = frozenset({CONFIG_VARIABLE, "MQTTBROKER_ARTIFACTS", "MQTTBROKER_REQUIRE_TOOLS"})


class ConfigError(Exception):
    """A configuration cannot be used; the text says where, what was expected, and what to write instead."""


def load_config(
    path: Path | None = None,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, object] | None = None,
) -> Config:
    """Read a configuration.

    ``path`` is a TOML file; ``None`` takes the one that ``MQTTBROKER_CONFIG`` names, if any. ``environ`` is
    ``os.environ`` unless given. ``overrides`` are values by dotted key, such as ``{"listeners.0.port": 1884}``;
    those that are ``None`` are passed over. Raise :class:`ConfigError` for anything that is wrong.
    """
    environ = os.environ if environ is None else environ
    if path is None and environ.get(CONFIG_VARIABLE):
        path = Path(environ[CONFIG_VARIABLE])
    tree = _Tree()
    if path is not None:
        tree.add_file(path)
    tree.add_environment(environ)
    for dotted, value in (overrides or {}).items():
        if value is not None:
            tree.put(keys.parse(dotted), value, f"option {dotted}")
    return tree.convert()


class _Tree:
    """Plain values on their way to a :class:`Config`, and the source of each."""

    def __init__(self) -> None:
        self._root: dict[str, object] = {}
        self._sources: dict[Key, str] = {}
        self._file: Path | None = None

    def add_file(self, path: Path) -> None:
        """Lay in the values of a TOML file."""
        try:
            with path.open("rb") as file:
                table = tomllib.load(file)
        except OSError as error:
            raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path}: is not valid TOML: {error}") from error
        self._file = path
        self._add_table(path, (), table)

    def _add_table(self, path: Path, key: Key, value: object) -> None:
        source = f"{path}: {keys.dotted(key)}"
        children: list[tuple[str | int, object]]
        if isinstance(value, dict) and keys.is_table(key):
            children = list(value.items())
            self._put_container(key, {}, source)
        elif isinstance(value, list) and keys.is_list(key):
            children = list(enumerate(value))
            self._put_container(key, [], source)
        else:
            if isinstance(value, str) and value and keys.is_path(key):
                value = path.parent / value
            self.put(key, value, source)
            return
        for name, child in children:
            below = (*key, name)
            if not keys.exists(below):
                raise ConfigError(f"{path}: {keys.dotted(below)}: unknown key{_hint(below)}")
            self._add_table(path, below, child)

    def add_environment(self, environ: Mapping[str, str]) -> None:
        """Lay in variables: ``MQTTBROKER_SECTION__KEY=value``, and a number for a position in a list."""
        for variable in sorted(environ):
            if not variable.startswith(ENVIRONMENT_PREFIX) or variable in _OTHER_VARIABLES:
                continue
            key = keys.parse(variable[len(ENVIRONMENT_PREFIX) :].lower().replace("__", "."))
            if not keys.exists(key) or keys.is_table(key) or keys.is_list(key):
                raise ConfigError(f"environment variable {variable}: unknown{_variable_hint(variable)}")
            source = f"environment variable {variable}"
            text = environ[variable]
            try:
                value = keys.from_text(key, text)
            except msgspec.ValidationError:
                raise ConfigError(_expected(source, key, text)) from None
            self.put(key, value, source)

    def put(self, key: Key, value: object, source: str) -> None:
        """Lay in one value, making the tables above it."""
        if not keys.exists(key):
            raise ConfigError(f"{source}: unknown key{_hint(key)}")
        node: object = self._root
        for name, following in pairwise(key):
            node = self._child(node, name, [] if isinstance(following, int) else {}, source)
        self._assign(node, key[-1], value, source)
        self._sources[key] = source

    def _put_container(self, key: Key, empty: object, source: str) -> None:
        if key:
            self.put(key, empty, source)

    def _child(self, node: object, name: str | int, empty: object, source: str) -> object:
        """Return the table or list called ``name``, made if it is not there yet."""
        if isinstance(node, dict):
            return node.setdefault(name, empty)
        if isinstance(node, list) and isinstance(name, int) and name < len(node):
            return node[name]
        self._assign(node, name, empty, source)
        return empty

    def _assign(self, node: object, name: str | int, value: object, source: str) -> None:
        if isinstance(node, dict):
            node[name] = value
        elif isinstance(node, list) and isinstance(name, int):
            if name > len(node):
                raise ConfigError(f"{source}: expected a position up to {len(node)}: they begin at 0, without gaps")
            node[name : name + 1] = [value]
        # Anything else was given where a table belongs; convert() says so under the key's own name.

    def convert(self) -> Config:
        """Check types and values and return the configuration."""
        try:
            return msgspec.convert(self._root, Config, dec_hook=keys.decode_path)
        except msgspec.ValidationError as error:
            text, _, where = str(error).partition(" - at `$")
            key = keys.parse(where.rstrip("`").replace("[", ".").replace("]", "").lstrip("."))
            # What a dataclass's own check says begins with the field's name; what msgspec says does not.
            field, colon, rest = text.partition(": ")
            if colon and keys.exists((*key, field)):
                key = (*key, field)
                raise ConfigError(f"{self._source(key)}: {rest}") from None
            raise ConfigError(_expected(self._source(key), key, self._value(key))) from None

    def _source(self, key: Key) -> str:
        """Return where the value came from; one that nobody gave is missing in the file, if there is one."""
        file = "" if self._file is None else f"{self._file}: "
        return self._sources.get(key) or file + keys.dotted(key)

    def _value(self, key: Key) -> object:
        node: object = self._root
        for name in key:
            if isinstance(node, dict):
                node = node[name]
            elif isinstance(node, list):
                node = node[int(name)]
        return node


def _expected(source: str, key: Key, value: object) -> str:
    return f"{source}: expected {keys.describe(key)}, got {_shown(value)}"


def _shown(value: object) -> str:
    """Return a value as TOML writes it, near enough, and short."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        text = '"' + value.encode("unicode_escape").decode().replace('"', '\\"') + '"'
    elif isinstance(value, dict):
        text = "a table"
    elif isinstance(value, list):
        text = "a list"
    else:
        text = str(value)
    return text if len(text) <= 80 else text[:79] + "…"


def _hint(key: Key) -> str:
    """Name the known key that is spelt most like an unknown one: a neighbour, or the same name in another table."""
    *above, name = key
    near = difflib.get_close_matches(str(name), keys.children(tuple(above)), 1)
    if near:
        return f"; did you mean {keys.dotted((*above, near[0]))}?"
    # A table below comes first, then whatever is least deep: limits.max_qos before listeners.0.limits.max_qos. Who does
    # not speak of the admin server means listeners: listeners.0.tls before admin.tls.
    below: list[Key] = [(*above, table, name) for table in keys.children(tuple(above))]
    elsewhere = sorted((known[: known.index(name) + 1] for known in keys.every_key() if name in known), key=len)
    found = [each for each in (*below, *elsewhere) if keys.exists(each)]
    meant = min(found, key=lambda each: each[0] == "admin" != key[0], default=None)
    return f"; did you mean {keys.dotted(meant)}?" if meant else ""


def _variable_hint(variable: str) -> str:
    known = [ENVIRONMENT_PREFIX + "__".join(map(str, key)).upper() for key in keys.every_key()]
    near = difflib.get_close_matches(variable, known, 1)
    return f"; did you mean {near[0]}?" if near else ""
