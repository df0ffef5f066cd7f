"""From the path of a request to its endpoint.

Segments are taken apart before they are decoded, so that a client identifier or a topic that holds a slash is one
segment when the slash is written ``%2F``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

from mqttbroker.admin.endpoint import Endpoint
from mqttbroker.admin.problems import Problem, bad_request, not_found

__all__ = ["Routes"]


@dataclass(slots=True)
class _Place:
    segments: list[str]
    methods: dict[str, Endpoint] = field(default_factory=dict)

    @property
    def parameters(self) -> int:
        return sum(each.startswith("{") for each in self.segments)

    def match(self, segments: list[str]) -> dict[str, str] | None:
        found: dict[str, str] = {}
        for own, given in zip(self.segments, segments, strict=True):
            if own.startswith("{"):
                if not given:
                    return None
                found[own[1:-1]] = given
            elif own != given:
                return None
        return found


class Routes:
    """All endpoints of a server. Two for one method of one path raise ``ValueError``."""

    def __init__(self, endpoints: Iterable[Endpoint]) -> None:
        self.endpoints: list[Endpoint] = list(endpoints)
        places: dict[str, _Place] = {}
        for each in self.endpoints:
            place = places.setdefault(each.path, _Place(each.path.split("/")))
            if each.method in place.methods:
                raise ValueError(f"{each.method} {each.path} is there twice")
            place.methods[each.method] = each
        self._by_length: dict[int, list[_Place]] = {}
        # What is spelt out goes before what may be anything.
        for place in sorted(places.values(), key=lambda each: each.parameters):
            self._by_length.setdefault(len(place.segments), []).append(place)

    def find(self, method: str, raw_path: bytes) -> tuple[Endpoint, dict[str, str]]:
        """The endpoint and the parameters of its path. Raises :class:`Problem` 400, 404 or 405."""
        try:
            segments = [unquote_to_bytes(each).decode() for each in raw_path.split(b"/")]
        except UnicodeDecodeError:
            raise bad_request("expected UTF-8 in the path") from None
        for place in self._by_length.get(len(segments), ()):
            parameters = place.match(segments)
            if parameters is not None:
                wanted = "GET" if method == "HEAD" else method
                if wanted not in place.methods:
                    allowed = ", ".join(place.methods)
                    raise Problem(405, f"expected one of {allowed}", headers={"Allow": allowed})
                return place.methods[wanted], parameters
        raise not_found("such path; the description of the API is at /api/v1/openapi.json")
