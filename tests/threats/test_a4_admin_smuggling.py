"""Requests to the admin server that two readers of HTTP could understand in two ways, and what is no HTTP/1.1."""

from __future__ import annotations

import pytest

from mqttbroker.testing.plugin import BrokerFactory
from mqttbroker.testing.running import RunningBroker
from tests.threats.wire import CONFIG, LOGIN, answered, get, served, wire


@pytest.fixture
def broker(mqtt_broker_factory: BrokerFactory) -> RunningBroker:
    return mqtt_broker_factory(config=CONFIG)


class TestSmuggling:
    """What two readers of HTTP could understand in two ways. Nothing that is behind it is taken for a request."""

    HIDDEN = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"

    @pytest.mark.parametrize(
        "head",
        [
            "Content-Length: 0\r\nContent-Length: 46",
            "Content-Length: 0, 46",
            "Content-Length: +46",
            "Content-Length: 0x2e",
            "Content-Length: 4_6",
            "Content-Length: ",
            "Content-Length : 46",
            "Content-Length: 46\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: chunked\r\nContent-Length: 46",
            "Transfer-Encoding: xchunked",
            "Transfer-Encoding: identity",
            "Transfer-Encoding: chunked, identity",
            "Transfer-Encoding:\x0bchunked",
            "Transfer-Encoding : chunked",
            "X: y\x00z",
            "X: y\rContent-Length: 46",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            ": empty",
            "Host: evil.example",
        ],
    )
    async def test_head(self, broker: RunningBroker, head: str) -> None:
        answer = await answered(broker, f"{LOGIN}{head}\r\n\r\n{self.HIDDEN}")
        assert answer.startswith(b"HTTP/1.1 4"), answer
        assert b"HTTP/1.1 200 " not in answer, "what was hidden was answered"
        await served(broker)

    @pytest.mark.parametrize(
        "chunks",
        [
            "+5\r\nhello\r\n0\r\n\r\n",
            "0x5\r\nhello\r\n0\r\n\r\n",
            "5 \nhello\n0\n\n",
            "-1\r\n\r\n",
            "5\r\nhelloXX0\r\n\r\n",
            "f" * 21 + "\r\n",
        ],
    )
    async def test_chunks(self, broker: RunningBroker, chunks: str) -> None:
        answer = await answered(broker, f"{LOGIN}Transfer-Encoding: chunked\r\n\r\n{chunks}{self.HIDDEN}")
        assert answer == b"" or answer.startswith(b"HTTP/1.1 4"), answer
        assert b"HTTP/1.1 200 " not in answer, "what was hidden was answered"
        await served(broker)

    @pytest.mark.parametrize(
        "folded", ["X: y\r\n Content-Length: 46", " Content-Length: 46", "X:\r\n\tContent-Length: 46"]
    )
    async def test_a_header_on_two_lines(self, broker: RunningBroker, folded: str) -> None:
        """The second line is a part of the first one's value, as the standard says, and no header of its own."""
        answer = await answered(broker, f"{LOGIN}{folded}\r\n\r\n{get('/api/v1/clients')}")
        first, second = answer.split(b"HTTP/1.1 ")[1:]
        assert first.startswith((b"400", b"415")) and second.startswith(b"401")

    async def test_lines_that_end_in_lf_alone(self, broker: RunningBroker) -> None:
        """They may be taken for lines, as the standard says; but all of them, and as one request."""
        answer = await answered(broker, get("/api/v1/clients").replace("\r\n", "\n"))
        assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 401 "))
        assert answer.count(b"HTTP/1.1 ") == 1

    async def test_a_body_where_there_should_be_none(self, broker: RunningBroker) -> None:
        """A body that nobody reads is not the next request: the connection ends."""
        for method, path in (("GET", "/healthz"), ("GET", "/api/v1/clients"), ("DELETE", "/nothing")):
            head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(self.HIDDEN)}\r\n\r\n"
            answer = await answered(broker, head + self.HIDDEN + self.HIDDEN)
            assert answer.count(b"HTTP/1.1 ") == 1, (path, answer)

    @pytest.mark.parametrize("upgrade", ["websocket", "h2c", "TLS/1.0"])
    async def test_an_upgrade(self, broker: RunningBroker, upgrade: str) -> None:
        """There is nothing else that it could speak."""
        headers = ("Connection: Upgrade, HTTP2-Settings", f"Upgrade: {upgrade}", "HTTP2-Settings: AAMAAABkAAQAAP__")
        async with wire(broker) as connection:
            await connection.send("\r\n".join(("GET /api/v1/me HTTP/1.1", "Host: localhost", *headers, "", "")))
            assert (await connection.head()).startswith("HTTP/1.1 401 ")

    async def test_http_2_without_asking(self, broker: RunningBroker) -> None:
        answer = await answered(broker, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(50))
        assert answer.startswith(b"HTTP/1.1 403 ")

    async def test_what_is_no_http_gets_a_problem_too(self, broker: RunningBroker) -> None:
        answer = await answered(broker, b"\x10\x0c\0\x04MQTT\x05\x02\0\0\0\0\0\0\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 400 ")
        for header in (b"application/problem+json", b"nosniff", b"X-Frame-Options: DENY", b"frame-ancestors 'none'"):
            assert header in answer
