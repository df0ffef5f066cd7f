"""Somebody comes for the first time: logs in, looks around, finds a client."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.console.conftest import Connect, Looks
from tests.console.site import Console

pytestmark = pytest.mark.slow


def test_log_in(console: Console, stranger: Page, looks: Looks) -> None:
    stranger.goto(console.url)
    expect(stranger.get_by_role("heading", name="MQTT broker")).to_be_visible()
    looks("login", stranger)
    stranger.get_by_label("Password").fill(console.password)
    stranger.get_by_role("button", name="Log in").click()
    expect(stranger.get_by_role("heading", name="Overview", level=1)).to_be_visible()


def test_overview(page: Page, connect: Connect) -> None:
    connect("sensor-1")
    expect(page.get_by_text("sensor-1").first).to_be_visible()


def test_clients(page: Page, connect: Connect, looks: Looks) -> None:
    for name in ("sensor-1", "sensor-2", "lamp"):
        connect(name).subscribe(f"{name}/#", 1)
    page.get_by_role("link", name="Clients").click()
    rows = page.get_by_role("table", name="Clients").get_by_role("row")
    expect(rows).to_have_count(4)
    expect(rows.filter(has_text="lamp")).to_contain_text("127.0.0.1")
    looks("clients")
    page.get_by_role("searchbox").fill("sensor")
    expect(rows).to_have_count(3)
    rows.filter(has_text="sensor-2").click()
    expect(page.get_by_role("heading", name="sensor-2", level=1)).to_be_visible()
