"""One client: all that is known of it, and what an admin does to it."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.console.conftest import Connect, Looks
from tests.console.site import Console
from tests.support.browsing import Watch

pytestmark = pytest.mark.slow


def client(page: Page, name: str) -> None:
    """Go to the page of a client, as a person does."""
    page.get_by_role("link", name="Clients").click()
    page.get_by_role("table", name="Clients").get_by_role("row").filter(has_text=name).click()
    expect(page.get_by_role("heading", name=name, level=1)).to_be_visible()


def tab(page: Page, name: str) -> Locator:
    """The panel of a tab, when it is chosen."""
    page.get_by_role("tab", name=name).click()
    expect(page.get_by_role("tab", name=name)).to_have_attribute("aria-selected", "true")
    return page.get_by_role("tabpanel")


def test_what_is_known_of_it(page: Page, connect: Connect, looks: Looks) -> None:
    device = connect("sensor", session=3_600)
    device.subscribe("hall/#", 1)
    client(page, "sensor")
    panel = page.get_by_role("tabpanel")
    for text in ("127.0.0.1:", "5.0", "tcp", "1 h"):
        expect(panel).to_contain_text(text)
    looks("client-session")
    expect(tab(page, "Subscriptions (1)")).to_contain_text("hall/#")
    expect(tab(page, "Timeline")).to_contain_text("connected")
    looks("client-timeline")
    page.reload()
    expect(page.get_by_role("tab", name="Timeline")).to_have_attribute("aria-selected", "true")


def test_who_sends_most(page: Page, connect: Connect, looks: Looks) -> None:
    quiet, busy = connect("a-quiet-one"), connect("busy")
    quiet.publish("hall/a", "1")
    for number in range(3):
        busy.publish("hall/b", bytes(20_000 + number))
    page.set_viewport_size({"width": 1440, "height": 900})
    page.get_by_role("link", name="Clients", exact=True).click()
    table = page.get_by_role("table", name="Clients")
    expect(table.get_by_role("row").nth(1)).to_contain_text("a-quiet-one")
    table.get_by_role("button", name="Received").click()
    expect(table.get_by_role("row").nth(1)).to_contain_text("busy")
    expect(table.get_by_role("row").nth(1)).to_contain_text("58.7 KiB")
    looks("clients-by-traffic")
    for width in (1_241, 1_280, 1_401, 1_440):
        page.set_viewport_size({"width": width, "height": 900})
        name = table.get_by_role("row").nth(1).get_by_role("cell").first
        assert name.evaluate("cell => cell.clientWidth") > 160, f"what a client is called, at {width}"
    client(page, "busy")
    panel = page.get_by_role("tabpanel")
    expect(panel).to_contain_text("Messages from it3")
    expect(panel).to_contain_text(re.compile(r"Received58\.7 KiB, now \d"))


def test_the_messages_in_flight(page: Page, connect: Connect) -> None:
    device = connect("sensor", session=3_600, manual_ack=True)
    device.subscribe("hall/#", 1)
    connect("sender").publish("hall/a", "1")
    client(page, "sensor")
    panel = tab(page, "Queue (1)")
    expect(panel).to_contain_text("in flight")
    expect(panel).to_contain_text("hall/a")


def test_disconnect(console: Console, page: Page, connect: Connect, looks: Looks) -> None:
    device = connect("sensor", session=3_600)
    client(page, "sensor")
    page.get_by_role("button", name="Disconnect …").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Reason").fill("too loud")
    looks("client-disconnect")
    dialog.get_by_role("button", name="Disconnect").click()
    expect(page.get_by_text("sensor was disconnected.")).to_be_visible()
    device.disconnected()
    expect(page.get_by_text("Not connected")).to_be_visible()
    expect(page.get_by_role("tabpanel")).to_contain_text("too loud")
    assert console.get("clients")["items"] == []
    assert not console.get("sessions/sensor")["connected"]
    looks("client-away")
    expect(page.get_by_role("button", name="Disconnect …")).to_have_count(0)


def test_one_that_is_gone(page: Page, connect: Connect, looks: Looks, watch: Watch) -> None:
    watch.refused.add(404)
    device = connect("sensor")
    client(page, "sensor")
    device.close()
    expect(page.get_by_text("There is no such client now")).to_be_visible()
    expect(page.get_by_role("tabpanel")).to_contain_text("disconnected")
    looks("client-gone")


def test_it_comes_and_goes_while_it_is_looked_at(page: Page, connect: Connect) -> None:
    device = connect("sensor", session=3_600)
    client(page, "sensor")
    badge = page.locator("header.head .badge")
    expect(badge).to_have_text("connected")
    device.close()
    expect(badge).to_have_text("away")
    connect("sensor", session=3_600)
    expect(badge).to_have_text("connected")


def test_end_its_session(console: Console, page: Page, connect: Connect, watch: Watch) -> None:
    watch.refused.add(404)
    device = connect("sensor", session=3_600)
    device.subscribe("hall/#", 1)
    client(page, "sensor")
    page.get_by_role("button", name="End session …").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("its connection")
    dialog.get_by_role("button", name="End session").click()
    expect(page.get_by_text("There is no such client now")).to_be_visible()
    device.disconnected()
    assert console.get("sessions")["items"] == console.get("subscriptions")["items"] == []


def test_what_cannot_be_done_is_told(page: Page, connect: Connect, console: Console, watch: Watch) -> None:
    """The session ends on another way while somebody is being asked."""
    watch.refused.add(404)
    connect("sensor", session=3_600)
    client(page, "sensor")
    page.get_by_role("button", name="End session …").click()
    with console.api() as api:
        api.delete("/api/v1/sessions/sensor").raise_for_status()
    expect(page.get_by_text("There is no such client now")).to_be_visible()


def test_a_will(page: Page, connect: Connect) -> None:
    connect("sensor", session=3_600, will=("gone/sensor", b"bye"))
    client(page, "sensor")
    will = page.get_by_role("region", name="Will")
    expect(will).to_contain_text("gone/sensor")
    expect(will).to_contain_text("3 B")
    page.get_by_role("button", name="End session …").click()
    expect(page.get_by_role("dialog")).to_contain_text("Its will is published.")
