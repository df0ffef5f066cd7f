"""A rule file that is edited: its text as it is, replaced as a whole, and what it was before.

Rules:

1. Only a text that was understood is written, and only over the version that it was made from.
2. A file is replaced at once and durably, with its owner and mode, also where it is a link.
3. What is replaced is kept beside the file, in ``NAME.versions``: the last `KEPT` texts. That there was no file is a
   version too.

Everything here waits for the disk: it belongs in a thread, and one at a time.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mqttbroker.files import replace_file, sync_directory
from mqttbroker.security.acl import AccessList
from mqttbroker.security.errors import SecurityError
from mqttbroker.security.rules import decoded_rules, parse_rules, read_rules, version_of

__all__ = ["KEPT", "NO_FILE", "FormerRules", "RuleFile", "RulesChangedMeanwhile"]

KEPT: Final = 20
"""Former versions of a file."""
NO_FILE: Final = "none"
"""The version of a file that is not there."""
MODE: Final = 0o600
"""Of a new file. It says who may do what, which is nobody's business who may not read it."""
_NAME: Final = re.compile(r"(\d{13,15})-(none|[0-9a-f]{64})")


class RulesChangedMeanwhile(Exception):
    """The file is not the version that somebody began with."""


@dataclass(frozen=True, slots=True)
class FormerRules:
    """A version that was replaced."""

    id: str
    until: float
    """When it was replaced, in seconds since the epoch."""
    version: str
    size: int


class RuleFile:
    """One rule file, whether it is there or not."""

    def __init__(self, path: Path, may_be_absent: bool) -> None:
        """``may_be_absent`` says whether the broker starts without it."""
        self.path: Path = path
        self.may_be_absent: bool = may_be_absent
        self._versions: Path = path.with_name(f"{path.name}.versions")

    def read(self) -> tuple[str | None, str]:
        """Its text, ``None`` where it is not there, and its version. Raises :class:`SecurityError`."""
        if self.may_be_absent and not os.path.lexists(self.path):
            return None, NO_FILE
        content = read_rules(self.path)
        return decoded_rules(self.path, content), version_of(content)

    def replace(self, text: str | None, based_on: str, now: float) -> AccessList | None:
        """Replace the text by another one, or remove the file, and give its rules.

        Raises :class:`SecurityError` where the text is not understood or cannot be written, and
        :class:`RulesChangedMeanwhile` where the file is not the version ``based_on``.
        """
        if text is None and not self.may_be_absent:
            raise SecurityError(self.path, "", "the configuration names this file, so that the broker needs it")
        content = None if text is None else text.encode()
        rules = () if text is None else parse_rules(text, str(self.path))
        try:
            before = self.path.read_bytes() if os.path.lexists(self.path) else None
            version = NO_FILE if before is None else version_of(before)
            if version != based_on:
                raise RulesChangedMeanwhile
            if content != before:
                self._keep(before, version, now)
                self._write(content)
        except OSError as error:
            raise SecurityError(self.path, "", f"cannot be written: {error.strerror}") from error
        return None if content is None else AccessList(rules, str(self.path), version_of(content))

    def former(self) -> list[FormerRules]:
        """Versions that were replaced, the latest first. Raises :class:`SecurityError`."""
        try:
            found = [(each.name, each.stat().st_size) for each in self._versions.iterdir()]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise SecurityError(self._versions, "", f"cannot be read: {error.strerror}") from error
        kept = [(match, size) for name, size in found if (match := _NAME.fullmatch(name))]
        kept.sort(key=lambda each: int(each[0][1]), reverse=True)
        return [FormerRules(match[0], int(match[1]) / 1000, match[2], size) for match, size in kept]

    def former_text(self, id: str) -> str | None:
        """The text of such a version; ``None`` where there was no file. Raises :class:`KeyError`."""
        match = _NAME.fullmatch(id)
        if match is None:
            raise KeyError(id)
        try:
            content = (self._versions / id).read_bytes()
        except FileNotFoundError:
            raise KeyError(id) from None
        except OSError as error:
            raise SecurityError(self._versions / id, "", f"cannot be read: {error.strerror}") from error
        return None if match[2] == NO_FILE else decoded_rules(self._versions / id, content)

    def _keep(self, content: bytes | None, version: str, now: float) -> None:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._versions.mkdir(mode=0o700, exist_ok=True)
        former = self.former()
        # A clock may have gone back; the order of versions does not.
        stamp = max(int(now * 1000), int(former[0].id.partition("-")[0]) + 1 if former else 0)
        replace_file(self._versions / f"{stamp:013d}-{version}", content or b"", MODE)
        for each in former[KEPT - 1 :]:
            (self._versions / each.id).unlink(missing_ok=True)
        sync_directory(self._versions)

    def _write(self, content: bytes | None) -> None:
        if content is None:
            self.path.unlink(missing_ok=True)
            sync_directory(self.path.parent)
            return
        # Where a link leads, so that it stays one.
        target = Path(os.path.realpath(self.path))
        replace_file(target, content, MODE, keep_mode=True)
        sync_directory(target.parent)
