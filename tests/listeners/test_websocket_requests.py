"""Requests that open a WebSocket, well or badly made, and what is sent along with them."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest

from mqttbroker.protocol import Connect, ProtocolVersion, encode
from mqttbroker.testing import RunningBroker
from mqttbroker.testing.plugin import BrokerFactory
from tests.support.frames import KEY, PING, FrameReader, frame, request
from tests.support.raw import RawClient
from tests.support.websocket import serve, shake_hands

V311 = ProtocolVersion.V311
CONNECT = encode(Connect("c", V311), V311)
CONNACK = b"\x20\x02\0\0"
GOOD = request("broker.example")
_DIGEST = hashlib.sha1(KEY.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
ACCEPT = (b"Sec-WebSocket-Accept: " + base64.b64encode(_DIGEST)).lower()


@pytest.fixture
def server(mqtt_broker_factory: BrokerFactory) -> RunningBroker:
    return serve(mqtt_broker_factory)


@asynccontextmanager
async def opened(server: RunningBroker) -> AsyncIterator[RawClient]:
    """A TCP connection on which nothing was sent."""
    async with RawClient(server.host, server.port) as client:
        yield client


async def head_of(client: RawClient) -> tuple[bytes, bytes]:
    """The head of the broker's answer, in lower case, and what has come behind it."""
    received = b""
    while b"\r\n\r\n" not in received:
        piece = await client.receive_some()
        assert piece, received
        received += piece
    head, _, rest = received.partition(b"\r\n\r\n")
    return head.lower(), rest


async def refusal(server: RunningBroker, data: bytes) -> bytes:
    """All that the broker answers to this before it closes. It is one answer, and nothing is left of the connection."""
    async with opened(server) as client:
        client.send_bytes(data)
        received = b""
        while piece := await client.receive_some():
            received += piece
        assert client.stream.ended_in_order
        assert server.call(lambda broker: len(broker.core.connections)) == 0
    assert len(re.findall(rb"HTTP/1\.1 \d", received)) <= 1
    assert not received.startswith(b"HTTP/1.1 101 ")
    return received


def without(*names: str) -> Mapping[str, str]:
    """Headers that leave these out."""
    return {name: "" for name in names}


class TestWellMade:
    async def test_the_answer(self, server: RunningBroker) -> None:
        async with opened(server) as client:
            client.send_bytes(GOOD)
            head, rest = await head_of(client)
        first, *fields = head.split(b"\r\n")
        assert first.startswith(b"http/1.1 101 ")
        assert set(fields) >= {b"upgrade: websocket", b"connection: upgrade", ACCEPT, b"sec-websocket-protocol: mqtt"}
        assert rest == b""

    @pytest.mark.parametrize(
        "data",
        [
            pytest.param(GOOD.replace(b"Upgrade", b"upgrade").replace(b"Sec-WebSocket", b"sec-websocket"), id="lower"),
            pytest.param(GOOD.replace(b"Sec-WebSocket", b"SEC-WEBSOCKET"), id="upper"),
            pytest.param(GOOD.replace(b": websocket", b": WebSocket"), id="value"),
            pytest.param(GOOD.replace(b": Upgrade", b": keep-alive, upgrade"), id="list"),
            pytest.param(GOOD.replace(b": ", b":"), id="no space"),
            pytest.param(GOOD.replace(b": ", b": \t "), id="much space"),
            pytest.param(GOOD.replace(b": mqtt", b": chat, mqttv3.1, mqtt"), id="several protocols"),
            pytest.param(GOOD[:-2] + b"Cookie: x=1\r\nX-Empty:\r\nX-Latin: \xe4\r\n\r\n", id="more headers"),
        ],
    )
    async def test_in_other_words(self, server: RunningBroker, data: bytes) -> None:
        async with opened(server) as client:
            client.send_bytes(data)
            head, _ = await head_of(client)
            assert head.startswith(b"http/1.1 101 ")
            assert ACCEPT in head
            assert b"sec-websocket-protocol: mqtt\r\n" in head + b"\r\n"

    async def test_split_at_every_byte(self, server: RunningBroker) -> None:
        async with opened(server) as client:
            for at in range(len(GOOD)):
                client.send_bytes(GOOD[at : at + 1])
            head, _ = await head_of(client)
            assert head.startswith(b"http/1.1 101 ")

    @pytest.mark.parametrize("before", [b"", frame(b"?", PING)], ids=["CONNECT", "Ping and CONNECT"])
    async def test_with_frames_right_behind_it(self, server: RunningBroker, before: bytes) -> None:
        """A client should wait for the answer; the answer comes first all the same."""
        async with opened(server) as client:
            client.send_bytes(GOOD + before + frame(CONNECT))
            head, rest = await head_of(client)
            assert head.startswith(b"http/1.1 101 ")
            reader = FrameReader()
            received = b"".join(part for _, part in reader.feed(rest))
            while CONNACK not in received:
                received += b"".join(part for _, part in reader.feed(await client.receive_some()))

    async def test_every_size_that_fits(self, server: RunningBroker) -> None:
        """Of one header, and of the number of them."""
        for more in (f"X-Long: {'x' * 8_000}\r\n", "".join(f"X-{number}: x\r\n" for number in range(100))):
            async with opened(server) as client:
                client.send_bytes(GOOD[:-2] + more.encode() + b"\r\n")
                head, _ = await head_of(client)
                assert head.startswith(b"http/1.1 101 ")


class TestBadlyMade:
    @pytest.mark.parametrize(
        "data",
        [
            pytest.param(GOOD.replace(b"HTTP/1.1", b"HTTP/1.0"), id="HTTP/1.0"),
            pytest.param(GOOD.replace(b"HTTP/1.1", b"HTTP/2"), id="HTTP/2"),
            pytest.param(GOOD.replace(b"GET", b"POST"), id="POST"),
            pytest.param(GOOD.replace(b"GET", b"get"), id="get"),
            pytest.param(GOOD.replace(b"GET ", b"GET  "), id="two spaces"),
            pytest.param(GOOD.replace(b"\r\n", b"\n"), id="no CR"),
            pytest.param(GOOD.replace(b"Host:", b"Host :"), id="space before the colon"),
            pytest.param(GOOD[:-2] + b"X-Folded: a\r\n b\r\n\r\n", id="folded header"),
            pytest.param(GOOD[:-2] + b"no colon\r\n\r\n", id="no colon"),
            pytest.param(GOOD[:-2] + b"X-Nul: \0\r\n\r\n", id="control character"),
            pytest.param(GOOD[:-2] + b"Content-Length: 5\r\n\r\nhello", id="body"),
            pytest.param(GOOD[:-2] + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", id="chunked body"),
            pytest.param(GOOD[:-2] + b"X-Long: " + b"x" * 65_536 + b"\r\n\r\n", id="long header"),
            pytest.param(b"GET /" + b"x" * 65_536 + b" HTTP/1.1\r\n\r\n", id="long path"),
            pytest.param(
                GOOD[:-2] + b"".join(b"X-%d: x\r\n" % each for each in range(200)) + b"\r\n", id="many headers"
            ),
            pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", id="HTTP/2 at once"),
            pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100) + b"\r\n", id="TLS"),
            pytest.param(CONNECT + b"\r\n", id="MQTT"),
            pytest.param(b"\r\n\r\n", id="empty lines"),
        ],
    )
    async def test_what_is_no_request(self, server: RunningBroker, data: bytes) -> None:
        received = await refusal(server, data)
        assert received == b"" or received.startswith((b"HTTP/1.1 4", b"HTTP/1.1 505 "))
        assert [line for line in server.logged if line[0] in ("warning", "error")] == []

    @pytest.mark.parametrize(
        ("data", "status"),
        [
            pytest.param(request("h", headers=without("Upgrade")), 426, id="no upgrade"),
            pytest.param(request("h", headers={"Upgrade": "h2c"}), 426, id="another upgrade"),
            pytest.param(request("h", headers=without("Connection")), 426, id="no connection"),
            pytest.param(request("h", headers={"Connection": "close"}), 426, id="another connection"),
            pytest.param(request("h", headers=without("Sec-WebSocket-Key")), 400, id="no key"),
            pytest.param(request("h", headers={"Sec-WebSocket-Key": "x"}), 400, id="key that is not base64"),
            pytest.param(request("h", headers={"Sec-WebSocket-Key": "c2hvcnQ="}), 400, id="short key"),
            pytest.param(GOOD.replace(b"Sec-WebSocket-Version", b"Sec-WebSocket-Key: x\r\nX"), 400, id="two keys"),
            pytest.param(request("h", headers=without("Sec-WebSocket-Version")), 400, id="no version"),
            pytest.param(request("h", headers={"Sec-WebSocket-Version": "8"}), 400, id="old version"),
            pytest.param(request("h", headers=without("Sec-WebSocket-Protocol")), 400, id="no protocol"),
            pytest.param(request("h", headers={"Sec-WebSocket-Protocol": "MQTT"}), 400, id="another protocol"),
            pytest.param(request("h", headers={"Sec-WebSocket-Protocol": ", ,"}), 400, id="no protocol in the list"),
            pytest.param(request("h", "/nowhere"), 404, id="another path"),
            pytest.param(request("h", "http://h/nowhere"), 404, id="another absolute path"),
            pytest.param(request("h", headers={"Origin": "https://evil.example"}), 403, id="another origin"),
        ],
    )
    async def test_what_is_refused(self, server: RunningBroker, data: bytes, status: int) -> None:
        received = await refusal(server, data)
        assert received.startswith(b"HTTP/1.1 %d " % status), received
        head, _, body = received.partition(b"\r\n\r\n")
        assert b"content-length: %d" % len(body) in head.lower()

    async def test_frames_behind_what_is_refused_are_not_read(self, server: RunningBroker) -> None:
        await refusal(server, request("h", "/nowhere") + frame(CONNECT))
        await refusal(server, request("h", headers={"Origin": "null"}) + frame(CONNECT))
        assert [line for line in server.logged if line[1] == "connected"] == []

    async def test_a_second_request_behind_it_is_not_read(self, server: RunningBroker) -> None:
        received = await refusal(server, request("h", "/nowhere") + GOOD)
        assert received.startswith(b"HTTP/1.1 404 ")

    async def test_lines_without_end(self, server: RunningBroker) -> None:
        """A client that never comes to the end of its headers is stopped by their number, not by the clock."""
        received = await refusal(server, GOOD[:-2] + b"X-More: x\r\n" * 1_000)
        assert received == b"" or received.startswith(b"HTTP/1.1 4")


async def test_without_a_host(server: RunningBroker) -> None:
    """No Host is as good as any: what matters is the origin."""
    status, _, _, writer = await shake_hands(server, Host="")
    writer.transport.abort()
    assert status == 101
