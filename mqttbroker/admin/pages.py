"""The console: the files that ``make console`` builds, for browsers.

They are read once, when the server starts. A request is answered from a table of paths and never leads to the disk, so
that there is no path to anything else. They hold no secrets and are for everybody: what they show, they ask of the API.

What has a digest in its name (``/assets/``) never changes and may be kept for ever; the rest is asked for each time.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Final

from starlette.responses import Response

from mqttbroker import __version__
from mqttbroker.admin.endpoint import PREFIX
from mqttbroker.admin.problems import Problem

__all__ = ["BUILT", "Pages"]

BUILT: Final = Path(__file__).parent / "console"
"""Where the built console is, in the package."""
INDEX: Final = "index.html"
FOR_EVER: Final = "public, max-age=31536000, immutable"
ASK_AGAIN: Final = "no-cache"
# Not what the system's tables say: a browser runs a script only when it is called one.
_CONTENT_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}

_NOT_BUILT: Final = f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>MQTT broker</title>
<h1>The broker is running</h1>
<p>Version {escape(__version__)}. Its web console has not been built. In a copy of the source, <code>make console</code>
builds it; then start the broker again.</p>
<p>The HTTP API is there all the same, at <code>{PREFIX}</code>, and described at
<a href="{PREFIX}/openapi.json"><code>{PREFIX}/openapi.json</code></a>, after a login.</p>
</html>
"""


@dataclass(frozen=True, slots=True)
class _File:
    content: bytes
    content_type: str
    cache: str
    compressed: bytes | None
    """``None`` where that gains nothing."""


class Pages:
    """All files of one build."""

    def __init__(self, files: dict[str, bytes] | None = None) -> None:
        """``files`` by their path below the place that is served. Without them there is a page that says so."""
        found = files or {INDEX: _NOT_BUILT.encode()}
        self._files: dict[bytes, _File] = {f"/{path}".encode(): _file(path, found[path]) for path in found}
        index = self._files.get(f"/{INDEX}".encode())
        if index is not None:
            self._files[b"/"] = index

    @classmethod
    def read(cls, folder: Path) -> Pages:
        """What is in a folder; the page that says how to build it, where that is not whole."""
        try:
            files = {
                path.relative_to(folder).as_posix(): path.read_bytes()
                for path in sorted(folder.rglob("*"))
                if path.suffix in _CONTENT_TYPES and path.is_file()
            }
        except OSError:
            files = {}
        return cls(files if INDEX in files else None)

    @property
    def paths(self) -> list[str]:
        """All paths, from the root."""
        return [path.decode() for path in self._files]

    def find(self, method: str, raw_path: bytes, accepted: str) -> Response | None:
        """The answer; ``None``: there is no such file.

        ``accepted`` is what ``Accept-Encoding`` says. Raises :class:`Problem` 405 for what cannot be done to a file.
        """
        file = self._files.get(raw_path)
        if file is None:
            return None
        if method not in ("GET", "HEAD"):
            raise Problem(405, "expected one of GET, HEAD", headers={"Allow": "GET, HEAD"})
        headers = {"Cache-Control": file.cache}
        content = file.content
        if file.compressed is not None:
            headers["Vary"] = "Accept-Encoding"
            if _takes_gzip(accepted):
                headers["Content-Encoding"] = "gzip"
                content = file.compressed
        return Response(content, headers=headers, media_type=file.content_type)


def _file(path: str, content: bytes) -> _File:
    compressed = gzip.compress(content, mtime=0)
    return _File(
        content=content,
        content_type=_CONTENT_TYPES[Path(path).suffix],
        cache=FOR_EVER if path.startswith("assets/") else ASK_AGAIN,
        compressed=compressed if len(compressed) < len(content) else None,
    )


def _takes_gzip(accepted: str) -> bool:
    for each in accepted.lower().split(","):
        coding, _, weight = each.replace(" ", "").partition(";q=")
        if coding == "gzip":
            return weight.strip("0.") != "" or weight == ""
    return False
