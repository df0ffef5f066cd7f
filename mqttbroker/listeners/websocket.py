"""MQTT over WebSocket (chapter 6): packets in binary frames, split and merged in any way [MQTT-6.0.0-2].

The protocol is that of the ``websockets`` package, of which only the part without I/O is used: a connection has no
task of its own, and everything that one turn writes goes out in one frame. Of an open connection the package sees only
what is out of the ordinary; messages of one frame are read and written by ``frames.py``, and while there is nothing
else, nothing of the package is held in memory.

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
from mqttbroker.listeners.frames import binary_frame, frame_size, take_binary
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
END_OF_REQUEST = b"\r\n\r\n"
LONGEST_HEADER = 14
"""Bytes of the header of a frame, at most."""
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
        self._limit: int = self.entrance.limits.max_connect_size
        """Bytes of the largest message."""
        self._websocket: ServerProtocol | None = ServerProtocol(
            subprotocols=SUBPROTOCOLS,
            select_subprotocol=None if settings.require_subprotocol else lambda _, offered: _any_subprotocol(offered),
            max_size=self._limit,
            logger=_quiet,
        )
        """The package's side of the connection; ``None`` while it is open and there are only messages of one frame."""
        self._asked: bool = False
        """Whether the whole request has come in."""
        self._end_of_request: bytes = b""
        """The last bytes before that, which may be the first of the empty line at its end."""
        self._partial: bytearray | None = None
        """The beginning of a frame, and how many bytes it takes to look at it again."""
        self._needed: int = 0
        self._fragments: int = 0
        """Frames of a message that is not whole."""
        self._accepted: bool = False
        self._ended: bool = False
        self._crowded: bool = False
        """Whether there are too many connections from where a proxy says that the client is."""

    def data_received(self, data: bytes) -> None:
        """Take bytes."""
        self._received(data)
        self.host.read(len(data))

    def _received(self, data: bytes) -> None:
        """Take the request, and what has come right behind it only when that is answered; then frames."""
        if not self._asked:
            known = self._end_of_request + data
            at = known.find(END_OF_REQUEST)
            self._end_of_request = known[1 - len(END_OF_REQUEST) :]
            if at < 0:
                self._take(data)
                return
            self._asked = True
            self._end_of_request = b""
            size = at + len(END_OF_REQUEST) - (len(known) - len(data))
            self._take(data[:size])
            data = data[size:]
        if self._partial is not None:
            self._partial += data
            if len(self._partial) < self._needed:
                return
            data, self._partial = bytes(self._partial), None
        self._take_frames(data)
        if self._is_open and not self._fragments:
            self._websocket = None

    @property
    def _is_open(self) -> bool:
        return self._websocket is None or self._websocket.state is State.OPEN

    def _package(self) -> ServerProtocol:
        """The package's side of the connection, made anew where it was not needed for a while."""
        if self._websocket is None:
            self._websocket = ServerProtocol(state=State.OPEN, max_size=self._limit, logger=_quiet)
        return self._websocket

    def _take_frames(self, data: bytes) -> None:
        """Hand on what is in the usual frames, and give all others to the package, one by one."""
        position, size = 0, len(data)
        while position < size:
            self._widen()
            if not self._is_open:
                self._take(data[position:])
                return
            if not self._fragments and self.connection is not None:
                packets, end = take_binary(data, position, self._limit)
                if end > position:
                    self.connection.feed(packets, self.host.clock())
                    position = end
                    continue
            needed = frame_size(data, position)
            if size - position < needed <= self._limit + LONGEST_HEADER:
                self._partial, self._needed = bytearray(data[position:]), needed
                return
            # One that is too large is refused by its header.
            self._take(data[position : position + needed])
            position += needed

    def _take(self, data: bytes) -> None:
        websocket = self._package()
        websocket.receive_data(data)
        unreadable = websocket.handshake_exc is not None and not self._ended
        for event in websocket.events_received():
            if isinstance(event, Request):
                self._open(event)
                unreadable = False
            elif isinstance(event, Frame):
                self._frame(event)
        if unreadable and not any(websocket.writes):  # Since version 17 the package answers to some of it.
            self._explain(data)
        self._transmit()

    def _explain(self, data: bytes) -> None:
        """Answer a request that the package does not read, of a proxy that speaks HTTP/1.0 or of a health check."""
        if b" HTTP/1." in data.partition(b"\r\n")[0]:
            self.transport.write(_UNREADABLE)

    def _open(self, request: Request) -> None:
        self._learn_address(request)
        if self._settings.pages is not None and "Upgrade" not in request.headers and not self._crowded:
            self._serve(self._settings.pages, request)
            return
        refusal = self._refusal(request)
        if refusal is not None:
            status, text = refusal
            response = self._package().reject(status, text)
            if status == HTTPStatus.UPGRADE_REQUIRED:
                response.headers["Upgrade"] = "websocket"
        else:
            response = self._package().accept(request)  # [MQTT-6.0.0-4]
        self._package().send_response(response)
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
            response = self._package().reject(HTTPStatus.METHOD_NOT_ALLOWED, "Pages can only be fetched.\n")
            response.headers["Allow"] = "GET"
        self._package().send_response(response)
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
        elif frame.opcode == Opcode.TEXT:
            self._fail(CloseCode.UNSUPPORTED_DATA, "MQTT is binary")  # [MQTT-6.0.0-1]
        elif frame.opcode == Opcode.CLOSE:
            self._lost("WebSocket closed by the client")

    def _widen(self) -> None:
        """Let messages be larger, once the client is accepted."""
        if self._accepted or self.connection is None or not self.connection.accepted:
            return
        self._accepted = True
        self._limit = self.entrance.limits.max_packet_size + MESSAGE_MARGIN
        if self._websocket is not None:
            # The package has renamed the attribute in version 16.
            name = "max_message_size" if hasattr(self._websocket, "max_message_size") else "max_size"
            setattr(self._websocket, name, self._limit)

    def _fail(self, code: CloseCode, reason: str) -> None:
        self._package().fail(code, reason)
        self._lost(f"WebSocket failed: {reason}")

    def _lost(self, detail: str) -> None:
        if self.connection is not None:
            self.connection.lost(self.host.clock(), detail)

    def _transmit(self) -> None:
        """Write what the package has to say; an empty piece is the end."""
        websocket = self._package()
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
        if self._is_open:
            self.transport.write(binary_frame(data))

    def close(self) -> None:
        """Say good-bye, then close."""
        if self._is_open:
            self._package().send_close(CloseCode.NORMAL_CLOSURE)
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


def _any_subprotocol(offered: object) -> Subprotocol | None:
    assert isinstance(offered, list | tuple)
    if not offered:
        return None
    return next((each for each in SUBPROTOCOLS if each in offered), None)
