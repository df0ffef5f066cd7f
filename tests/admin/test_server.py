"""The admin server as a part of a broker: what it asks of the process, what it says of itself, what it keeps."""

from __future__ import annotations

import asyncio
import json
import os
import re
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from openapi_spec_validator import validate

from mqttbroker.admin.openapi import describe
from mqttbroker.admin.server import endpoints
from mqttbroker.config import AdminConfig, ListenerConfig
from mqttbroker.security import SecurityError
from mqttbroker.server import Broker
from tests.admin.console import ANYWHERE, console
from tests.support.pki import Pki
from tests.support.raw import RawClient


class TestServer:
    async def test_a_broker_without_it_does_not_load_it(self) -> None:
        program = (
            "import asyncio, sys\nfrom mqttbroker import Broker, Config, ListenerConfig\n"
            "async def main():\n async with Broker(Config(listeners=(ListenerConfig(port=0),))): pass\n"
            "asyncio.run(main())\nprint([each for each in ('uvicorn', 'starlette', 'h11') if each in sys.modules])"
        )
        ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True)
        assert ended.stdout == "[]\n"

    async def test_a_port_that_is_taken(self, tmp_path: Path) -> None:
        async with console() as somebody:
            assert somebody.broker.admin is not None
            port = somebody.broker.admin.address[1]
            taken = AdminConfig(True, port=port, accounts_file=tmp_path / "admin.json")
            before = asyncio.all_tasks()
            with pytest.raises(OSError, match=f"the admin server cannot listen on 127.0.0.1 port {port}: "):
                await Broker(replace(ANYWHERE, admin=taken)).start()
            assert asyncio.all_tasks() == before
            # No account is kept whose password nobody has seen.
            assert list(tmp_path.iterdir()) == []

    async def test_it_warns_where_others_reach_it(self) -> None:
        async with console(host="0.0.0.0", log_in=False) as somebody:
            assert "warning" in {level for level, event, _ in somebody.logged if event.startswith("the admin server")}

    async def test_a_broker_that_was_stopped_can_be_started_again(self) -> None:
        async with console() as somebody:
            await somebody.broker.stop()
            assert somebody.broker.admin is None
            await somebody.broker.start()
            assert somebody.broker.admin is not None


class TestDescription:
    def test_it_is_openapi(self) -> None:
        validate(json.loads(json.dumps(describe(endpoints()))))

    async def test_it_can_be_read(self) -> None:
        async with console() as somebody:
            served = await somebody.get("/api/v1/openapi.json")
            assert set(served["paths"]) == {each.path for each in endpoints()}

    def test_every_endpoint_has_a_name_of_its_own(self) -> None:
        names = [each.name for each in endpoints()]
        assert len(names) == len(set(names))

    def test_every_endpoint_says_what_it_does(self) -> None:
        assert [each.name for each in endpoints() if not each.summary or each.summary.endswith(".")] == []

    def test_only_viewers_and_admins(self) -> None:
        """Whoever may only see changes nothing but what is his own."""
        changing = {each.name for each in endpoints() if each.changes and each.role != "admin"}
        assert changing == {"log_in", "log_out", "change_password"}


class TestAccounts:
    def test_the_first_run(self, tmp_path: Path) -> None:
        ended, port = run_for_a_moment(tmp_path)
        [password] = re.findall(r"Password: (\S{20})\n", ended)
        assert f"http://127.0.0.1:{port}/" in ended
        accounts = tmp_path / "data" / "admin.json"
        assert stat.S_IMODE(accounts.stat().st_mode) == 0o600
        assert password not in accounts.read_text(encoding="utf-8")
        # Once, and not again.
        ended, _ = run_for_a_moment(tmp_path)
        assert "Password" not in ended

    async def test_they_are_kept(self, tmp_path: Path) -> None:
        config = replace(ANYWHERE, data_dir=tmp_path / "data")
        async with console(config) as somebody:
            password = somebody.password
        async with console(config, log_in=False) as somebody:
            assert somebody.broker.admin is not None
            assert somebody.broker.admin.first_password is None
            assert (await somebody.log_in("admin", password)).status_code == 200

    @pytest.mark.parametrize(
        "content",
        [
            "",
            "{}",
            "[]",
            '{"accounts": []}',
            '{"accounts": [{"name": "admin", "role": "admin", "password": ""}]}',
            '{"accounts": [{"name": "admin", "role": "admin", "password": "admin"}]}',
            '{"accounts": [{"name": "admin", "role": "root", "password": "HASH"}]}',
            '{"accounts": [{"name": "admin", "role": "viewer", "password": "HASH"}]}',
            '{"accounts": [{"name": "a:b", "role": "admin", "password": "HASH"}]}',
            '{"accounts": [{"name": "admin", "role": "admin", "password": "HASH", "more": 1}]}',
            '{"accounts": [{"name": "a", "role": "admin", "password": "HASH"},'
            ' {"name": "a", "role": "admin", "password": "HASH"}]}',
            '{"accounts": [{"name": "admin", "role": "admin", "password": "HASH"}',
        ],
    )
    async def test_a_file_that_is_wrong_lets_nobody_in(self, tmp_path: Path, content: str) -> None:
        path = tmp_path / "admin.json"
        encoded = "$argon2id$v=19$m=65536,t=3,p=4$" + "a" * 22 + "$" + "b" * 43
        path.write_text(content.replace("HASH", encoded), encoding="utf-8")
        broker = Broker(replace(ANYWHERE, admin=AdminConfig(True, port=0, accounts_file=path)))
        with pytest.raises(SecurityError, match=r"admin\.json"):
            await broker.start()
        assert path.read_text(encoding="utf-8") == content.replace("HASH", encoded)

    async def test_a_place_that_cannot_be_written(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("", encoding="utf-8")
        path = tmp_path / "file" / "admin.json"
        with pytest.raises(SecurityError, match="cannot be"):
            await Broker(replace(ANYWHERE, admin=AdminConfig(True, port=0, accounts_file=path))).start()


class TestAudit:
    async def test_every_change_is_there(self, tmp_path: Path) -> None:
        async with console(audit_file=tmp_path / "audit.jsonl") as somebody:
            await somebody.http.put("/api/v1/log", json={"level": "error"})
            await somebody.http.put("/api/v1/log", json={"level": "info"})
            [entry] = [each for each in lines(tmp_path) if each["request"] == {"body": {"level": "error"}}]
            assert (entry["who"], entry["role"], entry["by"]) == ("admin", "admin", "session")
            assert (entry["action"], entry["address"], entry["status"]) == ("set_log_level", "127.0.0.1", 200)
            assert entry["after"] == {"level": "error"}
            recent = (await somebody.get("/api/v1/audit"))["entries"]
            assert recent == list(reversed(lines(tmp_path)))
            assert stat.S_IMODE((tmp_path / "audit.jsonl").stat().st_mode) == 0o600

    async def test_tries_that_failed_too(self, tmp_path: Path) -> None:
        async with console(audit_file=tmp_path / "audit.jsonl") as somebody:
            await somebody.log_in("admin", "wrong")
            await somebody.http.delete("/api/v1/tokens/none")
            assert [(each["action"], each["status"]) for each in lines(tmp_path)[1:]] == [
                ("log_in", 401),
                ("delete_token", 404),
            ]

    async def test_secrets_are_not(self, tmp_path: Path) -> None:
        async with console(audit_file=tmp_path / "audit.jsonl") as somebody:
            body = {"role": "viewer", "password": "a new secret"}
            await somebody.http.put("/api/v1/accounts/eve", json=body)
            token = (await somebody.http.post("/api/v1/tokens", json={"name": "x"})).json()["token"]
            await somebody.http.put("/api/v1/me/password", json={"current": "an old one", "password": "another one"})
            text = (tmp_path / "audit.jsonl").read_text(encoding="utf-8") + repr(somebody.logged)
            for secret in (somebody.password, "a new secret", token, "an old one", "another one"):
                assert secret not in text

    async def test_reading_is_no_change(self, tmp_path: Path) -> None:
        async with console(audit_file=tmp_path / "audit.jsonl") as somebody:
            await somebody.get("/api/v1/broker")
            assert [each["action"] for each in lines(tmp_path)] == ["log_in"]

    async def test_a_file_that_cannot_be_written_is_logged(self, tmp_path: Path) -> None:
        async with console(audit_file=tmp_path / "none" / "audit.jsonl") as somebody:
            assert "audit log cannot be written" in {event for _, event, _ in somebody.logged}


class TestBroker:
    async def test_at_a_glance(self) -> None:
        async with console() as somebody, RawClient(somebody.broker.host, somebody.broker.port) as client:
            await client.connect()
            await client.subscribe("a")
            await client.publish("a", b"x", qos=1, retain=True)
            overview = await somebody.get("/api/v1/broker")
            assert (overview["connections"], overview["sessions"], overview["subscriptions"]) == (1, 1, 1)
            assert overview["retained_messages"] == 1
            assert overview["counters"]["messages_received"] == 1

    async def test_listeners(self) -> None:
        async with console() as somebody:
            [listener] = (await somebody.get("/api/v1/listeners"))["listeners"]
            assert listener["addresses"] == [{"host": "127.0.0.1", "port": somebody.broker.port}]
            assert (listener["name"], listener["type"], listener["tls"]) == ("tcp", "tcp", False)

    async def test_the_configuration(self, tmp_path: Path) -> None:
        async with console(accounts_file=tmp_path / "admin.json") as somebody:
            shown = await somebody.get("/api/v1/config")
            assert shown["admin"]["accounts_file"] == str(tmp_path / "admin.json")
            assert shown["limits"]["max_qos"] == 2
            assert shown["listeners"][0]["port"] == 0

    async def test_certificates(self, pki: Pki) -> None:
        tls = ListenerConfig("tls", port=0, tls=pki.tls_config())
        async with console(replace(ANYWHERE, listeners=(tls,))) as somebody:
            [certificate] = (await somebody.get("/api/v1/certificates"))["certificates"]
            assert certificate["listener"] == "tls"
            assert certificate["seconds_left"] > 0

    async def test_reading_files_again(self, tmp_path: Path) -> None:
        async with console() as somebody:
            assert (await somebody.http.post("/api/v1/reload")).status_code == 204

    async def test_the_log(self) -> None:
        async with console() as somebody:
            before = await somebody.get("/api/v1/log")
            try:
                response = await somebody.http.put("/api/v1/log", json={"level": "debug"})
                assert response.json() == {"level": "debug"} == await somebody.get("/api/v1/log")
            finally:
                await somebody.http.put("/api/v1/log", json=before)
            response = await somebody.http.put("/api/v1/log", json={"level": "loud"})
            assert response.status_code == 400
            assert response.json()["field"] == "$.level"


def lines(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "audit.jsonl").read_text(encoding="utf-8").splitlines()]


def run_for_a_moment(folder: Path) -> tuple[str, str]:
    """Run the command until it has started; what it printed, and its admin server's port."""
    command = [sys.executable, "-m", "mqttbroker", "serve", "--port", "0", "--admin-port", "0", "--data-dir", "data"]
    process = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ
    )
    try:
        assert process.stderr is not None
        # Read until it has said where it is, which is before anything is printed.
        while "admin server listening" not in (line := process.stderr.readline()):
            assert line, "it has ended"
        port = re.findall(r":(\d+)/", line)[0]
        assert httpx.get(f"http://127.0.0.1:{port}/", timeout=30, trust_env=False).status_code == 200
        process.terminate()
        printed, _ = process.communicate(timeout=30)
        assert process.returncode == 0
        return printed, port
    finally:
        process.kill()
        process.wait(timeout=30)
