"""Access rules: reading them from TOML and preparing them for decisions.

A file that is not entirely understood is refused as a whole: a rule that was skipped could be the one that denies.
What is checked: TOML, keys (with the nearest known one named), types, topic filters and placeholders.

A placeholder, ``${username}`` or ``${clientid}``, stands for one literal piece of one level. With a value that could
act as more than that (one that is empty or absent, holds ``/``, ``+`` or ``#``, or would make the filter begin with
``$``) the filter matches nothing. Text is compared with text; no regular expression is built of what a client sends.
"""

from __future__ import annotations

import difflib
import hashlib
import logging
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import msgspec

from mqttbroker.broker.authority import Identity
from mqttbroker.security.errors import SecurityError
from mqttbroker.security.rule_lines import RuleLines, find_lines
from mqttbroker.topics import InvalidTopicFilter, check_topic_filter

__all__ = ["Pattern", "Rule", "check_rules", "decoded_rules", "load_rules", "parse_rules", "read_rules", "version_of"]

_log = logging.getLogger(__name__)

_PLACEHOLDER: Final = re.compile(r"\$\{([^}]*)\}?")
_PLACEHOLDERS: Final = ("${username}", "${clientid}")
_AT_LINE: Final = re.compile(r" ?\(at (?:line (\d+), column \d+|end of document)\)$")
_CHOICES: Final = {"action": '"publish", "subscribe" or "both"', "effect": '"allow" or "deny"'}
_EVERYBODY: Final = "*"
_ANONYMOUS: Final = "anonymous"


class Pattern:
    """The topic filter of a rule, with or without placeholders."""

    __slots__ = ("_pieces", "text")

    def __init__(self, text: str) -> None:
        self.text: str = text
        self._pieces: tuple[str, ...] = _pieces(text)
        """Plain text and placeholders in turn; empty when there is no placeholder."""

    def filter_for(self, identity: Identity) -> str | None:
        """The topic filter for this client; ``None`` when a value must not stand in for its placeholder."""
        if not self._pieces:
            return self.text
        filled = ""
        for piece in self._pieces:
            if piece in _PLACEHOLDERS:
                value = identity.username if piece == "${username}" else identity.client_id
                if not value or "/" in value or "+" in value or "#" in value:
                    return None
                if not filled and value.startswith("$"):
                    return None  # A client called "$SYS" must not come by that name into a tree of the broker's own.
                piece = value
            filled += piece
        return filled


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule, ready to be held against clients and topics."""

    number: int
    """Position in the file, from 1."""
    everybody: bool
    anonymous: bool
    names: frozenset[str]
    clients: frozenset[str] | None
    """Client identifiers to which the rule is confined, or ``None``."""
    publish: bool
    subscribe: bool
    patterns: tuple[Pattern, ...]
    allow: bool
    line: int = 0
    """Where it begins in the file, from 1; 0 where that is not known."""
    last_line: int = 0
    """Where it ends."""

    def concerns(self, identity: Identity) -> bool:
        """Tell whether the rule is about this client."""
        if self.clients is not None and identity.client_id not in self.clients:
            return False
        if self.everybody:
            return True
        return self.anonymous if identity.username is None else identity.username in self.names


class _RuleTable(msgspec.Struct, forbid_unknown_fields=True):
    """One ``[[rules]]`` table as it is written."""

    who: str | list[str]
    action: Literal["publish", "subscribe", "both"]
    topics: list[str]
    effect: Literal["allow", "deny"]
    clients: list[str] | None = None


def read_rules(path: Path) -> bytes:
    """The content of a rule file. Raise :class:`SecurityError` when it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise SecurityError(path, "", f"cannot be read: {error.strerror}") from error


def version_of(content: bytes) -> str:
    """What tells the content of a rule file from any other."""
    return hashlib.sha256(content).hexdigest()


def load_rules(path: Path, content: bytes | None = None) -> tuple[Rule, ...]:
    """Read a rule file. Raise :class:`SecurityError` when it cannot be read or any of it is not understood.

    A file without rules is valid and denies everything; the log says so. ``content`` is what was read of it already.
    """
    if content is None:
        content = read_rules(path)
    rules = parse_rules(decoded_rules(path, content), str(path))
    if not rules:
        _log.warning("%s holds no rules: everything is denied", path)
    return rules


def decoded_rules(path: Path, content: bytes) -> str:
    """The text of a rule file. Raise :class:`SecurityError` where it is none."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        number = content.count(b"\n", 0, error.start) + 1
        raise SecurityError(path, f"line {number}", "expected text in UTF-8", number) from error


def parse_rules(text: str, source: str) -> tuple[Rule, ...]:
    """Read rules from TOML text; ``source`` is what messages call it. Raise :class:`SecurityError` as above."""
    rules, problems = check_rules(text, source)
    if problems:
        raise problems[0]
    return rules


def check_rules(text: str, source: str) -> tuple[tuple[Rule, ...], list[SecurityError]]:
    """The rules of a text that are understood, and what is wrong with the others: the first mistake of each."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        return (), [_not_toml(source, text, error)]
    except RecursionError:
        return (), [SecurityError(source, "", "is not valid TOML: too deeply nested")]
    lines = find_lines(text)
    try:
        _check_keys(source, "", document, ("rules",), lines.keys)
        tables = document.get("rules", [])
        if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
            raise SecurityError(source, "rules", "expected tables [[rules]]", lines.of_rules)
    except SecurityError as error:
        return (), [error]
    # What does not come out the same was written in a way that `find_lines` does not know.
    places = lines.rules if len(lines.rules) == len(tables) else [RuleLines()] * len(tables)
    rules: list[Rule] = []
    problems: list[SecurityError] = []
    for number, (table, place) in enumerate(zip(tables, places, strict=True), 1):
        try:
            rules.append(_rule(source, number, table, place))
        except SecurityError as error:
            problems.append(error)
    return tuple(rules), problems


def _not_toml(source: str, text: str, error: tomllib.TOMLDecodeError) -> SecurityError:
    place = _AT_LINE.search(str(error))
    line = 0
    if place is not None:
        line = int(place[1]) if place[1] else len(text.rstrip().split("\n"))
    return SecurityError(source, "", f"is not valid TOML: {error}", line)


def _rule(source: str, number: int, table: dict[str, object], lines: RuleLines) -> Rule:
    place = f"rule {number}"
    _check_keys(source, place, table, _RuleTable.__struct_fields__, lines.keys, lines.first)
    try:
        written = msgspec.convert(table, _RuleTable)
    except msgspec.ValidationError as error:
        problem, _, where = str(error).partition(" - at `$")
        key = where.strip("`.")
        line = lines.of(key.partition("[")[0])
        problem = problem[0].lower() + problem[1:]
        if key in _CHOICES and problem.startswith("invalid enum value"):
            problem += f"; expected {_CHOICES[key]}"
        raise SecurityError(source, f"{place}, {key}" if key else place, problem, line) from error
    names = [written.who] if isinstance(written.who, str) else written.who
    for key, values in (("who", names), ("topics", written.topics), ("clients", written.clients)):
        # An empty list is more likely a slip than a rule that is meant never to match.
        if values is not None and not (values and all(values)):
            problem = "expected at least one entry, none of them empty"
            raise SecurityError(source, f"{place}, {key}", problem, lines.of(key))
    for topic_filter in written.topics:
        problem = _filter_problem(topic_filter)
        if problem:
            raise SecurityError(source, f"{place}, topics", problem, lines.of("topics"))
    return Rule(
        number=number,
        everybody=_EVERYBODY in names,
        anonymous=_ANONYMOUS in names,
        names=frozenset(names) - {_EVERYBODY, _ANONYMOUS},
        clients=frozenset(written.clients) if written.clients is not None else None,
        publish=written.action != "subscribe",
        subscribe=written.action != "publish",
        patterns=tuple(Pattern(topic_filter) for topic_filter in written.topics),
        allow=written.effect == "allow",
        line=lines.first,
        last_line=lines.last,
    )


def _check_keys(
    source: str,
    place: str,
    table: dict[str, object],
    known: tuple[str, ...],
    lines: Mapping[str, int],
    otherwise: int = 0,
) -> None:
    for key in table:
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            hint = f"did you mean {near[0]}?" if near else f"expected {', '.join(known)}"
            problem = f"unknown key; {hint}"
            raise SecurityError(source, f"{place}, {key}" if place else key, problem, lines.get(key, otherwise))


def _filter_problem(topic_filter: str) -> str:
    """What is wrong with a filter of a rule, or nothing."""
    for match in _PLACEHOLDER.finditer(topic_filter):
        if match[0] not in _PLACEHOLDERS:
            return f"expected {' or '.join(_PLACEHOLDERS)}, found {match[0]} in {topic_filter!r}"
    # Rules are held against the filter inside a shared subscription, so that sharing adds no right and takes none.
    if topic_filter.split("/", 1)[0] == "$share":
        return f"expected a topic filter without $share: {topic_filter!r}"
    try:
        check_topic_filter(_PLACEHOLDER.sub("x", topic_filter))
    except InvalidTopicFilter as error:
        return f"expected a topic filter, found {topic_filter!r}: {error}"
    return ""


def _pieces(text: str) -> tuple[str, ...]:
    pieces: list[str] = []
    end = 0
    for match in _PLACEHOLDER.finditer(text):
        pieces += [text[end : match.start()], match[0]]
        end = match.end()
    return tuple(piece for piece in [*pieces, text[end:]] if piece) if pieces else ()
