"""What a browser must not be made to do: requests from other sites, pages in frames, scripts from elsewhere.

* ``Host`` must be an address, ``localhost`` or a trusted name. A page of a stranger whose name has been made to lead to
  this machine (DNS rebinding) has the stranger's name there.
* ``Origin``, where there is one, must be the host that is asked. Other sites can ask nothing, not even to read.
* Every answer forbids frames, sniffing of types, and everything that does not come from this server itself.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import urlsplit

from mqttbroker.admin.problems import Problem

__all__ = ["Guard"]

_HOST: Final = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[^\s:/@\\\[\]]+)(?::(?P<port>[0-9]{1,5}))?")

_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; connect-src 'self'"
)


class Guard:
    """The rules of one server. ``websocket_ports`` are those where the console may connect by MQTT."""

    def __init__(self, trusted_hosts: Iterable[str], websocket_ports: Iterable[int] = ()) -> None:
        self._names: frozenset[str] = frozenset({"localhost", *(each.lower() for each in trusted_hosts)})
        self._ports: tuple[int, ...] = tuple(websocket_ports)

    def check(self, headers: Mapping[str, str], scheme: str) -> None:
        """Raise :class:`Problem` for a request that comes by a wrong name or from another site."""
        host = headers.get("host", "")
        if not self._is_ours(host):
            raise Problem(403, "this name is not one of the broker's; trusted_hosts in [admin] has the list of them")
        origin = headers.get("origin")
        if origin is not None and not self._is_same(origin, host, scheme):
            raise Problem(403, "requests from other sites are not answered")

    def headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """The headers of every answer."""
        policy = _POLICY
        match = _HOST.fullmatch(headers.get("host", ""))
        if match is not None and self._is_ours(match[0]):
            policy += "".join(f" {scheme}://{match['name']}:{port}" for port in self._ports for scheme in ("ws", "wss"))
        return {**_HEADERS, "Content-Security-Policy": policy}

    def _is_ours(self, host: str) -> bool:
        match = _HOST.fullmatch(host)
        if match is None:
            return False
        name = match["name"].lower()
        return name in self._names or _is_address(name)

    def _is_same(self, origin: str, host: str, scheme: str) -> bool:
        try:
            parts = urlsplit(origin)
        except ValueError:
            return False
        if parts.scheme not in ("http", "https") or origin != f"{parts.scheme}://{parts.netloc}":
            return False
        if (parts.scheme, parts.netloc.lower()) == (scheme, host.lower()):
            return True
        # Behind a proxy that speaks TLS, the origin is https while the request is not.
        match = _HOST.fullmatch(parts.netloc)
        trusted = match is not None and match["name"].lower() in self._names - {"localhost"}
        return trusted and parts.scheme == "https"


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True
