"""Where the rules of a TOML text are, by line.

``tomllib`` says what a text means and not where that is written. This says where, of a text that ``tomllib`` has read:
it knows strings, comments, brackets and headers, and leaves all else alone. Rules are tables ``[[rules]]``, or entries
of a list ``rules = [{...}, ...]``. Whoever uses it holds the number of rules against what ``tomllib`` has found.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

__all__ = ["RuleLines", "TextLines", "find_lines"]

_TOKEN: Final = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}'
    r"|'''.*?'{3,5}"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'[^'\n]*'"
    r"|#[^\n]*"
    r"|[\[\]{}\n=,]"
    r"|[A-Za-z0-9_-]+",
    re.DOTALL,
)
_HEADER: Final = re.compile(r"""[ \t]*(\[\[?)[ \t]*(?:(["'])rules\2|rules)[ \t]*(\]\]?)[ \t]*(?:#.*)?""")
_ANY_HEADER: Final = re.compile(r"[ \t]*\[")


@dataclass(slots=True)
class RuleLines:
    """The lines of one rule, from 1; 0 where they are not known."""

    first: int = 0
    last: int = 0
    keys: dict[str, int] = field(default_factory=dict)

    def of(self, key: str) -> int:
        """The line of a key, or of the rule where it has none."""
        return self.keys.get(key, self.first)


@dataclass(slots=True)
class TextLines:
    """The lines of all rules, and of the keys above them."""

    rules: list[RuleLines]
    keys: dict[str, int]

    @property
    def of_rules(self) -> int:
        """Where rules begin; 0 where that is not known."""
        return self.keys.get("rules", self.rules[0].first if self.rules else 0)


def find_lines(text: str) -> TextLines:
    """Find the rules of a TOML text."""
    return _Search(text.replace("\r\n", "\n")).run()


class _Search:
    """One way through a text, token by token."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._found = TextLines([], {})
        self._keys: dict[str, int] = self._found.keys
        """Of the table that is being read."""
        self._depth: int = 0
        """Brackets that are open."""
        self._in_list: bool = False
        """Whether these are of ``rules = [...]``."""

    def run(self) -> TextLines:
        """Look at all of it."""
        line, at = 1, 0
        fresh = True
        word = ""
        while at < len(self._text):
            if fresh and self._depth == 0:
                fresh = False
                end = self._header(at, line)
                if end is not None:
                    at = end
                    continue
            token = _TOKEN.match(self._text, at)
            if token is None:
                at += 1
                continue
            found = token[0]
            if found == "\n":
                line += 1
                fresh = True
            elif found == "=":
                self._key(word, line)
            elif found in ("[", "{"):
                self._open(found, line)
            elif found in ("]", "}"):
                self._close(line)
            elif found[0] != "#":
                word = found.strip("\"'")
                self._touch(line + found.count("\n"))
                line += found.count("\n")
            at = token.end()
        return self._found

    def _header(self, at: int, line: int) -> int | None:
        """Take a header of a table; where it ends, if there is one."""
        end = self._text.find("\n", at)
        end = len(self._text) if end < 0 else end
        whole = self._text[at:end]
        if _ANY_HEADER.match(whole) is None:
            return None
        if _HEADER.fullmatch(whole):
            self._found.rules.append(RuleLines(line, line))
            self._keys = self._found.rules[-1].keys
        else:
            self._keys = {}
            self._found.keys.setdefault(whole.strip().strip("[]").partition(".")[0].strip(" \"'"), line)
        return end

    def _key(self, word: str, line: int) -> None:
        if self._depth == 0:
            self._in_list = word == "rules" and self._keys is self._found.keys
            self._keys.setdefault(word, line)
            self._touch(line)
        elif self._in_list and self._depth == 2:
            self._found.rules[-1].keys.setdefault(word, line)

    def _open(self, bracket: str, line: int) -> None:
        self._depth += 1
        if self._in_list and self._depth == 2 and bracket == "{":
            self._found.rules.append(RuleLines(line, line))

    def _close(self, line: int) -> None:
        self._touch(line)
        self._depth = max(0, self._depth - 1)
        if self._depth == 0:
            self._in_list = False

    def _touch(self, line: int) -> None:
        """Something of the rule that is being read is here."""
        inside = self._depth > 1 if self._in_list else self._keys is not self._found.keys
        if inside and self._found.rules and (self._in_list or self._keys is self._found.rules[-1].keys):
            self._found.rules[-1].last = max(line, self._found.rules[-1].last)
