"""Files for browsers, on the port where they then connect: a page and its broker need no other server.

:class:`Pages` answers one request for one path; it knows no sockets, and nothing of MQTT. What always holds:

* A path is taken apart before it is decoded, and each name is looked at after that. One that begins with a dot, or
  has a slash, a backslash or a control character in it, is not found; so there is no way up, and no hidden file.
* A file is served from where it really is. What a symbolic link outside of the directory points at is not found.
* Whatever cannot be served is not found, so that an answer does not tell what else is on the disk.
* A page may load and connect to this host only, is not shown inside of others, and is asked for anew each time.

The file is read while the event loop waits. That is meant for what a page is made of: a few small files that the
system holds in memory. Deliberately absent: lists of directories, ranges, compression, conditional requests, and a
connection that lasts longer than one answer.
"""

from __future__ import annotations

import os
import stat
from email.utils import formatdate
from http import HTTPStatus
from pathlib import Path
from urllib.parse import quote, unquote

from websockets.datastructures import Headers
from websockets.http11 import Response

__all__ = ["MAX_FILE_SIZE", "Pages"]

MAX_FILE_SIZE = 16 * 1024 * 1024
"""Bytes of the largest file that is served."""

# Not what the system's tables say: a browser runs a script only when it is called one.
_CONTENT_TYPES = {
    ".avif": "image/avif",
    ".css": "text/css; charset=utf-8",
    ".gif": "image/gif",
    ".htm": "text/html; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".map": "application/json",
    ".mjs": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".ttf": "font/ttf",
    ".txt": "text/plain; charset=utf-8",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
    ".xml": "application/xml",
}
_TEXT = _CONTENT_TYPES[".txt"]
_ANYTHING = "application/octet-stream"

# 'self' is this host's ws: or wss: as well. MQTT.js keeps time in a worker that it makes out of a blob.
_SECURITY_POLICY = "; ".join(
    (
        "default-src 'self'",
        "img-src 'self' data:",
        "worker-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
_HEADERS = (
    ("Connection", "close"),
    ("Cache-Control", "no-cache"),
    ("Content-Security-Policy", _SECURITY_POLICY),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
)


class Pages:
    """The files of one directory. Raises ``OSError``, with a message for people, when it cannot be read."""

    __slots__ = ("_directory",)

    def __init__(self, directory: Path) -> None:
        # Absolute, as the working directory may change; with its links, as they may be turned to a newer version.
        self._directory: Path = directory.absolute()
        try:
            os.scandir(directory).close()
        except OSError as error:
            raise OSError(error.errno, f"pages in {str(directory)!r} cannot be served: {error.strerror}") from error

    def respond(self, path: str) -> Response:
        """Answer a GET for ``path``, the target of the request as it was sent: with the file, or with why not.

        A directory is answered with its ``index.html``.
        """
        names = _names(path)
        if names is None:
            return _not_found()
        try:
            return self._find(names)
        except (OSError, RuntimeError, ValueError):
            # Not there, not readable, a name too long, links in a circle: Python has an exception for each.
            return _not_found()

    def _find(self, names: list[str]) -> Response:
        root = self._directory.resolve(strict=True)
        last = names[-1]
        found = _inside(root, root.joinpath(*names))
        if found.is_dir():
            if last:  # Without a slash at its end, a browser would look for the page's files one level above.
                return _redirect(names)
            found = _inside(root, found / "index.html")
        elif not last:
            return _not_found()
        return _file(found)


def _names(path: str) -> list[str] | None:
    """The names in a path, the last one empty where it is one of a directory; ``None`` for what is never served."""
    path = path.partition("?")[0]
    if not path.startswith("/"):
        return None
    try:
        names = [unquote(each, errors="strict") for each in path[1:].split("/")]
    except UnicodeDecodeError:
        return None
    if not all(names[:-1]) or not all(map(_is_served, names)):
        return None
    return names


def _is_served(name: str) -> bool:
    return not name.startswith(".") and "/" not in name and "\\" not in name and (not name or name.isprintable())


def _inside(root: Path, path: Path) -> Path:
    """Where the file really is. Raises ``ValueError`` when that is outside, or is hidden."""
    found = path.resolve(strict=True)
    if any(name.startswith(".") for name in found.relative_to(root).parts):
        raise ValueError(f"{path} is hidden")
    return found


def _file(path: Path) -> Response:
    # A named pipe would never open, so the kind of the file is asked first.
    if not stat.S_ISREG(path.stat().st_mode):
        return _not_found()
    with path.open("rb") as file:
        body = file.read(MAX_FILE_SIZE + 1)
    if len(body) > MAX_FILE_SIZE:
        return _response(HTTPStatus.FORBIDDEN, _TEXT, b"This file is too large to be served.\n")
    return _response(HTTPStatus.OK, _CONTENT_TYPES.get(path.suffix.lower(), _ANYTHING), body)


def _redirect(names: list[str]) -> Response:
    location = "".join("/" + quote(name, safe="") for name in names) + "/"
    response = _response(HTTPStatus.PERMANENT_REDIRECT, _TEXT, f"This page is at {location}\n".encode())
    response.headers["Location"] = location
    return response


def _not_found() -> Response:
    return _response(HTTPStatus.NOT_FOUND, _TEXT, b"There is no such page.\n")


def _response(status: HTTPStatus, content_type: str, body: bytes) -> Response:
    headers = Headers(_HEADERS)
    headers["Date"] = formatdate(usegmt=True)
    headers["Content-Type"] = content_type
    headers["Content-Length"] = str(len(body))
    return Response(status.value, status.phrase, headers, body)
