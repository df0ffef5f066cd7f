"""The settings page: every section and every action, as admin and as viewer."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from mqttbroker.broker import Limits
from mqttbroker.config import Config, ListenerConfig
from mqttbroker.storage.lmdb.maintenance import restore
from tests.console.conftest import Connect, Looks
from tests.console.site import VIEWER, Console, Device
from tests.support.browsing import Watch, new_context
from tests.support.pki import Pki

pytestmark = pytest.mark.slow

LONG = "a long password"


@pytest.fixture(autouse=True)
def level() -> Iterator[None]:
    """The level of the log is the process's."""
    logger = logging.getLogger("mqttbroker")
    before = logger.level
    yield
    logger.setLevel(before)


def section(page: Page, name: str) -> None:
    """Go to a section of the settings, as a person does."""
    page.get_by_role("navigation", name="Pages").get_by_role("link", name="Settings").click()
    expect(page.get_by_role("heading", name="Settings", level=1)).to_be_visible()
    link = page.get_by_role("navigation", name="Settings").get_by_role("link", name=name, exact=True)
    link.click()
    expect(link).to_have_attribute("aria-current", "page")


def card(page: Page, title: str) -> Locator:
    return page.get_by_role("region", name=title)


class TestListeners:
    def test_where_clients_connect(self, console: Console, page: Page, looks: Looks) -> None:
        section(page, "Listeners")
        expect(card(page, "tcp")).to_contain_text(f"mqtt://127.0.0.1:{console.tcp_port}")
        expect(card(page, "web")).to_contain_text(f"ws://127.0.0.1:{console.web_port}/mqtt")
        expect(card(page, "tcp")).to_contain_text("this machine only")
        looks("settings-listeners")

    def test_an_address_can_be_copied(self, console: Console, page: Page) -> None:
        page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=console.url)
        section(page, "Listeners")
        page.get_by_role("button", name="Copy address of tcp").click()
        expect(page.get_by_role("button", name="Copy address of tcp")).to_have_text("Copied")
        assert page.evaluate("navigator.clipboard.readText()") == f"mqtt://127.0.0.1:{console.tcp_port}"


class TestLimits:
    @pytest.fixture
    def console_config(self, console_config: Config) -> Config:
        return replace(console_config, limits=Limits(max_connections=4))

    def test_values_and_use(self, page: Page, connect: Connect, looks: Looks) -> None:
        for number in range(4):
            connect(f"sensor-{number}")
        section(page, "Limits")
        row = page.get_by_role("listitem").filter(has_text="max_connections").first
        expect(row).to_contain_text("4 of 4 connections")
        expect(row).to_contain_text("set; by default 100,000 connections")
        expect(row.get_by_role("img", name="100 % used")).to_be_visible()
        looks("settings-limits")


class TestCertificates:
    @pytest.fixture
    def console_config(self, console_config: Config, pki: Pki) -> Config:
        secure = ListenerConfig("secure", port=0, tls=pki.tls_config())
        return replace(console_config, listeners=(*console_config.listeners, secure))

    def test_what_is_in_them(self, page: Page, looks: Looks) -> None:
        section(page, "Certificates")
        certificate = page.get_by_role("region").first
        expect(certificate).to_contain_text("left")
        expect(certificate).to_contain_text("localhost")
        looks("settings-certificates")
        section(page, "Listeners")
        expect(card(page, "secure")).to_contain_text("mqtts://127.0.0.1:")


def test_no_certificates(page: Page) -> None:
    section(page, "Certificates")
    expect(page.get_by_role("heading", name="No listener speaks TLS")).to_be_visible()


class TestConfiguration:
    def test_it_can_be_searched(self, console: Console, page: Page, looks: Looks) -> None:
        section(page, "Configuration")
        expect(card(page, "[limits]")).to_contain_text("max_qos")
        expect(card(page, "[admin]").get_by_role("listitem").filter(has_text="enabled")).to_contain_text(
            "set; by default false"
        )
        looks("settings-configuration")
        page.get_by_role("searchbox").fill("max_qos")
        expect(card(page, "[limits]").get_by_role("listitem")).to_have_count(1)
        expect(card(page, "[admin]")).to_have_count(0)
        expect(page).to_have_url(re.compile("search=max_qos"))
        page.get_by_role("searchbox").fill("")
        page.get_by_label("Only what is set").check()
        expect(card(page, "[limits]")).to_have_count(0)
        expect(card(page, "At the top")).to_contain_text("data_dir")
        page.get_by_role("searchbox").fill("nothing has this")
        page.get_by_role("button", name="Show everything").click()
        expect(card(page, "[limits]")).to_be_visible()

    def test_files_can_be_read_again(self, console: Console, page: Page) -> None:
        section(page, "Configuration")
        page.get_by_role("button", name="Reload files").click()
        dialog = page.get_by_role("dialog", name="Read files again?")
        expect(dialog).to_contain_text("Clients stay connected")
        dialog.get_by_role("button", name="Reload").click()
        expect(page.get_by_text("were read again")).to_be_visible()
        assert "users and rules read again" in {event for _, event, _ in console.broker.logged}


class TestBackup:
    def test_a_broker_is_started_from_one(
        self, console: Console, page: Page, connect: Connect, looks: Looks, tmp_path: Path, console_config: Config
    ) -> None:
        keeper = connect("keeper", session=3_600)
        keeper.subscribe("a/#", 1)
        keeper.close()
        connect("sender").publish("a/b", "kept")
        connect("other").publish("r", "retained", retain=True)

        section(page, "Backup")
        expect(page.get_by_role("heading", name="There is no backup yet")).to_be_visible()
        page.get_by_role("button", name="Make a backup").click()
        expect(page.get_by_text("is complete.")).to_be_visible()
        download_link = page.get_by_role("link", name=re.compile("Download mqttbroker-"))
        looks("settings-backup")
        with page.expect_download() as started:
            download_link.click()
        file = tmp_path / started.value.suggested_filename
        started.value.save_as(file)
        assert file.name == console.get("backups")["items"][0]["name"]

        restore(file, tmp_path / "restored")
        again = Console(replace(console_config, data_dir=tmp_path / "restored"))
        try:
            keeper = Device(again.tcp_port, "keeper", session=3_600)
            assert keeper.messages.get(timeout=10).payload == b"kept"
            keeper.subscribe("r")
            assert keeper.messages.get(timeout=10).payload == b"retained"
            keeper.close()
        finally:
            again.stop()

    def test_it_can_be_deleted(self, console: Console, page: Page) -> None:
        section(page, "Backup")
        page.get_by_role("button", name="Make a backup").click()
        page.get_by_role("button", name=re.compile("Delete mqttbroker-")).click()
        dialog = page.get_by_role("dialog", name="Delete this backup?")
        dialog.get_by_role("button", name="Cancel").click()
        assert len(console.get("backups")["items"]) == 1
        page.get_by_role("button", name=re.compile("Delete mqttbroker-")).click()
        dialog.get_by_role("button", name="Delete").click()
        expect(page.get_by_role("heading", name="There is no backup yet")).to_be_visible()
        assert console.get("backups")["items"] == []

    def test_no_room(self, page: Page, watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("mqttbroker.admin.backups.RESERVE", 2**62)
        watch.refused.add(507)
        section(page, "Backup")
        page.get_by_role("button", name="Make a backup").click()
        expect(page.get_by_text("A backup may take")).to_be_visible()


class TestInMemory:
    @pytest.fixture
    def console_config(self, console_config: Config) -> Config:
        return replace(console_config, data_dir=None)

    def test_there_is_nothing_to_back_up(self, page: Page) -> None:
        section(page, "Backup")
        expect(page.get_by_role("heading", name="There is nothing to back up")).to_be_visible()


class TestLog:
    def test_level_lines_filter_and_pause(self, console: Console, page: Page, looks: Looks) -> None:
        section(page, "Log")
        page.get_by_label("The broker logs from").select_option("info")
        expect(page.get_by_text("The broker logs from “info” on")).to_be_visible()
        assert console.get("log") == {"level": "info"}
        tell(console, "info", "client connected", client="<img src=x onerror=alert(1)>", address="192.0.2.1:5000")
        tell(console, "warning", "queue is full", client="sensor‮1", queued=100_000)
        tell(console, "info", "x" * 5_000)
        lines = page.get_by_role("list", name="Lines of the log, the newest first").get_by_role("listitem")
        expect(lines.filter(has_text="client connected")).to_contain_text("client=<img src=x onerror=alert(1)>")
        looks("settings-log")

        page.get_by_label("Filter").fill("queued=100000")
        expect(lines).to_have_count(1)
        expect(lines).to_contain_text("warning")
        page.get_by_label("Filter").fill("")
        page.get_by_label("Show from").select_option("warning")
        expect(lines.filter(has_text="client connected")).to_have_count(0)
        expect(page).to_have_url(re.compile("#/settings/log.*level=warning"))

        page.get_by_role("button", name="Pause").click()
        tell(console, "warning", "while it was paused")
        expect(page.get_by_text("Paused.")).to_be_visible()
        page.get_by_role("button", name="Go on").click()
        expect(lines.first).to_contain_text("while it was paused")
        page.get_by_label("Filter").fill("no such line")
        page.get_by_role("button", name="Show all lines").click()
        expect(lines.filter(has_text="client connected")).to_have_count(1)


class TestAdministrators:
    def test_accounts(self, console: Console, page: Page, browser: Browser, looks: Looks) -> None:
        section(page, "Administrators")
        accounts = card(page, "Who may log in here")
        page.get_by_role("button", name="Add an account").click()
        dialog = page.get_by_role("dialog", name="Add an account")
        dialog.get_by_label("Name").fill("eve")
        dialog.get_by_label("Password").fill("short")
        dialog.get_by_role("button", name="Add").click()
        expect(dialog).to_contain_text("at least 10 characters")
        dialog.get_by_label("Password").fill(LONG)
        dialog.get_by_role("button", name="Add").click()
        expect(accounts.get_by_role("listitem").filter(has_text="eve")).to_contain_text("viewer")
        assert {"name": "eve", "role": "viewer"} in console.get("accounts")["accounts"]
        looks("settings-administrators")
        with new_context(browser) as context:
            other = context.new_page()
            log_in(console, other, "eve", LONG)
            other.close()

        accounts.get_by_role("button", name="Password and role of eve").click()
        dialog = page.get_by_role("dialog", name="Change eve")
        dialog.get_by_label("Role").select_option("admin")
        dialog.get_by_label("New password").fill("another password")
        dialog.get_by_role("button", name="Change").click()
        expect(accounts.get_by_role("listitem").filter(has_text="eve")).to_contain_text("admin")
        assert {"name": "eve", "role": "admin"} in console.get("accounts")["accounts"]

        accounts.get_by_role("button", name="Remove eve").click()
        page.get_by_role("dialog", name="Remove eve?").get_by_role("button", name="Remove").click()
        expect(accounts.get_by_role("listitem")).to_have_count(1)
        assert console.get("accounts")["accounts"] == [{"name": "admin", "role": "admin"}]

    def test_the_last_admin_stays(self, page: Page, watch: Watch) -> None:
        watch.refused.add(409)
        section(page, "Administrators")
        page.get_by_role("button", name="Remove admin").click()
        dialog = page.get_by_role("dialog", name="Remove admin?")
        dialog.get_by_role("button", name="Remove").click()
        expect(dialog.get_by_role("alert")).to_contain_text("Expected to keep an account with the role admin")
        dialog.get_by_role("button", name="Cancel").click()

    def test_tokens(self, console: Console, page: Page, looks: Looks) -> None:
        section(page, "Administrators")
        page.get_by_role("button", name="Make a token").click()
        dialog = page.get_by_role("dialog", name="Make a token")
        dialog.get_by_label("What it is for").fill("Prometheus")
        dialog.get_by_label("Good").select_option("30 days")
        dialog.get_by_role("button", name="Make").click()
        shown = page.get_by_role("dialog", name="The new token")
        secret = shown.locator("code").inner_text()
        looks("settings-token")
        shown.get_by_role("button", name="Done").click()
        expect(page.get_by_text(secret)).to_have_count(0)
        tokens = card(page, "Tokens of programs").get_by_role("listitem")
        expect(tokens).to_contain_text("Prometheus")
        assert asked_with(console, secret) == 200

        page.get_by_role("button", name="Revoke Prometheus").click()
        page.get_by_role("dialog", name="Revoke Prometheus?").get_by_role("button", name="Revoke").click()
        expect(page.get_by_role("heading", name="There is no token")).to_be_visible()
        assert asked_with(console, secret) == 401


class TestOwnPassword:
    def change(self, page: Page, current: str, password: str, again: str | None = None) -> None:
        page.get_by_label("Current password").fill(current)
        page.get_by_label("New password").fill(password)
        page.get_by_label("The new one again").fill(password if again is None else again)
        page.get_by_role("button", name="Change the password").click()

    def test_of_a_viewer(
        self, console: Console, viewer_page: Page, watch: Watch, browser: Browser, looks: Looks
    ) -> None:
        watch.refused |= {401, 403}
        section(viewer_page, "Own password")
        self.change(viewer_page, "wrong", LONG)
        expect(viewer_page.get_by_text("The current password is wrong")).to_be_visible()
        self.change(viewer_page, VIEWER[1], "short")
        expect(viewer_page.get_by_text("Please take at least 10 characters.")).to_be_visible()
        self.change(viewer_page, VIEWER[1], LONG, "another one")
        expect(viewer_page.get_by_text("This is not the same.")).to_be_visible()
        looks("settings-password", viewer_page)
        self.change(viewer_page, VIEWER[1], LONG)
        expect(viewer_page.get_by_text("Your password was changed.")).to_be_visible()
        with new_context(browser) as context:
            other = watch.follow(context.new_page())
            other.goto(console.url)
            other.get_by_label("Account").fill(VIEWER[0])
            other.get_by_label("Password").fill(VIEWER[1])
            other.get_by_role("button", name="Log in").click()
            expect(other.get_by_role("alert")).to_be_visible()
            log_in(console, other, VIEWER[0], LONG)
            other.close()


class TestAudit:
    def test_who_what_before_and_after(self, console: Console, page: Page, looks: Looks) -> None:
        with console.api() as api:
            api.put("/api/v1/accounts/eve", json={"role": "viewer", "password": LONG}).raise_for_status()
            api.put("/api/v1/accounts/eve", json={"role": "admin", "password": LONG}).raise_for_status()
            api.put("/api/v1/retained", params={"topic": "a/b"}, json={"payload": "x"}).raise_for_status()
            assert api.delete("/api/v1/accounts/nobody").status_code == 404
        section(page, "Audit log")
        entries = page.get_by_role("list", name="Changes, the newest first").get_by_role("listitem")
        expect(entries.first).to_contain_text("refused 404")
        change = entries.filter(has_text="set account eve").first
        change.locator("summary").click()
        expect(change.locator("del")).to_have_text("viewer")
        expect(change.locator("ins")).to_have_text("admin")
        looks("settings-audit")
        page.get_by_role("searchbox").fill("nobody")
        expect(entries).to_have_count(1)
        page.get_by_role("searchbox").fill("nothing like this")
        page.get_by_role("button", name="Show everything").click()
        assert LONG not in page.content()


class TestViewer:
    def test_sees_and_changes_nothing(self, console: Console, viewer_page: Page, looks: Looks) -> None:
        page = viewer_page
        section(page, "Listeners")
        names = page.get_by_role("navigation", name="Settings").get_by_role("link")
        expect(names).to_have_text(["Listeners", "Limits", "Certificates", "Backup", "Own password"])
        expect(page.get_by_role("button", name="Reload files")).to_have_count(0)
        with console.api() as api:
            api.post("/api/v1/backups").raise_for_status()
        section(page, "Backup")
        expect(page.get_by_text(re.compile(r"mqttbroker-.*\.mdb")).first).to_be_visible()
        expect(page.get_by_role("button", name=re.compile("Make a backup|Delete"))).to_have_count(0)
        expect(page.get_by_role("link", name=re.compile("Download"))).to_have_count(0)
        looks("settings-viewer", page)
        for key in ("configuration", "log", "administrators", "audit"):
            page.goto(f"{console.url}#/settings/{key}")
            expect(page.get_by_role("heading", name=re.compile("is for admins"))).to_be_visible()


def test_each_section_has_an_address(console: Console, page: Page) -> None:
    page.goto(f"{console.url}#/settings/audit")
    expect(page.get_by_role("navigation", name="Settings").get_by_role("link", name="Audit log")).to_have_attribute(
        "aria-current", "page"
    )
    page.goto(f"{console.url}#/settings/nothing")
    expect(page.get_by_role("heading", name="There is no such section")).to_be_visible()


def log_in(console: Console, page: Page, name: str, password: str) -> None:
    page.goto(console.url)
    page.get_by_label("Account").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="Overview", level=1)).to_be_visible()


def asked_with(console: Console, token: str) -> int:
    """What the API answers to a program with this token."""
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.get(f"{console.url}api/v1/broker", headers=headers, trust_env=False).status_code


def tell(console: Console, level: str, event: str, **details: object) -> None:
    """Log a line as the broker."""
    admin = console.broker.broker.admin
    assert admin is not None
    log = admin.app.context.log
    console.broker.call(lambda _: log(level, event, **details))
