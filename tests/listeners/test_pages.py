"""Files for browsers: which are found, which are not, and what is said along with them."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from mqttbroker.config import Config, ListenerConfig, TlsConfig
from mqttbroker.listeners import websocket
from mqttbroker.listeners.host import Host
from mqttbroker.listeners.pages import MAX_FILE_SIZE, Pages
from mqttbroker.listeners.websocket import WebSocketProtocol
from mqttbroker.testing import RunningBroker
from mqttbroker.testing.plugin import BrokerFactory
from tests.support.build import pure_only
from tests.support.pki import Pki
from tests.support.websocket import shake_hands

HOME = b"<!doctype html><title>home</title>"
SECRET = b"secret"
TIMEOUT = 20.0
HANDSHAKE = (
    b"Host: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\nSec-WebSocket-Protocol: mqtt\r\n"
)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A directory of pages beside a file that is nobody's business."""
    (tmp_path / "secret.txt").write_bytes(SECRET)
    pages = tmp_path / "pages"
    (pages / "sub folder").mkdir(parents=True)
    (pages / "empty").mkdir()
    (pages / ".git").mkdir()
    (pages / "index.html").write_bytes(HOME)
    (pages / "app.js").write_bytes(b"let a")
    (pages / "grün.txt").write_bytes(b"green")
    (pages / "sub folder" / "index.html").write_bytes(b"below")
    (pages / ".git" / "config").write_bytes(SECRET)
    (pages / ".env").write_bytes(SECRET)
    return pages


@pytest.fixture
def pages(directory: Path) -> Pages:
    return Pages(directory)


def link(at: Path, to: Path) -> None:
    """Make a symbolic link, where the system lets people do so."""
    try:
        at.symlink_to(to)
    except OSError as error:
        pytest.skip(f"no symbolic links: {error}")


class TestFound:
    @pytest.mark.parametrize(
        ("path", "body"),
        [
            ("/", HOME),
            ("/index.html", HOME),
            ("/?a=b/../c", HOME),
            ("/app.js?version=1", b"let a"),
            ("/%61pp.js", b"let a"),
            ("/sub%20folder/", b"below"),
            ("/sub%20folder/index.html", b"below"),
            ("/gr%C3%BCn.txt", b"green"),
        ],
    )
    def test_what_is_there(self, pages: Pages, path: str, body: bytes) -> None:
        response = pages.respond(path)
        assert (response.status_code, response.body) == (HTTPStatus.OK, body)
        assert response.headers["Content-Length"] == str(len(body))

    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("a.html", "text/html; charset=utf-8"),
            ("a.HTML", "text/html; charset=utf-8"),
            ("a.css", "text/css; charset=utf-8"),
            ("a.js", "text/javascript; charset=utf-8"),
            ("a.mjs", "text/javascript; charset=utf-8"),
            ("a.js.map", "application/json"),
            ("a.json", "application/json"),
            ("a.svg", "image/svg+xml"),
            ("a.png", "image/png"),
            ("a.ico", "image/x-icon"),
            ("a.woff2", "font/woff2"),
            ("a.wasm", "application/wasm"),
            ("a.txt", "text/plain; charset=utf-8"),
            ("a.exe", "application/octet-stream"),
            ("a", "application/octet-stream"),
        ],
    )
    def test_content_types(self, pages: Pages, directory: Path, name: str, expected: str) -> None:
        (directory / name).write_bytes(b"")
        response = pages.respond(f"/{name}")
        assert (response.status_code, response.headers["Content-Type"]) == (HTTPStatus.OK, expected)

    def test_a_directory_without_its_slash_is_elsewhere(self, pages: Pages) -> None:
        response = pages.respond("/sub%20folder?x")
        assert response.status_code == HTTPStatus.PERMANENT_REDIRECT
        assert response.headers["Location"] == "/sub%20folder/"

    def test_a_file_that_changes(self, pages: Pages, directory: Path) -> None:
        (directory / "index.html").write_bytes(b"new")
        assert pages.respond("/").body == b"new"

    def test_a_link_to_what_is_served(self, pages: Pages, directory: Path) -> None:
        link(directory / "same.js", directory / "app.js")
        assert pages.respond("/same.js").body == b"let a"

    def test_a_directory_that_is_a_link_may_be_turned(self, directory: Path, tmp_path: Path) -> None:
        newer = tmp_path / "newer"
        newer.mkdir()
        (newer / "index.html").write_bytes(b"newer")
        link(tmp_path / "current", directory)
        pages = Pages(tmp_path / "current")
        assert pages.respond("/").body == HOME
        (tmp_path / "current").unlink()
        link(tmp_path / "current", newer)
        assert pages.respond("/").body == b"newer"

    def test_the_largest(self, pages: Pages, directory: Path) -> None:
        with (directory / "large").open("wb") as file:
            file.truncate(MAX_FILE_SIZE)
        response = pages.respond("/large")
        assert (response.status_code, len(response.body)) == (HTTPStatus.OK, MAX_FILE_SIZE)
        with (directory / "large").open("ab") as file:
            file.write(b"x")
        response = pages.respond("/large")
        assert response.status_code == HTTPStatus.FORBIDDEN
        assert response.body == b"This file is too large to be served.\n"


class TestNotFound:
    @pytest.mark.parametrize(
        "path",
        [
            "/missing",
            "/app.js/",
            "/app.js/more",
            "/empty/",
            "/" + "a" * 5_000,
            "/" + "a/" * 2_000,
            # Upwards.
            "/../secret.txt",
            "/sub%20folder/../../secret.txt",
            "/sub%20folder/../index.html",
            "/%2e%2e/secret.txt",
            "/%2E%2e/secret.txt",
            "/.%2e/secret.txt",
            "/..%2fsecret.txt",
            "/%2e%2e%2fsecret.txt",
            "/..%5csecret.txt",
            "/..\\secret.txt",
            "/%252e%252e/secret.txt",
            "/..%c0%afsecret.txt",
            "/%c0%ae%c0%ae/secret.txt",
            "/..",
            "/.",
            "/./index.html",
            # Absolute.
            "//etc/passwd",
            "/%2fetc/passwd",
            "//index.html",
            "///",
            "/C:/Windows/win.ini",
            "/C:%5cWindows%5cwin.ini",
            "http://127.0.0.1/index.html",
            "index.html",
            "*",
            "",
            # Hidden.
            "/.env",
            "/%2eenv",
            "/.git/config",
            "/.git/",
            "/.git",
            # What no file is called.
            "/index.html%00",
            "/index.html%00.png",
            "/index.html%0a",
            "/index.html%0d%0aX-Header:%20y",
            "/index.html\udc80",
            "/%ff",
            "/index.html%7f",
        ],
    )
    def test_what_is_never_served(self, pages: Pages, path: str) -> None:
        response = pages.respond(path)
        assert (response.status_code, response.body) == (HTTPStatus.NOT_FOUND, b"There is no such page.\n")
        assert response.headers["Content-Type"] == "text/plain; charset=utf-8"

    @pytest.mark.parametrize("name", ["secret.txt", ".", "pages/.env", "pages/.git", "gone"])
    def test_links_to_what_is_not_served(self, pages: Pages, directory: Path, tmp_path: Path, name: str) -> None:
        link(directory / "link", tmp_path / name)
        assert pages.respond("/link").status_code == HTTPStatus.NOT_FOUND
        assert pages.respond("/link/").status_code == HTTPStatus.NOT_FOUND
        assert pages.respond("/link/secret.txt").status_code == HTTPStatus.NOT_FOUND
        assert pages.respond("/link/config").status_code == HTTPStatus.NOT_FOUND

    def test_an_index_that_leads_outside(self, pages: Pages, directory: Path, tmp_path: Path) -> None:
        link(directory / "empty" / "index.html", tmp_path / "secret.txt")
        assert pages.respond("/empty/").status_code == HTTPStatus.NOT_FOUND

    def test_a_directory_whose_name_begins_like_the_pages(self, pages: Pages, directory: Path, tmp_path: Path) -> None:
        (tmp_path / "pages-old").mkdir()
        (tmp_path / "pages-old" / "a.txt").write_bytes(SECRET)
        link(directory / "link", tmp_path / "pages-old")
        assert pages.respond("/link/a.txt").status_code == HTTPStatus.NOT_FOUND

    def test_links_in_a_circle(self, pages: Pages, directory: Path) -> None:
        link(directory / "a", directory / "b")
        link(directory / "b", directory / "a")
        assert pages.respond("/a").status_code == HTTPStatus.NOT_FOUND

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
    def test_what_is_no_file(self, pages: Pages, directory: Path) -> None:
        os.mkfifo(directory / "pipe")
        assert pages.respond("/pipe").status_code == HTTPStatus.NOT_FOUND

    @pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads everything")
    def test_what_may_not_be_read(self, pages: Pages, directory: Path) -> None:
        (directory / "app.js").chmod(0)
        assert pages.respond("/app.js").status_code == HTTPStatus.NOT_FOUND

    def test_a_directory_that_is_gone(self, pages: Pages, directory: Path) -> None:
        directory.rename(directory.with_name("elsewhere"))
        assert pages.respond("/").status_code == HTTPStatus.NOT_FOUND


class TestHeaders:
    @pytest.mark.parametrize("path", ["/", "/missing", "/sub%20folder", "/app.js"])
    def test_every_answer_says_what_it_may_do(self, pages: Pages, path: str) -> None:
        headers = pages.respond(path).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert headers["Cache-Control"] == "no-cache"
        assert headers["Connection"] == "close"
        policy = dict(each.split(" ", 1) for each in headers["Content-Security-Policy"].split("; "))
        assert policy["default-src"] == "'self'"
        assert policy["frame-ancestors"] == policy["object-src"] == "'none'"
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert "*" not in headers["Content-Security-Policy"]

    def test_a_name_in_an_answer_is_no_header(self, pages: Pages, directory: Path) -> None:
        (directory / "a%0d%0aX-Header: y").mkdir()
        response = pages.respond("/a%250d%250aX-Header:%20y")
        assert response.headers["Location"] == "/a%250d%250aX-Header%3A%20y/"
        assert response.serialize().count(b"X-Header") == 2  # In Location, and in the text.


class TestDirectory:
    def test_it_must_be_there(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError) as caught:
            Pages(tmp_path / "missing")
        assert caught.value.strerror is not None
        assert str(tmp_path / "missing") in caught.value.strerror

    def test_it_must_be_a_directory(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"")
        with pytest.raises(NotADirectoryError):
            Pages(tmp_path / "file")

    def test_it_stays_where_it_is(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(directory.parent)
        pages = Pages(Path("pages"))
        monkeypatch.chdir("/")
        assert pages.respond("/").body == HOME

    def test_a_broker_does_not_start_without(self, mqtt_broker_factory: BrokerFactory, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError, match="missing"):
            serve(mqtt_broker_factory, tmp_path / "missing")


def serve(factory: BrokerFactory, directory: Path | None, tls: TlsConfig | None = None) -> RunningBroker:
    """A broker that has only a WebSocket listener, with pages."""
    listener = ListenerConfig("websocket", "websocket", port=0, pages=directory, tls=tls)
    return factory(config=Config(listeners=(listener,)))


async def ask(server: RunningBroker, request: bytes) -> bytes:
    """Everything that is answered, until the server closes."""
    reader, writer = await asyncio.open_connection(server.host, server.port)
    writer.write(request)
    async with asyncio.timeout(TIMEOUT):
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
    return answer


async def get(server: RunningBroker, path: str) -> bytes:
    return await ask(server, f"GET {path} HTTP/1.1\r\nHost: {server.host}\r\n\r\n".encode())


async def all_closed(server: RunningBroker) -> None:
    """Wait until the broker has no socket open but those that listen."""
    async with asyncio.timeout(TIMEOUT):
        while server.call(lambda broker: len(broker._running.carriers)):
            await asyncio.sleep(0)


class TestOverASocket:
    @pytest.fixture
    def server(self, mqtt_broker_factory: BrokerFactory, directory: Path) -> RunningBroker:
        return serve(mqtt_broker_factory, directory)

    async def test_pages_and_mqtt_share_the_port(self, server: RunningBroker) -> None:
        head, body = (await get(server, "/")).split(b"\r\n\r\n", 1)
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert body == HOME
        for path in ("/mqtt", "/"):
            status, _, _, writer = await shake_hands(server, path)
            writer.transport.abort()
            assert status == HTTPStatus.SWITCHING_PROTOCOLS

    async def test_what_is_not_there(self, server: RunningBroker) -> None:
        for path in ("/../secret.txt", "/mqtt", "/missing"):
            assert (await get(server, path)).startswith(b"HTTP/1.1 404 Not Found\r\n")

    async def test_an_upgrade_on_another_path_is_not_found(self, server: RunningBroker) -> None:
        status, _, _, writer = await shake_hands(server, "/app.js")
        writer.transport.abort()
        assert status == HTTPStatus.NOT_FOUND

    @pytest.mark.parametrize("method", [b"POST", b"HEAD", b"PUT", b"DELETE", b"OPTIONS", b"get"])
    async def test_only_get(self, server: RunningBroker, method: bytes) -> None:
        answer = await ask(server, method + b" / HTTP/1.1\r\n\r\n")
        assert not answer.startswith(b"HTTP/1.1 2")
        assert HOME not in answer

    @pytest.mark.parametrize("headers", [b"", HANDSHAKE], ids=["page", "hand-shake"])
    @pytest.mark.parametrize("behind", [b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 20])
    async def test_something_else_behind_a_request_ends_the_connection(
        self, server: RunningBroker, headers: bytes, behind: bytes, caplog: pytest.LogCaptureFixture
    ) -> None:
        answer = await ask(server, b"GET / HTTP/1.1\r\n" + headers + b"\r\n" + behind)
        assert answer.startswith(b"HTTP/1.1 101 " if headers else b"HTTP/1.1 200 ")
        assert answer.count(b"HTTP/1.1 ") == 1
        await all_closed(server)
        assert caplog.records == []

    async def test_without_pages_a_browser_is_told_what_to_do(self, mqtt_broker_factory: BrokerFactory) -> None:
        answer = await get(serve(mqtt_broker_factory, None), "/")
        assert answer.startswith(b"HTTP/1.1 426 Upgrade Required\r\n")
        assert b"Connect with an MQTT client" in answer

    async def test_a_large_file_arrives_whole(self, server: RunningBroker, directory: Path) -> None:
        body = bytes(range(256)) * 32_768
        (directory / "large").write_bytes(body)
        assert (await get(server, "/large")).endswith(b"\r\n\r\n" + body)

    async def test_over_tls(self, mqtt_broker_factory: BrokerFactory, directory: Path, pki: Pki) -> None:
        body = bytes(range(256)) * 32_768
        (directory / "large").write_bytes(body)
        server = serve(mqtt_broker_factory, directory, pki.tls_config())
        context = pki.client_context()
        reader, writer = await asyncio.open_connection(server.host, server.port, ssl=context)
        writer.write(b"GET /large HTTP/1.1\r\n\r\n")
        async with asyncio.timeout(TIMEOUT):
            answer = await reader.read()
        writer.transport.abort()
        assert answer.endswith(b"\r\n\r\n" + body)

    async def test_nothing_is_left_of_requests(self, server: RunningBroker) -> None:
        async with asyncio.timeout(TIMEOUT):
            answers = await asyncio.gather(*(get(server, "/app.js") for _ in range(50)))
        assert all(answer.endswith(b"let a") for answer in answers)
        await all_closed(server)
        assert server.call(lambda broker: len(broker.core.connections)) == 0
        assert [line for line in server.logged if line[0] in ("warning", "error")] == []

    async def test_a_browser_that_takes_nothing_is_let_go(
        self, server: RunningBroker, directory: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(websocket, "PAGE_PATIENCE", 0.05)
        (directory / "large").write_bytes(bytes(MAX_FILE_SIZE))
        with socket.create_connection((server.host, server.port), TIMEOUT) as client:
            client.sendall(b"GET /large HTTP/1.1\r\n\r\n")
            assert await asyncio.to_thread(client.recv, 8) == b"HTTP/1.1"
            await all_closed(server)


class Leaving:
    """A page on its way out: what is left of it at each look, and what is then done."""

    def __init__(self) -> None:
        self.aborted: bool = False
        self.next: Callable[[], None] | None = None
        self.left: int = 0
        # Of the protocol only its timer, which needs no connection.
        self._protocol = WebSocketProtocol.__new__(WebSocketProtocol)
        self._protocol.host = cast("Host", SimpleNamespace(loop=SimpleNamespace(call_later=self._later)))
        self._protocol.transport = cast(
            "asyncio.Transport", SimpleNamespace(get_write_buffer_size=lambda: self.left, abort=self._abort)
        )
        self._protocol._take_time(websocket.MAX_PAGE_TIME, sys.maxsize)

    def _later(self, _delay: float, function: Callable[..., None], *arguments: object) -> None:
        self.next = partial(function, *arguments)

    def _abort(self) -> None:
        self.aborted = True

    def look(self, left: int) -> bool:
        """Whether the broker waits on when so many bytes are left."""
        self.left = left
        assert self.next is not None
        self.next()
        return not self.aborted


@pure_only
class TestSlowBrowsers:
    def test_one_that_goes_on_taking_is_waited_for(self) -> None:
        page = Leaving()
        assert all(page.look(left) for left in range(1_000, 990, -1))

    def test_but_not_for_ever(self) -> None:
        page = Leaving()
        looks = round(websocket.MAX_PAGE_TIME / websocket.PAGE_PATIENCE)
        assert [page.look(1_000 - number) for number in range(looks)] == [True] * (looks - 1) + [False]

    @pytest.mark.parametrize("left", [0, 1_000, 2_000])
    def test_one_that_takes_nothing_more_is_let_go(self, left: int) -> None:
        page = Leaving()
        assert page.look(1_000)
        assert not page.look(left)
