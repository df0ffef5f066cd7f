"""Client identifiers in paths.

A client identifier may be any text, and the broker knows those below a mount point with U+0000 in between. What cannot
stand in a path as one segment, percent-encoded or not, is given in base64url: empty, ``.`` and ``..``, which browsers
take for directories, anything with U+0000, and what could be taken for such a form.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode

from mqttbroker.admin.problems import not_found

__all__ = ["path_id", "session_id"]

FORM = "base64:"


def path_id(known: str) -> str:
    """What stands in paths for the client identifier by which a session is known."""
    if known in ("", ".", "..") or "\0" in known or known.startswith(FORM):
        return FORM + urlsafe_b64encode(known.encode()).decode().rstrip("=")
    return known


def session_id(segment: str) -> str:
    """The client identifier by which a session is known. Raises a problem for what cannot be one."""
    if not segment.startswith(FORM):
        return segment
    encoded = segment.removeprefix(FORM)
    try:
        return urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
    except ValueError as error:
        raise not_found(f"client {segment!r}") from error
