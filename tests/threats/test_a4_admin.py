"""The admin server before and without a login: what is sent to it costs little, gets a 4xx, and keeps nobody else.

Every path and method is in ``tests/admin/test_doors.py``; requests that are two at once in
``test_a4_admin_smuggling.py``, names that strangers choose in ``test_a4_admin_names.py``.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from dataclasses import replace

import pytest

from mqttbroker.admin import app, server
from mqttbroker.admin.openapi import describe
from mqttbroker.admin.server import MOST_CONNECTIONS, MOST_HEADER_BYTES, endpoints
from mqttbroker.config import AdminConfig
from mqttbroker.server import Broker
from mqttbroker.testing.plugin import BrokerFactory
from mqttbroker.testing.running import RunningBroker
from tests.support.raw import RawClient
from tests.threats.attack import growth, leaves_nothing
from tests.threats.wire import CONFIG, LOGIN, TIMEOUT, answered, cookie_of_admin, get, served, until_served, wire

KIB = 1 << 10
MIB = 1 << 20


@pytest.fixture
def broker(mqtt_broker_factory: BrokerFactory) -> RunningBroker:
    return mqtt_broker_factory(config=CONFIG)


def readers(broker: Broker) -> int:
    """How many streams of events there are."""
    assert broker.admin is not None
    return len(broker.admin.app.context.feed._readers)


def tell_much(broker: Broker) -> None:
    """Much happens at once."""
    assert broker.admin is not None
    for number in range(20_000):
        broker.admin.app.context.feed.tell("slow", f"client {number}" * 50, broker.now(), {"address": "x" * 200})


class TestOptions:
    """RabbitMQ's node ended for an option of a query (CVE-2015-8786: ``lengths_age`` and ``lengths_incr``)."""

    @pytest.mark.parametrize(
        "query",
        [
            "lengths_age=60&lengths_incr=1",
            "lengths_age=99999999999999999999&lengths_incr=0",
            "limit=99999999999999999999999999",
            "limit=-1",
            "limit=0x10",
            "limit=1e309",
            "limit=NaN",
            "limit=%00",
            "limit[]=1",
            "after=" + "A" * 8_000,
            "after=%F0%9F%92%A9",
            "sort=__class__",
            "sort=client_id;drop",
            "descending=maybe",
            "search=" + "x" * 10_000,
            "search=%ED%A0%80",
            "=",
            "%",
            "%zz=1",
            "&" * 5_000,
            "a=1&" * 101,
            "limit=1&limit=2",
        ],
    )
    async def test_rabbitmq_cve_2015_8786_bad_options(self, broker: RunningBroker, query: str) -> None:
        """A stranger gets 401 whatever is asked, somebody who may ask a 400."""
        assert (await answered(broker, get(f"/api/v1/clients?{query}"))).startswith(b"HTTP/1.1 401 ")
        cookie = broker.call(cookie_of_admin)
        answer = await answered(broker, get(f"/api/v1/clients?{query}", f"Cookie: {cookie}"))
        assert answer.startswith(b"HTTP/1.1 400 "), answer[:300]
        await served(broker)


class TestHeaders:
    """RabbitMQ kept ``X-Reason`` of anybody, however long (GHSA-hrfh-7j5f-8ccr)."""

    async def test_rabbitmq_x_reason_is_not_kept(self, broker: RunningBroker) -> None:
        async def attempts() -> None:
            for number in range(50):
                reason = f"X-Reason: {number}" + "x" * 15_000
                answer = await answered(broker, get("/api/v1/clients", reason))
                assert answer.startswith(b"HTTP/1.1 401 ")
                assert b"xxx" not in answer

        await leaves_nothing(broker, attempts, objects=50, size=200 * KIB)

    async def test_rabbitmq_x_reason_that_is_longer(self, broker: RunningBroker) -> None:
        """It is refused when it has become too long, and not when it has come as a whole."""
        with growth(broker) as grown:
            for _ in range(20):
                async with wire(broker) as connection:
                    await connection.send("GET / HTTP/1.1\r\nHost: localhost\r\nX-Reason: ")
                    for _ in range(32):
                        await connection.send(b"x" * 64 * KIB)
                    answer = await connection.rest()
                    # Who goes on sending may be cut off before the answer was read.
                    assert answer == b"" or answer.startswith(b"HTTP/1.1 400 ")
        # What was sent is 40 MiB. This client's own buffers are a part of the peak.
        assert grown.peak < 8 * MIB
        assert grown.size < MIB
        await served(broker)

    async def test_many_that_wait_for_the_end_of_their_headers(self, broker: RunningBroker) -> None:
        """A connection can make the broker hold about as much as headers may be long, for ten seconds."""
        with growth(broker) as grown:
            async with contextlib.AsyncExitStack() as stack:
                for _ in range(100):
                    connection = await stack.enter_async_context(wire(broker))
                    await connection.send("GET / HTTP/1.1\r\nHost: localhost\r\nX-Reason: " + "x" * 15_000)
                await served(broker)
        assert grown.peak < 100 * 8 * MOST_HEADER_BYTES

    @pytest.mark.parametrize("count", [1_000, 100_000])
    async def test_very_many(self, broker: RunningBroker, count: int) -> None:
        answer = await answered(broker, get("/api/v1/clients", *["A: b"] * count))
        assert answer.startswith(b"HTTP/1.1 4"), answer[:100]
        await served(broker)


class TestBodies:
    @pytest.mark.parametrize("path", ["/api/v1/login", "/api/v1/publish", "/api/v1/nothing", "/nothing", "/"])
    @pytest.mark.parametrize("framing", ["Content-Length: 10737418240", "Transfer-Encoding: chunked"])
    async def test_rabbitmq_2786_huge_ones(self, broker: RunningBroker, path: str, framing: str) -> None:
        """They are not read: the answer comes at once, and ends the connection."""
        chunk = b"10000\r\n" + b" " * 65_536 + b"\r\n"
        with growth(broker) as grown:
            async with wire(broker) as connection:
                await connection.send(f"POST {path} HTTP/1.1\r\nHost: localhost\r\n")
                await connection.send(f"Content-Type: application/json\r\n{framing}\r\n\r\n")
                for _ in range(200):
                    await connection.send(chunk)
                answer = await connection.rest()
                assert answer == b"" or answer.startswith(b"HTTP/1.1 4"), answer[:100]
        assert grown.peak < 8 * MIB
        await served(broker)

    async def test_that_do_not_come_keep_nobody_else(
        self, broker: RunningBroker, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """They are given up; until then they are connections among others."""
        monkeypatch.setattr(app, "BODY_TIMEOUT", 0.5)
        async with contextlib.AsyncExitStack() as stack:
            slow = [await stack.enter_async_context(wire(broker)) for _ in range(100)]
            for each in slow:
                await each.send(f"{LOGIN}Content-Length: 100\r\n\r\n{{")
            await served(broker)
            for each in slow:
                await each.send(b" ")  # A byte now and then does not help.
                assert (await each.rest()).startswith(b"HTTP/1.1 408 ")

    @pytest.mark.parametrize(
        "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""]
    )
    async def test_those_that_a_form_can_send(self, broker: RunningBroker, content_type: str) -> None:
        """A form of another site can send these without asking first."""
        body = '{"name": "admin", "password": "x"}'
        head = LOGIN.replace("application/json", content_type)
        answer = await answered(broker, f"{head}Connection: close\r\nContent-Length: {len(body)}\r\n\r\n{body}")
        assert answer.startswith(b"HTTP/1.1 415 ")


class TestConnections:
    async def test_slow_loris(self, broker: RunningBroker, monkeypatch: pytest.MonkeyPatch) -> None:
        """The time is for all headers, and does not begin again with every byte."""
        monkeypatch.setattr(server, "HEADERS_TIMEOUT", 0.5)
        async with wire(broker) as connection:
            ended = asyncio.ensure_future(connection.rest())
            while not ended.done():
                await connection.send("X")
                await asyncio.sleep(0)
            assert ended.result() in (b"",) or ended.result().startswith(b"HTTP/1.1 400 ")
        await served(broker)

    async def test_more_than_there_may_be(self, broker: RunningBroker, bystander: RawClient) -> None:
        """Those above the limit are closed at once. MQTT does not notice, and when some have gone others may come."""
        async with contextlib.AsyncExitStack() as stack:
            held = [await stack.enter_async_context(wire(broker)) for _ in range(MOST_CONNECTIONS)]
            for each in held:
                await each.send("GET / HTTP/1.1\r\n")
            for _ in range(20):
                async with wire(broker) as one_more:
                    assert await one_more.rest() == b""
            await bystander.ping()
            for each in held[:20]:
                each.writer.close()
            await asyncio.wait_for(until_served(broker), TIMEOUT)

    async def test_pipelined(self, broker: RunningBroker) -> None:
        """Requests that do not wait for answers are answered one after another."""
        one = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
        last = get("/api/v1/clients")
        answer = await answered(broker, one * 100 + last)
        assert answer.count(b"HTTP/1.1 200 OK") == 100
        assert answer.count(b"HTTP/1.1 401 ") == 1

    async def test_pipelined_and_never_read(self, broker: RunningBroker, bystander: RawClient) -> None:
        """Answers that nobody takes keep further requests from being read."""
        one = get("/nothing").replace("Connection: close\r\n", "").encode()
        with growth(broker) as grown:
            async with wire(broker) as connection:
                with contextlib.suppress(TimeoutError):
                    for _ in range(2_000):
                        connection.writer.write(one * 100)
                        await asyncio.wait_for(connection.writer.drain(), 0.5)
                await bystander.ping()
                connection.writer.transport.abort()
        assert grown.peak < 32 * MIB
        await served(broker)


class TestStreams:
    async def test_a_reader_that_takes_nothing(self, broker: RunningBroker, bystander: RawClient) -> None:
        """What happens meanwhile is not kept for it for ever: it is let go of."""
        cookie = broker.call(cookie_of_admin)
        with growth(broker) as all_in_all:
            for _ in range(3):
                broker.call(tell_much)  # So much is remembered, whoever reads.
            with growth(broker) as grown:
                async with wire(broker) as connection, asyncio.timeout(TIMEOUT):
                    await connection.send(get("/api/v1/events", f"Cookie: {cookie}"))
                    while not broker.call(readers):
                        await asyncio.sleep(0)
                    broker.call(tell_much)
                    await bystander.ping()
                    while broker.call(readers):
                        await asyncio.sleep(0)
            assert grown.peak < 4 * MIB
            assert grown.size < MIB
        assert all_in_all.peak < 32 * MIB
        await served(broker)

    @pytest.mark.parametrize(
        "path",
        [
            "/api/v1/trace?topic=bystander/%23&payload=65536&packets=1000000",
            "/api/v1/trace?topic=bystander/%23&payload=65536&packets=1000000&format=jsonl",
            "/api/v1/trace?address=127.0.0.1&payload=65536&packets=1000000",
            "/api/v1/topics/live?filter=%23",
        ],
    )
    async def test_one_that_takes_nothing_of_much(self, broker: RunningBroker, bystander: RawClient, path: str) -> None:
        """What passes meanwhile is 64 MiB: neither is it kept, nor do messages wait for such a reader."""
        cookie = broker.call(cookie_of_admin)
        with growth(broker) as grown:
            async with wire(broker) as connection:
                await connection.send(get(path, f"Cookie: {cookie}"))
                assert (await connection.reader.readline()).startswith(b"HTTP/1.1 200 ")
                for _ in range(1_024):
                    await bystander.publish("bystander/flood", b"x" * 65_000)
                    await bystander.expect_publish()
                connection.writer.transport.abort()
            await bystander.ping()
        assert grown.peak < 32 * MIB
        await served(broker)


class TestNoCode:
    """EMQX's console installs plugins (CVE-2025-52136): whoever has it, has the machine."""

    def test_cve_2025_52136_nothing_takes_a_file(self) -> None:
        paths = describe(endpoints())["paths"]
        bodies = {
            media
            for operations in paths.values()
            for operation in operations.values()
            for media in operation.get("requestBody", {}).get("content", {})
        }
        assert bodies == {"application/json"}
        words = {
            "plugin",
            "plugins",
            "upload",
            "install",
            "exec",
            "command",
            "script",
            "eval",
            "hook",
            "hooks",
            "python",
        }
        assert [path for path in paths if words & set(path.split("/"))] == []

    def test_cve_2025_52136_endpoints_run_nothing(self) -> None:
        """No endpoint's module knows how to run a program or to load code."""
        for module in {inspect.getmodule(each.handler) for each in endpoints()}:
            assert module is not None
            source = inspect.getsource(module)
            for word in ("subprocess", "importlib", "os.system", "exec(", "eval(", "pickle", "__import__"):
                assert word not in source, (module.__name__, word)

    def test_cve_2025_52136_it_is_off_and_for_this_machine_only(self) -> None:
        assert AdminConfig() == replace(AdminConfig(), enabled=False, host="127.0.0.1")

    async def test_cve_2025_52136_no_password_is_known(
        self, broker: RunningBroker, mqtt_broker_factory: BrokerFactory
    ) -> None:
        """Each broker makes its own, and those that others have by default are of no use."""
        other = mqtt_broker_factory(config=CONFIG)
        admins = [each.broker.admin for each in (broker, other)]
        first, second = (admin.first_password for admin in admins if admin is not None)
        assert first is not None and second is not None and first != second
        assert len(first) >= 20 and len(set(first)) > 8
        for name, password in (
            ("admin", "public"),
            ("admin", "admin"),
            ("guest", "guest"),
            ("admin", "hivemq"),
            ("", ""),
        ):
            body = f'{{"name": "{name}", "password": "{password}"}}'
            answer = await answered(broker, f"{LOGIN}Connection: close\r\nContent-Length: {len(body)}\r\n\r\n{body}")
            assert answer.startswith(b"HTTP/1.1 401 "), (name, answer[:100])
