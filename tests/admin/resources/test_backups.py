"""Backups over HTTP: what they hold, that a broker can be started from one, and what they refuse."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections import namedtuple
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from mqttbroker.config import Config
from mqttbroker.protocol import Properties
from mqttbroker.server import Broker
from mqttbroker.storage.lmdb.maintenance import restore
from tests.admin.console import ANYWHERE, Console, console
from tests.support.raw import RawClient

TIMEOUT = 30.0
KEPT = Properties(session_expiry_interval=3_600)
Usage = namedtuple("Usage", ("total", "used", "free"))


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return replace(ANYWHERE, data_dir=tmp_path / "data")


async def finished(somebody: Console) -> Any:
    """The list of backups, when none is under way any more."""
    async with asyncio.timeout(TIMEOUT):
        while (listed := await somebody.get("/api/v1/backups"))["running"] is not None:
            await asyncio.sleep(0.02)
    return listed


async def backed_up(somebody: Console) -> str:
    """The name of a new backup."""
    response = await somebody.http.post("/api/v1/backups")
    assert response.status_code == 201, response.text
    name: str = response.json()["name"]
    listed = await finished(somebody)
    assert (listed["failed"], listed["items"][0]["name"]) == (None, name)
    return name


class TestOneBackup:
    async def test_a_broker_can_be_started_from_it(self, config: Config, tmp_path: Path) -> None:
        """Under load: everything that was acknowledged before is there."""
        async with console(config) as somebody:
            broker = somebody.broker
            async with RawClient(broker.host, broker.port) as keeper:
                await keeper.connect("keeper", clean_start=True, properties=KEPT)
                await keeper.subscribe("a", qos=1)
                await keeper.disconnect()
            acknowledged: list[int] = []

            async def publish(sender: RawClient) -> None:
                for number in range(100_000):
                    await sender.publish("a", b"%d" % number, qos=1)
                    acknowledged.append(number)

            async with RawClient(broker.host, broker.port) as sender:
                await sender.connect("sender")
                publishing = asyncio.ensure_future(publish(sender))
                async with asyncio.timeout(TIMEOUT):
                    while len(acknowledged) < 50:
                        await asyncio.wait([publishing], timeout=0.02)
                before = len(acknowledged)
                name = await backed_up(somebody)
                publishing.cancel()
                await asyncio.gather(publishing, return_exceptions=True)
            downloaded = await somebody.http.get(f"/api/v1/backups/{name}")
            assert downloaded.status_code == 200
            assert downloaded.headers["content-disposition"] == f'attachment; filename="{name}"'
            copy = tmp_path / "downloaded.mdb"
            copy.write_bytes(downloaded.content)

        command = [sys.executable, "-m", "mqttbroker", "store", "restore", str(copy), str(tmp_path / "other")]
        await asyncio.to_thread(subprocess.run, command, check=True, timeout=TIMEOUT, capture_output=True)
        async with (
            Broker(replace(ANYWHERE, data_dir=tmp_path / "other")) as other,
            RawClient(other.host, other.port) as keeper,
        ):
            await keeper.connect("keeper", clean_start=False, properties=KEPT)
            for number in range(before):
                message = await keeper.expect_publish()
                assert message.payload == b"%d" % number
                await keeper.ack(message)

    async def test_it_is_whole_and_its_own(self, config: Config, tmp_path: Path) -> None:
        async with console(config) as somebody:
            name = await backed_up(somebody)
            assert config.data_dir is not None
            file = config.data_dir / "backups" / name
            assert [each.name for each in file.parent.iterdir()] == [name]
            assert file.stat().st_mode & 0o777 == 0o600
            assert file.parent.stat().st_mode & 0o777 == 0o700
            listed = await somebody.get("/api/v1/backups")
            assert listed["items"][0]["size"] == file.stat().st_size
            assert listed["possible"] and listed["free"] > listed["needed"] > 0
            restore(file, tmp_path / "other")
            assert ("info", "backup made") in {(level, event) for level, event, _ in somebody.logged}

    async def test_there_may_be_more_of_one_second(self, config: Config) -> None:
        async with console(config) as somebody:
            names = [await backed_up(somebody) for _ in range(3)]
            assert len(set(names)) == 3
            listed = await somebody.get("/api/v1/backups")
            assert {each["name"] for each in listed["items"]} == set(names)
            assert all(each["time"] > 1_700_000_000 for each in listed["items"])

    async def test_it_can_be_deleted(self, config: Config) -> None:
        async with console(config) as somebody:
            name = await backed_up(somebody)
            assert (await somebody.http.delete(f"/api/v1/backups/{name}")).status_code == 204
            assert (await somebody.get("/api/v1/backups"))["items"] == []
            assert (await somebody.http.get(f"/api/v1/backups/{name}")).status_code == 404
            entry = (await somebody.get("/api/v1/audit"))["entries"][0]
            assert (entry["action"], entry["before"]["name"]) == ("delete_backup", name)

    async def test_its_directory_can_be_elsewhere(self, config: Config, tmp_path: Path) -> None:
        async with console(config, backup_dir=tmp_path / "far" / "away") as somebody:
            name = await backed_up(somebody)
            assert (tmp_path / "far" / "away" / name).is_file()


class TestNames:
    @pytest.mark.parametrize(
        "name",
        (
            "../data.mdb",
            "..",
            "/etc/passwd",
            "data.mdb",
            "mqttbroker-20260101-000000.mdb/../../data.mdb",
            "mqttbroker-20260101-000000.mdb\n",
            ".mqttbroker-20260101-000000.mdb.part",
            "mqttbroker-20260101-000000.mdb",
        ),
    )
    async def test_only_those_that_are_listed(self, config: Config, name: str) -> None:
        async with console(config) as somebody:
            for method in ("GET", "DELETE"):
                response = await somebody.http.request(method, f"/api/v1/backups/{quote(name, safe='')}")
                assert response.status_code == 404

    async def test_no_links_and_no_directories(self, config: Config, tmp_path: Path) -> None:
        assert config.data_dir is not None
        directory = config.data_dir / "backups"
        directory.mkdir(parents=True)
        (tmp_path / "secret").write_text("secret")
        (directory / "mqttbroker-20260101-000000.mdb").symlink_to(tmp_path / "secret")
        (directory / "mqttbroker-20260101-000001.mdb").mkdir()
        (directory / "notes.txt").write_text("")
        async with console(config) as somebody:
            assert (await somebody.get("/api/v1/backups"))["items"] == []
            for number in range(2):
                path = f"/api/v1/backups/mqttbroker-20260101-00000{number}.mdb"
                assert (await somebody.http.get(path)).status_code == 404
                assert (await somebody.http.delete(path)).status_code == 404
        assert (tmp_path / "secret").exists()


class TestRefusals:
    async def test_a_broker_without_a_store(self) -> None:
        async with console() as somebody:
            assert not (await somebody.get("/api/v1/backups"))["possible"]
            response = await somebody.http.post("/api/v1/backups")
            assert (response.status_code, "in memory" in response.json()["detail"]) == (409, True)

    async def test_no_room(self, config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(
            "mqttbroker.admin.backups.shutil.disk_usage", lambda path: Usage(10**9, 10**9 - 70_000_000, 67_110_000)
        )
        async with console(config) as somebody:
            response = await somebody.http.post("/api/v1/backups")
            assert response.status_code == 507
            assert (await somebody.get("/api/v1/backups"))["running"] is None

    async def test_two_at_a_time(self, config: Config) -> None:
        async with console(config) as somebody:
            responses = await asyncio.gather(*(somebody.http.post("/api/v1/backups") for _ in range(2)))
            assert sorted(each.status_code for each in responses) == [201, 409]
            assert len((await finished(somebody))["items"]) == 1

    async def test_one_that_fails_is_told_and_leaves_nothing(
        self, config: Config, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with console(config) as somebody:
            with monkeypatch.context() as patched:
                patched.setattr("mqttbroker.admin.backups.sys.executable", "/nowhere/python")
                assert (await somebody.http.post("/api/v1/backups")).status_code == 201
                listed = await finished(somebody)
            assert "No such file" in listed["failed"]["reason"]
            assert listed["items"] == []
            assert ("error", "backup failed") in {(level, event) for level, event, _ in somebody.logged}
            await backed_up(somebody)

    async def test_one_that_a_killed_broker_has_left(self, config: Config) -> None:
        assert config.data_dir is not None
        left = config.data_dir / "backups" / ".mqttbroker-20260101-000000.mdb.part"
        left.mkdir(parents=True)
        (left / "data.mdb").write_bytes(b"half")
        async with console(config) as somebody:
            await backed_up(somebody)
            assert not left.exists()

    async def test_a_broker_that_stops_waits_for_none(self, config: Config) -> None:
        async with console(config) as somebody:
            assert (await somebody.http.post("/api/v1/backups")).status_code == 201
        assert config.data_dir is not None
        assert not list((config.data_dir / "backups").glob(".*"))
