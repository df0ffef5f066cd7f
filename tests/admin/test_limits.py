"""What the admin server lets nobody have without bound: time, connections, sessions, tokens, files."""

from __future__ import annotations

import asyncio
import json
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from mqttbroker.admin import accounts, audit, login, offload, server
from mqttbroker.admin.accounts import Accounts
from mqttbroker.admin.login import COOKIE, LONGEST, Login
from mqttbroker.admin.offload import Offload
from mqttbroker.admin.problems import Problem
from tests.admin.console import TIMEOUT, Console, console


class TestConnections:
    async def test_headers_that_do_not_come(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(server, "HEADERS_TIMEOUT", 0.01)
        async with console(log_in=False) as somebody:
            for begun in (b"", b"GET / HTTP/1.1\r\nHost: local"):
                reader, writer = await opened(somebody)
                writer.write(begun)
                await ended(reader)
                writer.close()

    async def test_a_body_that_does_not_come(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("mqttbroker.admin.app.BODY_TIMEOUT", 0.01)
        async with console(log_in=False) as somebody:
            reader, writer = await opened(somebody)
            writer.write(b"POST /api/v1/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n")
            writer.write(b"Content-Length: 10\r\n\r\n{")
            answer = await asyncio.wait_for(reader.read(), TIMEOUT)
            assert answer.startswith(b"HTTP/1.1 408 ")
            writer.close()

    async def test_a_client_that_leaves_in_the_middle_of_a_body(self) -> None:
        async with console() as somebody:
            _, writer = await opened(somebody)
            writer.write(b"POST /api/v1/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n")
            writer.write(b"Content-Length: 10\r\n\r\n{")
            await writer.drain()
            writer.close()
            await somebody.get("/api/v1/me")

    async def test_too_many(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async with console() as somebody:
            await somebody.get("/api/v1/me")
            monkeypatch.setattr(server, "MOST_CONNECTIONS", 2)
            kept = await opened(somebody)
            reader, writer = await opened(somebody)
            await ended(reader)
            await somebody.get("/api/v1/me")
            kept[1].close()
            writer.close()


class TestSessions:
    def test_the_one_that_was_not_used_for_longest_makes_room(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(login, "MOST_SESSIONS", 2)
        sessions = Login(Accounts(None), lambda: 0.0)
        first, second = (cookie(sessions.open("admin")[1]) for _ in range(2))
        assert sessions.session(first) is not None
        third = cookie(sessions.open("admin")[1])
        assert [sessions.session(each) is not None for each in (first, second, third)] == [True, False, True]

    def test_they_end_however_much_they_are_used(self) -> None:
        now = 0.0
        sessions = Login(Accounts(None), lambda: now)
        headers = cookie(sessions.open("admin")[1])
        while now <= LONGEST:
            assert sessions.session(headers) is not None
            now += 3600.0
        assert sessions.session(headers) is None


class TestAccounts:
    def test_too_many(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(accounts, "MOST_ACCOUNTS", 1)
        monkeypatch.setattr(accounts, "MOST_TOKENS", 1)
        kept = Accounts(None)
        kept.set_password("admin", "another", "admin")
        with pytest.raises(ValueError, match="at most 1 accounts"):
            kept.set_password("eve", "another", "viewer")
        kept.make_token("a", "viewer", "admin", 0.0, None)
        with pytest.raises(ValueError, match="at most 1 tokens"):
            kept.make_token("b", "viewer", "admin", 0.0, None)

    async def test_tokens_too_many_are_a_conflict(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(accounts, "MOST_TOKENS", 0)
        async with console() as somebody:
            assert (await somebody.http.post("/api/v1/tokens", json={"name": "x"})).status_code == 409

    async def test_those_of_an_account_go_with_it(self, tmp_path: Path) -> None:
        kept = Accounts(tmp_path / "admin.json")
        kept.set_password("eve", "another", "admin")
        _, secret = kept.make_token("a", "viewer", "eve", 0.0, None)
        kept.save()
        again = Accounts(tmp_path / "admin.json")
        assert again.who(secret, 0.0) is not None
        again.delete("eve")
        assert again.who(secret, 0.0) is None


class TestAudit:
    async def test_a_file_that_is_full_makes_room(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(audit, "MOST_BYTES", 300)
        async with console(audit_file=tmp_path / "audit.jsonl") as somebody:
            for _ in range(4):
                await somebody.http.put("/api/v1/log", json={"level": "info"})
        sizes = [each.stat().st_size for each in sorted(tmp_path.iterdir()) if each.name.startswith("audit")]
        assert len(sizes) == 2
        assert max(sizes) < 1_000

    async def test_what_is_long_is_cut(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(audit, "LONGEST", 30)
        async with console(audit_file=tmp_path / "audit.jsonl") as somebody:
            await somebody.http.post("/api/v1/tokens", json={"name": "x" * 60})
        [entry] = [
            json.loads(line)
            for line in (tmp_path / "audit.jsonl").read_text(encoding="utf-8").splitlines()
            if "make_token" in line
        ]
        assert entry["request"]["body"]["cut"] == '{"name":"' + "x" * 21
        assert entry["request"]["body"]["bytes"] > 60


class TestOffload:
    async def test_work_that_waits(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(offload, "MOST_WAITING", 1)
        thread, go = Offload(), threading.Event()
        task = asyncio.create_task(thread(lambda: go.wait(TIMEOUT)))
        await asyncio.sleep(0)
        with pytest.raises(Problem, match="503"):
            await thread(lambda: None)
        go.set()
        assert await task
        assert await thread(lambda: 1) == 1
        thread.close()

    async def test_a_server_that_stops_finishes_what_is_under_way(self, monkeypatch: pytest.MonkeyPatch) -> None:
        begun, go = asyncio.Event(), threading.Event()
        loop = asyncio.get_running_loop()
        verify = Accounts.verify

        def slow(self: Accounts, name: str, password: str) -> object:
            loop.call_soon_threadsafe(begun.set)
            go.wait(TIMEOUT)
            return verify(self, name, password)

        async with console(log_in=False) as somebody:
            monkeypatch.setattr(Accounts, "verify", slow)
            task = asyncio.create_task(somebody.log_in())
            await asyncio.wait_for(begun.wait(), TIMEOUT)
            stopping = asyncio.create_task(somebody.broker.stop())
            await asyncio.sleep(0)
            go.set()
            assert (await asyncio.wait_for(task, TIMEOUT)).status_code == 200
            await asyncio.wait_for(stopping, TIMEOUT)


async def opened(somebody: Console) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    assert somebody.broker.admin is not None
    return await asyncio.open_connection(*somebody.broker.admin.address)


async def ended(reader: asyncio.StreamReader) -> None:
    """Wait for the end of a connection on which nothing came."""
    with suppress(ConnectionResetError):
        assert await asyncio.wait_for(reader.read(), TIMEOUT) == b""


def cookie(secret: str) -> dict[str, str]:
    return {"cookie": f"{COOKIE}={secret}"}
