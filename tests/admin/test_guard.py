"""What a browser must not be made to do, and what strangers must not be able to do without a login."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from mqttbroker.admin.guard import Guard
from mqttbroker.admin.problems import Problem
from mqttbroker.config import ListenerConfig
from tests.admin.console import ANYWHERE, TIMEOUT, Console, console


class TestHost:
    @pytest.mark.parametrize(
        "host",
        [
            "localhost",
            "LOCALHOST:8080",
            "127.0.0.1",
            "127.0.0.1:9090",
            "[::1]:8080",
            "192.0.2.1",
            "broker.example",
            "Broker.Example:443",
        ],
    )
    def test_ours(self, host: str) -> None:
        Guard(["broker.example"]).check({"host": host}, "http")

    @pytest.mark.parametrize(
        "host",
        [
            "",
            "evil.example",
            "evil.example:8080",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "localhost:8080@evil.example",
            "[::1",
            "localhost:",
            "localhost:123456",
            "local host",
            "localhost, evil.example",
        ],
    )
    def test_not_ours(self, host: str) -> None:
        with pytest.raises(Problem) as caught:
            Guard(["broker.example"]).check({"host": host}, "http")
        assert caught.value.status == 403

    async def test_every_path_is_closed_to_it(self) -> None:
        async with console() as somebody:
            for path in ("/", "/api/v1/me", "/api/v1/login", "/nothing"):
                response = await somebody.http.get(path, headers={"Host": "evil.example"})
                assert response.status_code == 403, path


class TestOrigin:
    @pytest.mark.parametrize(
        ("origin", "host"),
        [
            ("http://127.0.0.1:8080", "127.0.0.1:8080"),
            ("http://localhost", "localhost"),
            ("https://broker.example", "127.0.0.1:8080"),
            ("https://broker.example:8443", "broker.example"),
        ],
    )
    def test_ours(self, origin: str, host: str) -> None:
        Guard(["broker.example"]).check({"host": host, "origin": origin}, "http")

    @pytest.mark.parametrize(
        "origin",
        [
            "",
            "null",
            "http://evil.example",
            "http://127.0.0.1:9999",
            "https://127.0.0.1:8080",
            "http://127.0.0.1:8080/",
            "http://127.0.0.1:8080@evil.example",
            "http://broker.example",
            "https://localhost",
            "http://[",
            "http://127.0.0.1:8080, http://evil.example",
            "http://" + "x" * 65_536,
        ],
    )
    def test_not_ours(self, origin: str) -> None:
        with pytest.raises(Problem) as caught:
            Guard(["broker.example"]).check({"host": "127.0.0.1:8080", "origin": origin}, "http")
        assert caught.value.status == 403

    async def test_not_even_to_read(self) -> None:
        async with console() as somebody:
            for path in ("/api/v1/me", "/"):
                response = await somebody.http.get(path, headers={"Origin": "http://evil.example"})
                assert response.status_code == 403

    async def test_nor_twice(self) -> None:
        async with console() as somebody:
            ours = str(somebody.http.base_url).rstrip("/")
            headers = [*somebody.http.headers.items(), ("Origin", ours), ("Origin", "http://evil.example")]
            assert (await somebody.http.get("/api/v1/me", headers=headers)).status_code == 400


class TestHeaders:
    async def test_every_answer_has_them(self) -> None:
        async with console() as somebody:
            for path in ("/", "/api/v1/me", "/api/v1/nothing", "/nothing"):
                headers = (await somebody.http.get(path)).headers
                assert headers["X-Frame-Options"] == "DENY"
                assert headers["X-Content-Type-Options"] == "nosniff"
                assert headers["Cache-Control"] == ("no-cache" if path == "/" else "no-store")
                policy = headers["Content-Security-Policy"]
                assert "default-src 'none'" in policy
                assert "frame-ancestors 'none'" in policy
                assert "unsafe" not in policy

    async def test_the_console_may_connect_by_mqtt(self) -> None:
        config = replace(ANYWHERE, listeners=(ListenerConfig("websocket", "websocket", port=0),))
        async with console(config) as somebody:
            policy = (await somebody.http.get("/")).headers["Content-Security-Policy"]
            assert f" ws://127.0.0.1:{somebody.broker.port} " in policy


class TestStrangers:
    """Whatever they send, it is a 4xx, and somebody else is served."""

    @pytest.mark.parametrize(
        "request_",
        [
            b"nonsense\r\n\r\n",
            b"GET / HTTP/1.1\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"x" * 1_000_000 + b"\r\n\r\n",
            b"GET /" + b"x" * 1_000_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 100_000 + b"\r\n",
            b"GET /api/v1/clients?" + b"a=1&" * 1_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
            b"GET /%ff%fe HTTP/1.1\r\nHost: localhost\r\n\r\n",
            b"GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
            b"GET / HTTP/1.0\r\n\r\n",
            b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n",
            b"TRACE / HTTP/1.1\r\nHost: localhost\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
            b"POST /api/v1/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: 99999999999\r\n\r\n",
            b"POST /api/v1/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n" + b"1000\r\n" + b" " * 4096 + b"\r\n" + b"1\r\n \r\n",
            b"POST /api/v1/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: 4000\r\n\r\n" + b"[" * 4000,
        ],
        ids=[
            "nonsense",
            "no host",
            "two hosts",
            "long header",
            "long path",
            "many headers",
            "many fields",
            "no utf-8",
            "absolute path",
            "old",
            "star",
            "trace",
            "negative length",
            "huge body",
            "long chunks",
            "deep",
        ],
    )
    async def test_a_request(self, request_: bytes) -> None:
        async with console(log_in=False) as somebody:
            answer = await ask(somebody, request_)
            assert answer.startswith(b"HTTP/1.1 4"), answer[:100]
            assert (await somebody.log_in()).status_code == 200

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"null",
            b"[]",
            b"{}",
            b'{"name": 1, "password": "x"}',
            b'{"name": "x", "password": "x", "role": "admin"}',
            b'{"name": "\\ud800", "password": "\\ud800"}',
            b'{"name": "\xff", "password": "x"}',
            b'{"name": "' + b"x" * 100 + b'", "password": "x"}',
        ],
    )
    async def test_a_login(self, body: bytes) -> None:
        async with console(log_in=False) as somebody:
            headers = {"Content-Type": "application/json"}
            response = await somebody.http.post("/api/v1/login", content=body, headers=headers)
            assert response.status_code == 400
            assert response.headers["Content-Type"] == "application/problem+json"

    async def test_connections_without_a_request(self) -> None:
        async with console() as somebody:
            assert somebody.broker.admin is not None
            open_ = [await asyncio.open_connection(*somebody.broker.admin.address) for _ in range(50)]
            await somebody.get("/api/v1/me")
            # They keep the broker from nothing, its end included.
            await asyncio.wait_for(somebody.broker.stop(), TIMEOUT)
            for reader, writer in open_:
                assert await asyncio.wait_for(reader.read(), TIMEOUT) == b""
                writer.close()


async def ask(somebody: Console, request: bytes) -> bytes:
    """Send bytes, and read what comes until the end or the end of the answer's headers."""
    assert somebody.broker.admin is not None
    reader, writer = await asyncio.open_connection(*somebody.broker.admin.address)
    try:
        writer.write(request)
        answer = b""
        async with asyncio.timeout(TIMEOUT):
            while b"\r\n\r\n" not in answer and (more := await reader.read(65_536)):
                answer += more
        return answer
    finally:
        writer.close()
