"""Sessions and queues: what waits for whom, and how to be rid of it, in the browser and in the broker."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.console.conftest import Connect, Looks
from tests.console.site import Console
from tests.support.browsing import Watch

pytestmark = pytest.mark.slow

HOSTILE = "<img src=x onerror=alert(1)>\u202eevil"


def away(connect: Connect, client_id: str, topic: str) -> None:
    """A client that has subscribed and gone, whose session stays for an hour."""
    device = connect(client_id, session=3_600)
    device.subscribe(topic, 1)
    device.close()
    device.disconnected()


def fill(connect: Connect) -> None:
    """Queues of three, one and no messages."""
    away(connect, "gauge", "hall/#")
    away(connect, "lamp", "hall/lamp")
    sender = connect("sender")
    sender.publish("hall/lamp", '{"on":true,"level":0.5}')
    sender.publish("hall/door", b"\xff\x00\x01")
    sender.publish("hall/log", "the door was opened\nand closed", 2)


def sessions(page: Page) -> Locator:
    """The rows of the list, when it is there."""
    page.get_by_role("link", name="Sessions").click()
    expect(page.get_by_role("heading", name="Sessions & queues", level=1)).to_be_visible()
    return page.get_by_role("table", name="Sessions").get_by_role("row")


def names(rows: Locator) -> list[str]:
    return [each.split("\n")[0].strip() for each in rows.locator("td:first-child").all_inner_texts()]


def test_the_list(page: Page, connect: Connect, looks: Looks) -> None:
    fill(connect)
    rows = sessions(page)
    expect(rows).to_have_count(4)
    assert names(rows) == ["gauge", "lamp", "sender"]
    expect(rows.filter(has_text="gauge")).to_contain_text("away")
    expect(rows.filter(has_text="sender")).to_contain_text("connected")
    expect(page.locator("dl.stats")).to_contain_text("Messages owed4")
    expect(page.locator("dl.stats")).to_contain_text("Largest queue3")
    looks("sessions")


def test_order_search_and_filter(page: Page, connect: Connect) -> None:
    fill(connect)
    rows = sessions(page)
    expect(rows).to_have_count(4)
    page.get_by_role("button", name="Oldest").click()
    expect(rows.nth(1)).to_contain_text("gauge")
    expect(page.get_by_role("columnheader", name="Oldest")).to_have_attribute("aria-sort", "ascending")
    page.get_by_role("button", name="Queued").click()
    expect(page.get_by_role("columnheader", name="Queued")).to_have_attribute("aria-sort", "descending")
    page.get_by_role("button", name="Queued").click()
    expect(rows.nth(1)).to_contain_text("sender")
    page.get_by_label("Show").select_option("Away")
    expect(rows).to_have_count(3)
    page.get_by_role("searchbox").fill("LAMP")
    expect(rows).to_have_count(2)
    page.get_by_role("searchbox").fill("nobody")
    expect(page.get_by_text("No session matches “nobody”")).to_be_visible()
    page.get_by_role("button", name="Show all sessions").click()
    expect(rows).to_have_count(4)


def test_the_messages_of_a_queue(page: Page, connect: Connect, looks: Looks) -> None:
    fill(connect)
    sessions(page).filter(has_text="gauge").click()
    expect(page.get_by_role("heading", name="gauge", level=1)).to_be_visible()
    rows = page.get_by_role("table", name="Messages").get_by_role("row")
    expect(rows).to_have_count(4)
    expect(rows.nth(1)).to_contain_text("hall/lamp")
    expect(rows.nth(1)).to_contain_text('{"on":true,"level":0.5}')
    expect(rows.nth(2)).to_contain_text("ff 00 01")
    looks("session-queue")
    rows.nth(1).click()
    message = page.get_by_role("dialog", name="hall/lamp")
    expect(message).to_contain_text('"level": 0.5')
    expect(message).to_contain_text("sender")
    looks("session-message")
    message.get_by_text("Hex").click()
    expect(message).to_contain_text("000000  7b 22 6f 6e")
    message.get_by_role("button", name="Close").click()
    expect(message).not_to_be_visible()


def test_purge(console: Console, page: Page, connect: Connect, looks: Looks) -> None:
    fill(connect)
    sessions(page).filter(has_text="gauge").click()
    page.get_by_role("button", name="Purge queue …").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("3 messages that wait for it will be lost")
    looks("session-purge")
    dialog.get_by_role("button", name="Cancel").click()
    assert console.get("sessions/gauge")["queued"] == 3
    page.get_by_role("button", name="Purge queue …").click()
    page.get_by_role("dialog").get_by_role("button", name="Purge").click()
    expect(page.get_by_text("3 messages for gauge were dropped.")).to_be_visible()
    expect(page.get_by_text("Nothing waits for this client")).to_be_visible()
    expect(page.get_by_role("button", name="Purge queue …")).to_be_disabled()
    session = console.get("sessions/gauge")
    assert (session["queued"], session["dropped"]) == (0, {"purged": 3})


def test_purge_from_the_list(console: Console, page: Page, connect: Connect) -> None:
    fill(connect)
    rows = sessions(page)
    page.get_by_role("button", name="Purge the queue of lamp").click()
    page.get_by_role("dialog").get_by_role("button", name="Purge").click()
    expect(page.get_by_text("1 message for lamp was dropped.")).to_be_visible()
    expect(rows.filter(has_text="lamp").get_by_role("button")).to_have_count(0)
    assert console.get("sessions/lamp")["queued"] == 0
    assert console.get("sessions/gauge")["queued"] == 3


def test_end_a_session(console: Console, page: Page, connect: Connect, looks: Looks, watch: Watch) -> None:
    watch.refused.add(404)
    fill(connect)
    sessions(page).filter(has_text="gauge").click()
    page.get_by_role("button", name="End session …").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("1 subscription")
    expect(dialog).to_contain_text("3 messages")
    looks("session-end")
    dialog.get_by_role("button", name="End session").click()
    expect(page.get_by_text("The session of gauge was ended.")).to_be_visible()
    expect(page.get_by_text("There is no such client now")).to_be_visible()
    page.get_by_role("link", name="← Sessions & queues").click()
    expect(page.get_by_role("table", name="Sessions").get_by_role("row")).to_have_count(3)
    assert [each["client_id"] for each in console.get("sessions")["items"]] == ["lamp", "sender"]


def test_nothing_yet(page: Page, looks: Looks) -> None:
    page.get_by_role("link", name="Sessions").click()
    expect(page.get_by_text("There are no sessions")).to_be_visible()
    looks("sessions-empty")


def test_names_that_mean_harm(page: Page, connect: Connect, looks: Looks) -> None:
    away(connect, HOSTILE, "hall/#")
    away(connect, "x" * 1_000, "hall/#")
    connect("sender").publish("hall/" + "long/" * 100 + "x" * 3_000, HOSTILE)
    rows = sessions(page)
    expect(rows).to_have_count(4)
    looks("sessions-hostile")
    rows.filter(has_text="onerror").click()
    expect(page.get_by_role("table", name="Messages").get_by_role("row")).to_have_count(2)
    looks("session-queue-hostile")


def test_a_viewer_changes_nothing(viewer_page: Page, connect: Connect) -> None:
    fill(connect)
    rows = sessions(viewer_page)
    expect(rows).to_have_count(4)
    expect(viewer_page.get_by_role("button", name="Purge the queue of lamp")).to_have_count(0)
    rows.filter(has_text="gauge").click()
    expect(viewer_page.get_by_role("table", name="Messages").get_by_role("row")).to_have_count(4)
    for action in ("Purge queue …", "End session …", "Disconnect …"):
        expect(viewer_page.get_by_role("button", name=action)).to_have_count(0)


def test_a_queue_of_many_messages(page: Page, connect: Connect) -> None:
    away(connect, "gauge", "hall/#")
    sender = connect("sender")
    for number in range(450):
        sender.client.publish(f"hall/{number}", f"{number}", 1)
    sender.publish("hall/last", "last")
    sessions(page).filter(has_text="gauge").click()
    table = page.get_by_role("table", name="Messages")
    expect(table.get_by_text("hall/0", exact=True)).to_be_visible()
    assert table.get_by_role("row").count() < 100, "only what is in sight is in the document"
    table.get_by_role("row").nth(1).focus()
    for _ in range(3):
        page.keyboard.press("End")
        page.wait_for_timeout(100)
    expect(table.get_by_text("hall/last", exact=True)).to_be_visible()
