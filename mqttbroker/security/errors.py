"""The errors of security files that cannot be used. Whoever meets one refuses to start, or keeps what was in force."""

from __future__ import annotations

from os import PathLike

__all__ = ["SecurityError", "TlsError"]


class SecurityError(Exception):
    """A file that decides who may do what is not as it should be.

    The message names the file, the place in it (line or key; empty for the whole file), and what was expected.
    It never holds a password or a hash.
    """

    def __init__(self, path: str | PathLike[str], place: str, problem: str, line: int = 0) -> None:
        self.path: str = str(path)
        self.place: str = place
        self.problem: str = problem
        self.line: int = line
        """Where it is in the text, from 1; 0 where that is not known."""
        super().__init__(": ".join(part for part in (self.path, place, problem) if part))


class TlsError(Exception):
    """The files of a listener cannot be used for TLS; the text names the file and what was expected."""
