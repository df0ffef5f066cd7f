"""A password of the admin server that was lost: a new one, while the broker is stopped and while it runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from mqttbroker.admin.accounts import Accounts
from tests.admin.console import console
from tests.cli.conftest import Command


@pytest.fixture(autouse=True)
def cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    cheap = partial(PasswordHasher, time_cost=1, memory_cost=64, parallelism=1)
    monkeypatch.setattr("mqttbroker.security.passwords.PasswordHasher", cheap)
    yield


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Accounts, as a broker has made them, and a viewer."""
    accounts = Accounts(tmp_path / "admin.json")
    accounts.set_password("eve", "a long password", "viewer")
    accounts.make_token("prometheus", "viewer", "admin", 0.0, None)
    accounts.save()
    return tmp_path / "admin.json"


def password_in(output: str) -> str:
    return next(line.removeprefix("Password: ") for line in output.splitlines() if line.startswith("Password: "))


class TestAdminPassword:
    def test_the_account_has_another_one(self, command: Command, file: Path) -> None:
        before = Accounts(file)
        result = command("admin-password", "--data-dir", file.parent)
        assert result.exit_code == 0, result.stderr
        accounts = Accounts(file)
        assert accounts.verify("admin", password_in(result.stdout)) == "admin"
        assert accounts.verify("eve", "a long password") == "viewer"
        assert accounts.tokens == before.tokens
        assert file.stat().st_mode & 0o777 == 0o600

    def test_another_account(self, command: Command, file: Path) -> None:
        result = command("admin-password", "eve", "--accounts", file)
        assert Accounts(file).verify("eve", password_in(result.stdout)) == "viewer"
        again = command("admin-password", "eve", "--accounts", file)
        assert password_in(again.stdout) != password_in(result.stdout)

    def test_an_account_that_is_not_there(self, command: Command, file: Path) -> None:
        before = file.read_bytes()
        result = command("admin-password", "nobody", "--accounts", file)
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr == f"mqttbroker: {file}: there is no account 'nobody', but 'admin', 'eve'\n"
        assert file.read_bytes() == before

    def test_a_file_that_is_not_there(self, command: Command, tmp_path: Path) -> None:
        result = command("admin-password", "--data-dir", tmp_path)
        assert result.exit_code == 1
        assert "a broker makes it when it is started for the first time" in result.stderr
        assert list(tmp_path.iterdir()) == []

    def test_a_file_that_is_none(self, command: Command, file: Path) -> None:
        file.write_text("{}", encoding="utf-8")
        assert command("admin-password", "--accounts", file).exit_code == 1
        assert file.read_text(encoding="utf-8") == "{}"

    def test_two_places(self, command: Command, file: Path) -> None:
        assert command("admin-password", "--accounts", file, "--data-dir", file.parent).exit_code == 1


class TestReload:
    async def test_a_running_broker_takes_it(self, command: Command, tmp_path: Path) -> None:
        async with console(accounts_file=tmp_path / "admin.json") as somebody:
            password = password_in(command("admin-password", "--accounts", tmp_path / "admin.json").stdout)
            assert (await somebody.http.get("/api/v1/me")).status_code == 200
            assert (await somebody.log_in(password=password)).status_code == 401
            assert somebody.broker.reload()
            assert (await somebody.http.get("/api/v1/me")).status_code == 401
            assert (await somebody.log_in()).status_code == 401
            assert (await somebody.log_in(password=password)).status_code == 200

    async def test_what_nobody_has_changed_stays(self, tmp_path: Path) -> None:
        async with console(accounts_file=tmp_path / "admin.json") as somebody:
            await somebody.http.put("/api/v1/accounts/eve", json={"role": "viewer", "password": "a long password"})
            assert somebody.broker.reload()
            assert (await somebody.http.get("/api/v1/me")).status_code == 200

    @pytest.mark.parametrize("content", ("{}", json.dumps({"accounts": []})))
    async def test_a_file_that_is_wrong_changes_nothing(self, tmp_path: Path, content: str) -> None:
        async with console(accounts_file=tmp_path / "admin.json") as somebody:
            (tmp_path / "admin.json").write_text(content, encoding="utf-8")
            assert not somebody.broker.reload()
            assert (await somebody.http.get("/api/v1/me")).status_code == 200
            assert ("error", "accounts of the admin server not replaced") in {each[:2] for each in somebody.logged}

    async def test_a_file_that_is_gone_changes_nothing(self, tmp_path: Path) -> None:
        async with console(accounts_file=tmp_path / "admin.json") as somebody:
            (tmp_path / "admin.json").unlink()
            assert somebody.broker.reload()
            assert (await somebody.log_in()).status_code == 200
