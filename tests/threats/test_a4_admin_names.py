"""Names that strangers choose, wherever somebody looks at them: the API, its streams, the log, the audit log, ``$SYS``.

The console's pages are looked at in a browser, in ``tests/console``.
"""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import structlog

from mqttbroker.admin.endpoint import Endpoint
from mqttbroker.admin.openapi import describe
from mqttbroker.admin.server import endpoints
from mqttbroker.broker import Limits
from mqttbroker.config import AdminConfig, Config, ListenerConfig
from mqttbroker.logs import configure_logging, log_event
from mqttbroker.protocol import Properties, Will
from mqttbroker.testing.plugin import BrokerFactory
from mqttbroker.testing.running import RunningBroker
from tests.support.raw import RawClient
from tests.threats.attack import PASSWORD

TIMEOUT = 10.0
HOSTILE = {
    "image": "<img src=x onerror=alert(1)>",
    "script": "\"'></script><script>alert(document.cookie)</script>",
    "template": "{{constructor.constructor('alert(1)')()}}${alert(1)}",
    "lines": "a\r\n2026-01-01T00:00:00Z error   forged client=admin\r\nSet-Cookie: forged=1\r\n\r\n",
    "terminal": "\x1b[2J\x1b]0;owned\x07\x9b31m\x08\x7f",
    "direction": "\u202egnp.exe\u2066\u200f\u2028\u2029\ufeff",
    "long": "<b>" + "x" * 65_000,
    "path": "../../etc/passwd?a=b&c=d%2e%00;e",
}
LONGEST_LINE = 16_384
"""Bytes of any line of the log, or of the audit log."""
GETS = [each for each in endpoints() if each.method == "GET" and each.media_type == "application/json"]
PATHS = describe(endpoints())["paths"]


@dataclass
class Scene:
    """A broker, full of names of one kind, and an admin who looks at it."""

    broker: RunningBroker
    http: httpx.AsyncClient
    name: str
    audit: Path

    def filled(self, endpoint: Endpoint) -> str:
        """The path of an endpoint, with the name in each place."""
        path = "/".join(quote(self.name, safe="") if "{" in each else each for each in endpoint.path.split("/"))
        queries = [each for each in PATHS[endpoint.path]["get"]["parameters"] if each["in"] == "query"]
        wanted = {"topic": self.name, "search": self.name[:20], "client": self.name, "prefix": "", "filter": self.name}
        query = "&".join(
            f"{each['name']}={quote(wanted[each['name']], safe='')}"
            for each in queries
            if each["required"] or each["name"] == "search"
            if each["name"] in wanted
        )
        return f"{path}?{query}" if query else path


@pytest.fixture
def broker(mqtt_broker_factory: BrokerFactory, tmp_path: Path) -> RunningBroker:
    admin = AdminConfig(enabled=True, port=0, audit_file=tmp_path / "audit.jsonl")
    limits = Limits(max_client_id_length=65_535, max_topic_length=65_535)
    return mqtt_broker_factory(config=Config(listeners=(ListenerConfig(port=0),), limits=limits, admin=admin))


@pytest.fixture(params=list(HOSTILE.values()), ids=list(HOSTILE))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def scene(broker: RunningBroker, name: str, tmp_path: Path) -> AsyncIterator[Scene]:
    admin = broker.broker.admin
    assert admin is not None
    token = broker.call(lambda inner: inner.admin.app.context.accounts)  # type: ignore[union-attr]
    _, secret = token.make_token("the admin", "admin", "admin", 0.0, None)
    headers = {"Authorization": f"Bearer {secret}"}
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(
            httpx.AsyncClient(base_url=admin.url, timeout=TIMEOUT, trust_env=False, headers=headers)
        )
        for _ in range(2):  # The second takes over from the first, which is told as an event.
            client = await stack.enter_async_context(RawClient(broker.host, broker.port))
            # A CONNECT as a whole may not be so long.
            short = name[:1_000]
            named = Properties(user_properties=((short, short),))
            will = Will(short, b"x", properties=named)
            await client.connect(name, username=short, password=PASSWORD, will=will, properties=named)
        await client.subscribe(name, f"{name[:60_000]}/#", f"$share/{name.replace('/', '')[:60_000]}/a")
        shown = Properties(content_type=name, response_topic=name[:100], user_properties=((name, name),))
        await client.publish(name, name.encode(), qos=1, retain=True, properties=shown)
        yield Scene(broker, http, name, tmp_path / "audit.jsonl")


class TestApi:
    """Stored XSS (GHSA-9pf7-f47q-mwpq, rabbitmq-management 358): what was stored is data, and nothing else."""

    async def test_ghsa_9pf7_every_answer_is_json_that_is_no_page(self, scene: Scene) -> None:
        seen = 0
        for endpoint in GETS:
            answer = await scene.http.get(scene.filled(endpoint))
            assert answer.status_code in (200, 400, 404, 409), (endpoint.path, answer.text[:300])
            inert(answer)
            json.loads(answer.content)
            seen += scene.name in values(answer.json())
        # It is shown as it is, unless it is too long for a path or to be shown at all.
        assert seen >= (1 if len(scene.name) > 1_000 else 5)

    async def test_ghsa_9pf7_the_path_is_not_echoed_as_a_page(self, scene: Scene) -> None:
        path = quote(scene.name[:2_000], safe="")
        for at in (f"/{path}", f"/api/v1/{path}", f"/api/v1/clients/{path}/nothing", f"/api/v1/me?{path}={path}"):
            for method in ("GET", "POST", "DELETE"):
                answer = await scene.http.request(method, at)
                assert 400 <= answer.status_code < 500
                inert(answer)
                assert "forged" not in " ".join(answer.headers)

    async def test_events_are_lines_that_nobody_can_forge(self, scene: Scene) -> None:
        """A name with line breaks is one line of a stream."""
        async with scene.http.stream("GET", "/api/v1/events", params={"kind": ["connected", "disconnected"]}) as stream:
            assert stream.headers["Content-Type"].startswith("text/event-stream")
            async with RawClient(scene.broker.host, scene.broker.port) as client:
                await client.connect(scene.name, username=scene.name[:1_000], password=PASSWORD)
                read = b""
                async with asyncio.timeout(TIMEOUT):
                    async for data in stream.aiter_bytes():
                        read += data
                        if b"\ndata:" in read and read.endswith(b"\n\n"):
                            break
        # Browsers end a line at CR and at LF, and nowhere else.
        lines = [line for line in read.decode().replace("\r", "\n").split("\n") if line]
        assert {line.partition(":")[0] for line in lines} <= {"retry", "id", "event", "data"}, lines
        (data_line, *_) = [line for line in lines if line.startswith("data:")]
        assert json.loads(data_line.removeprefix("data:"))["client_id"].startswith(scene.name[:200])

    async def test_metrics_have_no_names(self, scene: Scene) -> None:
        answer = await scene.http.get("/metrics")
        assert answer.headers["Content-Type"].startswith("text/plain")
        assert scene.name[:10] not in answer.text
        inert(answer)


class TestLogs:
    """A client identifier that looks like something else in the log (row 63)."""

    @pytest.mark.parametrize("format", ["text", "json"])
    async def test_log_injection(self, scene: Scene, format: str) -> None:
        await act(scene)
        lines = rendered(list(scene.broker.logged), format)
        assert len(lines) == len(scene.broker.logged) > 5
        for line in lines:
            assert line.isprintable(), line
            assert len(line.encode()) < LONGEST_LINE
            if format == "json":
                json.loads(line)
            else:
                assert "forged" not in line.split('"')[0]
        if len(scene.name) < 500:
            shown = [line for line in lines if "connected" in line]
            assert shown, "nothing about it"

    async def test_audit_log(self, scene: Scene) -> None:
        """Every change is one line, with the name as it is or its beginning."""
        actions = await act(scene)
        lines = scene.audit.read_text(encoding="utf-8").split("\n")
        assert lines.pop() == ""
        entries: list[dict[str, Any]] = [json.loads(line) for line in lines]
        assert [each["action"] for each in entries if each["status"] != 400] == actions
        for line in lines:
            assert len(line.encode()) < LONGEST_LINE
            assert line.isprintable(), line
        assert (await scene.http.get("/api/v1/audit")).json()["entries"] == entries[::-1]

    async def test_sys_topics(self, scene: Scene) -> None:
        """They are figures, and nobody's names."""
        async with RawClient(scene.broker.host, scene.broker.port) as client:
            await client.connect()
            await client.subscribe("$SYS/#")
            found = [await client.expect_publish() for _ in range(40)]
        for each in found:
            assert each.topic.startswith("$SYS/broker/") and each.topic.isascii() and each.topic.isprintable()
            assert each.payload.isascii() and len(each.payload) < 100


async def act(scene: Scene) -> list[str]:
    """Do with the API what has the name in it; the names of what was done."""
    name, path = scene.name, quote(scene.name, safe="")
    too_long = len(path) > 10_000
    actions: list[str] = []

    async def do(action: str, method: str, path: str, body: object = None) -> None:
        answer = await scene.http.request(method, path, json=body)
        assert answer.status_code < 500, answer.text
        inert(answer)
        if answer.status_code < 400 or answer.status_code in (401, 404, 409):
            actions.append(action)

    await do("log_in", "POST", "/api/v1/login", {"name": name[:64], "password": "x"})
    await do("make_token", "POST", "/api/v1/tokens", {"name": name[:64]})
    await do("publish", "POST", "/api/v1/publish", {"topic": name, "payload": name, "retain": True})
    if not too_long:
        await do("put_account", "PUT", f"/api/v1/accounts/{path}", {"role": "viewer", "password": "long enough"})
        await do("set_retained", "PUT", f"/api/v1/retained?topic={path}", {"payload": name})
        await do("disconnect_client", "POST", f"/api/v1/clients/{path}/disconnect", {"reason": name[:256]})
        await do("end_session", "DELETE", f"/api/v1/sessions/{path}")
    await do("delete_retained", "POST", "/api/v1/retained/delete", {"filter": name, "dry_run": False})
    return actions


def inert(answer: httpx.Response) -> None:
    """Whatever is in it, a browser does not run it."""
    kind = answer.headers.get("Content-Type", "")
    assert answer.status_code == 204 or kind.partition(";")[0] in (
        "application/json",
        "application/problem+json",
        "text/plain",
    )
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    for value in answer.headers.values():
        assert value.isprintable() and "forged" not in value and "<" not in value


def values(plain: object) -> Iterator[object]:
    """All that is in JSON, keys and values."""
    if isinstance(plain, dict):
        for key, value in plain.items():
            yield key
            yield from values(value)
    elif isinstance(plain, list):
        for value in plain:
            yield from values(value)
    else:
        yield plain


def rendered(logged: list[tuple[str, str, dict[str, object]]], format: str) -> list[str]:
    """The lines of the log, as the command writes them."""
    root = logging.getLogger()
    handlers, level, stream = root.handlers[:], root.level, io.StringIO()
    try:
        configure_logging("debug", format, stream)
        for line_level, event, details in logged:
            log_event(line_level, event, **details)
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        structlog.reset_defaults()
    lines = stream.getvalue().split("\n")
    assert lines.pop() == ""
    return lines
