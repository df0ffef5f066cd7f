"""A page of the documentation, taken apart: blocks of code, and the commands below them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Block", "blocks", "commands"]

_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_COMMAND = re.compile(r"^    ((?:mqttbroker|mosquitto_pub|mosquitto_sub) .+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Block:
    """A block of code in the page."""

    language: str
    section: str
    """The heading that it stands under."""
    text: str
    commands: tuple[str, ...]
    """What stands between it and the next block or heading."""

    @property
    def file(self) -> str:
        """The name of the file that it says to be in its first line, ``# NAME``; empty for none."""
        found = re.match(r"# (\S+\.toml)\n", self.text)
        return found[1] if found else ""


def blocks(page: Path) -> list[Block]:
    """All blocks of code, in their order."""
    text = page.read_text(encoding="utf-8")
    fences = list(_FENCE.finditer(text))
    found: list[Block] = []
    for at, fence in enumerate(fences):
        *_, heading = re.findall(r"^#+ (.+)$", _FENCE.sub("", text[: fence.start()]), re.MULTILINE)
        end = fences[at + 1].start() if at + 1 < len(fences) else len(text)
        below = re.split(r"^#", text[fence.end() : end], maxsplit=1, flags=re.MULTILINE)[0]
        found.append(Block(fence[1], heading, fence[2], tuple(_COMMAND.findall(below))))
    return found


def commands(page: Path) -> list[str]:
    """The commands above the first block."""
    return _COMMAND.findall(page.read_text(encoding="utf-8").partition("```")[0])
