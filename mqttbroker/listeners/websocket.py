"""MQTT over WebSocket (chapter 6): packets in binary frames, split and merged in any way [MQTT-6.0.0-2].

The protocol is that of the ``websockets`` package, of which only the part without I/O is used: a connection has no
task of its own, and everything that one turn writes goes out in one frame.

What a stranger can make this module hold is bounded: a message may be as large as a CONNECT before it is accepted,
then a little more than a packet; a message has few fragments; the opening hand-shake must be done by the time that
CONNECT must. Compression is not offered, so there is nothing that swells.
"""

from __future__ import annotations

import ipaddress
import logging
import sys
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

from websockets.datastructures import MultipleValuesError
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from mqttbroker.broker import host_of
from mqttbroker.listeners.pages import Pages
from mqttbroker.listeners.stream import Arrival, StreamProtocol
from mqttbroker.listeners.trust import TrustedNetworks, forwarded_for

__all__ = ["WebSocketProtocol", "WebSocketSettings", "origin_allowed"]

SUBPROTOCOLS = (Subprotocol("mqtt"), Subprotocol("mqttv3.1"))
MAX_FRAGMENTS = 1_024
"""Frames of one message. Its bytes are bounded too, but a fragment may be empty."""
PAGE_PATIENCE = 5.0
"""Seconds in which a browser must have taken more of a page."""
MAX_PAGE_TIME = 60.0
"""Seconds in which it must have taken it all."""
MESSAGE_MARGIN = 65_536
"""A message may be so much larger than the largest packet, so that small ones can share it with others."""

_HINT = "This port speaks MQTT over WebSocket. Connect with an MQTT client, to {path} with the subprotocol mqtt.\n"

_UNREADABLE_TEXT = b"This port speaks MQTT over WebSocket, with GET in HTTP/1.1 (nginx: proxy_http_version 1.1).\n"
_UNREADABLE = (
    b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Content-Length: %d\r\n\r\n%b" % (len(_UNREADABLE_TEXT), _UNREADABLE_TEXT)
)

# What goes wrong in a hand-shake is told to the client, and is nobody else's business.
_quiet = logging.getLogger("mqttbroker.websockets")
_quiet.addHandler(logging.NullHandler())
_quiet.propagate = False


class WebSocketSettings:
    """What a WebSocket listener asks of a hand-shake, and what it has for those who ask for none.

    Raises ``OSError`` when there is no directory ``pages``.
    """

    __slots__ = ("origins", "pages", "path", "require_subprotocol", "trusted")

    def __init__(
        self,
        path: str = "/mqtt",
        origins: tuple[str, ...] = (),
        require_subprotocol: bool = True,
        pages: Path | None = None,
        trusted: TrustedNetworks | None = None,
    ) -> None:
        self.path: str = path
        """The path that is served; ``/`` is served as well."""
        self.origins: tuple[str, ...] = origins
        """Origins of pages that may connect, besides this host and the loopback interface; ``*`` is any."""
        self.require_subprotocol: bool = require_subprotocol
        """Whether a client must ask for ``mqtt`` [MQTT-6.0.0-3], or may ask for nothing."""
        self.pages: Pages | None = None if pages is None else Pages(pages)
        """What a request that is no hand-shake is answered with; without, it is told to connect with MQTT."""
        self.trusted: TrustedNetworks = trusted or TrustedNetworks()
        """Proxies whose X-Forwarded-For is believed."""


class WebSocketProtocol(StreamProtocol):
    """One WebSocket connection."""

    def __init__(self, settings: WebSocketSettings, arrival: Arrival) -> None:
        super().__init__(arrival)
        self._settings: WebSocketSettings = settings
        self._websocket: ServerProtocol = ServerProtocol(
            subprotocols=SUBPROTOCOLS,
            select_subprotocol=None if settings.require_subprotocol else _any_subprotocol,
            max_size=self.entrance.limits.max_connect_size,
            logger=_quiet,
        )
        self._fragments: int = 0
        self._accepted: bool = False
        self._ended: bool = False
        self._crowded: bool = False
        """Whether there are too many connections from where a proxy says that the client is."""

    def received(self, data: bytes) -> None:
        """Take what frames have come in, and answer the protocol's own."""
        websocket = self._websocket
        websocket.receive_data(data)
        for event in websocket.events_received():
            if isinstance(event, Request):
                self._open(event)
            elif isinstance(event, Frame):
                self._frame(event)
        if websocket.handshake_exc is not None and websocket.state is State.CONNECTING and not self._ended:
            self._explain(data)
        self._transmit()

    def _explain(self, data: bytes) -> None:
        """Answer a request that the package does not read, of a proxy that speaks HTTP/1.0 or of a health check."""
        if b" HTTP/1." in data.partition(b"\r\n")[0]:
            self.transport.write(_UNREADABLE)

    def _open(self, request: Request) -> None:
        if self._websocket.parser_exc is not None:
            # What has come right behind the request is no frame: the package has ended the connection.
            return
        self._learn_address(request)
        if self._settings.pages is not None and "Upgrade" not in request.headers and not self._crowded:
            self._serve(self._settings.pages, request)
            return
        refusal = self._refusal(request)
        if refusal is not None:
            status, text = refusal
            response = self._websocket.reject(status, text)
            if status == HTTPStatus.UPGRADE_REQUIRED:
                response.headers["Upgrade"] = "websocket"
        else:
            response = self._websocket.accept(request)  # [MQTT-6.0.0-4]
        self._websocket.send_response(response)
        if response.status_code != HTTPStatus.SWITCHING_PROTOCOLS:
            self._lost(f"WebSocket refused with HTTP status {response.status_code}")

    def _learn_address(self, request: Request) -> None:
        """Take over from a trusted proxy where its client is."""
        values = request.headers.get_all("X-Forwarded-For")
        if not self.believed or not values or self.connection is None:
            return
        address = forwarded_for(values, self.connection.peer.address, self._settings.trusted)
        if self.host.core.gate.identify(self.entrance, host_of(address), self.host.clock()):
            self.counted = host_of(address)
            self.connection.speaks_for(address)
        else:
            self._crowded = True

    def _serve(self, pages: Pages, request: Request) -> None:
        # Before version 17 the package reads no other method, and the attribute is not there.
        if getattr(request, "method", "GET") == "GET":
            response = pages.respond(request.path)
        else:
            response = self._websocket.reject(HTTPStatus.METHOD_NOT_ALLOWED, "Pages can only be fetched.\n")
            response.headers["Allow"] = "GET"
        self._websocket.send_response(response)
        self._take_time(MAX_PAGE_TIME, sys.maxsize)
        self._lost(f"page answered with HTTP status {response.status_code}")

    def _take_time(self, left: float, waiting: int) -> None:
        """Give a page longer to leave than packets are given, as long as the browser goes on taking it."""
        self._deadline = self.host.loop.call_later(PAGE_PATIENCE, self._still_taken, left - PAGE_PATIENCE, waiting)

    def _still_taken(self, left: float, before: int) -> None:
        waiting = self.waiting()
        if left > 0 and 0 < waiting < before:
            self._take_time(left, waiting)
        else:
            self.transport.abort()

    def _refusal(self, request: Request) -> tuple[HTTPStatus, str] | None:
        hint = _HINT.format(path=self._settings.path)
        if self._crowded:
            return HTTPStatus.TOO_MANY_REQUESTS, "Too many connections from your address.\n"
        if "Upgrade" not in request.headers:
            return HTTPStatus.UPGRADE_REQUIRED, hint
        if urlsplit(request.path).path not in (self._settings.path, "/"):
            return HTTPStatus.NOT_FOUND, hint
        try:
            origin, host = request.headers.get("Origin"), request.headers.get("Host", "")
        except MultipleValuesError:
            return HTTPStatus.BAD_REQUEST, "More than one Origin or Host.\n"
        if origin is not None and not origin_allowed(origin, host or "", self._settings.origins):
            return HTTPStatus.FORBIDDEN, "Pages of this origin may not connect; see the listener's key origins.\n"
        return None

    def _frame(self, frame: Frame) -> None:
        if frame.opcode in (Opcode.BINARY, Opcode.CONT):
            self._fragments = 0 if frame.fin else self._fragments + 1
            if self._fragments > MAX_FRAGMENTS:
                self._fail(CloseCode.POLICY_VIOLATION, "too many fragments")
            elif self.connection is not None:
                self.connection.feed(bytes(frame.data), self.host.clock())
                self._widen()
        elif frame.opcode == Opcode.TEXT:
            self._fail(CloseCode.UNSUPPORTED_DATA, "MQTT is binary")  # [MQTT-6.0.0-1]
        elif frame.opcode == Opcode.CLOSE:
            self._lost("WebSocket closed by the client")

    def _widen(self) -> None:
        """Let messages be larger, once the client is accepted."""
        if self._accepted or self.connection is None or not self.connection.accepted:
            return
        self._accepted = True
        size = self.entrance.limits.max_packet_size + MESSAGE_MARGIN
        # The package has renamed the attribute in version 16.
        name = "max_message_size" if hasattr(self._websocket, "max_message_size") else "max_size"
        setattr(self._websocket, name, size)

    def _fail(self, code: CloseCode, reason: str) -> None:
        self._websocket.fail(code, reason)
        self._lost(f"WebSocket failed: {reason}")

    def _lost(self, detail: str) -> None:
        if self.connection is not None:
            self.connection.lost(self.host.clock(), detail)

    def _transmit(self) -> None:
        """Write what the protocol has to say; an empty piece is the end."""
        websocket = self._websocket
        error = websocket.parser_exc or websocket.handshake_exc
        if error is not None:
            # The package keeps to the cause what a proxy or a client does wrong in its request.
            self._lost(f"WebSocket failed: {error.__cause__ or error}")
        for piece in websocket.data_to_send():
            if not piece:
                self._end()
            elif not self._ended:  # Who has said good-bye answers no Ping.
                self.transport.write(piece)

    def _end(self) -> None:
        self._ended = True
        super().close()

    # What the connection calls.

    def send(self, data: bytes) -> None:
        """Write packets, all in one frame."""
        if self._websocket.state is State.OPEN:
            self._websocket.send_binary(data)
            self._transmit()

    def close(self) -> None:
        """Say good-bye, then close."""
        if self._websocket.state is State.OPEN:
            self._websocket.send_close(CloseCode.NORMAL_CLOSURE)
            self._transmit()
        self._end()


def origin_allowed(origin: str, host: str, allowed: tuple[str, ...]) -> bool:
    """Whether a page of this origin may connect to this host: it is of the same host, of the loopback interface, or
    listed.

    Without this, any page that somebody looks at could speak to a broker that only their browser can reach.
    """
    if "*" in allowed or origin in allowed:
        return True
    try:
        page = urlsplit(origin).hostname
        here = urlsplit(f"//{host}").hostname
    except ValueError:
        return False
    return page is not None and (page == here or _is_loopback(page))


def _is_loopback(hostname: str) -> bool:
    if hostname == "localhost":
        return True
    try:
        return ipaddress.ip_address(hostname).is_loopback
    except ValueError:
        return False


def _any_subprotocol(websocket: ServerProtocol, offered: object) -> Subprotocol | None:
    assert isinstance(offered, list | tuple)
    if not offered:
        return None
    return next((each for each in SUBPROTOCOLS if each in offered), None)
