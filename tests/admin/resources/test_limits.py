"""Limits with their use, and the configuration key by key."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from mqttbroker.admin.resources.limits import ABOUT
from mqttbroker.broker import Limits
from mqttbroker.broker.entrance import ListenerLimits
from mqttbroker.config import AdminConfig, Config, ListenerConfig
from tests.admin.console import ADMIN, ANYWHERE, console
from tests.support.pki import Pki
from tests.support.raw import RawClient


def test_every_limit_is_described() -> None:
    assert list(ABOUT) == [each.name for each in fields(Limits)]
    assert all(about.text.endswith(".") for about in ABOUT.values())


class TestLimits:
    async def test_value_and_use(self) -> None:
        config = replace(ANYWHERE, limits=Limits(max_connections=7, max_connection_rate=0))
        async with console(config) as somebody, RawClient(somebody.broker.host, somebody.broker.port) as client:
            await client.connect("a")
            await client.publish("a", b"x", qos=1, retain=True)
            shown = {each["name"]: each for each in (await somebody.get("/api/v1/limits"))["limits"]}
        connections = shown["max_connections"]
        assert (connections["value"], connections["default"], connections["unit"]) == (7, 100_000, "connections")
        assert connections["used"] == 1
        assert shown["max_retained_messages"]["used"] == 1
        assert shown["max_retained_bytes"]["used"] > 0
        assert shown["max_cached_topics"]["used"] >= 1
        assert (shown["max_queued_messages"]["used"], shown["max_total_queued_bytes"]["used"]) == (0, 0)
        assert shown["max_connection_rate"]["value"] is None
        assert shown["max_session_expiry"]["value"] is None
        assert shown["retain_available"]["value"] is True
        assert shown["max_packet_size"]["used"] is None

    async def test_those_of_listeners(self) -> None:
        listener = ListenerConfig("small", port=0, limits=ListenerLimits(max_connections=3))
        async with console(Config(listeners=(listener,), admin=ADMIN)) as somebody:
            async with RawClient(somebody.broker.host, somebody.broker.port) as client:
                await client.connect("a")
                own = [each for each in (await somebody.get("/api/v1/limits"))["limits"] if each["listener"]]
            assert [(each["listener"], each["name"], each["value"], each["default"], each["used"]) for each in own] == [
                ("small", "max_connections", 3, 100_000, 1)
            ]


class TestConfiguration:
    async def entries(self, config: Config) -> dict[str, Any]:
        async with console(config) as somebody:
            found = (await somebody.get("/api/v1/config/entries"))["entries"]
        return {f"{each['table']}.{each['key']}": each for each in found}

    async def test_what_differs_is_marked(self, tmp_path: Path) -> None:
        entries = await self.entries(replace(ANYWHERE, data_dir=tmp_path / "data", limits=Limits(max_qos=1)))
        assert {key for key, each in entries.items() if each["changed"]} == {
            ".data_dir",
            "listeners.0.port",
            "limits.max_qos",
            "admin.enabled",
            "admin.port",
        }
        assert (entries["limits.max_qos"]["value"], entries["limits.max_qos"]["default"]) == (1, 2)
        assert entries[".data_dir"]["value"] == str(tmp_path / "data")
        assert entries["admin.trusted_hosts"]["value"] == []

    async def test_tables_that_are_not_there_by_default(self, pki: Pki) -> None:
        tls = pki.tls_config()
        listeners = (ListenerConfig("tls", port=0, tls=tls), ListenerConfig(port=0))
        entries = await self.entries(Config(listeners=listeners, admin=ADMIN))
        assert entries["listeners.0.tls.certificate"]["value"] == str(tls.certificate)
        assert entries["listeners.0.tls.certificate"]["default"] is None
        assert not entries["listeners.0.tls.minimum_version"]["changed"]
        assert not entries["listeners.1.name"]["changed"]
        assert entries["listeners.1.tls"]["value"] is None

    async def test_only_admins_see_it(self) -> None:
        async with console() as somebody:
            await somebody.http.put("/api/v1/accounts/eve", json={"role": "viewer", "password": "a long password"})
            await somebody.log_in("eve", "a long password")
            assert (await somebody.http.get("/api/v1/config/entries")).status_code == 403
            assert (await somebody.http.get("/api/v1/limits")).status_code == 200


def test_the_directory_of_backups_is_relative_to_the_file(tmp_path: Path) -> None:
    from mqttbroker.config import load_config

    (tmp_path / "broker.toml").write_text('[admin]\nbackup_dir = "copies"\n', encoding="utf-8")
    assert load_config(tmp_path / "broker.toml", {}).admin.backup_dir == tmp_path / "copies"
    assert AdminConfig().backup_dir is None


@pytest.mark.parametrize("kind", ("tcp", "websocket"))
async def test_listeners_say_where_they_are(kind: str) -> None:
    config = Config(listeners=(ListenerConfig("x", kind, port=0),), admin=ADMIN)  # type: ignore[arg-type]
    async with console(config) as somebody:
        (listener,) = (await somebody.get("/api/v1/listeners"))["listeners"]
        assert listener["path"] == ("/mqtt" if kind == "websocket" else "")
        assert listener["client_certificates"] == "none"
